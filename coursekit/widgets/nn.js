// Networks that train in the page, with the numbers of Keras.
//
// A batch is one flat Float64Array: example after example; in an image row after row, in a pixel channel after channel.
// So to flatten is to do nothing. A layer has `weights`, a list of arrays, and forward(x, training), which returns its
// output y and the way back: backward(dy) returns dx, the gradient of its input, and the list `gradients`. What takes long
// of dx is computed when somebody asks for it, which of the first layer nobody does.

// Layers in a row are a layer again.
export function sequential(layers) {
  return {
    layers,
    weights: layers.flatMap(({ weights }) => weights),
    forward(x, training = false) {
      let y = x;
      const steps = layers.map((layer) => {
        const step = layer.forward(y, training);
        y = step.y;
        return step;
      });
      const backward = (dy) => steps.reduceRight((above, step) => {
        const below = step.backward(above.dx);
        return { get dx() { return below.dx; }, gradients: [...below.gradients, ...above.gradients] };
      }, { dx: dy, gradients: [] });
      return { y, backward };
    },
  };
}

// Sets all numbers of a network from one array: layer by layer, weights before moving averages, as Keras lists them.
export function load(network, numbers) {
  let at = 0;
  for (const values of network.layers.flatMap(({ weights, moving = [] }) => [...weights, ...moving])) {
    values.set(numbers.subarray(at, at + values.length));
    at += values.length;
  }
}

// kernel: (inputs x outputs).
export function dense(inputs, outputs, random) {
  const [kernel, bias] = [initial(inputs, outputs, random), new Float64Array(outputs)];
  return {
    weights: [kernel, bias],
    forward: (x) => ({
      y: addedToRows(product(x, kernel, inputs, outputs), bias),
      backward: (dy) => ({
        get dx() { return productWithTransposed(dy, kernel, inputs, outputs); },
        gradients: [productOfTransposed(x, dy, inputs, outputs), columnSums(dy, outputs)],
      }),
    }),
  };
}

// A convolution is a dense layer that reads a window: the same one at every place. Padding "same"; no bias, since batch
// norm follows. kernel: (width x width x channels x filters).
export function convolution({ size, channels, filters, width = 3, stride = 1 }, random) {
  const windows = unfolding(size, channels, width, stride);
  const entries = width * width * channels;
  const kernel = initial(entries, filters, random);
  return {
    weights: [kernel],
    forward(x) {
      const seen = windows.unfold(x);
      return {
        y: product(seen, kernel, entries, filters),
        backward: (dy) => ({
          get dx() { return windows.fold(productWithTransposed(dy, kernel, entries, filters)); },
          gradients: [productOfTransposed(seen, dy, entries, filters)],
        }),
      };
    },
  };
}

// A convolution's way back, which makes large images of small ones, is a layer that generators use. size, channels: of
// the large images; kernel: (width x width x channels x filters). Only forward, as a function of x.
export function transposedConvolution({ size, channels, filters, width, stride }, kernel) {
  const { fold } = unfolding(size, channels, width, stride);
  return (x) => fold(productWithTransposed(x, kernel, width * width * channels, filters));
}

// Training normalizes with the batch's own mean and variance, inference with their moving averages.
export function batchNorm(channels, momentum = 0.9, epsilon = 0.001) {
  const [gamma, beta, movingMean, movingVariance] = [1, 0, 0, 1].map((value) => new Float64Array(channels).fill(value));
  const move = (moving, now) => moving.forEach((value, c) => { moving[c] = momentum * value + (1 - momentum) * now[c]; });
  return {
    weights: [gamma, beta],
    moving: [movingMean, movingVariance],
    forward(x, training) {
      const count = x.length / channels;
      let [mean, variance] = [movingMean, movingVariance];
      if (training) {
        [mean, variance] = meanAndVariance(x, channels);
        move(movingMean, mean);
        move(movingVariance, variance);
      }
      const scale = variance.map((value) => 1 / Math.sqrt(value + epsilon));
      const [normal, y] = [new Float64Array(x.length), new Float64Array(x.length)];
      for (let i = 0; i < x.length; i += channels) {
        for (let c = 0; c < channels; c += 1) {
          normal[i + c] = (x[i + c] - mean[c]) * scale[c];
          y[i + c] = gamma[c] * normal[i + c] + beta[c];
        }
      }
      const backward = (dy) => {
        const [dgamma, dbeta, dx] = [new Float64Array(channels), columnSums(dy, channels), new Float64Array(dy.length)];
        for (let i = 0; i < dy.length; i += channels) {
          for (let c = 0; c < channels; c += 1) dgamma[c] += dy[i + c] * normal[i + c];
        }
        for (let i = 0; i < dy.length; i += channels) {
          for (let c = 0; c < channels; c += 1) {
            // An example moves the batch's mean and variance, and through them all the others.
            const shared = training ? (dbeta[c] + normal[i + c] * dgamma[c]) / count : 0;
            dx[i + c] = gamma[c] * scale[c] * (dy[i + c] - shared);
          }
        }
        return { dx, gradients: [dgamma, dbeta] };
      };
      return { y, backward };
    },
  };
}

