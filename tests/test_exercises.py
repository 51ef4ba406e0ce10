"""The exercises: what students get is what the masters give, and nothing that helps beyond that."""

import re

import nbformat
import notebooks
import pytest
from conftest import ROOT

import exercises
from coursekit import checks
from coursekit.checks import values
from coursekit.checks.question import Contest
from coursekit.grading import submissions

MASTERS = sorted(ROOT.glob(exercises.MASTERS))


@pytest.fixture(params=MASTERS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def master(path):
    return nbformat.read(path, as_version=4)


@pytest.fixture
def student(path):
    return nbformat.read(ROOT / "book" / "exercises" / path.name, as_version=4)


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def test_every_topic_has_a_master_and_a_hundred_points():
    assert [exercises.topic_of(path) for path in MASTERS] == list(checks.TOPICS)
    for topic in checks.TOPICS:
        assert sum(question.points for question in checks.questions(topic).values()) == 100


def test_the_students_notebook_is_up_to_date(master, student):
    assert exercises.derive(master) == student, "run `make exercises`"


def test_the_first_cell_installs(master):
    assert notebooks.code_cells(master)[0].source == exercises.bootstrap(master), "run `make exercises`"


@pytest.mark.keras
def test_what_is_expected_is_up_to_date(path, master):
    topic = exercises.topic_of(path)
    recorded, now = checks.expected(topic), exercises.answered(master, topic)
    assert recorded.keys() == now.keys()
    for name, question in checks.questions(topic).items():
        if isinstance(question, Contest):
            continue
        assert [message for message, _ in now[name]["mistakes"]] == [
            message for message, _ in recorded[name]["mistakes"]
        ], "run `make exercises`"
        for on_file, results in zip(answers_in(recorded[name]), answers_in(now[name]), strict=True):
            # The last bits are another processor's or backend's: what is far from a student's limit is the same.
            clause = values.difference(on_file, results, question.rtol / 10, question.atol / 10)
            assert clause == "", f"{name}: {clause}; run `make exercises`"


def answers_in(key):
    """The results of a question's solution, and of its typical mistakes."""
    return [key["solution"], *(results for _, results in key["mistakes"])]


def test_nothing_of_a_solution_is_left(master, student):
    text = nbformat.writes(student)
    assert "SOLUTION" not in text and "mistake" not in text and "GIVEN" not in text
    for cell in notebooks.code_cells(master):
        for match in exercises.SOLUTION.finditer(cell.source):
            solution, _, given = match[2].partition("### GIVEN")
            for line in map(str.strip, solution.splitlines()):
                assert len(line) < 25 or line in given or line not in text, line


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def test_the_number_of_questions_is_what_the_texts_say(path, master):
    number = NUMBERS[len(checks.questions(exercises.topic_of(path)))]
    assert f"{number.capitalize()} questions, 100 points" in master.cells[0].source, "the first cell counts differently"
    assert f"a graded exercise: {number} questions" in (ROOT / "book" / "index.md").read_text(), (
        "index.md counts differently"
    )


def test_each_question_has_the_name_of_its_function(path, master):
    text = "\n".join(cell.source for cell in master.cells)
    for name, question in checks.questions(exercises.topic_of(path)).items():
        assert f'\ncheck("{name}", {question.function})' in f"\n{text}", f"the check of {name} names another function"
        assert f"\ndef {question.function}(" in text, f"no cell defines {question.function}, the function of {name}"


def test_each_question_is_asked_once_and_has_two_typical_mistakes(path, master):
    checked = [name for cell in master.cells for name in checked_in(cell)]
    assert checked == list(checks.questions(exercises.topic_of(path)))
    text = "\n".join(cell.source for cell in tagged(master, "mistake"))
    assert all(len(re.findall(rf'^check\.mistake\(\s*"{name}"', text, re.MULTILINE)) >= 2 for name in checked)


def answers_of(master):
    """What a master hands in: the solution of each question, and its mistakes by their message."""
    handed_in, check = {}, checks.Check()
    check.hand_in = lambda question, answer, message: handed_in.setdefault(question, {}).update({message: answer})
    scope = {}
    for _, source in submissions.code(master, "not-graded")[1:]:
        scope["check"] = check
        exec(re.sub(r"^from coursekit import check.*$", "", source, flags=re.MULTILINE), scope)
    return handed_in


@pytest.mark.replay  # once: it does not depend on the backend
def test_no_typical_mistake_passes_by_chance(path, master):
    """The inputs of a seed tell each of them from the solution, not only those of the public one."""
    seeds = range(1, {"normalization": 41, "inception": 41}.get(exercises.topic_of(path), 2))  # Keras takes its time
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


def checked_in(cell):
    return [line.split('"')[1] for line in cell.source.splitlines() if line.startswith('check("')]


def test_the_master_passes_and_its_points_are_compared(master):
    """Those of a contest in the report only: its check prints a measured number, too."""
    for cell in notebooks.code_cells(master):
        for name in checked_in(cell):
            (output,) = cell.outputs
            assert output.text.startswith("✓ passed")
            question, _ = checks.find(name)
            assert ("nbval-check-output" in cell.metadata.get("tags", [])) != isinstance(question, Contest), name
    (report,) = (cell for cell in tagged(master, "nbval-check-output") if "check.report()" in cell.source)
    assert "100 of 100" in report.outputs[0].text


def test_a_student_sees_points_hints_and_the_chapter(path, student):
    text = "\n".join(cell.source for cell in student.cells if cell.cell_type == "markdown")
    for question in checks.questions(exercises.topic_of(path)).values():
        assert f"({question.points} points)" in text
    assert text.count("<details><summary>Hint</summary>") >= 6
    assert text.count("**Predict.**") >= 6
    assert f"](../{path.name})" in text


@pytest.mark.parametrize(
    ("source", "given"),
    [
        ("x = 1", "x = 1"),
        ("def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION", f"def f():\n    {exercises.TO_DO}"),
        (
            "def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### GIVEN\n    # for _ in x:\n    #     y\n"
            "    ### END SOLUTION",
            "def f():\n    for _ in x:\n        y",
        ),
        (
            "a\n### BEGIN SOLUTION\nb\n### END SOLUTION\nc\n### BEGIN SOLUTION\nd\n### END SOLUTION",
            f"a\n{exercises.TO_DO}\nc\n{exercises.TO_DO}",
        ),
    ],
)
def test_a_solution_is_cut_out(source, given):
    assert exercises.without_solution(source) == given
