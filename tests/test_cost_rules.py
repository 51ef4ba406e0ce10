"""The rules of cost: multiplications against hand formulas, receptive fields against gradients."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops
from test_cost import sequential

from coursekit import cost, training

# JAX compiles every shape anew. What is counted is the same, whichever backend runs.
EXAMPLES = 8 if keras.backend.backend() == "jax" else 40


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


@settings(max_examples=EXAMPLES, deadline=None)
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
    assert row.multiplications == math.prod(sizes) * weights
    assert row.parameters == weights + c["filters"]
    assert row.activation_bytes == 4 * math.prod(row.output_shape)


@settings(max_examples=EXAMPLES, deadline=None)
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
    assert cost.multiplications(sequential(depthwise, shape=shape)) == spatial

    separable = layers.SeparableConv2D(filters, length, strides, padding, depth_multiplier=multiplier)
    assert (
        cost.multiplications(sequential(separable, shape=shape)) == spatial + places * channels * multiplier * filters
    )

    transposed = layers.Conv2DTranspose(filters, length, strides, padding)
    by_formula = size**2 * length**2 * channels * filters
    assert cost.multiplications(sequential(transposed, shape=shape)) == by_formula


def test_dense_recurrent_and_attention_layers_against_the_formula():
    assert cost.multiplications(sequential(layers.Dense(5), shape=(7,))) == 35
    assert cost.multiplications(sequential(layers.Dense(5), shape=(3, 4, 7))) == 3 * 4 * 35
    assert cost.multiplications(sequential(layers.EinsumDense("abc,cde->abde", (6, 2, 3)), shape=(6, 4))) == 6 * 4 * 6
    assert cost.multiplications(sequential(layers.EinsumDense("...x,xy->...y", 5), shape=(3, 4, 7))) == 3 * 4 * 35
    for layer, gates in ((layers.SimpleRNN, 1), (layers.GRU, 3), (layers.LSTM, 4)):
        once = 10 * gates * (3 * 5 + 5 * 5)
        assert cost.multiplications(sequential(layer(5), shape=(10, 3))) == once
        assert cost.multiplications(sequential(layers.Bidirectional(layer(5)), shape=(10, 3))) == 2 * once
    query, value = keras.Input((6, 8)), keras.Input((9, 8))
    attention = layers.MultiHeadAttention(num_heads=2, key_dim=3)(query, value)
    projections = 2 * (6 + 9) * 8 * (2 * 3)
    assert cost.multiplications(keras.Model([query, value], attention)) == projections + 2 * 6 * 9 * (2 * 3)


def test_layers_that_multiply_nothing_cost_nothing():
    names = "BatchNormalization ReLU MaxPooling2D ZeroPadding2D UpSampling2D GlobalAveragePooling2D Identity"
    stack = [*(getattr(layers, name)() for name in names.split()), layers.Dropout(0.5)]
    assert cost.multiplications(sequential(*stack, shape=(8, 8, 3))) == 0
    assert cost.multiplications(sequential(layers.Embedding(10, 4), shape=(7,))) == 0


# Which rule


def test_pixels_that_a_reshape_moves_into_the_batch_count():
    x = keras.Input((8, 8, 2))
    windows = ops.reshape(x, (-1, 4, 4, 2))
    assert cost.multiplications(keras.Model(x, layers.Conv2D(3, 3)(windows))) == 4 * 4 * 9 * 2 * 3
    assert cost.multiplications(keras.Model(x, layers.Dense(5)(ops.reshape(x, (-1, 2))))) == 64 * 2 * 5


def test_attention_called_with_keywords_in_any_order():
    query, value, mask = keras.Input((20, 8)), keras.Input((9, 8)), keras.Input((1, 9), dtype="bool")
    attention = layers.MultiHeadAttention(2, 3)
    usual = keras.Model([query, value, mask], attention(query, value, attention_mask=mask))
    by_name = keras.Model([query, value, mask], attention(attention_mask=mask, value=value, query=query))
    assert cost.multiplications(usual) == cost.multiplications(by_name) == 2 * (20 + 9) * 48 + 2 * 20 * 9 * 6
    gated = layers.MultiHeadAttention(2, 3, use_gate=True)
    assert cost.multiplications(keras.Model(query, gated(query, query))) == 5 * 20 * 48 + 2 * 20 * 20 * 6


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
    assert [row.multiplications for row in summary.rows] == [None]


def test_models_with_masks():
    words = sequential(layers.Embedding(20, 4, mask_zero=True), layers.LSTM(3), layers.Dense(2), shape=(7,))
    assert cost.multiplications(words) == 7 * 4 * (4 * 3 + 3 * 3) + 6
    masked = sequential(layers.Masking(), layers.GRU(3), shape=(7, 4))
    assert cost.multiplications(masked) == 7 * 3 * (4 * 3 + 3 * 3)


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
    assert set(last.receptive_field) == {cost.WHOLE} and last.multiplications > 0


def test_functions_of_keras_ops_in_a_functional_model():
    x = keras.Input((4, 5))
    y = ops.relu(ops.matmul(x, ops.transpose(x, (0, 2, 1))) + 1)
    assert cost.multiplications(keras.Model(x, y)) == 4 * 5 * 4
    with pytest.raises(ValueError, match="Cumsum"):
        cost.multiplications(keras.Model(x, ops.cumsum(x, 1)))


def test_a_subclass_is_known_unless_it_has_a_call_of_its_own():
    class Named(layers.Dense):
        pass

    class Doubled(layers.Dense):
        def call(self, x):
            return super().call(super().call(x))

    assert cost.multiplications(sequential(Named(4), shape=(4,))) == 16
    with pytest.raises(ValueError, match="Doubled"):
        cost.multiplications(sequential(Doubled(4), shape=(4,)))


def test_a_further_layer_is_one_entry(monkeypatch):
    class Squared(layers.Layer):
        def call(self, x):
            return x * x

    monkeypatch.setitem(
        cost.RULES,
        Squared,
        cost.Rule(lambda layer, inputs, outputs: math.prod(outputs[0].shape), lambda layer, inputs, outputs: None),
    )
    assert cost.multiplications(sequential(Squared(), shape=(4, 5))) == 20


def test_a_rule_that_fails_is_named(monkeypatch):
    class Squared(layers.Layer):
        def call(self, x):
            return x * x

    monkeypatch.setitem(cost.RULES, Squared, lambda layer, inputs, outputs: 0)
    with pytest.raises(ValueError, match=r"The rule in cost\.RULES for Squared fails"):
        cost.summary(sequential(Squared(), shape=(3,)))


def test_channels_first_counts_the_same():
    last = sequential(layers.Conv2D(4, 3, 2, "same"), layers.MaxPooling2D(3), shape=(9, 12, 2))
    first = sequential(
        layers.Conv2D(4, 3, 2, "same", data_format="channels_first"),
        layers.MaxPooling2D(3, data_format="channels_first"),
        shape=(2, 9, 12),
    )
    numbers = [[(row.multiplications, row.receptive_field) for row in cost.summary(m).rows] for m in (last, first)]
    assert numbers[0] == numbers[1]


# Receptive fields


def dependence(model):
    """Along each axis, from and to where the middle value of a model's output depends on its input; weights are 1."""
    model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
    x = keras.Variable(np.ones((1, *model.input_shape[1:])))
    middle = tuple(size // 2 for size in model.output_shape[1:-1])
    _, (gradient,) = training.value_and_grad(lambda: model(ops.convert_to_tensor(x))[(0, *middle, 0)], [x])
    gradient = ops.convert_to_numpy(gradient)[0].sum(-1)
    return middle, [(where.min(), where.max() + 1) for where in np.nonzero(gradient)]


@st.composite
def windows(draw):
    """A function that makes a layer: one made while drawing would take its seed from Python's ``random``."""
    kind = draw(st.sampled_from(["conv", "conv", "pool", "pad", "crop", "relu"]))
    length, padding = draw(st.integers(1, 4)), draw(st.sampled_from(["same", "valid"]))
    strides = draw(st.integers(1, 2))
    dilation = draw(st.integers(1, 2)) if strides == 1 else 1
    return {
        "conv": lambda: layers.Conv1D(1, length, strides, padding, dilation_rate=dilation),
        "pool": lambda: layers.AveragePooling1D(length, strides, padding),
        "pad": lambda: layers.ZeroPadding1D(length),
        "crop": lambda: layers.Cropping1D(length),
        "relu": lambda: layers.ReLU(),
    }[kind]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(windows(), min_size=1, max_size=4), st.lists(windows(), max_size=2), st.integers(90, 96))
