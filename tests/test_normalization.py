"""Normalization: local response against loops and TensorFlow's op, batch norm against Keras's, AlexNet's table.

TensorFlow is the peer whichever backend runs; it is only ever given, and gives back, NumPy arrays.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import at_most, numpy
from hypothesis import given
from hypothesis import strategies as st
from keras import layers, ops
from numpy.testing import assert_allclose, assert_array_equal

from coursekit import normalization, training
from coursekit.gradients import value_and_grad
from coursekit.normalization import BatchNormalization, LocalResponseNormalization

small = st.integers(1, 4)


def array(shape, seed=0, scale=1.0, dtype="float32"):
    return (scale * np.random.default_rng(seed).normal(size=shape)).astype(dtype)


def output_and_gradients(layer, x, upstream, **call_options):
    """What a layer returns, and the gradients of ``sum(upstream * output)``: of x first, then of the weights.

    The layer's state stays as it is.
    """
    x = keras.Variable(x, dtype=layer.compute_dtype)
    upstream = ops.cast(upstream, layer.compute_dtype)

    def call():
        return layer(ops.convert_to_tensor(x), **call_options)

    def both():
        with keras.StatelessScope():
            output = call()
        return output, value_and_grad(lambda: ops.sum(upstream * call()), [x, *layer.trainable_variables])[1]

    if keras.backend.backend() == "jax":  # compile all operations at once, which is faster than one after the other
        import jax

        both = jax.jit(both)
    output, gradients = both()
    return numpy(output), [numpy(gradient) for gradient in gradients]


# Local response normalization


def window(index, shape, radius, across):
    """Where the neighbors of a value are, itself among them; channels last."""
    axes = [len(shape) - 1] if across == "channels" else [1, 2]
    for offsets in np.ndindex(*[2 * radius + 1] * len(axes)):
        neighbor = list(index)
        for axis, offset in zip(axes, offsets, strict=True):
            neighbor[axis] += offset - radius
        if all(0 <= neighbor[axis] < shape[axis] for axis in axes):
            yield tuple(neighbor)


def naive_lrn(x, upstream, across="channels", depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75):
    """The formula and its derivative, in float64, one value at a time."""
    x, upstream = x.astype("float64"), upstream.astype("float64")
    output, gradient = np.zeros_like(x), np.zeros_like(x)
    for here in np.ndindex(x.shape):
        neighbors = list(window(here, x.shape, depth_radius, across))
        total = bias + alpha * sum(x[there] ** 2 for there in neighbors)
        output[here] = x[here] / total**beta
        gradient[here] += upstream[here] / total**beta
        for there in neighbors:
            gradient[there] -= 2 * alpha * beta * x[there] * upstream[here] * x[here] / total ** (beta + 1)
    return output, gradient


def channels_first(x):
    return np.moveaxis(x, -1, 1)


PARAMETERS = {
    "depth_radius": st.integers(0, 5),
    "bias": st.floats(0.1, 5),
    "alpha": st.one_of(st.just(0), st.floats(1e-4, 2)),
    "beta": st.one_of(st.sampled_from([0.75, 0.5, 1]), st.floats(0, 2)),
}
SHAPES = {
    "channels": st.lists(small, min_size=1, max_size=4).flatmap(
        lambda shape: st.integers(1, 8).map(lambda channels: (*shape, channels))
    ),
    "pixels": st.tuples(small, st.integers(1, 6), st.integers(1, 6), small),
}


@pytest.mark.parametrize("across", ["channels", "pixels"])
@at_most(25)
@given(data=st.data(), parameters=st.fixed_dictionaries(PARAMETERS), seed=st.integers(0, 99), first=st.booleans())
def test_lrn_equals_the_formula(across, data, parameters, seed, first):
    shape = data.draw(SHAPES[across])
    scale = data.draw(st.sampled_from([0.1, 1, 30]))
    x, upstream = array(shape, seed, scale), array(shape, seed + 1)
    expected = naive_lrn(x, upstream, across, **parameters)
    if first:
        x, upstream, *expected = (channels_first(one) for one in (x, upstream, *expected))
    data_format = "channels_first" if first else "channels_last"
    layer = LocalResponseNormalization(**parameters, across=across, data_format=data_format)
    output, (gradient,) = output_and_gradients(layer, x, upstream)
    assert_allclose(output, expected[0], rtol=2e-5, atol=1e-6)
    assert_allclose(gradient, expected[1], rtol=1e-4, atol=1e-5)


def tensorflows_lrn(x, upstream, depth_radius, **parameters):
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = tf.nn.local_response_normalization(x, depth_radius, **parameters)
    return output.numpy(), tape.gradient(output, x, upstream).numpy()


@at_most(25)
@given(parameters=st.fixed_dictionaries(PARAMETERS), shape=st.tuples(small, small, small, st.integers(1, 12)))
def test_lrn_equals_tensorflows(parameters, shape):
    x, upstream = array(shape, scale=3), array(shape, seed=1)
    expected = tensorflows_lrn(x, upstream, **parameters)
    output, (gradient,) = output_and_gradients(LocalResponseNormalization(**parameters), x, upstream)
    assert_allclose(output, expected[0], rtol=2e-5, atol=1e-6)
    assert_allclose(gradient, expected[1], rtol=1e-4, atol=1e-5)


def test_lrn_with_alexnets_constants_and_activations():
    x, upstream = array((2, 5, 5, 96), scale=100), array((2, 5, 5, 96), seed=1)
    parameters = {"depth_radius": 2, "bias": 2.0, "alpha": 1e-4, "beta": 0.75}
    output, (gradient,) = output_and_gradients(LocalResponseNormalization(), x, upstream)
    for expected in (tensorflows_lrn(x, upstream, **parameters), naive_lrn(x, upstream)):
        assert_allclose(output, expected[0], rtol=1e-5)
        assert_allclose(gradient, expected[1], rtol=1e-4, atol=1e-6)


def test_pytorchs_alpha_is_ours_times_the_size_of_the_window():
    size, alpha, beta, k = 5, 0.3, 0.75, 1.5
    x = array((2, 7, 3, 3), scale=3)  # channels first
    padded = np.pad(x**2, [(0, 0), (2, 2), (0, 0), (0, 0)])
    averages = np.mean([padded[:, offset : offset + 7] for offset in range(size)], axis=0)
    layer = LocalResponseNormalization(2, k, alpha / size, beta, data_format="channels_first")
    assert_allclose(numpy(layer(x)), x / (k + alpha * averages) ** beta, rtol=1e-5)


def test_lrn_makes_the_excited_stand_out():
    x = np.array([[1, 1, 8, 1, 1, 1, 1]], "float32")
    excited, beside, far = numpy(LocalResponseNormalization(1, 1, 1, 0.75)(x))[0, [2, 1, 6]]
    assert excited / beside == pytest.approx(8)  # both have the same neighborhood, so far
    assert far / beside > 8


@pytest.mark.parametrize("across", ["channels", "pixels"])
@pytest.mark.parametrize(
    ("dtype", "rtol"), [("float16", 2e-3), ("bfloat16", 2e-2), ("mixed_float16", 2e-3), ("mixed_bfloat16", 2e-2)]
)
def test_lrn_in_half_precision_sums_in_single(across, dtype, rtol):
    x = numpy(ops.cast(array((2, 4, 4, 6), scale=1000), dtype.removeprefix("mixed_")))
    assert np.abs(x).max() > 2000  # whose square is far beyond float16
    layer = LocalResponseNormalization(across=across, dtype=dtype)
    assert keras.backend.standardize_dtype(layer(x).dtype) == layer.compute_dtype != "float32"
    output, (gradient,) = output_and_gradients(layer, x, np.ones_like(x))
    expected = naive_lrn(x, np.ones_like(x), across)
    assert_allclose(output, expected[0], rtol=rtol)
    assert_allclose(gradient, expected[1], rtol=5 * rtol, atol=1e-4)


@pytest.mark.only_on("tensorflow", "jax")  # on PyTorch, Keras's tensordot computes in single precision
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")
@pytest.mark.parametrize("across", ["channels", "pixels"])
def test_lrn_in_double_precision(across):
    x, upstream = array((2, 4, 4, 6), scale=100, dtype="float64"), array((2, 4, 4, 6), seed=1, dtype="float64")
    output, (gradient,) = output_and_gradients(LocalResponseNormalization(across=across, dtype="float64"), x, upstream)
    expected = naive_lrn(x, upstream, across)
    # JAX, unless told otherwise, takes float32 for it.
    rtol = 1e-5 if keras.backend.backend() == "jax" else 1e-12
    assert_allclose(output, expected[0], rtol=rtol)
    assert_allclose(gradient, expected[1], rtol=10 * rtol, atol=rtol)


def test_lrn_of_integers():
    x = np.array([[3, 100_000]])
    assert_allclose(numpy(LocalResponseNormalization()(x)), naive_lrn(x, x)[0], rtol=1e-5)


@pytest.mark.parametrize("across", ["channels", "pixels"])
def test_lrn_of_unknown_sizes(across):
    inputs = keras.Input((None, None, 3))
    layer = LocalResponseNormalization(across=across, alpha=1.0)
    model = keras.Model(inputs, layer(inputs))
    assert model.output.shape == layer.compute_output_shape((None, None, None, 3)) == (None, None, None, 3)
    for shape in ((1, 2, 5, 3), (3, 4, 1, 3)):
        x = array(shape)
        assert_allclose(model.predict(x, verbose=0), naive_lrn(x, x, across, alpha=1.0)[0], rtol=2e-5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"depth_radius": -1}, "depth_radius is -1; it must be a whole number from 0"),
        ({"depth_radius": 1.5}, r"depth_radius is 1\.5; it must be"),
        ({"depth_radius": True}, "depth_radius is True; it must be"),
        ({"bias": 0}, "bias is 0; it must be greater than 0"),
        ({"bias": float("nan")}, "bias is nan; it must be"),
        ({"bias": "2"}, "bias is '2'; it must be"),
        ({"alpha": -1e-4}, r"alpha is -0\.0001; it must be a number from 0"),
        ({"alpha": float("inf")}, "alpha is inf; it must be"),
        ({"beta": -0.75}, r"beta is -0\.75; it must be a number from 0"),
        ({"beta": None}, "beta is None; it must be"),
        ({"across": "space"}, "across is 'space'; it must be one of 'channels', 'pixels'"),
        ({"data_format": "NCHW"}, "data_format is 'NCHW'; it must be one of None, 'channels_last', 'channels_first'"),
    ],
)
def test_lrn_refuses(options, sentence):
    with pytest.raises(ValueError, match=rf"^{sentence}.*\.$"):
        LocalResponseNormalization(**options)


@pytest.mark.parametrize(("across", "shape"), [("channels", (3,)), ("pixels", (2, 3, 4)), ("pixels", (2, 3))])
def test_lrn_refuses_another_rank(across, shape):
    with pytest.raises(ValueError, match=f"expected (min_)?ndim=., found ndim={len(shape)}"):
        LocalResponseNormalization(across=across)(np.ones(shape, "float32"))


def test_lrn_needs_to_know_the_channels():
    sentence = r"^norm1 got inputs of shape \(None, 5, 5, None\); the number of channels must be known\.$"
    with pytest.raises(ValueError, match=sentence):
        LocalResponseNormalization(name="norm1")(keras.Input((5, 5, None)))


# Batch normalization


def twins(shape, seed=0, **options):
    """A layer of ours and Keras's own, with the same random weights."""
    ours, theirs = BatchNormalization(**options), layers.BatchNormalization(**options)
    features = shape[options.get("axis", -1)]
    weights = [array(features, seed + row) for row in range(3)] + [1 + array(features, seed + 3) ** 2]
    for layer in (ours, theirs):
        layer.build(shape)
        layer.set_weights(weights)
    return ours, theirs


