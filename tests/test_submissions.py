"""Finding submissions: who is who in the layouts of people and platforms, and files that are not what they say."""

import dataclasses
import io
import json
import os
import struct
import subprocess
import sys
import textwrap
import tracemalloc
import unicodedata
import zipfile

import nbformat
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit import exercises
from coursekit.grading import reader, reports, submissions
from coursekit.grading.files import LARGEST, MOST_FILES

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
OTHER = NOTEBOOK.replace("pass", "return x")
GAN = NOTEBOOK.replace("lrn", "gan-losses")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "in"


def put(folder, path, content=NOTEBOOK, age=0):
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.utime(target, (1e9 - age, 1e9 - age))


def zipped(folder, path, with_folder=False):
    """A zip file of what a folder holds, or of the folder itself."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent if with_folder else folder))
    return path


def zip_of(files, **options):
    """The bytes of a zip file with files, a dict from name to content."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def found(path):
    return [(one.student, one.identifier, one.topic, one.late) for one in submissions.find(path)]


def students(path):
    return [one.student for one in submissions.find(path)]


def outcome(path):
    """What comes of a folder or zip file, in plain values."""
    try:
        return [dataclasses.asdict(one) for one in submissions.find(path)]
    except submissions.SubmissionsError:
        return "refused"


# One student in each layout, beside another.

LAYOUTS = {
    "alice/02-normalization.ipynb": ("alice", "", "normalization", False),
    "alice/deeper/any name.ipynb": ("alice", "", "normalization", False),
    "alice/ps2/alice-02-normalization.ipynb": ("alice", "", "normalization", False),
    "alice.ipynb": ("alice", "", "normalization", False),
    "alice_02-normalization.ipynb": ("alice", "", "normalization", False),
    "alice-02-normalization (1).ipynb": ("alice", "", "normalization", False),
    "alice-02-normalization-Copy1.ipynb": ("alice", "", "normalization", False),
    "Copy of alice-02-normalization.ipynb": ("alice", "", "normalization", False),
    "02-normalization-alice.ipynb": ("alice", "", "normalization", False),
    "02-normalization alice final.ipynb": ("alice final", "", "normalization", False),
    "alice-02-normalization/x.ipynb": ("alice", "", "normalization", False),
    "Ada Lovelace_77_assignsubmission_file_/x.ipynb": ("Ada Lovelace", "77", "normalization", False),
    "Ada Lovelace_77_assignsubmission_file/deeper/x.ipynb": ("Ada Lovelace", "77", "normalization", False),
    "Exercise/Ada Lovelace_77_assignsubmission_file_/x.ipynb": ("Ada Lovelace", "77", "normalization", False),
    "Ada Lovelace_77_assignsubmission_file_x.ipynb": ("Ada Lovelace", "77", "normalization", False),
    "Default group_assignsubmission_file_/x.ipynb": ("Default group", "", "normalization", False),
    "lovelaceada_123_456_02-normalization-1.ipynb": ("lovelaceada", "123", "normalization", False),
    "lovelaceada_LATE_123_456_02-normalization.ipynb": ("lovelaceada", "123", "normalization", True),
    "lovelaceada_123_456_02_normalization.ipynb": ("lovelaceada", "123", "normalization", False),
    "downloads/lovelaceada_123_456_x.ipynb": ("lovelaceada", "123", "normalization", False),
    "LATE_anon_a1B2c_456_x.ipynb": ("anon_a1B2c", "", "normalization", True),
    "assignment_1_export/submission_123/x.ipynb": ("submission_123", "", "normalization", False),
    "submission_123/deeper/x.ipynb": ("submission_123", "", "normalization", False),
    "submitted/alice/ps2/x.ipynb": ("alice", "", "normalization", False),
    "Sheet 2/Submissions/Lovelace_Ada_al15_4711/x.ipynb": ("Lovelace_Ada_al15_4711", "", "normalization", False),
}


def another(path):
    """The path of another student's file, in the same layout."""
    for ours, theirs in {
        "alice": "bob",
        "Ada Lovelace_77": "Bob_78",
        "lovelaceada": "bob",
        "_123": "_124",
        "anon_a1B2c": "anon_bbbbb",
        "Default": "Other",
        "Lovelace_Ada_al15_4711": "Bob_B_bb_4712",
    }.items():
        path = path.replace(ours, theirs)
    return path


@pytest.mark.parametrize(("path", "owner"), LAYOUTS.items())
def test_a_layout_names_the_students_in_a_folder_and_in_a_zip_file(folder, tmp_path, path, owner):
    put(folder, path)
    put(folder, another(path), OTHER)
    assert owner in found(folder) and len(found(folder)) == 2
    for with_folder in (False, True):
        assert outcome(zipped(folder, tmp_path / "in.zip", with_folder)) == outcome(folder)


@pytest.mark.parametrize("path", LAYOUTS)
def test_one_student_alone_is_the_same_or_nobody(folder, path):
    put(folder, path)
    assert outcome(folder) == "refused" or found(folder) == [LAYOUTS[path]]
    assert outcome(folder) != "refused" or path.startswith(("alice/deeper/", "alice/ps2/", "Sheet 2/"))


@pytest.mark.parametrize(
    "paths",
    [
        ["class/alice/02-normalization.ipynb", "class/bob/02-normalization.ipynb", "__MACOSX/class/x.ipynb"],
        ["class/alice.ipynb", "class/bob-02-normalization.ipynb"],
        ["2026/class/alice/x.ipynb", "2026/class/bob/deeper/x.ipynb", "2026/notes.txt"],
        ["2026/class/alice/x.ipynb", "2026/class/bob/x.pdf", "2026/class/grades.csv", "2026/sheet.pdf"],
        ["alice/x.ipynb", "bob/x.ipynb"],
        ["alice.ipynb", "bob/x.ipynb"],
        ["class/alice.ipynb", "class/bob.ipynb", "../x.txt"],
        ["02-normalization/alice.ipynb", "02-normalization/bob.ipynb"],
        ["02-normalization/alice/x.ipynb", "02-normalization/bob/x.ipynb"],
        ["submitted/alice/ps1/x.ipynb", "submitted/bob/ps1/x.ipynb", "submitted/alice/ps1/timestamp.txt"],
        ["class\\alice\\x.ipynb", "class\\bob\\x.ipynb"],
        ["alice.zip/x.ipynb", "bob-02-normalization.zip/deeper/y.ipynb"],
    ],
)
@pytest.mark.parametrize("root", ["in", "class"])
def test_folders_around_students_are_no_students(tmp_path, paths, root):
    (tmp_path / f"{root}.zip").write_bytes(zip_of({path: NOTEBOOK for path in paths}))
    assert students(tmp_path / f"{root}.zip") == ["alice", "bob"]


