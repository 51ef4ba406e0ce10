"""The ledger page: a build that fails in a sentence where claims and records do not fit."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT


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
