"""Where in the image the values of each kind of layer look: the second half of each rule behind ``cost``.

A field has a ``Span`` for height and one for width. The rules take a layer, its inputs and its outputs, two lists of
``Traced``.
"""

import dataclasses
import math
from fractions import Fraction
from typing import NamedTuple

WHOLE = math.inf  # the size of a receptive field that is everything

EVERYTHING = ((-WHOLE, WHOLE),)


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
        if center.denominator == 1:  # on a pixel, every interpolation answers that pixel
            return [int(center)]
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


def padded(operation, inputs, outputs):
    """Zeros along any axis only move the first value; what is repeated or mirrored there comes from other places.

    Args:
        operation: a ``keras.ops.pad``.
        inputs, outputs: as for ``Rule``.

    Returns:
        The field of the outputs, or None.

    >>> from types import SimpleNamespace
    >>> image = Traced((1, 8, 8, 3), (Span(axis=1), Span(axis=2)))
    >>> pad = SimpleNamespace(mode="constant", pad_width=((0, 0), (1, 1), (2, 2), (0, 5)))
    >>> [span[0] for span in padded(pad, [image], [])]
    [(-1, -1), (-2, -2)]
    """
    field, widths = inputs[0].field, operation.pad_width
    if operation.mode != "constant" or not field or any(span.mixed for span in field):
        return mixed(operation, inputs, outputs)
    of_axes = widths if len(widths) > 1 else widths * len(inputs[0].shape)
    ones = [1] * len(field)
    return slid(field, ones, ones, [0 if span.axis is None else of_axes[span.axis][0] for span in field])
