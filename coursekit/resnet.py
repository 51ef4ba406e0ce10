"""Residual networks: units with a shortcut around them, networks of such units, and the same without shortcuts.

Sources: He et al. 2016a, "Deep residual learning for image recognition"; He et al. 2016b, "Identity mappings in deep
residual networks".
"""

import functools

import keras
from keras import layers, ops

from coursekit import pretrained, require

SHORTCUTS = ("projection", "zero_padding")


def plain_unit(x, filters, strides=1, *, weight_decay=0.0, name=None):
    """The standard module of two layers: batch norm, ReLU and a 3x3 convolution, twice.

    Args:
        x: (batch, height, width, channels).
        filters: int, of both convolutions.
        strides: int, of the first convolution.
        weight_decay: float, for the kernels: half the sum of their squares, times this, is added to the loss.
        name: str; the layers' names begin with it; by default with ``unit_1``, ``unit_2``, ...

    Returns:
        (batch, ceil(height / strides), ceil(width / strides), filters).

    Raises:
        ValueError: for an x of another rank, or a number out of range.

    Source: He et al. 2016b, figure 1(b), without the shortcut.

    >>> plain_unit(keras.Input((32, 32, 16)), 32, strides=2).shape
    (None, 16, 16, 32)
    """
    filters, strides, name = _require(x, filters, strides, name)
    conv = functools.partial(_conv, weight_decay=weight_decay)
    x = conv(_norm_relu(x, f"{name}_1"), filters, 3, strides, name=f"{name}_1_conv")
    return conv(_norm_relu(x, f"{name}_2"), filters, 3, bias=True, name=f"{name}_2_conv")


def residual_unit(
    x,
    filters,
    strides=1,
    *,
    shortcut="projection",
    zero_residual=False,
    drop_rate=0.0,
    weight_decay=0.0,
    name=None,
):
    """Pre-activation residual unit: the layers of ``plain_unit``, and x is added to what they answer.

    Where the channels change, x cannot be added as it is. Where only the strides change the shape, x is subsampled.

    Args:
        x, filters, strides: as for ``plain_unit``.
        shortcut: what is added where the channels change. ``"projection"`` adds a 1x1 convolution of the activated x
            instead, ``"zero_padding"`` x and, for the channels that are missing, zeros, half of them before and half
            after.
        zero_residual: bool; begin with a last kernel of zeros, so that the new unit is its shortcut.
        drop_rate: float, the share of examples for which training leaves the residual out (stochastic depth).
        weight_decay, name: as for ``plain_unit``.

    Returns:
        (batch, ceil(height / strides), ceil(width / strides), filters).

    Raises:
        ValueError: for an x of another rank, another shortcut, a number out of range, or fewer filters than channels
            with ``"zero_padding"``.

    Sources: He et al. 2016b, figure 1(b); He et al. 2016a, section 3.3, for the shortcuts; Huang et al. 2016 for
    stochastic depth.

    >>> residual_unit(keras.Input((32, 32, 16)), 32, strides=2).shape
    (None, 16, 16, 32)
    """
    filters, strides, name = _require(x, filters, strides, name, shortcut, drop_rate)
    conv = functools.partial(_conv, weight_decay=weight_decay)
    activated = _norm_relu(x, f"{name}_1")
    residual = conv(activated, filters, 3, strides, name=f"{name}_1_conv")
    residual = _norm_relu(residual, f"{name}_2")
    residual = conv(residual, filters, 3, bias=True, zeros=zero_residual, name=f"{name}_2_conv")
    if shortcut == "projection" and x.shape[-1] != filters:
        x = conv(activated, filters, 1, strides, bias=True, name=f"{name}_0_conv")
    else:
        x = _identity(x, filters, strides, name)
    return _add(x, residual, drop_rate, name)


