"""Finding submissions: the layouts of people, Moodle and Canvas, and files that are not what they say."""

import json
import os
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coursekit.grading import submissions

NOTEBOOK = json.dumps(
    {
        "cells": [
            {"cell_type": "markdown", "source": "text", "metadata": {}},
            {"cell_type": "code", "source": ["def lrn(x):\n", "    pass"], "metadata": {}},
            {"cell_type": "code", "source": "slow()", "metadata": {"tags": ["not-graded"]}},
            {"cell_type": "code", "source": 'check("lrn", lrn)'},
        ],
        "nbformat": 4,
    }
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "in"


def put(folder, path, content=NOTEBOOK, age=0):
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.utime(target, (1e9 - age, 1e9 - age))


def found(path):
    return [(one.student, one.identifier, one.topic, one.late) for one in submissions.find(path)]


LAYOUTS = {
    "alice/02-normalization.ipynb": ("alice", "", "normalization", False),
    "alice/deeper/any name.ipynb": ("alice", "", "normalization", False),
    "alice.ipynb": ("alice", "", "normalization", False),
    "alice_02-normalization.ipynb": ("alice", "", "normalization", False),
    "02-normalization.ipynb": ("02-normalization", "", "normalization", False),
    "Ada Lovelace_77_assignsubmission_file_/x.ipynb": ("Ada Lovelace", "77", "normalization", False),
    "Exercise/Ada Lovelace_77_assignsubmission_file_/x.ipynb": ("Ada Lovelace", "77", "normalization", False),
    "Ada Lovelace_77_assignsubmission_file_x.ipynb": ("Ada Lovelace", "77", "normalization", False),
    "alice-02-normalization (1).ipynb": ("alice", "", "normalization", False),
    "lovelaceada_123_456_02-normalization-1.ipynb": ("lovelaceada", "123", "normalization", False),
    "lovelaceada_LATE_123_456_02-normalization.ipynb": ("lovelaceada", "123", "normalization", True),
}


@pytest.mark.parametrize(("path", "owner"), LAYOUTS.items())
def test_a_layout_names_the_student(folder, path, owner):
    put(folder, path)
    assert found(folder) == [owner]


@pytest.mark.parametrize(("path", "owner"), LAYOUTS.items())
def test_a_zip_file_is_a_folder(folder, tmp_path, path, owner):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr(path, NOTEBOOK)
    assert found(tmp_path / "all.zip") == [owner]


@pytest.mark.parametrize(
    "paths",
    [
        ["class/alice/02-normalization.ipynb", "class/bob/02-normalization.ipynb", "__MACOSX/class/x.ipynb"],
        ["class/alice.ipynb", "class/bob-02-normalization.ipynb"],
        ["alice/x.ipynb", "bob/x.ipynb"],
        ["alice.ipynb", "bob/x.ipynb"],
        ["class/alice.ipynb", "class/bob.ipynb", ".."],
    ],
)
def test_a_folder_that_was_zipped_as_a_whole_is_no_student(tmp_path, paths):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in paths:
            archive.writestr(path, NOTEBOOK)
    assert [student for student, *_ in found(tmp_path / "all.zip")] == ["alice", "bob"]


def test_a_damaged_member_of_a_zip_costs_only_itself(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("alice.ipynb", NOTEBOOK)
        archive.writestr("mallory.ipynb", NOTEBOOK)
        place = archive.getinfo("mallory.ipynb").header_offset
    whole = (tmp_path / "all.zip").read_bytes()
    (tmp_path / "all.zip").write_bytes(whole[: place + 60] + b"\xff" * 20 + whole[place + 80 :])
    good, bad = submissions.find(tmp_path / "all.zip")
    assert good.topic == "normalization" and bad.notes == ["The file cannot be read as a notebook."]


def test_code_is_run_but_for_what_is_not_graded(folder):
    put(folder, "alice.ipynb")
    (one,) = submissions.find(folder)
    assert one.cells == [[2, "def lrn(x):\n    pass"], [4, 'check("lrn", lrn)']]
    assert one.notes == []


def test_of_several_files_the_newest_counts(folder):
    put(folder, "alice/first.ipynb", age=100)
    put(folder, "alice/second.ipynb", NOTEBOOK.replace("pass", "return x"), age=50)
    (one,) = submissions.find(folder)
    assert one.file == "alice/second.ipynb" and "return x" in one.cells[0][1]
    assert one.notes == ["alice/first.ipynb is older, and was not graded."]


BROKEN = {
    "is no JSON": b"hello",
    "is empty": b"",
    "is a zip file": b"PK\x03\x04" + bytes(100),
    "is binary": bytes(range(256)),
    "is deep": b"[" * 200_000,
    "is a number": b"5",
    "has no cells": b"{}",
    "has cells that are none": b'{"cells": [1, 2]}',
    "has sources that are none": b'{"cells": [{"cell_type": "code", "source": [1]}]}',
    "has metadata that are none": b'{"cells": [{"cell_type": "code", "source": "x", "metadata": 3}]}',
    "is of the old format": b'{"worksheets": [{"cells": []}], "nbformat": 3}',
    "has a huge number": b'{"cells": ' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_notebook_costs_only_itself(folder, content):
    put(folder, "alice.ipynb")
    put(folder, "mallory.ipynb", content)
    good, bad = submissions.find(folder)
    assert good.topic == "normalization"
    assert (bad.topic, bad.cells) == ("", [])
    assert bad.notes == ["The file cannot be read as a notebook."]


@given(st.binary(max_size=300))
def test_no_content_stops_the_others(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("in")
    put(folder, "mallory.ipynb", content)
    (one,) = submissions.find(folder)
    assert one.notes


def test_a_notebook_of_something_else_is_none_of_the_exercises(folder):
    put(folder, "alice.ipynb", NOTEBOOK.replace("lrn", "another"))
    (one,) = submissions.find(folder)
    assert one.notes == ["The notebook is none of the exercises: it checks no question of theirs."]


def test_a_huge_file_is_not_read(folder):
    put(folder, "alice.ipynb")
    with open(folder / "alice.ipynb", "r+b") as file:
        file.truncate(200 * 2**20)
    (one,) = submissions.find(folder)
    assert one.notes == ["The file has 209,715,200 bytes; a notebook may have 20,971,520. Clear its outputs."]


def test_a_notebook_of_too_many_cells_is_not_run(folder):
    many = json.loads(NOTEBOOK)
    many["cells"] *= 1000
    put(folder, "alice.ipynb", json.dumps(many))
    (one,) = submissions.find(folder)
    assert one.cells == [] and "at most 1,000 are run" in one.notes[0]


def test_a_bomb_in_a_zip_file_is_not_unpacked(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("alice.ipynb", NOTEBOOK)
        archive.writestr("mallory.ipynb", bytes(30 * 2**20))
    good, bad = submissions.find(tmp_path / "all.zip")
    assert good.topic and "may have 20,971,520" in bad.notes[0]


def test_a_zip_file_that_lies_about_a_size_is_read_no_further(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mallory.ipynb", bytes(30 * 2**20))
    content = (tmp_path / "all.zip").read_bytes()
    size = (30 * 2**20).to_bytes(4, "little")
    (tmp_path / "all.zip").write_bytes(content.replace(size, (100).to_bytes(4, "little")))
    (bad,) = submissions.find(tmp_path / "all.zip")
    assert bad.notes == ["The file cannot be read as a notebook."]


def test_a_path_that_climbs_out_reads_and_writes_nothing_there(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("../../mallory/02-normalization.ipynb", NOTEBOOK)
        archive.writestr("/etc/mallory.ipynb", NOTEBOOK)
    before = sorted(tmp_path.rglob("*"))
    assert len(submissions.find(tmp_path / "all.zip")) == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_links_are_not_followed(folder, tmp_path):
    secret = tmp_path / "secret.ipynb"
    secret.write_text(NOTEBOOK)
    put(folder, "alice.ipynb")
    (folder / "mallory.ipynb").symlink_to(secret)
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe.ipynb")
    assert [one.student for one in submissions.find(folder)] == ["alice"]


def test_what_tools_leave_is_ignored(folder):
    put(folder, "alice/x.ipynb")
    put(folder, "alice/.ipynb_checkpoints/x-checkpoint.ipynb")
    put(folder, "__MACOSX/alice/._x.ipynb")
    assert len(submissions.find(folder)) == 1


def test_who_handed_in_something_else_is_listed(folder):
    put(folder, "alice/x.ipynb")
    put(folder, "alice/notes.txt")
    put(folder, "bob/exercise.pdf")
    alice, bob = submissions.find(folder)
    assert alice.notes == []
    assert (bob.student, bob.topic, bob.notes) == ("bob", "", ["There is no notebook, but exercise.pdf."])


@pytest.mark.parametrize("name", ["missing", "file.txt", "empty"])
def test_what_holds_no_submissions_is_refused(tmp_path, name):
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(submissions.SubmissionsError, match=r"neither a folder nor a zip|has no notebooks"):
        submissions.find(tmp_path / name)
