"""What every builder of a network asks of its numbers, and of Keras's order of axes."""

import keras
import numpy as np
import pytest

from coursekit import inception, normalization, resnet, transfer

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
