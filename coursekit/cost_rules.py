"""What each kind of layer multiplies, and where in the image it looks: the rules behind ``cost``.

Every rule is a function of the layer, of its inputs and of its outputs, two lists of ``Traced``.
"""

import dataclasses
import math
from fractions import Fraction
from typing import NamedTuple

from keras import layers

from coursekit import _keras

WHOLE = math.inf  # the size of a receptive field that is everything


@dataclasses.dataclass(frozen=True)
class Span:
    """Where along one axis of the model's input the values of a tensor look, as if neither had a border.

    In an enlarged image, neighbors look at places that are unevenly far apart. But they do so in a pattern: some values
    further on, it repeats, some pixels further on.

    Args:
        pixels: for each value of the pattern, the first and the last pixel on which it depends.
        step: int, how many pixels further on it repeats.
        axis: int, of the tensor, along which the values stand; None where a reshape, for instance, has mixed them up.

    >>> Span().seen(lambda place: [place // 2], times=2)[5]  # every pixel twice
    (2, 2)
    """

    pixels: tuple = ((0, 0),)
    step: int = 1
    axis: int | None = None

    def __getitem__(self, place):
        turns, phase = divmod(place, len(self.pixels))
        first, last = self.pixels[phase]
        return first + turns * self.step, last + turns * self.step

    @property
    def size(self):
        """From the first to the last pixel, of the value that sees most."""
        return max(0, *(last - first + 1 for first, last in self.pixels))

    @property
    def mixed(self):
        """Whether nobody knows which of the values stands where; of those that see everything, nobody needs to."""
        return self.axis is None and self.size != WHOLE

    @property
    def jump(self):
        """From one value to the next, on average."""
        return Fraction(self.step, len(self.pixels))

    def seen(self, places, stride=1, times=1):
        """The span of a tensor that looks at this one.

        Args:
            places: function from the place of a value to the places at which it looks.
            stride, times: int; ``times`` values further, these are ``stride`` places further.

        Returns:
            A ``Span``.
        """
        values = len(self.pixels) * times
        shared = math.gcd(values, stride)
        pixels = tuple(_hull(self[each] for each in places(place)) for place in range(values // shared))
        return Span(pixels, self.step * stride // shared, self.axis)


def _hull(intervals):
    """From the first to the last pixel of several intervals; of none, what is smaller than any."""
    firsts, lasts = zip((math.inf, -math.inf), *intervals, strict=True)
    return min(firsts), max(lasts)


class Traced(NamedTuple):
    """A tensor on its way through the model.

    Args:
        shape: with the batch, which a reshape may have mixed with other axes.
        field: a ``Span`` for each axis of the model's input, none where that has neither height nor width; None where
            the field is not known, as it is for outputs until their rule has said it.
    """

    shape: tuple
    field: tuple | None = None


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


def size(weight):
    """How many numbers a weight has.

    Args:
        weight: what has a shape.

    Returns:
        An int.

    >>> layer = layers.Dense(3)
    >>> layer.build((None, 4))
    >>> size(layer.kernel)
    12
    """
    return math.prod(weight.shape)


def kernels(layer):
    """How many numbers the kernels of a layer have, all together.

    Args:
        layer: built layer; its kernels are the weights whose names end in ``kernel``.

    Returns:
        An int.

    >>> layer = layers.Dense(3)
    >>> layer.build((None, 4))
    >>> kernels(layer)
    12
    """
    return sum(size(weight) for weight in layer.weights if weight.name.endswith("kernel"))


def image_axes(data_format, rank):
    """The axes of height and width, or whatever lies between the batch and the channels.

    Args:
        data_format: ``"channels_last"`` or ``"channels_first"``.
        rank: int, of the tensor, batch and channels included.

    Returns:
        A range.

    >>> list(image_axes("channels_first", 4))
    [2, 3]
    """
    return range(2, rank) if data_format == "channels_first" else range(1, rank - 1)


def spatial(layer, rank):
    """The axes of height and width that a layer takes for them, by its ``data_format``.

    Args:
        layer: layer; one without ``data_format`` has its channels last.
        rank: as for ``image_axes``.

    Returns:
        A range.

    >>> list(spatial(layers.Conv2D(8, 3), 4))
    [1, 2]
    """
    return image_axes(getattr(layer, "data_format", "channels_last"), rank)


def positions(layer, shape):
    """How many positions a tensor has for a layer: those of height and width, in all examples.

    Args:
        layer: as for ``spatial``.
        shape: of the tensor, with the batch.

    Returns:
        An int.

    >>> positions(layers.Conv2D(8, 3), (2, 5, 5, 8))
    50
    """
    return shape[0] * math.prod(shape[axis] for axis in spatial(layer, len(shape)))


# Multiplications


def none(layer, inputs, outputs):
    """No multiplications.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        0.

    >>> none(layers.ReLU(), [], [])
    0
    """
    return 0


def inside(layer, inputs, outputs):
    """Nothing but what the layers multiply that this one calls, which are counted by themselves.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        0.

    >>> inside(layers.ReLU(), [], [])
    0
    """
    return 0


def at_every_output(layer, inputs, outputs):
    """Every weight of the kernels multiplies once at every position of the output.

    Grouped, dilated, separable and depthwise convolutions are no exception: it is their kernels that are smaller.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications.

    >>> layer = layers.Conv2D(8, 3)
    >>> layer.build((1, 9, 9, 4))
    >>> at_every_output(layer, [Traced((1, 9, 9, 4))], [Traced((1, 7, 7, 8))])
    14112
    """
    return positions(layer, outputs[0].shape) * kernels(layer)


def at_every_input(layer, inputs, outputs):
    """A transposed convolution spreads every value of the input over its kernel.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications.

    >>> layer = layers.Conv2DTranspose(8, 2, 2)
    >>> layer.build((1, 4, 4, 3))
    >>> at_every_input(layer, [Traced((1, 4, 4, 3))], [Traced((1, 8, 8, 8))])
    1536
    """
    return positions(layer, inputs[0].shape) * kernels(layer)


def at_every_step(layer, inputs, outputs):
    """The kernels of a recurrent layer multiply once at every step. The gates' products of single values do not count.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications.

    >>> layer = layers.SimpleRNN(3)
    >>> layer.build((1, 5, 4))
    >>> at_every_step(layer, [Traced((1, 5, 4))], [Traced((1, 3))])
    105
    """
    return math.prod(inputs[0].shape[:2]) * kernels(layer.cell)


def einsum(operation, inputs, outputs):
    """The multiplications of ``keras.ops.einsum`` of two tensors.

    Args:
        operation: the operation, which has the equation as ``subscripts``.
        inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications; or None, for another number of tensors or with a constant.

    >>> from types import SimpleNamespace
    >>> einsum(SimpleNamespace(subscripts="ab,bc->ac"), [Traced((2, 3)), Traced((3, 4))], [Traced((2, 4))])
    24
    """
    return _summed(operation.subscripts, [traced.shape for traced in inputs], outputs[0].shape)


def einsum_dense(layer, inputs, outputs):
    """The multiplications of an ``EinsumDense``, whose kernel is the second tensor of its equation.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications.

    >>> layer = layers.EinsumDense("ab,bc->ac", 4)
    >>> layer.build((2, 3))
    >>> einsum_dense(layer, [Traced((2, 3))], [Traced((2, 4))])
    24
    """
    return _summed(layer.equation, [inputs[0].shape, layer.kernel.shape], outputs[0].shape)


def _summed(equation, shapes, answer):
    """Every value of the answer is a sum over the indices that it has not.

    None for a constant, which is none of the inputs, so that its shape is not known; and for more than two tensors,
    whose order the equation leaves open.
    """
    operands, arrow, left = equation.replace(" ", "").partition("->")
    terms = operands.split(",")
    if not len(terms) == len(shapes) == 2:
        return None
    lengths = {}
    for indices, shape in zip(terms, shapes, strict=True):
        before, _, after = indices.partition("...")
        lengths |= zip(before, shape, strict=False)
        lengths |= zip(reversed(after), reversed(shape), strict=False)
    kept = left if arrow else [index for index in lengths if operands.count(index) == 1]
    return math.prod(answer) * math.prod(lengths[index] for index in lengths if index not in kept)


def dot(layer, inputs, outputs):
    """The multiplications of a ``Dot``: every value of the output is a sum along the axis that the layer names.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications.

    >>> dot(layers.Dot(1), [Traced((2, 5)), Traced((2, 5))], [Traced((2, 1))])
    10
    """
    axis = layer.axes if isinstance(layer.axes, int) else layer.axes[0]
    return math.prod(outputs[0].shape) * inputs[0].shape[axis]


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


def matrices(layer, inputs, outputs):
    """The multiplications of two tensors; a constant is none, and where it stands is not known.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications; or None, for other than two tensors.

    >>> matrices(None, [Traced((1, 2, 3)), Traced((1, 3, 4))], [Traced((1, 2, 4))])
    24
    """
    return math.prod(outputs[0].shape) * inputs[0].shape[-1] if len(inputs) == 2 else None


def attention(layer, inputs, outputs):
    """Projections, then every position of the query with every one of the value, to compare and to add up.

    Args:
        layer: a ``MultiHeadAttention``.
        inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications; or None, for a query of another rank than (batch, positions, features).

    >>> layer = layers.MultiHeadAttention(num_heads=2, key_dim=4)
    >>> layer.build((1, 3, 8), (1, 5, 8))
    >>> attention(layer, [Traced((1, 3, 8)), Traced((1, 5, 8))], [Traced((1, 3, 8))])
    1264
    """
    if len(inputs[0].shape) != 3:
        return None
    (batch, queries, _), (_, values, _) = inputs[0].shape, inputs[1].shape
    key, value = layer.key_dense.kernel, layer.value_dense.kernel
    of_values = size(key) + size(value)
    projections = queries * (kernels(layer) - of_values) + values * of_values
    return batch * (projections + queries * values * layer.num_heads * (key.shape[-1] + value.shape[-1]))


def scores(layer, inputs, outputs):
    """Every position of the query with every one of the value, to compare and to add up.

    There are no projections, and a score of ``"concat"`` adds instead of multiplying.

    Args:
        layer: an ``Attention``.
        inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications.

    >>> scores(layers.Attention(), [Traced((1, 3, 4)), Traced((1, 5, 4))], [Traced((1, 3, 4))])
    120
    """
    return _attended(inputs, compared=layer.score_mode == "dot")


def additive_scores(layer, inputs, outputs):
    """As ``scores``; to compare, a vector of weights multiplies each sum of a query and a key.

    Args:
        layer: an ``AdditiveAttention``.
        inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications.

    >>> additive_scores(layers.AdditiveAttention(), [Traced((1, 3, 4)), Traced((1, 5, 4))], [Traced((1, 3, 4))])
    120
    """
    return _attended(inputs, compared=layer.use_scale)


def _attended(inputs, compared):
    (*batch, queries, width), (*_, values, depth) = inputs[0].shape, inputs[1].shape
    return math.prod(batch) * queries * values * (width * compared + depth)


# Receptive fields

EVERYTHING = ((-WHOLE, WHOLE),)


def union(layer, inputs, outputs):
    """Pointwise: a value depends on what any of the inputs depends on at its place.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        The field of the outputs, or None.

    >>> image = Traced((1, 8, 8, 3), (Span(axis=1), Span(axis=2)))
    >>> union(layers.Add(), [image, image], []) == image.field
    True
    """
    fields = [traced.field for traced in inputs]
    if None in fields or len(set(map(len, fields))) != 1:
        return None
    field = tuple(_joined(spans, [traced.shape for traced in inputs]) for spans in zip(*fields, strict=True))
    return None if None in field else field


def _joined(spans, shapes):
    if len(spans) == 1:
        return spans[0]
    if any(span.size == WHOLE for span in spans):
        return Span(EVERYTHING)
    if any(span.mixed for span in spans):
        return None
    # Values meet others of their own place only where both stand along the same axis, equally many and equally dense.
    sides = zip(spans, shapes, strict=True)
    if len({(span.axis, len(shape), shape[span.axis], span.jump) for span, shape in sides}) > 1:
        return None
    values = math.lcm(*(len(span.pixels) for span in spans))
    pixels = tuple(_hull(span[place] for span in spans) for place in range(values))
    return Span(pixels, int(spans[0].jump * values), spans[0].axis)


def side_by_side(layer, inputs, outputs):
    """Along the channels; along height or width, positions are mixed.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        The field of the outputs, or None.

    >>> image = Traced((1, 8, 8, 3), (Span(axis=1), Span(axis=2)))
    >>> [side_by_side(layers.Concatenate(axis), [image, image], [])[0].mixed for axis in (-1, 1)]
    [False, True]
    """
    axis = layer.axis % len(inputs[0].shape)
    along_pixels = any(span.mixed or span.axis == axis for traced in inputs for span in traced.field or ())
    return (mixed if along_pixels else union)(layer, inputs, outputs)


def over(axes, traced):
    """Everything along some axes of a tensor, and pointwise along the others.

    Args:
        axes: ints, from the end if negative.
        traced: a ``Traced``.

    Returns:
        The field of the outputs, or None.

    >>> image = Traced((1, 8, 8, 3), (Span(axis=1), Span(axis=2)))
    >>> [span.size for span in over([1], image)]
    [inf, 1]
    """
    field, rank = traced.field, len(traced.shape)
    if field is None or rank == 2:
        return field and (Span(EVERYTHING),) * len(field)
    if any(span.mixed for span in field):
        return None
    axes = {axis % rank for axis in axes}
    return tuple(Span(EVERYTHING) if span.axis in axes else span for span in field)


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
    name = getattr(getattr(layer, "activation", None), "__name__", None)
    joins = name in ("softmax", "log_softmax", "sparsemax", "glu")
    return over([-1], Traced(outputs[0].shape, field)) if joins else field


def over_axis(layer, inputs, outputs):
    """Of a normalization, over the axis that it names.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        The field of the outputs, or None.

    >>> image = Traced((1, 8, 8, 3), (Span(axis=1), Span(axis=2)))
    >>> [span.size for span in over_axis(layers.LayerNormalization(axis=(1, 2, 3)), [image], [])]
    [inf, inf]
    """
    return over(layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis], inputs[0])


def dense(layer, inputs, outputs):
    """With height and width left, a dense layer works on every pixel by itself.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        The field of the outputs, or None.

    >>> image = Traced((1, 8, 8, 3), (Span(axis=1), Span(axis=2)))
    >>> dense(layers.Dense(3), [image], []) == image.field
    True
    """
    return over([-1], inputs[0])


def everything(layer, inputs, outputs):
    """Every value depends on everything.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        The field of the outputs, or None.

    >>> image = Traced((1, 8, 8, 3), (Span(axis=1), Span(axis=2)))
    >>> [span.size for span in everything(layers.GlobalAveragePooling2D(), [image], [])]
    [inf, inf]
    """
    field = inputs[0].field
    return field and (Span(EVERYTHING),) * len(field)


def mixed(layer, inputs, outputs):
    """The same values at other places: a value depends on what one of the inputs depends on, at some place.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        The field of the outputs, or None.

    >>> image = Traced((1, 8, 8, 3), (Span(axis=1), Span(axis=2)))
    >>> [span.mixed for span in mixed(layers.Flatten(), [image], [])]
    [True, True]
    """
    fields = [traced.field for traced in inputs]
    if None in fields or len(set(map(len, fields))) != 1:
        return None
    return tuple(Span(sum((span.pixels for span in spans), ())) for spans in zip(*fields, strict=True))


def unknown(layer, inputs, outputs):
    """Not known, whether asked for multiplications or for the field.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        None.

    >>> unknown(layers.ConvLSTM2D(8, 3), [], []) is None
    True
    """
    return None


def slid(field, lengths, strides, before, dilations=None):
    """The field after a window of some lengths has been slid over it, from ``before`` places before its first value on.

    Args:
        field: tuple of ``Span``, or None.
        lengths: int for each axis, how many values the window takes.
        strides: int for each axis.
        before: int for each axis, negative where the first values are cut off.
        dilations: int for each axis; by default 1.

    Returns:
        The field, or None.

    >>> image = Traced((1, 8, 8, 3), (Span(axis=1), Span(axis=2)))
    >>> [span.size for span in slid(image.field, [3, 3], [1, 1], [1, 1])]
    [3, 3]
    """
    dilations = dilations or [1] * len(lengths)
    return _seen(field, [_window(*each) for each in zip(lengths, strides, before, dilations, strict=True)])


def _seen(field, looks):
    """looks: for each axis, the arguments of ``Span.seen``."""
    if not field or all(span.size == WHOLE for span in field):
        return field
    if len(field) != len(looks) or any(span.mixed for span in field):
        return None
    return tuple(span.seen(*look) for span, look in zip(field, looks, strict=True))


def _window(length, stride, before, dilation):
    def places(place):
        first = place * stride - before
        return range(first, first + length * dilation, dilation)

    return places, stride, 1


def on_image(layer, traced):
    """The field of what a layer gets, where height and width are the axes that the layer takes for them.

    Args:
        layer: as for ``spatial``.
        traced: a ``Traced``.

    Returns:
        The field, or None.

    >>> image = Traced((1, 8, 8, 3), (Span(axis=1), Span(axis=2)))
    >>> on_image(layers.Conv2D(8, 3), image) == image.field
    True
    """
    axes = [span.axis for span in traced.field or () if span.size != WHOLE]
    return traced.field if set(axes) <= set(spatial(layer, len(traced.shape))) else None


def window(layer, inputs, outputs):
    """A convolution or a pooling.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        The field of the outputs, or None.

    >>> image = Traced((1, 8, 8, 3), (Span(axis=1), Span(axis=2)))
    >>> [span.size for span in window(layers.Conv2D(8, 3, dilation_rate=2), [image], [])]
    [5, 5]
    """
    lengths = layer.pool_size if hasattr(layer, "pool_size") else layer.kernel_size
    dilations = getattr(layer, "dilation_rate", (1,) * len(lengths))
    shape = inputs[0].shape
    before = [
        _zeros_before(layer.padding, (length - 1) * dilation + 1, stride, shape[axis])
        for length, dilation, stride, axis in zip(
            lengths, dilations, layer.strides, spatial(layer, len(shape)), strict=True
        )
    ]
    return slid(on_image(layer, inputs[0]), lengths, layer.strides, before, dilations)


def _zeros_before(padding, length, stride, extent):
    if padding == "causal":
        return length - 1
    if padding == "valid":
        return 0
    return max((math.ceil(extent / stride) - 1) * stride + length - extent, 0) // 2


def spread(layer, inputs, outputs):
    """A transposed convolution: a value depends on those of the input that reach it.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        The field of the outputs, or None.

    >>> image = Traced((1, 8, 8, 3), (Span(axis=1), Span(axis=2)))
    >>> layer = layers.Conv2DTranspose(8, 4, 2, "same")
    >>> [span.size for span in spread(layer, [image], [Traced((1, 16, 16, 8))])]
    [2, 2]
    """
    looks = []
    sizes = zip(layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)
    for (length, stride, dilation), axis in zip(sizes, spatial(layer, len(inputs[0].shape)), strict=True):
        full = (inputs[0].shape[axis] - 1) * stride + (length - 1) * dilation + 1
        looks.append(_spread(length, stride, dilation, max(full - outputs[0].shape[axis], 0) // 2))
    return _seen(on_image(layer, inputs[0]), looks)


def _spread(length, stride, dilation, cut):
    def places(place):
        reached_from = (divmod(place + cut - number * dilation, stride) for number in range(length))
        return [source for source, rest in reached_from if rest == 0]

    return places, 1, stride


# How far from its own place a value of an enlarged image still looks, in values of the image before.
REACH = {"nearest": Fraction(1, 2), "bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}


def enlarged(layer, inputs, outputs):
    """An image whose pixels are repeated or interpolated.

    Args:
        layer: an ``UpSampling1D``, ``UpSampling2D`` or ``UpSampling3D``.
        inputs, outputs: as for ``Rule``.

    Returns:
        The field of the outputs, or None.

    >>> image = Traced((1, 8, 8, 3), (Span(axis=1), Span(axis=2)))
    >>> [enlarged(layers.UpSampling2D(2, interpolation=how), [image], [])[0].size for how in ("nearest", "bilinear")]
    [1, 2]
    """
    sizes = layer.size if isinstance(layer.size, tuple) else (layer.size,)
    reach = REACH[getattr(layer, "interpolation", "nearest")]
    return _seen(on_image(layer, inputs[0]), [_enlarged(times, reach) for times in sizes])


def _enlarged(times, reach):
    def places(place):
        center = Fraction(2 * place + 1 - times, 2 * times)  # pixels are squares, whose centers are compared
        return range(math.floor(center - reach) + 1, math.ceil(center + reach))

    return places, 1, times


def shifted(layer, inputs, outputs):
    """Zeros around the border, or a border cut off, only move the first value.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        The field of the outputs, or None.

    >>> image = Traced((1, 8, 8, 3), (Span(axis=1), Span(axis=2)))
    >>> shifted(layers.ZeroPadding2D(1), [image], [])[0][0]
    (-1, -1)
    """
    crops = hasattr(layer, "cropping")
    amounts = layer.cropping if crops else layer.padding
    pairs = amounts if isinstance(amounts[0], tuple) else (amounts,)
    ones = [1] * len(pairs)
    return slid(on_image(layer, inputs[0]), ones, ones, [-before if crops else before for before, _ in pairs])


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
    | _for_operations(moving, "ExpandDims Flip GetItem Pad Repeat Reshape Split Squeeze Stack Tile Transpose")
    | _for_operations(Rule(none, unknown), "All Any Concatenate Max Mean Min Sum Softmax")
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
