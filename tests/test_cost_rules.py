"""The rules of cost: multiplications against hand formulas, receptive fields against gradients."""

import math

import keras
import numpy as np
import pytest
from conftest import at_most
from hypothesis import HealthCheck, assume, given
from hypothesis import strategies as st
from keras import layers, ops
from test_cost import Squared, sequential

from coursekit import cost, resnet

# Hand formulas


def output_size(size, length, stride, dilation, padding):
    return math.ceil(size / stride) if padding == "same" else (size - dilation * (length - 1) - 1) // stride + 1


@st.composite
def convolutions(draw):
    """The settings of a convolution of any rank, and an input that it fits."""
    rank = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 3))
    strides = draw(st.integers(1, 3))
    return dict(
        rank=rank,
        groups=groups,
        channels=groups * draw(st.integers(1, 3)),
        filters=groups * draw(st.integers(1, 3)),
        length=draw(st.integers(1, 4)),
        strides=strides,
        dilation=draw(st.integers(1, 3)) if strides == 1 else 1,
        padding=draw(st.sampled_from(["same", "valid"])),
        sizes=draw(st.lists(st.integers(10, 14), min_size=rank, max_size=rank)),
    )


@at_most(40)
@given(convolutions())
def test_a_convolution_against_the_formula(config):
    c = config
    conv = getattr(layers, f"Conv{c['rank']}D")
    layer = conv(
        c["filters"],
        c["length"],
        strides=c["strides"],
        padding=c["padding"],
        dilation_rate=c["dilation"],
        groups=c["groups"],
    )
    (row,) = cost.summary(sequential(layer, shape=(*c["sizes"], c["channels"]))).rows
    sizes = [output_size(size, c["length"], c["strides"], c["dilation"], c["padding"]) for size in c["sizes"]]
    weights = c["length"] ** c["rank"] * c["channels"] // c["groups"] * c["filters"]
    assert row.output_shape == (*sizes, c["filters"])
    assert row.macs == math.prod(sizes) * weights
    assert row.parameters == weights + c["filters"]
    assert row.activation_bytes == 4 * math.prod(row.output_shape)


@at_most(40)
@given(
    size=st.integers(6, 9),
    channels=st.integers(1, 3),
    filters=st.integers(1, 4),
    length=st.integers(1, 4),
    strides=st.integers(1, 3),
    multiplier=st.integers(1, 3),
    padding=st.sampled_from(["same", "valid"]),
)
def test_other_convolutions_against_the_formula(size, channels, filters, length, strides, multiplier, padding):
    shape = (size, size, channels)
    places = output_size(size, length, strides, 1, padding) ** 2

    depthwise = layers.DepthwiseConv2D(length, strides, padding, depth_multiplier=multiplier)
    spatial = places * length**2 * channels * multiplier
    assert cost.macs(sequential(depthwise, shape=shape)) == spatial

    separable = layers.SeparableConv2D(filters, length, strides, padding, depth_multiplier=multiplier)
    assert cost.macs(sequential(separable, shape=shape)) == spatial + places * channels * multiplier * filters

    transposed = layers.Conv2DTranspose(filters, length, strides, padding)
    by_formula = size**2 * length**2 * channels * filters
    assert cost.macs(sequential(transposed, shape=shape)) == by_formula


def test_dense_recurrent_and_attention_layers_against_the_formula():
    assert cost.macs(sequential(layers.Dense(5), shape=(7,))) == 35
    assert cost.macs(sequential(layers.Dense(5), shape=(3, 4, 7))) == 3 * 4 * 35
    assert cost.macs(sequential(layers.EinsumDense("abc,cde->abde", (6, 2, 3)), shape=(6, 4))) == 6 * 4 * 6
    assert cost.macs(sequential(layers.EinsumDense("...x,xy->...y", 5), shape=(3, 4, 7))) == 3 * 4 * 35
    for layer, gates in ((layers.SimpleRNN, 1), (layers.GRU, 3), (layers.LSTM, 4)):
        once = 10 * gates * (3 * 5 + 5 * 5)
        assert cost.macs(sequential(layer(5), shape=(10, 3))) == once
        assert cost.macs(sequential(layers.Bidirectional(layer(5)), shape=(10, 3))) == 2 * once
    query, value = keras.Input((6, 8)), keras.Input((9, 8))
    attention = layers.MultiHeadAttention(num_heads=2, key_dim=3)(query, value)
    projections = 2 * (6 + 9) * 8 * (2 * 3)
    assert cost.macs(keras.Model([query, value], attention)) == projections + 2 * 6 * 9 * (2 * 3)


