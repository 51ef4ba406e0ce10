"""Chapter 5's figures to operate: a residual network as a bundle of paths."""

import traitlets

from coursekit.widgets.base import Widget, module


class PathExplorer(Widget):
    """A residual network of a few units, unrolled into its 2^n paths, from which the reader deletes units.

    units: int, 1 to 6, how many there are at first. Raises ``ValueError`` for another number.
    Source: Veit et al. 2016, figure 1.

    >>> PathExplorer()
    PathExplorer(units=3)
    """

    _name = "path_explorer"
    _esm = module(_name)
    units = traitlets.Int().tag(sync=True, state=True)

    def __init__(self, units=3):
        if units not in range(1, 7):
            raise ValueError(f"units is {units!r}; it must be a whole number from 1 to 6.")
        super().__init__(units=int(units))

    def __repr__(self):
        return f"PathExplorer(units={self.units})"

    def fallback(self):
        return (
            "<p><strong>Explore.</strong> With JavaScript, this is a figure to operate: a residual network, and every "
            "path from its input to its output, from which you delete units.</p>"
        )
