"""Transfer learning: taps against layers applied by hand, freezing bit by bit, rates against plain optimizers.

The small models are chains whose layer names end in a number: which counted layer, from the bottom, a layer belongs
to. So the names say what must freeze together, and the tests need not find it out as the package does.
"""

import keras
import numpy as np
import pytest
from conftest import at_most, numpy, of_structure
from hypothesis import given
from hypothesis import strategies as st
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal

from coursekit import _keras, efficientnet, training, transfer

SHAPE = (8, 8, 1)
CLASSES = 3
schedules = keras.optimizers.schedules


def block(number, width=3):
    return [
        layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"conv{number}"),
        layers.BatchNormalization(momentum=0.5, name=f"bn{number}"),
        layers.Activation("elu", name=f"elu{number}"),
    ]


def head(number):
    return [layers.GlobalAveragePooling2D(name=f"pool{number - 1}"), layers.Dense(CLASSES, name=f"head{number}")]


def sequential(*stack, name=None, shape=SHAPE):
    return keras.Sequential([keras.Input(shape), *stack], name=name)


def functional(*stack, name=None, shape=SHAPE):
    x = inputs = keras.Input(shape)
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x, name=name)


def two_levels():
    inner = functional(*block(1), name="inner")
    middle = functional(inner, *block(2), name="middle")
    return functional(layers.Rescaling(2.0, name="scale1"), middle, *head(3))


def norm_after_nested():
    conv, *rest = block(2)
    return functional(*block(1), sequential(conv, shape=(8, 8, 3), name="body"), *rest, *head(3))


MODELS = {
    "sequential": lambda: sequential(*block(1), *block(2), *head(3)),
    "functional": lambda: functional(*block(1), *block(2), *head(3)),
    "nested functional": lambda: functional(functional(*block(1), *block(2), name="body"), *head(3)),
    "nested sequential": lambda: functional(sequential(*block(1), *block(2), name="body"), *head(3)),
    "nested in sequential": lambda: sequential(functional(*block(1), *block(2), name="body"), *head(3)),
    "two levels": two_levels,
    "norm after nested": norm_after_nested,
    "norm below": lambda: functional(layers.BatchNormalization(name="below1"), *block(1), *block(2), *head(3)),
}
every_model = pytest.mark.parametrize("kind", MODELS)


def leaves(model):
    """The layers of a chain, in order, through nested models."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        elif not isinstance(layer, layers.InputLayer):
            yield layer


def number_of(layer):
    return int(layer.name[-1])


def outputs_by_hand(model, x):
    """Apply a chain layer after layer: a dict from name to output."""
    outputs = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            outputs |= outputs_by_hand(layer, x)
        if not isinstance(layer, layers.InputLayer):
            x = outputs[layer.name] = layer(x)
    return outputs


def images(number=6, shape=SHAPE):
    return np.random.default_rng(0).random((number, *shape), "float32")


def randomise(model, seed=0):
    """Random weights and batch-norm statistics: those of a new model hide what a test should see."""
    random = np.random.default_rng(seed)
    for variable in model.weights:
        positive = variable.path.endswith(("gamma", "variance"))
        variable.assign(random.uniform(0.5, 1.5, variable.shape) if positive else random.normal(0, 0.4, variable.shape))
    return model


def weights_of(layer):
    return [keras.ops.convert_to_numpy(weight) for weight in layer.weights]


def by_layer(model):
    return {layer.name: weights_of(layer) for layer in leaves(model)}


def train(model, optimizer=None, steps=2, x=None, run_eagerly=True):
    """A few steps. Eagerly, because most tests train a model once, and compiling one takes longer than that."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.Adam(0.01), loss, run_eagerly=run_eagerly)
    x = images() if x is None else x
    for _ in range(steps):
        model.train_on_batch(x, np.arange(len(x)) % CLASSES)


