"""The exercises: what students get is what the masters give, and nothing that helps beyond that."""

import dataclasses
import re

import make_exercises
import nbformat
import notebooks
import pytest
from conftest import BACKEND, ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from coursekit import exercises
from coursekit.exercises import values
from coursekit.exercises.question import Contest, Question
from coursekit.grading import submissions

MASTERS = sorted(ROOT.glob(make_exercises.MASTERS))


@pytest.fixture(params=MASTERS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def master(path):
    return nbformat.read(path, as_version=4)


@pytest.fixture
def student(path):
    derived = ROOT / "book" / "exercises" / path.name
    if not derived.is_file():
        pytest.fail(f"There is no book/exercises/{path.name}; run `make exercises`.", pytrace=False)
    return nbformat.read(derived, as_version=4)


def test_every_topic_has_a_master():
    assert [make_exercises.topic_of(path) for path in MASTERS] == list(exercises.TOPICS), (
        "the masters in exercises/, by their numbers, and TOPICS in coursekit/exercises/__init__.py differ"
    )


def test_no_two_questions_have_one_id():
    names = [name for topic in exercises.TOPICS for name in exercises.questions(topic)]
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, f"two questions of the course have the id {', '.join(twice)}"


def test_the_students_notebook_is_up_to_date(master, student):
    assert make_exercises.derive(master) == student, "run `make exercises`"


def test_the_first_cell_installs(master):
    assert notebooks.code_cells(master)[0].source == make_exercises.bootstrap(master), "run `make exercises`"


@pytest.mark.only_on("tensorflow", "jax")  # solutions add arrays to tensors, which PyTorch does not
@pytest.mark.keras
def test_what_is_expected_is_up_to_date(path, master):
    topic = make_exercises.topic_of(path)
    if BACKEND == "jax":  # What a mistake answers is there to be recognized, and has been made on TensorFlow.
        master.cells = [cell for cell in master.cells if not make_exercises.tagged(cell, "mistake")]
    recorded, now = exercises.expected(topic), make_exercises.answered(master, topic)
    assert recorded.keys() == now.keys(), f"coursekit/exercises/expected/{topic} lacks questions; run `make exercises`"
    for name, question in exercises.questions(topic).items():
        if isinstance(question, Contest):
            continue
        if BACKEND != "jax":
            messages = [[message for message, _ in key[name]["mistakes"]] for key in (recorded, now)]
            assert messages[0] == messages[1], "run `make exercises`"
        for on_file, results in zip(answers_in(recorded[name]), answers_in(now[name]), strict=BACKEND != "jax"):
            # The last bits are another processor's or backend's: what is far from a student's limit is the same.
            clause = values.difference(on_file, results, question.rtol / 10, question.atol / 10)
            assert clause == "", f"{name}: {clause}; run `make exercises`"


def answers_in(key):
    """The results of a question's solution, and of its typical mistakes."""
    return [key["solution"], *(results for _, results in key["mistakes"])]


def test_nothing_of_a_solution_is_left(master, student):
    text = nbformat.writes(student)
    for word in ("SOLUTION", "GIVEN", "mistake"):
        assert not re.search(word, text), f"students would see a line with {word}"
    for cell in notebooks.code_cells(master):
        for match in make_exercises.SOLUTION.finditer(cell.source):
            solution, _, given = match[2].partition("### GIVEN")
            for line in map(str.strip, solution.splitlines()):
                assert len(line) < 25 or line in given or line not in text, f"students would see `{line}`"


def test_nothing_is_missing(path, master):
    missing = list(make_exercises.lacks(master, path, exercises.questions(make_exercises.topic_of(path))))
    if missing:
        pytest.fail("\n".join(missing), pytrace=False)


PATH = ROOT / "exercises" / "02-normalization.ipynb"  # whose name has a chapter, and stands in _toc.yml
COMPARED = {"tags": ["nbval-check-output"]}


def small_exercise():
    """A finished master of two questions, and these."""
    questions = {
        name: Question(id=name, function=f"{name}_it", title="t", points=50, inputs=lambda random: {"x": 1})
        for name in ("double", "halve")
    }
    title = "# Small\n\nTwo questions, 100 points. See [chapter 2](../02-normalization.ipynb)."
    cells = [new_markdown_cell(title, id="title")]
    for number, name in enumerate(questions, start=1):
        statement = f"## {number}. T (50 points)\n\n**Predict.** What?\n\n<details><summary>Hint</summary></details>"
        solution = f"def {name}_it(x):\n    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION"
        passed = new_output("stream", text=f"✓ passed · {name} · 50 of 50 points\n")
        cells += [
            new_markdown_cell(statement, id=name),
            new_code_cell(solution, id=f"{name}-answer"),
            new_code_cell(f'check("{name}", {name}_it)', id=f"{name}-check", metadata=COMPARED, outputs=[passed]),
            new_code_cell(f'check.mistake("{name}", len, "1")', id=f"{name}-one", metadata={"tags": ["mistake"]}),
            new_code_cell(f'check.mistake("{name}", abs, "2")', id=f"{name}-two", metadata={"tags": ["mistake"]}),
        ]
    cells.append(new_code_cell("check.report()", id="report", metadata=COMPARED))
    return new_notebook(cells=cells), questions


def cell_of(master, name):
    return next(cell for cell in master.cells if cell.id == name)


def without(text, name="halve"):
    def omit(master):
        cell = cell_of(master, name)
        assert text in cell.source
        cell.source = cell.source.replace(text, "")

    return omit


def untagged(name):
    return lambda master: cell_of(master, name).metadata.update(tags=[])


def dropped(name):
    return lambda master: master.cells.remove(cell_of(master, name))


def swapped(master):
    master.cells[1:6], master.cells[6:11] = master.cells[6:11], master.cells[1:6]


@pytest.mark.parametrize(
    ("omit", "said"),
    [
        (without("# ", "title"), "The first cell has no title, a line that begins with a #."),
        (without("100 points", "title"), 'The first cell does not say "Two questions, 100 points".'),
        (without("../02-normalization.ipynb", "title"), "The first cell has no link to its chapter, (../02-normalizat"),
        (without("50 points"), 'halve: its statement has no heading "## 2. … (50 points)".'),
        (without("2. "), 'halve: its statement has no heading "## 2. … (50 points)".'),
        (without("**Predict.**"), "halve: its statement has no **Predict.**."),
        (without("<summary>Hint</summary>"), "halve: its statement has no hint."),
        (without("### BEGIN SOLUTION", "halve-answer"), "halve: its solution is not between ### BEGIN SOLUTION and"),
        (dropped("halve-answer"), "halve: no cell before its check defines halve_it."),
        (dropped("halve-check"), 'halve: no cell checks it; write check("halve", halve_it).'),
        (without("_it", "halve-check"), "halve: its check is given halve, and its function in QUESTIONS is halve_it."),
        (untagged("halve-check"), "halve: its check is not tagged nbval-check-output."),
        (lambda master: cell_of(master, "halve-check").outputs.clear(), "halve: its check has not run; run make"),
        (dropped("halve-one"), "halve: it has 1 typical mistake in a cell tagged mistake; write at least two."),
        (untagged("halve-one"), 'The cell `check.mistake("halve", len, "1")` is not tagged mistake, so that students'),
        (swapped, "The cells check halve, double, but the order of QUESTIONS is double, halve."),
        (dropped("report"), "The last cell is not check.report(), tagged nbval-check-output."),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(omit, said):
    master, questions = small_exercise()
    assert list(make_exercises.lacks(master, PATH, questions)) == []
    omit(master)
    first, *_ = make_exercises.lacks(master, PATH, questions)
    assert first.startswith(said)


def test_points_and_the_table_of_contents_are_looked_at():
    master, questions = small_exercise()
    questions["halve"] = dataclasses.replace(questions["halve"], points=60)
    first, *_ = make_exercises.lacks(master, PATH, questions)
    assert first == "Its questions have 110 points together; an exercise has 100."
    elsewhere, (master, questions) = PATH.with_name("09-no-topic.ipynb"), small_exercise()
    assert list(make_exercises.lacks(master, elsewhere, questions)) == ["_toc.yml does not name exercises/09-no-topic."]
    with pytest.raises(notebooks.NotebookError, match=r"its name must begin with two digits, a hyphen and one of the"):
        make_exercises.topic_of(elsewhere)


def answers_of(master):
    """What a master hands in: the solution of each question, and its mistakes by their message."""
    handed_in, check = {}, exercises.Check()
    check.hand_in = lambda question, answer, message: handed_in.setdefault(question, {}).update({message: answer})
    scope = {}
    for _, source in submissions.code(master, "not-graded")[1:]:
        scope["check"] = check
        exec(re.sub(r"^from coursekit import check.*$", "", source, flags=re.MULTILINE), scope)
    return handed_in


@pytest.mark.replay  # once: it does not depend on the backend
def test_no_typical_mistake_passes_by_chance(path, master):
    """The inputs of a seed tell each of them from the solution, not only those of the public one."""
    seeds = range(1, {"normalization": 41, "inception": 41}.get(make_exercises.topic_of(path), 2))
    for question, answers in answers_of(master).items():
        if isinstance(question, Contest):
            continue
        solution = answers.pop(None)
        for seed in seeds:
            right = question.results(solution, question.draw(seed))
            assert question.judge(seed, right, right) == (question.points, "")
            for message, wrong in answers.items():
                found = question.results(wrong, question.draw(seed))
                assert question.judge(seed, right, found)[0] == 0, (seed, message)


def test_the_master_has_all_points(master):
    assert "100 of 100" in master.cells[-1].outputs[0].text, "run `make exercises`"


@pytest.mark.parametrize(
    ("source", "given"),
    [
        ("x = 1", "x = 1"),
        (
            "def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION",
            f"def f():\n    {make_exercises.TO_DO}",
        ),
        (
            "def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### GIVEN\n    # for _ in x:\n    #     y\n"
            "    ### END SOLUTION",
            "def f():\n    for _ in x:\n        y",
        ),
        (
            "a\n### BEGIN SOLUTION\nb\n### END SOLUTION\nc\n### BEGIN SOLUTION\nd\n### END SOLUTION",
            f"a\n{make_exercises.TO_DO}\nc\n{make_exercises.TO_DO}",
        ),
    ],
)
def test_a_solution_is_cut_out(source, given):
    assert make_exercises.without_solution(source) == given
