"""One notebook in one sandbox: its cells go in, plain values come out, and nothing that it does can hold us up."""

import contextlib
import math
import threading
import time
from dataclasses import dataclass, field

from coursekit.exercises import runner, values
from coursekit.grading import sandbox, usage

TICK = 0.1  # seconds between two looks at what a notebook uses
OUTPUT = 64 * 2**20  # bytes that a notebook may print
FULL = {
    "memory": "needed more than {memory} MiB of memory",
    "disk": "wrote more than {disk} MiB of files",
    "files": f"opened more than {runner.OPEN_FILES} files",
}
# Cells of which it is noted what they raised, and characters of it.
MOST_RAISED, CLAUSE = 20, 600


@dataclass
class Answers:
    """What came out of a notebook.

    results: dict from (question, mistake's message or None) to results. stopped: dict from question to a clause on what
    ended the run that should have answered it. notes: sentences on what went wrong. seconds: what it used altogether.
    longest: what the slowest of its cells used.
    """

    results: dict = field(default_factory=dict)
    stopped: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    seconds: float = 0.0
    longest: float = 0.0


def answers(cells, questions, seed, kind, package, limits=sandbox.LIMITS, mistakes=False):
    """Run a notebook's cells, and collect what they hand in.

    cells: list of pairs, number and source. questions: dict from id to question, of the exercise. mistakes: collect the
    answers of ``check.mistake``, too. Returns ``Answers``.

    A cell that ends its process, or has to be stopped, is left out, and the rest runs again: it costs its author no
    more than what it would have answered itself.
    """
    found, left_out = Answers(), set()
    everything = {number for number, _ in cells} | questions.keys()
    while found.seconds < limits["seconds"] and not everything <= left_out:
        run = _Run(cells, questions, seed, mistakes, left_out)
        culprit, reason = run.run(kind, package, limits, found)
        found.notes = [note for note in found.notes if note not in run.raised] + run.raised
        if not reason:
            break
        over = found.seconds >= limits["seconds"]
        clause = f"{_name(culprit)} {reason}"
        found.stopped |= dict.fromkeys(questions if over else {run.asking} - {None}, clause)
        then = "with it the notebook's time was over" if over else "the notebook was run again without it"
        found.notes.append(f"{clause}; {then}.")
        left_out |= {culprit, run.asking}
    return found


def _name(cell):
    return f"Cell {cell}" if isinstance(cell, int) else f"What {cell} asks for"


class Watch(threading.Thread):
    """Ends a sandbox, and says why, as soon as it takes too long, too much memory, or prints too much.

    Seconds are those of the processors, and those in which nothing of the notebook was ready to run. What others take
    from it does not count. If the watch itself fails, the sandbox ends.
    """

    def __init__(self, running, limits, seconds_left):
        super().__init__(daemon=True)
        self.running, self.limits, self.seconds_left = running, limits, seconds_left
        self.reason = ""
        self.seconds, self.longest = 0.0, 0.0
        self.cell_begin = math.inf  # a slow disk may take its time before the first cell
        self.last = time.monotonic(), 0.0, 0.0
        self.printed, self.end = 0, b""
        self.done = threading.Event()
        self.reader = threading.Thread(target=self._drain, daemon=True)
        self.reader.start()
        self.start()

    def restart_clock(self):
        self.longest = max(self.longest, self.seconds - self.cell_begin)
        self.cell_begin = self.seconds

    def run(self):
        try:
            while not self.done.wait(TICK):
                self.look()
                if self.reason:
                    self.running.kill()
        except usage.NoMemoryLeft:  # as the last look finds, too
            self.running.kill()
        except BaseException as error:
            self.reason = f"could not be watched any more ({type(error).__name__}: {error})"
            self.running.kill()

    def look(self):
        """Count the seconds since the last look, and find out whether there is too much of something."""
        before, self.last = self.last, (time.monotonic(), *self.running.usage.times())
        elapsed, used, waited = (new - old for new, old in zip(self.last, before, strict=True))
        self.seconds += max(used, elapsed - waited, 0)
        self.reason = self.reason or self._excess()

    def _excess(self):
        if self.seconds - self.cell_begin > self.limits["cell_seconds"]:
            return f"took longer than {self.limits['cell_seconds']} s"
        if self.seconds > self.seconds_left:
            return f"was running when the notebook's {self.limits['seconds']} s were over"
        if self.printed > OUTPUT:
            return f"printed more than {OUTPUT // 2**20} MiB"
        return self.running.usage.excess()

    def _drain(self):
        while chunk := self.running.process.stderr.read1(2**16):
            self.printed += len(chunk)
            self.end = (self.end + chunk)[-1000:]

    def last_line(self):
        lines = self.end.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it says nothing"

    def stop(self):
        """End the sandbox, after a last look at what it used. Once is enough; more does no harm.

        Raises NoMemoryLeft where the machine has ended it.
        """
        if self.done.is_set():
            return
        self.done.set()
        self.join()
        try:
            with contextlib.suppress(OSError):
                self.look()
        finally:
            self.restart_clock()
            self.running.close()
            self.reader.join(timeout=5)  # a process that escaped from the unprotected kind may hold the pipe