def assert_equal(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert_array_equal(one, other)


def assert_moved(layer, before):
    """The kernel of a layer changed, or all of a batch norm: scale, shift and moving statistics."""
    after = weights_of(layer)
    moving = len(after) if isinstance(layer, layers.BatchNormalization) else 1
    for one, other in zip(before[:moving], after[:moving], strict=True):
        assert np.any(one != other), layer.name


@pytest.fixture(scope="module")
def application():
    """A backbone of `keras.applications` with random weights, nested above a rescaling; 52 layers and a head."""
    shape = (96, 96, 3)
    body = keras.applications.MobileNetV2(shape, 0.35, include_top=False, weights=None, pooling="avg", name="body")
    return randomise(
        functional(layers.Rescaling(1 / 127.5, -1), body, layers.Dense(CLASSES, name="logits"), shape=shape)
    )


# The network of the chapter


def test_convnet():
    model = transfer.convnet((8, 8, 3), CLASSES, filters=(4, 4, 6))
    names = ["conv1", "bn1", "relu1", "conv2", "bn2", "relu2", "pool3", "conv3", "bn3", "relu3", "features", "logits"]
    assert [layer.name for layer in leaves(model)] == names
    assert model.get_layer("relu2").output.shape == (None, 8, 8, 4)
    assert model.get_layer("relu3").output.shape == (None, 4, 4, 6)
    assert model.output.shape == (None, CLASSES)
    assert model.layers[-1].activation is keras.activations.linear  # logits, and no probabilities


# Features


@every_model
def test_every_tap_equals_the_layers_by_hand(kind):
    model = randomise(MODELS[kind]())
    expected = outputs_by_hand(model, images())
    names = list(reversed(expected))  # the order of the names decides, not that of the layers
    taps = transfer.feature_extractor(model, names)(images())
    assert len(taps) == len(names) >= 8
    for name, tap in zip(names, taps, strict=True):
        assert_allclose(tap, expected[name], atol=1e-6, err_msg=name)
        one = transfer.feature_extractor(model, name)(images())
        assert_allclose(one, expected[name], atol=1e-6, err_msg=name)


@every_model
def test_taps_share_the_weights(kind):
    model = MODELS[kind]()
    extractor = transfer.feature_extractor(model, ["elu1", "elu2"])
    assert {id(weight) for weight in extractor.weights} < {id(weight) for weight in model.weights}
    expected = outputs_by_hand(randomise(model), images())
    for name, tap in zip(["elu1", "elu2"], extractor(images()), strict=True):
        assert_allclose(tap, expected[name], atol=1e-6)


def test_tapping_does_not_change_the_model():
    model = randomise(two_levels())
    before, config = model(images()), model.get_config()
    transfer.feature_extractor(model, "elu1")
    again = transfer.feature_extractor(model, ["elu1", "head3"])
    assert_array_equal(model(images()), before)
    assert_array_equal(again(images())[1], before)
    assert model.get_config() == config
    assert keras.models.clone_model(model).count_params() == model.count_params()


def test_taps_of_a_branching_model():
    x = inputs = keras.Input(SHAPE)
    for layer in block(1):
        x = layer(x)
    y = layers.Conv2D(3, 3, padding="same", name="conv2")(x)
    unit = keras.Model(inputs, layers.Add(name="add2")([x, y]), name="unit")
    model = randomise(functional(unit, *head(3)))
    shortcut, branch, both = transfer.feature_extractor(model, ["elu1", "conv2", "add2"])(images())
    assert_allclose(both, shortcut + branch, atol=1e-6)
    assert_allclose(both, unit(images()), atol=1e-6)


def test_taps_of_a_model_with_two_inputs():
    one, two = keras.Input((4,), name="one"), keras.Input((4,), name="two")
    difference = layers.Subtract(name="difference")([one, two])
    inner = keras.Model([one, two], layers.Dense(2, name="dense")(difference))
    one, two = keras.Input((4,), name="first"), keras.Input((4,), name="second")
    model = keras.Model([one, two], layers.Activation("elu", name="elu")(inner([two, one])))  # the other way round
    x = images(2, (6, 4))
    tap, output = transfer.feature_extractor(model, ["difference", "elu"])(list(x))
    assert_allclose(tap, x[1] - x[0], atol=1e-6)
    assert_allclose(output, model(list(x)), atol=1e-6)


@of_structure
def test_taps_of_an_application(application):
    names = ["block_3_expand_relu", "block_4_add", "out_relu"]
    rescaling, body = application.layers[1:3]
    x = 255 * images(2, (96, 96, 3))
    expected = keras.Model(body.input, [body.get_layer(name).output for name in names])(rescaling(x))
    for tap, wanted in zip(transfer.feature_extractor(application, names)(x), expected, strict=True):
        assert_allclose(tap, wanted, rtol=1e-3, atol=1e-4)


def test_unknown_and_ambiguous_names():
    twice = functional(functional(*block(1), name="a"), functional(*block(1), shape=(8, 8, 3), name="b"), *head(3))
    with pytest.raises(ValueError, match=r"has no layer named 'conv9'; its layers are .*conv1.*head3\.$"):
        transfer.feature_extractor(twice, ["pool2", "conv9"])
    with pytest.raises(ValueError, match="has more than one layer named 'conv1'"):
        transfer.feature_extractor(twice, "conv1")


def test_a_layer_with_two_outputs():
    twice = layers.Dense(4, name="twice")
    model = functional(twice, twice, layers.Dense(1, name="top"), shape=(4,))
    with pytest.raises(ValueError, match=r"'twice' is called more than once in .*, so its output is ambiguous"):
        transfer.feature_extractor(model, "twice")
    assert_array_equal(transfer.feature_extractor(model, "top")(np.eye(4)), model(np.eye(4)))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="subclassed")
        self.dense = layers.Dense(CLASSES, name="dense")

    def call(self, x):
        return self.dense(x)


@pytest.mark.parametrize("build", [Subclassed, lambda: keras.Sequential([layers.Dense(CLASSES, name="dense")])])
@pytest.mark.parametrize(
    "function",
    [lambda model: transfer.feature_extractor(model, "dense"), lambda model: transfer.transfer_model(model, 2)],
)
def test_models_that_are_no_graph(build, function):
    with pytest.raises(ValueError, match=r"is not a graph of layers with known shapes; make it with keras\.Model"):
        function(build())


def test_a_called_subclassed_model_is_still_no_graph():
    model = Subclassed()
    model(np.ones((1, 2), "float32"))
    with pytest.raises(ValueError, match="subclassed is not a graph of layers"):
        transfer.feature_extractor(model, "dense")


# Freezing


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")  # that is what n = 3 asks for
@every_model
def test_frozen_layers_keep_every_bit_and_the_others_move(kind):
    model = MODELS[kind]()
    for n in range(4):
        assert transfer.freeze(randomise(model), n) is model
        before = by_layer(model)
        train(model)
        for layer in leaves(model):
            if number_of(layer) <= n:
                assert_equal(weights_of(layer), before[layer.name])
            elif layer.weights:
                assert_moved(layer, before[layer.name])