// ReLU, or with a slope for negative numbers the leaky one.
export const relu = (slope = 0) => ({
  weights: [],
  forward: (x) => ({
    y: sloped(x, x, slope),
    backward: (dy) => ({ dx: sloped(dy, x, slope), gradients: [] }),
  }),
});

// The mean of every channel of an image.
export const globalAveragePooling = (size, channels) => ({
  weights: [],
  forward(x) {
    const [pixels, length] = [size * size, size * size * channels];
    const y = new Float64Array(x.length / pixels);
    const to = (i) => Math.floor(i / length) * channels + (i % channels);
    x.forEach((value, i) => { y[to(i)] += value / pixels; });
    return { y, backward: (dy) => ({ dx: x.map((_, i) => dy[to(i)] / pixels), gradients: [] }) };
  },
});

// Mean loss over the batch, and its gradient. labels: the class of every example.
export function softmaxCrossentropy(logits, labels) {
  const [n, classes] = [labels.length, logits.length / labels.length];
  const gradient = new Float64Array(logits.length);
  let loss = 0;
  labels.forEach((label, i) => {
    const own = logits.subarray(i * classes, (i + 1) * classes);
    const top = Math.max(...own); // so that no power overflows
    const powers = own.map((logit) => Math.exp(logit - top));
    const sum = powers.reduce((a, b) => a + b);
    loss += (Math.log(sum) + top - own[label]) / n;
    powers.forEach((power, c) => { gradient[i * classes + c] = (power / sum - (c === label ? 1 : 0)) / n; });
  });
  return { loss, gradient };
}

export const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

// The same for one logit an example. target: 0 or 1, for all of the batch.
export const sigmoidCrossentropy = (logits, target) => ({
  loss: logits.reduce((sum, x) => sum + softplus(target ? -x : x), 0) / logits.length,
  gradient: logits.map((x) => (sigmoid(x) - target) / logits.length),
});

// A function for one step; it returns how far all weights moved together: the length of the step.
export function adam(weights, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-7) {
  const moments = weights.map(({ length }) => ({ m: new Float64Array(length), v: new Float64Array(length) }));
  let steps = 0;
  return (gradients, rate) => {
    steps += 1;
    const scale = (rate * Math.sqrt(1 - beta2 ** steps)) / (1 - beta1 ** steps);
    let squares = 0;
    weights.forEach((values, i) => {
      const [gradient, { m, v }] = [gradients[i], moments[i]];
      for (let k = 0; k < values.length; k += 1) {
        m[k] = beta1 * m[k] + (1 - beta1) * gradient[k];
        v[k] = beta2 * v[k] + (1 - beta2) * gradient[k] ** 2;
        const step = (scale * m[k]) / (Math.sqrt(v[k]) + epsilon);
        values[k] -= step;
        squares += step * step;
      }
    });
    return Math.sqrt(squares);
  };
}

// Numbers from 0 to 1 that depend on nothing but the seed (Mulberry32), and normal ones.
export function randomizer(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return { uniform, normal };
}

// Outputs have about the size of the inputs (LeCun's normal initialization). Without random numbers there are zeros, for
// weights to come.
const initial = (inputs, outputs, random) => (
  new Float64Array(inputs * outputs).map(() => (random ? random.normal() * Math.sqrt(1 / inputs) : 0)));

// Numbers that travel as text: base64 of IEEE half precision, which browsers do not all know yet.
export function bytes(text) {
  const letters = atob(text);
  const numbers = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i += 1) numbers[i] = letters.charCodeAt(i);
  return numbers;
}
const SCALES = Float64Array.from({ length: 32 }, (_, exponent) => 2 ** (Math.max(exponent, 1) - 15));
export function halves(text) {
  const view = new DataView(bytes(text).buffer);
  const numbers = new Float64Array(view.byteLength / 2);
  for (let i = 0; i < numbers.length; i += 1) {
    const half = view.getUint16(2 * i, true);
    const exponent = (half >> 10) & 31;
    const size = SCALES[exponent] * ((half & 1023) / 1024 + (exponent ? 1 : 0));
    numbers[i] = half >> 15 ? -size : size;
  }
  return numbers;
}

