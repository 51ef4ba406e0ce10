"""The GitHub workflows: well-formed, and safe by zizmor's rules (pinned actions, least permissions, no injection)."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

BIN = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_it_follows_the_schema(workflow):
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", workflow]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_they_are_safe():
    command = [BIN / "zizmor", "--offline", "--no-progress", ROOT / ".github" / "workflows"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_pull_request_never_reaches_the_gpu_runner():
    for workflow in WORKFLOWS:
        text = workflow.read_text()
        assert "GPU_RUNNER" not in text or "pull_request" not in text


def test_the_makefile_has_what_they_call():
    targets = {line.partition(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if ":" in line}
    for workflow in WORKFLOWS:
        for line in workflow.read_text().splitlines():
            if "run: make" in line:
                assert line.split("make")[1].split()[0] in targets, f"{workflow.name}: {line.strip()}"
