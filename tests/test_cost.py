"""Cost: multiplications against hand formulas and TensorFlow's profiler, receptive fields against gradients."""

import concurrent.futures
import math

import keras
import numpy as np
import pytest
import rich
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from coursekit import cost, inception, training

APPLICATIONS = {
    # A network of keras.applications and its multiplications: what TensorFlow's profiler counts, halved.
    "ResNet50": 3_857_973_248,
    "MobileNetV2": 300_774_272,
    "InceptionV3": 5_713_216_096,
    "DenseNet121": 2_834_161_664,
    "EfficientNetB0": 385_814_752,
    "MobileNetV3Small": 56_510_400,
    "NASNetMobile": 563_638_816,
    "ResNet50V2": 3_482_255_360,
    "VGG16": 15_470_264_320,
    "Xception": 8_357_403_496,
}
# Araujo et al. 2019, "Computing receptive fields of convolutional neural networks", table 1.
RECEPTIVE_FIELDS = {"ResNet50": 483, "VGG16": 212, "InceptionV3": 1311}


def application(name):
    options = {"input_shape": (224, 224, 3)} if name == "MobileNetV3Small" else {}
    with keras.StatelessScope():  # draws no weights
        return getattr(keras.applications, name)(weights=None, **options)


def sequential(*stack, shape):
    with keras.StatelessScope():
        return keras.Sequential([keras.Input(shape), *stack])


# JAX compiles every shape anew. What is counted is the same, whichever backend runs.
FEW_ON_JAX = 8 if keras.backend.backend() == "jax" else 40


# The lecture's figures


def test_the_figures_of_the_lecture():
    direct = sequential(layers.Conv2D(32, 5, padding="same"), shape=(28, 28, 192))
    assert cost.multiplications(direct) == 120_422_400
    bottleneck = sequential(layers.Conv2D(16, 1), layers.Conv2D(32, 5, padding="same"), shape=(28, 28, 192))
    assert [row.multiplications for row in cost.summary(bottleneck).rows] == [2_408_448, 10_035_200]
    assert cost.multiplications(bottleneck) == 12_443_648
    direct = sequential(layers.Conv2D(256, 4, padding="same"), shape=(14, 14, 256))
    bottleneck = sequential(layers.Conv2D(64, 1), layers.Conv2D(256, 4, padding="same"), shape=(14, 14, 256))
    assert round(cost.multiplications(direct) / cost.multiplications(bottleneck), 2) == 3.76


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


@settings(max_examples=60, deadline=None)
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


@settings(max_examples=40, deadline=None)
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


# Networks that nobody here wrote


@pytest.mark.parametrize("name", APPLICATIONS)
def test_networks_of_keras_applications(name):
    model = application(name)
    summary = cost.summary(model)
    assert summary.multiplications == APPLICATIONS[name]
    assert summary.parameters == cost.parameters(model) == model.count_params()
    assert not summary.unknown and not summary.containers
    if name in RECEPTIVE_FIELDS:
        finite = [row.receptive_field for row in summary.rows if cost.WHOLE not in row.receptive_field]
        assert max(finite) == (RECEPTIVE_FIELDS[name],) * 2


@pytest.mark.parametrize("name", ["ResNet50", "MobileNetV2", "InceptionV3"])
def test_against_the_profiler_of_tensorflow(name):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("TensorFlow's profiler reads TensorFlow's graphs; the same numbers are compared above.")
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    model = getattr(keras.applications, name)(weights=None)
    call = tf.function(lambda x: model(x, training=False))
    traced = call.get_concrete_function(tf.TensorSpec((1, *model.input_shape[1:])))
    graph = convert_variables_to_constants_v2(traced).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options |= {"output": "none", "account_type_regexes": ["Conv2D", "DepthwiseConv2dNative", "MatMul"]}
    profile = tf.compat.v1.profiler.profile(graph, options=options)
    assert profile.total_float_ops == 2 * cost.multiplications(model)


def test_a_network_with_a_layer_that_is_not_known():
    model = application("ConvNeXtTiny")
    summary = cost.summary(model)
    assert len(summary.unknown) == 18 and all("LayerScale" in name for name in summary.unknown)
    assert summary.multiplications == 4_455_531_264
    assert summary.parameters == model.count_params()
    assert "at least 4,455,531,264" in str(summary)
    with pytest.raises(ValueError, match=r"layer_scale \(LayerScale\).*cost.RULES"):
        cost.multiplications(model)


# Models of every form


class Scaled(layers.Layer):
    """A dense layer, and a weight of its own around it."""

    def __init__(self, units):
        super().__init__()
        self.dense = layers.Dense(units)

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(1,), name="scale")
        self.dense.build(input_shape)

    def call(self, x):
        return self.scale * self.dense(x)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = layers.Conv2D(4, 3)
        self.head = layers.Dense(3)

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.head.build((None, 4))

    def call(self, x):
        return self.head(ops.mean(ops.relu(self.conv(x)), axis=(1, 2)))


