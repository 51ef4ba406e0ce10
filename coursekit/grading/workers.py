"""Processes that grade: one that dies costs only what it was grading, and none becomes old."""

import concurrent.futures
import multiprocessing

# Which Python would import when they are needed: a bar's lock in the main thread, a process in another. Where Ctrl-C
# ends an import, it may leave the lock of all imports to a thread that never asks for it again, and the others wait.
import multiprocessing.synchronize
import signal
import threading
from concurrent.futures.process import ProcessPoolExecutor
from multiprocessing import resource_tracker

# A worker keeps a little of everything that it has imported, drawn and trained.
CALLS = 50


class Died(Exception):
    """The process that ran a call is gone."""


class Workers(concurrent.futures.ThreadPoolExecutor):
    """An executor whose threads run each call in a process, which a thread replaces after some calls, or if it dies."""

    def __init__(self, jobs):
        # So that nothing that its threads begin complains of Ctrl-C while it has nothing to do. What the first of them
        # would begin besides unblocks the signal where it is begun.
        resource_tracker.ensure_running()
        super().__init__(jobs, initializer=signal.pthread_sigmask, initargs=(signal.SIG_BLOCK, {signal.SIGINT}))
        self.own, self.processes = threading.local(), []

    def shutdown(self, wait=True, **options):
        """End when the calls that run have ended, as Ctrl-C makes them, even where nobody waits: at its own end Python
        would disturb processes that are ending by themselves, and complain.
        """
        super().shutdown(wait=True, **options)
        for process in self.processes:
            process.shutdown()

    def submit(self, function, *arguments):
        return super().submit(self._in_process, function, *arguments)

    def _in_process(self, function, *arguments):
        calls, process = getattr(self.own, "process", (CALLS, None))
        if calls == CALLS:
            if process:
                process.shutdown()
            calls, process = 0, ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
            self.processes.append(process)
        self.own.process = calls + 1, process
        try:
            return process.submit(_interruptible, function, *arguments).result()
        except concurrent.futures.BrokenExecutor:
            del self.own.process
            raise Died("the process that graded it has ended, for lack of memory perhaps") from None


def _interruptible(function, *arguments):
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        return function(*arguments)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
