"""The ledger page: numbers as they stand in the records, and a build that fails in a sentence where they do not fit."""

import json
import os
import shutil
import subprocess
import sys

import ledger
import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from coursekit import claims


def record(verdict="confirmed", outcome="holds", **values):
    return {
        "verdict": verdict,
        "conditions": [{"relation": "greater", "values": values, "outcome": outcome, "within": 0.0}],
        "run": {"device": "CPU", "date": "2026-01-01"},
    }


@pytest.mark.parametrize(
    ("series", "written"),
    [
        ([0.84, 0.85, 0.86], "0.850 ± 0.010"),
        ([0.0, 0.0, 0.0], "0"),
        ([1234567, 1234567], "1,234,567"),
        ([1000.0, 3000.0], "2,000 ± 1,414"),
    ],
)
def test_a_series_is_written_to_the_digits_of_its_spread(series, written):
    assert ledger.mean(series).replace("\N{NO-BREAK SPACE}", " ") == written


def test_a_condition_that_does_not_hold_says_so():
    (condition,) = record(outcome="reversed", top_layer=[1, 1, 1], middle=[2, 2, 2])["conditions"]
    assert ledger.condition_line(condition) == "top layer 1 < middle 2: reversed"


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=3, max_size=5))
def test_no_formula_is_false(pairs):
    first, second = (np.array(side) / 10 for side in zip(*pairs, strict=True))
    said = ledger.condition_line(vars(claims.greater(a=first, b=second)))
    assert (" > " in said, " < " in said) in {
        (first.mean() > second.mean(), first.mean() < second.mean()),
        (False, False),
    }
    assert (" > " in said or " < " in said) == (not said.endswith(": open"))
    said = ledger.condition_line(vars(claims.equal(a=first, b=second)))
    assert (" = " in said, said.endswith(": reversed")) == ((first == second).all(), (first != second).any())


def test_an_equality_with_a_tolerance_says_so():
    condition = vars(claims.equal(within=0.01, a=[1, 1, 1], b=[1, 1, 1]))
    assert ledger.condition_line(condition) == "a 1 = b 1 (within 0.01)"
    assert ledger.condition_line(condition | {"within": 0.0}) == "a 1 = b 1"


def test_the_full_profile_shows_a_verdict_of_its_own():
    said = "".join(node.astext() for node in ledger.numbers(record("refuted", a=[1, 1, 1], b=[2, 2, 2]), "confirmed"))
    assert "refuted" in said and "3 seeds" in said


@pytest.mark.site
@pytest.mark.parametrize("damage", ["no record", "unknown claim", "twice"])
def test_claims_that_do_not_fit_fail_the_build_in_a_sentence(tmp_path, damage):
    for name in ("_config.yml", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: claims\n")  # the other pages would only take longer
    for name in ("book", "coursekit", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    package = tmp_path / "coursekit"
    a_record = next(path for path in package.glob("records/quick/*.json") if "claim" in json.loads(path.read_text()))
    statements = package / "claims.toml"
    if damage == "no record":
        for path in package.glob(f"records/*/{a_record.name}"):
            path.unlink()
    elif damage == "unknown claim":
        shutil.copy(a_record, a_record.with_name("transfer-moon.json"))
    else:
        statements.write_text(statements.read_text() * 2)

    command = [sys.executable, tmp_path / "tools" / "book.py", tmp_path]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 1
    said = done.stderr.strip().splitlines()
    sentence = {"no record": a_record.stem, "unknown claim": "transfer-moon", "twice": "twice"}[damage]
    assert sentence in done.stderr and "Traceback" not in done.stderr and len(said) <= 4, done.stderr
