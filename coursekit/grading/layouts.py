"""Whose a file is: the layouts of Moodle, Canvas, Gradescope and nbgrader, and of a person's own folder.

All paths together decide on the layout, and never a single one. A platform's part of a name comes from the platform;
what a student may name, a file or what is below it, comes later in the path, or in the name, and is not looked at.
"""

import itertools
import re
from collections import Counter
from pathlib import PurePath
from typing import NamedTuple

from coursekit import exercises
from coursekit.grading.files import NOTEBOOK, SubmissionsError, is_zip, normal

# What Moodle writes ends a folder's name, and in a file's comes first; it leaves no underscore in a student's name.
MOODLE_FOLDER = re.compile(r"(?P<student>.*?)(_(?P<identifier>\d{1,20}))?_assignsubmission_[a-z]+_?", re.DOTALL)
MOODLE_FILE = re.compile(r"(?P<student>[^_]*)(_(?P<identifier>\d{1,20}))?_assignsubmission_[a-z]+_.*", re.DOTALL)
# As Canvas reads them itself: the first number is the student's, the second the file's.
CANVAS = re.compile(
    r"(?P<student>[^\s.-]+?)(?P<late>_LATE)?_(?P<identifier>\d{1,20})_(?:(?P<attachment>\d{1,20})_.+|(?:text|link)\.html)",
    re.DOTALL,
)
CANVAS_ANONYMOUS = re.compile(
    r"(?P<late>LATE_)?(?P<student>anon_[A-Za-z0-9]{5})_(?P<attachment>\d{1,20})_.+", re.DOTALL
)
GRADESCOPE = re.compile(r"submission_\d+")
METADATA = "submission_metadata.yml"
NBGRADER = {"source", "release", "autograded", "feedback"}
# What stands in a file's name beside the student's: the exercise's, and what browsers and Colab make of a second copy.
EXERCISE = re.compile(rf"\d\d[-_ ](?:{'|'.join(exercises.TOPICS)})s?(?:[-_ ]learning)?", re.IGNORECASE)
COPY = re.compile(r"^(Copy of|Kopie von|Copie de|Copia de) |( ?\(\d+\)|[- ]+Copy ?\d*)$", re.IGNORECASE)
DOCUMENTS = {".pdf", ".py", ".html", ".zip", ".docx", ".odt", ".rtf", ".rar", ".7z", ".gz", ".tar", ".tgz"}


class Whose(NamedTuple):
    """Whose a file is.

    student: str. identifier: the number that Moodle or Canvas knows the student by, or an empty text. platform: str,
    empty for a folder of one's own. place: tuple, the beginning of the path that says so; that of a platform begins
    with the folder that was given. attachment: Canvas's number of the file, the greater the newer, or 0. late: Canvas
    says so.
    """

    student: str
    identifier: str
    platform: str
    place: tuple
    attachment: int = 0
    late: bool = False


def whose(files, root, metadata=()):
    """Return for each file whose it is, or None where it is nobody's, such as a table of grades beside the students.

    files: list of objects with ``parts`` and ``notebook``. root: str, the name of the folder or zip file. metadata:
    pairs of the parts of each file in which Gradescope may say who is who, and of a function that reads it.
    Raises SubmissionsError.
    """
    platforms = [[of((root, *file.parts)) for file in files] for of in (_moodle, _canvas, _gradescope)]
    found = max(platforms, key=lambda found: _share(found, files))
    if _share(found, files) < 1 / 2:
        found = _own(files, root)
    _refuse_strays(found, files)
    _refuse_shared(found)
    return _with_names(found, [((root, *parts), read) for parts, read in metadata])


def _share(found, files):
    """The share of the entries that a platform has named. A student has one entry, however much is in it."""
    depth, entries = len(_around(files)), {}
    is_named = {id(file): one is not None for one, file in zip(found, files, strict=True)}
    for file in _telling(files):
        entries.setdefault(file.parts[: depth + 1], []).append(is_named[id(file)])
    return sum(map(all, entries.values())) / max(len(entries), 1)


def _telling(files):
    """The files whose names say what layout it is: notebooks, or else what is in folders, or else all."""
    return [file for file in files if file.notebook] or [file for file in files if len(file.parts) > 1] or files


def _around(files):
    """The folders that everything lies in, but for files that lie in these themselves and are no notebooks."""
    around = ()
    while True:
        depth = len(around)
        inside = [file for file in files if file.notebook or len(file.parts) > depth + 1]
        entries = {file.parts[: depth + 1] for file in inside if file.parts[:depth] == around}
        if len(entries) != 1 or any(file.parts in entries for file in inside):
            return around
        (around,) = entries


def _common(folders):
    """The names that all of several tuples begin with."""
    shared = itertools.takewhile(lambda names: len(set(names)) == 1, zip(*folders, strict=False))
    return tuple(name for name, *_ in shared)


def _moodle(parts):
    for depth, part in enumerate(parts):
        of_file = depth == len(parts) - 1 or is_zip(part)
        match = (MOODLE_FILE if of_file else MOODLE_FOLDER).fullmatch(part)
        if match:
            identifier = match["identifier"] or ""
            return Whose(match["student"] or identifier, identifier, "Moodle", parts[: depth + 1])
    return None


def _canvas(parts):
    for depth, part in enumerate(parts):
        if depth < len(parts) - 1 and not is_zip(part):
            continue  # Canvas makes no folders
        match = CANVAS_ANONYMOUS.fullmatch(part) or CANVAS.fullmatch(part)
        if match:
            found = {"identifier": ""} | match.groupdict()
            attachment, late = int(found["attachment"] or 0), bool(found["late"])
            return Whose(found["student"], found["identifier"], "Canvas", parts[: depth + 1], attachment, late)
    return None


