"""Draw symbols of one's own and see three learners learn them: what chapter 1 opens with."""

import base64

import numpy as np
import traitlets

from coursekit import pretrained
from coursekit.widgets.base import Widget, module


class SymbolTrainer(Widget):
    """Three classifiers that learn the reader's own drawings in the page: the pixels, a network, frozen features.

    The reader draws two to four symbols, a few examples each. A dense layer on the pixels, a small convolutional
    network from scratch, and a dense layer on the features of the same network, trained on digits, all learn the
    drawings. Bars show how many of 200 shaky copies of the drawings each gets right. It begins with an example.

    Args:
        seed: int, for the example, the copies and the first weights.

    >>> SymbolTrainer()
    SymbolTrainer()
    """

    _name = "symbol_trainer"
    _esm = module(_name)
    weights = traitlets.Unicode().tag(sync=True, state=True)
    seed = traitlets.Int().tag(sync=True, state=True)

    def __init__(self, seed=0):
        super().__init__(weights=features(), seed=seed)

    def __repr__(self):
        return "SymbolTrainer()"

    def fallback(self):
        """The HTML for readers without JavaScript."""
        return (
            "<p><strong>Try it.</strong> With JavaScript, you draw two symbols of your own here, a few times each, and "
            "three learners train on your drawings in the page: one dense layer on the pixels, a small convolutional "
            "network from scratch, and one dense layer on the frozen features of the same network, trained on "
            "digits. Bars show how many shaky copies of your drawings each of them gets right.</p>"
        )


def features():
    """The network that was trained on digits, without its last layer, as text: half precision, layer by layer."""
    arrays = pretrained.shipped("symbols-digits")[:-2]  # the kernel and the bias of the last
    return base64.b64encode(np.concatenate([array.ravel() for array in arrays]).astype("<f2").tobytes()).decode()