def test_the_same_network_in_every_form_costs_the_same():
    def stack():
        return [layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(3)]

    flat = sequential(*stack(), shape=(8, 8, 2))
    x = keras.Input((8, 8, 2))
    y = x
    for layer in stack():
        y = layer(y)
    functional = keras.Model(x, y)
    nested = sequential(keras.Model(x, y), layers.ReLU(), shape=(8, 8, 2))
    subclassed = Subclassed()
    subclassed.build((None, 8, 8, 2))
    called = Subclassed()
    called(np.zeros((5, 8, 8, 2)))
    for model in (flat, functional, nested):
        assert cost.multiplications(model) == 36 * 9 * 2 * 4 + 4 * 3
    for model in (subclassed, called):
        with pytest.warns(UserWarning, match="inside Subclassed, once for each call; what its own code multiplies"):
            assert cost.multiplications(model) == cost.multiplications(flat)


def test_rows_have_the_path_of_their_layer():
    inner = sequential(layers.Dense(3, name="dense"), shape=(4,))
    inner.name = "inner"
    x = keras.Input((4,))
    model = keras.Model(x, layers.ReLU(name="act")(inner(x)))
    assert [row.layer for row in cost.summary(model).rows] == ["inner/dense", "act"]


def test_code_of_its_own_is_named():
    scaled = sequential(Scaled(3), layers.Dense(2), shape=(4,))
    summary = cost.summary(scaled)
    assert summary.containers == ("Scaled",) and "Scaled" in str(summary)
    assert [row.multiplications for row in summary.rows] == [12, None, 6]
    assert summary.rows[1].parameters == 1 and summary.parameters == scaled.count_params()


