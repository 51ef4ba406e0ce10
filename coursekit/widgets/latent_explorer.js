import { html, mount, slider } from "./dom.js";

const VALUES = Array.from({ length: 61 }, (_, i) => Math.round(10 * (i / 10 - 3)) / 10); // -3 to 3
const BETWEEN = Array.from({ length: 11 }, (_, i) => 10 * i); // percent of the way
const STRIP = [0, 17, 33, 50, 67, 83, 100];

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

// IEEE half precision, which browsers do not all know yet.
function halves(text) {
  const view = new DataView(bytes(text).buffer);
  return Float32Array.from({ length: view.byteLength / 2 }, (_, i) => {
    const half = view.getUint16(2 * i, true);
    const [sign, exponent, fraction] = [half >> 15 ? -1 : 1, (half >> 10) & 31, half & 1023];
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
  });
}
const singles = (text) => new Float32Array(bytes(text).buffer);

const relu = (values) => values.map((x) => Math.max(0, x));
const sigmoid = (values) => values.map((x) => 1 / (1 + Math.exp(-x)));

// kernel: (inputs x outputs).
function dense(x, kernel, outputs) {
  const y = new Float32Array(outputs);
  x.forEach((value, i) => { for (let k = 0; k < outputs; k += 1) y[k] += value * kernel[i * outputs + k]; });
  return y;
}

// Transposed convolution, stride 2, "same". x: (size x size x inputs). kernel: (width x width x outputs x inputs).
function convTranspose(x, kernel, size, inputs, outputs, width) {
  const big = 2 * size;
  const y = new Float32Array(big * big * outputs);
  const cut = (width - 2) >> 1;
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      const from = (row * size + column) * inputs;
      for (let a = 0; a < width; a += 1) {
        const down = 2 * row + a - cut;
        if (down < 0 || down >= big) continue;
        for (let b = 0; b < width; b += 1) {
          const right = 2 * column + b - cut;
          if (right < 0 || right >= big) continue;
          const to = (down * big + right) * outputs;
          for (let k = 0; k < outputs; k += 1) {
            const at = ((a * width + b) * outputs + k) * inputs;
            let sum = 0;
            for (let i = 0; i < inputs; i += 1) sum += x[from + i] * kernel[at + i];
            y[to + k] += sum;
          }
        }
      }
    }
  }
  return y;
}

// Per channel: y = scale * x + shift; batch norm in inference, or a bias.
const affine = (x, scale, shift) => x.map((value, i) => scale[i % scale.length] * value + shift[i % shift.length]);

// The generator of coursekit.gan: blocks of a kernel, a scale and a shift; the first dense, the others convolutions.
function decode(blocks) {
  return blocks.map(({ kernel, scale, shift, ...shape }) => (
    { ...shape, kernel: halves(kernel), scale: singles(scale), shift: singles(shift) }));
}
function generate(blocks, noise) {
  return blocks.reduce((x, { kernel, scale, shift, size, inputs, outputs, width }, i) => {
    const linear = i === 0 ? dense(x, kernel, outputs) : convTranspose(x, kernel, size, inputs, outputs, width);
    const y = affine(linear, scale, shift);
    return i < blocks.length - 1 ? relu(y) : sigmoid(y);
  }, Float32Array.from(noise));
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
  const drawStrip = () => strip.forEach((each, i) => paint(each, generate(blocks, mixed(ends.A, ends.B, STRIP[i])), channels));

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
export { decode, generate, halves };
