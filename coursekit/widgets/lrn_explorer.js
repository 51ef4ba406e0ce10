import { grid, html, mount, slider, svg } from "./dom.js";

const STRENGTHS = [0.5, 1, 2, 5, 10, 30, 100, 300, 1000];
const CHOICES = {
  radius: [0, 1, 2, 3, 5],
  bias: [0.5, 1, 2, 4],
  alpha: [0.0001, 0.001, 0.01, 0.1, 1],
  beta: [0.25, 0.5, 0.75, 1],
};
const CHANNELS = 15;
const EXCITED = 7;

// Local response normalization across channels: x / (bias + alpha * sum of squares in the window) ** beta.
function lrn(values, { radius, bias, alpha, beta }) {
  return values.map((value, i) => {
    const window = values.slice(Math.max(0, i - radius), i + radius + 1);
    return value / (bias + alpha * window.reduce((sum, x) => sum + x * x, 0)) ** beta;
  });
}

function render({ model, el }) {
  const at = { strength: STRENGTHS.indexOf(10), radius: 2, bias: 2, alpha: 0, beta: 2 }; // positions; AlexNet's constants
  const options = { strength: STRENGTHS, ...CHOICES };
  const names = {
    strength: "Excited neuron", radius: "Depth radius", bias: "Bias k", alpha: "Alpha", beta: "Beta",
  };
  const sliders = Object.keys(options).map((key) => {
    const one = slider(names[key], (position) => { at[key] = position; draw(); });
    return { ...one, key };
  });
  const chart = html("div", { class: "ck-chart" });
  const says = html("output", { class: "ck-says" });
  const table = html("div", { class: "ck-table ck-plain", tabindex: 0, role: "group", "aria-label": "All channels" });

  function draw() {
    const chosen = Object.fromEntries(Object.entries(options).map(([key, values]) => [key, values[at[key]]]));
    const before = Array.from({ length: CHANNELS }, (_, i) => (i === EXCITED ? chosen.strength : 1));
    const after = lrn(before, chosen);
    for (const { key, show } of sliders) show(options[key], at[key], `${chosen[key]}`);
    chart.replaceChildren(drawProfiles(before, after, chosen.radius));
    says.replaceChildren(...sentences(before, after, chosen.radius));
    table.replaceChildren(drawTable(before, after));
  }

  mount(el,
    html("p", { class: "ck-title" }, html("span", { class: "ck-kicker" }, "Explore"),
      "One neuron is excited. What does LRN do to it, and to its neighbors?"),
    html("div", { class: "ck-controls" }, ...sliders.map(({ node }) => node)),
    chart, says, table);
  draw();
}

const short = (value) => Number(value.toPrecision(3)).toString();

// Neighbors all respond with 1; near ones see the excited neuron in their window.
function sentences(before, after, radius) {
  const contrast = (values, i) => values[EXCITED] / values[i];
  const far = EXCITED + radius + 1;
  const line = (who, i) => html("p", {}, `Against a neighbor ${who}: ${short(contrast(before, i))} times as strong before, `,
    html("strong", {}, `${short(contrast(after, i))} times after`), ".");
  return [
    html("p", {}, `The excited neuron answers ${short(before[EXCITED])} before and `,
      html("strong", {}, short(after[EXCITED])), " after."),
    ...(radius > 0 ? [line("in the same window", EXCITED + 1)] : []),
    ...(far < CHANNELS ? [line("out of reach", far)] : []),
  ];
}

// Two rows of bars on one logarithmic scale, on which equal ratios are equal distances.
function drawProfiles(before, after, radius) {
  const [width, rowHeight, left, right] = [440, 120, 52, 12];
  const step = (width - left - right) / CHANNELS;
  const logs = [...before, ...after].map(Math.log10);
  const [low, high] = [Math.floor(Math.min(-1, ...logs)), Math.ceil(Math.max(1, ...logs))];
  const heightOf = (value) => (84 * (Math.log10(value) - low)) / (high - low);
  const decades = Array.from({ length: high - low + 1 }, (_, i) => low + i).filter((k) => k % Math.ceil((high - low) / 4) === 0);
  const row = (values, top, words, kind) => {
    const base = top + 108;
    return [
      svg("text", { x: left, y: top + 12 }, `${words}: the excited neuron ${short(values[EXCITED])}`),
      ...decades.flatMap((k) => [
        svg("line", { class: "ck-grid", x1: left, x2: width - right, y1: base - heightOf(10 ** k), y2: base - heightOf(10 ** k) }),
        svg("text", { x: left - 8, y: base - heightOf(10 ** k) + 4, "text-anchor": "end" }, short(10 ** k)),
      ]),
      ...values.map((value, i) => {
        const height = Math.max(1, heightOf(value));
        const inside = Math.abs(i - EXCITED) <= radius;
        return svg("rect", {
          class: `${kind}${i === EXCITED ? " ck-excited" : ""}${inside ? "" : " ck-outside"}`,
          x: (left + i * step + 2).toFixed(1), y: (base - height).toFixed(1),
          width: (step - 4).toFixed(1), height: height.toFixed(1),
        });
      }),
    ];
  };
  return svg("svg", {
    viewBox: `0 0 ${width} ${2 * rowHeight}`,
    role: "img",
    "aria-label": "Responses of all channels before and after the normalization, on one logarithmic scale; the table below has the numbers.",
  }, ...row(before, 0, "before", "ck-bar"), ...row(after, rowHeight, "after", "ck-bar"));
}

function drawTable(before, after) {
  return grid(`Response by channel; channel ${EXCITED + 1} is the excited one`, "channel", before.map((_, i) => i + 1),
    [["before", before.map(short)], ["after", after.map(short)]]);
}

export default { render };
export { lrn };
