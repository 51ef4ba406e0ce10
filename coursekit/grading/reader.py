"""Read the code of a notebook's file, with bounded memory.

A large file is read by this program in a process of its own: JSON of a hundred megabytes may be a picture, or tens of
millions of empty lists, which need fifty times as much memory. It imports nothing but what comes with Python.
"""

import contextlib
import json
import subprocess
import sys

MIB = 2**20
LARGE = 4 * MIB  # bytes of a file, from which on a process of its own reads it
# What such a process may use and write. A picture beside one emoji needs four bytes a character.
MEMORY, SECONDS, WRITTEN = 2048 * MIB, 30, 16 * MIB


def without_outputs(content):
    """The cells of a notebook, as JSON has them, without outputs and text, from the bytes of its file.

    Raises ValueError, KeyError, TypeError, AttributeError, RecursionError or MemoryError for what is no notebook.
    """
    if len(content) <= LARGE:
        return _cells(content)
    done = subprocess.run([sys.executable, "-I", __file__], input=content, capture_output=True)
    if done.returncode:
        raise ValueError("The file is no notebook, or takes more memory or time than one may.")
    return json.loads(done.stdout)


def _cells(content):
    try:
        notebook = json.loads(content)
    except UnicodeDecodeError:  # an editor of Windows has saved it
        notebook = json.loads(content.decode("cp1252", "replace"))
    return {"cells": [_cell(cell) for cell in notebook["cells"]]}


def _cell(cell):
    kind, metadata = cell["cell_type"], cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    return {"cell_type": kind, "source": cell.get("source") if kind == "code" else "", "metadata": {"tags": tags}}


def main():
    import resource  # which not every system has

    with contextlib.suppress(ValueError, OSError):  # macOS knows no limit of memory
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    text = json.dumps(_cells(sys.stdin.buffer.read()))
    if len(text) > WRITTEN:
        sys.exit("There is too much code.")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
