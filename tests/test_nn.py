"""Networks that train in the page have Keras's outputs, losses, gradients, moving averages and steps."""

import keras
import numpy as np
import pytest
from conftest import numpy
from keras import layers

from coursekit.gradients import value_and_grad
from coursekit.widgets import base

# The page computes the same beside every backend, and in float64, which JAX has only where a session asks for it.
pytestmark = pytest.mark.only_on("tensorflow")

RUN = """async ([spec, numbers, x, labels, rates]) => {
  const nn = await import("./nn.js");
  const network = nn.sequential(spec.map(([layer, ...options]) => nn[layer](...options, nn.randomizer(0))));
  nn.load(network, Float64Array.from(numbers));
  const step = nn.adam(network.weights);
  const plain = (arrays) => arrays.flatMap((values) => [...values]);
  const input = Float64Array.from(x);
  const results = rates.map((rate) => {
    const { y, backward } = network.forward(input, true);
    const { loss, gradient } = nn.softmaxCrossentropy(y, labels);
    const { dx, gradients } = backward(gradient);
    const moved = step(gradients, rate);
    const moving = plain(network.layers.flatMap((layer) => layer.moving ?? []));
    const [weights, inference] = [plain(network.weights), [...network.forward(input).y]];
    return { y: [...y], loss, dx: [...dx], gradients: plain(gradients), moved, moving, weights, inference };
  });
  return results;
}"""


