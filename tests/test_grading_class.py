"""A class of thirty, graded by the command that an instructor types."""

import concurrent.futures
import csv
import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading

import nbformat
import pytest
from conftest import ROOT
from test_grading import ANSWER_TO, NUISANCES, QUESTIONS, SOLUTION, bubblewrap  # noqa: F401 (a fixture)

from coursekit import exercises
from coursekit.exercises import normalization
from coursekit.grading import __main__ as grading
from coursekit.grading import reports, sandbox, versions, workers
from coursekit.grading.progress import Progress

pytestmark = pytest.mark.replay

# Any numbers of as many bits as the grader wants: the tests give no grades away.
SEED, OTHER_SEED = (f"{number:032x}" for number in (2**127 + 11, 2**127 + 12))
POINTS = {name: question.points for name, question in QUESTIONS.items()}


def notebook(*right, extra=()):
    """The student's notebook with the solution of some questions, and cells in the end."""
    student = nbformat.read(ROOT / "book" / "exercises" / "02-normalization.ipynb", as_version=4)
    for cell in student.cells:
        if any(cell.id == of for of, source in SOLUTION.items() if source in [ANSWER_TO[name] for name in right]):
            cell.source = SOLUTION[cell.id]
    student.cells += [nbformat.v4.new_code_cell(source) for source in extra]
    return nbformat.writes(student)


@pytest.fixture(scope="module")
def school(tmp_path_factory):
    """Thirty submissions, and what each should get: points by question, or None where there is no grade."""
    folder = tmp_path_factory.mktemp("class") / "in"
    names, expected = list(POINTS), {}

    def hand_in(student, content, right, suffix=".ipynb"):
        target = folder / f"{student}_{100 + len(expected)}_assignsubmission_file_" / f"x{suffix}"
        target.parent.mkdir(parents=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        expected[student] = None if right is None else {name: POINTS[name] * (name in right) for name in names}

    for number in range(4):
        hand_in(f"Good {number}", notebook(*names, extra=[f"# {number}"]), names)
    for number in range(7):
        hand_in(f"Partial {number}", notebook(*names[: number + 1]), names[: number + 1])
    for number in range(4):
        hand_in(f"Untouched {number}", notebook(extra=[f"# {number}"]), [])
    for number, name in enumerate(list(ANSWER_TO)[:4]):
        wrong = f"{ANSWER_TO[name].split('(')[0].removeprefix('def ')} = lambda **_: 0\ncheck('{name}', {{}})"
        wrong = wrong.format(wrong.split(" = ")[0])
        hand_in(f"Wrong {number}", notebook(*names, extra=[wrong]), [one for one in names if one != name])
    for number, attack in enumerate(("exits", "prints a gigabyte", "leaves a process", "writes nonsense", "crashes")):
        hand_in(f"Hostile {number}", notebook(*names[:3], extra=[NUISANCES[attack]]), names[:3])
    hand_in("Broken JSON", '{"cells": [', None)
    hand_in("Broken zip", b"PK\x03\x04", None)
    hand_in("Broken kind", "%PDF", None, ".pdf")
    hand_in("Broken empty", "", None)
    hand_in("Broken other", notebook().replace("check(", "czech(").replace("def ", "def our_"), None)
    hand_in("=HYPERLINK(0)", notebook(names[0]), names[:1])
    return folder, expected


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "coursekit.grading", *map(str, arguments)], capture_output=True, text=True, timeout=600
    )