def _gradescope(parts):
    for depth, part in enumerate(parts[:-1]):
        if GRADESCOPE.fullmatch(part):
            return Whose(part, "", "Gradescope", parts[: depth + 1])
    return None


def _own(files, root):
    """In a folder of one's own, the names of students' folders, or of files, are the students'."""
    around = _around(files)
    paths = [file.parts for file in files if file.notebook or _is_document(file.parts, len(around) + 1)]
    depth = _depth(paths or [file.parts for file in _telling(files)], around, root)
    if depth is None:
        return [Whose(root, "", "", ()) for _ in files]
    found = []
    for file in files:
        is_inside = len(file.parts) > depth + 1 or file.notebook or _is_document(file.parts, depth)
        student = named(file.parts, depth) if is_inside and file.parts[:depth] == around[:depth] else ""
        found.append(Whose(student, "", "", file.parts[: depth + 1]) if student else None)
    _refuse_similar({one.student for one in found if one})
    return found


def _depth(paths, around, root):
    """How many folders lie around those, or the files, that are named for students; None if all are one student's.

    paths: of notebooks, and of documents in folders. around: the folders that everything lies in. root: the name of
    the folder that was given.
    """
    given = (root, *around)
    if "submitted" in given:  # nbgrader's submitted/STUDENT/ASSIGNMENT/
        return given.index("submitted")
    depth = len(around)
    entries = {path[depth] for path in paths}
    if "submitted" in entries and entries & NBGRADER:
        raise SubmissionsError(
            f"{'/'.join(given)} is the folder of an nbgrader course; name the folder submitted in it."
        )
    names = {named(path, depth) for path in paths}
    if len(names - {""}) > 1:
        if around and len({len(path) == depth + 1 for path in paths}) > 1:
            raise SubmissionsError(
                f"Folders and notebooks lie side by side in {'/'.join(around)}, so it may be a class or a student; "
                "put every student's notebooks into a folder of their own."
            )
        return depth
    home = _common([path[:-1] for path in paths])
    if len(home) > 1:
        raise SubmissionsError(
            f"All notebooks lie in {'/'.join(home)}, and each of these may be a student; "
            "name the folder that the students' folders lie in."
        )
    return 0 if home or names - {""} else None


def named(path, depth):
    """The student that a folder or file on a path is named for, or an empty text if it has the name of an exercise."""
    name = path[depth]
    if len(path) == depth + 1 or is_zip(name):
        name = NOTEBOOK.sub("", name) if NOTEBOOK.search(name) else PurePath(name).stem
        name = COPY.sub("", COPY.sub("", name))
    before, *after = (part.strip("-_. ") for part in EXERCISE.split(name, 1))
    return before or after[0] if after else name


def _is_document(parts, depth):
    """Whether a file in that many folders or more may be what a student took for an answer."""
    return len(parts) > depth and PurePath(parts[-1]).suffix.lower() in DOCUMENTS


def _refuse_strays(found, files):
    """Every notebook is somebody's: what lies beside a platform's files may be a student's who sent it otherwise."""
    platform = any(one.platform for one in found if one)
    for one, file in zip(found, files, strict=True):
        if file.notebook and one is None:
            raise SubmissionsError(
                f"{'/'.join(file.parts)} is not named for its student, as others are; put it into a folder with the "
                f"student's name{', and grade that by itself' if platform else ''}."
            )


def _refuse_shared(found):
    """A platform has one name for a number, and a download of Moodle has numbers of its own."""
    names, downloads = {}, set()
    for one in filter(None, found):
        if one.identifier and names.setdefault(one.identifier, one.student) != one.student:
            raise SubmissionsError(
                f"{one.platform}'s number {one.identifier} stands for {names[one.identifier]} and for {one.student}; "
                "grade one download at a time, and nothing that is not from there."
            )
        if one.platform == "Moodle":
            downloads.add(one.place[:-1])
    if len(downloads) > 1:
        first, second, *_ = sorted(map("/".join, downloads))
        raise SubmissionsError(f"{first} and {second} are two downloads from Moodle; grade one at a time.")


def _refuse_similar(names):
    """Two spellings of one name may be two students or one."""
    known = {}
    for name in sorted(names):
        other = known.setdefault(name.casefold(), name)
        if other != name:
            raise SubmissionsError(f"{other} and {name} may be one student or two; rename one of them.")


def _with_names(found, metadata):
    """The same, with the names that Gradescope gives to its numbers, which two students of one name keep."""
    exports = {one.place[:-1] for one in found if one and one.platform == "Gradescope"}
    names = {}
    for parts, read in metadata:
        if parts[:-1] in exports:  # and not in what a student has handed in
            names |= _submitters(read)
    # A name is its owner's choice: one that has such a number in it might be another's.
    shared = {name for name, times in Counter(names.values()).items() if times > 1 or GRADESCOPE.search(name)}
    full = {number: f"{name} ({number})" if name in shared else name for number, name in names.items()}
    return [one and one._replace(student=full.get(one.student, one.student)) for one in found]


def _submitters(read):
    """Names by number of submission; none where PyYAML, which Jupyter Book brings, is missing, or the file is odd."""
    try:
        import yaml

        entries = yaml.load(read(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        return {
            number: ", ".join(normal(submitter[":name"]) for submitter in entry[":submitters"])
            for number, entry in entries.items()
        }
    except Exception:  # whatever an odd file makes the library raise
        return {}
