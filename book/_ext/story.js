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

  // What the style sheet goes by: at once, so that the page is drawn as it stays, and whenever something changes.
  const mark = () => {
    root.dataset.read = recall("coursekit-read") ?? "story";
    root.toggleAttribute("data-guess-first", recall("coursekit-wait") !== "no");
    root.dataset.guessed = known().filter((name) => name.startsWith(GUESS)).map((name) => name.slice(GUESS.length)).join(" ");
  };
  mark();

  // Who reads code has every bar open as it comes: one that opens later moves what is below it.
  if (root.dataset.read === "code") {
    const coming = new MutationObserver(() => {
      document.querySelectorAll("details.hide:not([open])").forEach((bar) => { bar.open = true; });
    });
    coming.observe(root, { childList: true, subtree: true });
    document.addEventListener("DOMContentLoaded", () => coming.disconnect());
  }

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
  // What the experiment says of the lecture's sentence.
  const sentence = (key) => {
    const verdict = document.querySelector(`.claim-card:has(a[href$="#${key}"]) .verdict`);
    return verdict ? [" The lecture's sentence: ", verdict.cloneNode(true)] : [];
  };

  // Of every question that was answered: the guess, and what came out.
  const outcome = ({ key, question, choices, guess }) => {
    const [chosen, right] = [choices[guess], choices.find((choice) => choice.correct)];
    const says = chosen.correct ? ["✓ ", ...withCode(chosen.text)]
      : ["✗ ", element("del", {}, ...withCode(chosen.text)), " ", ...withCode(right.text)];
    return element("li", {},
      element("a", { href: `#question-${key}` }, ...withCode(question)), element("p", {}, ...says, ...sentence(key)));
  };

  const score = () => {
    const block = document.querySelector(".guesses");
    if (!block) return;
    const all = quizzes();
    const guessed = all.filter(({ guess, choices }) => choices[guess]);
    const right = guessed.filter(({ guess, choices }) => choices[guess].correct).length;
    const rest = all.length - guessed.length;
    block.hidden = all.every(({ guess }) => guess === null);
    block.replaceChildren(
      element("p", { className: "score" }, `You guessed ${right} of ${guessed.length} right.`,
        rest ? ` Of the chapter's questions, ${rest} you have not come to, or looked at without a guess.` : ""),
      element("ul", {}, ...guessed.map(outcome)),
      element("button", { type: "button", onclick: forgetAll }, "Forget my guesses, and let results wait again"));
  };
  const forgetAll = () => {
    quizzes().forEach(({ key }) => forget(GUESS + key));
    location.reload();
  };

  const keep = (key, guess) => {
    if (recall(GUESS + key) === null) remember(GUESS + key, guess);
  };
  const draw = () => {
    mark();
    score();
    progress();
  };
  // Opens what waits for these questions.
  const show = (keys) => {
    keys.forEach((key) => keep(key, "shown"));
    draw();
  };
  const showTarget = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const waits = target && target.closest(".waits");
    if (!waits) return;
    show([...waits.classList].filter((name) => name.startsWith("waits-")).map((name) => name.slice("waits-".length)));
    target.scrollIntoView();
  };

  // On the home page and on the chapter's own: how many of a chapter's questions this reader has answered.
  const progress = () => document.querySelectorAll(".progress-of").forEach((node) => {
    const keys = node.dataset.for.split(" ");
    const met = keys.filter((key) => recall(GUESS + key) !== null).length;
    node.textContent = met ? ` · you have met ${met} of ${keys.length} questions` : "";
  });

  const wire = () => {
    progress();
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
    if (box) { // on a page that asks
      box.checked = root.hasAttribute("data-guess-first");
      box.addEventListener("change", () => {
        remember("coursekit-wait", box.checked ? "yes" : "no");
        draw();
      });
    }
    document.querySelectorAll(".waits-bar button").forEach((button) => {
      button.addEventListener("click", () => {
        const bar = button.parentElement;
        show(bar.dataset.for.split(" "));
        bar.nextElementSibling.tabIndex = -1; // the button is gone, and the keyboard goes on from here
        bar.nextElementSibling.focus({ preventScroll: true });
      });
    });
    document.addEventListener("coursekit-guess", ({ detail: { key, choice } }) => {
      keep(key, choice);
      draw();
    });
    window.addEventListener("storage", () => { // another page of the course was read
      draw();
      press();
    });
    document.querySelectorAll("details.hide > summary").forEach((bar) => bar.removeAttribute("aria-label"));
    window.addEventListener("hashchange", showTarget);
    press();
    score();
    showTarget();
  };
  // Of steps, the picture of the one that is in the middle of the screen is shown.
  root.toggleAttribute("data-steps", true);
  const follow = () => {
    const middle = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => {
      if (!isIntersecting) return;
      [...target.parentElement.parentElement.children].forEach((step) => step.classList.toggle("shown", step === target.parentElement));
    }), { rootMargin: "-50% 0px -50% 0px" });
    document.querySelectorAll(".step > :first-child").forEach((text) => middle.observe(text));
    document.querySelectorAll(".step:first-child").forEach((step) => step.classList.add("shown"));
  };

  document.addEventListener("DOMContentLoaded", () => {
    wire();
    follow();
  });

  // Paper is white, whatever the theme of the screen.
  let theme;
  window.addEventListener("beforeprint", () => {
    theme = root.dataset.theme;
    root.dataset.theme = "light";
  });
  window.addEventListener("afterprint", () => { root.dataset.theme = theme; });
}
