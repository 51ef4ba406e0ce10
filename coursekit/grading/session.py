"""One notebook in one sandbox: its cells go in, plain values come out, and nothing that it does can hold us up."""

import os
import threading
import time
from pathlib import Path

from coursekit.checks import values
from coursekit.grading import sandbox

TICK = 0.1  # seconds between two looks at what a notebook uses
OUTPUT = 64 * 2**20  # bytes that a notebook may print


class Watch(threading.Thread):
    """Ends a sandbox, and says why, as soon as it takes too long, too much memory, or prints too much."""

    def __init__(self, running, limits, until):
        super().__init__(daemon=True)
        self.running, self.limits, self.until = running, limits, until
        self.reason = ""
        self.printed, self.end = 0, b""
        self.done = threading.Event()
        self.restart_clock()
        self.reader = threading.Thread(target=self._drain, daemon=True)
        self.reader.start()
        self.start()

    def restart_clock(self):
        self.cell_until = time.monotonic() + self.limits["cell_seconds"]

    def run(self):
        while not self.done.wait(TICK):
            self.reason = self.reason or self._excess()
            if self.reason:
                self.running.kill()

    def _excess(self):
        now = time.monotonic()
        if now > self.cell_until:
            return f"took longer than {self.limits['cell_seconds']} s"
        if now > self.until:
            return f"was running when the notebook's {self.limits['seconds']} s were over"
        if memory(self.running.process.pid) > self.limits["memory"] * 2**20:
            return f"needed more than {self.limits['memory']} MiB of memory"
        return f"printed more than {OUTPUT // 2**20} MiB" if self.printed > OUTPUT else ""

    def _drain(self):
        while chunk := self.running.process.stderr.read1(2**16):
            self.printed += len(chunk)
            self.end = (self.end + chunk)[-1000:]

    def last_line(self):
        lines = self.end.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it says nothing"

    def stop(self):
        self.done.set()
        self.join()
        self.running.kill()
        self.running.process.wait()
        self.reader.join(timeout=5)  # a process that escaped from the unprotected kind may hold the pipe


def memory(pid):
    """Bytes of memory of a process and all its descendants; 0 where that cannot be told."""
    children, resident = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        children.setdefault(int(fields[1]), []).append(int(folder.name))
        resident[int(folder.name)] = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    found, todo = 0, [pid]
    while todo:
        one = todo.pop()
        found += resident.get(one, 0)
        todo += children.get(one, [])
    return found


def answers(cells, questions, seed, kind, package, limits=sandbox.LIMITS, mistakes=False):
    """Run a notebook's cells, and collect what they hand in.

    cells: list of str. questions: dict from id to question, of the exercise. mistakes: collect the answers of
    ``check.mistake``, too. A cell that ends its process, or has to be stopped, is left out, and the rest runs again: it
    costs its author no more than what it would have answered itself.
    Returns a dict from (question, mistake's message or None) to results, and a list of sentences on what went wrong.
    """
    found, notes, left_out = {}, [], set()
    until = time.monotonic() + limits["seconds"]
    while time.monotonic() < until and len(left_out) < len(cells):
        remaining = [[number, source] for number, source in enumerate(cells) if number not in left_out]
        handed_in, cell, reason = _run(remaining, questions, seed, kind, package, limits, until)
        for key, results in handed_in.items():
            if key[1] is None or mistakes:
                found[key] = results
        if not reason:
            break
        over = time.monotonic() >= until
        notes.append(
            f"Cell {cell + 1} {reason}; "
            + ("with it the notebook's time was over." if over else "the notebook was run again without it.")
        )
        left_out.add(cell)
    return found, notes


def _run(cells, questions, seed, kind, package, limits, until):
    """Run cells until the end, or until one of them ends it. Returns answers, that cell's number, and what it did.

    Raises SandboxError where the runner does not even begin.
    """
    running = sandbox.Sandbox(kind, package, limits)
    process = running.process
    watch = Watch(running, limits, until)
    found, cell = {}, None
    try:
        _send(process, cells)
        while True:
            message = values.read(process.stdout)
            if message == {"done": True}:
                return found, cell, ""
            watch.restart_clock()
            if message.keys() == {"cell"} and any(message["cell"] == number for number, _ in cells):
                cell = message["cell"]
            else:
                key = message["ask"], message["mistake"]
                known = questions.get(key[0])
                _send(process, known.draw(seed) if known else [])
                results = values.read(process.stdout)["results"]
                if known:
                    found[key] = results
    except (EOFError, OSError):
        if cell is None and not watch.reason:
            watch.stop()
            raise sandbox.SandboxError(f"The sandbox does not start: {watch.last_line()}") from None
        return found, cell or 0, watch.reason or "ended the process"
    except (ValueError, KeyError, TypeError, AttributeError):
        return found, cell or 0, watch.reason or "interfered with the grading"
    finally:
        watch.stop()


def _send(process, message):
    process.stdin.write(values.pack(message))
    process.stdin.flush()
