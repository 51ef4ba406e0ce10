"""What was handed in: notebooks in a folder or a zip file, as a person, Moodle, Canvas or Gradescope lays them out.

Nothing is unpacked and no notebook is believed: a file that is not what it says costs only itself.
"""

import functools
import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from coursekit import exercises
from coursekit.exercises import values
from coursekit.grading import files, layouts, reader
from coursekit.grading.files import SubmissionsError

MOST_CODE = values.LARGEST_HEAD // 2  # bytes of a notebook's code, which goes to the sandbox in one message
MOST_CELLS = 1000
CHECK = re.compile(r"(?<![\w.])check\s*\(\s*[\"']([\w-]+)[\"']")  # and not the claims' of a chapter
DEFINED = re.compile(r"^(?:def (\w+)|(\w+) *= *lambda\b)", re.MULTILINE)
FEW = 3  # files that a note names
NO_EXERCISE = "The notebook is none of the exercises: it checks no question of theirs, and has none of their functions."


@dataclass
class Submission:
    """One student's notebook for one exercise.

    student: str. identifier: the number that Moodle or Canvas knows the student by, or an empty text. file: its path
    among the submissions. topic: of the exercise; empty where there is nothing to grade. cells: pairs of number and
    source of the code to run. fingerprint: of that code. notes: sentences on what came of the file. late: Canvas says
    so. platform: Moodle, Canvas or Gradescope, where the file comes from there. attachment: Canvas's number of the
    file, or 0.
    """

    student: str
    identifier: str
    file: str
    topic: str = ""
    cells: list = field(default_factory=list)
    fingerprint: str = ""
    notes: list = field(default_factory=list)
    late: bool = False
    platform: str = ""
    attachment: int = 0

    @property
    def who(self):
        """The student's name, with the number of those who have one: no two students have the same."""
        return f"{self.student} ({self.identifier})" if self.identifier else self.student


@dataclass
class _File:
    """A file that was handed in, and what is in it.

    parts: names on its path. date: tuple, the greater the newer. notebook: whether its name says so. topic: of an
    exercise. packed: the cells of its code, compressed, since a small zip file may hold a thousand large notebooks.
    problem: why there are none. notes: sentences on what else there is to say. read: function that returns the content
    of a file in which Gradescope may say who is who.
    """

    parts: tuple
    date: tuple
    notebook: bool
    topic: str = ""
    packed: bytes = b""
    problem: str = ""
    notes: list = field(default_factory=list)
    read: Callable | None = None
    whose: layouts.Whose | None = None

    @property
    def path(self):
        return "/".join(self.parts)

    @property
    def age(self):
        return self.whose.attachment, self.date

    @property
    def cells(self):
        return json.loads(zlib.decompress(self.packed)) if self.packed else []

    @functools.cached_property
    def fingerprint(self):
        """The same for the same code, whatever stands between its cells."""
        return hashlib.sha256(json.dumps([source for _, source in self.cells]).encode()).hexdigest()

    @property
    def child(self):
        """What a file, or the folder that it is in, is named for within what is its student's."""
        return layouts.named(self.parts, len(self.whose.place)) if self.parts != self.whose.place else ""

    @property
    def is_deeper(self):
        return len(self.parts) > len(self.whose.place) + 1


def find(path):
    """Return the submissions in a folder or zip file: the newest of each student for each exercise, sorted by student.

    Raises SubmissionsError where there is none, the path is neither, or it cannot be told whose they are.
    """
    root = Path(path)
    if not root.is_dir() and not (root.is_file() and zipfile.is_zipfile(root)):
        raise SubmissionsError(f"{path} is neither a folder nor a zip file of submissions.")
    name = files.normal(root.resolve().name if root.is_dir() else root.stem)
    handed_in = [_looked_into(file) for file in files.walk(root)]
    if all(len(file.parts) > 1 and file.parts[0] == name for file in handed_in):  # as zipping a folder makes it
        for file in handed_in:
            file.parts = file.parts[1:]
    metadata = [(file.parts, file.read) for file in handed_in if file.read]
    students = {}
    for file, whose in zip(handed_in, layouts.whose(handed_in, name, metadata), strict=True):
        if whose:
            file.whose = whose
            students.setdefault((whose.student, whose.identifier), []).append(file)
    if not students:
        raise SubmissionsError(f"{path} has no notebooks (files that end in .ipynb).")
    _refuse_classes(students.values())
    found = [submission for of_student in students.values() for submission in _submissions(of_student)]
    return sorted(found, key=lambda one: (one.student.casefold(), one.identifier, one.topic))


