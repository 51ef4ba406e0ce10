"""The rules behind ``cost``: for each kind of layer, what it multiplies and where in the image it looks."""

from typing import NamedTuple

from keras import layers

from coursekit import _keras
from coursekit.multiplications import (
    additive_scores,
    at_every_input,
    at_every_output,
    at_every_step,
    attention,
    dot,
    einsum,
    einsum_dense,
    inside,
    matrices,
    none,
    scores,
)
from coursekit.receptive_field import (
    Traced,
    dense,
    enlarged,
    everything,
    mixed,
    over,
    over_axis,
    padded,
    shifted,
    side_by_side,
    spread,
    union,
    unknown,
    window,
)


class Rule(NamedTuple):
    """What ``cost`` knows of a kind of layer: two functions, each of the layer, its inputs and its outputs.

    The inputs and the outputs are lists of ``Traced``. Of a function of ``keras.ops``, the operation takes the layer's
    place.

    Args:
        macs: function to an int, the multiplications of the whole batch; or to None, for not known.
        field: function to the field of the outputs, a tuple of ``Span``; or to None, for not known.
    """

    macs: callable
    field: callable


def of_each_step(layer, inputs, outputs):
    """What the layer inside does with the steps as so many examples more.

    Args:
        layer: a ``TimeDistributed``.
        inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications; or None, where the rule of the layer inside answers it.

    >>> layer = layers.TimeDistributed(layers.Dense(3))
    >>> layer.build((1, 5, 4))
    >>> of_each_step(layer, [Traced((1, 5, 4))], [Traced((1, 5, 3))])
    60
    """
    steps = [Traced((x.shape[0] * x.shape[1], *x.shape[2:])) for x in (inputs[0], outputs[0])]
    return find(layer.layer).macs(layer.layer, steps[:1], steps[1:])


def _for(rule, names):
    return {getattr(layers, name): rule for name in names.split()}


def _for_ranks(rule, names):
    return _for(rule, " ".join(name.replace("ND", f"{rank}D") for name in names.split() for rank in (1, 2, 3)))


pointwise = Rule(none, union)
moving = Rule(none, mixed)

RULES = (
    _for_ranks(Rule(at_every_output, window), "ConvND")
    | _for(Rule(at_every_output, window), "DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D")
    | _for_ranks(Rule(at_every_input, spread), "ConvNDTranspose")
    | _for(Rule(at_every_output, dense), "Dense")
    | _for(Rule(einsum_dense, unknown), "EinsumDense")
    | _for(Rule(dot, unknown), "Dot")
    | _for(Rule(of_each_step, unknown), "TimeDistributed")
    | _for(Rule(attention, everything), "MultiHeadAttention")
    | _for(Rule(scores, everything), "Attention")
    | _for(Rule(additive_scores, everything), "AdditiveAttention")
    | _for(Rule(at_every_step, everything), "SimpleRNN LSTM GRU")
    # Layers that call others in loops, or multiply between them: known by name, and not what they cost.
    | _for(Rule(unknown, everything), "RNN StackedRNNCells GroupQueryAttention")
    | _for_ranks(Rule(unknown, unknown), "ConvLSTMND")
    | _for_ranks(Rule(none, window), "AveragePoolingND MaxPoolingND")
    | _for_ranks(Rule(none, everything), "GlobalAveragePoolingND GlobalMaxPoolingND")
    | _for_ranks(Rule(none, enlarged), "UpSamplingND")
    | _for_ranks(Rule(none, shifted), "ZeroPaddingND CroppingND")
    | _for(Rule(none, everything), "GroupNormalization")
    | _for(Rule(none, unknown), "Embedding")
    | _for(moving, "Flatten Reshape Permute RepeatVector")
    | _for(pointwise, "Activation ELU LeakyReLU PReLU ReLU Identity Masking Rescaling Normalization BatchNormalization")
    | _for(Rule(none, over_axis), "LayerNormalization RMSNormalization UnitNormalization Softmax")
    | _for(pointwise, "Add Average Maximum Minimum Multiply Subtract")
    | _for(Rule(none, side_by_side), "Concatenate")
    # These do nothing in inference.
    | _for(pointwise, "ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise")
    | _for_ranks(pointwise, "SpatialDropoutND")
    | _for(pointwise, "RandomFlip RandomRotation RandomTranslation RandomZoom RandomContrast RandomBrightness")
)

# Layers that do nothing but call others, each with the rule for the field of what it answers.
CONTAINERS = {layers.Bidirectional: everything}