@every_model
def test_frozen_layers_ignore_the_batch(kind):
    model = randomise(MODELS[kind]())
    transfer.freeze(model, 3)
    assert_array_equal(model(images(), training=True), model(images(), training=False))
    transfer.freeze(model, 0)
    assert np.abs(model(images(), training=True) - model(images(), training=False)).max() > 0.01


@pytest.fixture(scope="module")
def models():
    return {kind: build() for kind, build in MODELS.items()}


def assert_trains_exactly(model, numbers):
    """The trainable variables are those of the layers with these numbers; of a batch norm, scale and shift."""
    expected = [weight for layer in leaves(model) if number_of(layer) in numbers for weight in layer.weights[:2]]
    assert {weight.path for weight in model.trainable_variables} == {weight.path for weight in expected}
    assert {id(weight) for weight in model.trainable_variables} == {id(weight) for weight in expected}


@at_most(60)
@given(kind=st.sampled_from(list(MODELS)), calls=st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1))
def test_the_last_call_decides(models, kind, calls):
    model = models[kind]
    for from_the_top, n in calls:
        (transfer.unfreeze_top if from_the_top else transfer.freeze)(model, n)
    assert_trains_exactly(model, range(4 - n, 4) if from_the_top else range(n + 1, 4))


@every_model
def test_a_smaller_n_unfreezes(models, kind):
    model = models[kind]
    transfer.freeze(transfer.freeze(model, 3), 1)
    assert_trains_exactly(model, {2, 3})
    for layer in leaves(model):
        assert layer.trainable is (number_of(layer) > 1)


@every_model
def test_whatever_was_frozen_by_hand(models, kind):
    model = models[kind]
    model.trainable = False
    transfer.freeze(model, 0)
    assert_trains_exactly(model, {1, 2, 3})
    model.trainable = True
    next(leaves(model)).trainable = False
    transfer.freeze(model, 2)
    assert_trains_exactly(model, {3})


def test_an_inner_layer_frozen_by_hand():
    # TensorFlow takes no notice of `trainable = True` on a layer that is trainable, whatever is inside it.
    wrapper = layers.TimeDistributed(layers.Dense(2), name="wrapper1")
    model = functional(wrapper, layers.Flatten(), layers.Dense(1, name="head2"), shape=(3, 4))
    wrapper.layer.trainable = False
    assert len(transfer.freeze(model, 0).trainable_variables) == 4


def test_a_normalization_belongs_to_what_feeds_it_not_to_what_stands_before_it():
    inputs = keras.Input(SHAPE)
    one, two = (layers.Conv2D(3, 3, name=f"conv{number}")(inputs) for number in (1, 2))
    branches = [layers.BatchNormalization(name=f"bn{number}")(x) for number, x in ((1, one), (2, two))]
    merged = layers.BatchNormalization(name="merged2")(layers.Concatenate(name="both2")(branches))
    x = layers.GlobalAveragePooling2D(name="pool2")(merged)
    model = keras.Model(inputs, layers.Dense(CLASSES, name="head3")(x))
    for n in range(4):
        assert_trains_exactly(transfer.freeze(model, n), range(n + 1, 4))


def conv_of(name):
    """The convolution that a batch norm of MobileNetV2 follows goes by the same name."""
    return name.removeprefix("bn_").removesuffix("_BN").removesuffix("_bn")


def test_freeze_an_application(application):
    with_kernel = [layer.name for layer in leaves(application) if hasattr(layer, "kernel")]
    assert [layer.name for layer in transfer.kernel_layers(application)] == with_kernel
    assert len(with_kernel) == 53
    for n in (53, 0, 30, 52, 1, 50):
        transfer.freeze(application, n)
        for layer in leaves(application):
            if layer.weights:
                assert layer.trainable is (with_kernel.index(conv_of(layer.name)) >= n), (n, layer.name)

    before = by_layer(application)
    # On JAX, compiling the whole step is faster than every one of its operations.
    train(application, steps=1, x=255 * images(3, (96, 96, 3)), run_eagerly=keras.backend.backend() != "jax")
    for layer in leaves(application):
        if layer.weights and with_kernel.index(conv_of(layer.name)) >= 50:
            assert_moved(layer, before[layer.name])
        else:
            assert_equal(weights_of(layer), before[layer.name])


NO_WEIGHTS = [
    lambda: keras.Sequential([layers.Dense(2)], name="empty"),
    lambda: keras.Sequential([keras.Input((2,)), layers.BatchNormalization()], name="empty"),
]


@pytest.mark.parametrize("build", NO_WEIGHTS)
@pytest.mark.parametrize(
    "function",
    [
        transfer.kernel_layers,
        lambda model: transfer.freeze(model, 0),
        lambda model: transfer.unfreeze_top(model, 0),
        lambda model: transfer.layerwise_optimizer(model, 0.1, 0.5),
    ],
)
def test_models_without_weights(build, function):
    with pytest.raises(ValueError, match="empty has no layer with a kernel; build it, or call it once on data, first"):
        function(build())