class _Run:
    """A run of a notebook's cells, but for those left out, until the end or until one of them ends it."""

    def __init__(self, cells, questions, seed, mistakes, left_out):
        self.cells = [[number, source] for number, source in cells if number not in left_out]
        self.questions, self.seed, self.mistakes = questions, seed, mistakes
        self.functions = {name: one.function for name, one in questions.items() if name not in left_out}
        self.numbers = {number for number, _ in self.cells} | self.functions.keys()
        self.cell, self.asking, self.busy, self.full, self.raised, self.begun = None, None, None, "", [], set()

    def run(self, kind, package, limits, found):
        """Run, and add to what was found. Returns the cell that ended it and what it did, or None and an empty text.

        Raises SandboxError where the runner does not even begin.
        """
        running = sandbox.Sandbox(kind, package, limits)
        watch = Watch(running, limits, limits["seconds"] - found.seconds)
        try:
            self._send(running.process, {"cells": self.cells, "functions": self.functions})
            while not self._hear(running.process, watch, found):
                pass
            return None, ""
        except (EOFError, OSError):
            watch.stop()
            if self.cell is None and not watch.reason:
                raise sandbox.SandboxError(f"The sandbox does not start: {watch.last_line()}") from None
            full = FULL.get(self.full, "ended the process").format(**limits)
            return self._culprit(watch), watch.reason or full
        except (ValueError, KeyError, TypeError, AttributeError):
            return self._culprit(watch), watch.reason or "interfered with the grading"
        finally:
            watch.stop()
            found.seconds += watch.seconds
            found.longest = max(found.longest, watch.longest)

    def _culprit(self, watch):
        """A thread or process that an earlier cell has left running is more suspect than a cell that just runs."""
        culprit = self.cell if watch.reason or self.busy is None else self.busy
        return culprit or next(iter(self.numbers))

    def _hear(self, process, watch, found):
        """Take one message from the runner, and answer it. Returns whether it was the last one."""
        message = values.read(process.stdout)
        if message == {"done": True}:
            return True
        if message.keys() == {"cell"} and message["cell"] in self.numbers:
            self.cell = message["cell"]
            self._begin(self.cell, watch)
        elif message.keys() == {"raised", "busy"}:
            self._note(message)
        elif message.keys() == {"full"}:
            self.full = str(message["full"])
        else:
            self._ask(process, message["ask"], message["mistake"], watch, found)
        return False

    def _begin(self, what, watch):
        """Give a cell, or an answer in it, its time, once."""
        if what not in self.begun:
            self.begun.add(what)
            watch.restart_clock()

    def _note(self, message):
        if message["raised"] and len(self.raised) < MOST_RAISED:
            self.raised.append(f"{_name(self.cell)} raises {str(message['raised'])[:CLAUSE]}.")
        if message["busy"] is True:
            self.busy = self.cell

    def _ask(self, process, name, mistake, watch, found):
        known = self.questions.get(name)
        wanted = known and (mistake is None or self.mistakes)
        if wanted:
            self._begin((name, mistake), watch)
        self.asking = name if known else None
        self._send(process, known.draw(self.seed) if wanted else [])
        results = values.read(process.stdout)["results"]
        self.asking = None
        if wanted:
            found.results[name, mistake] = results
            if self.cell == name:
                note = f"No cell checks {name}; the function {known.function} was graded as it was in the end."
                found.notes += [note] * (note not in found.notes)

    @staticmethod
    def _send(process, message):
        process.stdin.write(values.pack(message))
        process.stdin.flush()
