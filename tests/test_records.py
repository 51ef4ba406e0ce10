"""Records: written by the maintainers' command only, whole or not at all, and kept where no number changed."""

import datetime
import json
import pathlib
import re
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit import records


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder of records, in a session of the maintainers' command."""
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    monkeypatch.setenv("COURSEKIT_RECORD", "1")
    monkeypatch.delenv("COURSEKIT_PROFILE", raising=False)
    return tmp_path


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_readers_run_writes_nothing(folder, monkeypatch):
    monkeypatch.delenv("COURSEKIT_RECORD")
    records.write("run", {"accuracy": [0.5]})
    assert list(folder.iterdir()) == []


def test_what_is_written_can_be_read(folder, monkeypatch):
    records.write("run", {"accuracy": np.array([0.5, 0.25]), "label": "½", "epochs": 3, "nested": {"a": [1, None]}})
    assert files(folder) == ["quick/run.json"]
    record = records.read("run")
    run = record.pop("run")
    assert record == {"accuracy": [0.5, 0.25], "label": "½", "epochs": 3, "nested": {"a": [1, None]}}
    assert run["profile"] == "quick"
    assert run["date"] == datetime.date.today().isoformat()
    assert run.keys() == {"profile", "backend", "device", "versions", "date"}

    monkeypatch.setenv("COURSEKIT_PROFILE", "full")
    assert records.read("run") is None
    records.write("run", {"accuracy": [0.9]})
    assert records.read("run", "quick")["accuracy"] == [0.5, 0.25]
    assert records.read("run")["accuracy"] == records.read("run", "full")["accuracy"] == [0.9]
    assert records.read_all() == {(p, "run"): records.read("run", p) for p in ("full", "quick")}


def test_the_same_numbers_keep_the_file_and_its_date(folder):
    path = folder / "quick" / "run.json"
    records.write("run", {"loss": [0.1234564, 2]})
    path.write_text(path.read_text().replace(datetime.date.today().isoformat(), "2001-02-03"))
    before = path.read_bytes()
    records.write("run", {"loss": np.array([0.12345641, 2])})
    assert path.read_bytes() == before
    records.write("run", {"loss": [0.12346, 2]})
    assert records.read("run")["run"]["date"] == datetime.date.today().isoformat()
    assert records.read("run")["loss"] == [0.12346, 2]


@settings(max_examples=50)
@given(number=st.floats(-1e30, 1e30, allow_subnormal=False))
def test_six_digits(number):
    records.write("number", {"number": number})
    on_file = records.read("number")["number"]
    assert on_file == pytest.approx(number, rel=5.01e-6, abs=0)
    assert len(Decimal(repr(on_file)).normalize().as_tuple().digits) <= 6


def test_an_interrupted_write_leaves_the_old_record(folder, monkeypatch):
    records.write("run", {"loss": [1.0]})
    before = (folder / "quick" / "run.json").read_bytes()
    write_text = pathlib.Path.write_text

    def interrupted(path, text, *options):
        write_text(path, text[: len(text) // 2], *options)
        raise KeyboardInterrupt

    monkeypatch.setattr(pathlib.Path, "write_text", interrupted)
    with pytest.raises(KeyboardInterrupt):
        records.write("run", {"loss": [2.0]})
    assert (folder / "quick" / "run.json").read_bytes() == before
    assert list(records.read_all()) == [("quick", "run")]


def test_every_recorded_run_is_there_once_and_says_of_which_experiment_it_is():
    paths = sorted((pathlib.Path(records.__file__).parent / "records").rglob("*.jsonl"))
    assert paths
    for path in paths:
        runs = records.read_runs(path)
        keys = [json.dumps([run["choices"], run["seed"]]) for run in runs]
        assert runs and len(keys) == len(set(keys)), path.name
        of_choices = {(json.dumps(run["choices"]), run["of"]) for run in runs}
        assert len(of_choices) == len({choices for choices, _ in of_choices}), path.name
        assert all(re.fullmatch("[0-9a-f]{12}", run["of"]) for run in runs), path.name
        assert all(run["run"].keys() == {"date", "backend", "device", "versions"} for run in runs), path.name


def test_the_package_s_own_records_are_whole(monkeypatch):
    monkeypatch.setattr(records, "FOLDER", pathlib.Path(records.__file__).parent / "records")
    on_file = records.read_all()
    assert on_file
    for (profile, name), record in on_file.items():
        assert record["run"]["profile"] == profile
        assert record.get("claim", name) == name
        assert json.loads(json.dumps(record, allow_nan=False)) == record
