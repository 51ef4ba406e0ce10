import { html, mount, svg } from "./dom.js";
import { adam, batchNorm, convolution, dense, halves, load, randomizer, relu, sequential, softmaxCrossentropy } from "./nn.js";

const SIDE = 28; // pixels, as the digits have
const PIXELS = SIDE * SIDE;
const PEN = 1.1; // half the width of a line, in pixels
const COPIES = 200;
const SOME = 10; // of them are shown
const BATCH = 8;
const STEPS = 60;
const SHOWN_EVERY = 15; // steps
const SLICE = 6; // milliseconds of a frame, or one piece of work that is longer, so that a phone goes on answering
const VIEW = `0 0 ${SIDE} ${SIDE}`;
const STILL = matchMedia("(prefers-reduced-motion: reduce)");
const [FILTERS, SIZES, FEATURES] = [[8, 16, 32], [28, 14, 7], 4 * 4 * 32];
// Adam's, each the best of 0.001, 0.003, 0.01 and 0.03 on shaky copies of twelve letters, drawn by program: 2 of them with
// 3 examples each and 3 with 5, 8 times each. In percent: pixels 89, 90, 90, 89; scratch 85, 86, 88, 86; frozen 97, 98, 98, 97.
const RATES = { pixels: 0.01, scratch: 0.01, frozen: 0.01 };
const LEARNERS = [
  ["the pixels alone", "one dense layer"],
  ["a network from scratch", "three convolutions, random weights"],
  ["frozen features", "of the same network, trained on digits"],
];

// A drawing is a list of strokes, a stroke a list of points [x, y] in pixels. An image of it has 1 where there is ink.
function rasterize(strokes, pen) {
  const image = new Float64Array(PIXELS);
  for (const stroke of strokes) stroke.forEach((point, i) => ink(image, stroke[Math.max(0, i - 1)], point, pen));
  return image;
}

// A straight line, gray where it covers a pixel in part.
function ink(image, [ax, ay], [bx, by], pen) {
  const [dx, dy] = [bx - ax, by - ay];
  const from = (a, b) => Math.max(0, Math.floor(Math.min(a, b) - pen - 1));
  const to = (a, b) => Math.min(SIDE - 1, Math.ceil(Math.max(a, b) + pen));
  for (let row = from(ay, by); row <= to(ay, by); row += 1) {
    for (let column = from(ax, bx); column <= to(ax, bx); column += 1) {
      const [x, y] = [column + 0.5 - ax, row + 0.5 - ay];
      const along = Math.max(0, Math.min(1, (x * dx + y * dy) / (dx * dx + dy * dy || 1)));
      const distance = Math.hypot(x - along * dx, y - along * dy);
      const at = row * SIDE + column;
      image[at] = Math.max(image[at], Math.min(1, pen + 0.5 - distance));
    }
  }
}

// A drawing as a shaky hand repeats it: bent, turned, scaled and moved.
function shaken(strokes, random) {
  const between = (low, high) => low + (high - low) * random.uniform();
  const [angle, scale, right, down] = [between(-0.3, 0.3), between(0.8, 1.2), between(-2, 2), between(-2, 2)];
  const [bendX, bendY] = [0, 1].map(() => {
    const [most, phase, length] = [between(0, 1.5), between(0, 2 * Math.PI), between(14, 28)];
    return (at) => most * Math.sin(phase + (2 * Math.PI * at) / length);
  });
  const [cos, sin] = [scale * Math.cos(angle), scale * Math.sin(angle)];
  const center = SIDE / 2;
  return strokes.map((stroke) => inPieces(stroke).map(([x, y]) => {
    const [u, v] = [x + bendX(y) - center, y + bendY(x) - center];
    return [center + right + cos * u - sin * v, center + down + sin * u + cos * v];
  }));
}

// The same line with points close enough to be bent.
const inPieces = (stroke) => stroke.flatMap((point, i) => {
  const last = stroke[Math.max(0, i - 1)];
  const pieces = Math.max(1, Math.ceil(Math.hypot(point[0] - last[0], point[1] - last[1]) / 2));
  return Array.from({ length: pieces }, (_, k) => [0, 1].map((axis) => last[axis] + ((k + 1) / pieces) * (point[axis] - last[axis])));
});

