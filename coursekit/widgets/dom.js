// html("p", {class: "lead", onclick: f}, "text", child) and the same for svg(...).
// Text always becomes a text node, so that nothing in a widget's state is ever read as markup.
const maker = (namespace) => (tag, attributes = {}, ...children) => {
  const node = document.createElementNS(namespace, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};

export const html = maker("http://www.w3.org/1999/xhtml");
export const svg = maker("http://www.w3.org/2000/svg");

// Puts a widget's nodes in the element that its host gave it.
export function mount(el, ...nodes) {
  el.classList.add("coursekit-widget");
  // Else JupyterLab takes arrow keys and letters for itself; it looks at the focused element, not above it.
  el.addEventListener("focusin", (event) => event.target.setAttribute("data-lm-suppress-shortcuts", "true"));
  el.append(...nodes);
}

// A labeled slider over the positions of a list.
export function slider(text, choose) {
  const value = html("strong", { "aria-hidden": "true" }); // the slider says it itself
  const input = html("input", { type: "range", min: 0, step: 1, oninput: () => choose(Number(input.value)) });
  return {
    node: html("label", {}, html("span", {}, `${text} `, value), input),
    show(values, position, shown) {
      input.max = values.length - 1;
      input.value = position;
      input.setAttribute("aria-valuetext", shown);
      value.textContent = shown;
    },
  };
}

// A table of text with a heading over every column and before every row: rows is a list of [heading, values].
export function grid(caption, corner, columns, rows) {
  const heading = (scope, text) => html("th", { scope }, text);
  return html("table", {},
    html("caption", {}, caption),
    html("thead", {}, html("tr", {}, corner ? heading("col", corner) : html("td"), ...columns.map((text) => heading("col", text)))),
    html("tbody", {}, ...rows.map(([name, values]) => html("tr", {}, heading("row", name),
      ...values.map((value) => html("td", {}, value))))));
}
