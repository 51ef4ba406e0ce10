import { html, mount, slider } from "./dom.js";
import { bytes, halves, product, sigmoid, transposedConvolution } from "./nn.js";

const VALUES = Array.from({ length: 61 }, (_, i) => Math.round(10 * (i / 10 - 3)) / 10); // -3 to 3
const BETWEEN = Array.from({ length: 11 }, (_, i) => 10 * i); // percent of the way
const STRIP = [0, 17, 33, 50, 67, 83, 100];

const singles = (text) => new Float32Array(bytes(text).buffer);

// Per channel: y = scale * x + shift; batch norm in inference, or a bias.
const affine = (x, scale, shift) => x.map((value, i) => scale[i % scale.length] * value + shift[i % shift.length]);

// The generator of coursekit.gan: blocks of a linear map, a scale and a shift; the first is dense, the others convolutions.
function decode(blocks) {
  return blocks.map(({ kernel, scale, shift, size, inputs, outputs, width }) => {
    const numbers = halves(kernel);
    const large = { size: 2 * size, channels: outputs, filters: inputs, width, stride: 2 };
    const linear = size ? transposedConvolution(large, numbers) : (x) => product(x, numbers, inputs, outputs);
    return { linear, outputs, scale: singles(scale), shift: singles(shift) };
  });
}
function generate(blocks, noise) {
  return blocks.reduce((x, { linear, scale, shift }, i) => {
    const y = affine(linear(x), scale, shift);
    return y.map(i < blocks.length - 1 ? (value) => Math.max(0, value) : sigmoid);
  }, Float64Array.from(noise));
}

const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
const rounded = (value) => Math.max(-3, Math.min(3, Math.round(10 * value) / 10));
const mixed = (a, b, percent) => a.map((value, i) => rounded(value + (percent / 100) * (b[i] - value)));

function render({ model, el }) {
  const blocks = decode(model.get("blocks"));
  const channels = blocks.at(-1).outputs;
  const ends = { A: model.get("start"), B: model.get("end") };
  let noise = [...ends.A];

  const way = slider("On the way from A to B", (position) => { noise = mixed(ends.A, ends.B, BETWEEN[position]); draw(position); });
  const sliders = noise.map((_, i) => slider(`z${i + 1}`, (position) => { noise[i] = VALUES[position]; draw(); }));
  const button = (words, act) => html("button", { type: "button", class: "ck-button", onclick: act }, words);
  const keep = (end) => button(`Keep as ${end}`, () => { ends[end] = [...noise]; drawStrip(); draw(); });
  function renew() { // both ends of the way, and all between
    for (const end of ["A", "B"]) ends[end] = noise.map(() => rounded(normal()));
    noise = [...ends.A];
    drawStrip();
    draw(0);
  }
  const big = canvas("The generated picture", "ck-digit");
  const strip = STRIP.map((percent) => canvas(`${percent} % of the way from A to B`, "ck-small-digit"));
  const says = html("p", { class: "ck-says", role: "status" });

  function draw(position = null) {
    paint(big, generate(blocks, noise), channels);
    sliders.forEach(({ show }, i) => show(VALUES, VALUES.indexOf(noise[i]), noise[i].toFixed(1)));
    if (position !== null) way.show(BETWEEN, position, `${BETWEEN[position]} %`);
    const length = Math.hypot(...noise);
    says.textContent = `The noise has length ${length.toFixed(1)}; what the generator was trained on has ${Math.sqrt(noise.length).toFixed(1)} on average.`;
  }
  // A picture in each frame, so that a phone goes on answering.
  const waiting = [];
  function drawStrip() {
    if (!waiting.length) requestAnimationFrame(drawNext);
    waiting.splice(0, Infinity, ...STRIP.keys());
  }
  function drawNext() {
    const i = waiting.shift();
    paint(strip[i], generate(blocks, mixed(ends.A, ends.B, STRIP[i])), channels);
    if (waiting.length) requestAnimationFrame(drawNext);
  }

  mount(el,
    html("p", { class: "ck-title" }, html("span", { class: "ck-kicker" }, "Explore"),
      `${noise.length} numbers of noise make one picture. Move them.`),
    html("div", { class: "ck-latent" }, html("div", {}, big), html("div", { class: "ck-controls ck-many" }, ...sliders.map(({ node }) => node))),
    html("p", { class: "ck-buttons" }, button("New noise", renew), keep("A"), keep("B")),
    html("div", { class: "ck-controls" }, way.node),
    html("div", { class: "ck-strip" }, ...strip),
    says);
  drawStrip();
  draw(0);
}

const canvas = (label, kind) => html("canvas", { class: kind, role: "img", "aria-label": label });

// Gray where there is one channel.
function paint(node, pixels, channels) {
  const side = Math.sqrt(pixels.length / channels);
  node.width = side;
  node.height = side;
  const context = node.getContext("2d");
  const image = context.createImageData(side, side);
  for (let i = 0; i < side * side; i += 1) {
    for (let k = 0; k < 3; k += 1) image.data[4 * i + k] = 255 * pixels[i * channels + (k % channels)];
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

export default { render };
export { decode, generate };
