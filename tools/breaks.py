"""Try what the chapters' notes "Break it" promise: `python tools/breaks.py`, or `... CLAIM` for one claim or more.

Each runs what its claim needs, with the edit of tests/breaks.toml, and is right if the claim gets the verdict of the
note. To try all takes three quarters of an hour, so this is for whoever has changed an experiment, and not for every
push; there, a test sees that the edits find their text and that the notes have these verdicts.
"""

import argparse
import functools
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import nbformat
import notebooks
from nbclient import NotebookClient
from tqdm import tqdm

ROOT = Path(__file__).parents[1]


@functools.cache
def load():
    """The edits by claim, as that file explains them: dicts of ``verdict``, ``edits`` and ``also``."""
    return tomllib.loads((ROOT / "tests" / "breaks.toml").read_text("utf-8"))


@functools.cache
def chapters():
    """The chapters' notebooks, by the claims that they check."""
    read = [nbformat.read(path, as_version=4) for path in sorted(ROOT.glob(notebooks.CHAPTERS))]
    return {claim: notebook for notebook in read for cell in notebook.cells for claim in notebooks.claims_in(cell)}


def broken(notebook, claim, edits, also=(), **_):
    """The code cells that a claim needs, with the edits made. ValueError where an edit does not find its text."""
    cells = {cell.id: nbformat.from_dict(cell) for cell in notebooks.code_cells(notebook)}
    for cell_id, old, new in edits:
        if cell_id not in cells or old not in cells[cell_id].source:
            raise ValueError(f"{claim}: there is no cell {cell_id!r} with {old!r}.")
        cells[cell_id].source = cells[cell_id].source.replace(old, new)
    (checked,) = (cell.id for cell in cells.values() if claim in notebooks.claims_in(cell))
    return notebooks.needed_cells(list(cells.values()), [checked, *also])


def verdict(cells, claim):
    """Run cells in a kernel of their own. Returns the verdict that they print on a claim."""
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=notebooks.NOTEBOOK_METADATA)
    client = NotebookClient(notebook, timeout=None, resources={"metadata": {"path": ROOT / "book"}})
    client.execute(stderr=subprocess.DEVNULL)  # where the kernel says that it starts
    printed = "".join(output.get("text", "") for cell in cells for output in cell.outputs)
    (line,) = (line for line in printed.splitlines() if f" · {claim} · " in line)
    return line.partition(" · ")[0]


def main():
    known = load()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help="; ".join(known))
    wanted = parser.parse_args().claims or list(known)
    if unknown := [claim for claim in wanted if claim not in known]:
        sys.exit(f"There is no break of {unknown[0]!r} in tests/breaks.toml.")
    # Records that contradict the chapters are the last thing that this should leave behind.
    os.environ.pop("COURSEKIT_RECORD", None)
    of_claim, wrong = chapters(), 0
    for claim in tqdm(wanted, unit="claim"):
        start = time.monotonic()
        cells = broken(of_claim[claim], claim, **known[claim])
        got, promised = verdict(cells, claim), known[claim]["verdict"]
        wrong += got != promised
        says = "" if got == promised else f", not {promised}"
        tqdm.write(f"{claim:34} {got}{says}  ({time.monotonic() - start:.0f} s)")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