def assert_same(ours, theirs, rtol=1e-5, atol=1e-5):
    for one, other in zip(ours, theirs, strict=True):
        assert_allclose(numpy(one), numpy(other), rtol=rtol, atol=atol)


@st.composite
def shapes_with_axis(draw):
    """Two values of a feature or more, dense or convolutional, and an axis of features."""
    shape = (draw(st.integers(2, 5)), *draw(st.lists(small, min_size=1, max_size=3)))
    return shape, draw(st.sampled_from([axis for axis in range(-len(shape), len(shape)) if axis % len(shape)]))


@pytest.mark.parametrize("in_training", [True, False])
@at_most(20)
@given(
    shape_and_axis=shapes_with_axis(),
    epsilon=st.floats(0.01, 1),
    seed=st.integers(0, 99),
)
def test_batch_norm_equals_keras(in_training, shape_and_axis, epsilon, seed):
    shape, axis = shape_and_axis
    x, upstream = 2 + array(shape, seed, scale=3), array(shape, seed + 1)
    ours, theirs = twins(shape, seed, epsilon=epsilon, axis=axis)
    output, gradients = output_and_gradients(ours, x, upstream, training=in_training)
    expected_output, expected_gradients = output_and_gradients(theirs, x, upstream, training=in_training)
    assert_allclose(output, expected_output, rtol=1e-4, atol=1e-4)
    assert len(gradients) == 3
    assert_same(gradients, expected_gradients, rtol=1e-3, atol=1e-3)


