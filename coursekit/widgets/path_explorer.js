import { grid, html, mount, slider, svg } from "./dom.js";

const NUMBERS = [1, 2, 3, 4, 5, 6];

// Every way from the input to the output: at each unit through its residual (true) or over its shortcut (false).
// `left` says whether it is still there without the deleted units.
function paths(deleted) {
  const n = deleted.length;
  return Array.from({ length: 2 ** n }, (_, number) => {
    const through = Array.from({ length: n }, (_, unit) => ((number >> unit) & 1) === 1);
    return { through, length: through.filter(Boolean).length, left: !through.some((one, unit) => one && deleted[unit]) };
  }).sort((one, other) => one.length - other.length);
}

function render({ model, el }) {
  let n = model.get("units");
  const deleted = NUMBERS.map(() => false);
  const number = slider("Units", (position) => { n = NUMBERS[position]; draw(); });
  const boxes = NUMBERS.map((name, unit) => {
    const box = html("input", { type: "checkbox", onchange: () => { deleted[unit] = box.checked; draw(); } });
    return html("label", { class: "ck-check" }, box, ` delete unit ${name}`);
  });
  const checks = html("div", { class: "ck-checks" });
  const chart = html("div", { class: "ck-chart" });
  const says = html("output", { class: "ck-says" });
  const table = html("div", { class: "ck-table ck-plain", tabindex: 0, role: "group", "aria-label": "Paths by length" });

  function draw() {
    number.show(NUMBERS, NUMBERS.indexOf(n), `${n}`);
    if (checks.childElementCount !== n) checks.replaceChildren(...boxes.slice(0, n)); // else the focus would be lost
    const without = deleted.slice(0, n);
    const all = paths(without);
    chart.replaceChildren(drawPaths(all, without));
    says.replaceChildren(...sentences(all, without));
    table.replaceChildren(drawTable(all, n));
  }

  mount(el,
    html("p", { class: "ck-title" }, html("span", { class: "ck-kicker" }, "Explore"),
      "How many ways lead through a residual network?"),
    html("div", { class: "ck-controls" }, number.node),
    checks, chart, says, table);
  draw();
}

function sentences(all, deleted) {
  const n = deleted.length;
  const gone = deleted.flatMap((one, unit) => (one ? [unit + 1] : []));
  const left = all.filter((path) => path.left).length;
  const count = (number) => (number === 1 ? "1 path" : `${number} paths`);
  return [
    html("p", {}, n === 1 ? "1 unit" : `${n} units`, ": ", html("strong", {}, count(all.length)), " from the input to the output."),
    ...(gone.length ? [html("p", {}, `Without ${gone.length === 1 ? "unit" : "units"} ${gone.join(", ")}, `,
      html("strong", {}, `${left} of them`), left === 1 ? " is left. " : " are left. ",
      "Without shortcuts there is a single path, and it is interrupted.")] : []),
  ];
}

// On top the network, below its paths, one a row: a mark where the path goes through the residual of the unit above.
function drawPaths(all, deleted) {
  const [width, left, top] = [440, 70, 104];
  const step = (width - left - 76) / deleted.length;
  const row = Math.max(5, Math.min(22, 260 / all.length));
  const height = top + all.length * row + 12;
  const x = (unit) => left + (unit + 0.5) * step;
  const right = x(deleted.length - 1) + step / 2;
  const line = (cls, x1, y1, x2, y2) => svg("line", { class: cls, x1, y1, x2, y2 });
  const half = Math.min(24, step / 2 - 8);
  const unit = (gone, k) => svg("g", { class: gone ? "ck-gone" : "" },
    svg("path", { class: "ck-wire", d: `M${x(k) - step / 2 + 4},62v-34h${step - 8}v34` }),
    svg("rect", { class: "ck-unit", x: x(k) - half, y: 48, width: 2 * half, height: 28, rx: 4 }),
    svg("text", { x: x(k), y: 67, "text-anchor": "middle" }, `R${k + 1}`));
  const path = ({ through, left: there }, k) => {
    const y = top + (k + 0.5) * row;
    return svg("g", { class: there ? "ck-path" : "ck-path ck-gone" },
      line("", left, y, right, y),
      ...through.flatMap((one, at) => (one
        ? [svg("rect", { x: x(at) - half, y: y - 0.35 * row, width: 2 * half, height: 0.7 * row })] : [])));
  };
  return svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": "The units with their shortcuts, and below them every path; the table below counts them by length.",
  },
  line("ck-wire", left - 14, 62, right + 14, 62),
  svg("text", { x: left - 20, y: 67, "text-anchor": "end" }, "input"),
  svg("text", { x: right + 18, y: 67 }, "output"),
  ...deleted.map(unit),
  ...all.map(path));
}

function drawTable(all, n) {
  const lengths = Array.from({ length: n + 1 }, (_, length) => all.filter((path) => path.length === length));
  return grid("Paths by the number of residuals that they go through", "residuals", lengths.map((_, length) => `${length}`), [
    ["paths", lengths.map((of) => `${of.length}`)],
    ["left", lengths.map((of) => `${of.filter((path) => path.left).length}`)],
  ]);
}

export default { render };
export { paths };
