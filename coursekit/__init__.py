"""The tested implementations behind the course *Convnets, Claim by Claim*.

Start a notebook with ``coursekit.setup()``; import the rest by topic, ``from coursekit import claims, data, transfer``.
Importing ``coursekit`` alone loads neither Keras nor a backend.
"""

from coursekit.checks import check
from coursekit.runtime import settings, setup

__version__ = "0.1.0"
__all__ = ["check", "settings", "setup"]
