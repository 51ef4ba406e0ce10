"""Run stages of checks, the later ones even where one fails, and sum up: `python tools/stages.py lint unit+jax`.

Stages with a plus between them run side by side, since neither keeps all processors busy all of the time: the first
shows how it goes, and what the others have said follows in the end.
"""

import argparse
import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

WITHOUT_BROWSER = "not site and not replay"
JOBS, CELL_TIMEOUT = "3", "600"
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def stages(jobs, cell_timeout):
    """All stages by name: a title, variables of the environment, and commands, each of which has to succeed."""

    def pytest(*arguments):
        return [sys.executable, "-m", "pytest", "-n", jobs, "--dist=loadfile", "--no-loadscope-reorder", *arguments]

    def units(backend, marks):
        return f"units on {BACKENDS[backend]}", one_thread | {"KERAS_BACKEND": backend}, [pytest("-m", marks, "tests")]

    # Tests run side by side, and threads that wait for each other would only take the processors from the others.
    one_thread = threads(1)
    ruff = [sys.executable, "-m", "ruff"]
    notebooks = ["-p", "tools.peaks", "-p", "tools.sockets"]
    notebooks += ["--nbval-lax", "--nbval-current-env", f"--nbval-cell-timeout={cell_timeout}"]
    notebooks += ["--ignore=book/exercises", "book", "exercises"]
    return {
        "lint": ("lint", {}, [[*ruff, "check", "."], [*ruff, "format", "--check", "."]]),
        "unit": units("tensorflow", WITHOUT_BROWSER),
        "jax": units("jax", f"keras and {WITHOUT_BROWSER}"),
        "torch": units("torch", f"keras and {WITHOUT_BROWSER}"),
        "replay": ("notebooks", one_thread, [pytest(*notebooks)]),
        # In one run, so that short tests fill the time that long ones leave.
        "all": (
            "units, notebooks and site",
            one_thread | {"KERAS_BACKEND": "tensorflow"},
            [pytest(*notebooks, "tests")],
        ),
    }


def threads(number):
    """What tells TensorFlow, JAX and NumPy's linear algebra how many threads to use."""
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC", "OMP_NUM_THREADS")
    return dict.fromkeys(names, str(number))


def run(command, environment, output=None):
    """Run a command, what it says to a file if that is given. Returns how many of its tests passed, failed and were
    skipped; ruff's check is one test.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        if "pytest" in command:
            command = [*command, f"--junit-xml={report}"]
        options = {"stdout": output, "stderr": subprocess.STDOUT} if output else {}
        with subprocess.Popen(command, env=os.environ | environment, **options) as process:
            try:
                process.wait()
            except KeyboardInterrupt:
                process.wait()  # the terminal has told it, too, and it has to end what it began
                raise
        counts = counted(report) if report.exists() else Counter(passed=int(process.returncode == 0))
    if process.returncode and not counts["failed"]:
        counts["failed"] = 1
    return counts


def counted(report):
    """What a report of pytest, in JUnit's form, counts."""
    suite = ElementTree.parse(report).find("testsuite")
    tests, failures, errors, skipped = (int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped"))
    return Counter(passed=tests - failures - errors - skipped, failed=failures + errors, skipped=skipped)


def summary(results):
    """The table: a line for each stage, and one that adds them up in the form that CI services read."""
    lines = [f"{'':28}{'passed':>8}{'failed':>8}{'skipped':>8}{'time':>10}"]
    for title, (counts, seconds) in results.items():
        numbers = "".join(f"{counts[name]:8}" for name in ("passed", "failed", "skipped"))
        lines.append(f"{title:28}{numbers}{int(seconds // 60):6}:{int(seconds % 60):02}")
    total = sum((counts for counts, _ in results.values()), Counter())
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    return "\n".join([*lines, "", f"{total['passed']} passed, {total['failed']} failed{skipped}"])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", default=JOBS, help="tests or notebooks at a time")
    parser.add_argument("--cell-timeout", default=CELL_TIMEOUT, help="seconds that a notebook's cell may take")
    parser.add_argument("stages", nargs="+", help=f"of {', '.join(stages('', ''))}; with a plus between them, together")
    options = parser.parse_args()
    groups = [names.split("+") for names in options.stages]
    if unknown := {name for names in groups for name in names} - stages("", "").keys():
        parser.error(f"There is no stage {', '.join(sorted(unknown))}.")
    if any("torch" in names for names in groups) and not importlib.util.find_spec("torch"):
        print("PyTorch is no part of the environment, since it is large. Installing it.", flush=True)
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "torch"], check=True)
    known, beside = stages(options.jobs, options.cell_timeout), stages("1", options.cell_timeout)
    run_all([known[first], *(beside[name] for name in others)] for first, *others in groups)


def run_all(groups):
    """Run groups of stages one after the other, print the table, and exit: with 1 where one failed."""
    results = {}
    try:
        for group in groups:
            results |= side_by_side(*group)
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"\n{summary(results)}")
    sys.exit(any(counts["failed"] for counts, _ in results.values()))


def side_by_side(shown, *others):
    """Run stages at the same time. Returns counts and seconds by title."""

    def finished(stage, output=None):
        title, environment, commands = stage
        start = time.monotonic()
        counts = sum((run(command, environment, output) for command in commands), Counter())
        return title, (counts, time.monotonic() - start)

    with ThreadPoolExecutor(len(others) or 1) as pool, contextlib.ExitStack() as files:
        outputs = [files.enter_context(tempfile.TemporaryFile("w+")) for _ in others]
        running = [pool.submit(finished, *pair) for pair in zip(others, outputs, strict=True)]
        print(f"\n── {' beside '.join(title for title, *_ in (shown, *others))} ──", flush=True)
        results = [finished(shown)]
        for one, output in zip(running, outputs, strict=True):
            results.append(one.result())
            output.seek(0)
            print(f"\n── {results[-1][0]} ──\n{output.read()}", flush=True)
    return dict(results)


if __name__ == "__main__":
    main()
