"""Residual networks: units against loops over pixels, networks against Keras's own and the paper's table."""

import functools
import re

import keras
import numpy as np
import pytest
from conftest import at_most, numpy, of_structure
from hypothesis import given
from hypothesis import strategies as st
from keras import layers, ops
from numpy.testing import assert_allclose, assert_array_equal

from coursekit import cost, pretrained, resnet, transfer
from coursekit.gradients import value_and_grad

UNITS = {
    "plain": resnet.plain_unit,
    "pre_activation": resnet.residual_unit,
    "post_activation": resnet.post_activation_unit,
    "bottleneck": resnet.bottleneck_unit,
}


def randomize(model, seed=0):
    """Give a model weights at which every one of them matters, and variances above 0."""
    random = np.random.default_rng(seed)
    model.set_weights(
        [
            random.uniform(0.5, 1.5, weight.shape)
            if weight.name in ("gamma", "moving_variance")
            else random.normal(size=weight.shape) * 0.7 / np.sqrt(np.prod(weight.shape[:-1]))
            for weight in model.weights
        ]
    )


def images(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def built(kind, shape, filters, strides=1, **options):
    x = keras.Input(shape)
    model = keras.Model(x, UNITS[kind](x, filters, strides, name="u", **options))
    randomize(model)
    return model


# Units, one pixel at a time


class Reference:
    """The layers of a unit, computed by hand from their weights."""

    def __init__(self, model):
        self.weights = {layer.name: {weight.name: numpy(weight) for weight in layer.weights} for layer in model.layers}

    def conv(self, x, name, strides=1):
        kernel, bias = self.weights[name]["kernel"], self.weights[name].get("bias", 0)
        size = len(kernel)
        padded = np.pad(x, [(0, 0), (size // 2, size // 2), (size // 2, size // 2), (0, 0)])
        rows, columns = (range(0, length, strides) for length in x.shape[1:3])
        return (
            np.stack(
                [
                    np.stack([np.tensordot(padded[:, i : i + size, j : j + size], kernel, 3) for j in columns], 1)
                    for i in rows
                ],
                1,
            )
            + bias
        )

    def norm(self, x, name):
        weights = self.weights[name]
        scale = weights["gamma"] / np.sqrt(weights["moving_variance"] + 1e-5)
        return (x - weights["moving_mean"]) * scale + weights["beta"]

    def norm_relu(self, x, name):
        return np.maximum(self.norm(x, f"{name}_norm"), 0)

    def around(self, x, filters, strides, shortcut, project):
        if shortcut == "projection" and x.shape[-1] != filters:
            return project()
        kept = x[:, ::strides, ::strides]
        missing = filters - x.shape[-1]
        return np.pad(kept, [(0, 0)] * 3 + [(missing // 2, missing - missing // 2)])

    def pre_activation(self, x, filters, strides, shortcut=None):
        y = self.norm_relu(x, "u_1")
        residual = self.conv(self.norm_relu(self.conv(y, "u_1_conv", strides), "u_2"), "u_2_conv")
        if shortcut is None:
            return residual
        return residual + self.around(x, filters, strides, shortcut, lambda: self.conv(y, "u_0_conv", strides))

    def bottleneck(self, x, filters, strides, shortcut):
        y = self.norm_relu(x, "u_1")
        residual = self.conv(self.norm_relu(self.conv(y, "u_1_conv"), "u_2"), "u_2_conv", strides)
        residual = self.conv(self.norm_relu(residual, "u_3"), "u_3_conv")
        return residual + self.around(x, 4 * filters, strides, shortcut, lambda: self.conv(y, "u_0_conv", strides))

    def post_activation(self, x, filters, strides, shortcut):
        residual = self.norm_relu(self.conv(x, "u_1_conv", strides), "u_1")
        residual = self.norm(self.conv(residual, "u_2_conv"), "u_2_norm")
        projected = lambda: self.norm(self.conv(x, "u_0_conv", strides), "u_0_norm")  # noqa: E731
        return np.maximum(residual + self.around(x, filters, strides, shortcut, projected), 0)


@at_most(15)
@given(
    kind=st.sampled_from(sorted(UNITS)),
    side=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    channels=st.integers(1, 3),
    more=st.integers(0, 2),
    strides=st.integers(1, 3),
    shortcut=st.sampled_from(resnet.SHORTCUTS),
)
def test_a_unit_is_what_its_figure_says(kind, side, channels, more, strides, shortcut):
    filters = channels + more
    options = {} if kind == "plain" else {"shortcut": shortcut}
    model = built(kind, (*side, channels), filters, strides, **options)
    x = images((2, *side, channels))
    reference = getattr(Reference(model), "pre_activation" if kind == "plain" else kind)
    assert_allclose(numpy(model(x)), reference(numpy(x), filters, strides, **options), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["pre_activation", "post_activation", "bottleneck"])
def test_a_zero_residual_begins_as_the_shortcut_and_trains(kind):
    filters = 4 if kind != "bottleneck" else 1
    x = keras.Input((6, 6, 4))
    model = keras.Model(x, UNITS[kind](x, filters, zero_residual=True, name="u"))
    batch = np.abs(images((3, 6, 6, 4)))  # the ReLU behind a post-activation unit leaves it as it is
    assert_array_equal(numpy(model(batch)), numpy(batch))
    model.compile("sgd", "mse")
    model.fit(batch, images((3, 6, 6, 4), seed=1), verbose=0)
    assert not np.allclose(numpy(model(batch)), batch)


def test_a_gamma_of_zero_before_a_relu_never_trains():
    """Why ``zero_residual`` of a pre-activation unit is its kernel."""
    model = built("pre_activation", (6, 6, 4), 4)
    model.get_layer("u_2_norm").set_weights([np.zeros(4), np.zeros(4), np.zeros(4), np.ones(4)])
    model.get_layer("u_2_conv").set_weights([model.get_layer("u_2_conv").get_weights()[0], np.zeros(4)])
    x = images((3, 6, 6, 4))
    weights = [model.get_layer("u_2_norm").gamma, model.get_layer("u_2_norm").beta, model.get_layer("u_1_conv").kernel]
    _, gradients = value_and_grad(lambda: ops.sum(model(x, training=True) ** 2), weights)
    assert all(not numpy(gradient).any() for gradient in gradients)


@pytest.mark.parametrize("kind", ["pre_activation", "bottleneck"])
def test_a_drop_rate_leaves_the_residual_out_for_some_examples(kind):
    keras.utils.set_random_seed(0)
    filters = 4 if kind == "pre_activation" else 1
    model = built(kind, (5, 5, 4), filters, drop_rate=0.25)
    for layer in model.layers:  # in training, as in inference, with moving averages
        layer.trainable = not isinstance(layer, layers.BatchNormalization)
    x = images((400, 5, 5, 4))
    residual = numpy(model(x)) - x
    dropped = numpy(model(x, training=True)) - x
    left_out = np.isclose(dropped, 0, atol=1e-6).all((1, 2, 3))
    assert 0.15 < left_out.mean() < 0.35
    assert_allclose(dropped[~left_out], residual[~left_out] / 0.75, rtol=1e-3, atol=1e-4)


# Networks


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_parameters_are_those_of_the_paper(depth, millions):
    """He et al. 2016a, table 6."""
    counted = cost.undrawn(resnet.resnet)(depth=depth, unit="post_activation").count_params()
    places = 1 if depth == 110 else 2
    assert abs(counted / 1e6 - millions) < 0.51 * 10**-places + 5e-3


@at_most(8)
@given(
    n=st.integers(1, 4),
    shape=st.tuples(st.integers(4, 20), st.integers(4, 20), st.integers(1, 4)),
    width=st.integers(1, 5),
    classes=st.integers(1, 6),
)
def test_twins_have_the_same_weights(n, shape, width, classes):
    plain, residual = (make(shape, classes, depth=6 * n + 2, filters=width) for make in (resnet.plain, resnet.resnet))
    assert [(weight.path, weight.shape) for weight in plain.weights] == [
        (weight.path, weight.shape) for weight in residual.weights
    ]
    assert residual.output_shape == (None, classes)
    side = [-(-length // 4) for length in shape[:2]]
    assert residual.get_layer("pool").input.shape == (None, *side, 4 * width)


@pytest.mark.parametrize("activation", ["pre_activation", "post_activation"])
@pytest.mark.parametrize("depth", [8, 20])
def test_depth_counts_the_layers_with_weights_on_the_longest_way(depth, activation):
    model = resnet.resnet((8, 8, 1), depth=depth, unit=activation, filters=2)
    kernels = [layer for layer in model.layers if isinstance(layer, (layers.Conv2D, layers.Dense))]
    assert len(kernels) == depth


def test_the_drop_rate_grows_with_the_depth():
    model = resnet.resnet((8, 8, 1), depth=20, filters=2, drop_rate=0.45)
    rates = [layer.rate for layer in model.layers if isinstance(layer, layers.Dropout)]
    assert_allclose(rates, 0.05 * np.arange(1, 10))


@pytest.mark.parametrize("make", [functools.partial(resnet.resnet, depth=8), functools.partial(resnet.plain, depth=8)])
def test_weight_decay_is_for_kernels_only(make):
    model = make((8, 8, 1), filters=2, weight_decay=0.01)
    squares = sum((numpy(weight) ** 2).sum() for weight in model.weights if weight.name == "kernel")
    assert_allclose(sum(map(float, model.losses)), 0.005 * squares, rtol=1e-5)
    assert not make((8, 8, 1), filters=2).losses


# Keras's own ResNets


@pytest.mark.parametrize(
    ("depth", "published"),
    [
        (50, keras.applications.ResNet50V2),
        (101, keras.applications.ResNet101V2),
        (152, keras.applications.ResNet152V2),
    ],
)
def test_layers_have_the_weights_of_keras_applications(depth, published):
    ours, theirs = cost.undrawn(resnet.resnet_v2)(depth=depth), cost.undrawn(published)(weights=None)
    assert [weight.shape for weight in ours.weights] == [weight.shape for weight in theirs.weights]
    assert [weight.name for weight in ours.weights] == [weight.name for weight in theirs.weights]
    assert [layer.count_params() for layer in ours.layers if layer.weights] == [
        layer.count_params() for layer in theirs.layers if layer.weights
    ]


@of_structure
@pytest.mark.parametrize("shape", [(64, 64, 3), (75, 50, 3)])
def test_logits_are_those_of_keras_applications(shape):
    theirs = keras.applications.ResNet50V2(weights=None, input_shape=shape, classes=10, classifier_activation=None)
    randomize(theirs)
    ours = resnet.resnet_v2(shape, 10, depth=50)
    ours.set_weights(theirs.get_weights())
    x = images((2, *shape))
    expected = numpy(theirs(x))
    assert_allclose(numpy(ours(x)), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(("depth", "convolutions"), [(18, 17), (34, 33), (50, 49)])
def test_depth_of_the_large_networks(depth, convolutions):
    model = cost.undrawn(resnet.resnet_v2)(depth=depth)
    on_the_way = [
        layer for layer in model.layers if isinstance(layer, layers.Conv2D) and not layer.name.endswith("_0_conv")
    ]
    assert len(on_the_way) == convolutions
    assert model.get_layer("pool").input.shape == (None, 7, 7, 2048 if depth == 50 else 512)


# Without a unit


@pytest.mark.parametrize("unit", ["stage1_unit2", "stage2_unit1", "stage3_unit1"])
@pytest.mark.parametrize("activation", ["pre_activation", "post_activation"])
def test_without_a_unit_its_residual_is_zero(unit, activation):
    model = resnet.resnet((8, 8, 3), depth=14, filters=3, unit=activation)
    randomize(model)
    x = images((2, 8, 8, 3))
    before = numpy(model(x))
    deleted = resnet.delete_units(model, unit)
    assert_array_equal(numpy(model(x)), before)
    last = model.get_layer(f"{unit}_2_conv" if activation == "pre_activation" else f"{unit}_2_norm")
    last.set_weights([np.zeros_like(weight) for weight in last.get_weights()])
    assert_allclose(numpy(deleted(x)), numpy(model(x)), rtol=1e-5, atol=1e-6)
    assert not np.allclose(numpy(deleted(x)), before)
    assert {layer.name for layer in deleted.layers}.isdisjoint({f"{unit}_1_conv", f"{unit}_add"})


def test_without_units_a_plain_network_is_the_shorter_one():
    deep, shallow = (resnet.plain((8, 8, 3), depth=depth, filters=3) for depth in (20, 14))
    randomize(deep)
    shorter = resnet.delete_units(deep, "stage1_unit2", "stage2_unit2", "stage3_unit2")
    kept = {layer.name: layer for layer in deep.layers}
    for layer in filter(lambda layer: layer.weights, shallow.layers):
        layer.set_weights(kept[re.sub("unit2", "unit3", layer.name)].get_weights())
    x = images((2, 8, 8, 3))
    assert_allclose(numpy(shorter(x)), numpy(shallow(x)), rtol=1e-5, atol=1e-6)


def test_a_model_without_a_unit_shares_its_weights():
    model = resnet.resnet((8, 8, 3), depth=14, filters=2)
    shorter = resnet.delete_units(model, "stage2_unit2")
    assert shorter.get_layer("stem").kernel is model.get_layer("stem").kernel


# Tools of others


@pytest.mark.parametrize("options", [{}, {"shortcut": "projection"}, {"unit": "post_activation", "drop_rate": 0.1}])
def test_a_network_survives_saving(tmp_path, options):
    model = resnet.resnet((8, 8, 3), depth=8, filters=2, **options)
    randomize(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = images((2, 8, 8, 3))
    assert_allclose(numpy(loaded(x)), numpy(model(x)), rtol=1e-6)


def test_its_cost_is_known_and_as_published():
    """He et al. 2016a, table 1, counts 3.8 billion multiplications for 50 layers; strides come a unit later here."""
    account = cost.summary(cost.undrawn(resnet.resnet_v2)())
    small = cost.summary(cost.undrawn(resnet.resnet)())
    assert account.notes == small.notes == []
    assert 3.3e9 < account.macs < 4.2e9


# The trained network


def test_the_trained_network_is_a_source_of_features():
    source = resnet.resnet((14, 14, 3), weights="cifar10")
    assert source.count_params() == resnet.resnet(depth=20).count_params()
    target = transfer.transfer_model(source, 5)
    assert target(images((2, 14, 14, 3))).shape == (2, 5)
    x = images((2, 14, 14, 3))
    tap = transfer.feature_extractor(source, "pool")
    assert_allclose(numpy(tap(x)), numpy(transfer.feature_extractor(target, "pool")(x)), rtol=1e-4, atol=1e-5)


def test_the_trained_network_wants_colors():
    with pytest.raises(
        ValueError, match=r"The weights 'cifar10' are those of another network than resnet20: one of shape"
    ):
        resnet.resnet((28, 28, 1), weights="cifar10")


# Bad input


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: resnet.resnet(depth=21), "depth is 21; networks of three stages have 6n + 2 layers: 20 or 26."),
        (lambda: resnet.plain(depth=50.0), "depth is 50.0; networks of three stages have 6n + 2 layers: 50 or 56."),
        (lambda: resnet.resnet(depth=2), "depth is 2; networks of three stages have 6n + 2 layers: 8, 14, 20, 26, ..."),
        (lambda: resnet.resnet(depth="20"), "depth is '20'; networks"),
        (
            lambda: resnet.resnet((3, 32, 3), depth=20),
            "input_shape is (3, 32, 3); it must be (height, width, channels) with",
        ),
        (lambda: resnet.resnet(depth=20, filters=0), "filters is 0; it must be a whole number from 1."),
        (lambda: resnet.resnet(depth=20, num_classes=0), "num_classes is 0; it must be a whole number from 1."),
        (
            lambda: resnet.resnet(depth=20, unit="mid"),
            "unit is 'mid'; it must be one of 'pre_activation', 'post_activation'.",
        ),
        (
            lambda: resnet.resnet(depth=20, shortcut="pad"),
            "shortcut is 'pad'; it must be one of 'projection', 'zero_padding'.",
        ),
        (
            lambda: resnet.resnet(depth=20, drop_rate=1),
            "drop_rate is 1; it must be from 0, which drops nothing, to less",
        ),
        (
            lambda: resnet.plain(depth=20, weight_decay=-1),
            "weight_decay is -1; it must be 0, which is none, or greater.",
        ),
        (lambda: resnet.resnet_v2(depth=49), "depth is 49; it must be one of 18, 34, 50, 101, 152."),
        (lambda: resnet.resnet_v2((31, 32, 3), depth=50), "input_shape is (31, 32, 3); it must be"),
        (lambda: resnet.plain_unit(keras.Input((8,)), 4), "The input has shape (None, 8); it must be (batch, height,"),
        (lambda: resnet.residual_unit(keras.Input((8, 8, 4)), 0), "filters is 0; it must be a whole number from 1."),
        (lambda: resnet.bottleneck_unit(keras.Input((8, 8, 4)), 1, 0), "strides is 0; it must be a whole number"),
        (
            lambda: resnet.residual_unit(keras.Input((8, 8, 4)), 2, shortcut="zero_padding"),
            "x has 4 channels, and zeros cannot take any away for 2 filters; use the shortcut 'projection'.",
        ),
        (
            lambda: resnet.delete_units(resnet.resnet((8, 8, 1), depth=8, filters=2), "stage1_unit2"),
            "The model has no unit 'stage1_unit2'; it has stage1_unit1, stage2_unit1, stage3_unit1.",
        ),
        (
            lambda: resnet.delete_units(
                keras.Sequential([keras.Input((8,)), layers.Dense(2)], name="dense"), "stage1_unit1"
            ),
            "dense has no units of this module; build it with resnet.resnet",
        ),
        (
            lambda: resnet.delete_units(resnet.plain((8, 8, 1), depth=8, filters=2), "stage2_unit1"),
            "stage2_unit1 has no shortcut and changes the shape; the rest cannot do without it.",
        ),
    ],
)
def test_bad_input_gets_one_sentence(make, sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        make()


# Weights of others


@of_structure
def test_weights_of_imagenet_come_from_keras_applications(monkeypatch):
    published = keras.applications.ResNet50V2(weights=None)
    randomize(published)
    monkeypatch.setattr(keras.applications, "ResNet50V2", lambda: published)
    for one, other in zip(resnet.resnet_v2(weights="imagenet").weights, published.weights, strict=True):
        assert_array_equal(numpy(one), numpy(other))
    with pytest.raises(ValueError, match="The weights 'imagenet' are those of another network than resnet50v2"):
        resnet.resnet_v2((64, 64, 3), 5, weights="imagenet")
    with pytest.raises(FileNotFoundError, match=r"weights is 'imagenet'; it must be None, or the path of a \.weights"):
        resnet.resnet_v2((32, 32, 3), 5, depth=18, weights="imagenet")


def test_weights_of_the_public_implementation_fit_in_order():
    """Its names and shapes: github.com/akamaster/pytorch_resnet_cifar10, whose ResNet-20 is ours, layer by layer."""
    random = np.random.default_rng(0)
    state = {}

    def layer(name, filters, channels):
        conv, norm = name
        state[f"{conv}.weight"] = 0.1 * random.normal(size=(filters, channels, 3, 3))
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{norm}.{part}"] = random.uniform(0.5, 1.5, filters)
        state[f"{norm}.num_batches_tracked"] = np.array(1)

    layer(("conv1", "bn1"), 16, 3)
    for stage, filters in enumerate((16, 32, 64), start=1):
        for unit in range(3):
            channels = filters // 2 if unit == 0 and stage > 1 else filters
            prefix = f"layer{stage}.{unit}"
            layer((f"{prefix}.conv1", f"{prefix}.bn1"), filters, channels)
            layer((f"{prefix}.conv2", f"{prefix}.bn2"), filters, filters)
    state |= {"linear.weight": random.normal(size=(10, 64)), "linear.bias": random.normal(size=10)}
    model = pretrained.from_pytorch(resnet.resnet(unit="post_activation"), state)
    for name, layer_name in (("layer2.0.conv2", "stage2_unit1_2_conv"), ("layer3.2.conv1", "stage3_unit3_1_conv")):
        kernel = numpy(model.get_layer(layer_name).kernel)
        assert_allclose(kernel, state[f"{name}.weight"].transpose(2, 3, 1, 0), rtol=1e-6)
    assert_allclose(numpy(model.get_layer("stage3_unit1_2_norm").gamma), state["layer3.0.bn2.weight"], rtol=1e-6)