@pytest.mark.parametrize("n", [-1, 4, 1.5, 1.0, True, "1", None])
@pytest.mark.parametrize("function", [transfer.freeze, transfer.unfreeze_top])
def test_n_out_of_range(models, function, n):
    with pytest.raises(ValueError, match=rf"n is {n!r}; .* has 3 layers with a kernel, so n must be a whole"):
        function(models["two levels"], n)


# A new head


@every_model
def test_transfer_model_copies(kind):
    source = randomise(MODELS[kind]())
    before, features = by_layer(source), outputs_by_hand(source, images())["pool2"]
    model = transfer.transfer_model(source, 5)
    assert model.output.shape == (None, 5)
    assert model.layers[-1].name == "logits"
    assert not {id(weight) for weight in model.weights} & {id(weight) for weight in source.weights}
    assert_allclose(outputs_by_hand(model, images())["pool2"], features, atol=1e-6)
    assert_allclose(transfer.feature_extractor(model, "pool2")(images()), features, atol=1e-6)
    assert not [layer for layer in leaves(model) if layer.name == "head3"]

    train(model)
    for layer in leaves(model):
        if layer.name != "logits" and layer.weights:
            assert_moved(layer, before[layer.name])
    for layer in leaves(source):
        assert_equal(weights_of(layer), before[layer.name])


def test_transfer_model_from_a_lower_layer():
    x = [
        layers.GlobalAveragePooling2D(name="pool1"),
        layers.Dense(4, "elu", name="hidden2"),
        layers.Dense(3, name="h3"),
    ]
    source = randomise(functional(functional(*block(1), name="body"), *x))
    model = transfer.transfer_model(source, 2, features="pool1")
    assert [layer.name for layer in transfer.kernel_layers(model)] == ["conv1", "logits"]
    expected = outputs_by_hand(source, images())["pool1"] @ model.get_layer("logits").kernel
    assert_allclose(model(images()), expected, atol=1e-5)


def test_transfer_of_a_transfer():
    source = randomise(transfer.transfer_model(two_levels(), 5))
    model = transfer.transfer_model(source, 2)
    assert model.output.shape == (None, 2)
    features = [transfer.feature_extractor(m, "pool2")(images()) for m in (source, model)]
    assert_allclose(*features, atol=1e-6)


def test_transfer_to_regression():
    x, source = images(16), randomise(MODELS["nested functional"]())
    model = training.compile_regressor(transfer.transfer_model(source, 1), learning_rate=0.02)
    before = by_layer(model)
    history = training.fit(model, x, x.mean((1, 2)), epochs=15, seed=0, batch_size=16)
    assert history["loss"][-1] < history["loss"][0] / 2
    for layer in leaves(model):
        if layer.weights:
            assert_moved(layer, before[layer.name])


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        ("conv9", "has no layer named 'conv9'"),
        ("elu2", r"needs vectors, but 'elu2' has shape \(None, 8, 8, 3\); choose the layer after the pooling"),
    ],
)
def test_transfer_model_refuses(models, features, sentence):
    with pytest.raises(ValueError, match=sentence):
        transfer.transfer_model(models["nested functional"], 2, features=features)


def test_transfer_model_needs_vectors_below_the_head():
    convolutional = functional(*block(1), layers.Conv2D(CLASSES, 8, name="head2"))
    with pytest.raises(ValueError, match="needs vectors, but 'the input of the last layer' has shape"):
        transfer.transfer_model(convolutional, 2)


def test_transfer_model_needs_weights():
    model = keras.Sequential([keras.Input((2,)), layers.ReLU(name="relu"), layers.ReLU()], name="empty")
    with pytest.raises(ValueError, match="empty has no layer with a kernel"):
        transfer.transfer_model(model, 2)


@pytest.mark.parametrize(
    "top", [[layers.Softmax(name="top")], [keras.Sequential([keras.Input((3,)), layers.Dense(2)])]]
)
def test_transfer_model_replaces_a_classifier_only(top):
    model = functional(*block(1), *head(2), *top)
    with pytest.raises(ValueError, match="is not its one classifier; name with features= the layer whose output"):
        transfer.transfer_model(model, 2)
    assert transfer.transfer_model(model, 2, features="pool1").output.shape == (None, 2)


@every_model
def test_transfer_from_a_frozen_source_is_trainable(kind):
    source = transfer.freeze(MODELS[kind](), 3)
    model = transfer.transfer_model(source, 2)
    assert len(model.trainable_variables) == len(transfer.freeze(source, 0).trainable_variables)


# Learning rates for every layer


def trained(kind, make_optimizer, steps=4):
    """The weights by layer of a model, always the same one, after a few steps with an optimizer made for it."""
    model = randomise(MODELS[kind]())
    train(model, make_optimizer(model), steps)
    return by_layer(model)


@every_model
def test_decay_one_is_one_adam(kind):
    together = trained(kind, lambda model: transfer.layerwise_optimizer(model, 0.01, decay=1))
    plain = trained(kind, lambda model: keras.optimizers.Adam(0.01))
    for name in plain:
        for one, other in zip(together[name], plain[name], strict=True):
            assert_allclose(one, other, atol=1e-6, err_msg=name)


