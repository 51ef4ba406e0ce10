"""Cost: other people's networks against published numbers and TensorFlow's profiler, and models of every form."""

import concurrent.futures
import inspect

import keras
import numpy as np
import pytest
import rich
from keras import layers, ops

from coursekit import cost, inception

APPLICATIONS = {
    # The smallest network of every module of keras.applications, and its multiplications: what TensorFlow's profiler
    # counts, halved. In ConvNeXt, it does not see 105,106,176 of grouped convolutions.
    "ConvNeXtTiny": 4_455_531_264,
    "DenseNet121": 2_834_161_664,
    "EfficientNetB0": 385_814_752,
    "EfficientNetV2B0": 718_086_176,
    "InceptionResNetV2": 13_155_794_016,
    "InceptionV3": 5_713_216_096,
    "MobileNet": 568_740_352,
    "MobileNetV2": 300_774_272,
    "MobileNetV3Small": 56_510_400,
    "NASNetMobile": 563_638_816,
    "ResNet50": 3_857_973_248,
    "ResNet50V2": 3_482_255_360,
    "VGG16": 15_470_264_320,
    "VGG19": 19_632_062_464,
    "Xception": 8_357_403_496,
}
# The receptive fields at the end points of Araujo et al. 2019, "Computing receptive fields of convolutional neural
# networks": github.com/google-research/receptive_field/blob/master/receptive_field/RECEPTIVE_FIELD_TABLE.md
RECEPTIVE_FIELDS = {
    "VGG16": dict(
        block1_conv1=3,
        block1_pool=6,
        block2_conv1=10,
        block2_pool=16,
        block3_conv1=24,
        block3_conv2=32,
        block3_pool=44,
        block4_conv1=60,
        block4_conv2=76,
        block4_pool=100,
        block5_conv1=132,
        block5_conv2=164,
        block5_pool=212,
    ),
    "ResNet50": dict(conv2_block3_out=35, conv3_block4_out=99, conv4_block6_out=291, conv5_block3_out=483),
    "MobileNet": dict(conv1=3)
    | {
        f"conv_pw_{number}": field
        for number, field in enumerate((7, 11, 19, 27, 43, 59, 91, 123, 155, 187, 219, 251, 315), 1)
    },
    "InceptionV3": {
        f"mixed{number}": field for number, field in enumerate((63, 95, 127, 159, 351, 543, 735, 927, 1055, 1183, 1311))
    },
    "InceptionResNetV2": dict(mixed_5b=63, mixed_6a=415, block17_20_ac=2335, mixed_7a=2399, conv_7b=3039),
}


def application(name):
    options = {"input_shape": (224, 224, 3)} if name == "MobileNetV3Small" else {}
    return cost.undrawn(getattr(keras.applications, name))(weights=None, **options)


def sequential(*stack, shape):
    return cost.undrawn(keras.Sequential)([keras.Input(shape), *stack])


# The lecture's figures


def test_the_figures_of_the_lecture():
    direct = sequential(layers.Conv2D(32, 5, padding="same"), shape=(28, 28, 192))
    assert cost.macs(direct) == 120_422_400
    bottleneck = sequential(layers.Conv2D(16, 1), layers.Conv2D(32, 5, padding="same"), shape=(28, 28, 192))
    assert [row.macs for row in cost.summary(bottleneck).rows] == [2_408_448, 10_035_200]
    assert cost.macs(bottleneck) == 12_443_648
    direct = sequential(layers.Conv2D(256, 4, padding="same"), shape=(14, 14, 256))
    bottleneck = sequential(layers.Conv2D(64, 1), layers.Conv2D(256, 4, padding="same"), shape=(14, 14, 256))
    assert round(cost.macs(direct) / cost.macs(bottleneck), 2) == 3.76


# Networks that nobody here wrote


def test_no_family_of_keras_applications_is_left_out():
    builders = [getattr(keras.applications, name) for name in dir(keras.applications)]
    modules = [builder.__module__ for builder in builders if inspect.isfunction(builder)]
    assert len(modules) >= 40
    assert {getattr(keras.applications, name).__module__ for name in APPLICATIONS} == set(modules)


@pytest.mark.only_on("tensorflow")  # their shapes come from the same layers of Keras
@pytest.mark.parametrize("name", APPLICATIONS)
def test_networks_of_keras_applications(name):
    model = application(name)
    summary = cost.summary(model)
    assert summary.macs == APPLICATIONS[name]
    assert summary.parameters == cost.parameters(model) == model.count_params()
    assert not summary.unknown and not summary.containers
    fields = {row.layer: row.receptive_field for row in summary.rows}
    assert None not in fields.values()
    published = RECEPTIVE_FIELDS.get(name, {})
    assert {layer: fields[layer] for layer in published} == {layer: (size, size) for layer, size in published.items()}
    if published:
        finite = [size for field in fields.values() for size in field if size < cost.WHOLE]
        assert max(finite) == max(published.values())


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
    assert profile.total_float_ops == 2 * cost.macs(model)


