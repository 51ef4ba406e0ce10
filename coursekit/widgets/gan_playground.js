import { grid, html, mount, slider } from "./dom.js";
import { adam, dense, randomizer, relu, sequential, sigmoid, sigmoidCrossentropy } from "./nn.js";

const HIDDEN = 32;
const BATCH = 64;
const SHOWN = 200;
const LENGTH = 480; // of the curves, in steps
const REACH = 3.2; // the picture shows -REACH to REACH both ways
const SLOPE = 0.2; // of the leaky ReLU
const MOMENTUM = 0.5; // Adam's beta 1, as in DCGAN
const RATES = [0.0001, 0.0003, 0.001, 0.003, 0.01];
const EDGE = Math.sqrt(3); // uniform noise from -EDGE to EDGE has variance 1
// Where the discriminator is asked for its judgment, with so many cells both ways. Untrained, it judges smoothly.
const places = (cells) => Float64Array.from({ length: 2 * cells * cells }, (_, i) => (
  REACH * (i % 2 ? 1 - (2 * Math.floor(i / 2 / cells) + 1) / cells : (2 * ((i >> 1) % cells) + 1) / cells - 1)));
const [FINE, COARSE] = [32, 16].map(places);
const [LINES, ALONG] = [9, 25]; // of the net over the square of noise: lines both ways, points on each
const NET = Float64Array.from({ length: 4 * LINES * ALONG }, (_, i) => {
  const [point, upright] = [(i >> 1) % (LINES * ALONG), i < 2 * LINES * ALONG];
  const share = (i % 2 === 0) === upright ? Math.floor(point / ALONG) / (LINES - 1) : (point % ALONG) / (ALONG - 1);
  return 2 * share - 1;
});

// Dense layers of these sizes, with leaky ReLU between them.
function network(sizes, random) {
  return sequential(sizes.slice(1).flatMap((outputs, i) => [...(i ? [relu(SLOPE)] : []), dense(sizes[i], outputs, random)]));
}

const mean = (values, f) => values.reduce((sum, value) => sum + f(value), 0) / values.length;

// Part 1: loss and gradients of the discriminator, on as many real points as fakes.
function discriminatorGradients(d, real, fake) {
  const [seen, wrong] = [d.forward(real), d.forward(fake)];
  const [onReal, onFake] = [sigmoidCrossentropy(seen.y, 1), sigmoidCrossentropy(wrong.y, 0)];
  const one = seen.backward(onReal.gradient).gradients;
  const other = wrong.backward(onFake.gradient).gradients;
  return {
    loss: onReal.loss + onFake.loss,
    gradients: one.map((gradient, i) => gradient.map((value, k) => value + other[i][k])),
    right: [mean(seen.y, (x) => (x > 0 ? 1 : 0)), mean(wrong.y, (x) => (x < 0 ? 1 : 0))],
  };
}

// Part 2: loss and gradients of the generator, through the discriminator.
function generatorGradients(g, d, noise, kind) {
  const made = g.forward(noise);
  const judged = d.forward(made.y);
  // Minimax climbs what the discriminator descends; otherwise the fakes are to be taken for real.
  const [sign, target] = kind === "minimax" ? [-1, 0] : [1, 1];
  const { loss, gradient } = sigmoidCrossentropy(judged.y, target);
  const passed = judged.backward(gradient.map((value) => sign * value)).dx;
  return { loss: sign * loss, gradients: made.backward(passed).gradients };
}

const around = (centers, spread) => (random) => {
  const [x, y] = centers[Math.floor(random.uniform() * centers.length)];
  return [x + spread * random.normal(), y + spread * random.normal()];
};
const circle = (count, radius) => Array.from({ length: count }, (_, i) => (
  [radius * Math.cos((2 * Math.PI * i) / count), radius * Math.sin((2 * Math.PI * i) / count)]));

const EIGHT = circle(8, 2);
const TARGETS = {
  "eight blobs": { draw: around(EIGHT, 0.08), blobs: EIGHT },
  "two blobs": { draw: around([[-1.5, 0.8], [1.5, -0.8]], 0.25), blobs: [[-1.5, 0.8], [1.5, -0.8]] },
  "a ring": {
    draw(random) {
      const [angle, radius] = [2 * Math.PI * random.uniform(), 2 + 0.08 * random.normal()];
      return [radius * Math.cos(angle), radius * Math.sin(angle)];
    },
  },
  "a wave": {
    draw(random) {
      const x = 5 * random.uniform() - 2.5;
      return [x, 1.2 * Math.sin(2 * x) + 0.1 * random.normal()];
    },
  },
};
const DRAWN = "drawn by you";
const LOSSES = ["non-saturating", "minimax"];
const NOISES = {
  uniform: (random) => EDGE * (2 * random.uniform() - 1),
  normal: (random) => random.normal(),
};

