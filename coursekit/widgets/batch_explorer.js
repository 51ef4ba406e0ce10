import { grid, html, mount, slider, svg } from "./dom.js";

const VALUES = Array.from({ length: 41 }, (_, i) => (i - 10) / 2); // what an example's feature may be: -5 to 15
const MOMENTUM = 0.9;
const EPSILON = 0.001;

// Mean and (biased) variance of a mini-batch.
function statistics(values) {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  return { mean, variance: values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length };
}

const normalized = (values, { mean, variance }) => values.map((x) => (x - mean) / Math.sqrt(variance + EPSILON));

// The moving averages after one training step.
const moved = (moving, batch) => ({
  mean: MOMENTUM * moving.mean + (1 - MOMENTUM) * batch.mean,
  variance: MOMENTUM * moving.variance + (1 - MOMENTUM) * batch.variance,
});

function render({ model, el }) {
  const batch = [...model.get("values")];
  let moving = { mean: 0, variance: 1 };
  let steps = 0;

  const sliders = batch.map((_, i) => slider(`Example ${i + 1}:`, (position) => { batch[i] = VALUES[position]; draw(); }));
  const train = (count) => {
    for (let i = 0; i < count; i += 1) moving = moved(moving, statistics(batch));
    steps += count;
    draw();
  };
  const button = (words, count) => html("button", { type: "button", class: "ck-button", onclick: () => train(count) }, words);
  const chart = html("div", { class: "ck-chart" });
  const says = html("output", { class: "ck-says" });
  const table = html("div", { class: "ck-table ck-plain", tabindex: 0, role: "group", "aria-label": "All values" });

  function draw() {
    const own = statistics(batch);
    const training = normalized(batch, own);
    const inference = normalized(batch, moving);
    sliders.forEach(({ show }, i) => show(VALUES, VALUES.indexOf(batch[i]), `${batch[i]}`));
    chart.replaceChildren(drawLines(batch, training, inference));
    says.replaceChildren(...sentences(own, moving, steps));
    table.replaceChildren(drawTable(batch, training, inference));
  }

  mount(el,
    html("p", { class: "ck-title" }, html("span", { class: "ck-kicker" }, "Explore"),
      "One feature, a mini-batch of examples. What does batch norm make of them?"),
    html("div", { class: "ck-controls" }, ...sliders.map(({ node }) => node)),
    html("p", {}, button("One training step", 1), " ", button("Twenty training steps", 20)),
    chart, says, table);
  draw();
}

const short = (value) => value.toFixed(2);

const sentences = (own, moving, steps) => [
  html("p", {}, "In training, the batch's own statistics: ",
    html("strong", {}, `mean ${short(own.mean)}, standard deviation ${short(Math.sqrt(own.variance))}`),
    own.variance === 0 ? ". All examples are equal, so every output is 0." : "."),
  html("p", {}, `In inference, the moving averages after ${steps} ${steps === 1 ? "step" : "steps"}: `,
    html("strong", {}, `mean ${short(moving.mean)}, standard deviation ${short(Math.sqrt(moving.variance))}`), "."),
];

// Three number lines: the inputs, and what training and inference make of them.
function drawLines(batch, training, inference) {
  const [width, left, right] = [440, 12, 428];
  const line = (values, low, high, top, words) => {
    const x = (value) => left + ((right - left) * (Math.min(high, Math.max(low, value)) - low)) / (high - low);
    return [
      svg("text", { x: left, y: top + 14 }, words),
      svg("line", { class: "ck-grid", x1: left, x2: right, y1: top + 34, y2: top + 34 }),
      svg("line", { class: "ck-chosen", x1: x(0), x2: x(0), y1: top + 24, y2: top + 44 }),
      ...values.map((value) => svg("circle", { class: "ck-point", cx: x(value).toFixed(1), cy: top + 34, r: 6 })),
    ];
  };
  return svg("svg", {
    viewBox: `0 -8 ${width} 198`,
    role: "img",
    "aria-label": "The values before, in training and in inference as points on number lines; the table below has them.",
  },
    ...line(batch, -5, 15, 0, "inputs, from -5 to 15"),
    ...line(training, -4, 4, 62, "outputs in training, from -4 to 4"),
    ...line(inference, -4, 4, 124, "outputs in inference, from -4 to 4 or beyond"));
}

function drawTable(batch, training, inference) {
  return grid("Values by example", "example", batch.map((_, i) => i + 1),
    [["input", batch.map(short)], ["training", training.map(short)], ["inference", inference.map(short)]]);
}

export default { render };
export { moved, normalized, statistics };
