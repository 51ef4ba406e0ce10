"""Processes that grade: one that dies costs only what it was grading, and none becomes old."""

import concurrent.futures
import multiprocessing
import signal
import threading
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
        super().shutdown(wait, **options)
        for process in self.processes if wait else ():
            process.shutdown()  # or Python would end them while they end by themselves, and complain

    def submit(self, function, *arguments):
        return super().submit(self._in_process, function, *arguments)

    def _in_process(self, function, *arguments):
        calls, process = getattr(self.own, "process", (CALLS, None))
        if calls == CALLS:
            if process:
                process.shutdown()
            calls, process = 0, concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
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
