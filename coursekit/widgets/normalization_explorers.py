"""Chapter 2's figures to operate: an excited neuron under local response normalization, and a mini-batch to drag."""

import traitlets

from coursekit.widgets.base import Widget, module

RANGE = (-5, 15)


class LrnExplorer(Widget):
    """Fifteen channels at one pixel, one of them excited, before and after local response normalization.

    The reader sets how excited, and the four parameters of the layer; it starts with AlexNet's.

    >>> LrnExplorer()
    LrnExplorer()
    """

    _name = "lrn_explorer"
    _esm = module(_name)

    def __repr__(self):
        return "LrnExplorer()"

    def fallback(self):
        """The HTML for readers without JavaScript."""
        return (
            "<p><strong>Explore.</strong> With JavaScript, this is a figure to operate: fifteen channels, one of them "
            "excited, before and after local response normalization, with a slider for each of its parameters.</p>"
        )


class BatchExplorer(Widget):
    """One feature of a mini-batch, example by example, normalized as in training and as in inference.

    The reader drags the examples and takes training steps, which move the averages that inference uses.

    Args:
        values: the examples to start with, 2 to 8 multiples of 0.5 from -5 to 15.

    Raises:
        ValueError: for others.

    >>> BatchExplorer([1, 2, 3, 10])
    BatchExplorer([1.0, 2.0, 3.0, 10.0])
    """

    _name = "batch_explorer"
    _esm = module(_name)
    values = traitlets.List().tag(sync=True, state=True)

    def __init__(self, values):
        low, high = RANGE
        if not 2 <= len(values) <= 8 or not all(
            low <= value <= high and 2 * value == int(2 * value) for value in values
        ):
            raise ValueError(f"values is {values!r}; give 2 to 8 multiples of 0.5 from {low} to {high}.")
        super().__init__(values=[float(value) for value in values])

    def __repr__(self):
        return f"BatchExplorer({self.values})"

    def fallback(self):
        """The HTML for readers without JavaScript."""
        return (
            "<p><strong>Explore.</strong> With JavaScript, this is a figure to operate: the values of one feature in a "
            "mini-batch, and what batch normalization makes of them in training and in inference.</p>"
        )