@pytest.fixture(scope="module")
def out(school, tmp_path_factory):
    folder, _ = school
    out = tmp_path_factory.mktemp("grades") / "grades.csv"
    done = command(folder, "--out", out, "--seed", SEED, "--jobs", 2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("30 submissions, ")
    return out


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_only_the_instructor_is_told_of_the_same_code(tmp_path):
    grade = {"points": POINTS, "messages": dict.fromkeys(POINTS, ""), "notes": []}
    nothing = grade | {"points": dict.fromkeys(POINTS, 0)}

    graded = [(one("Ada", "a", "b"), grade), (one("Bob", "a", "b"), grade), (one("Cy", "ab"), grade)]
    graded += [(one("Di"), nothing), (one("Ed"), nothing)]
    reports.write_all(tmp_path / "g.csv", graded, seed=0)
    said = [path.name for path in tmp_path.rglob("*.*") if "to the letter" in path.read_text()]
    assert said == ["g-summary.html"]
    assert "as that of Bob." in (tmp_path / "g-summary.html").read_text()


def test_everybody_gets_what_is_due(school, out):
    _, expected = school
    table = {row["student"].removeprefix("'"): row for row in rows(out)}
    assert table.keys() == expected.keys() and len(table) == 30
    for student, points in expected.items():
        row = table[student]
        if points is None:
            assert (row["points"], row["exercise"]) == ("", "") and row["notes"], student
        else:
            assert {name: float(row[name]) for name in points} == points, student
            assert float(row["points"]) == sum(points.values())


def test_the_platforms_get_their_tables(out):
    canvas, moodle = (rows(out.with_name(f"grades-{name}.csv")) for name in ("canvas", "moodle-normalization"))
    points = {row["Full name"]: row["Grade"] for row in moodle}
    assert len(canvas) == len(moodle) == 30 and sum(bool(grade) for grade in points.values()) == 25
    assert points == {row["Student"]: row["normalization"] for row in canvas}
    assert all(re.fullmatch(r"Participant 1\d\d", row["Identifier"]) for row in moodle)
    assert {"Identifier", "Grade", "Last modified (grade)"} <= moodle[0].keys(), (
        "without which Moodle takes no worksheet"
    )
    (good,) = [row for row in canvas if row["Student"] == "Good 0"]
    assert good["normalization"] == "100" and good["ID"] == "", "a participant's number is nobody's ID in Canvas"
    assert "'=HYPERLINK(0)" in {row["Student"] for row in canvas}, "a spreadsheet would compute it"


def test_everybody_gets_a_page_and_a_gradescope_file(out):
    pages = sorted(out.with_name("grades-feedback").iterdir())
    results = sorted(out.with_name("grades-gradescope").iterdir())
    assert len(pages) == len(results) == 30
    (partial,) = [page.read_text() for page in pages if "Partial-2_" in page.name]
    reached = sum(list(POINTS.values())[:3])
    assert f"{reached} of 100 points" in partial and "It is not written yet." in partial
    (partial,) = [json.loads(result.read_text()) for result in results if "Partial-2_" in result.name]
    assert partial["score"] == sum(test["score"] for test in partial["tests"]) == reached
    assert sum(test["max_score"] for test in partial["tests"]) == 100


def test_the_summary_counts(out):
    summary = out.with_name("grades-summary.html").read_text()
    assert "25 notebooks" in summary and f"seed {SEED}" in summary
    assert "The file cannot be read as a notebook." in summary
    assert summary.index("better averages") < summary.index("mean and variance of every channel"), "most missed first"


@pytest.mark.parametrize("page", ["grades-summary.html", "grades-feedback"])
def test_pages_are_accessible_and_run_nothing(out, open_page, page, tmp_path):
    from accessibility import violations

    path = out.with_name(page)
    if path.is_dir():
        (path,) = path.glob("Partial-2_*")
    text = path.read_text()
    assert "<script" not in text
    opened = open_page()
    opened.set_content(text)
    assert violations(opened) == []


def test_what_students_write_is_text_in_a_page(tmp_path):
    submission = grading.submissions.Submission("<script>alert(1)</script>", "", "x.ipynb", notes=["<b>bold</b>"])
    reports.write_all(tmp_path / "g.csv", [(submission, None)], seed=0)
    for page in tmp_path.rglob("*.html"):
        assert "<script" not in page.read_text() and "<b>" not in page.read_text()
    assert [path.parent.name for path in tmp_path.rglob("*.html") if "alert" in path.name] == ["g-feedback"]


def test_an_interrupted_run_goes_on_and_ends_as_a_whole_one(school, out, tmp_path):
    folder, _ = school
    again = tmp_path / "grades.csv"
    progress = tmp_path / "grades.progress.jsonl"
    lines = out.with_name("grades.progress.jsonl").read_text().splitlines()
    arguments = ["-m", "coursekit.grading", folder, "--out", again, "--seed", SEED, "--jobs", "2"]
    running = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stderr=subprocess.PIPE,
        start_new_session=True,
        # Whatever a shell starts in the background ignores Ctrl-C, and so would this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not progress.is_file() or progress.read_text().count('"points"') < 2:
        assert running.poll() is None
        threading.Event().wait(0.05)
    os.killpg(running.pid, signal.SIGINT)  # as the terminal does, when somebody presses Ctrl-C
    said = running.communicate(timeout=60)[1].decode()
    assert running.returncode == 1 and "with --resume goes on from here" in said.splitlines()[-1], said
    assert not again.exists() and len(progress.read_text().splitlines()) < len(lines)
    with open(progress, "a") as file:
        file.write(lines[-1][:20])  # a machine that stops in the middle of a line
    done = command(folder, "--out", again, "--resume", "--jobs", 2)
    assert done.returncode == 0, done.stderr
    assert again.read_text() == out.read_text()
    assert len(progress.read_text().splitlines()) == len(lines)


IMPORTS = """
import sys, threading
from coursekit.grading import __main__, workers

begun = []

def note(event, arguments):
    if event == "import" and begun and threading.current_thread() is threading.main_thread():
        print("imports", arguments[0], file=sys.stderr)

class Workers(workers.Workers):
    def submit(self, *arguments):
        begun.append(arguments)
        return super().submit(*arguments)

sys.addaudithook(note)
__main__.Workers = Workers
__main__.main()
assert begun
"""


def test_ctrl_c_interrupts_no_import_that_another_thread_waits_for(school, tmp_path):
    (folder,) = school[0].glob("Good 0_*")
    arguments = [folder, "--out", tmp_path / "grades.csv", "--jobs", 1]
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *map(str, arguments)], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0 and "imports" not in done.stderr, done.stderr


