import { grid, html, mount, slider, svg } from "./dom.js";

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const percent = (value) => `${(100 * value).toFixed(1)}\u00a0%`;
const short = (value) => Number(value.toPrecision(2)).toString();

// What the widget says about one depth, by kind of network; `unit` is a position, or -1 for none deleted.
function summary(result, unit) {
  return Object.fromEntries(Object.entries(result).map(([kind, { loss, test, gradients, without }]) => [kind, {
    loss: mean(loss.at(-1)),
    test: mean(test),
    bottom: gradients[0] / gradients.at(-1),
    without: unit < 0 ? null : without[unit],
  }]));
}

function render({ model, el }) {
  const results = model.get("results");
  const depths = Object.keys(results).map(Number).sort((one, other) => one - other);
  const kinds = Object.keys(results[depths[0]]);
  let at = depths.length - 1;
  let unit = -1; // none deleted
  const depth = slider("Depth", (position) => { at = position; unit = -1; draw(); });
  const deleted = slider("Deleted unit", (position) => { unit = position - 1; draw(); });
  const charts = html("div", { class: "ck-charts" });
  const says = html("output", { class: "ck-says" });
  const table = html("div", { class: "ck-table ck-plain", tabindex: 0, role: "group", "aria-label": "All depths" });
  const all = depths.map((one) => results[one]);
  const ranges = {
    loss: [0, Math.max(...every(all, ({ loss }) => loss.map(mean)))],
    gradients: logRange(every(all, ({ gradients }) => gradients)),
    without: [0, 1],
  };

  function draw() {
    const result = results[depths[at]];
    const units = result[kinds[0]].gradients.length;
    depth.show(depths, at, `${depths[at]}`);
    deleted.show(Array.from({ length: units + 1 }), unit + 1, unit < 0 ? "none" : `${unit + 1} of ${units}`);
    charts.replaceChildren(
      chart("training loss, by epoch", kinds.map((kind) => result[kind].loss.map(mean)), ranges.loss),
      chart("gradient at the start, by unit", kinds.map((kind) => result[kind].gradients), ranges.gradients, true),
      chart("test accuracy without one unit", kinds.map((kind) => result[kind].without), ranges.without, false, unit));
    says.replaceChildren(...sentences(summary(result, unit), depths[at], unit));
    table.replaceChildren(drawTable(results, depths, kinds));
  }

  mount(el,
    html("p", { class: "ck-title" }, html("span", { class: "ck-kicker" }, "Explore"), "What does depth do to a network?"),
    html("div", { class: "ck-controls" }, depth.node, deleted.node),
    charts, legend(kinds), says, table);
  draw();
}

const every = (all, read) => all.flatMap((result) => Object.values(result).flatMap(read));
const logRange = (values) => [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];

function sentences(of, depth, unit) {
  const list = (tell) => Object.entries(of).map(([kind, numbers]) => `${kind} ${tell(numbers)}`).join(", ");
  const accuracy = ({ without }) => (without === null ? "cannot be taken out" : percent(without));
  return [
    html("p", {}, `${depth} layers: training loss `, html("strong", {}, list(({ loss }) => short(loss))),
      `; test accuracy ${list(({ test }) => percent(test))}.`),
    html("p", {}, `The gradient of the first unit, over that of the last: ${list(({ bottom }) => short(bottom))}.`),
    ...(unit < 0 ? [] : [html("p", {}, `Without unit ${unit + 1}, test accuracy: `, html("strong", {}, list(accuracy)), ".")]),
  ];
}

// Two curves over positions from 1 on; where a number is missing, the curve has a gap.
function chart(title, curves, [low, high], log = false, chosen = -1) {
  const [width, height, left, right, top, bottom] = [300, 190, 58, 290, 30, 160];
  const length = curves[0].length;
  const x = (k) => left + ((right - left) * (k + 0.5)) / length;
  const y = (value) => bottom - ((bottom - top) * ((log ? Math.log10(value) : value) - low)) / (high - low || 1);
  const ticks = log
    ? Array.from({ length: high - low + 1 }, (_, k) => 10 ** (low + k)).filter((_, k) => high - low < 4 || k % 2 === 0)
    : [low, (low + high) / 2, high];
  const curve = (values, k) => [
    ...runs(values).map((run) => svg("polyline", {
      class: `ck-curve ck-curve-${k}`, points: run.map((at) => `${x(at).toFixed(1)},${y(values[at]).toFixed(1)}`).join(" "),
    })),
    ...values.flatMap((value, at) => (value === null ? [] : [
      svg("circle", { class: `ck-dot-${k}`, cx: x(at).toFixed(1), cy: y(value).toFixed(1), r: at === chosen ? 5 : 2.2 })])),
  ];
  return svg("svg", {
    viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `${title}; the sentences and the table below have the numbers.`,
  },
  svg("text", { x: 8, y: 16 }, title),
  ...ticks.flatMap((value) => [
    svg("line", { class: "ck-grid", x1: left, x2: right, y1: y(value), y2: y(value) }),
    svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, short(value)),
  ]),
  ...(chosen < 0 ? [] : [svg("line", { class: "ck-chosen", x1: x(chosen), x2: x(chosen), y1: top, y2: bottom })]),
  svg("text", { x: x(0), y: bottom + 18, "text-anchor": "middle" }, "1"),
  svg("text", { x: x(length - 1), y: bottom + 18, "text-anchor": "middle" }, `${length}`),
  ...curves.flatMap(curve));
}

// The stretches of positions between missing numbers.
function runs(values) {
  const all = [[]];
  values.forEach((value, at) => (value === null ? all.push([]) : all.at(-1).push(at)));
  return all.filter((run) => run.length);
}

const legend = (kinds) => html("ul", { class: "ck-legend" },
  ...kinds.map((kind, k) => html("li", {}, html("i", { class: `ck-key-${k}` }), kind)));

function drawTable(results, depths, kinds) {
  const of = depths.map((depth) => summary(results[depth], -1));
  const row = (name, kind, tell) => [`${name}, ${kind}`, of.map((one) => tell(one[kind]))];
  return grid("By depth, means over seeds", "layers", depths.map(String), [
    ...kinds.map((kind) => row("training loss", kind, ({ loss }) => short(loss))),
    ...kinds.map((kind) => row("test accuracy", kind, ({ test }) => percent(test))),
    ...kinds.map((kind) => row("first/last gradient", kind, ({ bottom }) => short(bottom))),
  ]);
}

export default { render };
export { summary };
