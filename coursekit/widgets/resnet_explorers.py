"""Chapter 5's figures to operate: networks by depth, and a residual network as a bundle of paths."""

import html
import math

import numpy as np
import traitlets

from coursekit.widgets.base import Widget, module


class PathExplorer(Widget):
    """A residual network of a few units, unrolled into its 2^n paths, from which the reader deletes units.

    Args:
        units: int, 1 to 6, how many there are at first.

    Raises:
        ValueError: for another number.

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
        """The HTML for readers without JavaScript."""
        return (
            "<p><strong>Explore.</strong> With JavaScript, this is a figure to operate: a residual network, and every "
            "path from its input to its output, from which you delete units.</p>"
        )


class DepthExplorer(Widget):
    """Recorded runs by depth: training loss, gradients by unit, and what is left without one unit.

    Args:
        results: dict from a depth to a dict from the kind of network (``"plain"``, say) to another with ``loss``
            (epochs, seeds); ``test``, accuracies in [0, 1] (seeds,); ``gradients`` (units,), norms above 0; ``without``
            (units,), accuracies without the unit, NaN where there is none. Every depth has the same kinds, and the
            kinds of a depth as many units.

    Raises:
        ValueError: where these do not fit together.

    >>> run = {"loss": [[2.3], [0.4]], "test": [0.9], "gradients": [0.1, 0.2, 0.1], "without": [0.8, float("nan"), 0.9]}
    >>> DepthExplorer({8: {"plain": run, "residual": run}})
    DepthExplorer(8: plain, residual)
    """

    _name = "depth_explorer"
    _esm = module(_name)
    results = traitlets.Dict().tag(sync=True, state=True)

    def __init__(self, results):
        if not results:
            raise ValueError("There are no results to explore.")
        kinds = [list(result) for result in results.values()]
        if any(one != kinds[0] or not one for one in kinds):
            raise ValueError("Every depth needs the same kinds of networks.")
        super().__init__(
            results={
                str(depth): {kind: checked(f"{kind}, {depth} layers", run) for kind, run in result.items()}
                for depth, result in results.items()
            }
        )
        for depth, result in self.results.items():
            if len({len(run["gradients"]) for run in result.values()}) > 1:
                raise ValueError(f"At depth {depth}, the networks differ in their number of units.")

    def __repr__(self):
        kinds = ", ".join(next(iter(self.results.values())))
        return f"DepthExplorer({', '.join(self.results)}: {kinds})"

    def fallback(self):
        """The HTML for readers without JavaScript."""
        rows = "".join(
            f"<tr><th scope='row'>{html.escape(kind)}, {depth} layers</th><td>{np.mean(run['loss'][-1]):.2g}</td>"
            f"<td>{np.mean(run['test']):.1%}</td></tr>"
            for depth, result in self.results.items()
            for kind, run in result.items()
        )
        columns = "".join(f"<th scope='col'>{text}</th>" for text in ("network", "training loss", "test accuracy"))
        return f"<table><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table>"


def checked(name, run):
    """The numbers of a run as plain lists, or one sentence that says what is wrong with them."""
    missing = {"loss", "test", "gradients", "without"} - set(run)
    if missing:
        raise ValueError(f"The results of {name} lack {', '.join(sorted(missing))}.")
    loss, test, gradients, without = (np.array(run[key], float) for key in ("loss", "test", "gradients", "without"))
    if loss.ndim != 2 or test.ndim != 1 or gradients.ndim != 1 or without.shape != gradients.shape:
        raise ValueError(
            f"The results of {name} have loss {loss.shape}, test {test.shape}, gradients {gradients.shape} and without "
            f"{without.shape}; they must be (epochs, seeds), (seeds,), (units,) and (units,)."
        )
    if not loss.size or not test.size or not gradients.size:
        raise ValueError(f"The results of {name} are empty.")
    accuracies = np.append(test, without[~np.isnan(without)])
    if not ((accuracies >= 0) & (accuracies <= 1)).all() or not (gradients > 0).all() or not np.isfinite(loss).all():
        raise ValueError(f"The results of {name} hold an accuracy outside [0, 1], a gradient of 0 or an infinite loss.")
    return {
        "loss": [[float(f"{value:.3g}") for value in row] for row in loss],
        "test": test.round(4).tolist(),
        "gradients": [float(f"{value:.3g}") for value in gradients],
        "without": [None if math.isnan(value) else round(value, 4) for value in without.tolist()],
    }
