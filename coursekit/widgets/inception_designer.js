import { grid, html, mount, slider, svg } from "./dom.js";

const WIDTHS = [8, 16, 24, 32, 48, 64, 96, 112, 128, 144, 160, 192, 208, 224, 256, 288, 320, 384];
const NAMES = {
  conv_1x1: "1×1",
  reduce_3x3: "1×1 before 3×3",
  conv_3x3: "3×3",
  reduce_5x5: "1×1 before 5×5",
  conv_5x5: "5×5",
  pool_proj: "1×1 behind pooling",
};
const REDUCTIONS = ["reduce_3x3", "reduce_5x5", "pool_proj"];
const BRANCHES = [["conv_1x1"], ["reduce_3x3", "conv_3x3"], ["reduce_5x5", "conv_5x5"], ["pool_proj"]];
const LENGTHS = { conv_3x3: 3, conv_5x5: 5 };

// Every convolution of a module with its cost, and how many channels each branch gives to the output.
function module([height, width, channels], filters, reduced) {
  const convolutions = [];
  const given = BRANCHES.map((branch) => {
    let deep = channels;
    for (const name of branch) {
      if (!reduced && REDUCTIONS.includes(name)) continue;
      const weights = (LENGTHS[name] || 1) ** 2 * deep * filters[name];
      deep = filters[name];
      convolutions.push({ name, multiplications: height * width * weights, parameters: weights + deep });
    }
    return deep; // what is pooled and not reduced keeps all its channels
  });
  return { convolutions, given };
}

const total = (convolutions, what) => convolutions.reduce((sum, one) => sum + one[what], 0);

function render({ model, el }) {
  const shape = model.get("shape");
  const filters = { ...model.get("filters") };
  const budget = model.get("budget");
  let reduced = true;
  const sliders = Object.keys(NAMES).map((name) => (
    { ...slider(NAMES[name], (position) => { filters[name] = WIDTHS[position]; draw(); }), name }));
  const box = html("input", { type: "checkbox", onchange: () => { reduced = box.checked; draw(); } });
  box.checked = true;
  const chart = html("div", { class: "ck-chart" });
  const says = html("output", { class: "ck-says" });
  const table = html("div", { class: "ck-table ck-plain", tabindex: 0, role: "group", "aria-label": "All convolutions" });

  function draw() {
    for (const { name, node, show } of sliders) {
      show(WIDTHS, WIDTHS.indexOf(filters[name]), `${filters[name]}`);
      node.querySelector("input").disabled = !reduced && REDUCTIONS.includes(name);
    }
    const { convolutions, given } = module(shape, filters, reduced);
    chart.replaceChildren(drawModule(convolutions, given, budget));
    says.replaceChildren(...sentences(shape, convolutions, given, budget));
    table.replaceChildren(drawTable(convolutions));
  }

  mount(el,
    html("p", { class: "ck-title" }, html("span", { class: "ck-kicker" }, "Explore"),
      `Design a module for ${shape.join("×")} within ${exact(budget)} multiplications`),
    html("div", { class: "ck-controls ck-many" }, ...sliders.map(({ node }) => node)),
    html("label", { class: "ck-check" }, box, " with dimension reductions"),
    chart, says, table);
  draw();
}

const exact = (number) => number.toLocaleString("en-US");

function sentences([height, width, channels], convolutions, given, budget) {
  const used = total(convolutions, "multiplications");
  const share = Number(((100 * used) / budget).toPrecision(3));
  const deep = given.reduce((sum, branch) => sum + branch, 0);
  const over = used > budget;
  return [
    html("p", {}, html("strong", { class: over ? "ck-over" : "ck-under" }, `${share} % of the budget`),
      over ? ": too much. " : ". ",
      `The output is ${height}×${width}×${deep}: ${given.join(" + ")} channels, from ${channels}.`),
  ];
}

// Two bars of parts, one for each branch: what it multiplies, against the budget, and what it gives to the output.
function drawModule(convolutions, given, budget) {
  const [width, left] = [440, 8];
  const long = width - 2 * left;
  const used = total(convolutions, "multiplications");
  const most = Math.max(budget * 1.15, used);
  const kinds = ["ck-one", "ck-two", "ck-three", "ck-four"];
  const cost = BRANCHES.map((branch) => total(convolutions.filter(({ name }) => branch.includes(name)), "multiplications"));
  const deep = given.reduce((sum, branch) => sum + branch, 0);
  const bar = (parts, scale, top) => {
    let at = left;
    return parts.map((part, k) => {
      const wide = part * scale;
      at += wide;
      return svg("rect", { class: `ck-bar ${kinds[k]}`, x: (at - wide).toFixed(1), y: top, width: Math.max(0, wide - 1).toFixed(1), height: 26 });
    });
  };
  const limit = left + (budget * long) / most;
  return svg("svg", {
    viewBox: `0 0 ${width} 175`,
    role: "img",
    "aria-label": "Multiplications by branch against the budget, and channels of the output by branch; text and table below have the numbers.",
  },
  svg("text", { x: left, y: 16 }, "multiplications by branch"),
  ...bar(cost, long / most, 24),
  svg("path", { class: "ck-limit", d: `M${limit.toFixed(1)},20V56` }),
  svg("text", { x: limit.toFixed(1), y: 70, "text-anchor": "end" }, "budget"),
  svg("text", { x: left, y: 94 }, "channels of the output by branch"),
  ...bar(given, long / deep, 102),
  ...["1×1", "3×3", "5×5", "pooling"].flatMap((name, k) => [
    svg("rect", { class: `ck-bar ${kinds[k]}`, x: left + 90 * k, y: 148, width: 12, height: 12 }),
    svg("text", { x: left + 90 * k + 18, y: 159 }, name),
  ]));
}

function drawTable(convolutions) {
  const rows = convolutions.map(({ name, multiplications, parameters }) => (
    [NAMES[name], [exact(multiplications), exact(parameters)]]));
  const sums = ["multiplications", "parameters"].map((what) => exact(total(convolutions, what)));
  return grid("Multiplications for one image, and parameters with biases", "convolution",
    ["multiplications", "parameters"], [...rows, ["together", sums]]);
}

export default { render };
export { module };
