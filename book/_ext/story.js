// The reading view: story or code, results that wait for a guess, and at the end of a chapter what came of the guesses.
// Runs before the page is drawn. What the reader chooses stays in this browser: nothing leaves it.
{
  const root = document.documentElement;
  const GUESS = "coursekit-guess-"; // and the question's key: which choice was the first, as quiz.js writes it, or "shown"
  const closed = {}; // for browsers that keep nothing
  const recall = (name) => {
    try { return localStorage.getItem(name); } catch { return closed[name] ?? null; }
  };
  const remember = (name, value) => {
    try { localStorage.setItem(name, value); } catch { closed[name] = value; }
  };
  const forget = (name) => {
    try { localStorage.removeItem(name); } catch { delete closed[name]; }
  };
  const known = () => {
    try { return Object.keys(localStorage); } catch { return Object.keys(closed); }
  };

  const draw = () => {
    root.dataset.read = recall("coursekit-read") ?? "story";
    root.toggleAttribute("data-guess-first", recall("coursekit-guess-first") !== "no");
    root.dataset.guessed = known().filter((name) => name.startsWith(GUESS)).map((name) => name.slice(GUESS.length)).join(" ");
  };
  draw();

  const element = (tag, attributes, ...children) => {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  };
  // "set `trainable`" -> ["set ", <code>trainable</code>]
  const withCode = (text) => text.split(/`([^`]+)`/).map((part, i) => (i % 2 ? element("code", {}, part) : part));

  const quizzes = () => [...document.querySelectorAll('.coursekit-widget[data-widget="quiz"]')].map((node) => {
    const { key, question, choices } = JSON.parse(node.dataset.state);
    node.id = `question-${key}`;
    return { key, question, choices, guess: recall(GUESS + key) };
  });
  const verdict = (key) => document.querySelector(`.claim-card:has(a[href$="#${key}"]) .verdict`)?.cloneNode(true) ?? "";

  // Of every question that was answered: the guess, and what came out.
  const outcome = ({ key, question, choices, guess }) => {
    const [chosen, right] = [choices[guess], choices.find((choice) => choice.correct)];
    const says = chosen.correct ? ["✓ ", ...withCode(chosen.text)]
      : ["✗ ", element("del", {}, ...withCode(chosen.text)), " ", ...withCode(right.text)];
    return element("li", {},
      element("a", { href: `#question-${key}` }, ...withCode(question)), element("p", {}, ...says, " ", verdict(key)));
  };

  const score = () => {
    const block = document.querySelector(".guesses");
    if (!block) return;
    const all = quizzes();
    const guessed = all.filter(({ guess, choices }) => choices[guess]);
    const right = guessed.filter(({ guess, choices }) => choices[guess].correct).length;
    block.hidden = guessed.length === 0;
    block.replaceChildren(
      element("p", { className: "score" }, `You guessed ${right} of ${guessed.length} right`,
        guessed.length < all.length ? `; ${all.length - guessed.length} of the chapter's questions have no guess of yours.` : "."),
      element("ul", {}, ...guessed.map(outcome)),
      element("button", { type: "button", onclick: forgetAll }, "Forget my guesses"));
  };
  const forgetAll = () => {
    quizzes().forEach(({ key }) => forget(GUESS + key));
    location.reload();
  };

  // Opens what waits for these questions.
  const show = (keys) => {
    keys.filter((key) => recall(GUESS + key) === null).forEach((key) => remember(GUESS + key, "shown"));
    draw();
  };
  const showTarget = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const waits = target && target.closest(".waits");
    if (!waits) return;
    show([...waits.classList].filter((name) => name.startsWith("waits-")).map((name) => name.slice("waits-".length)));
    target.scrollIntoView();
  };

  const wire = () => {
    const reading = document.querySelector(".reading");
    if (!reading) return;
    const buttons = [...reading.querySelectorAll("button")];
    const box = reading.querySelector("input");
    const bars = [...document.querySelectorAll("details.hide")];
    const press = () => {
      buttons.forEach((button) => button.setAttribute("aria-pressed", button.dataset.read === root.dataset.read));
      bars.forEach((bar) => { bar.open = root.dataset.read === "code"; });
    };
    buttons.forEach((button) => button.addEventListener("click", () => {
      remember("coursekit-read", button.dataset.read);
      draw();
      press();
    }));
    box.checked = root.hasAttribute("data-guess-first");
    box.addEventListener("change", () => {
      remember("coursekit-guess-first", box.checked ? "yes" : "no");
      draw();
    });
    document.querySelectorAll(".waits-bar button").forEach((button) => {
      button.addEventListener("click", () => show(button.parentElement.dataset.for.split(" ")));
    });
    document.addEventListener("coursekit-guess", () => { draw(); score(); });
    window.addEventListener("hashchange", showTarget);
    press();
    score();
    showTarget();
  };
  document.addEventListener("DOMContentLoaded", wire);
}