def random_network(random):
    """Layers for the page, and the same of Keras, with weights of their own: a pair, and the shape of the images."""
    size, channels, classes = (int(random.integers(low, high)) for low, high in ((1, 10), (1, 4), (2, 6)))
    spec, model = [], [keras.Input((size, size, channels), dtype="float64")]
    for _ in range(2):
        filters, width, stride = (int(random.integers(low, high)) for low, high in ((1, 6), (1, 6), (1, 4)))
        momentum, epsilon, slope = random.uniform(0.5, 1), random.uniform(1e-3, 1e-1), float(random.choice([0, 0.2]))
        shape = {"size": size, "channels": channels, "filters": filters, "width": width, "stride": stride}
        spec += [["convolution", shape], ["batchNorm", filters, momentum, epsilon], ["relu", slope]]
        model += [layers.Conv2D(filters, width, stride, "same", use_bias=False, dtype="float64")]
        model += [layers.BatchNormalization(momentum=momentum, epsilon=epsilon, dtype="float64")]
        model += [layers.ReLU(negative_slope=slope, dtype="float64")]
        size, channels = -(-size // stride), filters
    if random.random() < 0.5:
        spec.append(["globalAveragePooling", size, channels])
        model.append(layers.GlobalAveragePooling2D(dtype="float64"))
        size = 1
    else:
        model.append(layers.Flatten(dtype="float64"))
    spec.append(["dense", size * size * channels, classes])
    model = keras.Sequential([*model, layers.Dense(classes, dtype="float64")])
    model.set_weights([random.uniform(0.2, 1, weights.shape) - 0.4 * (weights.ndim > 1) for weights in model.weights])
    return spec, model


def flat(arrays):
    return np.concatenate([np.ravel(numpy(array)) for array in arrays] or [[]])


def test_a_network_in_the_page_is_that_of_keras(open_page):
    page = open_page()
    for seed in range(8):
        random = np.random.default_rng(seed)
        spec, model = random_network(random)
        n = int(random.integers(2, 6))
        x, labels = random.normal(size=(n, *model.input_shape[1:])), random.integers(0, model.output_shape[-1], n)
        rates = random.uniform(1e-3, 1e-1, 3).tolist()
        said = page.evaluate(RUN, [spec, flat(model.weights).tolist(), x.ravel().tolist(), labels.tolist(), rates])

        inputs, optimizer = keras.Variable(x, dtype="float64"), keras.optimizers.Adam()
        tolerance = {"rtol": 1e-6, "atol": 1e-8}
        for rate, result in zip(rates, said, strict=True):
            outputs = []

            def loss():
                outputs.append(model(inputs.value, training=True))  # noqa: B023 (called at once)
                losses = keras.losses.sparse_categorical_crossentropy(labels, outputs[-1], from_logits=True)  # noqa: B023
                return keras.ops.mean(losses)

            value, (dx, *gradients) = value_and_grad(loss, [inputs, *model.trainable_variables])
            model(inputs.value, training=True)  # moves the averages, which ``value_and_grad`` puts back
            moving = [weights for weights in model.weights if "moving" in weights.name]
            found = {"y": outputs, "loss": [value], "dx": [dx], "gradients": gradients, "moving": moving}
            for name, expected in found.items():
                np.testing.assert_allclose(np.ravel(result[name]), flat(expected), **tolerance, err_msg=name)
            before = flat(model.trainable_variables)
            optimizer.learning_rate = rate
            optimizer.apply(gradients, model.trainable_variables)
            tolerance = {"rtol": 1e-3, "atol": 1e-4}  # from here on: Keras corrects Adam's moments in float32
            weights = flat(model.trainable_variables)
            assert result["moved"] == pytest.approx(np.linalg.norm(weights - before), rel=1e-3)
            np.testing.assert_allclose(result["weights"], weights, **tolerance)
            np.testing.assert_allclose(result["inference"], flat([model(x, training=False)]), **tolerance)


def test_a_pixel_that_two_windows_see_counts_twice_on_the_way_back(open_page):
    """By hand: a kernel of ones, stride 1, on two by two pixels: every window sees all four."""
    page = open_page()
    call = """import("./nn.js").then(({ transposedConvolution }) => [...transposedConvolution(
      { size: 2, channels: 1, filters: 1, width: 3, stride: 1 }, new Float64Array(9).fill(1))([1, 2, 3, 4])])"""
    assert page.evaluate(call) == [10, 10, 10, 10]


@pytest.mark.parametrize("target", [0, 1])
def test_the_loss_of_one_logit_is_that_of_keras(open_page, target):
    page = open_page()
    logits = np.array([-800, -3, -0.5, 0, 1e-9, 2, 800.0])
    call = f"""import("./nn.js").then(({{ sigmoidCrossentropy }}) => {{
      const {{ loss, gradient }} = sigmoidCrossentropy(Float64Array.from({logits.tolist()}), {target});
      return [loss, ...gradient]; }})"""
    variable = keras.Variable(logits, dtype="float64")
    aims = np.full(7, target, "float64")

    def loss():
        return keras.ops.mean(keras.ops.binary_crossentropy(aims, variable.value, from_logits=True))

    value, gradients = value_and_grad(loss, [variable])
    np.testing.assert_allclose(page.evaluate(call), [numpy(value), *flat(gradients)], rtol=1e-9, atol=1e-12)


def test_a_module_is_made_with_the_libraries_that_it_imports_from(monkeypatch, tmp_path):
    monkeypatch.setattr(base, "FOLDER", tmp_path)
    for library in base.LIBRARIES:
        (tmp_path / f"{library}.js").write_text(f"// {library}\n")
    both = 'import { html } from "./dom.js";\nimport { adam } from "./nn.js";\n'
    (tmp_path / "both.js").write_text(both + "rest;\n")
    assert base.module("both") == "// dom\n// nn\nrest;\n"
    (tmp_path / "one.js").write_text('import { adam } from "./nn.js";\nrest;\n')
    assert base.module("one") == "// nn\nrest;\n"
    for wrong in ("rest;\n", 'import { x } from "./other.js";\n', both + 'import x from "https://host/x.js";\n'):
        (tmp_path / "wrong.js").write_text(wrong)
        with pytest.raises(ValueError, match=r'wrong\.js must import from "\./dom\.js" or "\./nn\.js"'):
            base.module("wrong")