@pytest.mark.parametrize("name", ["alice", "Ada Lovelace"])
@pytest.mark.parametrize(
    "paths", [["02-normalization.ipynb"], ["02-normalization.ipynb", "03-gans (1).ipynb", "a.txt"]]
)
def test_the_folder_of_one_student_has_its_name(tmp_path, name, paths):
    for path, content in zip(paths, (NOTEBOOK, GAN, "text"), strict=False):
        put(tmp_path / name, path, content)
    assert set(students(tmp_path / name)) == {name}
    for with_folder in (False, True):
        assert outcome(zipped(tmp_path / name, tmp_path / f"{name}.zip", with_folder)) == outcome(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "owner"),
    [("Ada_77_assignsubmission_file_", ("Ada", "77")), ("submission_77", ("submission_77", ""))],
)
def test_the_folder_of_a_platforms_one_student_has_its_number(tmp_path, name, owner):
    put(tmp_path / name, "x.ipynb")
    put(tmp_path / name, "Bob_78_assignsubmission_file_/submission_78/x.ipynb")
    assert [(student, identifier) for student, identifier, *_ in found(tmp_path / name)] == [owner]


AMBIGUOUS = {
    "the level of groups": ["group1/alice/x", "group1/bob/x", "group2/cy/x", "group2/di/x", "group3/ed/x"],
    "groups of files": ["group1/alice", "group1/bob", "group2/cy", "group2/di"],
    "exercises of students": ["02-normalization/alice", "02-normalization/bob", "03-gans/alice"],
    "a course of nbgrader": ["source/ps1/x", "submitted/alice/ps1/x", "submitted/bob/ps1/x"],
    "a way to one notebook": ["class/alice/x"],
    "a folder within a folder": ["class/alice", "class/bob/x"],
    "a file without a student": ["alice", "bob", "02-normalization"],
    "a file without a student beside folders": ["alice/x", "02-normalization"],
    "a file and its copy": ["alice-02-normalization", "alice-02-normalization (1)", "bob"],
    "a file and Colab's copy": ["alice-02-normalization", "Copy of alice-02-normalization", "bob"],
    "a file and a folder": ["alice-02-normalization", "alice/x", "bob/x"],
    "two downloads": ["02-normalization", "02-normalization (1)"],
    "spellings of one name": ["alice/x", "Alice/x", "bob/x"],
    "something beside Moodle's": ["Ada_77_assignsubmission_file_/x", "Bob_78_assignsubmission_file_/x", "cy"],
    "something beside Canvas's": ["ada_1_2_x", "bob_3_4_x", "cy-02-normalization"],
    "something beside Gradescope's": ["submission_1/x", "submission_2/x", "cy/x"],
    "two of Moodle's downloads": ["ps1/Ada_77_assignsubmission_file_/x", "ps2/Ada_78_assignsubmission_file_/x"],
    "one number of two": ["ada_2026_1_x", "bob_2026_1_x"],
}


