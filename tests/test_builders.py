"""What all functions that build a network have in common: a signature, the last layer's name, manners among models."""

import functools
import inspect
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import BACKEND, ROOT, numpy, of_structure
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal

from coursekit import efficientnet, gan, inception, normalization, resnet, transfer

SHAPE = (8, 8, 3)
SMALL = dict(width_multiplier=0.05, modules=("3a", "4a"))
# Small networks of every builder, as functions of the keywords that all of them have, and whether they take any size.
BUILDERS = {
    "convnet": (functools.partial(transfer.convnet, SHAPE, 3, filters=(4, 6)), False),
    "alexnet": (functools.partial(normalization.alexnet, (67, 67, 1), 3), False),
    "small_alexnet": (functools.partial(normalization.small_alexnet, SHAPE, 3, filters=(4,), dropout=0.1), False),
    "googlenet": (functools.partial(inception.googlenet, (33, 33, 1), 3), True),
    "small_googlenet": (functools.partial(inception.small_googlenet, SHAPE, 3, **SMALL), True),
    "resnet": (functools.partial(resnet.resnet, SHAPE, 3, depth=8, filters=2), True),
    "plain": (functools.partial(resnet.plain, SHAPE, 3, depth=8, filters=2), True),
    "resnet_v2": (functools.partial(resnet.resnet_v2, (32, 32, 1), 3, depth=18), True),
    "efficientnet_lite0": (functools.partial(efficientnet.efficientnet_lite0, SHAPE, 3), True),
}
# What is light enough to be made many times.
LIGHT = [name for name in BUILDERS if name not in ("alexnet", "googlenet", "resnet_v2", "efficientnet_lite0")]
# What is trained: all that is light, but on JAX, which compiles for long, one with each of our two normalizations.
TRAINED = LIGHT if BACKEND != "jax" else ["small_alexnet", "resnet"]


def build(builder, **options):
    return BUILDERS[builder][0](**options)


def images(model, count=2):
    shape = [8 if size is None else size for size in model.input_shape[1:]]
    return np.random.default_rng(0).random((count, *shape), "float32")


def of_any_size(name):
    builder, takes_any = BUILDERS[name]
    return functools.partial(builder.func, (None, None, 3), *builder.args[1:], **builder.keywords), takes_any


@pytest.mark.parametrize("name", BUILDERS)
def test_one_signature(name):
    parameters = inspect.signature(BUILDERS[name][0].func).parameters
    first, second, *rest = parameters.values()
    assert [first.name, second.name] == ["input_shape", "num_classes"]
    assert all(
        parameter.kind == parameter.KEYWORD_ONLY and parameter.default is not parameter.empty for parameter in rest
    )
    assert [parameter.name for parameter in rest[-2:]] == ["weights", "name"]
    assert [parameter.default for parameter in rest[-2:]] == [None, None]


@pytest.mark.parametrize("make", [functools.partial(gan.generator, 3), gan.discriminator])
def test_the_networks_of_a_gan_take_weights_and_a_name_as_well(make, tmp_path):
    model = make((4, 4, 1), filters=(2,), name="one")
    assert all(layer.name.startswith("one_") for layer in model.layers if not isinstance(layer, layers.InputLayer))
    model.save_weights(tmp_path / "one.weights.h5")
    again = make((4, 4, 1), filters=(2,), weights=tmp_path / "one.weights.h5")
    for one, other in zip(again.get_weights(), model.get_weights(), strict=True):
        assert_array_equal(one, other)


@of_structure
@pytest.mark.parametrize("name", LIGHT)
def test_a_network_is_functional_and_ends_in_logits(name):
    model = build(name)
    assert type(model) is type(keras.Sequential([keras.Input((1,)), layers.Dense(1)])._functional)
    assert model.layers[-1].name == "logits" and model.layers[-1].activation is keras.activations.linear
    assert model(images(model, 1)).shape == (1, 3)
    cut = transfer.transfer_model(model, 5)
    assert (cut.layers[-1].name, cut.output_shape) == ("logits", (None, 5))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_allclose(numpy(clone(images(model))), numpy(model(images(model))), rtol=1e-5, atol=1e-6)


