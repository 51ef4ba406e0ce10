"""The ledger page: numbers as they stand in the records, and a build that fails in a sentence where they do not fit."""

import json
import os
import shutil
import subprocess
import sys

import ledger
import numpy as np
import pytest
import scipy.stats
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from coursekit import claims


def record(**values):
    return {
        "comparisons": [{"relation": "greater", "values": values, "quantity": "accuracy"}],
        "run": {"device": "CPU", "date": "2026-01-01"},
    }


def said(text):
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("series", "is_log", "written"),
    [
        ([0.84, 0.85, 0.86], False, "0.850 ± 0.010"),
        ([0.0, 0.0, 0.0], False, "0"),
        ([1234567, 1234567], False, "1,234,567"),
        ([1000.0, 3000.0], False, "2,000 ± 1,414"),
        ([10.0, 20.0, 40.0], True, "20 ×/÷ 2"),
        ([7.0, 7.0], True, "7"),
    ],
)
def test_a_series_is_written_to_the_digits_of_its_spread(series, is_log, written):
    assert said(ledger.mean(series, is_log)) == written


@pytest.mark.parametrize(
    ("comparison", "line"),
    [
        (claims.equal(within=0.01, a=[1, 1, 1], b=[1, 1, 1]), "a 1 = b 1 (within 0.01)"),
        (claims.equal(a=[1, 1, 1], b=[1, 1, 1]), "a 1 = b 1"),
        (claims.equal(a=[1, 1, 1], nothing=0), "a 1 ≠ 0: fails"),
        (claims.every(top_layer=[2], middle=1), "top layer 2 > middle 1"),
        (claims.every(a=[1], b=[2]), "a 1, b 2: fails"),
        (claims.greater("accuracy", a=[2, 2, 2], b=1), "a 2 > b 1 (+1 to +1)"),
        (claims.greater("accuracy", a=[1, 1, 1], b=2), "a 1 < b 2 (−1 to −1): reversed"),
        (claims.greater("accuracy", a=[1, 1, 1], b=1), "a 1 ≈ b 1 (+0 to +0): no difference that matters"),
        (claims.same("accuracy", a=[1, 1, 1], b=1), "a 1 ≈ b 1 (+0 to +0)"),
        (claims.same("accuracy", a=[1, 1, 1], b=2), "a 1 ≠ b 2 (−1 to −1): differs"),
        (claims.greater("steps", a=[20, 20, 20], b=10), "a 20 > b 10 (× 2 to × 2)"),
        (
            claims.greater("accuracy", a=[0.1, 0.3, 0.2], b=0.1),
            "a 0.20 ± 0.10, b 0.1 (−0.47 to +0.67): undecided; about 15 seeds would decide",
        ),
        (
            claims.greater("accuracy", a=[-0.5, 0.5, 0], b=0),
            "a 0.00 ± 0.50, b 0 (−2.9 to +2.9): undecided; more than 1,000 seeds would decide",
        ),
    ],
)
def test_a_comparison_says_how_it_came_out(comparison, line):
    assert said(ledger.comparison_line(comparison)) == line


pairs = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=3, max_size=5)


@given(pairs, st.sampled_from(["accuracy", "steps"]))
def test_no_formula_is_false(pairs, quantity):
    first, second = (np.array(side) / 10 for side in zip(*pairs, strict=True))
    mean = scipy.stats.gmean if quantity == "steps" else np.mean
    line = ledger.comparison_line(claims.greater(quantity, a=first, b=second))
    assert (" > " in line) <= (mean(first) > mean(second)) and (" < " in line) <= (mean(first) < mean(second))
    assert (" > " in line or " < " in line) == ("undecided" not in line and "no difference" not in line)
    line = ledger.comparison_line(claims.equal(a=first, b=second))
    assert (" = " in line, line.endswith(": fails")) == ((first == second).all(), (first != second).any())
    line = ledger.comparison_line(claims.every(a=first, b=second))
    assert (" > " in line, line.endswith(": fails")) == ((first > second).all(), (first <= second).any())


def test_the_full_profile_shows_a_verdict_of_its_own():
    refuted = record(a=[1, 1, 1], b=[2, 2, 2])
    text = "".join(node.astext() for node in ledger.numbers(refuted, "confirmed"))
    assert "refuted" in text and "3 seeds" in text
    assert "refuted" not in "".join(node.astext() for node in ledger.numbers(refuted, "refuted"))


def test_a_check_names_no_seeds():
    check = {
        "comparisons": [{"relation": "equal", "values": {"a": [1], "b": [1]}}],
        "run": {"device": "CPU", "date": ""},
    }
    assert "seeds" not in "".join(node.astext() for node in ledger.numbers(check, "confirmed"))


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