def test_the_first_layer_of_googlenet():
    """7 x 7 x 3 x 64 weights and 64 biases; the paper's table has 2.7K."""
    rows = cost.summary(cost.undrawn(inception.googlenet)(auxiliary=False)).rows
    assert [row.parameters for row in rows if row.layer == "conv1"] == [9472]


class Squared(layers.Layer):
    def call(self, x):
        return x * x


def test_a_network_with_a_layer_that_is_not_known():
    model = sequential(layers.Dense(5), Squared(name="squared"), layers.Dense(2), shape=(4,))
    summary = cost.summary(model)
    assert summary.unknown == ["squared (Squared)"]
    assert summary.macs == 4 * 5 + 5 * 2
    assert "at least 30" in str(summary)
    with pytest.raises(ValueError, match=r"squared \(Squared\).*cost\.register"):
        cost.macs(model)


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
        assert cost.macs(model) == 36 * 9 * 2 * 4 + 4 * 3
    for model in (subclassed, called):
        with pytest.warns(UserWarning, match="inside Subclassed, once for each call; what its own code multiplies"):
            assert cost.macs(model) == cost.macs(flat)


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
    assert [row.macs for row in summary.rows] == [12, None, 6]
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
        cost.macs(model)


def test_what_a_functional_model_does_not_call_is_free():
    model = inception.small_googlenet(
        (28, 28, 1), width_multiplier=0.05, modules=("3a", "4a"), auxiliary=True, normalization=None
    )
    rest = [row for row in cost.summary(model).rows if row.type == "not called"]
    assert rest and all(row.macs == 0 and "auxiliary" in row.layer for row in rest)
    assert cost.macs(model) == cost.macs(model.classifier)


def test_a_fixed_batch_counts_one_example():
    x = keras.Input(batch_shape=(4, 10, 3))
    model = keras.Model(x, layers.Dense(2)(layers.LSTM(5, stateful=True)(x)))
    assert cost.macs(model) == 10 * 4 * (3 * 5 + 5 * 5) + 2 * 5
    assert cost.summary(model).activation_bytes == 4 * (5 + 2)


def test_a_shared_layer_multiplies_twice_and_has_its_parameters_once():
    shared = layers.Dense(4)
    x = keras.Input((4,))
    model = keras.Model(x, shared(shared(x)))
    summary = cost.summary(model)
    assert [row.macs for row in summary.rows] == [16, 16]
    assert [row.parameters for row in summary.rows] == [20, 0]


def test_several_inputs_in_a_list_or_by_name():
    a, b = keras.Input((4,), name="a"), keras.Input((6,), name="b")
    y = layers.Dense(1)(layers.Concatenate()([a, b]))
    for inputs in ([a, b], {"a": a, "b": b}):
        assert cost.macs(keras.Model(inputs, y)) == 10


@pytest.mark.only_on("tensorflow", "jax")  # on PyTorch and a processor, Keras's convolutions of float16 answer float32
def test_a_model_of_mixed_precision_keeps_half_the_memory_and_its_fields():
    def stack(dtype):
        inner = keras.Sequential([keras.Input((8, 8, 4)), layers.Conv2D(4, 3, dtype=dtype)])
        return sequential(layers.Conv2D(4, 3, dtype=dtype), inner, shape=(10, 10, 2))

    full, half = cost.summary(stack("float32")), cost.summary(stack("mixed_float16"))
    assert half.activation_bytes == full.activation_bytes / 2
    assert [row.receptive_field for row in half.rows] == [(3, 3), (5, 5)]


def test_a_size_that_the_model_leaves_open():
    model = sequential(layers.Conv2D(2, 3), shape=(None, None, 3))
    assert cost.macs(model, (10, 12, 3)) == 8 * 10 * 9 * 3 * 2
    assert cost.macs(model, tuple(np.array((10, 12, 3)))) == 8 * 10 * 9 * 3 * 2
    with pytest.raises(ValueError, match="pass input_shape"):
        cost.summary(model)


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
    assert list(frame.macs) == [108, 0] and list(frame.receptive_field) == [(3, 3), (3, 3)]


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
        counts = [pool.submit(cost.macs, model) for model in models]
        answers = [pool.submit(model, np.ones((1, 4))) for model in models]
        assert [count.result() for count in counts] == [320] * 4
        assert all(answer.result().shape == (1, 4) for answer in answers)
    assert calls == (layers.Layer.__call__, keras.Operation.__call__)


@pytest.mark.parametrize("shape", [5, "abc", (8.0, 8.0, 3), (-1, 8, 3), (8, 8, True), [(8, 8, 3), 5]])
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