def _for_operations(rule, names):
    return dict.fromkeys(names.split(), rule)


# Functions of keras.ops, which a functional model calls as if they were layers, by the names of their classes.
OPERATIONS = (
    _for_operations(
        pointwise, "Abs Absolute Add Cast Clip Divide Maximum Minimum Multiply Negative Subtract TrueDivide"
    )
    | _for_operations(pointwise, "Elu Exp Gelu HardSigmoid HardSilu LeakyRelu Log Power Relu Relu6 Rsqrt Sigmoid Silu")
    | _for_operations(pointwise, "Softplus Sqrt Square Tanh Equal Greater GreaterEqual Less LessEqual NotEqual Where")
    | _for_operations(pointwise, "LogicalAnd LogicalNot LogicalOr")
    | _for_operations(moving, "ExpandDims Flip GetItem Repeat Reshape Split Squeeze Stack Tile Transpose")
    | _for_operations(Rule(none, unknown), "All Any Concatenate Max Mean Min Sum Softmax")
    | _for_operations(Rule(none, padded), "Pad")
    | _for_operations(Rule(matrices, unknown), "Matmul")
    | _for_operations(Rule(einsum, unknown), "Einsum")
)

# Layers that keras.applications keeps to itself, likewise.
APPLICATIONS = _for_operations(pointwise, "LayerScale StochasticDepth CustomScaleLayer")


def register(layer, rule):
    """Teach ``cost`` a layer. Its subclasses are meant too, unless they have a ``call`` of their own.

    Args:
        layer: class.
        rule: ``Rule`` of two functions, each of the layer, its inputs and its outputs (lists of ``Traced``). For a
            layer that does nothing but call others, give ``inside`` as the first: they are counted instead of it; its
            subclasses are not meant.

    Raises:
        ValueError: for what is no class of layers, or no rule.

    >>> class Doubled(layers.Layer):
    ...     def call(self, x):
    ...         return 2 * x
    >>> register(Doubled, Rule(lambda layer, inputs, outputs: 0, lambda layer, inputs, outputs: inputs[0].field))
    """
    if not isinstance(layer, type) or not issubclass(layer, layers.Layer):
        raise ValueError(f"{layer!r} is no class of layers; register the class, without an instance's arguments.")
    if not isinstance(rule, Rule) or not all(map(callable, rule)):
        raise ValueError(f"The rule for {layer.__name__} is {rule!r}; it must be cost.Rule of two functions.")
    if rule.macs is inside:
        CONTAINERS[layer] = rule.field
    else:
        RULES[layer] = rule


def find(operation):
    """The rule for a layer's class, or for the one from which that has its ``call``; None where there is none.

    Args:
        operation: layer, or operation of ``keras.ops``.

    Returns:
        A ``Rule``, or None.

    >>> find(layers.Conv2D(8, 3)).macs is at_every_output
    True
    """
    name = type(operation).__name__
    if not isinstance(operation, layers.Layer):
        return OPERATIONS.get(name) if _keras.comes_from(operation, "ops") else None
    if _keras.comes_from(operation, "applications"):
        return APPLICATIONS.get(name)
    if getattr(operation, "quantization_mode", None) == "int4":  # two weights in one number
        return None
    if isinstance(operation, layers.TimeDistributed) and not find(operation.layer):
        return None
    for cls in type(operation).__mro__:
        if cls in RULES:
            return RULES[cls]
        if "call" in vars(cls):
            return None
    return None


def activated(layer, field, outputs):
    """The field behind a layer's activation, which may join the values along the last axis.

    Args:
        layer: any, with or without an activation.
        field: of its output before the activation.
        outputs: as for ``Rule``.

    Returns:
        The field of the outputs, or None.

    >>> image = Traced((1, 8, 8, 3), (Span(axis=1), Span(axis=2)))
    >>> activated(layers.ReLU(), image.field, [image]) == image.field
    True
    """
    activation = getattr(layer, "activation", None)
    if activation is None or field is None:
        return field
    traced = Traced(outputs[0].shape, field)
    if isinstance(activation, layers.Layer):
        rule = find(activation)
        return rule.field(activation, [traced], outputs) if rule else None
    if not activation.__module__.startswith("keras."):
        return None  # a function of one's own may look anywhere
    joins = getattr(activation, "__name__", None) in ("softmax", "log_softmax", "sparsemax", "glu")
    return over([-1], traced) if joins else field
