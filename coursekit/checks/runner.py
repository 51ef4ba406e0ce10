"""Runs a notebook's cells where the grader wants them run, and hands in what they answer: ``python -m
coursekit.checks.runner LIMITS``.

This is the only program in the sandbox that is not the student's, and the grader believes nothing that it says beyond
the values of the answers. It reads from its standard input and writes to its standard output; what the cells print goes
to its standard error.

The first message is a list of pairs, the number of a cell and its source. For each question that a cell hands in, the
runner writes ``{"ask": question, "mistake": message or None}``, reads the inputs, and writes ``{"results": ...}``.
Before each cell it writes ``{"cell": number}``, and in the end ``{"done": True}``.
"""

import errno
import json
import os
import resource
import sys

from coursekit.checks import check, values

MIB = 2**20


def limit(seconds, memory, processes, disk, user):
    """Limit what this process and its children may use; memory and disk are in MiB. Root becomes the user of that id,
    unless it is None: root is not held to a number of processes, among other things.
    """
    for kind, number in {
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_AS: memory * MIB,
        resource.RLIMIT_FSIZE: disk * MIB,
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: processes,
    }.items():
        _, hard = resource.getrlimit(kind)
        allowed = number if hard == resource.RLIM_INFINITY else min(number, hard)
        resource.setrlimit(kind, (allowed, allowed))
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

    def write(message):
        replies.write(values.pack(message))
        replies.flush()

    def hand_in(question, answer, mistake):
        write({"ask": question.id, "mistake": mistake})
        results = question.results(answer, values.read(requests))
        try:
            write({"results": results})
        except ValueError as error:  # too large
            write({"results": [{"error": f"it cannot be handed in: {str(error).rstrip('.')}"}] * len(results)})
        print(f"handed in · {question.id}")

    cells = values.read(requests)
    check.hand_in = hand_in
    shell = _shell()
    for number, source in cells:
        write({"cell": number})
        failure = shell.run_cell(source).error_in_exec
        if isinstance(failure, MemoryError) or (isinstance(failure, OSError) and failure.errno == errno.ENOSPC):
            os._exit(1)  # what it has filled would stay so; without this cell, the others have a chance
    write({"done": True})
    sys.stdout.flush()
    # Whatever the cells have left running must not keep this process alive.
    os._exit(0)


def _shell():
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    options = Config()
    options.HistoryManager.enabled = False
    options.InteractiveShell.colors = "NoColor"
    return InteractiveShell.instance(config=options)


if __name__ == "__main__":
    main()