// The whole game: two networks, their optimizers, the target and the noise. It draws nothing.
function game({ seed = 0, target = "eight blobs", noise = "uniform", loss = LOSSES[0], drawn = [] } = {}) {
  const random = randomizer(seed);
  const g = network([2, HIDDEN, HIDDEN, 2], random);
  const d = network([2, HIDDEN, HIDDEN, 1], random);
  const [moveG, moveD] = [adam(g.weights, MOMENTUM), adam(d.weights, MOMENTUM)];
  const self = {
    g, d, target, noise, loss, drawn, rates: { d: 0.003, g: 0.003 },
    steps: { d: 0, g: 0 }, moved: { d: 0, g: 0 }, history: [], last: {}, // moved: how far in the last own part
    real(n) {
      const draw = self.target === DRAWN ? around(self.drawn, 0.08) : TARGETS[self.target].draw;
      return Float64Array.from(Array.from({ length: n }, () => draw(random)).flat());
    },
    noiseFor: (n) => Float64Array.from({ length: 2 * n }, () => NOISES[self.noise](random)),
    // Only the network of that part moves; the other is read.
    part1() {
      const fake = g.forward(self.noiseFor(BATCH)).y;
      const { loss: lossNow, gradients, right } = discriminatorGradients(d, self.real(BATCH), fake);
      self.moved.d = moveD(gradients, self.rates.d);
      self.steps.d += 1;
      Object.assign(self.last, { d: lossNow, right });
    },
    part2() {
      const { loss: lossNow, gradients } = generatorGradients(g, d, self.noiseFor(BATCH), self.loss);
      self.moved.g = moveG(gradients, self.rates.g);
      self.steps.g += 1;
      self.last.g = lossNow;
    },
    step() {
      self.part1();
      self.part2();
      self.history.push([self.last.d, self.last.g]);
      if (self.history.length > LENGTH) self.history.shift();
    },
  };
  return self;
}

// How many blobs have at least a tenth of their even share of the fakes within 0.4 of their center.
function covered(blobs, points) {
  const counts = blobs.map(() => 0);
  for (let i = 0; i < points.length; i += 2) {
    const at = blobs.findIndex(([x, y]) => Math.hypot(points[i] - x, points[i + 1] - y) < 0.4);
    if (at >= 0) counts[at] += 1;
  }
  return counts.filter((count) => count >= (0.1 * points.length) / 2 / blobs.length).length;
}

function choice(text, options, choose) {
  const select = html("select", { onchange: () => choose(select.value) }, ...options.map((name) => html("option", {}, name)));
  return { node: html("label", {}, html("span", {}, text), select), select };
}