def test_attention_that_is_written_out():
    """Each of 10 queries is compared with each of 12 keys in 16 numbers; then as many values are added up."""
    query, key, value = keras.Input((10, 16)), keras.Input((12, 16)), keras.Input((12, 8))

    def counted(*outputs):
        return [cost.macs(keras.Model([query, key, value], output)) for output in outputs]

    once = 10 * 12 * 16
    assert (
        counted(
            ops.einsum("bqd,bkd->bqk", query, key),
            ops.einsum("bqd,bkd", query, key),  # which sums over b and d
            ops.einsum("b...d,bkd->b...k", query, key),
            ops.einsum("...qd,...kd->...qk", query, key),
            layers.Dot(2)([query, key]),
            layers.Dot((-1, 2), normalize=True)([query, key]),
            ops.matmul(query, ops.transpose(key, (0, 2, 1))),
        )
        == [once] * 7
    )
    assert counted(
        layers.Attention()([query, key]),
        layers.Attention(use_scale=True)([query, value, key]),
        layers.Attention(score_mode="concat")([query, key]),
        layers.AdditiveAttention()([query, key]),
        layers.AdditiveAttention(use_scale=False)([query, value, key]),
    ) == [2 * once, once + once // 2, once, 2 * once, once // 2]


def test_a_layer_at_every_step_counts_every_step():
    def counted(layer):
        model = sequential(layers.TimeDistributed(layer), shape=(5, 8, 8, 2))
        summary = cost.summary(model)
        assert summary.parameters == model.count_params() and not summary.containers
        return summary.macs

    convolution = 5 * 36 * 9 * 2 * 3
    assert counted(layers.Conv2D(3, 3)) == convolution
    assert counted(layers.Dense(4)) == 5 * 8 * 8 * 2 * 4
    assert counted(layers.TimeDistributed(layers.TimeDistributed(layers.Dense(4)))) == 5 * 8 * 8 * 2 * 4
    network = [layers.Conv2D(3, 3), layers.GlobalMaxPooling2D(), layers.Dense(7)]
    assert counted(sequential(*network, shape=(8, 8, 2))) == convolution + 5 * 3 * 7
    unseen = cost.summary(sequential(layers.TimeDistributed(Residual()), shape=(5, 30, 1)))
    assert unseen.unknown == [] and unseen.containers == ("TimeDistributed",)
    with pytest.raises(ValueError, match="TimeDistributed"):
        cost.macs(sequential(layers.TimeDistributed(layers.RNN(layers.GRUCell(4))), shape=(5, 10, 3)))


def test_layers_that_multiply_nothing_cost_nothing():
    names = "BatchNormalization ReLU MaxPooling2D ZeroPadding2D UpSampling2D GlobalAveragePooling2D Identity"
    stack = [*(getattr(layers, name)() for name in names.split()), layers.Dropout(0.5)]
    assert cost.macs(sequential(*stack, shape=(8, 8, 3))) == 0
    assert cost.macs(sequential(layers.Embedding(10, 4), shape=(7,))) == 0


# Which rule


def test_pixels_that_a_reshape_moves_into_the_batch_count():
    x = keras.Input((8, 8, 2))
    windows = ops.reshape(x, (-1, 4, 4, 2))
    assert cost.macs(keras.Model(x, layers.Conv2D(3, 3)(windows))) == 4 * 4 * 9 * 2 * 3
    assert cost.macs(keras.Model(x, layers.Dense(5)(ops.reshape(x, (-1, 2))))) == 64 * 2 * 5


def test_attention_called_with_keywords_in_any_order():
    query, value, mask = keras.Input((20, 8)), keras.Input((9, 8)), keras.Input((1, 9), dtype="bool")
    attention = layers.MultiHeadAttention(2, 3)
    usual = keras.Model([query, value, mask], attention(query, value, attention_mask=mask))
    by_name = keras.Model([query, value, mask], attention(attention_mask=mask, value=value, query=query))
    assert cost.macs(usual) == cost.macs(by_name) == 2 * (20 + 9) * 48 + 2 * 20 * 9 * 6
    gated = layers.MultiHeadAttention(2, 3, use_gate=True)
    assert cost.macs(keras.Model(query, gated(query, query))) == 5 * 20 * 48 + 2 * 20 * 20 * 6


@pytest.mark.parametrize(
    ("build", "shape"),
    [
        (lambda: layers.RNN(layers.LSTMCell(4)), (10, 3)),
        (lambda: layers.RNN([layers.LSTMCell(4), layers.GRUCell(2)]), (10, 3)),
        (lambda: layers.ConvLSTM1D(2, 3), (5, 8, 3)),
        (lambda: layers.Lambda(lambda x: x @ np.ones((3, 2), "float32")), (3,)),
    ],
)
def test_layers_whose_work_is_not_seen_are_unknown(build, shape):
    summary = cost.summary(sequential(build(), shape=shape))
    assert [row.macs for row in summary.rows] == [None]


def test_models_with_masks():
    words = sequential(layers.Embedding(20, 4, mask_zero=True), layers.LSTM(3), layers.Dense(2), shape=(7,))
    assert cost.macs(words) == 7 * 4 * (4 * 3 + 3 * 3) + 6
    masked = sequential(layers.Masking(), layers.GRU(3), shape=(7, 4))
    assert cost.macs(masked) == 7 * 3 * (4 * 3 + 3 * 3)


@pytest.mark.parametrize(
    ("stack", "shape"),
    [
        (
            [layers.Flatten, lambda: layers.Dense(16), lambda: layers.Reshape((8, 2)), lambda: layers.Conv1D(1, 3)],
            (9, 9, 3),
        ),
        (
            [
                lambda: layers.LSTM(4),
                lambda: layers.Dense(16),
                lambda: layers.Reshape((4, 4, 1)),
                lambda: layers.Conv2D(1, 3),
            ],
            (9, 3),
        ),
    ],
)
def test_a_change_of_rank(stack, shape):
    last = cost.summary(sequential(*(build() for build in stack), shape=shape)).rows[-1]
    assert set(last.receptive_field) == {cost.WHOLE} and last.macs > 0


def test_functions_of_keras_ops_in_a_functional_model():
    x = keras.Input((4, 5))
    y = ops.relu(ops.matmul(x, ops.transpose(x, (0, 2, 1))) + 1)
    assert cost.macs(keras.Model(x, y)) == 4 * 5 * 4
    with pytest.raises(ValueError, match="Cumsum"):
        cost.macs(keras.Model(x, ops.cumsum(x, 1)))


def test_a_subclass_is_known_unless_it_has_a_call_of_its_own():
    class Named(layers.Dense):
        pass

    class Doubled(layers.Dense):
        def call(self, x):
            return super().call(super().call(x))

    assert cost.macs(sequential(Named(4), shape=(4,))) == 16
    with pytest.raises(ValueError, match="Doubled"):
        cost.macs(sequential(Doubled(4), shape=(4,)))


@pytest.fixture
def registering():
    """What a test registers is forgotten after it."""
    before = dict(cost.RULES), dict(cost.CONTAINERS)
    yield
    for known, as_it_was in zip((cost.RULES, cost.CONTAINERS), before, strict=True):
        known.clear()
        known.update(as_it_was)


def size_of_output(layer, inputs, outputs):
    return math.prod(outputs[0].shape)


def same_field(layer, inputs, outputs):
    return inputs[0].field


@pytest.mark.usefixtures("registering")
def test_a_further_layer_is_registered():
    class Named(Squared):
        pass

    cost.register(Squared, cost.Rule(size_of_output, same_field))
    (row, named) = cost.summary(sequential(Squared(), Named(), shape=(4, 5))).rows
    assert row.macs == named.macs == 20
    assert row.receptive_field == named.receptive_field == (1,)


@pytest.mark.usefixtures("registering")
def test_a_layer_that_only_calls_others_is_registered():
    cost.register(Residual, cost.Rule(cost.inside, same_field))
    summary = cost.summary(sequential(Residual(), shape=(30, 1)))
    assert [row.type for row in summary.rows] == ["Conv1D"] and not summary.containers


@pytest.mark.usefixtures("registering")
def test_a_rule_that_fails_is_named():
    cost.register(Squared, cost.Rule(lambda layer: 0, same_field))
    with pytest.raises(ValueError, match="The rule that cost has for Squared fails"):
        cost.summary(sequential(Squared(), shape=(3,)))


def test_what_cannot_be_registered():
    for no_class in (Squared(), int, "Squared"):
        with pytest.raises(ValueError, match="is no class of layers"):
            cost.register(no_class, cost.Rule(size_of_output, same_field))
    for no_rule in (size_of_output, (size_of_output, same_field), cost.Rule(0, same_field)):
        with pytest.raises(ValueError, match=r"The rule for Squared is .*; it must be cost\.Rule"):
            cost.register(Squared, no_rule)


# Channels first


def channelwise(channels_first):
    """A network of whatever takes an axis, on (height, width, channels) or on (channels, height, width)."""
    axis, order = (1, "channels_first") if channels_first else (-1, "channels_last")
    x = keras.Input((2, 18, 24) if channels_first else (18, 24, 2))
    y = layers.Concatenate(axis=axis)([x, x])
    y = layers.Conv2D(4, (3, 1), (1, 2), "same", data_format=order)(y)
    y = layers.SeparableConv2D(4, 3, padding="same", data_format=order)(y)
    y = layers.Concatenate(axis=axis)([y, layers.BatchNormalization(axis)(layers.Softmax(axis)(y))])
    y = layers.MaxPooling2D((3, 2), data_format=order)(layers.LayerNormalization(axis)(y))
    y = layers.Conv2DTranspose(3, 4, 2, "same", data_format=order)(y)
    y = layers.UpSampling2D((1, 2), data_format=order)(layers.ZeroPadding2D(1, data_format=order)(y))
    y = layers.AveragePooling2D(2, data_format=order)(layers.Cropping2D(1, data_format=order)(y))
    return keras.Model(x, layers.Dense(5)(layers.GlobalAveragePooling2D(data_format=order)(y)))


@pytest.mark.only_on("tensorflow", "jax")  # on PyTorch, Keras's LayerNormalization wants the last axis
def test_channels_first_counts_the_same():
    last, first = ([row[3:] for row in rows_of(channelwise(channels_first))] for channels_first in (False, True))
    assert last == first and None not in [row[-1] for row in last]


def rows_of(model):
    return list(cost.summary(model).to_dataframe().itertuples(index=False))


@pytest.mark.parametrize(
    ("mixes", "field"),
    [
        (lambda: layers.Dense(24), (3, cost.WHOLE)),
        (lambda: layers.Softmax(-1), (3, cost.WHOLE)),
        (lambda: layers.Activation("softmax"), (3, cost.WHOLE)),
        (lambda: layers.Conv2D(2, 1, data_format="channels_first", activation="log_softmax"), (3, cost.WHOLE)),
        pytest.param(
            lambda: layers.LayerNormalization(-2),
            (cost.WHOLE, 3),
            marks=pytest.mark.only_on("tensorflow", "jax"),  # on PyTorch, Keras's wants the last axis
        ),
        (lambda: layers.Softmax(1), (3, 3)),
        (lambda: layers.Activation("sigmoid"), (3, 3)),
    ],
)
def test_the_last_axis_is_the_width_where_channels_come_first(mixes, field):
    first = sequential(layers.Conv2D(2, 3, data_format="channels_first"), mixes(), shape=(2, 18, 24))
    assert rows_of(first)[-1].receptive_field == field


def test_side_by_side_along_the_width_positions_are_mixed():
    x = keras.Input((2, 18, 24))
    y = layers.Concatenate(axis=-1)([x, x])
    convolved = layers.Conv2D(4, 3, data_format="channels_first")(y)
    summary = cost.summary(keras.Model(x, convolved))
    assert [row.receptive_field for row in summary.rows] == [(1, 1), None]
    assert summary.macs == 16 * 46 * 9 * 2 * 4


def test_where_both_orders_meet_fields_are_not_known():
    x = keras.Input((18, 24, 2))
    y = layers.Conv2D(4, 3)(x)
    model = keras.Model(x, layers.Conv2D(4, 3, data_format="channels_first")(layers.Permute((3, 1, 2))(y)))
    assert [row.receptive_field for row in cost.summary(model).rows] == [(3, 3), (3, 3), None]
    unmoved = keras.Model(x, layers.MaxPooling2D(2, data_format="channels_first")(y))
    assert [row.receptive_field for row in cost.summary(unmoved).rows] == [(3, 3), None]


# Receptive fields


def felt(model):
    """How many pixels lie from the first to the last that the values at one place of the output feel, at most.

    One pixel after the other is 1, all others 0. Kernels are 1, and nothing is added, so that only what is reached is
    not 0.
    """
    model.set_weights([np.ones_like(weight) * (weight.ndim > 1) for weight in model.get_weights()])
    size = model.input_shape[1]
    answers = ops.convert_to_numpy(model(np.eye(size, dtype="float32").reshape(size, *model.input_shape[1:])))
    reached = answers.reshape(*answers.shape[:2], -1).any(-1)
    first, last = reached.argmax(0), size - 1 - reached[::-1].argmax(0)
    return (last - first + 1)[reached.any(0)].max()


def field_of(model):
    return cost.summary(model).rows[-1].receptive_field[0]


def along(size, other=1):
    """Of two-dimensional layers, which enlarge in more ways, along the first axis only."""
    return size, other


@st.composite
def single_layers(draw):
    """A function from tensor to tensor: a layer made while drawing would take its seed from Python's ``random``."""
    kind = draw(st.sampled_from(["conv", "conv", "pool", "up", "transposed", "shift", "pad", "relu"]))
    length, padding = along(draw(st.integers(1, 4))), draw(st.sampled_from(["same", "valid"]))
    stride = draw(st.integers(1, 3 if kind == "transposed" else 2))
    options = dict(strides=along(stride), padding=padding)
    dilation = along(draw(st.integers(1, 3)) if stride == 1 else 1)
    before, after = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    shift = draw(st.sampled_from([layers.ZeroPadding2D, layers.Cropping2D]))
    pool = draw(st.sampled_from([layers.AveragePooling2D, layers.MaxPooling2D]))
    interpolation = draw(st.sampled_from(["nearest", "bilinear"]))
    make = {
        "conv": lambda: layers.Conv2D(1, length, dilation_rate=dilation, **options),
        "pool": lambda: pool(length, **options),
        "up": lambda: layers.UpSampling2D(along(stride + 1), interpolation=interpolation),
        "transposed": lambda: layers.Conv2DTranspose(1, length, **options),
        "shift": lambda: shift(((before, after), (0, 0))),
        "pad": lambda: lambda x: ops.pad(x, ((0, 0), (before, after), (0, 0), (0, 0))),
        "relu": lambda: layers.ReLU(),
    }[kind]

    def build(x):
        assume(30 < x.shape[1] < 1000)  # so that some values are far from the borders
        return make()(x)

    return build


@st.composite
def around(draw, parts):
    """A function from tensor to tensor: a skip connection around some parts, which may work on a smaller image."""
    parts = draw(st.lists(parts, min_size=1, max_size=3))
    join = draw(st.sampled_from([layers.Add, layers.Concatenate]))
    times = draw(st.integers(1, 2))
    up = draw(st.sampled_from([layers.UpSampling2D, lambda size: layers.Conv2DTranspose(1, size, size)]))

    def build(x):
        y = layers.AveragePooling2D(along(times))(x)
        for part in parts:
            y = part(y)
        y = up(along(times))(y)
        fits = x.shape == y.shape if join is layers.Add else x.shape[1] == y.shape[1]
        return join()([x, y]) if fits else y

    return build


@at_most(40, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.lists(st.recursive(single_layers(), around, max_leaves=6), min_size=1, max_size=5))
def test_a_receptive_field_is_where_a_change_is_felt(parts):
    x = y = keras.Input((240, 1, 1))
    for part in parts:
        y = part(y)
    model = keras.Model(x, y)
    pixels = felt(model)
    assume(pixels < 80 and y.shape[1] > 30)
    assert field_of(model) == pixels


def test_fields_behind_several_enlargements():
    """Neighbors of an enlarged image are unevenly far apart; a window sees the most where they are far."""

    def pooled(*stack):
        model = sequential(layers.AveragePooling2D(4), *stack, shape=(64, 64, 1))
        return cost.summary(model).rows[-1].receptive_field

    def convolution():
        return layers.Conv2D(1, 3, padding="same")

    assert pooled(layers.UpSampling2D(2), convolution(), layers.UpSampling2D(2), convolution()) == (12, 12)
    assert pooled(*(layers.Conv2DTranspose(1, 4, 2, "same") for _ in range(2))) == (12, 12)
    assert pooled(*(layers.UpSampling2D(2, interpolation="bilinear") for _ in range(2))) == (12, 12)


def test_the_field_of_a_small_u_net():
    x = y = keras.Input((64, 64, 1))
    skips = []
    for filters in (2, 4):
        skips.append(layers.Conv2D(filters, 3, padding="same")(y))
        y = layers.MaxPooling2D()(skips[-1])
    y = layers.Conv2D(8, 3, padding="same")(y)
    for filters in (4, 2):
        y = layers.Concatenate()([layers.Conv2DTranspose(filters, 2, 2)(y), skips.pop()])
        y = layers.Conv2D(filters, 3, padding="same")(y)
    assert cost.summary(keras.Model(x, y)).rows[-1].receptive_field == (26, 26)


LANCZOS = pytest.mark.only_on("tensorflow", "jax")  # PyTorch has none


@pytest.mark.parametrize(
    "interpolation",
    ["nearest", "bilinear", "bicubic", *(pytest.param(name, marks=LANCZOS) for name in ("lanczos3", "lanczos5"))],
)
@pytest.mark.parametrize("times", [2, 4])
def test_the_field_of_an_enlarged_image(interpolation, times):
    pool, up = layers.AveragePooling2D((2, 1)), layers.UpSampling2D((times, 1), interpolation=interpolation)
    model = sequential(pool, up, shape=(60, 1, 1))
    assert field_of(model) == felt(model)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("length", "strides"), [(1, 2), (2, 2), (3, 2), (4, 2), (5, 3), (3, 1)])