@every_model
def test_decay_zero_is_freezing(kind):
    start = by_layer(randomise(MODELS[kind]()))
    zero = trained(kind, lambda model: transfer.layerwise_optimizer(model, 0.01, decay=0))
    frozen = trained(kind, lambda model: keras.optimizers.Adam(0.01) if transfer.freeze(model, 2) else None)
    for name in frozen:
        if not name.endswith("3"):
            assert_equal(zero[name], start[name])
        for one, other in zip(zero[name], frozen[name], strict=True):
            assert_allclose(one, other, atol=1e-6, err_msg=name)
    assert np.abs(zero["head3"][0] - start["head3"][0]).max() > 0.01


@every_model
def test_one_step_of_adam_moves_every_layer_by_its_rate(kind):
    for decay in (0.3, 0.9):
        model = randomise(MODELS[kind]())
        before = by_layer(model)
        train(model, transfer.layerwise_optimizer(model, 0.01, decay), steps=1)
        for layer in leaves(model):
            # Adam's first step is the rate itself, wherever the gradient is large beside its epsilon.
            for one, other in zip(before[layer.name][:2], weights_of(layer)[:2], strict=True):
                assert np.abs(one - other).max() == pytest.approx(0.01 * decay ** (3 - number_of(layer)), rel=0.03)


def test_lower_layers_move_less():
    start = by_layer(randomise(two_levels()))
    end = trained("two levels", lambda model: transfer.layerwise_optimizer(model, 0.01, decay=0.3))
    distances = [np.abs(end[name][0] - start[name][0]).mean() for name in ("conv1", "conv2", "head3")]
    assert 0 < 2 * distances[0] < distances[1] < distances[2] / 2


def test_other_optimizers():
    start = by_layer(randomise(two_levels()))
    sgd = keras.optimizers.SGD
    plain = trained("two levels", lambda model: sgd(0.1), steps=1)
    scaled = trained("two levels", lambda model: transfer.layerwise_optimizer(model, 0.1, 0.5, sgd), steps=1)
    for name in start:
        for zero, one, other in list(zip(start[name], plain[name], scaled[name], strict=True))[:2]:
            assert_allclose(other - zero, 0.5 ** (3 - int(name[-1])) * (one - zero), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("decay", [-0.1, 1.1, float("nan")])
def test_decay_out_of_range(models, decay):
    with pytest.raises(ValueError, match=f"decay is {decay}; it must be from 0, which freezes, to 1, which fine-tunes"):
        transfer.layerwise_optimizer(models["functional"], 0.1, decay)


def moves(model, optimizer=None):
    """By how much a training step moves the kernels at most, from the bottom to the top."""
    kernels = [layer.weights[0] for layer in transfer.kernel_layers(model)]
    before = [numpy(kernel) for kernel in kernels]
    if optimizer:
        train(model, optimizer, steps=1)
    else:
        model.train_on_batch(images(), np.arange(6) % CLASSES)
    return [np.abs(numpy(kernel) - old).max() for kernel, old in zip(kernels, before, strict=True)]


def test_two_copies_of_a_network_have_rates_of_their_own(tmp_path):
    model = functional(functional(*block(1), name="a"), functional(*block(1), shape=(8, 8, 3), name="b"), *head(3))
    one, other = model.trainable_variables[0], model.trainable_variables[3]
    assert one.path == other.path
    assert_allclose(
        moves(randomise(model), transfer.layerwise_optimizer(model, 0.01, 0.1)), [1e-4, 1e-3, 1e-2], rtol=0.03
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_allclose(moves(loaded), moves(model), rtol=0.03)  # steps of 1e-4 in float32


def test_a_layer_that_changes_by_itself_cannot_be_frozen():
    normalized = layers.SpectralNormalization(layers.Conv2D(2, 3), name="spectral")
    model = sequential(normalized, *head(2))
    with pytest.raises(ValueError, match="'spectral' cannot be frozen: it changes its own weights in every training"):
        transfer.freeze(model, 1)
    assert normalized.trainable  # nothing is half frozen
    assert transfer.freeze(model, 0) is model


class Counting(layers.Layer):
    """Counts its training steps: always, or only while it is trainable."""

    def __init__(self, always, **options):
        super().__init__(**options)
        self.always = always

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 2))
        self.steps = self.add_weight(shape=(), trainable=False)

    def call(self, x, training=False):
        if training and (self.always or self.trainable):
            self.steps.assign_add(1.0)
        return x @ self.kernel


def test_whatever_else_changes_by_itself_cannot_be_frozen():
    with pytest.raises(ValueError, match="'counting' cannot be frozen"):
        transfer.freeze(functional(functional(Counting(always=True, name="counting")), *head(2)), 1)
    model = transfer.freeze(randomise(functional(functional(Counting(always=False)), *head(2))), 1)
    before = [numpy(weight) for weight in model.weights[:2]]
    train(model)
    assert_equal(before, [numpy(weight) for weight in model.weights[:2]])


def test_what_only_scales_is_no_layer_of_its_own():
    class Scale(layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(shape[-1],), name="scale")

        def call(self, x):
            return x * self.scale

    model = functional(*block(1), layers.PReLU(name="slope"), *block(2), Scale(name="scale"), *head(3))
    assert [layer.name for layer in transfer.kernel_layers(model)] == ["conv1", "conv2", "head3"]
    transfer.freeze(model, 1)
    assert not model.get_layer("slope").trainable and model.get_layer("scale").trainable


def test_what_is_frozen_later_needs_no_rate():
    model = randomise(two_levels())
    optimizer = transfer.layerwise_optimizer(model, 0.01, 0.1)
    transfer.freeze(model, 1)
    assert_allclose(moves(model, optimizer), [0, 1e-3, 1e-2], rtol=0.03)


