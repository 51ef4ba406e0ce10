"""Checks of what a caller passes: one clear sentence, as ValueError, for what does not fit."""

import math
import numbers


def is_whole(value):
    """Whether a value is a whole number; True and False are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_finite(value):
    """Whether a value is a number, and neither infinite nor NaN; True and False are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def whole(name, value):
    """Require a whole number from 1."""
    if not is_whole(value) or value < 1:
        raise ValueError(f"{name} is {value!r}; it must be a whole number from 1.")


def images(input_shape, num_classes, smallest=1):
    """Require (height, width, channels) with so many pixels a side, and a number of classes."""
    if (
        not isinstance(input_shape, (list, tuple))
        or len(input_shape) != 3
        or not all(map(is_whole, input_shape))
        or min(input_shape[:2]) < smallest
        or input_shape[2] < 1
    ):
        raise ValueError(
            f"input_shape is {input_shape!r}; it must be (height, width, channels) with at least {smallest} pixels a "
            "side."
        )
    whole("num_classes", num_classes)