// What the learners are tested on: copies of drawings of every symbol in turn, with thin and thick pens. A function that
// makes the next one, of this number.
function shakyCopies(symbols, random) {
  return (i) => {
    const label = i % symbols.length;
    const drawing = symbols[label][Math.floor(random.uniform() * symbols[label].length)];
    return { label, strokes: shaken(drawing, random), pen: PEN * (0.7 + 0.7 * random.uniform()) };
  };
}

// Three convolutions of stride 2, each with batch norm and ReLU; flat, their last maps are the features.
const featureLayers = (random) => FILTERS.flatMap((filters, i) => [
  convolution({ size: SIZES[i], channels: FILTERS[i - 1] ?? 1, filters, stride: 2 }, random), batchNorm(filters), relu(),
]);

// The same layers with the weights of a network that was trained on digits, a piece of work at a time.
function* pretrained(weights) {
  const network = sequential(featureLayers());
  yield;
  load(network, halves(weights));
  yield;
  return network;
}

// Learners train on rows and are tested on rows: pixels or features, one row a drawing.
function learner(network, rate, train, test) {
  const step = adam(network.weights);
  const rows = ({ x, labels }, chosen) => {
    const length = x.length / labels.length;
    const some = new Float64Array(chosen.length * length);
    chosen.forEach((i, k) => some.set(x.subarray(i * length, (i + 1) * length), k * length));
    return { x: some, labels: chosen.map((i) => labels[i]) };
  };
  return {
    *trainOn(chosen) {
      const { x, labels } = rows(train, chosen);
      const { y, backward } = network.forward(x, true);
      yield;
      step(backward(softmaxCrossentropy(y, labels).gradient).gradients, rate);
    },
    rightOf(chosen) {
      const { x, labels } = rows(test, chosen);
      const y = network.forward(x).y;
      const classes = y.length / labels.length;
      const answer = (i) => y.subarray(i * classes, (i + 1) * classes);
      return labels.filter((label, i) => answer(i).indexOf(Math.max(...answer(i))) === label).length;
    },
  };
}

const range = (count) => Array.from({ length: count }, (_, i) => i);
const inParts = (count) => range(Math.ceil(count / BATCH)).map((part) => range(count).slice(part * BATCH, (part + 1) * BATCH));

// The pixels of so many drawings, a part at a time. item: makes the next one.
function* pixels(count, item) {
  const [x, labels] = [new Float64Array(count * PIXELS), []];
  for (const part of inParts(count)) {
    for (const i of part) {
      const { label, strokes, pen } = item(i);
      x.set(rasterize(strokes, pen), i * PIXELS);
      labels.push(label);
    }
    yield;
  }
  return { x, labels };
}

// Trains all three on the same drawings, in the same batches and as many steps. It yields after every small piece of work,
// for whoever runs it to decide how much fits into a frame; now and then what they get right.
function* learning(symbols, weights, seed) {
  const given = symbols.flatMap((drawings, label) => drawings.map((strokes) => ({ label, strokes, pen: PEN })));
  const train = yield* pixels(given.length, (i) => given[i]);
  const test = yield* pixels(COPIES, shakyCopies(symbols, randomizer(seed + 1)));
  const [features, seen] = [yield* pretrained(weights), []];
  for (const { x, labels } of [train, test]) {
    const found = [];
    for (const part of inParts(labels.length)) {
      found.push(...features.forward(x.subarray(part[0] * PIXELS, (part.at(-1) + 1) * PIXELS)).y);
      yield;
    }
    seen.push({ x: Float64Array.from(found), labels });
  }

  const random = randomizer(seed + 2);
  const head = () => dense(FEATURES, symbols.length, random);
  const learners = [
    learner(dense(PIXELS, symbols.length, random), RATES.pixels, train, test),
    learner(sequential([...featureLayers(random), head()]), RATES.scratch, train, test),
    learner(head(), RATES.frozen, ...seen),
  ];
  const batches = randomBatches(train.labels.length, random);
  for (let step = 1; step <= STEPS; step += 1) {
    const batch = batches.next().value;
    for (const { trainOn } of learners) {
      yield* trainOn(batch);
      yield;
    }
    if (step % SHOWN_EVERY) continue;
    const right = learners.map(() => 0);
    for (const part of inParts(COPIES)) {
      for (const [i, { rightOf }] of learners.entries()) {
        right[i] += rightOf(part);
        yield;
      }
    }
    yield { step, drawings: train.labels.length, shares: right.map((count) => count / COPIES), guessing: 1 / symbols.length };
  }
}