def test_grades_are_not_overwritten(school, out):
    before = out.read_text()
    done = command(school[0], "--out", out, "--seed", OTHER_SEED)
    assert done.returncode == 2 and "has grades of an earlier run; go on with --resume, or name another" in done.stderr
    assert out.read_text() == before


@pytest.mark.parametrize("options", [[], ["--resume"]])
def test_nor_is_a_table_without_what_it_was_made_from(school, tmp_path, options):
    table = tmp_path / "grades.csv"
    table.write_text("mine")
    done = command(school[0], "--out", table, *options)
    assert done.returncode == 2 and "is there, but not grades.progress.jsonl" in done.stderr
    assert table.read_text() == "mine"


@pytest.mark.parametrize(
    ("out_name", "options", "said"),
    [
        ("in/grades.csv", [], "is among the submissions; write the grades somewhere else."),
        ("in", [], "is a folder; name the table of grades to write"),
        *(
            ("grades.csv", ["--seed", seed], "--seed must be one that an earlier run")
            for seed in ("0", "42", "x", "f" * 33)
        ),
        (
            "grades.csv",
            ["--student", "Ada"],
            "--student and --question change the grades of an earlier run; add --resume.",
        ),
    ],
)
def test_what_cannot_be_graded_is_said_before(tmp_path, capsys, out_name, options, said):
    (tmp_path / "in").mkdir()
    with pytest.raises(SystemExit, match="2"):
        grading.main([str(tmp_path / "in"), "--out", str(tmp_path / out_name), *options])
    assert said in capsys.readouterr().err
    assert list(tmp_path.rglob("*.*")) == []


def test_a_version_is_changed_by_code_and_by_no_comment(monkeypatch):
    master = grading.read_masters(["normalization"], ROOT / "exercises")["normalization"]
    source = inspect.getsource(normalization)
    before = versions.versions("normalization", master)

    def changed(old, new, in_master=False):
        """The questions whose version changes with a text."""
        assert old in (str(master) if in_master else source)
        cells = [[number, text.replace(old, new) if in_master else text] for number, text in master]
        monkeypatch.setattr(inspect, "getsource", lambda _: source if in_master else source.replace(old, new))
        now = versions.versions("normalization", cells)
        return {name for name in before if before[name] != now[name]}

    assert changed("WORST, BEST = 0.2, 0.105", "WORST, BEST = 0.2, 0.105  # what a good one gets") == set()
    assert changed("WORST, BEST = 0.2, 0.105", "WORST, BEST = 0.3, 0.105") == {"last-mean"}
    assert changed("def lrn(random):", "def lrn(random):\n    random.random()") == {"lrn"}
    assert changed('        id="lrn",', '        id="lrn",\n        rtol=1,') == {"lrn"}
    assert changed("def maps(random", "def maps(random, unused=3") >= {"bn-statistics", "bn-training"}
    assert changed("def fold(", "# folds\ndef fold(", in_master=True) == set()
    assert changed("def fold(kernel", "def fold(kernel=None, *, kernel_=3", in_master=True) == {"bn-fold"}
    assert changed("import numpy as np", "import numpy as np, os", in_master=True) == set(before)


