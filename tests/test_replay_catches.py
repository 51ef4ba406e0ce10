"""The test of the tests: whatever breaks a chapter's claims must make its replay fail.

A whole chapter takes minutes, so each test replays only the cells that a claim needs, in a copy of the package.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import symtable
import sys
from xml.etree import ElementTree

import nbformat
import notebooks
import pytest
import test_notebooks
from conftest import ROOT

CHAPTER = "book/01-transfer-learning.ipynb"
FROZEN, MOVES, ACCURACY = "transfer-frozen-untouched", "transfer-finetuned-moves", "transfer-scarce-freeze"

# Each replaces a function of coursekit.transfer by one with a classic bug.
FREEZE_FORGETS_BATCH_NORM = """
def freeze(model, n):
    model.trainable = True
    for layer in counted_layers(model)[:n]:
        layer.trainable = False
    return model
"""
UNFREEZE_TOP_UNFREEZES_NOTHING = """
def unfreeze_top(model, n):
    return freeze(model, len(counted_layers(model)))
"""


class Copy:
    """A copy of the package, to be broken, and the part of the chapter that some claims need."""

    def __init__(self, folder, *claim_ids):
        shutil.copytree(ROOT / "coursekit", folder / "coursekit", ignore=shutil.ignore_patterns("__pycache__"))
        self.folder = folder
        self.notebook = nbformat.read(ROOT / CHAPTER, as_version=4)
        self.notebook.cells = needed_cells(notebooks.code_cells(self.notebook), claim_ids)

    def break_package(self, code):
        with open(self.folder / "coursekit" / "transfer.py", "a") as file:
            file.write(code)

    def raise_record(self, claim_id, points):
        """Make the record say that every number of a claim was higher by so many points of a hundred."""
        path = self.folder / "coursekit" / "records" / "quick" / f"{claim_id}.json"
        record = json.loads(path.read_text())
        for condition in record["conditions"]:
            for name, series in condition["values"].items():
                condition["values"][name] = [number + points / 100 for number in series]
        path.write_text(json.dumps(record))

    def replay(self):
        """Run nbval on the cells. Returns the number of cells that failed."""
        path = self.folder / "part.ipynb"
        nbformat.write(self.notebook, path)
        command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600"]
        report = self.folder / "report.xml"
        command += ["--rootdir", self.folder, "-p", "no:cacheprovider", f"--junit-xml={report}", path]
        environment = os.environ | {"PYTHONPATH": str(self.folder)}
        done = subprocess.run(command, env=environment, cwd=self.folder, capture_output=True, text=True)
        suite = ElementTree.parse(report).find("testsuite")
        assert int(suite.get("tests")) == len(self.notebook.cells) and suite.get("errors") == "0", done.stdout
        return int(suite.get("failures"))


def needed_cells(cells, claim_ids):
    """Return the claims' cells, and those that bind, directly or not, a name that these read."""
    kept, wanted = [], set()
    for cell in reversed(cells):
        if set(test_notebooks.claims_in(cell)) & set(claim_ids) or names_bound(cell) & wanted or cell.id == "bootstrap":
            wanted |= names_read(cell)
            kept.insert(0, cell)
    return kept


def without_magics(cell):
    return re.sub(r"^(\s*)%.*", r"\1pass", cell.source, flags=re.MULTILINE)


def names_read(cell):
    return {node.id for node in ast.walk(ast.parse(without_magics(cell))) if isinstance(node, ast.Name)}


def names_bound(cell):
    """Return the global names a cell binds: what it assigns, defines or imports, but not a comprehension's variable."""
    table = symtable.symtable(without_magics(cell), cell.id, "exec")
    return {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}


@pytest.mark.replay
def test_as_committed_it_passes(tmp_path):
    assert Copy(tmp_path, FROZEN, MOVES, ACCURACY).replay() == 0


@pytest.mark.replay
def test_a_changed_output_is_caught(tmp_path):
    copy = Copy(tmp_path, FROZEN)
    (output,) = copy.notebook.cells[-1].outputs
    output.text = output.text.replace("confirmed", "refuted", 1)
    assert copy.replay() == 1


@pytest.mark.replay
def test_a_freeze_that_forgets_batch_norm_is_caught(tmp_path):
    copy = Copy(tmp_path, FROZEN)
    copy.break_package(FREEZE_FORGETS_BATCH_NORM)
    assert copy.replay() >= 1


@pytest.mark.replay
def test_an_unfreeze_top_that_unfreezes_nothing_is_caught(tmp_path):
    copy = Copy(tmp_path, MOVES)
    copy.break_package(UNFREEZE_TOP_UNFREEZES_NOTHING)
    assert copy.replay() >= 1


@pytest.mark.replay
def test_an_accuracy_that_fell_by_five_points_behind_the_same_verdict_is_caught(tmp_path):
    copy = Copy(tmp_path, ACCURACY)
    copy.raise_record(ACCURACY, points=5)
    assert copy.replay() == 1


def test_a_cell_without_execution_count_is_caught():
    notebook = nbformat.read(ROOT / CHAPTER, as_version=4)
    test_notebooks.test_every_cell_was_executed_in_order(notebook)
    notebooks.code_cells(notebook)[-1].execution_count = None
    with pytest.raises(AssertionError):
        test_notebooks.test_every_cell_was_executed_in_order(notebook)
