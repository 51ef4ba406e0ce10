"""The replay measures what memory a notebook takes, and fails where it is too much."""

import os
import subprocess
import sys

import nbformat
import peaks
import pytest
from conftest import ROOT
from nbformat.v4 import new_code_cell, new_notebook

LARGE = "exercises/large.ipynb"


@pytest.fixture
def replay(tmp_path):
    """Replays a notebook that takes 1.1 GB in its second cell and gives them back, beside a small one."""
    (tmp_path / "exercises").mkdir()
    for name, second in ((LARGE, "len(b'x' * 1_100_000_000)"), ("exercises/small.ipynb", "1")):
        cells = [new_code_cell(source, execution_count=1) for source in ("0", second, "2")]
        nbformat.write(new_notebook(cells=cells), tmp_path / name)

    def run(*options, **environment):
        command = [sys.executable, "-m", "pytest", "-p", "tools.peaks", "--nbval-lax", "--nbval-current-env"]
        # Without the short summary: where CI is set, it repeats what the failures say.
        command += ["-p", "no:cacheprovider", "-rN", "--rootdir", tmp_path, *options, tmp_path]
        return subprocess.run(command, env=os.environ | environment, cwd=ROOT, capture_output=True, text=True).stdout

    return run


@pytest.mark.replay
@pytest.mark.parametrize("options", [[], ["-n", "2", "--dist=loadfile"]])
def test_a_notebook_that_takes_too_much_fails_in_the_cell_that_does(replay, options):
    said = replay(*options, COURSEKIT_PROFILE="quick")
    assert "1 failed, 5 passed" in said
    assert f"{LARGE}::Cell 1" in said
    assert said.count(" GB of memory of its own from this cell on; let it stay below 0.7 GB.\n") == 1
    table = said[said.index("peak memory of the kernels") :].splitlines()[1:3]
    (large, of_large), (small, of_small) = (line.split(" GB  ") for line in table)
    assert (of_large, of_small) == (LARGE, "exercises/small.ipynb")
    assert float(small) < 0.3 < 1.1 < float(large) < 1.4


@pytest.mark.replay
def test_the_full_profile_has_no_limit(replay):
    assert "6 passed" in replay(COURSEKIT_PROFILE="full")


@pytest.mark.replay
def test_a_kernel_that_had_to_be_stopped_has_no_peak(replay, tmp_path):
    deaf = "while True:\n    try:\n        while True:\n            pass\n    except KeyboardInterrupt:\n        pass"
    cells = [new_code_cell(source, execution_count=1) for source in (deaf, "1")]
    nbformat.write(new_notebook(cells=cells), tmp_path / "exercises" / "deaf.ipynb")
    assert "1 failed, 6 deselected, 1 xfailed" in replay("--nbval-cell-timeout=5", "-k", "deaf")


def test_a_process_that_is_not_to_be_seen_has_no_peak():
    assert peaks.peak_memory(os.getpid()) > 0.01
    assert peaks.peak_memory(-1) == 0
