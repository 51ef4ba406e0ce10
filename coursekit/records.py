"""Committed results: JSON files in the package, by profile and name, and of every recorded sweep one line a run.

They are written only while the maintainers' command executes a notebook (``COURSEKIT_RECORD`` is set). A reader's run
writes nothing.
"""

import datetime
import json
import os
import pathlib

from coursekit import runtime

FOLDER = pathlib.Path(__file__).parent / "records"


def read(name, profile=None):
    """Return the record ``name`` of a profile, a dict, or None where there is none.

    Args:
        name: str, of the file without its ending.
        profile: ``"quick"`` or ``"full"``; this session's by default.

    Returns:
        A dict, or None.

    Raises:
        ValueError: where the session has an unknown profile.

    >>> read("no-such-claim") is None
    True
    """
    path = FOLDER / (profile or runtime.profile()) / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def read_all():
    """Return all records.

    Returns:
        A dict from (profile, name) to record.

    >>> ("quick", "transfer") in read_all()
    True
    """
    return {
        (path.parent.name, path.stem): json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*/*.json"))
    }


def write(name, record, run=None):
    """Write a record, with the profile, backend, device, versions and date of its run under ``"run"``.

    Does nothing unless ``COURSEKIT_RECORD`` is set. A record whose numbers are those on file keeps its file and date.

    Args:
        name: str, of the file without its ending.
        record: dict of what JSON has, and of arrays; numbers are kept to six digits.
        run: those of the record that the numbers were read from; by default this session's.
    """
    if "COURSEKIT_RECORD" not in os.environ:
        return
    run = run or runtime.describe() | {"date": datetime.date.today().isoformat()}
    record = json.loads(json.dumps(record, default=lambda array: array.tolist()), parse_float=six_digits)
    on_file = read(name, run["profile"]) or {}
    on_file.pop("run", None)
    if record == on_file:
        return
    path = FOLDER / run["profile"] / f"{name}.json"
    _replace(path, json.dumps(record | {"run": run}, indent=1, ensure_ascii=False) + "\n")


def runs_path(name, profile=None):
    """Return where the runs of a recorded sweep are kept.

    Args:
        name: str, of the sweep.
        profile: ``"quick"`` or ``"full"``; this session's by default.

    Returns:
        A path, of a file that need not exist.

    Raises:
        ValueError: where the session has an unknown profile.

    >>> runs_path("transfer-grid", "full").name
    'transfer-grid.jsonl'
    """
    return FOLDER / (profile or runtime.profile()) / f"{name}.jsonl"


def read_runs(path):
    """Return the finished runs of a file, a line each.

    Args:
        path: as ``runs_path`` returns it.

    Returns:
        A list of dicts; empty where there is no file. A last line that was cut off is left out.

    >>> sorted(read_runs(runs_path("transfer-grid", "quick"))[0])
    ['choices', 'numbers', 'of', 'run', 'seed']
    """
    text = path.read_text("utf-8") if path.is_file() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def append_run(path, run):
    """Add a finished run to a file. Whatever happens meanwhile, the runs before it stay.

    A run of the same choices and seed goes: it was of another experiment.

    Args:
        path: as ``runs_path`` returns it.
        run: dict of ``choices``, ``seed``, ``numbers``, ``of`` and ``run``.
    """
    write_runs(path, [one for one in read_runs(path) if (one["choices"], one["seed"]) != (run["choices"], run["seed"])])
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.write(_line(run))


def write_runs(path, runs):
    """Let a file have these runs, and no part of another one; a file that is so already stays as it is.

    Args:
        path: as ``runs_path`` returns it.
        runs: list of dicts.
    """
    text = "".join(map(_line, runs))
    if text != (path.read_text("utf-8") if path.is_file() else ""):
        _replace(path, text)


def _line(run):
    return json.dumps(run, ensure_ascii=False, allow_nan=False) + "\n"


def _replace(path, text):
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(text, "utf-8")
    unfinished.replace(path)


def six_digits(number):
    """Return a number as records have it.

    Args:
        number: float, or its text.

    Returns:
        Float.

    >>> six_digits("0.12345678")
    0.123457
    """
    return float(f"{float(number):.6g}")