def test_a_receptive_field_is_where_a_change_is_felt(stack, branch, size):
    x = keras.Input((size, 1))
    y = z = x
    for layer in stack:
        y = layer()(y)
    for layer in branch:
        z = layer()(z)
    if y.shape == z.shape:
        y = layers.Add()([y, z])
    model = keras.Model(x, y)
    (field,) = cost.summary(model).rows[-1].receptive_field
    # By changing one input after the other: TensorFlow's gradient of some of these convolutions ends the process.
    model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
    ones = np.ones((1, size), "float32")
    changed = np.concatenate([ones, ones + np.eye(size, dtype="float32")])[..., None]
    answers = ops.convert_to_numpy(model(changed))[:, model.output_shape[1] // 2, 0]
    (where,) = np.nonzero(answers[1:] != answers[0])
    assert where.max() + 1 - where.min() == field


def test_branches_that_look_to_different_sides_add_up():
    x = keras.Input((40, 1))
    even = layers.Conv1D(1, 2, padding="same")(layers.Conv1D(1, 2, padding="same")(x))  # sees 0, 1 and 2 further
    odd = layers.Conv1D(1, 3, padding="same")(x)  # sees -1, 0 and 1
    model = keras.Model(x, layers.Add()([even, odd]))
    assert cost.summary(model).rows[-1].receptive_field == (4,)
    assert dependence(model)[1] == [(19, 23)]


@pytest.mark.parametrize(
    ("branch", "others"),
    [
        # A causal convolution looks back only; a shift in the one branch widens what the sum sees.
        (lambda x: layers.Conv1D(1, 4, padding="causal")(x), lambda x: layers.Conv1D(1, 3, padding="same")(x)),
        (lambda x: layers.Cropping1D((4, 0))(x), lambda x: layers.Cropping1D((0, 4))(x)),
        (lambda x: layers.ZeroPadding1D((4, 0))(x), lambda x: layers.ZeroPadding1D((0, 4))(x)),
        (lambda x: layers.UpSampling1D(2)(layers.Conv1D(1, 3, 2, "same")(x)), lambda x: layers.Conv1D(1, 2)(padded(x))),
    ],
)
def test_a_sum_of_shifted_branches_sees_all_of_them(branch, others):
    x = keras.Input((40, 1))
    model = keras.Model(x, layers.Add()([branch(x), others(x)]))
    (field,) = cost.summary(model).rows[-1].receptive_field
    seen = []
    for shift in (0, 2):  # enlarged, values are at one of two places of what they came from
        cropped = layers.Cropping1D((shift, 0))(model.output)
        seen += [last - first for _, [(first, last)] in [dependence(keras.Model(x, cropped))]]
    assert max(seen) == field


def padded(x):
    return layers.ZeroPadding1D((0, 1))(x)


def test_the_field_of_an_enlarged_image():
    def fields(interpolation):
        stack = [layers.Conv2D(1, 3, 2, "same"), layers.UpSampling2D(2, interpolation=interpolation)]
        stack.append(layers.Conv2D(1, 3, padding="same"))
        return [row.receptive_field for row in cost.summary(sequential(*stack, shape=(20, 20, 1))).rows]

    assert fields("nearest") == [(3, 3), (3, 3), (5, 5)]
    assert fields("bilinear") == [(3, 3), (5, 5), (7, 7)]


def test_maps_of_different_strides_have_no_common_field_afterwards():
    x = keras.Input((8, 1))
    y = layers.Concatenate(axis=1)([layers.Conv1D(1, 1, 2)(x), layers.Conv1D(1, 3)(x)])
    model = keras.Model(x, layers.Conv1D(1, 3)(y))
    assert [row.receptive_field for row in cost.summary(model).rows[-2:]] == [(3,), None]


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("length", "strides"), [(2, 2), (3, 2), (4, 2), (5, 3), (3, 1)])
def test_the_field_of_a_transposed_convolution_is_what_its_values_see_at_most(length, strides, padding):
    x = keras.Input((30, 1))
    y = layers.Conv1DTranspose(1, length, strides, padding)(layers.Conv1D(1, 3, 2, "same")(x))
    model = keras.Model(x, y)
    (field,) = cost.summary(model).rows[-1].receptive_field
    seen = []
    for shift in range(strides):  # its values see different numbers of them
        _, [(first, last)] = dependence(keras.Model(x, layers.Cropping1D((2 * shift, 0))(y)))
        seen.append(last - first)
    assert max(seen) == field