def test_the_field_of_a_transposed_convolution(length, strides, padding):
    stack = [layers.Conv1D(1, 3, 2, "same"), layers.Conv1DTranspose(1, length, strides, padding), layers.Conv1D(1, 2)]
    model = keras.Sequential([keras.Input((60, 1)), *stack])
    assert field_of(model) == felt(model)


@pytest.mark.only_on("jax", "torch")  # TensorFlow computes it on processors for which it takes oneDNN, and on no others
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_the_field_of_a_dilated_transposed_convolution(padding):
    spread = layers.Conv1DTranspose(1, 3, 1, padding, dilation_rate=2)
    model = keras.Sequential([keras.Input((60, 1)), layers.AveragePooling1D(2), spread])
    assert field_of(model) == felt(model) == 10


@pytest.mark.parametrize(
    ("branch", "other"),
    [
        # Either looks to another side; or a shift in the one widens what the sum sees.
        (
            [lambda: layers.Conv1D(1, 2, padding="same"), lambda: layers.Conv1D(1, 2, padding="same")],
            [lambda: layers.Conv1D(1, 3, padding="same")],
        ),
        ([lambda: layers.Conv1D(1, 4, padding="causal")], [lambda: layers.Conv1D(1, 3, padding="same")]),
        ([lambda: layers.Cropping1D((4, 0))], [lambda: layers.Cropping1D((0, 4))]),
        ([lambda: layers.ZeroPadding1D((4, 0))], [lambda: layers.ZeroPadding1D((0, 4))]),
        (
            [lambda: layers.Conv1D(1, 3, 2, "same"), lambda: layers.UpSampling1D(2)],
            [lambda: layers.ZeroPadding1D((0, 1)), lambda: layers.Conv1D(1, 2)],
        ),
        (
            [lambda: layers.AveragePooling1D(2), lambda: layers.UpSampling1D(2)],
            [lambda: layers.Conv1D(1, 2, padding="same")],
        ),
        (
            [lambda: layers.Conv1D(1, 2, padding="same")],
            [lambda: layers.AveragePooling1D(2), lambda: layers.UpSampling1D(2)],
        ),
        (
            [lambda: layers.AveragePooling1D(2), lambda: layers.Conv1DTranspose(1, 4, 2, "same")],
            [lambda: layers.Conv1D(1, 3, padding="same")],
        ),
        (
            [lambda: layers.AveragePooling1D(2), lambda: layers.Conv1DTranspose(1, 2, 2)],
            [lambda: layers.Conv1D(1, 2, padding="same")],
        ),
    ],
)
def test_a_sum_of_shifted_branches_sees_all_of_them(branch, other):
    x = y = z = keras.Input((40, 1))
    for make in branch:
        y = make()(y)
    for make in other:
        z = make()(z)
    model = keras.Model(x, layers.Add()([y, z]))
    assert field_of(model) == felt(model)


