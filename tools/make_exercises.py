"""Make what students get from the masters of the exercises: `make exercises`, or one of them with `EX=path`.

A master in exercises/ has the solutions, and after each question typical mistakes (cells tagged `mistake`). From it
come the student's notebook in book/exercises/, and what solution and mistakes answer to the public inputs, which is
all that `check` knows. The master itself is executed and written back, as chapters are.

What a finished exercise has and this one lacks, it says in the end, a sentence each.

In a master, what stands between `### BEGIN SOLUTION` and `### END SOLUTION` is the solution. Students get the lines
that follow a `### GIVEN` there, without their comment signs, or else a line that raises NotImplementedError.
"""

import os
import re
import sys
from pathlib import Path

import nbformat
import notebooks
import numpy as np

from coursekit import exercises
from coursekit.exercises import values
from coursekit.exercises.question import Contest
from coursekit.grading import grade, submissions

ROOT = Path(__file__).parents[1]
MASTERS = "exercises/[0-9]*.ipynb"
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n(.*?)^ *### END SOLUTION\n?", re.DOTALL | re.MULTILINE)
CHECKED = re.compile(r'^check\("([^"]*)", (\w+)\)', re.MULTILINE)
NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")
TO_DO = 'raise NotImplementedError("Your code goes here.")'


def topic_of(path):
    """The topic of an exercise, from the name of its file: 02-normalization.ipynb."""
    for topic in exercises.TOPICS:
        if re.match(rf"\d\d-{topic}", path.stem):
            return topic
    raise notebooks.NotebookError(
        "its name must begin with two digits, a hyphen and one of the TOPICS in coursekit/exercises/__init__.py: "
        f"{', '.join(exercises.TOPICS)}"
    )


def bootstrap(master):
    """The first code cell: that of the chapters, without the setup, which takes seconds, where Keras is not used."""
    uses_keras = any("import keras" in cell.source for cell in notebooks.code_cells(master))
    return notebooks.bootstrap() if uses_keras else notebooks.bootstrap().removesuffix("\n\ncoursekit.setup()")


def without_solution(source):
    """What students get of a cell's source."""

    def given(match):
        indent, solution = match.groups()
        _, found, lines = solution.partition(f"{indent}### GIVEN\n")
        return re.sub(r"^( *)# ?", r"\1", lines, flags=re.MULTILINE) if found else f"{indent}{TO_DO}\n"

    return SOLUTION.sub(given, source).rstrip("\n")


def derive(master):
    """The student's notebook of a master, without outputs."""
    student = nbformat.from_dict(master)
    student.cells = [cell for cell in student.cells if "mistake" not in cell.metadata.get("tags", [])]
    for cell in student.cells:
        kept = [tag for tag in cell.metadata.get("tags", []) if tag == "not-graded"]
        cell.metadata = nbformat.from_dict({"tags": kept} if kept else {})
        if cell.cell_type == "code":
            cell.source, cell.outputs, cell.execution_count = without_solution(cell.source), [], None
    student.metadata = nbformat.from_dict(notebooks.NOTEBOOK_METADATA)
    return student


def checked_in(cell):
    """The ids that a cell checks, and the names of the functions that it hands over, in pairs."""
    return CHECKED.findall(cell.source) if cell.cell_type == "code" else []


def tagged(cell, tag):
    return tag in cell.metadata.get("tags", [])


def lacks(master, path, questions):
    """Yield what a finished exercise has and this master lacks, a sentence each. questions: dict by their id."""
    together = sum(question.points for question in questions.values())
    if together != 100:
        yield f"Its questions have {together} points together; an exercise has 100."
    first, last = master.cells[0].source, master.cells[-1]
    if not first.startswith("# "):
        yield "The first cell has no title, a line that begins with a #."
    number = NUMBERS[len(questions)] if len(questions) < len(NUMBERS) else len(questions)
    if f"{number} questions, 100 points" not in first:
        yield f'The first cell does not say "{number} questions, 100 points".'
    if (ROOT / "book" / path.name).is_file() and f"](../{path.name})" not in first:
        yield f"The first cell has no link to its chapter, (../{path.name})."
    if "check.report()" not in last.source or not tagged(last, "nbval-check-output"):
        yield "The last cell is not check.report(), tagged nbval-check-output."
    for cell in notebooks.code_cells(master):
        if "check.mistake(" in cell.source and not tagged(cell, "mistake"):
            yield f"The cell `{notebooks.head(cell)}` is not tagged mistake, so that students would see it."
    if f"file: exercises/{path.stem}\n" not in (ROOT / "_toc.yml").read_text("utf-8"):
        yield f"_toc.yml does not name exercises/{path.stem}."
    yield from _lacks_questions(master, questions)