def one(student, *sources, file=None):
    cells = [[number, source] for number, source in enumerate(sources, start=1)]
    file = file or f"{student}.ipynb"
    return grading.submissions.Submission(student, "", file, "normalization", cells, fingerprint=str(sources))


def handed_in(folder, **right):
    """A folder with a notebook of each student, in which some questions are right."""
    for student, names in right.items():
        (folder / student).mkdir(parents=True, exist_ok=True)
        (folder / student / "02-normalization.ipynb").write_text(notebook(*names))
    return folder


def points(out):
    return {row["student"]: row["points"] for row in rows(out)}


def test_a_later_run_adds_to_an_earlier_one(tmp_path, capsys):
    out, names = tmp_path / "g.csv", list(POINTS)
    first, two, three = (str(sum(list(POINTS.values())[:number])) for number in (1, 2, 3))
    options = ["--out", str(out), "--sandbox", "none"]
    grading.main([str(handed_in(tmp_path / "1", ada=names, bob=names[:1], cy=[])), *options, "--seed", SEED])
    assert points(out) == {"ada": "100", "bob": first, "cy": "0"}
    # Late submissions, one of them new, one in place of another.
    grading.main([str(handed_in(tmp_path / "2", bob=names[:2], di=names[:3])), *options, "--resume"])
    assert points(out) == {"ada": "100", "bob": two, "cy": "0", "di": three}
    (note,) = [row["notes"] for row in rows(out) if row["student"] == "bob"]
    assert note == f"It takes the place of bob/02-normalization.ipynb, which had {first} points."
    assert len(list((tmp_path / "g-feedback").iterdir())) == len(list((tmp_path / "g-gradescope").iterdir())) == 4
    with pytest.raises(SystemExit):
        grading.main([str(tmp_path / "2"), *options, "--resume", "--student", "ada"])
    assert "--student ada has handed in nothing; write the name as" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        grading.main([str(tmp_path / "2"), *options, "--resume", "--question", "fold"])
    assert "There is no question 'fold'" in capsys.readouterr().err
    assert points(out) == {"ada": "100", "bob": two, "cy": "0", "di": three}


def test_a_question_or_a_student_alone_is_graded_again(tmp_path, monkeypatch):
    out, graded = tmp_path / "g.csv", []

    def grade(cells, topic, key, seed, kind, only):
        graded.append((len(cells), *only))
        return {"points": {name: POINTS[name] for name in only}, "messages": dict.fromkeys(only, ""), "notes": []}

    monkeypatch.setattr(grading, "Workers", concurrent.futures.ThreadPoolExecutor)
    monkeypatch.setattr(grading.grade, "grade", grade)
    monkeypatch.setattr(grading.grade, "key", lambda *_: {})
    folder = handed_in(tmp_path / "in", ada=list(POINTS), bob=[])

    def run(*options):
        graded.clear()
        grading.main([str(folder), "--out", str(out), "--sandbox", "none", *options])
        assert points(out) == {"ada": "100", "bob": "100"}
        return sorted(names for _, *names in graded)

    names = list(POINTS)
    assert run() == [names, names]
    assert run("--resume") == []
    assert run("--resume", "--question", "lrn") == [["lrn"], ["lrn"]]
    assert run("--resume", "--student", "bob") == [names]
    assert run("--resume", "--student", "bob", "--question", "lrn") == [["lrn"]]
    of_all = versions.versions
    monkeypatch.setattr(grading, "versions", lambda *of: of_all(*of) | {"lrn": "new"})
    assert run("--resume") == [["lrn"], ["lrn"]]
    assert run("--resume") == []