def test_maps_of_different_strides_have_no_common_field_afterwards():
    x = keras.Input((8, 1))
    sparse, dense = layers.Conv1D(1, 1, 2)(x), layers.Conv1D(1, 3)(layers.Cropping1D(1)(x))
    one_after_the_other = layers.Concatenate(axis=1)([sparse, dense])
    assert fields_of(keras.Model(x, layers.Conv1D(1, 3)(one_after_the_other)))[-2:] == [(3,), None]
    assert fields_of(keras.Model(x, layers.Add()([sparse, dense])))[-1] is None


def test_a_map_that_is_spread_over_another_one_has_no_place_of_its_own():
    x = keras.Input((8, 8, 2))
    row = layers.Conv2D(2, (1, 8))(x)
    assert fields_of(keras.Model(x, layers.Multiply()([x, row])))[-1] is None
    average = layers.GlobalAveragePooling2D(keepdims=True)(x)
    assert fields_of(keras.Model(x, layers.Multiply()([x, average])))[-1] == (cost.WHOLE,) * 2


def test_positions_that_are_mixed_up_have_no_field_in_common():
    x = keras.Input((8, 8, 2))
    turned = layers.Permute((2, 1, 3))(x)
    assert fields_of(keras.Model(x, layers.Add()([x, turned]))) == [(1, 1), None]
    tokens = layers.Reshape((64, 2))(x)
    assert fields_of(keras.Model(x, layers.Dense(3)(tokens))) == [(1, 1), None]
    joined = layers.Concatenate()([layers.Flatten()(layers.Conv2D(1, 3)(x)), layers.Flatten()(x)])
    assert fields_of(keras.Model(x, joined))[-1] == (3, 3)