def test_the_rates_are_for_one_model():
    optimizer = transfer.layerwise_optimizer(two_levels(), 0.01, 0.1)
    with pytest.raises(ValueError, match="The weight 'conv1/kernel' has no learning rate; call layerwise_optimizer on"):
        train(two_levels(), optimizer)


def test_a_weight_outside_the_layers():
    class WithTemperature(keras.Model):
        def __init__(self, inputs, outputs):
            super().__init__(inputs, outputs, name="model")
            self.temperature = self.add_weight(shape=(), name="temperature")

    graph = MODELS["functional"]()
    with pytest.raises(ValueError, match="The weight 'model/temperature' of model is in none of its layers"):
        transfer.layerwise_optimizer(WithTemperature(graph.inputs, graph.outputs), 0.1, 0.5)


@st.composite
def any_schedule(draw):
    rate = draw(st.floats(1e-4, 1))
    steps = draw(st.integers(1, 100))
    return draw(
        st.sampled_from(
            [
                schedules.ExponentialDecay(rate, steps, 0.5),
                schedules.CosineDecay(rate, steps, warmup_target=2 * rate, warmup_steps=5),
                schedules.PiecewiseConstantDecay([steps], [rate, rate / 10]),
            ]
        )
    )


@at_most(25)
@given(schedule=any_schedule(), scale=st.floats(0, 1), step=st.integers(0, 200))
def test_scaled_schedules_keep_the_ratio(schedule, scale, step):
    scaled = transfer.ScaledSchedule(schedule, scale)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(scaled))
    for one in (scaled, again):
        assert float(one(step)) == pytest.approx(float(schedule(step)) * scale, rel=1e-6)


def rates(model):
    return [float(optimizer.learning_rate) for optimizer in model.optimizer.optimizers]


def test_a_schedule_keeps_the_ratios_while_training():
    model = randomise(two_levels())
    schedule = schedules.ExponentialDecay(0.1, decay_steps=2, decay_rate=0.5)
    optimizer = transfer.layerwise_optimizer(model, schedule, decay=0.1)
    for done in (0, 2, 4):
        if done:
            train(model, optimizer, steps=2)
        expected = 0.1 * 0.5 ** (done / 2) * np.array([1, 0.1, 0.01])
        assert_allclose([float(o.learning_rate) for o in optimizer.optimizers], expected, rtol=1e-5)


def fit_with_scheduler(model, optimizer):
    train(model, optimizer, steps=1)
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)
    model.fit(images(), np.arange(6) % CLASSES, verbose=0, callbacks=[scheduler])


def test_a_scheduler_callback_cannot_override_a_schedule():
    model = randomise(two_levels())
    schedule = schedules.ExponentialDecay(0.1, 2, 0.5)
    with pytest.raises(TypeError, match="its learning rate is not settable"):
        fit_with_scheduler(model, transfer.layerwise_optimizer(model, schedule, decay=0.5))


def test_a_scheduler_callback_cannot_unfreeze():
    # It sets every optimizer's rate, as if the layers had none of their own; a frozen layer has no optimizer.
    model = randomise(two_levels())
    before = by_layer(model)
    fit_with_scheduler(model, transfer.layerwise_optimizer(model, 0.01, decay=0))
    for layer in leaves(model):
        if number_of(layer) < 3:
            assert_equal(weights_of(layer), before[layer.name])


@pytest.mark.parametrize("learning_rate", [0.01, schedules.ExponentialDecay(0.01, 3, 0.5)])
@pytest.mark.parametrize("decay", [0, 0.5])
def test_a_saved_model_goes_on_with_its_rates(tmp_path, learning_rate, decay):
    model = randomise(two_levels())
    train(model, transfer.layerwise_optimizer(model, learning_rate, decay))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert rates(loaded) == rates(model)
    assert len(rates(loaded)) == (3 if decay else 1)
    for one in (model, loaded):
        for _ in range(2):
            one.train_on_batch(images(), np.arange(6) % CLASSES)
    for name, weights in by_layer(model).items():
        for one, other in zip(by_layer(loaded)[name], weights, strict=True):
            assert_allclose(one, other, atol=1e-6)


def test_a_layer_that_changes_by_itself_cannot_be_frozen_inside_of_another():
    inner = layers.SpectralNormalization(layers.Dense(3))
    for wrapped in (inner, keras.Sequential([keras.Input((4,)), inner])):
        model = keras.Sequential([keras.Input((2, 4)), layers.TimeDistributed(wrapped), layers.Dense(2)])
        with pytest.raises(ValueError, match="cannot be frozen: it changes its own weights in every training step"):
            transfer.freeze(model, 1)


def test_where_all_layers_are_frozen_nothing_trains():
    """Not what is in none of the layers either, such as auxiliary heads."""

    class WithHead(keras.Model):
        def __init__(self, inputs, outputs):
            super().__init__(inputs, outputs)
            self.head = layers.Dense(2)
            self.head.build((None, 4))

    x = keras.Input((4,))
    model = WithHead(x, layers.Dense(3)(x))
    assert transfer.freeze(model, 1).trainable_variables == []
    assert len(transfer.freeze(model, 0).trainable_variables) == 4


@pytest.mark.parametrize("names", [3, None, [], [3], [None]])
def test_layers_go_by_their_names(names):
    with pytest.raises(ValueError, match=r"layer_names is .*; give"):
        transfer.feature_extractor(sequential(*head(1)), names)


