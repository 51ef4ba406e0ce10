"""What every builder of a network asks of its numbers, and of Keras's order of axes."""

import keras
import numpy as np
import pytest

from coursekit import gan, inception, metrics, normalization, resnet, transfer

EIGHT, THREE = np.int64(8), np.uint8(3)
SHAPE = (np.int32(32), np.int64(32), THREE)


def maps():
    return keras.Input((8, 8, EIGHT.item()))


BUILDERS = {
    "convnet": lambda: transfer.convnet(SHAPE, THREE, filters=np.array([4, 8])),
    "small_alexnet": lambda: normalization.small_alexnet(SHAPE, THREE, filters=[EIGHT, EIGHT], kernel_size=THREE),
    "alexnet": lambda: normalization.alexnet(num_classes=THREE, input_shape=tuple(map(np.int64, (67, 67, 3)))),
    "inception_module": lambda: inception.naive_inception_module(
        maps(), conv_1x1=EIGHT, conv_3x3=EIGHT, conv_5x5=THREE
    ),
    "small_googlenet": lambda: inception.small_googlenet(SHAPE, THREE),
    "residual_unit": lambda: resnet.residual_unit(maps(), EIGHT, np.int64(2)),
    "bottleneck_unit": lambda: resnet.bottleneck_unit(maps(), EIGHT, np.int64(2)),
    "resnet": lambda: resnet.resnet(SHAPE, THREE, depth=EIGHT, filters=EIGHT),
    "plain": lambda: resnet.plain(SHAPE, THREE, depth=EIGHT, filters=EIGHT),
    "generator": lambda: gan.generator(EIGHT, SHAPE, filters=[EIGHT]),
    "discriminator": lambda: gan.discriminator(SHAPE, filters=[EIGHT]),
    "classifier_network": lambda: metrics.classifier_network(SHAPE),
    "resnet_v2": lambda: resnet.resnet_v2(SHAPE, THREE, depth=np.int64(18)),
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_numpys_integers_are_integers(build):
    assert build() is not None


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
def test_channels_first_is_refused(monkeypatch, build):
    monkeypatch.setattr(keras.config, "image_data_format", lambda: "channels_first")
    with pytest.raises(ValueError, match="has its channels last, and Keras is set to have them first; call"):
        build()


def test_a_network_of_no_layers_is_refused():
    with pytest.raises(ValueError, match="filters is empty; name the filters of one convolution at least"):
        transfer.convnet((8, 8, 1), 3, filters=())


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: transfer.convnet(filters=16), "filters is 16; give a list"),
        (lambda: normalization.small_alexnet(filters=16), "filters is 16; give a list"),
        (lambda: normalization.small_alexnet(normalized_layers=1), "normalized_layers is 1; give a list"),
        (
            lambda: normalization.small_alexnet(normalization=keras.layers.BatchNormalization()),
            "normalization is <BatchNormalization .*>; give a class of layers",
        ),
        (
            lambda: inception.inception_module(maps(), **inception.MODULES["3a"], normalize="batch"),
            "normalize is 'batch'; give a class of layers",
        ),
        (lambda: inception.scale_filters(inception.MODULES["3a"], -1), "share is -1; it must be greater than 0"),
        (lambda: inception.scale_filters(inception.MODULES["3a"], 0.5, "wide"), "kind is 'wide'; it must be one of"),
        (lambda: resnet.residual_unit(keras.Input((8, 8, None)), 4), r"shape \(None, 8, 8, None\); it must be"),
        (lambda: resnet.residual_unit([1, 2], 4), "The input is list; it must be a tensor"),
    ],
)
def test_what_a_network_cannot_be_made_of_is_one_sentence(build, said):
    with pytest.raises(ValueError, match=said):
        build()


def test_a_rate_may_be_numpys():
    assert resnet.resnet((8, 8, 1), 2, depth=8, filters=2, weight_decay=np.float32(0.1)).losses