def fields_of(model):
    return [row.receptive_field for row in cost.summary(model).rows]


class Residual(layers.Layer):
    def __init__(self):
        super().__init__()
        self.conv = layers.Conv1D(1, 3, padding="same")

    def build(self, input_shape):
        self.conv.build(input_shape)

    def call(self, x):
        return x + self.conv(x)


@pytest.mark.only_on("tensorflow", "jax")  # on PyTorch, what a layer's own code is given is a copy without a field
def test_behind_code_of_its_own_a_field_is_not_known():
    rows = cost.summary(sequential(Residual(), layers.Conv1D(1, 1), shape=(30, 1))).rows
    assert [row.receptive_field for row in rows] == [(3,), None]
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True))
    rows = cost.summary(sequential(both, layers.Conv1D(1, 3), shape=(20, 1))).rows
    assert rows[-1].receptive_field == (cost.WHOLE,)


@pytest.mark.parametrize(
    ("layer", "field"),
    [
        (lambda: layers.Softmax(axis=1), (cost.WHOLE,)),
        (lambda: layers.Softmax(), (3,)),
        (lambda: layers.LayerNormalization(axis=(1, 2)), (cost.WHOLE,)),
        (lambda: layers.LayerNormalization(), (3,)),
        (lambda: layers.UnitNormalization(axis=1), (cost.WHOLE,)),
    ],
)
def test_the_axis_of_a_normalization_decides_its_field(layer, field):
    rows = cost.summary(sequential(layers.Conv1D(2, 3), layer(), shape=(20, 1))).rows
    assert rows[-1].receptive_field == field


