import { html, mount } from "./dom.js";

// "set `trainable`" -> ["set ", <code>trainable</code>]
const withCode = (text) => text.split(/`([^`]+)`/).map((part, i) => (i % 2 ? html("code", {}, part) : part));

// The first guess stays in this browser, where it keeps any at all; the site's story.js reads it, too.
const stored = (key) => `coursekit-guess-${key}`;
const firstGuess = (key) => {
  try { return localStorage.getItem(stored(key)); } catch { return null; }
};
const keep = (key, choice) => {
  try {
    if (firstGuess(key) === null) localStorage.setItem(stored(key), choice);
  } catch { return; }
  document.dispatchEvent(new CustomEvent("coursekit-guess"));
};

function render({ model, el }) {
  const choices = model.get("choices");
  const key = model.get("key");
  const feedback = html("div", { class: "ck-feedback", role: "status" });
  const others = html("div", {});

  const forget = () => [feedback, others].forEach((node) => node.replaceChildren());

  const check = (event) => {
    event.preventDefault();
    const guess = new FormData(form).get("choice");
    if (guess !== null) keep(key, guess);
    answer(choices[guess]);
  };

  const answer = (chosen) => {
    forget();
    feedback.className = `ck-feedback ${chosen?.correct ? "ck-right" : "ck-wrong"}`;
    if (!chosen) {
      feedback.append("Choose an answer first.");
    } else if (chosen.correct) {
      feedback.append(html("strong", {}, "✓ Correct. "), ...withCode(chosen.explanation));
      others.append(why(choices.filter((choice) => choice !== chosen)));
    } else {
      feedback.append(html("strong", {}, "✗ Not quite. "), ...withCode(chosen.explanation), " Try another.");
    }
  };

  // The radio buttons are named alike in every quiz: their form keeps them apart.
  const form = html(
    "form",
    { onsubmit: check, onchange: forget },
    html(
      "fieldset",
      {},
      html("legend", {}, html("span", { class: "ck-kicker" }, "Predict, then run"), ...withCode(model.get("question"))),
      ...choices.map((choice, i) =>
        html("label", { class: "ck-choice" },
          html("input", { type: "radio", name: "choice", value: i }), html("span", {}, ...withCode(choice.text)))),
    ),
    html("button", { class: "ck-button" }, "Check"),
    feedback,
    others,
  );
  mount(el, form);
  const before = form.elements.choice[firstGuess(key)];
  if (before) {
    before.checked = true;
    answer(choices[firstGuess(key)]);
  }
}

const why = (choices) =>
  html("details", {}, html("summary", {}, "Why not the others?"),
    html("dl", {}, ...choices.flatMap(({ text, explanation }) =>
      [html("dt", {}, ...withCode(text)), html("dd", {}, ...withCode(explanation))])));

export default { render };
