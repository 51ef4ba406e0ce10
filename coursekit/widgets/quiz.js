import { html, mount } from "./dom.js";

// "set `trainable`" -> ["set ", <code>trainable</code>]
const withCode = (text) => text.split(/`([^`]+)`/).map((part, i) => (i % 2 ? html("code", {}, part) : part));

function render({ model, el }) {
  const choices = model.get("choices");
  const feedback = html("div", { class: "ck-feedback", role: "status" });
  const others = html("div", {});

  const forget = () => [feedback, others].forEach((node) => node.replaceChildren());

  const check = (event) => {
    event.preventDefault();
    forget();
    const chosen = choices[new FormData(form).get("choice")];
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
}

const why = (choices) =>
  html("details", {}, html("summary", {}, "Why not the others?"),
    html("dl", {}, ...choices.flatMap(({ text, explanation }) =>
      [html("dt", {}, ...withCode(text)), html("dd", {}, ...withCode(explanation))])));

export default { render };