def test_a_question_that_is_new_is_asked_of_everybody_or_nobody(tmp_path, monkeypatch, capsys):
    out, names = tmp_path / "g.csv", list(POINTS)
    options = ["--out", str(out), "--sandbox", "none"]

    def grade(cells, topic, key, seed, kind, only):
        return {"points": dict.fromkeys(only, 1), "messages": dict.fromkeys(only, ""), "notes": []}

    monkeypatch.setattr(grading, "Workers", concurrent.futures.ThreadPoolExecutor)
    monkeypatch.setattr(grading.grade, "grade", grade)
    monkeypatch.setattr(grading.grade, "key", lambda *_: {})
    with monkeypatch.context() as before:
        before.setattr(normalization, "QUESTIONS", normalization.QUESTIONS[:-1])
        grading.main([str(handed_in(tmp_path / "1", ada=names, bob=names)), *options])
    assert set(points(out).values()) == {str(len(names) - 1)}
    with pytest.raises(SystemExit):
        grading.main([str(handed_in(tmp_path / "2", bob=names)), *options, "--resume"])
    said = capsys.readouterr().err
    assert f"ada was graded before there was a question {names[-1]}; grade the whole class again" in said
    grading.main([str(tmp_path / "1"), *options, "--resume", "--question", names[0]])
    assert set(points(out).values()) == {str(len(names))}


@pytest.mark.parametrize("line", ['{"seed": 5}', "[]", "x", '{"seed": "f"}\n{"key": 1, "grade": {}}'])
def test_a_file_of_another_version_is_not_resumed(tmp_path, line):
    path = tmp_path / "g.progress.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(ValueError, match=r"was not written by this version of the grader; name another --out\."):
        Progress(path, None, True)
    assert path.read_text() == f"{line}\n"


class Unlucky:
    """Stands in for a grader that fails with some notebooks."""

    def __init__(self, failures):
        self.failures = failures

    def __call__(self, cells, *_):
        if failure := self.failures.get(cells[0][1]):
            raise failure
        return {"points": POINTS, "messages": dict.fromkeys(POINTS, ""), "notes": []}


def test_what_fails_with_one_notebook_is_its_note(tmp_path, monkeypatch):
    monkeypatch.setattr(grading.grade, "key", lambda *_: {})
    failures = {"a": MemoryError("no more"), "b": workers.Died("it died"), "c": sandbox.SandboxError("no sandbox")}
    monkeypatch.setattr(grading.grade, "grade", Unlucky(failures))
    progress = Progress(tmp_path / "p.jsonl", None, False)
    todo = [(one(name, name), list(POINTS)) for name in "abcd"]
    for _ in range(2):  # --resume meets the same ones again
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            grading.grade_all(pool, todo, {"normalization": []}, {"normalization": POINTS}, progress, "none")
        assert [entry.grade is None for entry in progress.sorted()] == [True, True, True, False]
        for entry, error in zip(progress.sorted(), failures.values(), strict=False):
            assert entry.submission.notes == [
                f"It could not be graded ({type(error).__name__}: {error}); --resume tries again."
            ]
    reports.write_all(tmp_path / "g.csv", [(entry.submission, entry.grade) for entry in progress.sorted()], 0)
    assert [row["points"] for row in rows(tmp_path / "g.csv")][-1] == "100"


def test_a_process_that_dies_costs_only_its_call():
    with workers.Workers(2) as pool:
        calls = [(os.kill, 0, 9) if number == 5 else (abs, -number) for number in range(10)]
        jobs = [pool.submit(_as_told, *call) for call in calls]
        assert isinstance(jobs.pop(5).exception(), workers.Died)
        assert [job.result() for job in jobs] == [0, 1, 2, 3, 4, 6, 7, 8, 9]


def _as_told(function, *arguments):
    return function(os.getpid(), *arguments[1:]) if function is os.kill else function(*arguments)


def test_a_process_is_replaced_before_it_is_old(monkeypatch):
    monkeypatch.setattr(workers, "CALLS", 2)
    with workers.Workers(1) as pool:
        pids = [pool.submit(os.getpid).result() for _ in range(6)]
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4] == pids[5]
    left = [thread for thread in threading.enumerate() if "Executor" in type(thread).__name__]
    assert left == [], "what ends them ends with Python, and one of both complains"


def test_an_interrupt_ends_what_has_not_begun():
    begun, over = [], threading.Event()

    def call(number):
        begun.append(number)
        if number:
            over.wait(60)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        outcomes = grading.results(pool, {number: (call, number) for number in range(9)}, disable=True)
        next(outcomes)
        with pytest.raises(KeyboardInterrupt):
            outcomes.throw(KeyboardInterrupt)
        over.set()
    assert len(begun) <= 2


def test_what_is_no_character_stops_no_report(tmp_path):
    grade = {"points": dict.fromkeys(POINTS, 0), "messages": dict.fromkeys(POINTS, "\udc80"), "notes": ["\udcfc"]}
    submission = grading.submissions.Submission("M\udcfcller", "", "M\udcfcller.ipynb", "normalization", ["x"])
    reports.write_all(tmp_path / "g.csv", [(submission, grade)], seed=0)
    assert "M?ller" in (tmp_path / "g.csv").read_text()
    assert not list(tmp_path.rglob("*.unfinished"))