def test_the_new_layer_reads_one_layer():
    with pytest.raises(ValueError, match=r"features is \['pool0'\]; give the name of one layer"):
        transfer.transfer_model(sequential(*head(1)), 3, features=["pool0"])
    twice = layers.Dense(4)
    x = keras.Input((4,))
    with pytest.raises(ValueError, match="is not its one classifier; name with features="):
        transfer.transfer_model(keras.Model(x, twice(twice(x))), 3)


@pytest.mark.parametrize("what", [None, layers.Dense(3), "model"])
def test_what_is_no_model_is_refused(what):
    for call in (transfer.kernel_layers, lambda model: transfer.freeze(model, 0)):
        with pytest.raises(ValueError, match="is no Keras model"):
            call(what)
    with pytest.raises(ValueError, match="is no Keras model"):
        transfer.feature_extractor(what, "a")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"optimizer": "sgd"}, "optimizer is 'sgd'; give a class, such as keras.optimizers.SGD"),
        ({"optimizer": keras.optimizers.SGD()}, "optimizer is .*; give a class"),
        ({"learning_rate": None}, "learning_rate is None; it must be a number, or a schedule of Keras"),
        ({"decay": "half"}, "decay is 'half'; it must be from 0"),
    ],
)
def test_what_makes_no_layerwise_optimizer_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        transfer.layerwise_optimizer(sequential(*head(1)), **{"learning_rate": 0.1, "decay": 0.5} | options)


def test_several_rates_are_not_set_by_one():
    model = sequential(*block(1), *head(2))
    training.compile_classifier(model, optimizer=transfer.layerwise_optimizer(model, np.float32(0.1), decay=0.5))
    before = [np.ones_like(weight) for weight in model.get_weights()]
    with pytest.raises(ValueError, match="has a learning rate for each of its layers; compile it again with others"):
        training.restart(model, before, learning_rate=0.1)
    assert not all(map(np.array_equal, before, model.get_weights()))


# Backbones: a stand-in for the networks of `keras.applications`, and then they themselves


def preprocess_input(pixels):
    return pixels / 127.5 - 1


def tiny_network(include_top, weights, input_shape, pooling):
    assert not include_top and pooling == "avg"
    if weights == "no network":
        raise Exception("URL fetch failure on https://example.org")
    x = inputs = keras.Input(input_shape)
    x = layers.BatchNormalization(name="norm")(layers.Conv2D(4, 3, name="conv")(x))
    x = layers.Concatenate(name="concat")([layers.ReLU(name="relu")(x), x + 1.0])
    model = keras.Model(inputs, layers.GlobalAveragePooling2D(name="pool")(x), name="tiny")
    return randomise(model) if weights == "imagenet" else model


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(_keras, "applications", lambda: {"Tiny": tiny_network})


def photographs(number=2, side=32):
    return np.random.default_rng(0).random((number, side, side, 3), "float32")


def test_a_backbone_prepares_the_pixels_itself(tiny):
    model = transfer.backbone("Tiny", (8, 8, 3))
    pixels = photographs(side=8)
    expected = tiny_network(False, "imagenet", (8, 8, 3), "avg")(pixels * 2 - 1)
    assert_allclose(numpy(model(pixels)), numpy(expected), rtol=1e-4, atol=1e-5)
    assert (model.name, model.layers[-1].name, model.output.shape) == ("tiny", "features", (None, 8))


@of_structure
def test_a_name_reaches_every_layer_of_a_backbone(tiny):
    for network in ("Tiny", "efficientnet-lite0"):
        left = transfer.backbone(network, (8, 8, 3), weights=None, name="left")
        assert left.name == "left" and left.layers[-1].name == "left_features"
        assert all(layer.name.startswith("left_") for layer in leaves(left))
    left, right = (transfer.backbone("Tiny", (8, 8, 3), name=name) for name in ("left", "right"))
    x = keras.Input((8, 8, 3))
    both = keras.Model(x, layers.Add()([left(x), right(x)]))
    assert len({variable.path for variable in both.weights}) == len(both.weights)


def test_a_backbone_is_saved_and_loaded(tiny, tmp_path):
    model = transfer.backbone("Tiny", (None, None, 3))
    model.save(tmp_path / "tiny.keras")
    model.save_weights(tmp_path / "tiny.weights.h5")
    again = transfer.backbone("Tiny", (8, 8, 3), weights=tmp_path / "tiny.weights.h5")
    for other in (keras.saving.load_model(tmp_path / "tiny.keras"), again):
        assert_allclose(numpy(other(photographs(side=8))), numpy(model(photographs(side=8))), rtol=1e-5)


@pytest.mark.parametrize(("weights", "said"), [(3, "weights is int"), (np.ones(2), "weights is ndarray")])
def test_what_are_no_weights_of_a_backbone_is_refused(tiny, weights, said):
    with pytest.raises(ValueError, match=f"{said}; it must be None, 'imagenet', or the path"):
        transfer.backbone("Tiny", (8, 8, 3), weights=weights)


