"""Sweeps: every run once, in order, after an interruption too; and what is read from a record."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from coursekit import experiments, records


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    for variable in ("COURSEKIT_RESUME", "COURSEKIT_PROFILE", "COURSEKIT_SWEEPS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize(
    ("variables", "silent"),
    [({}, False), ({"PYTEST_VERSION": "9"}, True), ({"COURSEKIT_RECORD": "1"}, True)],
)
def test_bar_is_silent_where_nobody_watches(monkeypatch, variables, silent):
    for name in ("PYTEST_VERSION", "COURSEKIT_RECORD"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    bar = experiments.bar(range(3))
    assert bar.disable is silent
    assert list(bar) == [0, 1, 2]


def numbered(calls):
    """An experiment whose numbers tell all that it was given, and that notes its calls."""

    def run(width, name, seed):
        calls.append((width, name, seed))
        return {"sum": 100 * width + 10 * "ab".index(name) + seed, "seed": seed}

    return run


EVERY_RUN = [(width, name, seed) for width in (1, 2) for name in "ab" for seed in range(3)]


def assert_complete(results):
    assert list(results) == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]
    for (width, name), numbers in results.items():
        assert numbers.keys() == {"sum", "seed"}
        assert_array_equal(numbers["sum"], 100 * width + 10 * "ab".index(name) + np.arange(3))
        assert_array_equal(numbers["seed"], [0, 1, 2])
        assert numbers["sum"].dtype == np.float64


def test_sweep_runs_everything_in_order():
    calls = []
    assert_complete(experiments.sweep(numbered(calls), (1, 2), "ab", seeds=range(3), name="numbers"))
    assert calls == EVERY_RUN
    experiments.sweep(numbered(calls), (1, 2), "ab", seeds=range(3), name="numbers")
    assert calls == EVERY_RUN * 2  # nothing is kept unless asked for


def test_sweep_over_one_choice_has_plain_keys():
    results = experiments.sweep(lambda n, seed: {"n": n + seed}, [5, 3], seeds=range(3), name="one")
    assert {key: numbers["n"].tolist() for key, numbers in results.items()} == {5: [5, 6, 7], 3: [3, 4, 5]}


def test_an_interrupted_sweep_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEKIT_RESUME", str(tmp_path / "new"))
    calls = []
    run = numbered(calls)

    def interrupted(*choices, seed):
        if len(calls) == 5:
            raise KeyboardInterrupt
        return run(*choices, seed=seed)

    with pytest.raises(KeyboardInterrupt):
        experiments.sweep(interrupted, (1, 2), "ab", seeds=range(3), name="numbers")
    assert calls == EVERY_RUN[:5]
    assert_complete(experiments.sweep(run, (1, 2), "ab", seeds=range(3), name="numbers"))
    assert calls == EVERY_RUN
    assert_complete(experiments.sweep(run, (1, 2), "ab", seeds=range(3), name="numbers"))
    assert calls == EVERY_RUN
    experiments.sweep(run, (1, 2), "ab", seeds=range(3), name="others")
    assert calls == EVERY_RUN * 2  # another sweep has its own results
    monkeypatch.setenv("COURSEKIT_PROFILE", "full")
    experiments.sweep(run, (1, 2), "ab", seeds=range(3), name="numbers")
    assert calls == EVERY_RUN * 3  # and so has another profile


def test_a_line_that_was_cut_is_run_again(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEKIT_RESUME", str(tmp_path))
    calls = []
    assert_complete(experiments.sweep(numbered(calls), (1, 2), "ab", seeds=range(3), name="numbers"))
    (kept,) = tmp_path.rglob("numbers.jsonl")
    kept.write_bytes(kept.read_bytes()[:-5])
    for _ in range(2):
        assert_complete(experiments.sweep(numbered(calls), (1, 2), "ab", seeds=range(3), name="numbers"))
    assert calls == [*EVERY_RUN, EVERY_RUN[-1]]


@pytest.mark.parametrize("resume", [False, True])
def test_sweep_over_numpy_numbers(tmp_path, monkeypatch, resume):
    if resume:
        monkeypatch.setenv("COURSEKIT_RESUME", str(tmp_path))
    for _ in range(2):
        results = experiments.sweep(lambda n, seed: {"n": n * seed}, np.array([2, 3]), seeds=np.arange(3), name="numpy")
        assert {key: numbers["n"].tolist() for key, numbers in results.items()} == {2: [0, 2, 4], 3: [0, 3, 6]}


@pytest.fixture
def recorded(monkeypatch, tmp_path):
    """A record of the numbered experiment, made as the maintainers' command makes it; its calls come in a list."""
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    with monkeypatch.context() as command:
        command.setenv("COURSEKIT_RECORD", "1")
        command.setenv("COURSEKIT_SWEEPS", "1")
        experiments.recorded_sweep(numbered([]), (1, 2), "ab", seeds=range(3), name="numbers", again=[])
    return []


def test_a_recorded_sweep_makes_only_the_runs_that_are_asked_for(recorded, capsys):
    results = experiments.recorded_sweep(
        numbered(recorded), (1, 2), "ab", seeds=range(3), name="numbers", again=[(2, "a"), (1, "b")]
    )
    assert_complete(results)
    assert recorded == [(2, "a", 0), (1, "b", 0)]
    assert capsys.readouterr().out.splitlines()[-1] == "recorded · 12 runs, of which 2 were made again"