def test_an_average_over_pixels_by_keras_ops_is_not_known():
    x = keras.Input((20, 1))
    y = layers.Conv1D(2, 3, padding="same")(x)
    model = keras.Model(x, layers.Multiply()([y, ops.mean(y, 1, keepdims=True)]))
    assert cost.summary(model).rows[-1].receptive_field is None


def test_side_by_side_along_the_pixels_mixes_positions():
    x = keras.Input((20, 1))
    model = keras.Model(x, layers.Conv1D(1, 3)(layers.Concatenate(axis=1)([x, x])))
    assert cost.summary(model).rows[-1].receptive_field is None


def test_what_sees_everything_and_what_is_not_known():
    def fields(*stack):
        return [row.receptive_field for row in cost.summary(sequential(*stack, shape=(8, 9, 2))).rows]

    everything = (cost.WHOLE,) * 2
    assert fields(layers.GlobalAveragePooling2D(), layers.Dense(3)) == [everything] * 2
    assert fields(layers.Flatten(), layers.Dense(3)) == [(1, 1), everything]
    assert fields(layers.GroupNormalization(1), layers.Conv2D(1, 3)) == [everything] * 2
    assert fields(layers.Dense(3)) == [(1, 1)]
    assert fields(layers.Reshape((9, 8, 2)), layers.Conv2D(1, 3)) == [(1, 1), None]
    assert cost.summary(sequential(layers.Dense(2), shape=(3,))).rows[0].receptive_field == ()