def _looked_into(file):
    """What is in a file, or why it is not to be graded."""
    name = file.parts[-1]
    found = _File(file.parts, file.date, notebook=bool(files.NOTEBOOK.search(name)), problem=file.note)
    try:
        if name == layouts.METADATA and not any(map(files.is_zip, file.parts)):
            found.read = file.read
        elif found.notebook:
            cells = code(reader.without_outputs(file.read()), "not-graded")
            packed = json.dumps(cells).encode()
            found.problem = _too_much(cells, len(packed))
            if not found.problem:
                found.topic, found.packed = _topic(cells, name), zlib.compress(packed)
                found.problem = "" if found.topic else NO_EXERCISE
    except files.TooLarge as error:
        found.problem = str(error)
    except Exception:  # whatever a student's bytes make a library raise
        found.problem = "The file cannot be read as a notebook."
    if found.problem:
        found.topic, found.packed = "", b""
    elif found.notebook and not name.endswith(".ipynb"):
        found.notes.append(
            f"The file's name ends in {name[name.lower().rindex('.ipynb') :]}; it was graded all the same."
        )
    return found


def _topic(cells, name):
    """The exercise that a notebook is of, by the questions that it checks and the functions that it defines, or "".

    One function alone may have its name by chance, unless the file's name says so, too.
    """
    text = "\n".join(source for _, source in cells)
    asked = set(CHECK.findall(text))
    defined = {name for names in DEFINED.findall(text) for name in names}
    named = layouts.EXERCISE.search(name)
    answered = dict.fromkeys(exercises.TOPICS, 0)
    for topic in exercises.TOPICS:
        questions = exercises.questions(topic)
        answers = [question for question in questions.values() if question.id in asked or question.function in defined]
        is_named = bool(named) and topic in named[0].lower()
        if len(answers) > 1 or asked & questions.keys() or is_named:
            answered[topic] = len(answers) + is_named / 2
    best = max(answered, key=answered.get)
    return best if answered[best] >= 1 else ""


def _too_much(cells, code_bytes):
    """What a notebook has too much of, or an empty text."""
    if len(cells) > MOST_CELLS:
        return f"The notebook has {len(cells):,} cells; at most {MOST_CELLS:,} are run."
    if code_bytes > MOST_CODE:
        return f"The notebook has {code_bytes:,} bytes of code; at most {MOST_CODE:,} are run."
    return ""


def _refuse_classes(students):
    """Refuse folders that are each taken for a student, and look like classes, unless it is a few students' own habit.

    That is, folders in which several files or folders have different notebooks of one exercise.
    """
    own = [of_student for of_student in students if not of_student[0].whose.platform]
    with_notebook = [of_student for of_student in own if any(file.topic for file in of_student)]
    doubtful = [pair for pair in map(_doubtful, with_notebook) if pair]
    certain = len(doubtful) > 1 or any(one.is_deeper and other.is_deeper for one, other in doubtful)
    if certain and 2 * len(doubtful) > len(with_notebook):
        one, other = doubtful[0]
        raise SubmissionsError(
            f"{one.path} and {other.path} are notebooks of one exercise, in the folder of one student or in that of a "
            "class; name the folder that the students' folders lie in, or leave one notebook of an exercise to each."
        )


