"""Runs a notebook's cells where the grader wants them run, and hands in what they answer: ``python -m
coursekit.exercises.runner LIMITS``.

This is the only program in the sandbox that is not the student's, and the grader believes nothing that it says beyond
the values of the answers. It reads from its standard input and writes to its standard output; what the cells print goes
to its standard error.

The first message is ``{"cells": [[number, source], ...], "functions": {question: name}}``. Before each cell the
runner writes ``{"cell": number}``, and after it ``{"raised": clause or "", "busy": whether something of it still
runs}``; or, where the cell has filled what it may use, ``{"full": "memory", "disk" or "files"}``, and ends. For each
question that a cell hands in, it writes ``{"ask": question, "mistake": message or None}``, reads the inputs, and writes
``{"results": ...}``. After the last cell, a question that no cell has asked is asked all the same where its function is
there; it takes the place of a cell's number. In the end comes ``{"done": True}``.
"""

import errno
import json
import os
import pathlib
import re
import resource
import signal
import sys
import threading
import types

from coursekit.exercises import check, question, values

MIB = 2**20
OPEN_FILES = 256
# What is full where a cell raises an error of the system with that number.
FULL = {errno.ENOSPC: "disk", errno.EMFILE: "files"}


def limit(seconds, memory, processes, disk, user):
    """Limit what this process and its children may use; memory and disk are in MiB. Root becomes the user of that id,
    unless it is None: root is not held to a number of processes, among other things.
    """
    for kind, number in {
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_AS: memory * MIB,
        resource.RLIMIT_FSIZE: disk * MIB,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 1,  # byte: 0 does not hold where the kernel hands what has crashed to a program
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_NPROC: processes,
    }.items():
        _, hard = resource.getrlimit(kind)
        allowed = number if hard == resource.RLIM_INFINITY else min(number, hard)
        resource.setrlimit(kind, (allowed, allowed))
    os.nice(10)  # the grader, which has to see what goes wrong, comes first
    if user is not None and os.getuid() == 0:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)


def main():
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    limit(**json.loads(sys.argv[1]))
    os.chdir(os.environ["HOME"])
    asked, process = set(), os.getpid()

    def write(message):
        if os.getpid() != process:  # a cell has forked, and its child goes on as if it were the notebook
            os._exit(0)
        replies.write(values.pack(message))
        replies.flush()

    def hand_in(one, answer, mistake):
        if mistake is None:
            asked.add(one.id)
        write({"ask": one.id, "mistake": mistake})
        results = one.results(answer, values.read(requests))
        try:
            write({"results": results})
        except ValueError as error:  # too large
            write({"results": [{"error": f"it cannot be handed in: {str(error).rstrip('.')}"}] * len(results)})
        print(f"handed in · {one.id}")

    task = values.read(requests)
    check.hand_in = hand_in
    _pretend_to_be_colab()
    shell = _shell()
    calls = re.compile(rf"\bcheck\s*\(\s*[\"']({'|'.join(map(re.escape, task['functions']))})[\"']")
    for number, source in task["cells"]:
        write({"cell": number})
        outcome = _run(shell, source, check_again=calls.search(source))
        write(outcome)
        if "full" in outcome:
            os._exit(1)  # it would stay full; without this cell, the others have a chance
    for name, function in task["functions"].items():
        if name not in asked and callable(shell.user_ns.get(function)):
            write({"cell": name})
            check(name, shell.user_ns[function])
    write({"done": True})
    # Whatever the cells have left running must not keep this process alive.
    os._exit(0)


def _run(shell, source, check_again):
    """Run a cell. Returns what it raised, and whether it has left something running; or what it has filled."""
    _restore_standard_streams()
    busy_before = _busy()
    namespace = shell.user_ns
    shadow = namespace.get("check", check)
    if check_again:  # the student may have given the name to something else
        namespace["check"] = check
    try:
        result = shell.run_cell(source)
        error = result.error_before_exec or result.error_in_exec
    except BaseException as escaped:  # not even showing it went well
        error = escaped
    if check_again and namespace.get("check") is check:
        namespace["check"] = shadow
    if isinstance(error, MemoryError):
        return {"full": "memory"}
    if isinstance(error, OSError) and error.errno in FULL:
        return {"full": FULL[error.errno]}
    return {"raised": question.raised(error) if error else "", "busy": _busy() > busy_before}


def _busy():
    """How many threads, timers and child processes there are: what may act while later cells run."""
    timers = sum(
        signal.getitimer(kind)[0] > 0 for kind in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
    )
    children = pathlib.Path(f"/proc/self/task/{os.getpid()}/children")  # which not every kernel has
    return threading.active_count() + timers + (len(children.read_text().split()) if children.exists() else 0)


def _restore_standard_streams():
    """A cell may have closed what the next one prints to."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)


def _pretend_to_be_colab():
    """Let what notebooks written in Colab import from ``google.colab`` do nothing: their answers do not need it."""

    class Nothing(types.ModuleType):
        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return self

        def __call__(self, *_, **__):
            return None

    try:
        import google  # which Protocol Buffers bring
    except ModuleNotFoundError:
        google = sys.modules["google"] = types.ModuleType("google")
    google.colab = Nothing("google.colab")
    for name in ("", ".auth", ".data_table", ".drive", ".files", ".output", ".patches", ".userdata", ".widgets"):
        sys.modules[f"google.colab{name}"] = google.colab


def _shell():
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    options = Config()
    options.HistoryManager.enabled = False
    options.InteractiveShell.colors = "NoColor"
    return InteractiveShell.instance(config=options)


if __name__ == "__main__":
    main()