@pytest.mark.parametrize("paths", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_cannot_be_told_is_refused_in_a_sentence(folder, tmp_path, paths):
    for number, path in enumerate(paths):
        put(folder, f"{path}.ipynb", NOTEBOOK.replace("pass", f"return {number}"))
    with pytest.raises(submissions.SubmissionsError, match=r"^[^\n]*; [^\n]+\.$"):
        submissions.find(folder)
    for with_folder in (False, True):
        assert outcome(zipped(folder, tmp_path / "in.zip", with_folder)) == "refused"


def test_equal_files_are_no_conflict(folder):
    put(folder, "alice-02-normalization.ipynb")
    put(folder, "alice-02-normalization (1).ipynb", age=100)
    put(folder, "bob/v1/x.ipynb")
    put(folder, "bob/v2/x.ipynb")
    alice, bob = submissions.find(folder)
    assert alice.file == "alice-02-normalization.ipynb"
    assert alice.topic == bob.topic == "normalization" and alice.notes == bob.notes == []


def test_gradescope_says_who_is_who(folder, tmp_path):
    names = {"submission_1": "Ada Lovelace", "submission_2": "Bob", "submission_3": "Bob", "submission_4": None}
    said = "".join(
        f'{number}:\n  :submitters:\n  - :name: "{name}"\n    :sid: "7"\n  :created_at: 2026-01-01 00:00:00.0 Z\n'
        for number, name in names.items()
        if name
    )
    put(folder, "assignment_9_export/submission_metadata.yml", said)
    for number in names:
        put(folder, f"assignment_9_export/{number}/x.ipynb")
    mine = said.replace("Ada Lovelace", "Mallory")
    put(folder, "assignment_9_export/submission_4/submission_metadata.yml", mine)
    put(folder, "assignment_9_export/submission_4/x.zip", zip_of({"submission_metadata.yml": mine}))
    expected = ["Ada Lovelace", "Bob (submission_2)", "Bob (submission_3)", "submission_4"]
    assert students(folder) == students(zipped(folder, tmp_path / "any.zip", with_folder=True)) == expected


@pytest.mark.parametrize("said", ["", "- a\n- b", "submission_1: 5", "{", "!!python/object:os.system {}", "\0"])
def test_odd_metadata_leave_the_numbers(folder, said):
    put(folder, "submission_metadata.yml", said)
    put(folder, "submission_1/x.ipynb")
    assert students(folder) == ["submission_1"]


def test_a_group_of_gradescope_is_named_for_all_its_members(folder):
    put(folder, "submission_metadata.yml", "submission_1:\n  :submitters:\n  - :name: Ada\n  - :name: Bob\n")
    put(folder, "submission_1/x.ipynb")
    assert students(folder) == ["Ada, Bob"]


def test_no_name_of_gradescope_makes_two_students_one_or_breaks_a_table(folder):
    names = ["Bob", "Bob", "Bob (submission_1)", "submission_5", "a\0b\u202ec\n"]
    said = {f"submission_{number}": {":submitters": [{":name": name}]} for number, name in enumerate(names, start=1)}
    put(folder, "submission_metadata.yml", json.dumps(said))
    for number in range(1, 7):
        put(folder, f"submission_{number}/x.ipynb", NOTEBOOK.replace("pass", f"return {number}"))
    assert students(folder) == [
        r"a\x00b\u202ec\n",
        "Bob (submission_1)",
        "Bob (submission_1) (submission_3)",
        "Bob (submission_2)",
        "submission_5 (submission_4)",
        "submission_6",
    ]


# Names that a student chooses.

PLATFORMS = {
    "Moodle": ("{name}_{number}_assignsubmission_file_/{file}", True),
    "Moodle, without folders": ("{name}_{number}_assignsubmission_file_{file}", False),
    "Canvas": ("{name}_{number}_9{number}_{file}", False),
    "Gradescope": ("export/submission_{number}/{file}", True),
    "nbgrader": ("submitted/{name}/ps1/{file}", True),
    "ILIAS": ("Sheet/Submissions/{name}_{number}/{file}", True),
    "one's own": ("{name}/{file}", True),
}
HOSTILE = [
    "x_77_assignsubmission_file_x.ipynb",
    "x_77_assignsubmission_file_/x.ipynb",
    "ada_77_977_02-normalization.ipynb",
    "_77_977_x.ipynb",
    "LATE_77_977_x.ipynb",
    "submission_77/x.ipynb",
    "submitted/ada/x.ipynb",
    "../ada/x.ipynb",
    "/etc/x.ipynb",
    "ada-02-normalization (1).ipynb",
    "submission_metadata.yml",
    "<script>alert(1)</script>.ipynb",
    "a\nb\r.ipynb",
    "\u202egnp.ipynb",
    "...",
    "CON.ipynb",
    "x" * 300 + ".ipynb",
    "日" * 80 + ".ipynb",
    "x.ipynb.json",
    "a.zip/b.ipynb",
    "-" * 200 + ".ipynb",
    "=1+1.ipynb",
    ".ipynb",
]
FILES = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=30).map(lambda name: f"{name}.ipynb"),
)
CONTENTS = st.sampled_from([NOTEBOOK, OTHER, GAN, "", "{", '{"cells": []}'])
HANDED_IN = st.dictionaries(FILES, CONTENTS, min_size=1, max_size=4)


@st.composite
def by_mallory(draw):
    """What mallory hands in: files, some of them in a zip file."""
    files = draw(HANDED_IN)
    if draw(st.booleans()):
        name = draw(FILES)
        files[f"{name}.zip"] = zip_of(
            {key.encode("utf-8", "replace").decode(): content for key, content in draw(HANDED_IN).items()}
        )
    return files


CLASS = {"ada": 77, "bob": 78, "cy": 79, "di": 80}


@pytest.mark.parametrize(("pattern", "with_folders"), PLATFORMS.values(), ids=PLATFORMS)
@settings(max_examples=40)  # of each layout
@given(files=by_mallory())
def test_no_name_of_a_file_changes_anybody_elses_grade(tmp_path_factory, pattern, with_folders, files):
    others = {pattern.format(name=name, number=number, file="x.ipynb"): NOTEBOOK for name, number in CLASS.items()}
    files = {file if with_folders else file.replace("/", "_"): content for file, content in files.items()}
    mallorys = {
        pattern.format(name="mallory", number=9, file=file.encode("utf-8", "replace").decode()): content
        for file, content in files.items()
    }
    folder = tmp_path_factory.mktemp("class")
    (folder / "without.zip").write_bytes(zip_of(others))
    (folder / "with.zip").write_bytes(zip_of(mallorys | others))
    without, with_mallory = outcome(folder / "without.zip"), outcome(folder / "with.zip")
    assert len(without) == len(CLASS) and without != "refused"
    assert [one for one in with_mallory if one in without] == without
    own = {(one["student"], one["identifier"]) for one in with_mallory if one not in without}
    assert own <= {("mallory", ""), ("mallory", "9"), ("submission_9", ""), ("mallory_9", "")}


NAMES = st.sampled_from(
    ["alice", "bob", "Zoë", "02-normalization", "x", "x (1)", "submitted", "class", "a_1_2_b", ".x"]
)


@given(
    st.dictionaries(
        st.lists(NAMES | st.text(st.characters(exclude_characters="/\\\0", codec="utf-8"), min_size=1, max_size=8))
        .filter(lambda names: 1 <= len(names) <= 4 and "." not in names and ".." not in names)
        .map(tuple),
        st.tuples(st.sampled_from([".ipynb", ".pdf", ".IPYNB", ".ipynb.txt"]), CONTENTS, st.integers(0, 2)),
        min_size=1,
        max_size=8,
    )
)
def test_a_zip_file_is_the_folder(tmp_path_factory, tree):
    folder = tmp_path_factory.mktemp("class") / "in"
    for names, (suffix, content, age) in tree.items():
        put(folder, "/".join(names) + suffix, content, age)
    expected = outcome(folder)
    assert outcome(zipped(folder, folder.with_suffix(".zip"))) == expected
    assert outcome(zipped(folder, folder.with_suffix(".zip"), with_folder=True)) == expected