def test_no_page_is_deleted(tmp_path):
    for student in ("Ada", "Bob"):
        submission = grading.submissions.Submission(student, "", "a.ipynb", notes=["Nothing."])
        reports.write_all(tmp_path / "g.csv", [(submission, None)], seed=0)
    assert sorted(path.name for path in tmp_path.glob("g-*/*.html")) == ["Ada.html", "Bob.html"]


def test_another_seed_cannot_be_mixed_in(school, out, tmp_path):
    shutil.copy(out.with_name("grades.progress.jsonl"), tmp_path)
    done = command(school[0], "--out", tmp_path / "grades.csv", "--resume", "--seed", OTHER_SEED)
    assert done.returncode == 2
    assert f"was begun with seed {SEED}; leave --seed out, or --resume" in done.stderr


def test_a_dask_cluster_grades_the_same(school, out, tmp_path):
    from distributed import LocalCluster

    folder, _ = school
    some = tmp_path / "in"
    for student in ("Good 0", "Partial 3", "Hostile 0"):
        (source,) = folder.glob(f"{student}_*")
        shutil.copytree(source, some / source.name)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        done = command(some, "--out", tmp_path / "grades.csv", "--seed", SEED, "--dask", cluster.scheduler_address)
    assert done.returncode == 0, done.stderr
    by_student = {row["student"]: row for row in rows(out)}
    assert rows(tmp_path / "grades.csv") == [by_student[name] for name in ("Good 0", "Hostile 0", "Partial 3")]


def test_a_dask_cluster_that_is_not_there_is_one_sentence(school, tmp_path):
    done = command(school[0], "--out", tmp_path / "grades.csv", "--dask", "tcp://127.0.0.1:9")
    assert done.returncode == 2
    assert "error: There is no Dask scheduler at tcp://127.0.0.1:9" in done.stderr.splitlines()[-1]


def test_without_a_sandbox_it_warns(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ada.ipynb").write_text(notebook(*POINTS))
    done = command(tmp_path / "in", "--out", tmp_path / "grades.csv", "--sandbox", "none", "--seed", SEED)
    assert done.returncode == 0 and "WARNING: without a sandbox, every notebook can read and change" in done.stderr
    assert rows(tmp_path / "grades.csv")[0]["points"] == "100"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing", "--out", "g.csv"], "missing is neither a folder nor a zip file of submissions."),
        (["empty", "--out", "g.csv"], "empty has no notebooks (files that end in .ipynb)."),
        ([".", "--out", "g.csv", "--jobs", "0"], "--jobs is 0; give 1 or more."),
        ([".", "--out", "g.csv", "--sandbox", "chroot"], "invalid choice: 'chroot'"),
        (["."], "the following arguments are required: --out"),
        (["one", "--out", "g.csv", "--masters", "empty"], "empty has no master of normalization"),
    ],
)
def test_bad_arguments_are_one_sentence(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    if arguments[0] == "one":
        (tmp_path / "one").mkdir()
        (tmp_path / "one" / "ada.ipynb").write_text(notebook())
    with pytest.raises(SystemExit, match="2"):
        grading.main(arguments)
    assert said in capsys.readouterr().err
    assert not (tmp_path / "g.csv").exists()


def test_a_missing_sandbox_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(sandbox.SandboxError, match="bubblewrap is not installed: apt install bubblewrap, or"):
        sandbox.Sandbox("bwrap", tmp_path, sandbox.LIMITS)
    with pytest.raises(sandbox.SandboxError, match="docker is not installed"):
        sandbox.Sandbox("docker", tmp_path, sandbox.LIMITS)


def test_the_sandbox_holds_nothing_that_answers():
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        package = sandbox.allowed_package(folder) / "coursekit"
        modules = {path.stem for path in package.glob("*.py")}
        assert modules == set(sandbox.ALLOWED)
        assert {path.stem for path in (package / "exercises").glob("*.py")} > set(exercises.TOPICS)
        assert not list(package.rglob("expected")) and not modules & set(exercises.TOPICS)
        assert {path.name for path in (package / "assets").iterdir()} == {"digits.npz"}
