"""Sweeps: every run once, in order, after an interruption too; what is on record, and whose it is; tables."""

import collections
import concurrent.futures
import functools
import itertools
import json
import os
import random
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from coursekit import data, experiments, records


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch, tmp_path):
    for variable in ("COURSEKIT_RESUME", "COURSEKIT_PROFILE", "COURSEKIT_RECORD"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(records, "FOLDER", tmp_path / "records")


@pytest.fixture
def record(monkeypatch):
    """Be the maintainers' command, which writes records."""
    monkeypatch.setenv("COURSEKIT_RECORD", "1")
    monkeypatch.delenv("PYTEST_VERSION")


@pytest.fixture
def watched(monkeypatch):
    """Be a reader's session, and not a replay."""
    monkeypatch.delenv("PYTEST_VERSION")


@pytest.mark.parametrize(("variable", "shown"), [(None, True), ("PYTEST_VERSION", False), ("COURSEKIT_RECORD", True)])
def test_bar_is_shown_but_in_a_replay(monkeypatch, variable, shown):
    monkeypatch.delenv("PYTEST_VERSION")
    if variable:
        monkeypatch.setenv(variable, "1")
    bar = experiments.bar(range(3))
    assert bar.disable is not shown
    assert list(bar) == [0, 1, 2]


calls = collections.UserList()  # which, unlike a list of text and numbers, is no part of an experiment


@pytest.fixture(autouse=True)
def no_calls():
    calls.clear()


def numbered(width, letter, seed):
    """An experiment whose numbers tell all that it was given."""
    calls.append((width, letter, seed))
    return {"sum": 100 * width + 10 * "ab".index(letter) + seed, "list": [seed, width]}


GRID = dict(width=(1, 2), letter="ab", seeds=range(3), name="numbers")
EVERY_RUN = [(width, letter, seed) for width in (1, 2) for letter in "ab" for seed in range(3)]


def sweep(run=numbered, **options):
    options = GRID | {"letter": tuple("ab")} | options
    return experiments.sweep(run, **options)


def assert_complete(runs):
    assert list(runs) == ["width", "letter", "seed", "sum", "list"]
    assert list(runs[["width", "letter", "seed"]].itertuples(index=False, name=None)) == EVERY_RUN
    assert_array_equal(runs["sum"], [100 * w + 10 * "ab".index(c) + s for w, c, s in EVERY_RUN])
    assert runs["list"].tolist() == [[s, w] for w, _, s in EVERY_RUN]


def test_a_sweep_makes_every_run_in_order():
    assert_complete(sweep())
    assert calls == EVERY_RUN
    sweep()
    assert calls == EVERY_RUN * 2  # nothing is kept unless asked for


def test_any_executor_makes_the_runs():
    with concurrent.futures.ThreadPoolExecutor(3) as executor:
        assert_complete(sweep(executor=executor))
    assert sorted(calls) == EVERY_RUN


@pytest.mark.only_on("tensorflow")
def test_runs_on_other_machines(tmp_path, monkeypatch):
    from distributed import Client, LocalCluster

    monkeypatch.setenv("COURSEKIT_RESUME", str(tmp_path))

    def run(n, seed):  # sent by value: the workers do not have this file
        import os

        return {"sum": n + seed, "process": os.getpid() % 1000}

    options = dict(n=range(6), seeds=range(2), name="far")
    cluster = LocalCluster(2, threads_per_worker=1, dashboard_address=None, worker_dashboard_address=None)
    with cluster, Client(cluster) as client:
        runs = experiments.sweep(run, **options, executor=client.get_executor())
    assert runs["sum"].tolist() == [n + seed for n in range(6) for seed in range(2)]
    assert os.getpid() % 1000 not in runs.process.tolist()
    pd.testing.assert_frame_equal(experiments.sweep(run, **options), runs)  # all of them are kept


def test_a_run_that_fails_elsewhere_ends_the_sweep_and_keeps_the_others(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEKIT_RESUME", str(tmp_path))

    def fails(width, letter, seed):
        if (width, letter, seed) == EVERY_RUN[4]:
            raise ZeroDivisionError
        return numbered(width, letter, seed)

    with concurrent.futures.ThreadPoolExecutor(1) as executor, pytest.raises(ZeroDivisionError):
        sweep(fails, executor=executor)
    (kept,) = tmp_path.rglob("numbers.jsonl")
    assert len(records.read_runs(kept)) == 4


def test_an_interrupted_sweep_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEKIT_RESUME", str(tmp_path / "new"))
    stop_at = collections.UserList([5])

    def interrupted(width, letter, seed):
        if len(calls) in stop_at:
            raise KeyboardInterrupt
        return numbered(width, letter, seed)

    with pytest.raises(KeyboardInterrupt):
        sweep(interrupted)
    assert calls == EVERY_RUN[:5]
    stop_at.clear()
    for _ in range(2):
        sweep(interrupted)
        assert calls == EVERY_RUN
    sweep(interrupted, name="others")
    assert calls == EVERY_RUN * 2  # another sweep has its own results
    monkeypatch.setenv("COURSEKIT_PROFILE", "full")
    sweep(interrupted)
    assert calls == EVERY_RUN * 3  # and so has another profile


def test_a_line_that_was_cut_is_run_again(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEKIT_RESUME", str(tmp_path))
    assert_complete(sweep())
    (kept,) = tmp_path.rglob("numbers.jsonl")
    whole = kept.read_bytes()
    for cut in (1, 5, len(whole.splitlines()[-1])):
        kept.write_bytes(whole[:-cut])
        calls.clear()
        assert_complete(sweep())
        assert_complete(sweep())
        assert calls == [EVERY_RUN[-1]]
        assert kept.read_bytes() == whole


KILLED = """
import os
from coursekit import experiments, runtime

runtime.describe = dict  # without Keras, which takes seconds to import


def run(n, seed):
    os.write(1, f"{n} {seed}\\n".encode())  # at once: print may be killed within a line
    return {"square": n * n + seed}


runs = experiments.sweep(run, n=range(40), seeds=range(3), name="killed")
assert runs.square.tolist() == [n * n + seed for n in range(40) for seed in range(3)]
print("done", flush=True)
"""


@pytest.mark.only_on("tensorflow")
def test_a_sweep_that_is_killed_loses_nothing_and_does_nothing_twice(tmp_path):
    script, kills, finished = tmp_path / "killed.py", 0, False
    script.write_text(KILLED)
    environment = os.environ | {"COURSEKIT_RESUME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    kept = tmp_path / "quick" / "killed.jsonl"
    patience = random.Random(0)
    while not finished:
        before = len(records.read_runs(kept))
        with subprocess.Popen([sys.executable, script], env=environment, stdout=subprocess.PIPE, text=True) as process:
            started = list(itertools.islice(process.stdout, patience.randint(1, 12)))
            process.kill()  # SIGKILL, wherever it is by now
            started += list(process.stdout)
        finished = "done\n" in started
        lines = records.read_runs(kept)
        keys = [(line["choices"]["n"], line["seed"]) for line in lines]
        made = [tuple(map(int, line.split())) for line in started if line != "done\n"]
        assert keys == list(itertools.product(range(40), range(3)))[: len(keys)]  # nothing is lost, nothing there twice
        assert (
            made == list(itertools.product(range(40), range(3)))[before:][: len(made)]
        )  # what was finished is not made
        assert len(made) - (len(lines) - before) in (0, 1)  # a kill costs the run that it met
        kills += not finished
    assert kills > 2
    assert len(lines) == 120


def test_numpy_s_choices_are_those_on_file(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSEKIT_RESUME", str(tmp_path))
    for rates in ((0.25, 1 / 3), np.array([0.25, 1 / 3])):
        runs = experiments.sweep(named_rate, kind=[np.str_("sgd")], rate=rates, seeds=np.arange(3), name="rates")
        assert_array_equal(experiments.by_seed(runs, "rate seen", kind="sgd", rate=0.25), [0.25, 1.25, 2.25])
    assert len(calls) == 6


def named_rate(kind, rate, seed):
    calls.append(kind)
    return {"rate seen": rate + seed}


def test_numbers_of_any_library_are_kept_to_six_digits(tmp_path, monkeypatch):
    from keras import ops

    monkeypatch.setenv("COURSEKIT_RESUME", str(tmp_path))

    def run(n, seed):
        calls.append(n)
        return {
            "mean": ops.mean(ops.ones((n,))),
            "third": np.float32(n) / 3,
            "grid": np.full((2, 2), n),
            "none": np.nan,
        }

    first, second = (experiments.sweep(run, n=(2,), seeds=range(3), name="any") for _ in range(2))
    pd.testing.assert_frame_equal(first, second)  # the second time, they are read
    assert calls == [2, 2, 2]
    assert first["mean"].tolist() == [1, 1, 1]
    assert first["third"].tolist() == [0.666667] * 3
    assert first["grid"].tolist() == [[[2, 2], [2, 2]]] * 3
    assert first["none"].isna().all()


@pytest.fixture
def recorded(record, monkeypatch):
    """A record of the numbered experiment, made as the maintainers' command makes it; then a replay begins."""
    sweep(again={})
    calls.clear()
    monkeypatch.delenv("COURSEKIT_RECORD")
    monkeypatch.setenv("PYTEST_VERSION", "9")


def test_a_recorded_sweep_makes_only_the_runs_that_are_asked_for(recorded, capsys):
    for again, made in (
        ({}, [run for run in EVERY_RUN if run[2] == 0]),
        ({"letter": "b"}, [(1, "b", 0), (2, "b", 0)]),
        ({"letter": "b", "width": 2}, [(2, "b", 0)]),
        ([{"letter": "b"}, {"letter": "b", "width": 2}], [(1, "b", 0), (2, "b", 0)]),
        ([], []),
    ):
        calls.clear()
        assert_complete(sweep(again=again))
        assert calls == made
        assert capsys.readouterr().out.splitlines()[-1] == f"recorded · 12 runs, {len(made)} of them made again"
    with pytest.raises(ValueError, match=r"\{'letter': 'c'\} is to be made again, and no run has it"):
        sweep(again={"letter": "c"})


def test_a_record_says_where_and_when_each_run_was_made(recorded):
    line = records.read_runs(records.runs_path("numbers"))[0]
    assert line["choices"] == {"width": 1, "letter": "a"}
    assert (line["seed"], line["numbers"]) == (0, {"sum": 100, "list": [0, 1]})
    assert set(line["run"]) == {"date", "backend", "device", "versions"}
    assert_complete(experiments.recorded("numbers"))
    with pytest.raises(ValueError, match="There are no full runs of numbers on record"):
        experiments.recorded("numbers", "full")


def drifted(numbers):
    """The numbered experiment by its source, with other numbers, as where something that it uses has changed."""

    def run(width, letter, seed):
        return numbered(width, letter, seed) | numbers

    run.__wrapped__ = numbered
    return run


def test_a_run_that_is_not_what_is_on_record_fails_a_replay_and_is_said_to_a_reader(recorded, monkeypatch, capsys):
    # Recorded are 200, 201, 202 and 210, 211, 212; of two degrees of freedom, 1 in 30,000 is beyond 173 deviations.
    near, far = drifted({"sum": 390}), drifted({"sum": 420})
    assert_complete(sweep(near, again={"width": 2}))
    with pytest.raises(ValueError, match=r"numbers, \{'width': 2, 'letter': 'a', 'seed': 0\}, sum: 420 now, 201 ± 2e"):
        sweep(far, again={"width": 2})
    capsys.readouterr()
    monkeypatch.delenv("PYTEST_VERSION")
    assert_complete(sweep(far, again={"width": 2}))
    says = capsys.readouterr().out.splitlines()
    assert says[0] == "recorded · 12 runs, 2 of them made again"
    assert [line.partition(" · ")[0] for line in says[1:]] == ["drifted", "drifted"]


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ({"sum": np.nan}, "sum: nan now"),
        ({"new": 1}, "new: not on record"),
        ({"list": [0, 99]}, "list: 99 now, 1 ± 0 on record"),
        ({"list": [0, 1, 2]}, r"list: shape \(3,\) now, \(2,\) on record"),
    ],
)
def test_what_else_can_differ(recorded, numbers, says):
    with pytest.raises(ValueError, match=says):
        sweep(drifted(numbers), again={"width": 1})


@pytest.mark.parametrize(
    ("change", "lacks"),
    [({"width": (1, 3)}, "6 of 12"), ({"seeds": range(4)}, "4 of 16"), ({"name": "other"}, "12 of 12")],
)
def test_a_replay_says_which_runs_are_not_on_record(recorded, change, lacks):
    with pytest.raises(ValueError, match=rf"{lacks} runs are not on record, .* among them; make notebooks makes them"):
        sweep(again={}, **change)
    assert calls == []


def test_whoever_changes_the_experiment_gets_runs_of_their_own(recorded, watched, capsys):
    def other(width, letter, seed):
        calls.append((width, letter, seed))
        return {"sum": -width, "list": []}

    runs = sweep(other, again={})
    assert runs["sum"].tolist() == [-width for width, _, _ in EVERY_RUN]
    assert calls == EVERY_RUN  # none of them is made again
    assert "made now · 12 of 12 runs, which are not on record" in capsys.readouterr().out
    assert_complete(experiments.recorded("numbers"))


def test_chance_lets_a_record_drift_as_seldom_as_it_says(monkeypatch):
    monkeypatch.setattr(experiments, "ONCE_IN", 100)
    draws = np.random.default_rng(0).normal(3, 2, size=(1500, 6, 20))  # runs, seeds, and numbers of a run
    drifted = 0
    for now, *recorded in draws:
        on_record = pd.DataFrame({"list": [of_seed[:15].tolist() for of_seed in recorded]})
        for number in range(15, 20):
            on_record[str(number)] = [of_seed[number] for of_seed in recorded]
        numbers = {"list": now[:15].tolist()} | {str(number): now[number] for number in range(15, 20)}
        drifted += any(experiments._drifts(numbers, on_record))
    assert 5 <= drifted <= 28  # 15 are expected


def test_what_has_always_diverged_may_do_so_again(record, monkeypatch):
    def run(n, seed):
        return {"loss": np.nan, "by epoch": [n + seed, np.nan]}

    experiments.sweep(run, n=(1, 2), seeds=range(3), name="diverging", again={})
    monkeypatch.setenv("PYTEST_VERSION", "9")
    runs = experiments.sweep(run, n=(1, 2), seeds=range(3), name="diverging", again={})
    assert runs.loss.isna().all() and np.isnan(runs["by epoch"][0][1])


def test_the_record_is_one_experiment(recorded, watched, monkeypatch):
    monkeypatch.setenv("COURSEKIT_RECORD", "1")

    def other(width, letter, seed):
        return {"sum": 0}

    sweep(again={}, width=(1, 2, 3), seeds=range(4))  # more of the same: what is there stays
    assert len(experiments.recorded("numbers")) == 3 * 2 * 4
    sweep(other, again={}, letter=("a",))  # another one, and fewer
    assert experiments.recorded("numbers").to_dict("list") == {
        "width": [1, 1, 1, 2, 2, 2],
        "letter": ["a"] * 6,
        "seed": [0, 1, 2] * 2,
        "sum": [0.0] * 6,
    }


# What the fingerprint sees.
SCALE, OPTIONS, settings = 1.5, {"a": {"k": 1}, "b": {"k": 2}}, SimpleNamespace(width=3, other=4)
memory, layers = {}, [SimpleNamespace(name="dense")]
pixels = data.Dataset("pixels", ("one", "two"), *np.zeros((4, 3, 1)))


class Scale:
    def __init__(self, by=2):
        self.by = by

    def __call__(self, number):
        return self.by * number


def helper(number):
    return sum([SCALE * one for one in (number,)])


@functools.cache
def remembered(number):
    return helper(number) + settings.width


def experiment(option, seed):
    """What it does."""
    memory[option] = (lambda: np.full(3, seed))() + len(pixels.x_train) + max(layer.name.count("x") for layer in layers)
    return {"number": OPTIONS[option]["k"] + remembered(seed) + Scale()(seed) + partial(seed)}


partial = functools.partial(helper)
CHOICES = {"option": "a"}


def test_a_fingerprint_is_the_same_for_the_same_experiment(monkeypatch):
    before = experiments.fingerprint(experiment, CHOICES)
    experiment("a", 0)  # it keeps an array, which is no part of the experiment
    monkeypatch.setitem(OPTIONS, "b", {"k": 3})  # nor are other choices
    monkeypatch.setitem(OPTIONS, "c", {"k": 3})
    monkeypatch.setattr(settings, "other", 5)  # nor settings of others
    for name in ("name", "seed", "option"):  # nor what has the name of an attribute, or of something local
        monkeypatch.setitem(globals(), name, "of no importance")
    assert experiments.fingerprint(experiment, CHOICES) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SCALE", 2.5),  # read by a function in a function, in a comprehension
        ("OPTIONS", {"a": {"k": 2}}),
        ("OPTIONS", {"a": {"k": 1, "a": 1}}),
        ("OPTIONS", {"a": {"k": 1, "f": lambda: 1}}),
        ("settings", SimpleNamespace(width=4)),
        ("pixels", data.Dataset("pixels", ("one", "two"), *np.zeros((4, 5, 1)))),
        ("Scale", functools.partial(Scale, by=3)),
        ("partial", functools.partial(helper, number=1)),
        ("helper", lambda number: number),
        ("helper", np.sin),
    ],
)
def test_a_fingerprint_changes_with_all_that_a_run_uses(monkeypatch, name, value):
    before = experiments.fingerprint(experiment, CHOICES)
    monkeypatch.setitem(globals(), name, value)
    assert experiments.fingerprint(experiment, CHOICES) != before


def defined(source):
    """What a source in a cell defines as ``run``."""
    import linecache

    name = f"<cell {len(linecache.cache)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    namespace = {"__name__": "cell"}
    exec(compile(source, name, "exec"), namespace)
    return namespace["run"]


PLAIN = "rate = .1\ndef run(n, seed):\n    return {'n': f'{rate * n}'}\n"


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("return", "# a comment\n    return", True),
        ("return", "'''What it does.'''\n    return", True),
        ("{'n': f'{rate * n}'}", "{\n        'n': f'{rate*n}',\n    }", True),
        ("rate = .1", "rate = 0.10", True),
        ("rate = .1", "rate = .2", False),
        ("rate * n", "rate + n", False),
        ("'n'", "'m'", False),
    ],
)
def test_comments_and_layout_are_no_part_of_an_experiment(old, new, same):
    before, after = (experiments.fingerprint(defined(source), {"n": 1}) for source in (PLAIN, PLAIN.replace(old, new)))
    assert (before == after) is same


