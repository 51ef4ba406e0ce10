"""Chapter 4's figures to operate: a convolution behind a bottleneck, and an Inception module within a budget."""

import traitlets

from coursekit.widgets.base import Widget, module

# The first module of GoogLeNet: Szegedy et al. 2015, table 1.
SHAPE = (28, 28, 192)
FILTERS = {"conv_1x1": 64, "reduce_3x3": 96, "conv_3x3": 128, "reduce_5x5": 16, "conv_5x5": 32, "pool_proj": 32}
BUDGET = 150_000_000


class BottleneckExplorer(Widget):
    """The volumes around a convolution, with and without a bottleneck before it, and their multiplications.

    The reader sets the sizes; it starts with the lecture's example.

    >>> BottleneckExplorer()
    BottleneckExplorer()
    """

    _name = "bottleneck_explorer"
    _esm = module(_name)

    def __repr__(self):
        return "BottleneckExplorer()"

    def fallback(self):
        """The HTML for readers without JavaScript."""
        return (
            "<p><strong>Explore.</strong> With JavaScript, this is a figure to operate: the input, the bottleneck and "
            "the output of a convolution as volumes, with a slider for each size, and what they cost.</p>"
        )


class InceptionDesigner(Widget):
    """An Inception module whose filters the reader sets, within a budget of multiplications; it starts with 3a's.

    Args:
        shape: (height, width, channels) of the input.
        budget: int, multiplications.

    Raises:
        ValueError: for numbers that are not whole or not above 0.

    >>> InceptionDesigner(shape=(14, 14, 480))
    InceptionDesigner(shape=(14, 14, 480), budget=150000000)
    """

    _name = "inception_designer"
    _esm = module(_name)
    shape = traitlets.List().tag(sync=True, state=True)
    filters = traitlets.Dict().tag(sync=True, state=True)
    budget = traitlets.Int().tag(sync=True, state=True)

    def __init__(self, shape=SHAPE, budget=BUDGET):
        if len(shape) != 3 or not all(isinstance(size, int) and size > 0 for size in (*shape, budget)):
            raise ValueError(f"shape is {shape!r} and budget {budget!r}; give (height, width, channels) and a number.")
        super().__init__(shape=list(shape), filters=FILTERS, budget=budget)

    def __repr__(self):
        return f"InceptionDesigner(shape={tuple(self.shape)}, budget={self.budget})"

    def fallback(self):
        """The HTML for readers without JavaScript."""
        return (
            "<p><strong>Explore.</strong> With JavaScript, this is a figure to operate: an Inception module for an "
            f"input of {'×'.join(map(str, self.shape))}, whose filters you set within {self.budget:,} "
            "multiplications.</p>"
        )
