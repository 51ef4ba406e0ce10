import { grid, html, mount, slider, svg } from "./dom.js";

const CHOICES = {
  side: [7, 14, 28, 56, 112],
  channels: [3, 16, 32, 64, 96, 128, 192, 256, 384, 512],
  length: [1, 2, 3, 4, 5, 7, 11],
  filters: [8, 16, 32, 64, 96, 128, 192, 256, 384, 512],
  bottleneck: [1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256],
};
const NAMES = {
  side: "Image", channels: "Input channels", length: "Filter size", filters: "Filters", bottleneck: "1×1 filters",
};

// A convolution with stride 1 whose image keeps its size, with a bias for each filter.
const convolution = (side, channels, length, filters) => ({
  multiplications: side * side * length * length * channels * filters,
  parameters: length * length * channels * filters + filters,
});

function costs({ side, channels, length, filters, bottleneck }) {
  return {
    direct: convolution(side, channels, length, filters),
    reduction: convolution(side, channels, 1, bottleneck),
    rest: convolution(side, bottleneck, length, filters),
  };
}

function render({ model, el }) {
  const start = { side: 28, channels: 192, length: 5, filters: 32, bottleneck: 16 }; // the lecture's example
  const at = Object.fromEntries(Object.keys(CHOICES).map((key) => [key, CHOICES[key].indexOf(start[key])]));
  const sliders = Object.keys(CHOICES).map((key) => (
    { ...slider(NAMES[key], (position) => { at[key] = position; draw(); }), key }));
  const chart = html("div", { class: "ck-chart" });
  const says = html("output", { class: "ck-says" });
  const table = html("div", { class: "ck-table ck-plain", tabindex: 0, role: "group", "aria-label": "All numbers" });

  function draw() {
    const chosen = Object.fromEntries(Object.keys(CHOICES).map((key) => [key, CHOICES[key][at[key]]]));
    const shown = { ...chosen, side: `${chosen.side}×${chosen.side}`, length: `${chosen.length}×${chosen.length}` };
    for (const { key, show } of sliders) show(CHOICES[key], at[key], `${shown[key]}`);
    const of = costs(chosen);
    chart.replaceChildren(drawVolumes(chosen, of));
    says.replaceChildren(...sentences(of));
    table.replaceChildren(drawTable(chosen, of));
  }

  mount(el,
    html("p", { class: "ck-title" }, html("span", { class: "ck-kicker" }, "Explore"),
      "What does a convolution cost, and what does it cost behind a bottleneck?"),
    html("div", { class: "ck-controls" }, ...sliders.map(({ node }) => node)),
    chart, says, table);
  draw();
}

const exact = (number) => number.toLocaleString("en-US");
const through = ({ reduction, rest }, what) => reduction[what] + rest[what];

function sentences(of) {
  const [direct, both] = [of.direct.multiplications, through(of, "multiplications")];
  const ratio = Number((direct / both).toPrecision(3));
  const verdict = both < direct
    ? [html("strong", {}, `${ratio} times as many`), " as through the bottleneck."]
    : [html("strong", {}, "no more"), " than through the bottleneck: it is not narrow enough to pay."];
  return [html("p", {}, `Directly: ${exact(direct)} multiplications, `, ...verdict)];
}

// Height and width of a box follow the image, its length the channels; roots, so that small ones can be seen.
const tall = (side) => 14 + 4 * Math.sqrt(side);
const long = (channels) => 5 + 3.6 * Math.sqrt(channels);

function box(x, middle, height, channels, kind = "") {
  const [length, slant] = [long(channels), 0.35 * height];
  const top = middle - height / 2;
  const points = (...pairs) => pairs.map(([dx, dy]) => `${(x + dx).toFixed(1)},${(top + dy).toFixed(1)}`).join(" ");
  return svg("g", { class: `ck-box ${kind}` },
    svg("polygon", { points: points([0, 0], [length, 0], [length, height], [0, height]) }),
    svg("polygon", { points: points([0, 0], [slant, -slant], [slant + length, -slant], [length, 0]) }),
    svg("polygon", { points: points([length, 0], [slant + length, -slant], [slant + length, height - slant], [length, height]) }));
}

function drawVolumes({ side, channels, length, filters, bottleneck }, of) {
  const [width, left] = [440, 8];
  const most = Math.max(of.direct.multiplications, through(of, "multiplications"));
  const row = (middle, title, volumes, parts) => {
    const nodes = [svg("text", { x: left, y: middle - 52 }, title)];
    let x = left;
    volumes.forEach(([deep, kind, arrow], k) => {
      if (k > 0) {
        nodes.push(svg("text", { x: x + 26, y: middle - 6, "text-anchor": "middle" }, arrow),
          svg("path", { class: "ck-arrow", d: `M${x + 4},${middle + 2}h40m-6,-5l6,5l-6,5` }));
        x += 54;
      }
      nodes.push(box(x, middle, tall(side), deep, kind));
      if (k < volumes.length - 1) {
        const window = k === volumes.length - 2 ? length : 1; // of the filters that come next
        nodes.push(box(x, middle, Math.min(1, window / side) * tall(side), deep, "ck-filter"));
      }
      nodes.push(svg("text", { x, y: middle + tall(side) / 2 + 18 }, `${deep}`));
      x += long(deep) + 0.35 * tall(side) + 4;
    });
    let at = left;
    for (const [number, kind] of parts) {
      const wide = (number / most) * (width - 2 * left);
      nodes.push(svg("rect", { class: `ck-bar ${kind}`, x: at.toFixed(1), y: middle + 62, width: wide.toFixed(1), height: 9 }));
      at += wide;
    }
    return nodes;
  };
  const size = `${length}×${length}`;
  return svg("svg", {
    viewBox: `0 0 ${width} 306`,
    role: "img",
    "aria-label": "Volumes of the input, the bottleneck and the output, and bars for the multiplications; the table below has the numbers.",
  },
  ...row(74, "directly", [[channels, ""], [filters, "", size]], [[of.direct.multiplications, ""]]),
  ...row(224, "through a bottleneck",
    [[channels, ""], [bottleneck, "ck-narrow", "1×1"], [filters, "", size]],
    [[of.reduction.multiplications, "ck-excited"], [of.rest.multiplications, ""]]));
}

function drawTable({ side, channels, length, filters, bottleneck }, of) {
  const product = (deep, size, many) => `${side} × ${side} × ${deep} × ${size} × ${size} × ${many}`;
  const row = (name, formula, cost) => [name, [formula, exact(cost.multiplications), exact(cost.parameters)]];
  return grid("Multiplications for one image, and parameters with biases", "",
    ["product", "multiplications", "parameters"], [
      row("directly", product(channels, length, filters), of.direct),
      row("1×1", product(channels, 1, bottleneck), of.reduction),
      row(`then ${length}×${length}`, product(bottleneck, length, filters), of.rest),
      row("together", "", {
        multiplications: through(of, "multiplications"), parameters: through(of, "parameters"),
      }),
    ]);
}

export default { render };
export { costs };
