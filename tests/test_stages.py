"""What `make test` says: of what is missing before it begins, and of every stage in the end."""

import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter

import needs
import portable
import pytest
import stages

from coursekit.grading import sandbox

# Needs


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Writes a program as a shell script; there is no other, and nobody may install any."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    def write(name, script):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    return write


def test_all_that_is_missing_is_one_sentence(programs):
    with pytest.raises(needs.Missing) as missing:
        needs.ensure("chromium", "bubblewrap")
    assert str(missing.value) == (
        "The tests need Chromium or Google Chrome and bubblewrap 0.8 or newer; "
        "install what is missing, as with `sudo apt install chromium bubblewrap`."
    )


def test_a_browser_that_does_not_start_is_none(programs):
    programs("chromium-browser", "echo It is to be had as a snap. >&2; exit 10")
    assert needs.chromium() is None
    programs("google-chrome", "echo Google Chrome 140")
    assert needs.chromium().endswith("google-chrome")


@pytest.mark.parametrize(("version", "enough"), [("0.6.1", False), ("0.8.0", True), ("0.10.0", True), ("1.0", True)])
def test_bubblewrap_must_be_new_enough(programs, version, enough):
    programs("bwrap", f"echo bubblewrap {version}")
    assert bool(needs.bubblewrap()) is enough


def test_a_kernel_without_namespaces_is_one_sentence(programs):
    programs("bwrap", 'test "$1" = --version && echo bubblewrap 0.11.2')
    with pytest.raises(needs.Missing, match=r"^[^.]*does not let bubblewrap make namespaces.*allow it, on Ubuntu with"):
        needs.ensure("bubblewrap")


def test_root_on_debian_installs_what_is_missing_and_nothing_else(programs, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    programs("chromium", "echo Chromium 140")
    programs("bwrap", "echo bubblewrap 0.6.1")
    install = f"printf '#!/bin/sh\necho bubblewrap 0.9.0\n' > {tmp_path}/bwrap"
    programs("apt-get", f"echo $* >> {tmp_path}/log; test $1 = update || {install}")
    needs.ensure("chromium", "bubblewrap")
    assert (tmp_path / "log").read_text() == "update\ninstall --yes bubblewrap\n"


# Stages

TESTS = """
import pytest
def test_passes(): pass
def test_fails(): assert False
def test_is_skipped(): pytest.skip()
@pytest.fixture
def broken():
    yield
    assert False
def test_ends_badly(broken): pass
"""


def python(code):
    return [sys.executable, "-c", code]


def test_a_run_of_pytest_is_counted(tmp_path):
    (tmp_path / "test_some.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path]
    assert stages.run(command, {}) == Counter(passed=1, failed=2, skipped=1)


def test_what_runs_beside_is_shown_in_the_end(capfd):
    """Each waits for what the other writes, so that one after the other they would never end."""
    with tempfile.TemporaryDirectory() as folder:

        def stage(name, other):
            code = (
                f"import os, time\nos.mkdir('{folder}/{name}'); print('{name} begins', flush=True)\n"
                f"while not os.path.exists('{folder}/{other}'): time.sleep(0.01)\nprint('{name} ends')"
            )
            return name, {}, [python(code)]

        results = stages.side_by_side(stage("one", "two"), stage("two", "one"))
    assert [(title, counts) for title, (counts, _) in results.items()] == [
        ("one", Counter(passed=1)),
        ("two", Counter(passed=1)),
    ]
    lines = capfd.readouterr().out.split("\n")
    assert lines == [
        "",
        "── one beside two ──",
        "one begins",
        "one ends",
        "",
        "── two ──",
        "two begins",
        "two ends",
        "",
        "",
    ]


@pytest.mark.parametrize(
    "command",
    [
        python("raise SystemExit(1)"),
        python("import os; os.abort()"),
        [sys.executable, "-m", "pytest", "there/is/no/such/file"],
    ],
    ids=["fails", "dies", "finds no file"],
)
def test_whatever_goes_wrong_is_a_failure(command):
    assert stages.run(command, {}) == Counter(failed=1)


def test_a_stage_that_fails_hides_none_and_the_last_line_adds_up(monkeypatch, capfd):
    ends = {"lint": 1, "unit": 0, "jax": 0}
    planned = {name: (f"the {name}", {"END": str(end)}, [python(EXIT)] * 2) for name, end in ends.items()}
    monkeypatch.setattr(stages, "stages", lambda *_: planned)
    monkeypatch.setattr(sys, "argv", ["stages.py", "lint", "unit+jax"])
    with pytest.raises(SystemExit) as exit_:
        stages.main()
    assert exit_.value.code == 1
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[:4] for line in lines[-5:-2]] == [
        ["the", "lint", "0", "2"],
        ["the", "unit", "2", "0"],
        ["the", "jax", "2", "0"],
    ]
    assert lines[-1] == "4 passed, 2 failed"


EXIT = "import os; raise SystemExit(int(os.environ['END']))"
# What takes its time to end: as long as nothing is written to it.
TO_BE_INTERRUPTED = """
import time
try:
    print("begun", flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    print("ending", flush=True)
    input()
    print("ended", flush=True)
"""
INTERRUPTED = f"""
import sys
import stages
command = [sys.executable, "-c", {TO_BE_INTERRUPTED!r}]
stages.stages = lambda *_: dict(unit=("one", {{}}, [command, command]), jax=("other", {{}}, [command]))
sys.argv = ["stages.py", "unit", "jax"]
stages.main()
"""


def test_an_interruption_ends_everything_once_the_stage_has_cleaned_up():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    options = {
        "start_new_session": True,
        # What was begun in the background ignores Ctrl-C, and so does what it begins.
        "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    }
    with subprocess.Popen(python(INTERRUPTED), env=environment, **options, **pipes) as process:
        while process.stdout.readline() != "begun\n":
            pass
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "ending\n"
        said, _ = process.communicate("\n")
    assert (said, process.returncode) == ("ended\n", 130)


# Other processors


@pytest.mark.parametrize("setting", portable.SETTINGS.values(), ids=portable.SETTINGS)
def test_the_instructions_of_a_setting_reach_the_sandbox(setting, monkeypatch):
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    inside = sandbox.environment("package")
    assert {name: inside.get(name) for name in setting if name not in stages.threads(1)} == {
        name: value for name, value in setting.items() if name not in stages.threads(1)
    }


def test_every_stage_runs_in_every_setting_on_its_own_backend():
    planned = {title: environment for title, environment, _ in portable.planned()}
    assert len(planned) == len(portable.SETTINGS) * len(portable.STAGES)
    for setting, variables in portable.SETTINGS.items():
        assert planned[f"{setting}: units on JAX"] == {"KERAS_BACKEND": "jax", **variables}