def _doubtful(of_student):
    """Two files with different notebooks of one exercise, which something tells apart that may be students' names."""
    first = {}
    for file in of_student:
        other = first.setdefault(file.topic, file)
        if file.topic and file.fingerprint != other.fingerprint and file.child != other.child:
            return other, file
    return None


def _submissions(of_student):
    """A student's submissions: for each exercise the newest notebook, and one more if something cannot be graded."""
    by_topic = {}
    for file in of_student:
        if file.topic:
            by_topic.setdefault(file.topic, []).append(file)
    found = [_newest(versions) for versions in by_topic.values()]
    broken = [file for file in of_student if file.notebook and file.problem not in ("", NO_EXERCISE)]
    others = [file for file in of_student if file.problem == NO_EXERCISE]
    if broken or not found:
        found.append(_ungraded(broken or others or of_student))
    elif others:
        found[0].notes.append(f"None of the exercises: {_listed(file.path for file in others)}.")
    return found


def _newest(versions):
    """What is to be graded of a student's notebooks of one exercise. Of equal ones, one is enough."""
    ordered = sorted(versions, key=lambda file: (file.age, file.path))
    *older, newest = sorted({file.fingerprint: file for file in ordered}.values(), key=lambda file: file.age)
    if not older:
        return _submission(newest, newest.topic, newest.cells, newest.notes)
    folders = {}
    if not newest.whose.platform:
        _refuse_namesakes([*older, newest])
        folders = {file.child: file for file in (*older, newest) if file.is_deeper}
    if len(folders) > 1:
        which = f"{_listed(file.path for file in folders.values())} may be of several students"
    elif older[-1].age == newest.age:
        which = f"{_listed(file.path for file in (older[-1], newest))} have the same date"
    else:
        were = "is older, and was" if len(older) == 1 else "are older, and were"
        note = f"{_listed(file.path for file in older)} {were} not graded."
        return _submission(newest, newest.topic, newest.cells, [*newest.notes, note])
    return _submission(newest, notes=[f"{which}, and differ: none of them was graded; keep one."])


def _refuse_namesakes(versions):
    """Refuse different notebooks of one exercise whose own names, and not that of a folder, say that they are one's."""
    if len({file.whose.place for file in versions}) > 1 or not versions[0].whose.place:
        which = _listed(file.path for file in versions)
        raise SubmissionsError(f"{which} may be of one student or of several; rename or remove all but one.")


def _ungraded(of_student):
    """A submission of files that cannot be graded, which says why."""
    first, *more = sorted(of_student, key=lambda file: file.path)
    problems = [file for file in (first, *more) if file.problem]
    notes = [file.problem if not more else f"{file.path}: {file.problem}" for file in problems[:FEW]]
    if not any(file.notebook for file in of_student):
        notes.append(f"There is no notebook, but {_listed(file.parts[-1] for file in of_student)}.")
    return _submission(first, notes=notes)


def _submission(file, topic="", cells=(), notes=()):
    student, identifier, platform, _, attachment, late = file.whose
    fingerprint = file.fingerprint if topic else ""
    found = Submission(student, identifier, file.path, topic, list(cells), fingerprint, list(notes), late)
    found.platform, found.attachment = platform, attachment
    return found


def _listed(names):
    names = sorted(names)
    more = f" and {len(names) - FEW:,} more" if len(names) > FEW else ""
    return ", ".join(names[:FEW]) + more


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
        if cell["cell_type"] == "code" and not set(left_out) & _tags(cell)
    ]


def _tags(cell):
    """The tags of a cell; where there is no list of them, none."""
    tags = (cell.get("metadata") or {}).get("tags")
    return {tag for tag in tags if isinstance(tag, str)} if isinstance(tags, list) else set()


def _source(cell):
    source = cell["source"] or ""
    text = "".join(source) if isinstance(source, list) else source
    if not isinstance(text, str):
        raise TypeError
    return text.encode("utf-8", "replace").decode()  # half a character has no place in a program
