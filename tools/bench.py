"""Measure what must stay fast: `make bench`. Each time stands beside a peer's, measured in the same run.

Seconds differ from machine to machine; the ratio to the peer hardly does.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
REPEATS = 5


def seconds(*command):
    start = time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - start


def fastest(*command):
    """Return the shortest of several runs: what else the machine does only ever adds."""
    return min(seconds(*command) for _ in range(REPEATS))


def imports():
    """Importing the package loads neither Keras nor NumPy; an empty Python is taken off both sides."""
    empty = fastest(sys.executable, "-c", "")
    ours = fastest(sys.executable, "-c", "import coursekit") - empty
    yield "import coursekit", ours, "import numpy", fastest(sys.executable, "-c", "import numpy") - empty


def site():
    """The site warm, as after editing nothing, against an import of the build system alone."""
    with tempfile.TemporaryDirectory() as folder:
        build = (sys.executable, "tools/book.py", folder)
        fresh = seconds(*build)
        peer = fastest(sys.executable, "-c", "import jupyter_book.sphinx")
        yield "site, from nothing", fresh, "import jupyter_book", peer
        yield "site, nothing changed", fastest(*build), "import jupyter_book", peer


def main():
    table = Table("what", "seconds", "peer", "seconds", "ratio")
    for measurements in (imports, site):
        for what, ours, peer, theirs in measurements():
            table.add_row(what, f"{ours:.3f}", peer, f"{theirs:.3f}", f"{ours / theirs:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
