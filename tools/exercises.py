"""Make what students get from the masters of the exercises: `make exercises`, or one of them with `EX=path`.

A master in exercises/ has the solutions, and after each question typical mistakes (cells tagged `mistake`). From it
come the student's notebook in book/exercises/, and what solution and mistakes answer to the public inputs, which is
all that `check` knows. The master itself is executed and written back, as chapters are.

In a master, what stands between `### BEGIN SOLUTION` and `### END SOLUTION` is the solution. Students get the lines
that follow a `### GIVEN` there, without their comment signs, or else a line that raises NotImplementedError.
"""

import re
import sys
from pathlib import Path

import nbformat
import notebooks
import numpy as np

from coursekit import checks
from coursekit.checks import values
from coursekit.grading import grade, submissions

ROOT = Path(__file__).parents[1]
MASTERS = "exercises/[0-9]*.ipynb"
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n(.*?)^ *### END SOLUTION\n?", re.DOTALL | re.MULTILINE)
TO_DO = 'raise NotImplementedError("Your code goes here.")'


def topic_of(path):
    """The topic of an exercise, from the name of its file: 02-normalization.ipynb."""
    return next(topic for topic in checks.TOPICS if path.stem[3:].startswith(topic))


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


def answered(master, topic):
    """What solution and mistakes of a master answer to the public inputs, by question."""
    try:
        return grade.key(submissions.code(master, "not-graded"), topic, checks.PUBLIC_SEED, "none")["questions"]
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
    committed = nbformat.read(path, as_version=4)
    master = nbformat.from_dict(committed)
    next(iter(notebooks.code_cells(master))).source = bootstrap(master)
    topic = topic_of(path)
    target = checks.EXPECTED / topic
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(values.pack(shortened(answered(master, topic))))
    run = notebooks.execute(master, path.parent)
    notebooks.normalize(master, run)
    if notebooks.without_run(master) != notebooks.without_run(committed):
        nbformat.write(master, path)
    nbformat.write(derive(master), ROOT / "book" / "exercises" / path.name)
    return f"{len(checks.questions(topic))} questions, {run['seconds']} s"


def main(paths):
    for path in paths:
        try:
            print(f"{path.relative_to(ROOT)}: {refresh(path)}")
        except notebooks.NotebookError as error:
            sys.exit(f"{path.relative_to(ROOT)}: {str(error).rstrip('.')}.")


if __name__ == "__main__":
    main([Path(name).resolve() for name in sys.argv[1:]] or sorted(ROOT.glob(MASTERS)))
