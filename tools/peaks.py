"""A plugin for the replay of notebooks: how much memory each kernel takes at most (`pytest -p tools.peaks`).

The cell by which a notebook exceeds its limit fails, and a table ends the run. Where there is no /proc, on macOS and
Windows, it sees nothing and says nothing.
"""

import itertools
import os
import re
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell

# In gigabytes, by folder. A chapter has to run in a control group of 1.6, some of which the libraries' pages need:
# Binder gives a reader two, and JupyterLab needs its share. Exercises are graded several at a time.
LIMITS = {"book": 1.45, "exercises": 0.7}
PEAK = "peak memory"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if isinstance(item, IPyNbCell) and call.when == "call":
        notebook = item.parent
        kernel = getattr(notebook.kernel, "km", None)  # none is left where a cell took too long
        peak = peak_memory(kernel.provisioner.pid) if kernel else 0
        report.user_properties.append((PEAK, peak))
        before, notebook.peak = getattr(notebook, "peak", 0), peak
        limit = LIMITS.get(item.path.parent.name, float("inf"))
        # The full profile needs a GPU and what comes with it.
        quick = os.environ.get("COURSEKIT_PROFILE", "quick") == "quick"
        if quick and report.passed and before <= limit < peak:
            report.outcome = "failed"
            report.longrepr = (
                f"{name(report)} needs {peak:.2f} GB of memory of its own from this cell on; "
                f"let it stay below {limit} GB."
            )
    return report


def pytest_terminal_summary(terminalreporter):
    peaks = {}
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        peak = dict(getattr(report, "user_properties", ())).get(PEAK)
        if peak:
            peaks[name(report)] = max(peak, peaks.get(name(report), 0))
    if peaks:
        terminalreporter.section("peak memory of the kernels")
        for notebook, peak in sorted(peaks.items()):
            terminalreporter.write_line(f"{peak:5.2f} GB  {notebook}")


def name(report):
    return report.nodeid.partition("::")[0]


def peak_memory(pid):
    """The most memory of its own that a process has had, in gigabytes, or 0 where that is not to be known.

    The kernel keeps the peak of all that was resident, so that none between two looks is missed. The pages of libraries
    are taken off, about half a gigabyte: they are shared, and dropped where memory is short.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    kilobytes = dict(re.findall(r"^(VmHWM|RssFile):\s+(\d+) kB$", status, re.MULTILINE))
    return (int(kilobytes["VmHWM"]) - int(kilobytes["RssFile"])) * 1024 / 1e9 if kilobytes else 0