def test_a_backbone_that_cannot_be_downloaded_is_one_sentence(tiny, monkeypatch):
    real = tiny_network
    offline = lambda weights, **options: real(weights="no network" if weights else None, **options)  # noqa: E731
    monkeypatch.setattr(_keras, "applications", lambda: {"Tiny": offline})
    with pytest.raises(
        FileNotFoundError, match=r"Tiny are not on this computer and .*URL fetch .*'efficientnet-lite0'"
    ):
        transfer.backbone("Tiny", (8, 8, 3))


@pytest.mark.parametrize(
    ("network", "shape", "weights", "said"),
    [
        ("MobileNetV9", (32, 32, 3), None, "network is 'MobileNetV9'; it must be one of 'efficientnet-lite0', 'ConvN"),
        (["VGG16"], (32, 32, 3), None, r"network is \['VGG16'\]; it must be one of"),
        ("VGG16", (32, 32), None, r"input_shape is \(32, 32\); it must be \(height, width, channels\)"),
        ("VGG16", (32, 32, 1), None, r"input_shape is \(32, 32, 1\); these networks see colors: give it 3 channels"),
    ],
)
def test_what_is_no_backbone_is_refused(network, shape, weights, said):
    with pytest.raises(ValueError, match=said):
        transfer.backbone(network, shape, weights=weights)


@pytest.mark.parametrize("network", ["MobileNetV2", "VGG16", "DenseNet121", "EfficientNetB0"])
def test_every_kind_of_preprocessing_is_the_network_s_own(network):
    module = {"VGG16": "vgg16", "MobileNetV2": "mobilenet_v2", "DenseNet121": "densenet"}.get(network, "efficientnet")
    expected = getattr(keras.applications, module).preprocess_input(photographs() * 255)
    assert_allclose(numpy(transfer.Preprocessing(network)(photographs())), expected, rtol=1e-4, atol=1e-4)


@of_structure
def test_a_backbone_of_keras_is_that_of_keras():
    model = transfer.backbone("MobileNet", (32, 32, 3), weights=None)
    original = keras.applications.MobileNet((32, 32, 3), include_top=False, weights=None, pooling="avg")
    original.set_weights(randomise(model).get_weights())
    pixels = transfer.Preprocessing("MobileNet")(photographs())
    assert_allclose(numpy(model(photographs())), numpy(original(pixels)), rtol=1e-4, atol=1e-5)


@of_structure
def test_the_backbone_of_this_course_is_its_classifier_without_the_last_layer():
    classifier = efficientnet.efficientnet_lite0((32, 32, 3), weights="imagenet")
    model = transfer.backbone("efficientnet-lite0", (32, 32, 3))
    assert_equal(model.get_weights(), classifier.get_weights()[:-2])
    kernel, bias = classifier.get_weights()[-2:]
    expected = numpy(classifier(photographs()))
    assert_allclose(numpy(model(photographs())) @ kernel + bias, expected, rtol=1e-3, atol=1e-4)


def test_batch_norms_stay_as_they_are_while_the_rest_learns(tiny):
    body = transfer.backbone("Tiny", (8, 8, 3))
    for model in (
        transfer.transfer_model(body, CLASSES, features="features"),
        functional(body, layers.Dense(CLASSES), shape=(8, 8, 3)),
    ):
        before = by_layer(model)
        train(transfer.freeze_batch_norm(model), x=photographs(6, 8))
        after = by_layer(model)
        assert_equal(after["norm"], before["norm"])
        assert not np.array_equal(after["conv"][0], before["conv"][0])
        assert_allclose(  # and in training, too, it is the averages that they use
            numpy(model(photographs(6, 8), training=True)), numpy(model(photographs(6, 8))), rtol=1e-5
        )


def test_batch_norms_are_frozen_beside_rates_for_every_layer(tiny):
    model = transfer.transfer_model(transfer.backbone("Tiny", (8, 8, 3)), CLASSES, features="features")
    optimizer = transfer.layerwise_optimizer(model, 0.01, decay=0.5)
    before = by_layer(model)
    train(transfer.freeze_batch_norm(model), optimizer, x=photographs(6, 8))
    assert_equal(by_layer(model)["norm"], before["norm"])
    assert not np.array_equal(by_layer(model)["conv"][0], before["conv"][0])


def test_predictions_are_told_in_words():
    logits = np.zeros((2, 1000), "float32")
    logits[0, [967, 504]] = 9, 8
    logits[1, 0] = 100
    for form in (logits, keras.ops.convert_to_tensor(logits)):
        (first, second) = transfer.decode_predictions(form, top=3)
        assert [word for word, _ in first[:2]] == ["espresso", "coffee mug"] and len(first) == 3
        weights = np.exp([9, 8])
        assert_allclose([p for _, p in first[:2]], weights / (weights.sum() + 998), rtol=1e-4)
        assert second[0] == ("tench", 1.0)


@pytest.mark.parametrize(
    ("logits", "top", "said"),
    [
        (np.zeros(1000), 5, r"logits have shape \(1000,\); they must be \(batch, 1000\)"),
        (np.zeros((2, 10)), 5, r"logits have shape \(2, 10\); they must be \(batch, 1000\)"),
        (np.zeros((2, 1000)), 0, "top is 0; it must be a whole number from 1"),
    ],
)
def test_what_are_no_predictions_is_refused(logits, top, said):
    with pytest.raises(ValueError, match=said):
        transfer.decode_predictions(logits, top)


def test_what_has_no_batch_norm_to_freeze():
    with pytest.raises(ValueError, match="3 is no Keras model"):
        transfer.freeze_batch_norm(3)