def test_a_fingerprint_is_the_same_from_every_version_of_python():
    assert experiments.fingerprint(defined(PLAIN), {"n": 1}) == "7fc43c9e34a6"


def test_a_run_may_not_read_a_model_that_no_function_made():
    source = "import keras\nmodel = keras.Sequential()\ndef run(n, seed):\n    return {'n': model.count_params()}\n"
    with pytest.raises(ValueError, match="run reads the model model, and a record could not tell how that was made"):
        experiments.fingerprint(defined(source), {"n": 1})
    made = source.replace("keras.Sequential()", "keras.Sequential").replace("model.count", "model().count")
    experiments.fingerprint(defined(made), {"n": 1})


def test_a_run_without_a_source_cannot_be_recorded():
    with pytest.raises(ValueError, match=r"The source of .* cannot be found; define it with def, in a cell or a file"):
        sweep(functools.partial(max, 1), again={})


@pytest.mark.parametrize(
    ("run", "options", "says"),
    [
        (lambda n, seed: {0: n}, {"n": (1,)}, r"returns the names \[0\]; make all of them strings"),
        (lambda n, seed: 0.5, {"n": (1,)}, "A run of a sweep returns float; return a dict of numbers"),
        (lambda n, seed: {"n": n}, {"n": (1,)}, "returns? 'n', which is a choice; give it another name"),
        (lambda n, seed: {"a": n} | ({"b": n} if seed else {}), {"n": (1,)}, r"return \['a'\], and .* \['a', 'b'\]"),
        (lambda n, seed: {"m": n}, {"n": (1, True)}, "n has True more than once|n has 1 more than once"),
        (lambda n, seed: {"m": n}, {"n": ((1, 2),)}, r"n is \[1, 2\]; a choice is a number or text"),
        (lambda n, seed: {"m": n}, {"n": 3}, "n is 3; give a list"),
        (lambda n, seed: {"m": n}, {"n": (1,), "seeds": 3}, "seeds is 3; give a list"),
    ],
)
def test_what_a_sweep_refuses(run, options, says):
    with pytest.raises(ValueError, match=says):
        experiments.sweep(run, **{"seeds": range(3), "name": "odd"} | options)