@pytest.mark.parametrize(
    ("activation", "field"),
    [
        (lambda x: ops.softmax(x, axis=1), None),
        (layers.Softmax(axis=1), (cost.WHOLE,)),
        (layers.LeakyReLU(), (3,)),
        ("relu", (3,)),
        (keras.activations.gelu, (3,)),
    ],
)
def test_an_activation_of_ones_own_may_look_anywhere(activation, field):
    rows = cost.summary(sequential(layers.Conv1D(2, 3), layers.Activation(activation), shape=(20, 1))).rows
    assert rows[-1].receptive_field == field


@pytest.mark.parametrize(
    "interpolation",
    ["nearest", "bilinear", "bicubic", *(pytest.param(name, marks=LANCZOS) for name in ("lanczos3", "lanczos5"))],
)
def test_a_side_that_is_not_enlarged_stays_as_it_is(interpolation):
    layer = layers.UpSampling2D((2, 1), interpolation=interpolation)
    assert cost.summary(sequential(layer, shape=(20, 20, 1))).rows[0].receptive_field[1] == 1


def test_a_shortcut_of_zeros_keeps_the_field():
    """He et al. 2016a, section 4.1, option A: the field is that of the convolutions."""
    rows = cost.summary(cost.undrawn(resnet.resnet)((256, 256, 3), depth=8)).rows
    fields = {row.layer: row.receptive_field for row in rows}
    assert None not in fields.values()
    # A 3x3 convolution adds two steps of its input: of 1 pixel three times, then of 1, 2, 2 and 4.
    assert fields["stage3_unit1_add"] == (3 + 2 * (1 + 1 + 1 + 2 + 2 + 4),) * 2