@pytest.mark.parametrize(("pattern", "with_folders"), PLATFORMS.values(), ids=PLATFORMS)
@settings(max_examples=40)  # of each layout
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=9).map(
            lambda name: unicodedata.normalize("NFC", name).casefold()
        ),
        st.lists(st.sampled_from(["x.ipynb", "y.ipynb", "02-normalization.ipynb", "z.pdf"]), min_size=1, max_size=3),
        min_size=2,
        max_size=6,
    )
)
def test_no_student_is_lost_or_merged(tmp_path_factory, pattern, with_folders, tree):
    folder = tmp_path_factory.mktemp("class")
    handed_in = {
        pattern.format(name=name, number=number, file=file): NOTEBOOK
        for number, (name, files) in enumerate(tree.items(), start=100)
        for file in files
    }
    (folder / "all.zip").write_bytes(zip_of(handed_in))
    assert len({(one.student, one.identifier) for one in submissions.find(folder / "all.zip")}) == len(tree)


def test_what_lies_beside_students_is_no_student(folder):
    for path in ("alice/x.ipynb", "bob/x.ipynb"):
        put(folder, path)
    for name in ("notes.txt", "grades.csv", ".DS_Store", "Thumbs.db", "desktop.ini", "roster.xlsx", "~$roster.xlsx"):
        put(folder, name, "x")
    put(folder, "__MACOSX/._alice", "x")
    put(folder, ".git/config", "x")
    assert students(folder) == ["alice", "bob"]


@pytest.mark.parametrize(
    ("with_notebook", "without", "owner"),
    [
        ("alice/x.ipynb", "bob/exercise.pdf", ("bob", "")),
        ("alice/x.ipynb", "bob/notes.txt", ("bob", "")),
        ("alice.ipynb", "bob-02-normalization.pdf", ("bob", "")),
        ("Ada_77_assignsubmission_file_/x.ipynb", "Bob_78_assignsubmission_onlinetext_/onlinetext.html", ("Bob", "78")),
        ("ada_77_1_x.ipynb", "bob_78_text.html", ("bob", "78")),
        ("ada_77_1_x.ipynb", "bob_LATE_78_2_x.tar.gz", ("bob", "78")),
        ("submission_1/x.ipynb", "submission_2/x.docx", ("submission_2", "")),
    ],
)
def test_who_handed_in_something_else_is_listed(folder, with_notebook, without, owner):
    put(folder, with_notebook)
    put(folder, without, "x")
    (one,) = [one for one in submissions.find(folder) if (one.student, one.identifier) == owner]
    assert one.topic == "" and one.notes == [f"There is no notebook, but {os.path.basename(without)}."]
    assert len(submissions.find(folder)) == 2


def test_two_students_of_one_name_are_told_apart(folder, tmp_path):
    put(folder, "Ada_77_assignsubmission_file_/x.ipynb")
    put(folder, "Ada_78_assignsubmission_file_/x.ipynb", OTHER)
    found = submissions.find(folder)
    assert [one.who for one in found] == ["Ada (77)", "Ada (78)"]
    grade = {"points": dict.fromkeys(exercises.questions("normalization"), 0), "messages": {}, "notes": []}
    grade["messages"] = dict.fromkeys(grade["points"], "")
    reports.write_all(tmp_path / "g.csv", [(one, grade) for one in found], seed=0)
    assert len(list((tmp_path / "g-feedback").iterdir())) == 2


# What zip files and file systems make of names.


def test_names_of_a_zip_file_from_macos_are_read(tmp_path):
    name = "Müller_77_assignsubmission_file_/x.ipynb"
    content = zip_of({name: NOTEBOOK}).replace(struct.pack("<H", 0x800), struct.pack("<H", 0))
    (tmp_path / "all.zip").write_bytes(content)
    assert students(tmp_path / "all.zip") == ["Müller"]


def test_names_of_a_zip_file_from_an_old_windows_are_read(tmp_path):
    name = "Müller_77_assignsubmission_file_/x.ipynb"
    content = zip_of({name.replace("ü", "__"): NOTEBOOK}).replace(b"M__ller", "Müller".encode("cp437") + b"x")
    (tmp_path / "all.zip").write_bytes(content)
    assert students(tmp_path / "all.zip") == ["Müllerx"]


def test_one_name_in_two_normal_forms_is_one_student(folder):
    for form, file, content in (("NFC", "x.ipynb", NOTEBOOK), ("NFD", "y.ipynb", GAN)):
        put(folder, f"{unicodedata.normalize(form, 'Zoë')}_77_assignsubmission_file_/{file}", content)
    assert [(student, topic) for student, _, topic, _ in found(folder)] == [("Zoë", "gan"), ("Zoë", "normalization")]


def test_names_in_no_encoding_stay_apart(tmp_path):
    for name in (b"M\xfcller", b"M\xe4ller"):
        os.mkdir(os.path.join(os.fsencode(tmp_path), name))
        with open(os.path.join(os.fsencode(tmp_path), name, b"x.ipynb"), "w") as file:
            file.write(NOTEBOOK)
    assert students(tmp_path) == ["M\\xe4ller", "M\\xfcller"]


def test_a_name_is_text_of_one_line(tmp_path):
    (tmp_path / "all.zip").write_bytes(zip_of({"a\nb\u202ec_7_assignsubmission_file_/x\r\n.ipynb": NOTEBOOK}))
    (one,) = submissions.find(tmp_path / "all.zip")
    assert one.student == r"a\nb\u202ec" and one.file == rf"{one.student}_7_assignsubmission_file_/x\r\n.ipynb"


@pytest.mark.parametrize("name", ["x.ipynb.json", "x.ipynb.txt", "x.IPYNB", "x.ipynb.JSON", "x.ipynb.download"])
def test_another_ending_is_graded_with_a_note(folder, name):
    put(folder, f"alice/{name}")
    (one,) = submissions.find(folder)
    assert one.topic == "normalization"
    assert one.notes == [f"The file's name ends in {name[1:]}; it was graded all the same."]


# Several files of one student.


def test_of_several_files_the_newest_counts(folder, tmp_path):
    put(folder, "alice/first.ipynb", age=100)
    put(folder, "alice/second.ipynb", OTHER, age=50)
    put(folder, "bob/x.ipynb")
    put(folder, "cy/x.ipynb")
    for path in (folder, zipped(folder, tmp_path / "in.zip")):
        one, *_ = submissions.find(path)
        assert one.file == "alice/second.ipynb" and "return x" in one.cells[0][1]
        assert one.notes == ["alice/first.ipynb is older, and was not graded."]


