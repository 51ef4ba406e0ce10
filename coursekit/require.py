"""Checks of what a caller passes: one clear sentence, as ValueError, for what does not fit."""

import math
import numbers
import operator
from collections.abc import Iterable


def is_whole(value):
    """Whether a value is a whole number; True and False are none.

    Args:
        value: anything.

    Returns:
        A bool.

    >>> is_whole(3), is_whole(3.0), is_whole(True)
    (True, False, False)
    """
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_finite(value):
    """Whether a value is a number, and neither infinite nor NaN; True and False are none.

    Args:
        value: anything.

    Returns:
        A bool.

    >>> is_finite(0.5), is_finite(math.inf)
    (True, False)
    """
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def whole(name, value, smallest=1):
    """Require a whole number from 1.

    Args:
        name: str, what the message calls the value.
        value: anything.
        smallest: int, where it is not 1.

    Returns:
        The value as an int. Keras refuses NumPy's in some places.

    Raises:
        ValueError: for another value.

    >>> whole("units", 3)
    3
    """
    if not is_whole(value) or value < smallest:
        raise ValueError(f"{name} is {value!r}; it must be a whole number from {smallest}.")
    return operator.index(value)


def listed(name, values):
    """Require several values in some order.

    Args:
        name: str, what the message calls them.
        values: anything.

    Returns:
        A list of them.

    Raises:
        ValueError: for a single value, or a text.

    >>> listed("filters", (16, 32))
    [16, 32]
    """
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise ValueError(f"{name} is {values!r}; give a list.")
    return list(values)


def layer_class(name, value):
    """Require a class of layers, or a function that makes one.

    Args:
        name, value: as for ``whole``.

    Raises:
        ValueError: for another value, a layer among them.

    >>> layer_class("normalize", lambda name: None)
    """
    is_layer = hasattr(value, "call") and not isinstance(value, type)
    if not callable(value) or is_layer:
        raise ValueError(f"{name} is {value!r}; give a class of layers, such as keras.layers.BatchNormalization.")


def rate(name, value):
    """Require the rate of a dropout: a number from 0 to less than 1.

    Args:
        name, value: as for ``whole``.

    Raises:
        ValueError: for another value.

    >>> rate("dropout", 0.5)
    """
    if not is_finite(value) or not 0 <= value < 1:
        raise ValueError(f"{name} is {value!r}; it must be from 0, which drops nothing, to less than 1.")


def choice(name, value, choices):
    """Require one of some values.

    Args:
        name, value: as for ``whole``.
        choices: iterable of the values.

    Raises:
        ValueError: for another value.

    >>> choice("where", "after", ("before", "after"))
    """
    if value not in list(choices):  # in a dict, one that cannot be hashed would be a TypeError
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, choices))}.")


def maps(x):
    """Require the shape of feature maps, with the channels last.

    Args:
        x: tensor.

    Raises:
        ValueError: for another rank than four, or where Keras is set to have the channels first.

    >>> import keras
    >>> maps(keras.Input((28, 28, 192)))
    """
    channels_last()
    if not hasattr(x, "shape"):
        raise ValueError(f"The input is {type(x).__name__}; it must be a tensor (batch, height, width, channels).")
    if len(x.shape) != 4 or x.shape[-1] is None:
        raise ValueError(f"The input has shape {tuple(x.shape)}; it must be (batch, height, width, channels).")


def channels_last():
    """Require Keras's default order of axes, which the layers of our networks name nowhere.

    Raises:
        ValueError: where Keras is set to have the channels first.

    >>> channels_last()
    """
    import keras  # not for what needs no network, and it takes seconds

    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "This network has its channels last, and Keras is set to have them first; call "
            "keras.config.set_image_data_format('channels_last') before."
        )


def images(input_shape, num_classes, smallest=1, any_size=False):
    """Require (height, width, channels) with so many pixels a side, and a number of classes; returns both, as ints.

    Args:
        input_shape: (height, width, channels).
        num_classes: int, at least 1.
        smallest: int, pixels a side.
        any_size: bool, whether height and width may be None, for images of any size.

    Returns:
        The shape, a tuple of ints, and the number of classes, an int.

    Raises:
        ValueError: for another shape or number, or where Keras is set to have the channels first.

    >>> images([32, 32, 3], 10)
    ((32, 32, 3), 10)
    """
    channels_last()
    if not isinstance(input_shape, (list, tuple)) or len(input_shape) != 3:
        raise ValueError(f"input_shape is {input_shape!r}; it must be (height, width, channels).")
    *sides, channels = input_shape
    known = [side for side in sides if side is not None or not any_size]
    if not all(map(is_whole, (*known, channels))) or min(known, default=smallest) < smallest or channels < 1:
        or_none = ", or None for any size" if any_size else ""
        raise ValueError(
            f"input_shape is {input_shape!r}; it must be (height, width, channels) with at least {smallest} pixels a "
            f"side{or_none}."
        )
    shape = tuple(size if size is None else operator.index(size) for size in input_shape)
    return shape, whole("num_classes", num_classes)


def limits(name, values):
    """The smallest and the largest of some values.

    Args:
        name: str, what the message calls the values.
        values: array, not empty.

    Returns:
        Two floats.

    Raises:
        ValueError: unless they are finite numbers.

    >>> import numpy as np
    >>> limits("pixels", np.array([0.5, 0.25]))
    (0.25, 0.5)
    """
    if values.dtype.kind in "OSUcMm":
        raise ValueError(f"The {name} are of type {values.dtype}; give real numbers.")
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(low) or not math.isfinite(high):
        raise ValueError(f"The {name} hold a value that is not finite; clean them first.")
    return low, high
