"""The tested implementations behind the course *Convnets, Claim by Claim*.

Start a notebook with ``coursekit.setup()``; import the rest by topic, ``from coursekit import claims, data, transfer``.
Exercises take ``check`` from here. Importing ``coursekit`` alone loads neither NumPy nor Keras.
"""

from coursekit.runtime import settings, setup

__version__ = "0.1.0"
__all__ = ["check", "settings", "setup"]


def __getattr__(name):
    if name == "check":
        from coursekit.checks import check

        return check
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