// All examples in random order, again and again, as many at a time as a batch holds.
function* randomBatches(count, random) {
  let waiting = [];
  while (true) {
    const batch = [];
    while (batch.length < Math.min(BATCH, count)) {
      if (!waiting.length) waiting = range(count);
      batch.push(...waiting.splice(Math.floor(random.uniform() * waiting.length), 1));
    }
    yield batch;
  }
}

const LETTERS = "ABCD";
// What the widget begins with, so that there is something to see.
const EXAMPLE = [
  [[[7, 22], [14, 6], [21, 22]], [[9.5, 16], [18.5, 16]]],
  [[[8, 7], [20, 7], [20, 22]], [[9, 14], [20, 14]]],
];
const EXAMPLES = 5;

function render({ model, el }) {
  const seed = model.get("seed");
  const weights = model.get("weights");
  const pads = [];
  let [active, work, latest, frame, visible, touched] = [0, null, null, 0, false, false];

  const button = (kind, act, words = "") => html("button", { type: "button", class: `ck-button ${kind}`, onclick: act }, words);
  const buttons = {
    add: button("", add), remove: button("ck-quiet", remove),
    more: button("ck-quiet", more, "Add a symbol"), again: button("ck-quiet", again, "Start again"),
  };
  const field = html("div", { class: "ck-pads" });
  const hint = html("p", { class: "ck-note" });
  const bars = LEARNERS.map(bar);
  const says = html("p", { class: "ck-says", role: "status" });
  const some = html("div", { class: "ck-thumbs", role: "img", "aria-label": "Some of the copies" });

  // What the page begins with makes room for the reader's first drawing of that symbol.
  function newPad(drawings, ours = false) {
    const index = pads.length;
    const choose = () => { active = index; draw(); };
    pads.push({ name: LETTERS[index], drawings, ours, ...drawingPad(`Symbol ${LETTERS[index]}`, { choose, changed: draw, add, remove }) });
    field.append(pads[index].node);
  }
  function add() {
    const pad = pads[active];
    if (!pad.strokes.length) return pad.focus();
    if (pad.ours) pad.drawings.splice(0);
    pad.ours = false;
    pad.drawings.push(pad.take());
    begin();
  }
  function remove() {
    const pad = pads[active];
    if (pad.take().length) return draw();
    pad.drawings.pop();
    begin();
  }
  function more() {
    newPad([]);
    active = pads.length - 1;
    begin();
  }
  function again() {
    pads.splice(0);
    field.replaceChildren();
    newPad([]);
    newPad([]);
    active = 0;
    begin();
  }

  // Whenever a drawing comes or goes all three begin anew, so that what is shown depends on the drawings alone.
  function begin() {
    const symbols = pads.map(({ drawings }) => drawings).filter(({ length }) => length);
    const enough = symbols.length > 1;
    [latest, work] = [null, enough ? lesson(symbols) : null];
    pads.forEach((pad) => pad.list(pad.drawings));
    some.replaceChildren(...range(enough ? SOME : 0).map(() => thumbnail([])));
    draw();
    wake();
  }
  // To compute the copies that are shown, and to draw them, are pieces of work, too. Their places are there before.
  function* lesson(symbols) {
    const copies = range(SOME).map(shakyCopies(symbols, randomizer(seed + 1)));
    yield;
    some.replaceChildren(...copies.map(({ strokes, pen }) => thumbnail(strokes, pen)));
    yield;
    yield* learning(symbols, weights, seed);
  }

  // After a frame and not within it, where it would make a longer piece of work of what the browser has to do there.
  const wake = () => { if (work && visible && !frame) frame = requestAnimationFrame(() => setTimeout(turn)); };
  function turn() {
    frame = 0;
    let [now, last] = [performance.now(), 0];
    const [end, before] = [now + SLICE, latest];
    while (work && now + last < end) { // one more piece of work, if it may be as long as the last one
      const { value, done } = work.next();
      if (done) work = null;
      else latest = value ?? latest;
      [last, now] = [performance.now() - now, performance.now()];
    }
    if (!work || (latest !== before && !STILL.matches)) drawShares();
    wake();
  }

  function draw() {
    const { name, strokes, drawings } = pads[active];
    pads.forEach((pad, i) => pad.draw(pad.drawings, i === active));
    buttons.add.textContent = `Add example to ${name}`;
    buttons.remove.textContent = strokes.length ? "Erase drawing" : "Remove last";
    buttons.more.hidden = pads.length === LETTERS.length;
    const count = (pad) => `${pad.drawings.length}${pad.ours ? " of ours" : ""} for ${pad.name}`;
    const room = pads.some(({ ours }) => ours) ? "Your first drawing of a symbol takes the place of ours. " : "";
    hint.textContent = `${pads.map(count).join(", ")}. ${room}Draw with mouse or finger; `
      + "or with arrow keys, space to put the pen down and up, and Enter to add.";
    drawShares();
  }
  function drawShares() {
    bars.forEach(({ show }, i) => show(latest?.shares[i], latest?.guessing));
    const words = sentence(latest, work);
    if (words === says.textContent) return;
    says.setAttribute("aria-live", work || !touched ? "off" : "polite"); // the end is said, and not what the page begins with
    says.textContent = words;
    touched ||= !work;
  }

  // What is built before it is in the page is laid out once.
  const random = randomizer(seed);
  for (const strokes of EXAMPLE) newPad(range(EXAMPLES).map(() => shaken(strokes, random)), true);
  begin();
  mount(el,
    html("p", { class: "ck-title" }, html("span", { class: "ck-kicker" }, "Try it"),
      "Draw symbols of your own. Three learners get the same few drawings. Only one of them has looked at other symbols before."),
    html("div", { class: "ck-symbols" },
      html("div", {}, field, hint, html("p", { class: "ck-buttons" }, ...Object.values(buttons))),
      html("div", {}, html("p", { class: "ck-title" }, `Right on ${COPIES} shaky copies of your drawings`),
        ...bars.map(({ node }) => node), says, some,
        html("p", { class: "ck-note" }, "The copies are your drawings, bent, turned, scaled and moved at random, with thin and thick "
          + "pens. None is trained on. So the bars measure your own drawings, badly repeated, and not another person's hand. "
          + "All three train in this page. Nothing leaves it."))));
  new IntersectionObserver((entries) => { visible = entries.at(-1).isIntersecting; wake(); }).observe(el);
}