class Residual(layers.Layer):
    def __init__(self):
        super().__init__()
        self.conv = layers.Conv1D(1, 3, padding="same")

    def build(self, input_shape):
        self.conv.build(input_shape)

    def call(self, x):
        return x + self.conv(x)


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
        (lambda: layers.Conv1DTranspose(1, 3, dilation_rate=2), None),
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


@pytest.mark.parametrize("up", [lambda: layers.UpSampling1D(2), lambda: layers.Conv1DTranspose(1, 2, 2)])
def test_a_skip_connection_over_an_enlarged_image(up):
    x = keras.Input((40, 1))
    y = layers.Add()([layers.Conv1D(1, 2, padding="same")(x), up()(layers.AveragePooling1D(2)(x))])
    (field,) = cost.summary(keras.Model(x, y)).rows[-1].receptive_field
    cropped = (layers.Cropping1D((shift, shift))(y) for shift in (1, 2))
    seen = [dependence(keras.Model(x, layers.Cropping1D((2 * k, 0))(each)))[1][0] for k, each in enumerate(cropped)]
    seen += [dependence(keras.Model(x, layers.Cropping1D((2, 0))(y)))[1][0]]
    seen += [dependence(keras.Model(x, layers.Cropping1D((0, 2))(y)))[1][0]]
    assert max(last - first for first, last in seen) == field == 3


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
