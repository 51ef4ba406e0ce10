"""Figures in one style, with alternative text, readable by color-blind people.

What is drawn of lines and letters comes as SVG beside its PNG, for the site alone: its type is none that Jupyter shows.
"""

import contextlib
import io
import itertools
import pathlib
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image
from matplotlib.colors import to_hex
from matplotlib.text import Text

from coursekit import experiments, require

STYLE = pathlib.Path(__file__).parent / "assets" / "coursekit.mplstyle"
SVG = "application/vnd.coursekit.svg"
INK, PAPER, GRID = "#1f2430", "#ffffff", "#e4e4e4"  # of the style, for which the site takes its own
BLACK = "#000000"
LARGEST_SVG = 120_000  # bytes; a drawing of more is no lighter than its PNG
MEANS = "Means at "  # with which the alternative text of curves goes on
MARKERS = "osD^vP*X"  # one more than there are colors, so that no two of 56 curves look alike


@contextlib.contextmanager
def style():
    """Draw in the course's style inside a ``with`` block; matplotlib's own settings are untouched outside it."""
    with plt.style.context(STYLE):
        yield


class Figure(Image):
    """A figure as PNG, and, if it is all lines and letters, as SVG for the site."""

    svg = ""

    def _repr_mimebundle_(self, include=None, exclude=None):
        data, metadata = super()._repr_mimebundle_(include, exclude)
        return data | ({SVG: self.svg} if self.svg else {}), metadata


def show(figure, alt):
    """Turn a matplotlib figure into an image with alternative text, and close it.

    Args:
        figure: matplotlib figure.
        alt: str, what the figure shows, for those who do not see it; the site prints it below the figure.

    Returns:
        A ``Figure``, which is an ``IPython.display.Image``; make it the last line of a cell.

    Raises:
        ValueError: for an empty text.

    >>> show(plt.figure(), "Nothing yet.").alt
    'Nothing yet.'
    """
    _require_alt(alt)
    buffer = io.BytesIO()
    # Without the software's name in it, the same figure is the same file under another version.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    shown = Figure(buffer.getvalue(), format="png", alt=alt)
    if not any(axes.images for axes in figure.axes):
        shown.svg = _svg(figure)
    plt.close(figure)
    return shown


def _svg(figure):
    for text in figure.findobj(Text):
        box = text.get_bbox_patch()
        if box and to_hex(box.get_facecolor()) != PAPER:
            text.set_color("black")  # on a color, which stays in every theme
    buffer = io.StringIO()
    with style():
        figure.savefig(buffer, format="svg", facecolor="none", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    # Black lines are ink, too. What is filled with black has no color of its own in the file.
    svg = svg.replace(f'style="stroke: {BLACK}', f'style="fill: {INK}; stroke: {INK}').replace(BLACK, INK)
    return svg if len(svg) <= LARGEST_SVG else ""


def curves(x, series, *, alt, xlabel, ylabel, title="", categorical=False, ylim=None):
    """Draw one curve for each named series, its mean over seeds with a band of one standard deviation.

    Args:
        x: sequence (points,).
        series: dict from name to array (points, seeds), or (points,) for a single run.
        alt: str, what the figure shows; the means are added to it.
        xlabel, ylabel, title: str, what is written at the axes and above.
        categorical: bool; space the points evenly and write x under them.
        ylim: pair, the ends of the vertical axis; by default they fit the curves.

    Returns:
        What ``show`` returns.

    Raises:
        ValueError: for no series, one that does not have one row for each x, or an empty ``alt``.

    >>> curves([1, 2], {"frozen": [[0.7, 0.8], [0.8, 0.9]]}, alt="Rising.", xlabel="labels", ylabel="accuracy").format
    'png'
    """
    if not isinstance(series, Mapping) or not series:
        raise ValueError("There is no series to draw; pass a dict from name to numbers.")
    series = {name: np.asarray(numbers, "float64") for name, numbers in series.items()}
    if len(x) == 0:
        raise ValueError("There is no point to draw; x is empty.")
    _require_alt(alt)
    for name, numbers in series.items():
        if numbers.ndim == 0 or len(numbers) != len(x):
            raise ValueError(f"{name} has shape {numbers.shape} for {len(x)} points; it needs one row a point.")
    with style():
        figure, axes = plt.subplots()
        positions = np.arange(len(x)) if categorical else np.asarray(x)
        for (name, numbers), marker in zip(series.items(), itertools.cycle(MARKERS), strict=False):
            numbers = numbers.reshape(len(x), -1)
            mean, spread = numbers.mean(1), numbers.std(1, ddof=1) if numbers.shape[1] > 1 else 0
            (line,) = axes.plot(positions, mean, label=name, marker=marker)
            axes.fill_between(positions, mean - spread, mean + spread, color=line.get_color(), alpha=0.15, lw=0)
        if categorical:
            axes.set_xticks(positions, [str(value) for value in x])
        elif np.issubdtype(positions.dtype, np.integer):
            axes.xaxis.get_major_locator().set_params(integer=True)  # there is no half epoch
        axes.set(xlabel=xlabel, ylabel=ylabel, title=title, ylim=ylim)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))  # beside the curves, which it would cover somewhere
        return show(figure, f"{alt} {_spoken(x, series)}")


