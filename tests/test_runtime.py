"""What a session says about itself, and what importing the package must not do."""

import json
import os
import re
import subprocess
import sys

import pytest

from coursekit import runtime

HEAVY = ("keras", "tensorflow", "jax", "torch", "matplotlib")


def keras_backend():
    return os.environ.get("KERAS_BACKEND", "tensorflow")


def python(code, **environment):
    """Run code in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_importing_coursekit_loads_neither_keras_nor_a_backend():
    run = python(f"import coursekit, json, sys; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == []


def test_the_statements_and_the_data_can_be_read_without_keras():
    code = f"""
import json, sys
from coursekit import claims, data, records
claims.load(), claims.greater("accuracy", a=[1, 2, 3], b=0), data.load("digits"), records.read_all()
print(json.dumps([m for m in {HEAVY} if m in sys.modules]))
"""
    run = python(code)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == []


def test_setup_prints_one_line_and_nothing_on_stderr_nor_does_a_fit():
    # The seeds are compared in the same interpreter: loading the backend is what takes the time here.
    code = """
import random, coursekit
coursekit.setup(7)
import keras, numpy, os
def draw():
    return [random.random(), numpy.random.rand(), float(keras.random.normal(()))]
first = draw()
keras.utils.set_random_seed(7)
assert draw() == first
os.environ["COURSEKIT_RECORD"] = "1"  # no progress bar
from coursekit import training
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
training.fit(training.compile_regressor(model), numpy.zeros((4, 2)), numpy.zeros(4), epochs=1, seed=0)
os.write(2, b"stderr works again")
"""
    run = python(code, COURSEKIT_PROFILE="full")
    assert run.returncode == 0, run.stderr
    assert run.stderr == "stderr works again"
    line = rf"full profile on .+ · keras [\d.]+ · {keras_backend()} [\d.]+(\+cpu)? · .*python [\d.]+\n"
    assert re.fullmatch(line, run.stdout), run.stdout


def test_setup_refuses_an_unknown_profile_before_it_loads_anything():
    run = python("import coursekit; coursekit.setup()", COURSEKIT_PROFILE="fast")
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.endswith("ValueError: COURSEKIT_PROFILE is 'fast'; set it to 'quick' or 'full'.\n")


@pytest.mark.parametrize(("name", "expected"), [(None, "quick"), ("quick", "quick"), ("full", "full")])
def test_profile(monkeypatch, name, expected):
    if name:
        monkeypatch.setenv("COURSEKIT_PROFILE", name)
    else:
        monkeypatch.delenv("COURSEKIT_PROFILE", raising=False)
    assert runtime.profile() == expected


@pytest.mark.parametrize("name", ["", "Full", "quick "])
def test_unknown_profile(monkeypatch, name):
    monkeypatch.setenv("COURSEKIT_PROFILE", name)
    with pytest.raises(ValueError, match="COURSEKIT_PROFILE is"):
        runtime.profile()


@pytest.mark.parametrize(("profile", "epochs", "seeds"), [("quick", 3, range(5)), ("full", 60, range(3))])
def test_settings_follow_the_profile(monkeypatch, profile, epochs, seeds):
    monkeypatch.setenv("COURSEKIT_PROFILE", profile)
    settings = runtime.settings(quick={"epochs": 3, "seeds": 5}, full={"epochs": 60, "seeds": 3})
    assert (settings.epochs, settings.seeds) == (epochs, seeds)


def test_settings_must_name_the_same_things():
    with pytest.raises(ValueError, match="only one of them has: epoch, epochs"):
        runtime.settings(quick={"epochs": 1, "seeds": 3}, full={"epoch": 1, "seeds": 3})


@pytest.mark.parametrize("given", [{}, {"seeds": 2}])
def test_settings_need_three_seeds(given):
    with pytest.raises(ValueError, match="seeds=3 or more"):
        runtime.settings(quick=given, full=given)


@pytest.mark.skipif(keras_backend() != "tensorflow", reason="it is TensorFlow whose threads are counted")
@pytest.mark.parametrize("early", [True, False])
def test_quick_computes_in_one_thread_where_it_still_can(early):
    code = f"""
import coursekit, tensorflow as tf
if not {early}:
    tf.zeros(1) + 1
coursekit.setup()
print(tf.config.threading.get_intra_op_parallelism_threads())
"""
    run = python(code, COURSEKIT_PROFILE="quick")
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == ("1" if early else "0")


def test_what_was_imported_is_no_garbage_but_what_a_reader_leaves_behind_is():
    code = """
import coursekit, gc, weakref
coursekit.setup()
class Thing:
    pass
def left_behind():
    thing = Thing()
    thing.itself = thing
    return weakref.ref(thing)
thing = left_behind()
coursekit.setup()
print(len(gc.get_objects()) < gc.get_freeze_count() / 10, thing() is None, gc.collect() > 0, thing() is None)
"""
    run = python(code)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "True False True True"


@pytest.mark.parametrize("seeds", ["3", 3.0, None, 2])
def test_settings_want_a_number_of_seeds(seeds):
    with pytest.raises(ValueError, match="Give seeds=3 or more"):
        runtime.settings(quick={"seeds": seeds}, full={"seeds": seeds})