// The three products of a layer x w = y: x: (n x inputs), w: (inputs x outputs), y: (n x outputs), and dy as y.
export function product(x, w, inputs, outputs) {
  const n = x.length / inputs;
  const y = new Float64Array(n * outputs);
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j < inputs; j += 1) {
      const value = x[i * inputs + j];
      if (value === 0) continue; // as most pixels of a drawing are, and half of what ReLU returns
      for (let k = 0, at = i * outputs, from = j * outputs; k < outputs; k += 1) y[at + k] += value * w[from + k];
    }
  }
  return y;
}

// dw, from x and dy.
function productOfTransposed(x, dy, inputs, outputs) {
  const n = x.length / inputs;
  const dw = new Float64Array(inputs * outputs);
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j < inputs; j += 1) {
      const value = x[i * inputs + j];
      if (value === 0) continue;
      for (let k = 0, at = j * outputs, from = i * outputs; k < outputs; k += 1) dw[at + k] += value * dy[from + k];
    }
  }
  return dw;
}

// dx, from dy and w.
function productWithTransposed(dy, w, inputs, outputs) {
  const transposed = new Float64Array(w.length);
  for (let j = 0; j < inputs; j += 1) {
    for (let k = 0; k < outputs; k += 1) transposed[k * inputs + j] = w[j * outputs + k];
  }
  return product(dy, transposed, outputs, inputs);
}

// What follows is written as loops, without a function for every number, which takes browsers several times as long.

function addedToRows(values, row) {
  for (let i = 0; i < values.length; i += row.length) {
    for (let k = 0; k < row.length; k += 1) values[i + k] += row[k];
  }
  return values;
}

// Values, times the slope where x is not positive.
function sloped(values, x, slope) {
  const y = new Float64Array(x.length);
  for (let i = 0; i < x.length; i += 1) y[i] = x[i] > 0 ? values[i] : slope * values[i];
  return y;
}

function columnSums(values, columns) {
  const sums = new Float64Array(columns);
  for (let i = 0; i < values.length; i += columns) {
    for (let c = 0; c < columns; c += 1) sums[c] += values[i + c];
  }
  return sums;
}

function meanAndVariance(x, columns) {
  const count = x.length / columns;
  const [mean, variance] = [columnSums(x, columns).map((sum) => sum / count), new Float64Array(columns)];
  for (let i = 0; i < x.length; i += columns) {
    for (let c = 0; c < columns; c += 1) variance[c] += (x[i + c] - mean[c]) ** 2 / count;
  }
  return [mean, variance];
}

// Between square images and what a kernel sees of them, window after window: unfold copies, fold adds up.
function unfolding(size, channels, width, stride) {
  const across = Math.ceil(size / stride);
  const before = Math.max((across - 1) * stride + width - size, 0) >> 1; // of the padding; an odd one has more after
  // Where in an image each entry of its windows comes from; -1 is padding.
  const from = new Int32Array((across * width) ** 2 * channels);
  for (let place = 0, k = 0; place < across * across; place += 1) {
    for (let within = 0; within < width * width; within += 1) {
      const row = Math.floor(place / across) * stride + Math.floor(within / width) - before;
      const column = (place % across) * stride + (within % width) - before;
      const inside = row >= 0 && row < size && column >= 0 && column < size;
      for (let c = 0; c < channels; c += 1, k += 1) from[k] = inside ? (row * size + column) * channels + c : -1;
    }
  }
  const pixels = size * size * channels;
  return {
    unfold(images) {
      const n = images.length / pixels;
      const seen = new Float64Array(n * from.length);
      for (let i = 0; i < n; i += 1) {
        for (let k = 0; k < from.length; k += 1) if (from[k] >= 0) seen[i * from.length + k] = images[i * pixels + from[k]];
      }
      return seen;
    },
    fold(seen) {
      const n = seen.length / from.length;
      const images = new Float64Array(n * pixels);
      for (let i = 0; i < n; i += 1) {
        for (let k = 0; k < from.length; k += 1) if (from[k] >= 0) images[i * pixels + from[k]] += seen[i * from.length + k];
      }
      return images;
    },
  };
}