@at_most(10)
@given(shape=st.lists(st.integers(3, 5), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_batch_norm_is_algorithm_1(shape, seed):
    x = 5 + array(shape, seed, scale=3, dtype="float64")
    output = numpy(BatchNormalization(epsilon=0.0)(x, training=True))
    for feature in range(shape[-1]):
        values = x[..., feature].ravel()
        mean = sum(values) / len(values)
        variance = sum((value - mean) ** 2 for value in values) / len(values)
        assert_allclose(output[..., feature].ravel(), (values - mean) / variance**0.5, rtol=1e-3, atol=1e-4)
        assert np.mean(output[..., feature] ** 2) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize(("shape", "axis"), [((6, 5), -1), ((4, 3, 3, 5), 3), ((4, 5, 3, 3), 1)])
@pytest.mark.parametrize("momentum", [0.99, 0.9, 0.3])
def test_moving_statistics_after_20_steps(shape, axis, momentum):
    ours, theirs = twins(shape, momentum=momentum, axis=axis)
    mean, variance = (numpy(weight) for weight in ours.weights[2:])
    for step in range(20):
        x = step + array(shape, seed=step, scale=3)
        for layer in (ours, theirs):
            layer(x, training=True)
        of_feature = np.moveaxis(x, axis, -1).reshape(-1, 5).astype("float64")
        mean = momentum * mean + (1 - momentum) * of_feature.mean(0)
        variance = momentum * variance + (1 - momentum) * of_feature.var(0)
    assert_same(ours.weights, theirs.weights)
    assert_allclose(numpy(ours.moving_mean), mean, rtol=1e-4)
    assert_allclose(numpy(ours.moving_variance), variance, rtol=1e-4)
    assert_allclose(numpy(ours(x)), numpy(theirs(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("call_options", [{}, {"training": False}, {"training": None}])
def test_inference_changes_nothing(call_options):
    layer, _ = twins((6, 5))
    before = layer.get_weights()
    first = layer(array((6, 5), seed=7, scale=9), **call_options)
    layer(array((6, 5), seed=8, scale=9), **call_options)
    for one, other in zip(layer.get_weights(), before, strict=True):
        assert_array_equal(one, other)
    assert_array_equal(numpy(layer(array((6, 5), seed=7, scale=9), **call_options)), numpy(first))


def test_frozen_batch_norm_is_in_inference_mode():
    layer, theirs = twins((6, 5))
    x, before = array((6, 5), seed=7, scale=9), layer.get_weights()
    in_training = numpy(layer(x, training=True))
    layer.set_weights(before)
    in_inference = numpy(layer(x, training=False))
    layer.trainable = theirs.trainable = False
    assert_array_equal(numpy(layer(x, training=True)), in_inference)
    assert_allclose(in_inference, numpy(theirs(x, training=True)), rtol=1e-5, atol=1e-5)
    assert np.abs(in_training - in_inference).max() > 0.1
    for one, other in zip(layer.get_weights(), before, strict=True):
        assert_array_equal(one, other)
    assert not layer.trainable_variables


@at_most(10)
@given(shape=st.lists(st.integers(2, 5), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_masked_values_count_no_more_than_in_keras(shape, seed):
    ours, theirs = twins(shape, seed)
    x, mask = 2 + array(shape, seed, scale=3), array(shape[:-1], seed + 1) > 0
    mask.flat[0] = True
    outputs = [numpy(layer(x, training=True, mask=mask)) for layer in (ours, theirs)]
    assert_allclose(*outputs, rtol=1e-4, atol=1e-4)
    assert_same(ours.weights, theirs.weights, rtol=1e-4, atol=1e-4)


def test_masks_are_passed_on():
    words = keras.Input((5,))
    x = layers.Embedding(9, 4, mask_zero=True)(words)
    for layer in (BatchNormalization(), LocalResponseNormalization(), BatchNormalization(momentum=0.5)):
        x = layer(x)
    by_mask = keras.Model(words, layers.GlobalAveragePooling1D()(x))
    assert_allclose(*numpy(by_mask(np.array([[1, 2, 0, 0, 0], [1, 2, 0, 0, 0]]))), rtol=1e-6)
    seen = numpy(by_mask(np.array([[1, 2, 0, 0, 0]])))
    x = by_mask.layers[-2](by_mask.layers[-3](by_mask.layers[-4](by_mask.layers[1](np.array([[1, 2]])))))
    assert_allclose(seen, numpy(x).mean(1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 1), (1, 3), (3, 2), (6,)])
def test_a_mask_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"The mask has shape .*; for x of shape .*2, 3, 4.*, it is .*2, 3"):
        BatchNormalization()(np.ones((2, 3, 4), "float32"), training=True, mask=np.ones(shape, bool))


def test_batch_norm_in_a_fit_equals_keras(tmp_path):
    x, y = array((24, 4, 4, 2), scale=3), np.arange(24) % 3
    fitted = []
    for kind in (BatchNormalization, layers.BatchNormalization):
        keras.utils.set_random_seed(0)
        stack = [layers.Conv2D(3, 3), kind(), layers.Flatten(), kind(momentum=0.5), layers.Dense(3)]
        model = keras.Sequential([keras.Input((4, 4, 2)), *stack])
        training.compile_classifier(model, optimizer=keras.optimizers.SGD(0.1))
        training.fit(model, x, y, epochs=3, seed=0, batch_size=8)
        fitted.append(model)
    ours, theirs = fitted
    assert_same(ours.weights, theirs.weights, atol=1e-4)
    ours.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [layer.momentum for layer in loaded.layers if isinstance(layer, BatchNormalization)] == [0.99, 0.5]
    assert_array_equal(numpy(loaded(x)), numpy(ours(x)))


@pytest.mark.parametrize("shape", [(1, 3), (1, 1, 1, 3)])
def test_a_single_value_per_feature_becomes_beta(shape):
    ours, theirs = twins(shape)
    x, upstream = array(shape, seed=7, scale=100), array(shape, seed=8)
    for layer in (ours, theirs):
        before = layer.get_weights()
        layer(x, training=True)
        assert_allclose(numpy(layer.moving_variance), 0.99 * before[3], rtol=1e-6)
        output, (of_x, of_gamma, of_beta) = output_and_gradients(layer, x, upstream, training=True)
        atol = 0 if layer is ours else 1e-3
        assert_allclose(output.ravel(), before[1], atol=atol)
        assert_allclose(of_x, np.zeros(shape), atol=atol)
        assert_allclose(of_gamma, np.zeros(3), atol=atol)
        assert_allclose(of_beta, upstream.ravel())


@pytest.mark.parametrize("in_training", [True, False])
@pytest.mark.parametrize("dtype", ["float16", "mixed_float16", "mixed_bfloat16"])
def test_batch_norm_in_half_precision_equals_keras(dtype, in_training):
    x = array((16, 5), scale=1000)  # whose squares are beyond float16
    ours, theirs = twins(x.shape, dtype=dtype)
    output = ours(x, training=in_training)
    assert keras.backend.standardize_dtype(output.dtype) == ours.compute_dtype != "float32"
    assert [weight.dtype for weight in ours.weights] == [ours.variable_dtype] * 4
    rtol = 2e-2 if "bfloat" in dtype else 2e-3
    assert_allclose(numpy(output), numpy(theirs(x, training=in_training)), rtol=rtol, atol=rtol)
    if dtype != "float16":  # in pure float16 not even Keras's moving variance of a million has room
        assert_same(ours.weights, theirs.weights, rtol=rtol, atol=rtol)


def test_batch_norm_of_unknown_sizes():
    inputs = keras.Input((None, None, 3))
    layer = BatchNormalization()
    model = keras.Model(inputs, layer(inputs))
    assert model.output.shape == layer.compute_output_shape((None, None, None, 3)) == (None, None, None, 3)
    for shape in ((1, 2, 5, 3), (3, 4, 1, 3)):
        assert_allclose(model.predict(array(shape), verbose=0), array(shape) / 1.001**0.5, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"momentum": 1.1}, r"momentum is 1\.1; it must be from 0"),
        ({"momentum": -0.1}, r"momentum is -0\.1; it must be from 0"),
        ({"momentum": float("nan")}, "momentum is nan; it must be"),
        ({"epsilon": -1e-3}, r"epsilon is -0\.001; it must be a number from 0"),
        ({"epsilon": "small"}, "epsilon is 'small'; it must be"),
        ({"axis": [1, 2]}, r"axis is \[1, 2\]; it must be one whole number"),
    ],
)
def test_batch_norm_refuses(options, sentence):
    with pytest.raises(ValueError, match=rf"^{sentence}.*\.$"):
        BatchNormalization(**options)


@pytest.mark.parametrize(("axis", "shape"), [(4, (2, 3, 3, 5)), (-3, (2, 3)), (-1, (2, None))])
def test_batch_norm_needs_to_know_its_features(axis, shape):
    with pytest.raises(ValueError, match=rf"^norm1 got inputs of shape \(2, .*; axis {axis} must have a known size\.$"):
        BatchNormalization(axis=axis, name="norm1").build(shape)


# Saving


@pytest.mark.parametrize(
    "layer",
    [
        LocalResponseNormalization(3, 1.5, 0.1, 0.5, name="norm1"),
        LocalResponseNormalization(across="pixels", alpha=1.0, data_format="channels_last"),
        BatchNormalization(momentum=0.5, epsilon=0.1, axis=1, dtype="mixed_float16"),
    ],
)
def test_saving(layer, tmp_path):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    inputs = keras.Input((4, 4, 3))
    model = keras.Model(inputs, layer(inputs))
    for weight in layer.weights:
        weight.assign(1 + array(weight.shape) ** 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = array((2, 4, 4, 3))
    assert type(loaded.layers[1]) is type(layer)
    assert_array_equal(numpy(loaded(x)), numpy(model(x)))
    assert np.abs(numpy(model(x)) - x).max() > 0.1


def test_lrn_has_no_weights():
    layer = LocalResponseNormalization()
    layer(array((2, 3, 3, 4)))
    assert layer.built and not layer.weights


# AlexNet

# Figure 2 and section 3.5: shapes after every layer. Parameters: kernel area * channels seen * filters + filters.
TABLE = [
    ("conv1", (55, 55, 96), 11 * 11 * 3 * 96 + 96),
    ("act1", (55, 55, 96), 0),
    ("norm1", (55, 55, 96), 0),
    ("pool1", (27, 27, 96), 0),
    ("conv2", (27, 27, 256), 5 * 5 * 48 * 256 + 256),
    ("act2", (27, 27, 256), 0),
    ("norm2", (27, 27, 256), 0),
    ("pool2", (13, 13, 256), 0),
    ("conv3", (13, 13, 384), 3 * 3 * 256 * 384 + 384),
    ("act3", (13, 13, 384), 0),
    ("conv4", (13, 13, 384), 3 * 3 * 192 * 384 + 384),
    ("act4", (13, 13, 384), 0),
    ("conv5", (13, 13, 256), 3 * 3 * 192 * 256 + 256),
    ("act5", (13, 13, 256), 0),
    ("pool5", (6, 6, 256), 0),
    ("features", (9216,), 0),
    ("fc6", (4096,), 9216 * 4096 + 4096),
    ("act6", (4096,), 0),
    ("dropout6", (4096,), 0),
    ("fc7", (4096,), 4096 * 4096 + 4096),
    ("act7", (4096,), 0),
    ("dropout7", (4096,), 0),
    ("logits", (1000,), 4096 * 1000 + 1000),
]


@pytest.fixture(scope="module")
def alexnet():
    return normalization.alexnet()


def test_alexnet_is_the_papers(alexnet):
    rows = [(layer.name, layer.output.shape[1:], layer.count_params()) for layer in alexnet.layers[1:]]
    assert rows == TABLE
    assert alexnet.count_params() == 60_965_224
    settings_of_norm = ("depth_radius", "bias", "alpha", "beta", "across")
    for name in ("norm1", "norm2"):
        norm = alexnet.get_layer(name)
        assert [getattr(norm, setting) for setting in settings_of_norm] == [2, 2.0, 1e-4, 0.75, "channels"]
    assert {alexnet.get_layer(name).rate for name in ("dropout6", "dropout7")} == {0.5}


@pytest.mark.parametrize(("name", "channels"), [("conv2", 96), ("conv4", 384), ("conv5", 384)])
def test_alexnets_towers_do_not_see_each_other(alexnet, name, channels):
    layer = alexnet.get_layer(name)
    x = array((1, 5, 5, channels))
    changed = x.copy()
    changed[..., : channels // 2] += 1
    difference = np.abs(numpy(layer(changed)) - numpy(layer(x))).max((0, 1, 2))
    half = layer.filters // 2
    assert np.all(difference[:half] > 1e-3) and np.all(difference[half:] == 0)


def test_alexnet_without_towers_with_batch_norm():
    model = normalization.alexnet(normalization="batch", groups=1)
    assert [layer.name for layer in model.layers[1:]] == [name for name, *_ in TABLE]
    assert model.count_params() == 62_378_344 + 4 * (96 + 256)
    assert {type(model.get_layer(name)) for name in ("norm1", "norm2")} == {BatchNormalization}


def test_alexnet_for_few_classes_and_the_smallest_images():
    model = normalization.alexnet(num_classes=3, normalization=None, input_shape=(67, 70, 1))
    assert [layer.name for layer in model.layers[1:]] == [name for name, *_ in TABLE if not name.startswith("norm")]
    assert model(array((2, 67, 70, 1))).shape == (2, 3)
    assert model.get_layer("logits").activation is keras.activations.linear


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"normalization": "layer"}, "normalization is 'layer'; it must be one of 'lrn', 'batch', None"),
        ({"input_shape": (66, 227, 3)}, r"input_shape is \(66, 227, 3\); it must be .* at least 67 pixels a side"),
        ({"input_shape": (227, 227)}, r"input_shape is \(227, 227\); it must be \(height, width, channels\)"),
        ({"groups": 3}, "groups is 3; it must be one of 1, 2"),
        ({"num_classes": 0}, "num_classes is 0; it must be a whole number from 1"),
    ],
)
def test_alexnet_refuses(options, sentence):
    with pytest.raises(ValueError, match=rf"^{sentence}.*\.$"):
        normalization.alexnet(**options)