def test_a_recorded_sweep_takes_the_new_number_and_says_where_it_has_drifted(recorded, capsys):
    def other(width, name, seed):
        return numbered([])(width, name, seed) | {"sum": 310 if name == "a" else 330}

    options = dict(seeds=range(3), name="numbers", again=[(2, "a"), (2, "b")])
    results = experiments.recorded_sweep(other, (1, 2), "ab", **options)
    # recorded are 200, 201, 202 and 210, 211, 212; of two degrees of freedom, 1 draw in 10,000 is beyond 100 deviations
    assert results[2, "a"]["sum"].tolist() == [310, 201, 202]
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("drifted"))
    assert line == "drifted · numbers, (2, 'b'), sum: 330 now, 211 ± 1.2e+02 on record."


@pytest.mark.parametrize(
    ("change", "lacks"),
    [({"choices": ((1, 3), "ab")}, r"\(3, 'a'\)"), ({"seeds": range(4)}, "seeds"), ({"name": "other"}, r"\(1, 'a'\)")],
)
def test_a_recorded_sweep_that_was_not_made_says_how_to_make_it(recorded, change, lacks):
    options = {"choices": ((1, 2), "ab"), "seeds": range(3), "name": "numbers"} | change
    with pytest.raises(ValueError, match=f"lacks {lacks}.*; set COURSEKIT_SWEEPS=1 to make all runs"):
        experiments.recorded_sweep(numbered(recorded), *options.pop("choices"), again=[], **options)
    assert recorded == []


def test_a_recorded_sweep_says_where_a_number_is_none_or_new(recorded, capsys):
    def diverged(width, name, seed):
        return {"sum": np.nan, "seed": 0}

    options = dict(seeds=range(3), name="numbers", again=[(1, "a")])
    experiments.recorded_sweep(diverged, (1, 2), "ab", **options)
    assert "drifted · numbers, (1, 'a'), sum: nan now" in capsys.readouterr().out
    with pytest.raises(ValueError, match="has other numbers than a run"):
        experiments.recorded_sweep(lambda *_, seed: {"other": 1}, (1, 2), "ab", **options)
    with pytest.raises(ValueError, match=r"lacks \(3, 'c'\)"):
        experiments.recorded_sweep(diverged, (1, 2), "ab", **options | {"again": [(3, "c")]})


def test_a_recorded_sweep_over_one_choice(monkeypatch, tmp_path):
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    monkeypatch.setenv("COURSEKIT_RECORD", "1")
    pairs = [("normal", 2), ("coin", 1 / 3)]

    def run(pair, seed):
        return {"n": pair[1] + seed}

    for sweeps in ("1", ""):
        monkeypatch.setenv("COURSEKIT_SWEEPS", sweeps)
        results = experiments.recorded_sweep(run, pairs, seeds=range(3), name="pairs", again=[("coin", 1 / 3)])
        assert {key: numbers["n"].tolist() for key, numbers in results.items()} == {
            ("normal", 2): [2, 3, 4],
            ("coin", 1 / 3): [pytest.approx(1 / 3 + seed, abs=1e-5) for seed in range(3)],
        }


def test_numpys_choices_are_those_on_record(monkeypatch, tmp_path):
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    monkeypatch.setenv("COURSEKIT_RECORD", "1")

    def run(name, rate, seed):
        return {"rate": rate + seed}

    for sweeps, rates in (("1", (0.25, 1 / 3)), ("", np.array([0.25, 1 / 3]))):
        monkeypatch.setenv("COURSEKIT_SWEEPS", sweeps)
        results = experiments.recorded_sweep(run, [np.str_("sgd")], rates, seeds=range(3), name="rates", again=[])
        assert_array_equal(results["sgd", 0.25]["rate"], [0.25, 1.25, 2.25])


def test_sweep_wants_names_that_are_the_same_after_an_interruption():
    with pytest.raises(ValueError, match=r"returns the names \[0, 'a'\]; make all of them strings"):
        experiments.sweep(lambda n, seed: {0: n, "a": n}, (1,), seeds=range(3), name="named")


def test_sweep_wants_every_combination_once_and_the_same_names_from_all_seeds():
    with pytest.raises(ValueError, match=r"The choices \(1,\) and \(True,\) are equal; name every combination once"):
        experiments.sweep(lambda n, seed: {"n": n}, (1, True), seeds=range(3), name="twice")
    with pytest.raises(ValueError, match=r"Runs of 1 return \['a'\] and \['a', 'b'\]; return the same names"):
        experiments.sweep(lambda n, seed: {"a": n} | ({"b": n} if seed else {}), (1,), seeds=range(3), name="odd")


def test_seeds_are_a_list_and_a_run_returns_a_dict():
    with pytest.raises(ValueError, match="seeds is 3; give a list"):
        experiments.sweep(lambda n, seed: {"n": n}, (1,), seeds=3, name="a number")
    with pytest.raises(ValueError, match="A run of a sweep returns float; return a dict of numbers"):
        experiments.sweep(lambda n, seed: 0.5, (1,), seeds=range(3), name="a float")


def test_numbers_of_any_library_are_kept(tmp_path, monkeypatch):
    from keras import ops

    monkeypatch.setenv("COURSEKIT_RESUME", str(tmp_path))
    for _ in range(2):  # the second time, they are read
        results = experiments.sweep(
            lambda n, seed: {"mean": ops.mean(ops.ones((n,))), "one": np.float32(n)}, (2,), seeds=range(3), name="any"
        )
        assert_array_equal(results[2]["mean"], [1, 1, 1])
        assert_array_equal(results[2]["one"], [2, 2, 2])