def table(**columns):
    return pd.DataFrame(columns)


def test_one_number_by_seed():
    runs = table(
        kind=["a", "a", "b"], rate=[1.0, 1.0, 1.0], seed=[1, 0, 0], test=[0.2, 0.1, 0.9], curve=[[2], [1], [9]]
    )
    assert experiments.by_seed(runs, "test", kind="a").tolist() == [0.1, 0.2]
    assert experiments.by_seed(runs, "curve", kind="a", rate=1).tolist() == [[1], [2]]
    with pytest.raises(ValueError, match=r"There are several runs with .* and one seed; say which, by further choices"):
        experiments.by_seed(runs, "test", rate=1.0)
    with pytest.raises(ValueError, match=r"There is no run with \{'kind': 'c'\}"):
        experiments.by_seed(runs, "test", kind="c")
    with pytest.raises(ValueError, match="The table has no 'training'; it has kind, rate, seed, test, curve"):
        experiments.by_seed(runs, "training", kind="a")


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from([1, 2, 3]), st.floats(0, 1) | st.just(np.nan)), min_size=1
    )
)
def test_the_best_is_the_best_of_all_means(drawn):
    runs = table(**dict(zip(("kind", "rate", "test"), zip(*drawn, strict=True), strict=True)))
    means = {key: np.mean([t for *k, t in drawn if tuple(k) == key]) for key in {(k, r) for k, r, _ in drawn}}
    usable = {kind: [mean for (k, _), mean in means.items() if k == kind and mean == mean] for kind, *_ in drawn}
    if not all(usable.values()):
        with pytest.raises(
            ValueError, match="Of some runs, test is not a number at any rate; all of them have diverged"
        ):
            experiments.best(runs, "rate", of="kind", by="test")
        return
    found = experiments.best(runs, "rate", of="kind", by="test")
    for kind, of_kind in found.groupby("kind"):
        (rate,) = of_kind.rate.unique()
        assert means[kind, rate] == pytest.approx(max(usable[kind]))
        assert len(of_kind) == sum((k, r) == (kind, rate) for k, r, _ in drawn)  # all seeds
    assert set(found.kind) == set(usable)


def test_the_best_of_one_choice():
    runs = table(rate=[1, 1, 2, 2], seed=[0, 1, 0, 1], test=[0.1, 0.2, 0.3, np.nan])
    assert experiments.best(runs, "rate", by="test").to_dict("list") == {
        "rate": [1, 1],
        "seed": [0, 1],
        "test": [0.1, 0.2],
    }
    assert experiments.best(runs.dropna(), "rate", by="test").rate.tolist() == [2]


def test_lines_of_a_record_are_json(recorded):
    for line in records.runs_path("numbers").read_text("utf-8").splitlines():
        assert json.loads(line)
