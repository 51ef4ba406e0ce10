"""The files that were handed in: in a folder or a zip file, and in the zip files among them, which students make.

Nothing is unpacked, and whatever a file says of its size, no more of it is read than a notebook may have.
"""

import functools
import io
import os
import re
import stat
import time
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

LARGEST = 256 * 2**20  # bytes of a file, and of all that is read of a zip file inside
MOST_FILES = 10_000  # in a zip file inside
LONGEST_PATH, LONGEST_NAME = 4096, 255  # which no file system allows to be longer
EMPTY = "an empty folder"
NOTEBOOK = re.compile(r"\.ipynb(\.(json|txt|text|download))?$", re.IGNORECASE)  # Safari and others add an ending
# Ends of lines and the like, and what turns the direction of all that follows.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
OF_ENTRY = b"PK\x01\x02"  # what each entry of an archive's table of contents begins with
JUNK = re.compile(
    r"\.|~\$|__MACOSX$|(Thumbs\.db|ehthumbs\.db|desktop\.ini)$|.*-checkpoint\.ipynb$", re.IGNORECASE | re.DOTALL
)


class SubmissionsError(Exception):
    """What was given cannot be read as submissions; the sentence says what to do."""


class TooLarge(Exception):
    """There is more of a file than may be read; the sentence says so."""


@dataclass(frozen=True)
class File:
    """A file that was handed in.

    parts: tuple of str, the names of the folders and zip files that it is in, and its own. date: tuple of int, year to
    second, as exact as a zip file is. read: function that returns its bytes or raises whatever a damaged file makes it
    raise, TooLarge among it; to be called before the next file is asked for. note: a sentence on why it was not looked
    into, or empty.
    """

    parts: tuple
    date: tuple
    read: Callable
    note: str = ""


def walk(root):
    """Yield the files in a folder or a zip file, and in the zip files among them, but not in those inside again.

    What tools and systems leave beside files is left out. Raises SubmissionsError for a zip file that is none.
    """
    for file in _in_folder(root) if root.is_dir() else _in_zip(_archive(root)):
        if is_zip(file.parts[-1]):
            yield from _opened(file)
        else:
            yield file


def _archive(path):
    try:
        return zipfile.ZipFile(path)
    except OSError:
        raise
    except Exception:  # whatever its bytes make the library raise
        raise SubmissionsError(f"{path} cannot be opened as a zip file; download it again.") from None


def is_zip(name):
    return name.lower().endswith(".zip")


def _opened(file):
    """A zip file and the files in it, or only itself, with a note, where it cannot be opened."""
    name = file.parts[-1]
    try:
        content = file.read()
        if content.count(OF_ENTRY) > MOST_FILES:  # before each costs memory
            raise TooLarge(f"{name} has more than {MOST_FILES:,} files.")
        inside = list(_in_zip(zipfile.ZipFile(io.BytesIO(content)), _Budget()))
    except TooLarge as error:
        yield replace(file, note=str(error))
    except Exception:  # whatever a student's bytes make the library raise
        yield replace(file, note=f"{name} cannot be opened as a zip file.")
    else:
        yield file
        for one in inside:
            again = f"{one.parts[-1]} is a zip file in a zip file, and was not opened." if is_zip(one.parts[-1]) else ""
            yield replace(one, parts=file.parts + one.parts, note=again)


def _in_folder(root):
    paths, folders = [], []
    for folder, inside, names in os.walk(root):  # which does not follow links to folders
        paths += [Path(folder, name).relative_to(root) for name in names]
        folders += [Path(folder, name).relative_to(root) for name in inside]
    separator = _separator([str(path) for path in paths])
    files = []
    for path in paths:
        found, parts = (root / path).lstat(), _parts(str(path), separator)
        if parts and stat.S_ISREG(found.st_mode):  # a link might lead out of the submissions, a pipe never end
            files.append(File(parts, _date(found.st_mtime), functools.partial(_read, root / path, found.st_size)))
    return files + _empty([_parts(str(path), separator) for path in folders if not (root / path).is_symlink()], files)


def _read(path, size):
    _limit(size)
    with open(path, "rb") as file:
        return file.read(size)


def _limit(size):
    if size > LARGEST:
        raise TooLarge(f"The file has {size:,} bytes, and at most {LARGEST:,} are read; clear its outputs.")


def _date(seconds):
    """A file's date as a zip file has it: no earlier than 1980, and in steps of two seconds."""
    year, month, day, hour, minute, second, *_ = time.localtime(seconds)
    return max((1980, 1, 1, 0, 0, 0), (year, month, day, hour, minute, second // 2 * 2))


class _Budget:
    """What may still be read of a zip file inside: all its files together may be as large as one."""

    def __init__(self):
        self.left = LARGEST

    def take(self, size):
        self.left -= size
        if self.left < 0:
            raise TooLarge(f"The zip file has more than {LARGEST:,} bytes in it; clear the outputs of its notebooks.")


def _in_zip(archive, budget=None):
    names = {info: _name(info) for info in archive.infolist()}
    separator = _separator(names.values())
    files, folders = [], []
    for info, name in names.items():
        parts = _parts(name, separator)
        if name.endswith(separator):
            folders.append(parts)
        elif parts and not stat.S_ISLNK(info.external_attr >> 16):  # as in a folder, no links
            files.append(File(parts, info.date_time, functools.partial(_read_member, archive, info, budget)))
    return files + _empty(folders, files)


def _empty(folders, files):
    """In place of the files that a folder has not: it may be a student's, who is not to be missing in the tables."""
    filled = {file.parts[:depth] for file in files for depth in range(len(file.parts))}
    empty = {parts for parts in folders if parts} - filled
    around = {parts[:depth] for parts in empty for depth in range(len(parts))}
    return [File((*parts, EMPTY), (1980, 1, 1, 0, 0, 0), bytes) for parts in sorted(empty - around)]


def _name(info):
    """The name of a zip file's entry. macOS writes UTF-8 and does not say so."""
    if not info.flag_bits & 0x800:
        try:
            return info.filename.encode("cp437").decode("utf-8")
        except UnicodeError:
            pass
    return info.filename


def _read_member(archive, info, budget):
    _limit(info.file_size)
    if budget:
        budget.take(info.file_size)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise zipfile.BadZipFile("Python reads other kinds at once, however large they become.")
    with archive.open(info) as file:
        return file.read(info.file_size)  # and fails if there is more


def _separator(names):
    """What stands between folders: a backslash, as some tools of Windows write, only where hardly any name has none."""
    return "\\" if 2 * sum("\\" in name for name in names) > len(names) and "/" not in "".join(names) else "/"


def _parts(name, separator):
    """The names on a path; none of what no file of a student's is called. They only name a file: none is followed."""
    if len(name) > LONGEST_PATH:
        return ()
    parts = [part for part in name.split(separator) if part not in ("", ".", "..")]
    return () if any(map(JUNK.match, parts)) else tuple(map(normal, parts))


def normal(name):
    """A name as text of one line: one for the two ways to write an umlaut, and with escapes for what is no text."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", _escaped(text))[:LONGEST_NAME]


def readable(text):
    """A text of several lines, with escapes for what no table takes, or what turns the direction of the rest."""
    text = text.encode("utf-8", "backslashreplace").decode()  # half a character is none
    return "\n".join(map(_escaped, text.splitlines()))


def _escaped(text):
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)
