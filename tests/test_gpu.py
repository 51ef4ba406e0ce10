"""The command for a borrowed GPU, tried on the processor: it stops when the time is over, and goes on the next time."""

import tarfile

import gpu
import pytest

from coursekit import records

pytestmark = pytest.mark.only_on("tensorflow")  # no backend computes here

# A chapter of seven runs, of which the fourth never ends where it is told so.
CHAPTER = """
import os, pathlib, signal
from coursekit import experiments, records, runtime

runtime.describe = dict
records.FOLDER = pathlib.Path({folder!r})
os.environ["COURSEKIT_RECORD"] = "1"


def run(n, seed):
    while n == 3 and os.environ.get("HANGS"):
        signal.pause()
    return {{"square": n * n}}


assert os.environ["COURSEKIT_PROFILE"] == "full" and os.environ["KERAS_BACKEND"]
try:
    experiments.sweep(run, n=range(7), seeds=range(1), name="squares", again=[])
finally:
    pathlib.Path({folder!r}, "put back").touch()
"""


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    script = tmp_path / "chapter.py"
    script.write_text(CHAPTER.format(folder=str(tmp_path / "records")))
    broken = tmp_path / "broken.py"
    broken.write_text("import sys; sys.exit(3)")
    monkeypatch.setattr(gpu, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(gpu, "JOBS", {"broken": (broken,), "chapter": (script,), "after": (broken,)})
    monkeypatch.delenv("PYTEST_VERSION")
    return tmp_path


def made(folder):
    return [run["choices"]["n"] for run in records.read_runs(folder / "records" / "full" / "squares.jsonl")]


def test_it_stops_when_the_time_is_over_and_goes_on_the_next_time(chapter, monkeypatch, capfd):
    monkeypatch.setattr(gpu, "GRACE", 600)  # it ends at once, but for a machine that has much else to do
    monkeypatch.setattr("sys.argv", ["gpu.py", "--minutes", "0.07"])
    monkeypatch.setenv("HANGS", "1")
    gpu.main()
    said = capfd.readouterr().out
    assert "failed with exit code 3" in said  # and does not keep the others from running
    assert "stopped, as the time is over" in said
    assert "── no time for after ──" in said
    some = made(chapter)
    assert some == list(range(len(some))) and len(some) <= 3  # as far as it came
    assert (chapter / "records" / "put back").exists() or not some

    monkeypatch.setattr("sys.argv", ["gpu.py", "--only", "chapter", "--out", str(chapter / "records.tar.gz")])
    monkeypatch.delenv("HANGS")
    gpu.main()
    assert made(chapter) == list(range(7))
    assert f"finished\nsquares: {7 - len(some)} new runs\n" in capfd.readouterr().out
    with tarfile.open(chapter / "records.tar.gz") as archive:
        assert "coursekit/records/full/squares.jsonl" in archive.getnames()


def test_it_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu, "PACKED", tmp_path)
    monkeypatch.setattr(gpu, "PACKAGES", ("no_such_package",))
    with pytest.raises(SystemExit, match=r"there is no .gpu/wheels; run `tools/gpu.py pack` where there is a network"):
        gpu.unpack()


def test_its_work_is_there():
    for _, (tool, *arguments) in gpu.JOBS.items():
        assert (gpu.ROOT / tool).is_file()
        assert (gpu.ROOT / arguments[0]).is_file() or arguments[0] == "table"