function render({ model, el }) {
  const settings = { seed: model.get("seed"), target: "eight blobs", noise: "uniform", loss: LOSSES[0], drawn: [] };
  let [play, points, frame] = [null, null, 0];

  const rates = { d: RATES.indexOf(0.003), g: RATES.indexOf(0.003) };
  const names = { d: "Discriminator's learning rate", g: "Generator's learning rate" };
  const sliders = Object.keys(rates).map((who) => {
    const one = slider(names[who], (position) => { rates[who] = position; showRates(); });
    return { ...one, who };
  });
  const showRates = () => sliders.forEach(({ who, show }) => {
    play.rates[who] = RATES[rates[who]];
    show(RATES, rates[who], `${RATES[rates[who]]}`);
  });
  const chosen = {
    target: choice("Real points", [...Object.keys(TARGETS), DRAWN], (value) => change({ target: value })),
    noise: choice("Noise", Object.keys(NOISES), (value) => change({ noise: value })),
    loss: choice("Generator's loss", LOSSES, (value) => { settings.loss = value; play.loss = value; }),
  };

  const button = (words, act, kind = "ck-quiet") => html("button", { type: "button", class: `ck-button ${kind}`, onclick: act }, words);
  const runs = button("Run", () => (frame ? pause() : start()), "");
  const once = (part) => () => { pause(); if (ready()) { play[part](); draw(); } };
  const erase = button("Erase the drawing", () => change({ drawn: [] }));
  const buttons = [
    runs, button("Part 1: train the discriminator", once("part1")), button("Part 2: train the generator", once("part2")),
    button("Start again", () => change({ seed: settings.seed + 1 })),
    button("Provoke mode collapse", () => { Object.assign(rates, COLLAPSE); change({ target: "eight blobs" }); start(); }), erase,
  ];

  const field = html("canvas", { class: "ck-field", width: 480, height: 480, onkeydown: type, onpointerdown: paint, onpointermove: paint });
  const curves = html("canvas", { class: "ck-losses", width: 480, height: 200, role: "img", "aria-label": "Both losses over the last steps; the sentences beside it have the latest." });
  const says = html("div", { class: "ck-says", role: "status" });
  const table = html("div", { class: "ck-table ck-plain" });
  let cursor = [0, 0];

  const ready = () => settings.target !== DRAWN || settings.drawn.length > 0;

  // A new game with the settings as they are; the rates stay where the reader has put them.
  function change(some) {
    pause();
    Object.assign(settings, some);
    play = game(settings);
    const random = randomizer(1000);
    const noise = Array.from({ length: 2 * SHOWN }, () => NOISES[settings.noise](random));
    points = { noise: Float64Array.from(noise), real: ready() ? play.real(SHOWN) : new Float64Array() };
    const drawing = settings.target === DRAWN;
    field.setAttribute("role", drawing ? "application" : "img");
    field.setAttribute("aria-label", drawing
      ? "Drawing area. Arrow keys move the cross, space sets points there; or draw with the mouse."
      : "Real and fake points, the discriminator's judgment and the generator's map; the sentences beside it describe them.");
    field.tabIndex = drawing ? 0 : -1;
    erase.hidden = !drawing;
    chosen.target.select.value = settings.target;
    showRates();
    draw();
  }

  function start() {
    if (!ready()) return draw();
    runs.textContent = "Pause";
    const turn = () => {
      if (!field.isConnected) return; // the page has dropped the widget
      const end = performance.now() + 12;
      do play.step(); while (performance.now() < end);
      frame = requestAnimationFrame(turn);
      draw();
    };
    frame = requestAnimationFrame(turn);
  }

  function pause() {
    cancelAnimationFrame(frame);
    frame = 0;
    runs.textContent = "Run";
    if (play) draw();
  }

  // Drawing one's own target: a cross moved by the arrow keys, or the pointer.
  function type(event) {
    const moves = { ArrowLeft: [-0.2, 0], ArrowRight: [0.2, 0], ArrowUp: [0, 0.2], ArrowDown: [0, -0.2] };
    if (settings.target !== DRAWN || !(event.key in moves || event.key === " ")) return;
    event.preventDefault();
    if (event.key === " ") return add(cursor);
    cursor = cursor.map((value, i) => Math.max(-3, Math.min(3, value + moves[event.key][i])));
    draw();
  }
  function paint(event) {
    if (settings.target !== DRAWN || event.buttons !== 1) return;
    const box = field.getBoundingClientRect();
    add([REACH * (2 * (event.clientX - box.left) / box.width - 1), REACH * (1 - 2 * (event.clientY - box.top) / box.height)]);
  }
  function add([x, y]) {
    if (settings.drawn.some(([a, b]) => Math.hypot(a - x, b - y) < 0.1)) return;
    settings.drawn.push([x, y]);
    points.real = play.real(SHOWN);
    draw();
  }

  let spoken = 0;
  function draw() {
    points.fake = play.g.forward(points.noise).y;
    const style = getComputedStyle(el);
    const colors = Object.fromEntries(["accent", "second", "ink", "surface"].map((name) => [name, style.getPropertyValue(`--${name}`)]));
    drawField(field.getContext("2d"), play, points, colors, settings.target === DRAWN ? cursor : null);
    drawLosses(curves.getContext("2d"), play.history, colors);
    if (frame && performance.now() < spoken + 250) return; // nobody reads faster
    spoken = performance.now();
    says.setAttribute("aria-live", frame ? "off" : "polite");
    says.replaceChildren(...sentences(play, points, ready()));
    table.replaceChildren(movements(play));
  }

  mount(el,
    html("p", { class: "ck-title" }, html("span", { class: "ck-kicker" }, "Explore"),
      "A generator and a discriminator train against each other, here in the page."),
    html("div", { class: "ck-controls" }, ...Object.values(chosen).map(({ node }) => node), ...sliders.map(({ node }) => node)),
    html("p", { class: "ck-buttons" }, ...buttons),
    html("div", { class: "ck-game" }, field, html("div", {}, curves, legend(), table, says)));
  change({});
}

const COLLAPSE = { d: RATES.indexOf(0.0003), g: RATES.indexOf(0.01) };
const short = (value) => value.toFixed(2);
const percent = (share) => `${Math.round(100 * share)} %`;

function sentences(play, points, ready) {
  if (!ready) return [html("p", {}, "Draw some real points first.")];
  const { steps, last, target } = play;
  const lines = [];
  if (steps.d + steps.g === 0) lines.push("Nothing has been trained. Both networks have random weights.");
  else lines.push(`The discriminator has trained ${steps.d} ${steps.d === 1 ? "time" : "times"}, the generator ${steps.g}.`);
  if (steps.d) {
    lines.push(`Discriminator's loss ${short(last.d)}: it takes ${percent(last.right[0])} of the real points for real and `
      + `${percent(last.right[1])} of the fakes for fake.`);
  }
  if (steps.g) lines.push(`Generator's loss ${short(last.g)}.`);
  const { blobs } = TARGETS[target] ?? {};
  if (blobs) lines.push(`The fakes cover ${covered(blobs, points.fake)} of ${blobs.length} blobs.`);
  return lines.map((line) => html("p", {}, line));
}

