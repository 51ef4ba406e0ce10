"""The tested implementations behind the course.

Start a notebook with ``coursekit.setup()``; use the rest by topic, as ``coursekit.transfer`` or after ``from coursekit
import transfer``. Exercises take ``check`` from here. Importing ``coursekit`` alone loads neither NumPy nor Keras.
"""

import importlib

from coursekit._version import __version__ as __version__
from coursekit.runtime import settings, setup

__all__ = ["check", "settings", "setup"]
_SUBMODULES = (
    "cards",
    "claims",
    "cost",
    "data",
    "efficientnet",
    "exercises",
    "experiments",
    "gan",
    "gradients",
    "grading",
    "inception",
    "metrics",
    "normalization",
    "plots",
    "pretrained",
    "records",
    "resnet",
    "training",
    "transfer",
    "widgets",
)


def __getattr__(name):
    if name == "check":
        from coursekit.exercises import check

        return check
    if name in _SUBMODULES:
        return importlib.import_module(f"coursekit.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__, *_SUBMODULES})
