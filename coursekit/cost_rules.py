"""What each kind of layer multiplies, and where in the image it looks: the rules behind ``cost``.

Every rule is a function of the layer, of its inputs and of its outputs, two lists of ``Traced``.
"""

import dataclasses
import math
from fractions import Fraction
from typing import NamedTuple

from keras import layers

WHOLE = math.inf  # the size of a receptive field that is everything


@dataclasses.dataclass(frozen=True)
class Span:
    """Where along one axis of the model's input a tensor looks: its first value from ``start`` on, ``size`` far; every
    next value ``jump`` further.
    """

    start: Fraction = Fraction(0)
    size: float = 1
    jump: Fraction | None = Fraction(1)  # None where positions are mixed up, after a Flatten for instance


class Traced(NamedTuple):
    """A tensor on its way through the model.

    shape: with a batch of 1. field: a ``Span`` for each axis of the model's input, none where that has neither height
    nor width; None where the field is not known, as it is for outputs until their rule has said it.
    """

    shape: tuple
    field: tuple | None = None


class Rule(NamedTuple):
    """multiplications: function to an int. field: function to the field of the outputs, or None for not known."""

    multiplications: callable
    field: callable


def size(weight):
    """How many numbers a weight has, an int."""
    return math.prod(weight.shape)


def kernels(layer):
    return sum(size(weight) for weight in layer.weights if weight.name.endswith("kernel"))


def spatial(layer, rank):
    """The axes of height and width, or whatever lies between the batch and the channels."""
    first = getattr(layer, "data_format", "channels_last") == "channels_first"
    return range(2, rank) if first else range(1, rank - 1)


def positions(layer, shape):
    return math.prod(shape[axis] for axis in spatial(layer, len(shape)))


# Multiplications


def none(layer, inputs, outputs):
    return 0


def at_every_output(layer, inputs, outputs):
    """Every weight of the kernels multiplies once at every position of the output. Grouped, dilated, separable and
    depthwise convolutions are no exception: it is their kernels that are smaller.
    """
    return positions(layer, outputs[0].shape) * kernels(layer)


def at_every_input(layer, inputs, outputs):
    """A transposed convolution spreads every value of the input over its kernel."""
    return positions(layer, inputs[0].shape) * kernels(layer)


def at_every_step(layer, inputs, outputs):
    """The gates' products of single values do not count."""
    return inputs[0].shape[1] * kernels(layer.cell)


def einsum(layer, inputs, outputs):
    """Every value of the output is a sum over the indices that it has not."""
    operands, left = layer.equation.split("->")
    indices = operands.split(",")[1].strip()
    summed = [length for index, length in zip(indices, layer.kernel.shape, strict=True) if index not in left]
    return math.prod(outputs[0].shape) * math.prod(summed)


def matrices(layer, inputs, outputs):
    return math.prod(outputs[0].shape) * inputs[0].shape[-1]


def attention(layer, inputs, outputs):
    """Four projections, then every position of the query with every one of the value, to compare and to add up."""
    (_, queries, _), (_, values, _) = inputs[0].shape, inputs[1].shape
    query, key, value, output = (
        getattr(layer, f"{which}_dense").kernel for which in ("query", "key", "value", "output")
    )
    projections = queries * (size(query) + size(output)) + values * (size(key) + size(value))
    return projections + queries * values * layer.num_heads * (query.shape[-1] + value.shape[-1])


# Receptive fields


def union(layer, inputs, outputs):
    """Pointwise: a value depends on what any of the inputs depends on at its place."""
    fields = [traced.field for traced in inputs]
    if None in fields or len({len(field) for field in fields}) != 1:
        return None
    return tuple(_joined(spans) for spans in zip(*fields, strict=True))


def _joined(spans):
    start = min(span.start for span in spans)
    end = max(span.start + span.size for span in spans)
    jumps = {span.jump for span in spans}
    return Span(start, end - start, jumps.pop() if len(jumps) == 1 else None)


def everything(layer, inputs, outputs):
    field = inputs[0].field
    return field and (Span(size=WHOLE, jump=None),) * len(field)


def dense(layer, inputs, outputs):
    """With height and width left, a dense layer works on every pixel by itself."""
    return (union if len(inputs[0].shape) > 2 else everything)(layer, inputs, outputs)


def mixed(layer, inputs, outputs):
    field = union(layer, inputs, outputs)
    return field and tuple(dataclasses.replace(span, jump=None) for span in field)


def unknown(layer, inputs, outputs):
    return None


def slid(field, lengths, strides, before):
    """The field after a window of some lengths has been slid over it, from ``before`` places before its first value
    on. A stride below 1 enlarges the image.
    """
    if not field:
        return field
    if any(span.jump is None and span.size != WHOLE for span in field):
        return None
    return tuple(
        span
        if span.size == WHOLE
        else Span(span.start - first * span.jump, span.size + (length - 1) * span.jump, span.jump * stride)
        for span, length, stride, first in zip(field, lengths, strides, before, strict=True)
    )


