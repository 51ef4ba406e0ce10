"""Freeze more or fewer layers, with more or fewer labels: chapter 1's recorded results as a figure to operate."""

import html

import numpy as np
import traitlets

from coursekit.widgets.base import Widget, module


class TransferExplorer(Widget):
    """Recorded accuracy by number of frozen layers and labels a class.

    Args:
        results: dict from the name of a data set to a dict of ``frozen``, the numbers of frozen bottom layers (0
            fine-tunes everything; with the last one only the new head trains); ``labels``, the labels a class; ``test``
            and ``train``, accuracies in [0, 1] of shape (frozen, labels, seeds).

    Raises:
        ValueError: where these do not fit together.

    >>> accuracy = [[[0.64, 0.66], [0.95, 0.95]], [[0.67, 0.69], [0.93, 0.95]]]
    >>> TransferExplorer({"digits": {"frozen": [0, 6], "labels": [2, 50], "test": accuracy, "train": accuracy}})
    TransferExplorer(digits)
    """

    _name = "transfer_explorer"
    _esm = module(_name)
    results = traitlets.Dict().tag(sync=True, state=True)

    def __init__(self, results):
        if not results:
            raise ValueError("There are no results to explore.")
        super().__init__(results={name: checked(name, result) for name, result in results.items()})

    def __repr__(self):
        return f"TransferExplorer({', '.join(self.results)})"

    def fallback(self):
        """The HTML for readers without JavaScript."""
        return "".join(best_table(name, result) for name, result in self.results.items())


def checked(name, result):
    """The result as plain lists with accuracies to four digits, or one sentence that says what is wrong with it."""
    missing = {"frozen", "labels", "test", "train"} - set(result)
    if missing:
        raise ValueError(f"The results of {name!r} lack {', '.join(sorted(missing))}.")
    axes = {axis: [int(value) for value in result[axis]] for axis in ("frozen", "labels")}
    for axis, values in axes.items():
        if len(values) < 2 or values != sorted(set(values)) or values[0] < 0:
            raise ValueError(f"In the results of {name!r}, {axis} must be two or more increasing whole numbers.")
    cells = (len(axes["frozen"]), len(axes["labels"]))
    accuracies = {part: np.array(result[part], float) for part in ("test", "train")}
    for part, values in accuracies.items():
        if values.ndim != 3 or values.shape[:2] != cells or not values.shape[2]:
            raise ValueError(f"In the results of {name!r}, {part} has shape {values.shape}, not {cells} and seeds.")
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"In the results of {name!r}, {part} holds a value that is no accuracy between 0 and 1.")
    return axes | {part: values.round(4).tolist() for part, values in accuracies.items()}


def best_table(name, result):
    """For readers without JavaScript: the number of frozen layers with the highest mean, by labels a class."""
    means = np.array(result["test"]).mean(axis=2)
    best = means.argmax(axis=0)
    rows = "".join(
        f"<tr><th scope='row'>{labels}</th><td>{result['frozen'][i]}</td><td>{means[i, j]:.1%}</td></tr>"
        for j, (labels, i) in enumerate(zip(result["labels"], best, strict=True))
    )
    titles = ("labels a class", "n of the highest mean", "its test accuracy")
    columns = "".join(f"<th scope='col'>{title}</th>" for title in titles)
    caption = f"{html.escape(name)}: how many bottom layers n to freeze"
    return f"<table><caption>{caption}</caption><thead><tr>{columns}</tr></thead><tbody>{rows}</tbody></table>"