def lines(runs, *, x, y, by, label="{}", xlabel=None, ylabel=None, **options):
    """Draw runs as curves, one for each value of a choice: the mean over seeds with a band of one standard deviation.

    Args:
        runs: table, as ``experiments.sweep`` returns it.
        x, y: str, columns: what varies along the curves, and the number that is drawn.
        by: str, the choice that tells the curves apart.
        label: str, the legend's text for a value of that choice.
        xlabel, ylabel: str, what is written at the axes; by default the columns' names.
        **options: as for ``curves``, ``alt`` among them, to which the means are added.

    Returns:
        What ``show`` returns.

    Raises:
        ValueError: as ``experiments.by_seed`` does, for a table with several runs of one seed at a point among others.

    >>> runs = experiments.sweep(lambda n, k, seed: {"sum": n + k + seed}, n=(1, 2), k=(0, 5), seeds=(0, 1), name="")
    >>> lines(runs, x="n", y="sum", by="k", label="{} more", alt="Rising.").alt
    'Rising. Means at 1, 2: 0 more: 1.5, 2.5; 5 more: 6.5, 7.5.'
    """
    points = runs[x].unique().tolist()
    series = {
        label.format(value): [experiments.by_seed(runs, y, **{by: value, x: point}) for point in points]
        for value in runs[by].unique()
    }
    return curves(points, series, xlabel=xlabel or x, ylabel=ylabel or y, **options)


def dots(rows, names, xlabel):
    """Draw a row of dots for each name, one a seed, with a bar at the mean; the first row is the highest.

    Args:
        rows: iterable of (seeds,) arrays.
        names: sequence of str, as many.
        xlabel: str, what is written at the horizontal axis.

    Returns:
        A matplotlib figure, to which more can be added before ``show``. Row number k is at y = -k.

    Raises:
        ValueError: where rows and names differ in number.

    >>> figure = dots([[0.7, 0.8], [0.8, 0.9]], ["plain", "residual"], "test accuracy")
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['plain', 'residual']
    """
    rows = list(rows)
    if len(rows) != len(names) or isinstance(names, str):
        raise ValueError(f"There are {len(rows)} rows and {len(names)} names; give one name a row.")
    with style():
        figure, axes = plt.subplots(figsize=(7.5, 0.4 * len(names) + 1))
        for row, numbers in enumerate(rows):
            axes.plot(numbers, np.full(len(numbers), -row), "C0o", alpha=0.5)
            axes.plot(np.mean(numbers), -row, "|", color=INK, markersize=18, markeredgewidth=2)
        axes.set_yticks(-np.arange(len(names)), names)
        axes.set(xlabel=xlabel)
        axes.margins(x=0.06)
    return figure


def _require_alt(alt):
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError("alt is empty; say in a sentence what the figure shows.")


def _spoken(x, series):
    """The curves for those who do not see them: every mean, at no more than ten points."""
    points = np.unique(np.linspace(0, len(x) - 1, 10).astype(int))
    means = {name: [f"{numbers[k].mean():.3g}" for k in points] for name, numbers in series.items()}
    at = ", ".join(str(x[k]) for k in points)
    return f"{MEANS}{at}: " + "; ".join(f"{name}: {', '.join(values)}" for name, values in means.items()) + "."


def image_grid(images, *, alt, titles=None, columns=10):
    """Draw images side by side in rows.

    Args:
        images: (images, height, width, 1 or 3) in [0, 1], or a list of images of any sizes; gray ones may lack the last
            axis.
        alt: str, what the figure shows.
        titles: a sequence of str, one an image.
        columns: int, images a row.

    Returns:
        What ``show`` returns.

    Raises:
        ValueError: where images and titles differ in number, there are no images, they have another shape or lie
            outside of [0, 1], or ``alt`` is empty.

    >>> image_grid(np.zeros((2, 4, 4, 1)), alt="Two black squares.", columns=2).format
    'png'
    """
    images = [np.asarray(image) for image in images]
    if not images:
        raise ValueError("There is no image to draw.")
    for image in images:
        shape = image.shape
        if len(shape) != 2 and (len(shape) != 3 or shape[-1] not in (1, 3)):
            raise ValueError(f"An image has shape {shape}; it must be (height, width), or (height, width, 1 or 3).")
        if (image < -1e-3).any() or (image > 1 + 1e-3).any():
            raise ValueError(
                f"An image lies in [{np.nanmin(image):g}, {np.nanmax(image):g}]; rescale it to [0, 1], which is drawn "
                "from black to white."
            )
    columns = require.whole("columns", columns)
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"There are {len(images)} images and {len(titles)} titles; give one title an image.")
    rows = -(-len(images) // columns)
    width, height = 0.8, 0.85
    if titles is not None:  # side by side, not across each other
        lines = [str(title).splitlines() or [""] for title in titles]
        width = max(width, 0.085 * max(len(line) for of_title in lines for line in of_title))
        height = width + 0.14 + 0.16 * max(map(len, lines))
    with style():
        figure, axes = plt.subplots(rows, columns, figsize=(width * columns, height * rows))
        for axis in np.ravel(axes):
            axis.set_axis_off()
        for index, (axis, image) in enumerate(zip(np.ravel(axes), images, strict=False)):
            axis.imshow(image[..., 0] if image.shape[2:] == (1,) else image, cmap="gray", vmin=0, vmax=1)
            if titles is not None:
                axis.set_title(titles[index], fontsize=9, loc="center")
        return show(figure, alt)