def bottleneck_unit(
    x,
    filters,
    strides=1,
    *,
    shortcut="projection",
    zero_residual=False,
    drop_rate=0.0,
    weight_decay=0.0,
    name=None,
):
    """Pre-activation residual unit of three convolutions: 1x1 to so many filters, 3x3, and 1x1 to four times as many.

    Args:
        x: (batch, height, width, channels).
        filters: int, of the first two convolutions.
        strides: int, of the 3x3 convolution.
        shortcut, zero_residual, drop_rate, weight_decay, name: as for ``residual_unit``.

    Returns:
        (batch, ceil(height / strides), ceil(width / strides), 4 * filters).

    Raises:
        ValueError: as ``residual_unit`` does.

    Sources: He et al. 2016a, figure 5; He et al. 2016b, section 4.

    >>> bottleneck_unit(keras.Input((56, 56, 256)), 64).shape
    (None, 56, 56, 256)
    """
    filters, strides, name = _require(x, filters, strides, name, shortcut, drop_rate)
    conv = functools.partial(_conv, weight_decay=weight_decay)
    activated = _norm_relu(x, f"{name}_1")
    residual = conv(activated, filters, 1, name=f"{name}_1_conv")
    residual = conv(_norm_relu(residual, f"{name}_2"), filters, 3, strides, name=f"{name}_2_conv")
    residual = _norm_relu(residual, f"{name}_3")
    residual = conv(residual, 4 * filters, 1, bias=True, zeros=zero_residual, name=f"{name}_3_conv")
    if shortcut == "projection" and x.shape[-1] != 4 * filters:
        x = conv(activated, 4 * filters, 1, strides, bias=True, name=f"{name}_0_conv")
    else:
        x = _identity(x, 4 * filters, strides, name)
    return _add(x, residual, drop_rate, name)


def post_activation_unit(
    x,
    filters,
    strides=1,
    *,
    shortcut="projection",
    zero_residual=False,
    drop_rate=0.0,
    weight_decay=0.0,
    name=None,
):
    """The residual unit of the first paper: convolution, batch norm, ReLU, convolution, batch norm; add x; ReLU.

    The projection has a batch norm of its own.

    Args:
        x, filters, strides, shortcut: as for ``residual_unit``.
        zero_residual: bool; begin with a last batch norm whose gamma is 0. (In ``residual_unit`` that would never
            train: behind a gamma and a beta of 0 stands a ReLU, whose derivative at 0 is 0. So it is the kernel there.)
        drop_rate, weight_decay, name: as for ``residual_unit``.

    Returns:
        As ``residual_unit`` does.

    Raises:
        ValueError: as ``residual_unit`` does.

    Sources: He et al. 2016a, figure 2 and section 3.4; Goyal et al. 2017, section 5.1, for the gamma.

    >>> post_activation_unit(keras.Input((32, 32, 16)), 32, strides=2).shape
    (None, 16, 16, 32)
    """
    filters, strides, name = _require(x, filters, strides, name, shortcut, drop_rate)
    conv = functools.partial(_conv, weight_decay=weight_decay)
    residual = _norm_relu(conv(x, filters, 3, strides, name=f"{name}_1_conv"), f"{name}_1")
    residual = conv(residual, filters, 3, name=f"{name}_2_conv")
    residual = _norm(residual, f"{name}_2_norm", gamma_initializer="zeros" if zero_residual else "ones")
    if shortcut == "projection" and x.shape[-1] != filters:
        x = _norm(conv(x, filters, 1, strides, name=f"{name}_0_conv"), f"{name}_0_norm")
    else:
        x = _identity(x, filters, strides, name)
    return layers.ReLU(name=f"{name}_relu")(_add(x, residual, drop_rate, name))


def _require(x, filters, strides, name, shortcut="projection", drop_rate=0.0):
    require.maps(x)
    require.choice("shortcut", shortcut, SHORTCUTS)
    require.rate("drop_rate", drop_rate)
    name = name or f"unit_{keras.backend.get_uid('unit')}"
    return require.whole("filters", filters), require.whole("strides", strides), name


def _decay(rate):
    """What adds half the rate times the sum of squares to the loss: the derivative is the rate times a weight."""
    if not require.is_finite(rate) or rate < 0:
        raise ValueError(f"weight_decay is {rate!r}; it must be 0, which is none, or greater.")
    return keras.regularizers.L2(float(rate) / 2) if rate else None


def _norm(x, name, **options):
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name, **options)(x)


def _norm_relu(x, name):
    return layers.ReLU(name=f"{name}_relu")(_norm(x, f"{name}_norm"))


