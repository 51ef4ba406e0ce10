"""The state of a class: every grade as it came, one JSON line each, so that no later run loses it."""

import dataclasses
import json
import os
import secrets

from coursekit.grading import reports
from coursekit.grading.submissions import Submission

SEED_BITS = 128  # so many that nobody can find the seed by trying


@dataclasses.dataclass
class Entry:
    """One submission, what it got, or None, and the versions of the questions that it was graded with."""

    submission: Submission
    grade: dict | None = None
    versions: dict = dataclasses.field(default_factory=dict)

    @property
    def owner(self):
        """Whose it is: two submissions of one student for one exercise are one entry."""
        return self.submission.student, self.submission.identifier, self.submission.topic


class Progress:
    """Entries by their owner, kept in a file whose first line has the seed. Each later line takes the place of an
    earlier one with the same owner.

    present: pairs of student and identifier who have files in this run; what an earlier one noted of files that were no
    exercise is forgotten. Raises ValueError where the file has grades and is not to be resumed, or was begun with
    another seed.
    """

    def __init__(self, path, seed, resume, present=frozenset()):
        self.path, self.entries = path, {}
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        if len(lines) > 1 and not resume:
            raise ValueError(f"{path} has grades of an earlier run; go on with --resume, or name another --out.")
        if lines and resume:
            try:
                self._read(lines, present)
            except (KeyError, TypeError, ValueError):
                raise ValueError(f"{path} was not written by this version of the grader; name another --out.") from None
            if seed not in (None, self.seed):
                raise ValueError(f"{path.name} was begun with seed {self.seed:x}; leave --seed out, or --resume.")
        else:
            self.seed = secrets.randbits(SEED_BITS) | 1 << SEED_BITS - 1 if seed is None else seed
        path.parent.mkdir(parents=True, exist_ok=True)
        first = json.dumps({"seed": f"{self.seed:x}"})
        reports.write(path, "".join(f"{line}\n" for line in [first, *map(_line, self.entries.values())]))
        os.chmod(path, 0o600)

    def _read(self, lines, present):
        self.seed = int(json.loads(lines[0])["seed"], 16)
        for line in lines[1:]:
            try:
                kept = json.loads(line)
            except ValueError:  # the line in which the last run was interrupted
                continue
            entry = Entry(Submission(**kept["submission"]), kept["grade"], kept["versions"])
            if entry.submission.topic or entry.owner[:2] not in present:
                self.entries[entry.owner] = entry

    def add(self, entry):
        """Keep an entry, in the file, too."""
        self.entries[entry.owner] = entry
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(f"{_line(entry)}\n")

    def sorted(self):
        """The entries in the order of the tables."""
        return sorted(self.entries.values(), key=lambda entry: (entry.owner[0].casefold(), *entry.owner[1:]))


def _line(entry):
    submission = dataclasses.asdict(entry.submission) | {"cells": []}
    return json.dumps({"submission": submission, "grade": entry.grade, "versions": entry.versions})
