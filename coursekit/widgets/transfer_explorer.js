import { html, mount, slider, svg } from "./dom.js";

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const percent = (value, digits = 1) => `${(100 * value).toFixed(digits)}\u00a0%`;

// What the figure says about one column of the results: `labels` is a position in result.labels.
function summary(result, labels) {
  const seeds = result.test.map((row) => row[labels]);
  const test = seeds.map(mean);
  const best = test.indexOf(Math.max(...test));
  return {
    test,
    low: seeds.map((values) => Math.min(...values)),
    high: seeds.map((values) => Math.max(...values)),
    train: result.train.map((row) => mean(row[labels])),
    best,
    // Those whose mean is not below its worst seed: what was recorded does not clearly separate them from it.
    close: test.flatMap((value, i) => (i !== best && value >= Math.min(...seeds[best]) ? [i] : [])),
  };
}

function render({ model, el }) {
  const results = model.get("results");
  const names = Object.keys(results);
  const chosen = { name: names[0], frozen: 0, labels: 0 };

  const choose = (change) => {
    Object.assign(chosen, change);
    const { frozen, labels } = results[chosen.name];
    chosen.frozen = Math.min(chosen.frozen, frozen.length - 1);
    chosen.labels = Math.min(chosen.labels, labels.length - 1);
    draw();
  };
  const select = html("select", { onchange: () => choose({ name: select.value }) },
    ...names.map((name) => html("option", { value: name }, name)));
  const frozen = slider("Frozen layers n", (position) => choose({ frozen: position }));
  const labels = slider("Labels a class", (position) => choose({ labels: position }));
  const stack = html("div", { class: "ck-stack" });
  const chart = html("div", { class: "ck-chart" });
  const says = html("output", { class: "ck-says" });
  const table = html("div", { class: "ck-table", tabindex: 0, role: "group", "aria-label": "All accuracies" });

  function draw() {
    const result = results[chosen.name];
    const column = summary(result, chosen.labels);
    const depth = result.frozen.at(-1);
    const n = result.frozen[chosen.frozen];
    frozen.show(result.frozen, chosen.frozen, `${n} of ${depth}`);
    labels.show(result.labels, chosen.labels, `${result.labels[chosen.labels]}`);
    stack.replaceChildren(drawStack(n, depth));
    chart.replaceChildren(drawChart(result, column, chosen));
    table.replaceChildren(drawTable(result, chosen, choose));
    says.replaceChildren(...sentences(result, column, chosen));
  }

  mount(el,
    html("p", { class: "ck-title" }, html("span", { class: "ck-kicker" }, "Explore"), "How many layers should stay frozen?"),
    html("div", { class: "ck-controls" },
      ...(names.length > 1 ? [html("label", {}, html("span", {}, "Data"), select)] : []), frozen.node, labels.node),
    html("div", { class: "ck-picture" }, stack, html("div", {}, chart, legend())),
    says, table);
  draw();
}

function sentences(result, { test, low, high, train, best, close }, { name, frozen: i, labels: j }) {
  const labels = `${result.labels[j]} labels a class`;
  const ties = close.map((k) => result.frozen[k]).join(", ");
  return [
    html("p", {}, `${name}, ${labels}, bottom ${result.frozen[i]} of ${result.frozen.at(-1)} layers frozen: `,
      html("strong", {}, `test ${percent(test[i])}`), ` (seeds ${percent(low[i])} to ${percent(high[i])}), `,
      `train ${percent(train[i])}, gap ${percent(train[i] - test[i])}.`),
    html("p", {}, html("strong", {}, `★ Highest mean for ${labels}: n = ${result.frozen[best]}`), ` (test ${percent(test[best])}). `,
      ties ? `Not clearly worse, being above its worst seed: n = ${ties}.` : "Every other n is below its worst seed."),
  ];
}