def test_of_several_attempts_in_canvas_the_last_file_counts_whatever_its_date(folder):
    put(folder, "ada_77_9_x-1.ipynb", age=0)
    put(folder, "ada_77_10_x.ipynb", OTHER, age=100)
    (one,) = submissions.find(folder)
    assert one.file == "ada_77_10_x.ipynb" and one.notes == ["ada_77_9_x-1.ipynb is older, and was not graded."]


@pytest.mark.parametrize("student", ["alice", "Ada_77_assignsubmission_file_"])
def test_of_different_files_of_one_date_none_is_graded(folder, student):
    put(folder, f"{student}/a.ipynb")
    put(folder, f"{student}/b.ipynb", OTHER)
    put(folder, f"{student}/c.ipynb", GAN)
    put(folder, student.replace("alice", "bob").replace("Ada_77", "Bob_78") + "/x.ipynb")
    put(folder, student.replace("alice", "cy").replace("Ada_77", "Cy_79") + "/x.ipynb")
    first, second, *others = submissions.find(folder)
    assert first.topic == "" and first.notes == [
        f"{student}/a.ipynb, {student}/b.ipynb have the same date, and differ: none of them was graded; keep one."
    ]
    assert second.topic == "gan" and all(one.topic == "normalization" for one in others)


def test_different_files_in_folders_of_ones_folder_are_not_graded(folder):
    put(folder, "alice/old/x.ipynb", age=100)
    put(folder, "alice/new/x.ipynb", OTHER)
    put(folder, "bob/x.ipynb")
    put(folder, "cy/x.ipynb")
    one, *others = submissions.find(folder)
    assert one.topic == "" and "alice/new/x.ipynb, alice/old/x.ipynb may be of several students" in one.notes[0]
    assert all(other.topic for other in others)


def test_a_broken_file_beside_a_good_one_is_listed(folder):
    put(folder, "alice/02-normalization.ipynb")
    put(folder, "alice/03-gans.ipynb", "{")
    put(folder, "alice/notes.ipynb", '{"cells": []}')
    broken, good = submissions.find(folder)
    assert (broken.file, broken.notes) == ("alice/03-gans.ipynb", ["The file cannot be read as a notebook."])
    assert good.topic == "normalization"


def test_a_note_names_a_few_of_many_files(folder):
    for number in range(100):
        put(folder, f"alice/{number}.ipynb", NOTEBOOK.replace("pass", str(number)), age=100 * number)
    put(folder, "bob/x.ipynb")
    put(folder, "cy/x.ipynb")
    one, *_ = submissions.find(folder)
    assert one.notes[0].endswith("and 96 more are older, and were not graded.") and len(one.notes[0]) < 200


# What is in a notebook.


def test_code_is_run_but_for_what_is_not_graded(folder):
    put(folder, "alice.ipynb")
    (one,) = submissions.find(folder)
    assert one.cells == [[2, "def lrn(x):\n    pass"], [4, 'check("lrn", lrn)']]
    assert one.notes == []


EXERCISES = sorted((ROOT / "book" / "exercises").glob("*.ipynb"))


@pytest.mark.parametrize("path", EXERCISES, ids=lambda path: path.stem)
@pytest.mark.parametrize("keep", ["everything", "no check", "a loose check", "one function"])
def test_an_exercise_is_recognized_whatever_became_of_its_checks(folder, path, keep):
    student = nbformat.read(path, as_version=4)
    functions = [cell for cell in student.cells if cell.cell_type == "code" and cell.source.startswith("def ")]
    for cell in student.cells:
        if cell.cell_type == "code" and "check(" in cell.source:
            source = cell.source.replace('check("', 'check (\n  "') if keep == "a loose check" else ""
            cell.source = cell.source if keep == "everything" else source
        if keep == "one function" and cell in functions[1:]:
            cell.source = ""
    put(folder, f"alice/{path.name if keep == 'one function' else 'x.ipynb'}", nbformat.writes(student))
    (one,) = submissions.find(folder)
    assert one.topic and path.stem[3:].startswith(one.topic)