def window(layer, inputs, outputs):
    """A convolution or a pooling."""
    sizes = layer.pool_size if hasattr(layer, "pool_size") else layer.kernel_size
    dilations = getattr(layer, "dilation_rate", (1,) * len(sizes))
    lengths = [(length - 1) * dilation + 1 for length, dilation in zip(sizes, dilations, strict=True)]
    shape = inputs[0].shape
    axes = spatial(layer, len(shape))
    before = [
        _zeros_before(layer.padding, length, stride, shape[axis])
        for length, stride, axis in zip(lengths, layer.strides, axes, strict=True)
    ]
    return slid(inputs[0].field, lengths, layer.strides, before)


def _zeros_before(padding, length, stride, extent):
    if padding == "causal":
        return length - 1
    if padding == "valid":
        return 0
    return max((math.ceil(extent / stride) - 1) * stride + length - extent, 0) // 2


def spread(layer, inputs, outputs):
    """A transposed convolution: as many values of the input as reach one of the output, at most."""
    pairs = list(zip(layer.kernel_size, layer.strides, strict=True))
    lengths = [math.ceil(length / stride) for length, stride in pairs]
    cut = [max(length - stride, 0) // 2 if layer.padding == "same" else 0 for length, stride in pairs]
    before = [(length - 1 - off) // stride for (length, stride), off in zip(pairs, cut, strict=True)]
    return slid(inputs[0].field, lengths, [Fraction(1, stride) for _, stride in pairs], before)


def enlarged(layer, inputs, outputs):
    times = layer.size if isinstance(layer.size, tuple) else (layer.size,)
    length = 1 if getattr(layer, "interpolation", "nearest") == "nearest" else 2
    return slid(inputs[0].field, [length] * len(times), [Fraction(1, each) for each in times], [0] * len(times))


def shifted(layer, inputs, outputs):
    """Zeros around the border, or a border cut off, only move the first value."""
    crops = hasattr(layer, "cropping")
    amounts = layer.cropping if crops else layer.padding
    pairs = amounts if isinstance(amounts[0], tuple) else (amounts,)
    ones = [1] * len(pairs)
    return slid(inputs[0].field, ones, ones, [-before if crops else before for before, _ in pairs])


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
    | _for(Rule(einsum, unknown), "EinsumDense")
    | _for(Rule(attention, everything), "MultiHeadAttention")
    | _for(Rule(at_every_step, everything), "SimpleRNN LSTM GRU")
    | _for_ranks(Rule(none, window), "AveragePoolingND MaxPoolingND")
    | _for_ranks(Rule(none, everything), "GlobalAveragePoolingND GlobalMaxPoolingND")
    | _for_ranks(Rule(none, enlarged), "UpSamplingND")
    | _for_ranks(Rule(none, shifted), "ZeroPaddingND CroppingND")
    | _for(Rule(none, everything), "GroupNormalization")
    | _for(Rule(none, unknown), "Embedding")
    | _for(moving, "Flatten Reshape Permute RepeatVector")
    | _for(pointwise, "Activation ELU LeakyReLU PReLU ReLU Softmax Identity Masking Rescaling Normalization")
    | _for(pointwise, "BatchNormalization LayerNormalization RMSNormalization UnitNormalization")
    | _for(pointwise, "Add Average Concatenate Maximum Minimum Multiply Subtract")
    # These do nothing in inference.
    | _for(pointwise, "ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise")
    | _for_ranks(pointwise, "SpatialDropoutND")
    | _for(pointwise, "RandomFlip RandomRotation RandomTranslation RandomZoom RandomContrast RandomBrightness")
)


def _for_operations(rule, names):
    return dict.fromkeys(names.split(), rule)


# Functions of keras.ops, which a functional model calls as if they were layers, by the names of their classes.
OPERATIONS = (
    _for_operations(
        pointwise, "Abs Absolute Add Cast Clip Concatenate Divide Maximum Minimum Multiply Negative Subtract"
    )
    | _for_operations(pointwise, "Elu Exp Gelu HardSigmoid HardSilu LeakyRelu Log Power Relu Relu6 Rsqrt Sigmoid Silu")
    | _for_operations(pointwise, "Softplus Sqrt Square Tanh TrueDivide")
    | _for_operations(moving, "ExpandDims Flip GetItem Max Mean Min Pad Repeat Reshape Split Squeeze Stack Sum Tile")
    | _for_operations(moving, "Transpose")
    | _for_operations(Rule(matrices, unknown), "Matmul")
)


def find(operation):
    """The rule for a layer's class, or for the one from which that has its ``call``; None where there is none."""
    if not isinstance(operation, layers.Layer):
        return OPERATIONS.get(type(operation).__name__)
    for cls in type(operation).__mro__:
        if cls in RULES:
            return RULES[cls]
        if "call" in vars(cls):
            return None
    return None