// The network from its new head down to the input. A group is as high as it has layers, and says so in words.
function drawStack(n, depth) {
  const group = (kind, layers, text) => html("li", { class: `ck-${kind}`, style: `flex-grow: ${layers}` },
    html("span", { class: "ck-layers" }, ...Array.from({ length: layers }, () => html("i", {}))), html("span", {}, text));
  const layers = (count) => (count === 1 ? "1 layer" : `${count} layers`);
  return html("ol", { "aria-label": "The network, from its output down to its input" },
    group("head", 1, "new head: trains"),
    ...(n < depth ? [group("trains", depth - n, `${layers(depth - n)}: fine-tuned`)] : []),
    ...(n > 0 ? [group("frozen", n, `❄ ${layers(n)}: frozen`)] : []));
}

function drawChart(result, { test, low, high, train, best }, { frozen: i, labels: j }) {
  const [width, height, left, right, top, bottom] = [440, 250, 56, 428, 14, 204];
  // One scale for every label count, so that moving that slider shows what labels buy.
  const floor = Math.floor(10 * Math.min(...[result.test, result.train].flat(3))) / 10;
  const x = (n) => left + ((right - left) * n) / result.frozen.at(-1);
  const y = (value) => bottom - ((bottom - top) * (value - floor)) / (1 - floor);
  const points = (values) => values.map((value, k) => `${x(result.frozen[k]).toFixed(1)},${y(value).toFixed(1)}`);
  const text = (cls, at, anchor, words) => svg("text", { class: cls, x: at[0], y: at[1], "text-anchor": anchor }, words);

  const step = floor < 0.5 ? 0.2 : 0.1;
  const ticks = Array.from({ length: Math.floor((1 - floor) / step + 1.001) }, (_, k) => 1 - k * step);
  const n = result.frozen[i];
  return svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": `Accuracy by number of frozen layers with ${result.labels[j]} labels a class; the table below has the numbers.`,
  },
    ...ticks.flatMap((value) => [
      svg("line", { class: "ck-grid", x1: left, x2: right, y1: y(value), y2: y(value) }),
      text("", [left - 8, y(value) + 4], "end", percent(value, 0)),
    ]),
    ...result.frozen.map((value) => text("", [x(value), bottom + 18], "middle", value)),
    text("", [(left + right) / 2, height - 4], "middle", "frozen layers n"),
    svg("line", { class: "ck-chosen", x1: x(n), x2: x(n), y1: top, y2: bottom }),
    svg("polygon", { class: "ck-band", points: [...points(high), ...points(low).reverse()].join(" ") }),
    svg("polyline", { class: "ck-train", points: points(train).join(" ") }),
    svg("polyline", { class: "ck-test", points: points(test).join(" ") }),
    svg("circle", { class: "ck-point", cx: x(n), cy: y(test[i]), r: 6 }),
    text("ck-star", [x(result.frozen[best]), y(test[best])], "middle", "★"));
}

const legend = () => {
  const entry = (kind, words) => html("li", {}, html("i", { class: `ck-key-${kind}` }), words);
  return html("ul", { class: "ck-legend" },
    entry("test", "test (band: all seeds)"), entry("train", "train"), html("li", {}, "★ highest mean"));
};

// A click on a cell is a short cut for the mouse; the sliders reach every cell from the keyboard.
function drawTable(result, chosen, choose) {
  const means = result.labels.map((_, j) => summary(result, j));
  const all = means.flatMap(({ test }) => test);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const cell = (column, i, j) => html("td", {
    class: i === column.best ? "ck-best" : "",
    style: `--share: ${((column.test[i] - low) / (high - low || 1)).toFixed(3)}`,
    ...(i === chosen.frozen && j === chosen.labels ? { "aria-current": "true" } : {}),
    onclick: () => choose({ frozen: i, labels: j }),
  }, `${(100 * column.test[i]).toFixed(0)}${i === column.best ? " ★" : ""}`);
  return html("table", {},
    html("caption", {}, "Test accuracy in %, the highest mean of each row marked ★"),
    html("thead", {}, html("tr", {}, html("th", { scope: "col" }, "labels"),
      ...result.frozen.map((n) => html("th", { scope: "col" }, `n = ${n}`)))),
    html("tbody", {}, ...means.map((column, j) => html("tr", {}, html("th", { scope: "row" }, result.labels[j]),
      ...result.frozen.map((_, i) => cell(column, i, j))))));
}

export default { render };
export { summary };
