"""What was handed in: notebooks in a folder or a zip file, as a person, Moodle or Canvas lays them out.

Nothing is unpacked and no notebook is believed: a file that is not what it says costs only itself.
"""

import functools
import hashlib
import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from coursekit import checks

LARGEST = 20 * 2**20  # bytes of a notebook
MOST_CELLS = 1000
MOODLE = re.compile(r"(?P<student>.+)_(?P<identifier>\d+)_assignsubmission_")
CANVAS = re.compile(r"(?P<student>[^_]+)(?P<late>_LATE)?_(?P<identifier>\d+)_(?P<attempt>\d+)_(?P<name>.+)")
CHECK = re.compile(r"\bcheck\(\s*[\"']([\w-]+)[\"']")
OF_ZIP = (zipfile.BadZipFile, zlib.error, EOFError)  # what a damaged archive raises
JUNK = re.compile(r"(^|/)(\.|__MACOSX/|[^/]*-checkpoint\.ipynb$)")


class SubmissionsError(Exception):
    """What was given cannot be read as submissions; the sentence says what to do."""


@dataclass
class Submission:
    """One student's notebook for one exercise.

    student: str. identifier: the number that Moodle or Canvas knows the student by, or an empty text. file: its path
    among the submissions. topic: of the exercise; empty where the file is no exercise. cells: pairs of number and
    source of the code to run. fingerprint: of that code. notes: sentences on what came of the file. late: Canvas says
    so.
    """

    student: str
    identifier: str
    file: str
    topic: str = ""
    cells: list = field(default_factory=list)
    fingerprint: str = ""
    notes: list = field(default_factory=list)
    late: bool = False


@dataclass(frozen=True)
class _File:
    path: PurePosixPath
    bytes: int
    age: tuple  # what is greater is newer
    read: Callable


def find(path):
    """Return the submissions in a folder or zip file: the newest of each student for each exercise, sorted by student.

    Raises SubmissionsError where there is none, or the path is neither.
    """
    root = Path(path)
    if root.is_dir():
        files = _in_folder(root)
    elif root.is_file() and zipfile.is_zipfile(root):
        files = _in_zip(root)
    else:
        raise SubmissionsError(f"{path} is neither a folder nor a zip file of submissions.")
    newest, without = {}, {}
    for file in sorted(files, key=lambda file: file.age):
        if JUNK.search(str(file.path)):
            continue
        student, identifier, late = _owner(file.path)
        if file.path.suffix != ".ipynb":
            without.setdefault((student, identifier), []).append(file.path.name)
            continue
        submission = Submission(student, identifier, str(file.path), late=late)
        _read(file, submission)
        earlier = newest.pop((student, identifier, submission.topic), None)
        if earlier:
            submission.notes.append(f"{earlier.file} is older, and was not graded.")
        newest[student, identifier, submission.topic] = submission
    with_notebook = {(student, identifier) for student, identifier, _ in newest}
    for (student, identifier), names in without.items():
        if (student, identifier) not in with_notebook:
            note = f"There is no notebook, but {', '.join(sorted(names)[:5])}."
            newest[student, identifier, ""] = Submission(student, identifier, names[0], notes=[note])
    if not newest:
        raise SubmissionsError(f"{path} has no notebooks (files that end in .ipynb).")
    return sorted(newest.values(), key=lambda one: (one.student.casefold(), one.identifier, one.topic))


def _in_folder(root):
    for folder, _, names in os.walk(root):  # which does not follow links to folders
        for name in names:
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file():
                continue  # it might lead out of the submissions, or never end
            found = path.stat()
            yield _File(PurePosixPath(path.relative_to(root)), found.st_size, (found.st_mtime,), path.read_bytes)


def _in_zip(root):
    archive = zipfile.ZipFile(root)
    # Names that climb out only name a file here: nothing is unpacked.
    paths = {
        info: PurePosixPath(*(part for part in PurePosixPath(info.filename).parts if part not in ("/", "..")))
        for info in archive.infolist()
        if not info.is_dir()
    }
    handed_in = [path for path in paths.values() if not JUNK.search(str(path))]
    tops = {path.parts[:1] if len(path.parts) > 1 else None for path in handed_in}
    whole = len(handed_in) > 1 and len(tops) == 1  # a folder of submissions that was zipped as a whole
    for info, path in paths.items():
        if whole and path.parts[:1] in tops:
            path = path.relative_to(path.parts[0])
        yield _File(path, info.file_size, info.date_time, functools.partial(archive.read, info))


def _owner(path):
    """Student, identifier and whether it is late, from the path of a file."""
    for part in path.parts:
        match = MOODLE.match(part)
        if match:
            return match["student"], match["identifier"], False
    match = CANVAS.fullmatch(path.name)
    if match:
        return match["student"], match["identifier"], bool(match["late"])
    if len(path.parts) > 1:
        return path.parts[0], "", False
    return re.sub(r"[-_. ]*\d\d-[a-z]+(-[a-z]+)*( ?\(\d+\))?$", "", path.stem) or path.stem, "", False


def _read(file, submission):
    """Fill in what a file holds, or note why it holds nothing."""
    if file.bytes > LARGEST:
        submission.notes.append(
            f"The file has {file.bytes:,} bytes; a notebook may have {LARGEST:,}. Clear its outputs."
        )
        return
    try:
        sources = code(json.loads(file.read()), "not-graded")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError, RuntimeError, *OF_ZIP):
        submission.notes.append("The file cannot be read as a notebook.")
        return
    if len(sources) > MOST_CELLS:
        submission.notes.append(f"The notebook has {len(sources):,} cells; at most {MOST_CELLS:,} are run.")
        return
    asked = {name for _, source in sources for name in CHECK.findall(source)}
    topics = {topic: len(asked & checks.questions(topic).keys()) for topic in checks.TOPICS}
    if not any(topics.values()):
        submission.notes.append("The notebook is none of the exercises: it checks no question of theirs.")
        return
    submission.topic, submission.cells = max(topics, key=topics.get), sources
    submission.fingerprint = hashlib.sha256(json.dumps([source for _, source in sources]).encode()).hexdigest()


def code(notebook, *left_out):
    """The code of a notebook, but for cells with one of some tags: pairs of a cell's number and its source.

    notebook: as JSON has it. Cells are counted from 1, those of text too. Raises KeyError, TypeError or AttributeError
    for what is no notebook.

    >>> cells = [{"cell_type": "markdown", "source": "Two."}, {"cell_type": "code", "source": ["1 +", " 1"]}]
    >>> code({"cells": cells}, "mistake")
    [[2, '1 + 1']]
    """
    return [
        [number, _source(cell)]
        for number, cell in enumerate(notebook["cells"], start=1)
        if cell["cell_type"] == "code" and not set(left_out) & set(cell.get("metadata", {}).get("tags", []))
    ]


def _source(cell):
    source = cell["source"]
    text = "".join(source) if isinstance(source, list) else source
    if not isinstance(text, str):
        raise TypeError
    return text