@of_structure
@pytest.mark.parametrize("name", BUILDERS)
def test_a_name_reaches_every_layer(name):
    model = build(name, name="left")
    named = [layer.name for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    assert model.name == "left" and all(layer.startswith("left_") for layer in named)
    usual = [layer.name for layer in build(name).layers if not isinstance(layer, layers.InputLayer)]
    assert [f"left_{layer}" for layer in usual] == named, "no layer has a number from a global counter"


def two_in_one(name):
    left, right = build(name, name="left"), build(name, name="right")
    x = keras.Input(left.input_shape[1:])
    return keras.Model(x, layers.Concatenate()([left(x), right(x)]))


@of_structure
@pytest.mark.parametrize("name", LIGHT)
def test_two_fit_into_one_model_and_their_layers_are_found(name, tmp_path):
    model = two_in_one(name)
    for side in ("left", "right"):
        tap = transfer.feature_extractor(model, f"{side}_logits")
        assert_allclose(numpy(tap(images(model))), numpy(model.get_layer(side)(images(model))), rtol=1e-5, atol=1e-6)
    paths = [variable.path for variable in model.weights]
    assert len(set(paths)) == len(paths)
    model.save(tmp_path / "two.keras")
    loaded = keras.saving.load_model(tmp_path / "two.keras")
    assert_array_equal(numpy(loaded(images(model))), numpy(model(images(model))))


@pytest.mark.parametrize("name", TRAINED)
def test_a_network_trains_inside_of_a_sequential(name):
    inner = build(name)
    model = keras.Sequential([keras.Input(inner.input_shape[1:]), layers.Rescaling(2.0), inner])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = inner.get_weights()
    model.fit(images(inner, 4), np.array([0, 1, 2, 0]), verbose=0)
    assert not all(map(np.array_equal, before, inner.get_weights()))


@of_structure
@pytest.mark.parametrize("name", LIGHT)
def test_weights_come_from_a_file(name, tmp_path):
    model = build(name)
    model.save_weights(tmp_path / "some.weights.h5")
    again = build(name, weights=tmp_path / "some.weights.h5", name="again")
    assert_array_equal(numpy(again(images(model))), numpy(model(images(model))))


def test_models_are_loaded_in_another_process(tmp_path):
    for name in TRAINED:
        model = build(name)
        model.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.npz", x=images(model), y=numpy(model(images(model))))
    code = """
import pathlib, sys, keras, numpy as np
import coursekit.normalization, coursekit.inception
for path in pathlib.Path(sys.argv[1]).glob("*.keras"):
    kept = np.load(path.with_suffix(".npz"))
    y = keras.ops.convert_to_numpy(keras.saving.load_model(path)(kept["x"]))
    np.testing.assert_allclose(y, kept["y"], rtol=1e-5, atol=1e-6, err_msg=path.stem)
"""
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True, cwd=ROOT)


@of_structure
@pytest.mark.parametrize("name", BUILDERS)
def test_any_size_where_the_network_ends_in_global_pooling(name):
    make, takes_any = of_any_size(name)
    if not takes_any:
        with pytest.raises(
            ValueError, match=r"input_shape is \(None, None, 3\); it must be \(height, width, channels\)"
        ):
            make()
        return
    anything = make()
    for side in (40, 48):
        x = np.random.default_rng(side).random((1, side, side, 3), "float32")
        fixed = make.func((side, side, 3), *make.args[1:], **make.keywords)
        fixed.set_weights(anything.get_weights())
        assert_allclose(numpy(anything(x)), numpy(fixed(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_a_network_trains_in_mixed_precision(name, dtype, policy):
    policy(dtype)
    model = build(name)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = model.fit(images(model, 4), np.array([0, 1, 2, 0]), verbose=0, epochs=2).history["loss"]
    assert np.isfinite(losses).all()


@pytest.mark.parametrize("name", ["convnet", "small_alexnet"])
def test_the_smallest_images_are_one_sentence_or_work(name):
    if name == "small_alexnet":
        assert normalization.small_alexnet((1, 1, 1), 3)(np.ones((1, 1, 1, 1), "float32")).shape == (1, 3)
    assert transfer.convnet((1, 1, 1), 3, filters=(4, 4))(np.ones((1, 1, 1, 1), "float32")).shape == (1, 3)
    with pytest.raises(ValueError, match=r"input_shape is \(3, 4, 1\); .* with at least 4 pixels a side"):
        transfer.convnet((3, 4, 1), 3, filters=(4, 6, 8))


def test_units_and_modules_have_names_of_their_own():
    x = keras.Input((8, 8, 4))
    y = resnet.residual_unit(resnet.residual_unit(resnet.plain_unit(x, 4), 4), 4, name=None)
    filters = dict(conv_1x1=1, conv_3x3=1, conv_5x5=1)
    y = inception.naive_inception_module(
        inception.stacked_module(inception.naive_inception_module(y, **filters), **filters), **filters
    )
    names = [layer.name for layer in keras.Model(x, y).layers]
    assert not any("None" in name for name in names)