// The lecture's two parts: only the network that trains moves.
const movements = ({ steps, moved }) => grid("How far all weights of a network moved together", "", ["discriminator", "generator"], [
  ["part 1", steps.d ? [moved.d.toFixed(3), "0"] : ["", ""]],
  ["part 2", steps.g ? ["0", moved.g.toFixed(3)] : ["", ""]],
]);

const legend = () => {
  const entry = (kind, words) => html("li", {}, html("i", { class: `ck-key-${kind}` }), words);
  return html("ul", { class: "ck-legend" },
    entry("real", "real points, places judged real, the discriminator's loss"),
    entry("fake", "fakes, places judged fake, the generator's loss"),
    entry("map", "the square of noise, as the generator bends it"),
    html("li", {}, "dotted: log 4, the loss of a discriminator that knows nothing"));
};

function drawField(context, play, points, colors, cursor) {
  const size = context.canvas.width;
  const at = (value) => ((value + REACH) / (2 * REACH)) * size;
  const dot = (values, color) => {
    context.fillStyle = color;
    for (let i = 0; i < values.length; i += 2) context.fillRect(at(values[i]) - 2.5, size - at(values[i + 1]) - 2.5, 5, 5);
  };
  context.fillStyle = colors.surface;
  context.fillRect(0, 0, size, size);

  context.imageSmoothingEnabled = false;
  context.drawImage(judgment(play.d.forward(play.steps.d ? FINE : COARSE).y, [colors.accent, colors.second]), 0, 0, size, size);

  const edge = play.noise === "uniform" ? EDGE : 2;
  const bent = play.g.forward(NET.map((share) => edge * share)).y;
  context.globalAlpha = 0.45;
  context.strokeStyle = colors.ink;
  context.beginPath();
  for (let i = 0; i < bent.length / 2; i += 1) {
    const [x, y] = [at(bent[2 * i]), size - at(bent[2 * i + 1])];
    if (i % ALONG) context.lineTo(x, y);
    else context.moveTo(x, y);
  }
  context.stroke();

  context.globalAlpha = 0.9;
  dot(points.real, colors.accent);
  dot(points.fake, colors.second);
  context.globalAlpha = 1;
  if (cursor) {
    context.fillStyle = colors.ink;
    context.fillRect(at(cursor[0]) - 9, size - at(cursor[1]) - 1, 18, 2);
    context.fillRect(at(cursor[0]) - 1, size - at(cursor[1]) - 9, 2, 18);
  }
}

// A picture with a pixel for every place: one color where it is judged real, another where fake, the surer the stronger.
function judgment(logits, colors) {
  const cells = Math.sqrt(logits.length);
  const context = Object.assign(document.createElement("canvas"), { width: cells, height: cells }).getContext("2d");
  const [real, fake] = colors.map((color) => {
    context.fillStyle = color; // which it gives back as #rrggbb
    return [1, 3, 5].map((at) => parseInt(context.fillStyle.slice(at, at + 2), 16));
  });
  const picture = context.createImageData(cells, cells);
  logits.forEach((logit, i) => {
    const p = sigmoid(logit);
    picture.data.set([...(p > 0.5 ? real : fake), 255 * 0.7 * Math.abs(p - 0.5)], 4 * i);
  });
  context.putImageData(picture, 0, 0);
  return context.canvas;
}

// The last steps, from 0 to 4 (minimax: down to -4); dashed where the discriminator knows nothing, log 4.
function drawLosses(context, history, colors) {
  const { width, height } = context.canvas;
  const low = history.some(([, g]) => g < 0) ? -4 : 0;
  const y = (value) => height * (1 - (Math.max(low, Math.min(4, value)) - low) / (4 - low));
  const line = (values, color, dash = []) => {
    context.setLineDash(dash);
    context.strokeStyle = color;
    context.lineWidth = 2;
    context.beginPath();
    values.forEach((value, i) => context.lineTo((width * i) / (LENGTH - 1), y(value)));
    context.stroke();
  };
  context.clearRect(0, 0, width, height);
  line(Array(LENGTH).fill(Math.log(4)), colors.ink, [3, 6]);
  line(history.map(([d]) => d), colors.accent);
  line(history.map(([, g]) => g), colors.second);
  context.fillStyle = colors.ink;
  context.font = "20px sans-serif";
  [[4, 22], [0, -6], ...(low ? [[low, -6]] : [])].forEach(([value, down]) => context.fillText(value, 6, y(value) + down));
}

export default { render };
export { covered, discriminatorGradients, game, generatorGradients, network };