@pytest.mark.parametrize("path", sorted((ROOT / "book").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_chapter_is_no_exercise(folder, path):
    put(folder, f"alice/{path.name}", path.read_bytes())
    put(folder, "bob/x.ipynb", path.read_bytes())
    for one in submissions.find(folder):
        assert one.topic == "" and one.notes == [submissions.NO_EXERCISE]


def test_a_notebook_of_something_else_is_none_of_the_exercises(folder):
    put(folder, "alice.ipynb", NOTEBOOK.replace("lrn", "another"))
    put(folder, "bob.ipynb", NOTEBOOK.replace("check", "print").replace("lrn", "fold"))
    put(folder, "cy.ipynb")
    put(folder, "cy/x.ipynb", NOTEBOOK.replace("lrn", "another"))
    alice, bob, cy = submissions.find(folder)
    assert alice.notes == bob.notes == [submissions.NO_EXERCISE]
    assert cy.topic == "normalization" and cy.notes == ["None of the exercises: cy/x.ipynb."]


CHANGES = {
    "no metadata": ('"metadata": {}', '"id": null'),
    "metadata null": ('"metadata": {}', '"metadata": null'),
    "metadata a number": ('"metadata": {}', '"metadata": 3'),
    "tags null": ('"metadata": {}', '"metadata": {"tags": null}'),
    "tags that are none": ('"metadata": {}', '"metadata": {"tags": [[], {}, 5]}'),
    "source null": ('"source": "text"', '"source": null'),
    "half a character": ('"source": "text"', '"source": "\\ud83d"'),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("kind", ["markdown", "code"])
def test_odd_metadata_cost_nothing(folder, change, kind):
    put(folder, "alice.ipynb", NOTEBOOK.replace(*change).replace("markdown", kind))
    (one,) = submissions.find(folder)
    assert one.topic == "normalization" and one.notes == []
    assert "slow()" not in [source for _, source in one.cells] and json.dumps(one.cells, ensure_ascii=False).encode()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_notebooks_of_all_encodings_are_read(folder, encoding):
    put(folder, "alice.ipynb", NOTEBOOK.replace("pass", "größe = 1").encode(encoding))
    (one,) = submissions.find(folder)
    assert "größe = 1" in one.cells[0][1]


BROKEN = {
    "is no JSON": b"hello",
    "is empty": b"",
    "is a zip file": b"PK\x03\x04" + bytes(100),
    "is binary": bytes(range(256)),
    "is deep": b"[" * 200_000,
    "is deep and large": b"[" * 5_000_000,
    "is a number": b"5",
    "has no cells": b"{}",
    "has cells that are none": b'{"cells": [1, 2]}',
    "has sources that are none": b'{"cells": [{"cell_type": "code", "source": [1]}]}',
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
    put(folder, "mallory.zip", content)
    (one,) = submissions.find(folder)
    assert one.notes


# What is too much.


def with_outputs(size, text="A"):
    notebook = json.loads(NOTEBOOK)
    notebook["cells"][1]["outputs"] = [{"data": {"image/png": "A" * size, "text/plain": text}}]
    return json.dumps(notebook, ensure_ascii=False)


@pytest.mark.parametrize("size", [5, 21, 200])
def test_outputs_never_make_a_notebook_too_large(folder, size):
    put(folder, "alice.ipynb", with_outputs(size * 2**20, "🙂"))
    (one,) = submissions.find(folder)
    assert one.topic == "normalization" and len(one.cells) == 2 and one.notes == []


def test_a_huge_file_is_not_read(folder):
    put(folder, "alice.ipynb")
    with open(folder / "alice.ipynb", "r+b") as file:
        file.truncate(LARGEST + 1)
    (one,) = submissions.find(folder)
    assert one.notes == ["The file has 268,435,457 bytes, and at most 268,435,456 are read; clear its outputs."]


def test_a_notebook_of_too_many_cells_is_not_run(folder):
    many = json.loads(NOTEBOOK)
    many["cells"] *= 1000
    put(folder, "alice.ipynb", json.dumps(many))
    (one,) = submissions.find(folder)
    assert one.cells == [] and "at most 1,000 are run" in one.notes[0]


@pytest.mark.parametrize("size", [2**20, 2**23, 2**25])
def test_a_notebook_of_too_much_code_is_not_run(folder, size):
    put(folder, "alice.ipynb", NOTEBOOK.replace("pass", "#" * size))
    (one,) = submissions.find(folder)
    assert one.cells == [] and ("of code; at most 262,144 are run" in one.notes[0] or size == 2**25)


def test_a_damaged_member_of_a_zip_costs_only_itself(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("alice.ipynb", NOTEBOOK)
        archive.writestr("mallory.ipynb", NOTEBOOK)
        place = archive.getinfo("mallory.ipynb").header_offset
    whole = (tmp_path / "all.zip").read_bytes()
    (tmp_path / "all.zip").write_bytes(whole[: place + 60] + b"\xff" * 20 + whole[place + 80 :])
    good, bad = submissions.find(tmp_path / "all.zip")
    assert good.topic == "normalization" and bad.notes == ["The file cannot be read as a notebook."]


def test_a_zip_file_that_is_none_is_refused(tmp_path):
    content = zip_of({"é.ipynb": NOTEBOOK})
    (tmp_path / "all.zip").write_bytes(content.replace("é".encode(), b"\xff\xff"))
    with pytest.raises(submissions.SubmissionsError, match=r"cannot be opened as a zip file; download it again\."):
        submissions.find(tmp_path / "all.zip")


def encrypted(content):
    """A zip file that says of its first file that it is encrypted."""
    return (
        content[:6]
        + b"\x01"
        + content[7:].replace(b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01")
    )


TOO_MUCH = LARGEST + 2**20


def of_zeros(size, says=None, **options):
    """A zip file with a notebook of zeros, which says another size of it."""
    content = zip_of({"x.ipynb": bytes(size)}, **options)
    return content.replace(size.to_bytes(4, "little"), says.to_bytes(4, "little")) if says else content


INSIDE = zip_of({"x.ipynb": NOTEBOOK})
DEFLATED, BZIP2 = {"compression": zipfile.ZIP_DEFLATED}, {"compression": zipfile.ZIP_BZIP2}
ZIPS = {  # functions, because they are large
    "of another": (lambda: zip_of({"again.zip": INSIDE}), "again.zip is a zip file in a zip file, and was not opened."),
    "of nothing": (lambda: zip_of({}), "There is no notebook, but x.zip."),
    "that is none": (lambda: b"PK", "x.zip cannot be opened as a zip file."),
    "cut off": (lambda: INSIDE[:-30], "x.zip cannot be opened as a zip file."),
    "with names in no encoding": (
        lambda: zip_of({"é.ipynb": NOTEBOOK}).replace("é".encode(), b"\xff\xff"),
        "x.zip cannot be opened as a zip file.",
    ),
    "encrypted": (lambda: encrypted(INSIDE), "The file cannot be read as a notebook."),
    "of very many files": (
        lambda: zip_of(dict.fromkeys(map(str, range(MOST_FILES + 1)), b"")),
        f"x.zip has more than {MOST_FILES:,} files.",
    ),
    "of a table of very many files": (
        lambda: zip_of({"x": b"PK\x01\x02" * (MOST_FILES + 1)}),
        f"x.zip has more than {MOST_FILES:,} files.",
    ),
    "that becomes large": (
        lambda: of_zeros(TOO_MUCH, **DEFLATED),
        "The file has 269,484,032 bytes, and at most 268,435,456 are read; clear its outputs.",
    ),
    "of which all is too much": (
        lambda: zip_of({f"{number}.ipynb": bytes(2**27) for number in range(3)}, **DEFLATED),
        "The zip file has more than 268,435,456 bytes in it",
    ),
    "that lies about a size": (lambda: of_zeros(TOO_MUCH, 100, **DEFLATED), "The file cannot be read as a notebook."),
    "that lies, of another compression": (
        lambda: of_zeros(TOO_MUCH, 100, **BZIP2),
        "The file cannot be read as a notebook.",
    ),
    "of a long path": (lambda: zip_of({"a/" * 3000 + "x.ipynb": NOTEBOOK}), "There is no notebook, but x.zip."),
}


@pytest.mark.parametrize(("content", "said"), ZIPS.values(), ids=ZIPS)
def test_a_hostile_zip_file_costs_its_author_only(folder, content, said):
    put(folder, "Ada_77_assignsubmission_file_/x.ipynb")
    put(folder, "Mallory_9_assignsubmission_file_/x.zip", content())
    good, bad = submissions.find(folder)
    assert good.topic == "normalization" and (bad.student, bad.topic) == ("Mallory", "")
    assert said in " ".join(bad.notes)


@pytest.mark.parametrize(
    "name", ["x.ipynb", "deeper/x.ipynb", "../../etc/x.ipynb", "a\\b\\x.ipynb", "Müller.IPYNB", "__MACOSX/y.ipynb"]
)
def test_a_students_own_zip_file_is_opened(folder, tmp_path, name):
    put(folder, "Ada_77_assignsubmission_file_/x.zip", zip_of({name: NOTEBOOK, "x.ipynb": NOTEBOOK}))
    put(folder, "Bob_78_assignsubmission_file_x.ZIP", zip_of({name: NOTEBOOK, "x.ipynb": NOTEBOOK}))
    expected = [("Ada", "77", "normalization", False), ("Bob", "78", "normalization", False)]
    assert found(folder) == found(zipped(folder, tmp_path / "in.zip")) == expected


def test_memory_is_bounded_whatever_is_handed_in(folder):
    """That of the grader: four times what a file may have, and not the sixty times of what JSON may make of it."""
    put(folder, "alice.ipynb")
    put(folder, "lists.ipynb", b'{"cells": [' + b"[]," * 40_000_000 + b"[]]}")
    put(folder, "pictures.ipynb", with_outputs(60 * 2**20))
    put(folder, "zipped.zip", zip_of({"x.ipynb": with_outputs(60 * 2**20)}, **DEFLATED))
    put(folder, "zeros.zip", of_zeros(LARGEST, **DEFLATED))
    program = f"""
        import pathlib, re, resource
        from coursekit.grading import submissions
        print([one.student for one in submissions.find({str(folder)!r}) if one.topic])
        print(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env=environment, capture_output=True, text=True, check=True
    )
    graded, own, readers = done.stdout.splitlines()
    assert graded == "['alice', 'pictures', 'zipped']"
    assert 1024 * int(own) < 4 * LARGEST and 1024 * int(readers) < reader.MEMORY


def test_many_large_notebooks_in_a_small_zip_file_are_not_held_together(folder):
    put(folder, "alice/x.ipynb")
    many = {f"{number}.ipynb": NOTEBOOK.replace("pass", f"{number}{'#' * 200_000}") for number in range(100)}
    put(folder, "mallory/x.zip", zip_of(many, **DEFLATED))
    submissions.find(folder)
    tracemalloc.start()
    _, mallory = submissions.find(folder)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "have the same date, and differ" in mallory.notes[0]
    assert most < 50 * 200_000


def test_a_path_that_climbs_out_reads_and_writes_nothing_there(tmp_path):
    (tmp_path / "all.zip").write_bytes(
        zip_of({"../../mallory/02-normalization.ipynb": NOTEBOOK, "/etc/mallory.ipynb": NOTEBOOK})
    )
    before = sorted(tmp_path.rglob("*"))
    assert students(tmp_path / "all.zip") == ["etc", "mallory"]
    assert sorted(tmp_path.rglob("*")) == before


def test_links_are_not_followed(folder, tmp_path):
    secret = tmp_path / "secret.ipynb"
    secret.write_text(NOTEBOOK)
    put(folder, "alice.ipynb")
    (folder / "mallory.ipynb").symlink_to(secret)
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe.ipynb")
    assert students(folder) == ["alice"]
    link = zipfile.ZipInfo("mallory.ipynb")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("alice.ipynb", NOTEBOOK)
        archive.writestr(link, str(secret))
    assert students(tmp_path / "all.zip") == ["alice"]


def test_what_tools_leave_is_ignored(folder):
    put(folder, "alice/x.ipynb")
    put(folder, "alice/.ipynb_checkpoints/x-checkpoint.ipynb", OTHER)
    put(folder, "alice/x-checkpoint.ipynb", OTHER)
    put(folder, "__MACOSX/alice/._x.ipynb", OTHER)
    assert len(submissions.find(folder)) == 1


@pytest.mark.parametrize("as_zip", [False, True])
def test_whose_folder_is_empty_is_in_the_tables(folder, tmp_path, as_zip):
    put(folder, "alice/02-normalization.ipynb")
    (folder / "alice/figures").mkdir()  # what else is in a folder with a notebook is nobody
    for name in ("bob", "carol/work/deeper", "dan/.ipynb_checkpoints"):
        (folder / name).mkdir(parents=True)
    put(folder, "erin/.DS_Store", "x")
    (folder / "frank").symlink_to(folder / "alice")
    given = zipped(folder, tmp_path / "class.zip") if as_zip else folder
    graded, *others = submissions.find(given)
    assert (graded.student, graded.topic, graded.notes) == ("alice", "normalization", [])
    links = ["frank"] * as_zip  # what a zip file has of a link is what it leads to
    assert [one.student for one in others if one.student not in links] == ["bob", "carol", "dan", "erin"]
    assert {(one.topic, *one.notes) for one in others if one.student not in links} == {
        ("", "There is no notebook, but an empty folder.")
    }


@pytest.mark.parametrize("name", ["missing", "file.txt", "empty", "junk", "tables", "empty.zip"])
def test_what_holds_no_submissions_is_refused(tmp_path, name):
    (tmp_path / "file.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    put(tmp_path, "junk/.DS_Store", "x")
    put(tmp_path, "tables/grades.csv", "x")
    put(tmp_path, "empty.zip", zip_of({}))
    with pytest.raises(submissions.SubmissionsError, match=r"neither a folder nor a zip|has no notebooks"):
        submissions.find(tmp_path / name)


# What the reports make of names.

PEOPLE = st.builds(
    submissions.Submission,
    student=st.one_of(
        st.text(max_size=60), st.sampled_from(HOSTILE), st.sampled_from(["日" * 80, "CON", "nul", "", "Ω"])
    ),
    identifier=st.sampled_from(["", "7", "77"]),
    file=st.just("x.ipynb"),
    topic=st.sampled_from(["", *exercises.TOPICS]),
    platform=st.sampled_from(["", "Moodle", "Canvas", "Gradescope"]),
    attachment=st.integers(0, 10**9),
)


@pytest.mark.parametrize(
    ("text", "cell"),
    [("=1+1", "'=1+1"), ("＝1", "'＝1"), ("Cell 4 raises E: a;=1", "Cell 4 raises E: a;'=1"), ("a = 1; b", "a = 1; b")],
)
def test_no_text_becomes_a_formula(text, cell):
    assert reports._cell(text) == cell


@given(st.lists(PEOPLE, max_size=12))
def test_pages_have_names_that_every_system_takes(people):
    used = set()
    names = [reports._file_name(one, used) for one in people]
    assert len({unicodedata.normalize("NFKC", name).casefold() for name in names}) == len(people)
    for name in names:
        assert {unicodedata.category(letter)[0] for letter in name.replace("_", "").replace("-", "")} <= set("LMN")
        assert len(f"{name}.html.unfinished".encode()) <= 255
        assert name.upper() not in ("CON", "PRN", "AUX", "NUL", "COM1", "LPT9")
    for one, name in zip(people, names, strict=True):
        if one.identifier and one.platform == "Moodle":  # as its importer splits a name
            _, identifier, *plugin, page = f"{name}.html".split("_", 4)
            assert identifier == one.identifier and plugin == ["assignsubmission", "file"] and len(page) > 5
        if one.identifier and one.platform == "Canvas":  # as it reads the first two numbers
            numbers = [part for part in f"{name}.html".split("_")[1:] if part.isdecimal()]
            assert numbers[:2] == [one.identifier, str(one.attachment)]


@pytest.fixture
def mixed(folder, tmp_path):
    """Reports on a download of Moodle: a graded student, one whose file is broken, and one without a notebook."""
    put(folder, "Ada_77_assignsubmission_file_/x.ipynb")
    put(folder, "Bob_78_assignsubmission_file_/x.ipynb", "{")
    put(folder, "<b>Cy_79_assignsubmission_file_/x.pdf", "x")
    ids = list(exercises.questions("normalization"))
    messages = dict.fromkeys(ids, "") | {"lrn": "It is <b>wrong</b>."}
    grade = {"points": dict.fromkeys(ids, 0) | {"lrn": 15}, "messages": messages, "notes": []}
    graded = [(one, grade if one.topic else None) for one in submissions.find(folder)]
    reports.write_all(tmp_path / "g.csv", graded, seed=0)
    return tmp_path


def rows(path):
    import csv

    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_was_not_graded_is_in_every_table_without_a_grade(mixed):
    assert {row["id"]: row["points"] for row in rows(mixed / "g.csv")} == {"77": "15", "78": "", "79": ""}
    assert all(row["notes"] for row in rows(mixed / "g.csv") if not row["points"])
    canvas = {row["Student"]: row["normalization"] for row in rows(mixed / "g-canvas.csv")}
    assert canvas == {"Ada": "15", "Bob": "", "<b>Cy": ""}
    moodle = {row["Identifier"]: row for row in rows(mixed / "g-moodle-normalization.csv")}
    assert {key: row["Grade"] for key, row in moodle.items()} == {
        "Participant 77": "15",
        "Participant 78": "",
        "Participant 79": "",
    }
    assert moodle["Participant 78"]["Feedback comments"] == "The file cannot be read as a notebook."
    assert "It is &lt;b&gt;wrong&lt;/b&gt;." in moodle["Participant 77"]["Feedback comments"]
    scores = {path.name[:2]: json.loads(path.read_text()).get("score") for path in (mixed / "g-gradescope").iterdir()}
    assert scores == {"Ad": 15, "Bo": None, "b-": None}
    pages = {path.name: path.read_text() for path in (mixed / "g-feedback").iterdir()}
    assert sorted(pages) == [
        "Ada_77_assignsubmission_file_normalization.html",
        "Bob_78_assignsubmission_file_exercise.html",
        "b-Cy_79_assignsubmission_file_exercise.html",
    ]
    assert "Not graded." in pages["Bob_78_assignsubmission_file_exercise.html"]


def test_a_participants_number_is_no_id_in_canvas(tmp_path):
    """Of a class whose late submissions came from another platform."""
    people = [
        submissions.Submission("Ada", "77", "x", platform="Moodle"),
        submissions.Submission("bob", "77", "x", platform="Canvas", attachment=9),
    ]
    reports.write_all(tmp_path / "g.csv", [(one, None) for one in people], seed=0)
    assert {row["Student"]: row["ID"] for row in rows(tmp_path / "g-canvas.csv")} == {"Ada": "", "bob": "77"}


def test_a_page_that_is_nobodys_any_more_is_named(tmp_path):
    """First Ada's file could not be read, and then it could."""
    for topic, left in (("", []), ("normalization", ["g-feedback/Ä-Da.html", "g-gradescope/Ä-Da.json"])):
        ada = submissions.Submission("Ä Da", "", "x.ipynb", topic)
        found = reports.write_all(tmp_path / "g.csv", [(ada, None)], seed=0)
        assert found == [tmp_path / path for path in left]


@pytest.mark.parametrize("path", ["alice/x.ipynb", "ada_77_9_x.ipynb", "submission_77/x.ipynb"])
def test_moodle_gets_a_table_of_its_own_participants_only(folder, tmp_path, path):
    put(folder, path)
    grade = {"points": {"lrn": 15}, "messages": dict.fromkeys(exercises.questions("normalization"), ""), "notes": []}
    grade["points"] = dict.fromkeys(exercises.questions("normalization"), 0)
    reports.write_all(tmp_path / "g.csv", [(one, grade) for one in submissions.find(folder)], seed=0)
    assert not list(tmp_path.glob("g-moodle*")) and list(tmp_path.glob("g-canvas*"))