def _lacks_questions(master, questions):
    asked = [name for cell in master.cells for name, _ in checked_in(cell)]
    for name, question in questions.items():
        if name not in asked:
            yield f'{name}: no cell checks it; write check("{name}", {question.function}).'
    if set(asked) >= questions.keys() and asked != list(questions):
        yield f"The cells check {', '.join(asked)}, but the order of QUESTIONS is {', '.join(questions)}."
    part = []
    for cell in master.cells:
        part += [] if tagged(cell, "mistake") else [cell]
        for name, function in checked_in(cell):
            if name in questions:
                place = list(questions).index(name) + 1
                yield from (f"{name}: {clause}." for clause in _lacks(part, cell, place, function, questions[name]))
            part = []
    mistakes = "\n".join(cell.source for cell in master.cells if tagged(cell, "mistake"))
    for name in questions:
        found = len(re.findall(rf'^check\.mistake\(\s*"{name}"', mistakes, re.MULTILINE))
        if found < 2:
            yield f"{name}: it has {found or 'no'} typical mistake in a cell tagged mistake; write at least two."


def _lacks(part, check, place, function, question):
    """Yield what is wrong with a question's part of the master, a clause each.

    part: its cells but those of mistakes, up to the one that checks it. function: what that hands over.
    """
    text = "\n".join(cell.source for cell in part if cell.cell_type == "markdown")
    heading = f"## {place}. … ({question.points} points)"
    if not re.search(rf"^## {place}\. .+ \({question.points} points\)$", text, re.MULTILINE):
        yield f'its statement has no heading "{heading}"'
    for what, is_there in (("**Predict.**", "**Predict.**" in text), ("hint", "<summary>Hint</summary>" in text)):
        if not is_there:
            yield f"its statement has no {what}"
    if function != question.function:
        yield f"its check is given {function}, and its function in QUESTIONS is {question.function}"
    (answer, *_) = [cell.source for cell in part if f"def {question.function}(" in cell.source] or [""]
    if not answer:
        yield f"no cell before its check defines {question.function}"
    elif not SOLUTION.search(answer):
        yield "its solution is not between ### BEGIN SOLUTION and ### END SOLUTION, so that students would see it"
    if isinstance(question, Contest) and tagged(check, "nbval-check-output"):
        yield "its check prints a measured number, and must not be tagged nbval-check-output"
    if not isinstance(question, Contest) and not tagged(check, "nbval-check-output"):
        yield "its check is not tagged nbval-check-output"
    said = "".join(output.get("text", "") for output in check.get("outputs", []))
    if not said:
        yield "its check has not run; run make exercises"
    elif not said.startswith("✓ passed"):
        yield f"of its solution, the check says: {' '.join(said.split()).rstrip('.')}"


def answered(master, topic):
    """What solution and mistakes of a master answer to the public inputs, by question."""
    try:
        return grade.key(submissions.code(master, "not-graded"), topic, exercises.PUBLIC_SEED, "none")["questions"]
    except ValueError as error:
        raise notebooks.NotebookError(str(error)) from None


def shortened(value):
    """The same plain value in single precision: further digits would only make the file larger."""
    if isinstance(value, dict):
        return {key: shortened(of_key) for key, of_key in value.items()}
    if isinstance(value, list):
        return [shortened(entry) for entry in value]
    return value.astype("float32") if isinstance(value, np.ndarray) and value.dtype == "float64" else value


def refresh(path):
    """Make everything from one master; returns what happened."""
    committed, topic = notebooks.read(path), topic_of(path)
    master = nbformat.from_dict(committed)
    first = next(iter(notebooks.code_cells(master)), None)
    if first is None or "    import coursekit" not in first.source:  # which would be written over
        raise notebooks.NotebookError("the first code cell must be the one that installs; copy it from another master")
    first.source = bootstrap(master)
    target = exercises.EXPECTED / topic
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(values.pack(shortened(answered(master, topic))))
    run = notebooks.execute(master, path.parent)
    notebooks.normalize(master, run)
    if notebooks.without_run(master) != notebooks.without_run(committed):
        nbformat.write(master, path)
    nbformat.write(derive(master), ROOT / "book" / "exercises" / path.name)
    questions = exercises.questions(topic)
    return "\n  ".join([f"{len(questions)} questions, {run['seconds']} s", *lacks(master, path, questions)])


def main(paths):
    for path in paths:
        try:
            print(f"{os.path.relpath(path)}: {refresh(path)}")
        except notebooks.NotebookError as error:
            sys.exit(f"{os.path.relpath(path)}: {str(error).rstrip('.')}.")


if __name__ == "__main__":
    main([Path(name).resolve() for name in sys.argv[1:]] or sorted(ROOT.glob(MASTERS)))