class Multiplied(layers.Layer):
    """Weights that no call of a layer shows: made in ``__init__``, or a layer's whose ``call`` is used directly."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.relu = layers.ReLU()
        if how == "variable":
            self.matrix = keras.Variable(np.ones((4, 5), "float32"))
        elif how == "weight":
            self.matrix = self.add_weight(shape=(4, 5))
        else:
            self.dense = layers.Dense(5, use_bias=False)

    def build(self, input_shape):
        if self.how == "call":
            self.dense.build(input_shape)

    def call(self, x):
        return self.relu(self.dense.call(x) if self.how == "call" else ops.matmul(x, self.matrix))


@pytest.mark.parametrize("how", ["variable", "weight", "call"])
def test_weights_that_are_used_unseen_are_never_free(how):
    model = sequential(Multiplied(how), shape=(4,))
    summary = cost.summary(model)
    assert summary.parameters == 20 and len(summary.unknown) == 1
    with pytest.raises(ValueError, match="does not know"):
        cost.multiplications(model)


def test_what_a_functional_model_does_not_call_is_free():
    model = inception.small_googlenet((28, 28, 1), width=0.05, auxiliary=True, normalization=None)
    rest = [row for row in cost.summary(model).rows if row.type == "not called"]
    assert rest and all(row.multiplications == 0 and "auxiliary" in row.layer for row in rest)
    assert cost.multiplications(model) == cost.multiplications(model.classifier)


def test_a_fixed_batch_counts_one_example():
    x = keras.Input(batch_shape=(4, 10, 3))
    model = keras.Model(x, layers.Dense(2)(layers.LSTM(5, stateful=True)(x)))
    assert cost.multiplications(model) == 10 * 4 * (3 * 5 + 5 * 5) + 2 * 5
    assert cost.summary(model).activation_bytes == 4 * (5 + 2)


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


def test_a_shared_layer_multiplies_twice_and_has_its_parameters_once():
    shared = layers.Dense(4)
    x = keras.Input((4,))
    model = keras.Model(x, shared(shared(x)))
    summary = cost.summary(model)
    assert [row.multiplications for row in summary.rows] == [16, 16]
    assert [row.parameters for row in summary.rows] == [20, 0]


def test_several_inputs_in_a_list_or_by_name():
    a, b = keras.Input((4,), name="a"), keras.Input((6,), name="b")
    y = layers.Dense(1)(layers.Concatenate()([a, b]))
    for inputs in ([a, b], {"a": a, "b": b}):
        assert cost.multiplications(keras.Model(inputs, y)) == 10


def test_functions_of_keras_ops_in_a_functional_model():
    x = keras.Input((4, 5))
    y = ops.relu(ops.matmul(x, ops.transpose(x, (0, 2, 1))) + 1)
    assert cost.multiplications(keras.Model(x, y)) == 4 * 5 * 4
    with pytest.raises(ValueError, match="Cumsum"):
        cost.multiplications(keras.Model(x, ops.cumsum(x, 1)))


def test_a_model_of_mixed_precision_keeps_half_the_memory_and_its_fields():
    def stack(dtype):
        inner = keras.Sequential([keras.Input((8, 8, 4)), layers.Conv2D(4, 3, dtype=dtype)])
        return sequential(layers.Conv2D(4, 3, dtype=dtype), inner, shape=(10, 10, 2))

    full, half = cost.summary(stack("float32")), cost.summary(stack("mixed_float16"))
    assert half.activation_bytes == full.activation_bytes / 2
    assert [row.receptive_field for row in half.rows] == [(3, 3), (5, 5)]


def test_channels_first_counts_the_same():
    last = sequential(layers.Conv2D(4, 3, 2, "same"), layers.MaxPooling2D(3), shape=(9, 12, 2))
    first = sequential(
        layers.Conv2D(4, 3, 2, "same", data_format="channels_first"),
        layers.MaxPooling2D(3, data_format="channels_first"),
        shape=(2, 9, 12),
    )
    numbers = [[(row.multiplications, row.receptive_field) for row in cost.summary(m).rows] for m in (last, first)]
    assert numbers[0] == numbers[1]


def test_a_size_that_the_model_leaves_open():
    model = sequential(layers.Conv2D(2, 3), shape=(None, None, 3))
    assert cost.multiplications(model, (10, 12, 3)) == 8 * 10 * 9 * 3 * 2
    with pytest.raises(ValueError, match="pass input_shape"):
        cost.summary(model)


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


@settings(max_examples=FEW_ON_JAX, deadline=None)
@given(st.lists(windows(), min_size=1, max_size=4), st.lists(windows(), max_size=2), st.integers(90, 96))
def test_a_receptive_field_is_where_the_gradient_is(stack, branch, size):
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
    _, [(first, last)] = dependence(model)
    assert last - first == field


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


# Tables


def test_tables_show_every_row_and_escape_names():
    model = sequential(layers.Conv2D(2, 3, name="a>b"), layers.Flatten(), shape=(5, 4, 1))
    summary = cost.summary(model)
    page = summary._repr_html_()
    assert "a&gt;b" in page and "a>b" not in page
    for cell in ("3×2×2", "108", "20", "48 B", "total"):
        assert cell in page
    with rich.get_console().capture() as capture:
        rich.print(summary)
    for text in (str(summary), capture.get()):
        assert "a>b" in text and "3×2×2" in text
    frame = summary.to_dataframe()
    assert list(frame.multiplications) == [108, 0] and list(frame.receptive_field) == [(3, 3), (3, 3)]


def test_large_numbers_have_units():
    summary = cost.summary(sequential(layers.Conv2D(1000, 1), shape=(1000, 1000, 1)))
    assert "4 GB" in str(summary) and "1,000,000,000" in str(summary)


# Bad input, and what is left behind


def test_counting_leaves_no_trace():
    model = keras.applications.MobileNetV2(weights=None, input_shape=(32, 32, 3))
    before = [ops.convert_to_numpy(variable).copy() for variable in model.variables]
    calls = layers.Layer.__call__, keras.Operation.__call__
    cost.summary(model)
    assert calls == (layers.Layer.__call__, keras.Operation.__call__)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), value)

    class Broken(layers.Layer):
        def call(self, x):
            if x.shape[0] == 1:
                raise RuntimeError("broken")
            return x

    with pytest.raises(ValueError, match="cannot be called on one example"):
        cost.summary(sequential(Broken(), shape=(3,)))
    assert calls == (layers.Layer.__call__, keras.Operation.__call__)


def test_two_summaries_at_once():
    """Another thread neither sees the replaced calls nor finds them left behind."""
    models = [sequential(*(layers.Dense(4) for _ in range(20)), shape=(4,)) for _ in range(4)]
    calls = layers.Layer.__call__, keras.Operation.__call__
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        counts = [pool.submit(cost.multiplications, model) for model in models]
        answers = [pool.submit(model, np.ones((1, 4))) for model in models]
        assert [count.result() for count in counts] == [320] * 4
        assert all(answer.result().shape == (1, 4) for answer in answers)
    assert calls == (layers.Layer.__call__, keras.Operation.__call__)


def test_a_rule_that_fails_is_named(monkeypatch):
    class Squared(layers.Layer):
        def call(self, x):
            return x * x

    monkeypatch.setitem(cost.RULES, Squared, lambda layer, inputs, outputs: 0)
    with pytest.raises(ValueError, match=r"The rule in cost\.RULES for Squared fails"):
        cost.summary(sequential(Squared(), shape=(3,)))


@pytest.mark.parametrize("shape", [5, "abc", (8.0, 8.0, 3), (-1, 8, 3), [(8, 8, 3), 5]])
def test_a_bad_input_shape(shape):
    with pytest.raises(ValueError, match=r"input_shape has|cannot be called on"):
        cost.summary(sequential(layers.Conv2D(1, 3), shape=(None, None, 3)), shape)


def test_bad_input_gets_one_sentence():
    with pytest.raises(ValueError, match="is no Keras model"):
        cost.parameters(None)
    with pytest.raises(ValueError, match="is no Keras model"):
        cost.summary("resnet")
    with pytest.raises(ValueError, match="is not built"):
        cost.summary(keras.Sequential([layers.Dense(3)]))
    with pytest.raises(ValueError, match=r"cannot be called on one example of shape \(3,\)"):
        cost.summary(sequential(layers.Dense(3), shape=(4,)), (3,))
    with pytest.raises(ValueError, match="is not built"):
        cost.parameters(keras.Sequential([layers.Dense(3)]))