# The small one


def names(model):
    return [layer.name for layer in model.layers[1:]]


@at_most(15)
@given(
    size=st.sampled_from([14, 28, 32]),
    kind=st.sampled_from(["lrn", "batch", None]),
    where=st.sampled_from(["before", "after"]),
    filters=st.lists(st.sampled_from([2, 3]), min_size=1, max_size=3),
    dropout=st.sampled_from([0.0, 0.5]),
    data=st.data(),
)
def test_small_alexnet(size, kind, where, filters, dropout, data):
    numbers = range(1, len(filters) + 1)
    normalized = data.draw(st.one_of(st.none(), st.sets(st.sampled_from(numbers))))
    model = normalization.small_alexnet(
        (size, size, 1),
        3,
        normalization=kind,
        filters=filters,
        where=where,
        normalized_layers=normalized,
        dropout=dropout,
    )
    expected = []
    for number in numbers:
        block = [f"conv{number}", f"act{number}", f"pool{number}"]
        if kind and (normalized is None or number in normalized):
            block.insert(1 if where == "before" else 2, f"norm{number}")
            classes = {"lrn": LocalResponseNormalization, "batch": BatchNormalization}
            assert type(model.get_layer(f"norm{number}")) is classes[kind]
        expected += block
        size = -(-size // 2)
        assert model.get_layer(f"pool{number}").output.shape == (None, size, size, filters[number - 1])
    assert names(model) == [*expected, "features", *(["dropout"] if dropout else []), "logits"]
    assert model.output.shape == (None, 3)


def test_small_alexnets_options():
    strong = functools.partial(LocalResponseNormalization, alpha=0.5, across="pixels")
    model = normalization.small_alexnet(
        (8, 8, 1), 3, normalization=strong, filters=(4,), kernel_size=3, activation="tanh", dropout=0.3
    )
    assert (model.get_layer("norm1").alpha, model.get_layer("norm1").across) == (0.5, "pixels")
    assert model.get_layer("conv1").kernel.shape == (3, 3, 1, 4)
    assert model.get_layer("act1").activation is keras.activations.tanh
    assert model.get_layer("dropout").rate == 0.3


@pytest.mark.parametrize("kind", ["lrn", "batch", None])
def test_small_alexnet_learns(kind):
    x, y = array((12, 14, 14, 1)), np.arange(12) % 3
    keras.utils.set_random_seed(0)
    model = normalization.small_alexnet((14, 14, 1), 3, normalization=kind, filters=(4, 4))
    losses = training.fit(training.compile_classifier(model, 0.01), x, y, epochs=10, seed=0)["loss"]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"normalization": "rms"}, "normalization is 'rms'; it must be one of 'lrn', 'batch', None"),
        ({"where": "between"}, "where is 'between'; it must be one of 'before', 'after'"),
        ({"filters": ()}, r"filters is \(\); it must be whole numbers greater than 0"),
        ({"filters": (8, 0)}, r"filters is \(8, 0\); it must be"),
        ({"normalized_layers": [1, 4]}, r"normalized_layers is \[1, 4\]; there are only the convolutions 1 to 3"),
        ({"dropout": 1.0}, r"dropout is 1\.0; it must be from 0"),
        ({"input_shape": (28, 28)}, r"input_shape is \(28, 28\); it must be"),
        ({"num_classes": 2.5}, r"num_classes is 2\.5; it must be a whole number"),
    ],
)
def test_small_alexnet_refuses(options, sentence):
    with pytest.raises(ValueError, match=rf"^{sentence}.*\.$"):
        normalization.small_alexnet(**{"input_shape": (28, 28, 1), "num_classes": 10} | options)