def _conv(x, filters, size, strides=1, *, name, bias=False, zeros=False, weight_decay=0.0):
    """A convolution; with strides, the middles of its windows are the pixels that a subsampling of x keeps."""
    if strides > 1 and size > 1:
        x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
    return layers.Conv2D(
        filters,
        size,
        strides,
        "valid" if strides > 1 else "same",
        use_bias=bias,
        kernel_initializer="zeros" if zeros else "he_normal",
        kernel_regularizer=_decay(weight_decay),
        name=name,
    )(x)


def _identity(x, filters, strides, name):
    """The shortcut without weights: x, where strides skip pixels, subsampled, and with zeros for missing channels."""
    missing = filters - x.shape[-1]
    if missing < 0:
        raise ValueError(
            f"x has {x.shape[-1]} channels, and zeros cannot take any away for {filters} filters; use the shortcut "
            "'projection'."
        )
    if strides > 1:
        x = layers.MaxPooling2D(1, strides, name=f"{name}_0_pool")(x)
    return ops.pad(x, [(0, 0), (0, 0), (0, 0), (missing // 2, missing - missing // 2)]) if missing else x


def _add(around, residual, drop_rate, name):
    if drop_rate:
        residual = layers.Dropout(drop_rate, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(residual)
    return layers.Add(name=f"{name}_add")([around, residual])


UNITS = {"pre_activation": residual_unit, "post_activation": post_activation_unit}


def resnet(
    input_shape=(32, 32, 3),
    num_classes=10,
    *,
    depth=20,
    filters=16,
    unit="pre_activation",
    shortcut="zero_padding",
    zero_residual=False,
    drop_rate=0.0,
    weight_decay=0.0,
    weights=None,
    name=None,
):
    """Residual network for small images: a convolution, three stages of n units, global average pooling, a dense layer.

    The default shortcut has no parameters, so that the network has exactly those of ``plain``. Layers are called
    ``stem``, ``stage1_unit1_1_norm``, ``stage1_unit1_1_conv``, ... ``stage1_unit1_add``, ... ``pool``, ``logits``.

    Args:
        input_shape: (height, width, channels), at least 4 pixels a side, or None for a side of any size.
        num_classes: int, how many logits the network answers.
        depth: int, 6n + 2, the layers with weights on the longest way.
        filters: int, of the first stage; each of the next has twice as many, at half the pixels a side.
        unit: a name in ``UNITS``.
        shortcut, zero_residual, weight_decay: as for the units.
        drop_rate: float, that of the last unit; it grows in proportion from the first.
        weights: None; path of a file of ``save_weights``; or ``"cifar10"``, with all else as by default and images in
            [0, 1], for those that ``tools/train_cifar10.py`` trained on JPEG copies of CIFAR-10: test accuracy .865.
        name: str, of the model; the names of all layers begin with it.

    Returns:
        Functional model that answers logits (batch, num_classes).

    Raises:
        ValueError: for another depth, an image too small, an unknown name, a number out of range, weights of another
            network.
        FileNotFoundError: for weights that are neither known nor a file.

    Sources: He et al. 2016a, section 4.2; He et al. 2016b; Huang et al. 2016, section 3, for the rates.

    >>> model = resnet()
    >>> model.output_shape, model.count_params()
    ((None, 10), 271434)
    """
    require.choice("unit", unit, UNITS)
    require.rate("drop_rate", drop_rate)
    options = dict(shortcut=shortcut, zero_residual=zero_residual, weight_decay=weight_decay)

    def add_unit(x, filters, strides, progress, name):  # stochastic depth: the rate grows with the unit's place
        return UNITS[unit](x, filters, strides, drop_rate=drop_rate * progress, name=name, **options)

    model = _three_stages(
        add_unit,
        input_shape,
        num_classes,
        depth=depth,
        filters=filters,
        post_activation=unit == "post_activation",
        weight_decay=weight_decay,
        name=name,
        kind="resnet",
    )
    return pretrained.load(model, weights, {"cifar10": lambda: pretrained.shipped("resnet20-cifar10")})


def plain(input_shape=(32, 32, 3), num_classes=10, *, depth=20, filters=16, weight_decay=0.0, weights=None, name=None):
    """The network of ``resnet`` without shortcuts: the same layers with as many parameters, of ``plain_unit``.

    The names of the layers are as in ``resnet``.

    Args:
        input_shape, num_classes, depth, filters, weight_decay, name: as for ``resnet``.
        weights: None, or path of a file.

    Returns:
        As ``resnet`` does.

    Raises:
        ValueError: as ``resnet`` does.
        FileNotFoundError: for weights that are no file.

    >>> plain().count_params() == resnet().count_params()
    True
    """

    def add_unit(x, filters, strides, progress, name):
        return plain_unit(x, filters, strides, weight_decay=weight_decay, name=name)

    options = dict(depth=depth, filters=filters, weight_decay=weight_decay, name=name, kind="plain")
    model = _three_stages(add_unit, input_shape, num_classes, **options)
    return pretrained.load(model, weights)


def _three_stages(
    add_unit, input_shape, num_classes, *, depth, filters, post_activation=False, weight_decay, name, kind
):
    """The network around its units. add_unit: function of x, filters, strides, the share of units so far, a name."""
    input_shape, num_classes = require.images(input_shape, num_classes, smallest=4, any_size=True)
    filters = require.whole("filters", filters)
    if not require.is_whole(depth) or depth < 8 or depth % 6 != 2:
        raise ValueError(f"depth is {depth!r}; networks of three stages have 6n + 2 layers: {_nearest_depths(depth)}.")
    units = [(stage, number) for stage in (1, 2, 3) for number in range(1, depth // 6 + 1)]
    prefix = f"{name}_" if name else ""
    x = inputs = keras.Input(input_shape)
    x = _conv(x, filters, 3, weight_decay=weight_decay, name=f"{prefix}stem")
    if post_activation:
        x = _norm_relu(x, f"{prefix}stem")
    for position, (stage, number) in enumerate(units, start=1):
        strides = 2 if stage > 1 and number == 1 else 1
        unit_name = f"{prefix}stage{stage}_unit{number}"
        x = add_unit(x, filters * 2 ** (stage - 1), strides, position / len(units), unit_name)
    if not post_activation:
        x = _norm_relu(x, f"{prefix}last")
    return _classify(inputs, x, num_classes, weight_decay, prefix, name or f"{kind}{depth}")


def _nearest_depths(depth):
    if not require.is_finite(depth) or depth < 8:
        return "8, 14, 20, 26, ..."
    below = int(depth - 2) // 6 * 6 + 2
    return f"{below} or {below + 6}"


def _classify(inputs, x, num_classes, weight_decay, prefix, name):
    x = layers.GlobalAveragePooling2D(name=f"{prefix}pool")(x)
    logits = layers.Dense(num_classes, kernel_regularizer=_decay(weight_decay), name=f"{prefix}logits")(x)
    return keras.Model(inputs, logits, name=name)


# Units in the four stages. Source: He et al. 2016a, table 1.
STAGES = {
    18: (residual_unit, (2, 2, 2, 2)),
    34: (residual_unit, (3, 4, 6, 3)),
    50: (bottleneck_unit, (3, 4, 6, 3)),
    101: (bottleneck_unit, (3, 4, 23, 3)),
    152: (bottleneck_unit, (3, 8, 36, 3)),
}


def resnet_v2(
    input_shape=(224, 224, 3),
    num_classes=1000,
    *,
    depth=50,
    zero_residual=False,
    drop_rate=0.0,
    weight_decay=0.0,
    weights=None,
    name=None,
):
    """ResNet for large images, with pre-activation: 50, 101 and 152 are layer by layer those of ``keras.applications``.

    As in ``keras.applications``, it is the last unit of a stage that halves the image. Layers are named as in
    ``resnet``.

    Args:
        input_shape: (height, width, channels), at least 32 pixels a side, or None for a side of any size.
        num_classes: int, how many logits the network answers.
        depth: 18, 34, 50, 101 or 152.
        zero_residual, drop_rate, weight_decay: as for ``resnet``.
        weights: None; path of a file of ``save_weights``; or ``"imagenet"``, with 3 channels and 1000 classes, for
            those of ``keras.applications``, which are downloaded; for images in [-1, 1].
        name: str, of the model; the names of all layers begin with it.

    Returns:
        Functional model that answers logits (batch, num_classes).

    Raises:
        ValueError: for another depth, an image too small, a number out of range, or weights of another network.
        FileNotFoundError: for weights that are neither known nor a file.

    Sources: He et al. 2016a, table 1; He et al. 2016b.

    >>> resnet_v2((32, 32, 3), 10, depth=18).output_shape
    (None, 10)
    """
    require.choice("depth", depth, STAGES)
    input_shape, num_classes = require.images(input_shape, num_classes, smallest=32, any_size=True)
    require.rate("drop_rate", drop_rate)
    unit, stages = STAGES[depth]
    prefix = f"{name}_" if name else ""
    x = inputs = keras.Input(input_shape)
    x = _conv(x, 64, 7, 2, bias=True, weight_decay=weight_decay, name=f"{prefix}stem")
    x = layers.ZeroPadding2D(1, name=f"{prefix}pool1_pad")(x)
    x = layers.MaxPooling2D(3, 2, name=f"{prefix}pool1")(x)
    units = [(stage, number) for stage, size in enumerate(stages, start=1) for number in range(1, size + 1)]
    for position, (stage, number) in enumerate(units, start=1):
        x = unit(
            x,
            64 * 2 ** (stage - 1),
            2 if stage < len(stages) and number == stages[stage - 1] else 1,
            zero_residual=zero_residual,
            drop_rate=drop_rate * position / len(units),
            weight_decay=weight_decay,
            name=f"{prefix}stage{stage}_unit{number}",
        )
    x = _norm_relu(x, f"{prefix}last")
    model = _classify(inputs, x, num_classes, weight_decay, prefix, name or f"resnet{depth}v2")
    published = getattr(keras.applications, f"ResNet{depth}V2", None)
    return pretrained.load(model, weights, {"imagenet": lambda: published().get_weights()} if published else {})


def unit_names(model):
    """The names of a network's units, from the input to the output, a list.

    Args:
        model: of ``resnet``, ``plain`` or ``resnet_v2``.

    Returns:
        A list of str.

    >>> unit_names(resnet(depth=8))
    ['stage1_unit1', 'stage2_unit1', 'stage3_unit1']
    """
    known = {layer.name for layer in model.layers}
    begins = [layer.name.removesuffix("_1_conv") for layer in model.layers if layer.name.endswith("_1_conv")]
    return [unit for unit in begins if {f"{unit}_1_norm", f"{unit}_2_conv"} <= known]


def delete_units(model, *missing):
    """Return a model without some of its units, on the same weights.

    Args:
        model: of any function of this module.
        *missing: names of units, such as ``"stage2_unit3"``. Of a residual unit the shortcut stays. A plain unit is
            bypassed.

    Returns:
        Functional model.

    Raises:
        ValueError: for a name that the model does not have, a model of others, and for a plain unit that changes the
            shape.

    Source: Veit et al. 2016, section 4.1.

    >>> model = resnet()
    >>> len(delete_units(model, "stage2_unit3").layers) < len(model.layers)
    True
    """
    found = {layer.name: layer for layer in model.layers}
    known = unit_names(model)
    if not known:
        raise ValueError(f"{model.name} has no units of this module; build it with resnet.resnet, for example.")
    for unit in missing:
        if unit not in known:
            raise ValueError(f"The model has no unit {unit!r}; it has {', '.join(known)}.")
        first, last = found[f"{unit}_1_norm"], found[f"{unit}_2_conv"]
        if f"{unit}_add" not in found and first.input.shape != last.output.shape:
            raise ValueError(f"{unit} has no shortcut and changes the shape; the rest cannot do without it.")
    entered = {}  # what came into a unit that has no shortcut

    def call(layer, *inputs, **options):
        for unit in missing:
            if layer.name == f"{unit}_1_norm":
                entered[unit] = inputs[0]
            if layer.name == f"{unit}_add":
                return inputs[0][0]
            if layer.name == f"{unit}_2_conv" and f"{unit}_add" not in found:
                return entered[unit]
        return layer(*inputs, **options)

    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)
