"""What each kind of layer multiplies, and where in the image it looks: the rules behind ``cost``.

Every rule is a function of the layer, of its inputs and of its outputs, two lists of ``Traced``.
"""

import dataclasses
import math
from fractions import Fraction
from typing import NamedTuple

import keras
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
    slack: Fraction = Fraction(0)  # of an enlarged image, some values look so much further back than their place says


class Traced(NamedTuple):
    """A tensor on its way through the model.

    shape: with the batch, which a reshape may have mixed with other axes. field: a ``Span`` for each axis of the
    model's input, none where that has neither height nor width; None where the field is not known, as it is for outputs
    until their rule has said it.
    """

    shape: tuple
    field: tuple | None = None


class Rule(NamedTuple):
    """multiplications: function to an int. field: function to the field of the outputs. Either may answer None, for not
    known.
    """

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
    return shape[0] * math.prod(shape[axis] for axis in spatial(layer, len(shape)))


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
    return math.prod(inputs[0].shape[:2]) * kernels(layer.cell)


def einsum(layer, inputs, outputs):
    """Every value of the output is a sum over the indices that it has not."""
    operands, left = layer.equation.split("->")
    lengths = {}
    for indices, shape in zip(operands.split(","), (inputs[0].shape, layer.kernel.shape), strict=True):
        # Three dots, if any, come first.
        lengths |= zip(reversed(indices.replace(".", "").strip()), reversed(shape), strict=False)
    return math.prod(outputs[0].shape) * math.prod(lengths[index] for index in lengths if index not in left)


def matrices(layer, inputs, outputs):
    """Of two tensors; a constant is none, and where it stands is not known."""
    return math.prod(outputs[0].shape) * inputs[0].shape[-1] if len(inputs) == 2 else None


def attention(layer, inputs, outputs):
    """Projections, then every position of the query with every one of the value, to compare and to add up."""
    if len(inputs[0].shape) != 3:
        return None
    (batch, queries, _), (_, values, _) = inputs[0].shape, inputs[1].shape
    key, value = layer.key_dense.kernel, layer.value_dense.kernel
    of_values = size(key) + size(value)
    projections = queries * (kernels(layer) - of_values) + values * of_values
    return batch * (projections + queries * values * layer.num_heads * (key.shape[-1] + value.shape[-1]))


# Receptive fields


def union(layer, inputs, outputs):
    """Pointwise: a value depends on what any of the inputs depends on at its place."""
    fields = [traced.field for traced in inputs]
    if None in fields or len({len(field) for field in fields}) != 1:
        return None
    return tuple(_joined(spans) for spans in zip(*fields, strict=True))


def _joined(spans):
    if len(spans) == 1:
        return spans[0]
    jumps = {span.jump for span in spans}
    jump = jumps.pop() if len(jumps) == 1 else None
    together = []
    for slack in (0, 1):
        start = min(span.start - slack * span.slack for span in spans)
        end = max(span.start - slack * span.slack + span.size for span in spans)
        together.append(Span(start, end - start, jump))
    return max(together, key=lambda span: span.size)


def side_by_side(layer, inputs, outputs):
    """Along the channels; along any other axis, positions are mixed."""
    channels = 1 if keras.config.image_data_format() == "channels_first" else len(inputs[0].shape) - 1
    return (union if layer.axis in (-1, channels) else mixed)(layer, inputs, outputs)


def over_axis(layer, inputs, outputs):
    """Pointwise but for the axis along which it normalizes: the channels, or everything."""
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    channels = {-1, len(inputs[0].shape) - 1}
    return (union if set(axes) <= channels else everything)(layer, inputs, outputs)


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
    if not field or all(span.size == WHOLE for span in field):
        return field
    if len(field) != len(lengths) or any(span.jump is None and span.size != WHOLE for span in field):
        return None
    return tuple(
        span if span.size == WHOLE else _slid_span(span, *window)
        for span, *window in zip(field, lengths, strides, before, strict=True)
    )


def _slid_span(span, length, stride, before):
    slack = max(span.slack, span.jump * (1 - stride)) if stride < 1 else span.slack
    return Span(span.start - before * span.jump, span.size + (length - 1) * span.jump, span.jump * stride, slack)


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
    if set(layer.dilation_rate) != {1}:
        return None
    pairs = list(zip(layer.kernel_size, layer.strides, strict=True))
    lengths = [math.ceil(length / stride) for length, stride in pairs]
    cut = [max(length - stride, 0) // 2 if layer.padding == "same" else 0 for length, stride in pairs]
    before = [(length - 1 - off) // stride for (length, stride), off in zip(pairs, cut, strict=True)]
    return slid(inputs[0].field, lengths, [Fraction(1, stride) for _, stride in pairs], before)


def enlarged(layer, inputs, outputs):
    times = layer.size if isinstance(layer.size, tuple) else (layer.size,)
    length = {"nearest": 1, "bilinear": 2}.get(getattr(layer, "interpolation", "nearest"))
    return length and slid(
        inputs[0].field, [length] * len(times), [Fraction(1, each) for each in times], [0] * len(times)
    )


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
    | _for_operations(moving, "ExpandDims Flip GetItem Pad Repeat Reshape Split Squeeze Stack Tile Transpose")
    | _for_operations(Rule(none, unknown), "All Any Concatenate Max Mean Min Sum Softmax")
    | _for_operations(Rule(matrices, unknown), "Matmul")
)


def find(operation):
    """The rule for a layer's class, or for the one from which that has its ``call``; None where there is none."""
    if not isinstance(operation, layers.Layer):
        of_keras = type(operation).__module__.startswith("keras.src.ops")
        return OPERATIONS.get(type(operation).__name__) if of_keras else None
    if getattr(operation, "quantization_mode", None) == "int4":  # two weights in one number
        return None
    for cls in type(operation).__mro__:
        if cls in RULES:
            return RULES[cls]
        if "call" in vars(cls):
            return None
    return None