function sentence(latest, work) {
  if (!latest) return work ? "Training …" : "Two symbols need an example each before anybody can learn them.";
  const { step, drawings, shares, guessing } = latest;
  const all = LEARNERS.map(([name], i) => `${name} ${percent(shares[i])}`).join(", ");
  return `After ${step} of ${STEPS} steps on ${drawings} drawings: ${all}. Guessing, dotted, gets ${percent(guessing)}.`;
}
const percent = (share) => `${Math.round(100 * share)}\u00a0%`;

// A name, what it is, how much is right, and a mark where guessing would be.
function bar([name, about], i) {
  const [filled, chance, share] = [html("i", {}), html("b", {}), html("span", { class: "ck-share" })];
  const range = { "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 100 };
  const meter = html("div", { class: `ck-meter ck-meter-${i}`, role: "meter", ...range }, filled, chance);
  return {
    node: html("div", { class: "ck-learner" }, html("div", {}, name, html("small", {}, about)), meter, share),
    show(value, guessing) {
      const [known, words] = value === undefined ? [0, "–"] : [value, percent(value)];
      filled.style.width = `${100 * known}%`;
      chance.style.left = `${100 * guessing}%`;
      chance.hidden = !guessing;
      share.textContent = words;
      meter.setAttribute("aria-valuenow", Math.round(100 * known));
      meter.setAttribute("aria-valuetext", words);
    },
  };
}

// A square to draw on, by pointer or by keys, and small pictures of what has been drawn.
function drawingPad(name, { choose, changed, add, remove }) {
  const strokes = [];
  const middle = [SIDE / 2, SIDE / 2];
  let [cursor, down] = [null, false]; // of those who draw by keys
  const paper = svg("svg", { class: "ck-pad", viewBox: VIEW, tabindex: 0, role: "application",
    onfocus: choose, onblur: leave, onpointerdown: press, onpointermove: move, onkeydown: type });
  const thumbs = html("div", { class: "ck-thumbs", "aria-hidden": "true" });

  const place = (event) => {
    const box = paper.getBoundingClientRect();
    return [(SIDE * (event.clientX - box.left)) / box.width, (SIDE * (event.clientY - box.top)) / box.height];
  };
  function press(event) {
    if (event.button !== 0) return;
    paper.setPointerCapture(event.pointerId);
    strokes.push([place(event)]);
    choose();
  }
  function move(event) {
    if (!paper.hasPointerCapture(event.pointerId) || !strokes.length) return;
    const [point, last] = [place(event), strokes.at(-1).at(-1)];
    if (Math.hypot(point[0] - last[0], point[1] - last[1]) < 0.5) return;
    strokes.at(-1).push(point);
    changed();
  }
  function type(event) {
    const moves = { ArrowLeft: [-2, 0], ArrowRight: [2, 0], ArrowUp: [0, -2], ArrowDown: [0, 2] };
    const others = { " ": lift, Enter: add, Delete: remove, Backspace: remove };
    if (!(event.key in moves || event.key in others)) return;
    event.preventDefault();
    if (event.key in moves) go(moves[event.key]);
    else others[event.key]();
    changed();
  }
  function go(way) {
    cursor = (cursor ?? middle).map((value, axis) => Math.max(2, Math.min(SIDE - 2, value + way[axis])));
    if (down) strokes.at(-1).push(cursor);
  }
  function lift() {
    cursor ??= middle;
    down = !down;
    if (down) strokes.push([cursor]);
  }
  function leave() {
    [cursor, down] = [null, false];
    changed();
  }

  return {
    strokes,
    node: html("div", { class: "ck-symbol" }, html("span", {}, name), paper, thumbs),
    focus: () => paper.focus(),
    take() {
      down = false;
      return strokes.splice(0);
    },
    list: (drawings) => thumbs.replaceChildren(...drawings.map((drawing) => thumbnail(drawing, PEN))),
    draw(drawings, active) {
      const pen = cursor ? `, pen ${down ? "down" : "up"}` : "";
      paper.setAttribute("aria-label", `${name}, examples: ${drawings.length}${pen}`);
      paper.classList.toggle("ck-active", active);
      paper.classList.toggle("ck-faint", !strokes.length); // then the last example shows through
      const [x, y] = cursor ?? [];
      const cross = cursor ? lines([[[x - 2, y], [x + 2, y]], [[x, y - 2], [x, y + 2]]], down ? 0.6 : 0.3, "ck-cross") : [];
      paper.replaceChildren(...lines(strokes.length ? strokes : drawings.at(-1) ?? [], PEN), ...cross);
    },
  };
}

const lines = (strokes, pen, kind = "ck-ink") => strokes.map((stroke) => (
  svg("polyline", { class: kind, "stroke-width": 2 * pen, points: [stroke[0], ...stroke].join(" ") }))); // twice: a point is a dot
const thumbnail = (strokes, pen) => svg("svg", { class: "ck-thumb", viewBox: VIEW }, ...lines(strokes, pen));

export default { render };
export { learning, pretrained, rasterize, shaken, shakyCopies };
