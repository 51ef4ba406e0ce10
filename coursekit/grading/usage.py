"""What a sandbox uses of memory and processors, counted and limited by the kernel where it offers control groups.

Elsewhere it is counted here, process by process. Both kinds answer the same three questions: whether there is too much
of something, how much processor time was used, and how long what was ready to run had to wait for a processor.
"""

import contextlib
import errno
import functools
import os
import re
import subprocess
import time
import typing
import uuid
from pathlib import Path

import psutil

MIB = 2**20
CONTROLLERS = {"cpu", "memory", "pids"}
# What the kernel keeps for a process and for a file, at most, where nothing tells how much it is.
OF_PROCESS, OF_FILE = 16 * MIB, 2**11


class NoMemoryLeft(Exception):
    """The machine has less memory than the notebooks may use together; no one of them is to blame."""


@functools.cache
def parent_group(process=Path("/proc/self")):
    """The control group in which this process may make others: a folder, or None where there is none.

    It is one that has the controllers switched on, as those of root do, or else the process's own, if that was
    delegated to it.
    """
    groups = _groups(process)
    for group in groups:
        with contextlib.suppress(OSError):
            if _named(group / "cgroup.subtree_control") >= CONTROLLERS and _takes_processes(group):
                return group
    with contextlib.suppress(OSError):
        if groups and _named(groups[0] / "cgroup.controllers") >= CONTROLLERS:
            _become_parent(groups[0])
            return groups[0] if _takes_processes(groups[0]) else None
    return None


def _groups(process):
    """The control groups that a process is in, as folders: its own, and those above, up to one that was delegated."""
    if not (process / "cgroup").exists():  # only Linux has them
        return []
    mounted = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
    mounts = [(Path(fields[4]), fields[3]) for fields in mounted if fields[fields.index("-") + 1] == "cgroup2"]
    own = re.search(r"^0::(/.*)$", (process / "cgroup").read_text(), re.MULTILINE)
    if not mounts or not own:
        return []
    mount, root = mounts[0]  # of a container, perhaps, which sees no group above its own
    if not Path(own[1]).is_relative_to(root):
        return []
    inside = Path(own[1]).relative_to(root).parts
    groups = [mount.joinpath(*inside[:depth]) for depth in range(len(inside), -1, -1)]
    delegated = [place for place, group in enumerate(groups, start=1) if _is_delegated(group)]
    return groups[: min(delegated, default=None)]


def _is_delegated(group):
    """Whether systemd has handed a group to whoever runs in it; those above are its own."""
    try:
        return os.getxattr(group, "user.delegate") == b"1"
    except OSError:
        return False


def _named(path):
    return set(path.read_text().split())


def _become_parent(group):
    """Switch the controllers on for the groups below. Only the kernel's first group may hold processes besides, so that
    those of any other move to a group below.
    """
    for _ in range(100):  # a process that is moved may have begun another one before
        try:
            return (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(CONTROLLERS)))
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
        below = group / "grader"
        below.mkdir(exist_ok=True)
        for pid in _named(group / "cgroup.procs"):
            with contextlib.suppress(ProcessLookupError):  # it has ended
                (below / "cgroup.procs").write_text(pid)
    raise OSError(errno.EBUSY, f"{group} has processes that cannot be moved.")


def _takes_processes(parent):
    """Whether a process can be moved into a new group of that parent."""
    group = ControlGroup(parent, {"memory": 64, "disk": 0, "processes": 8})
    done = subprocess.run(group.command(["true"]), stderr=subprocess.DEVNULL)
    group.close()
    return done.returncode == 0


class ControlGroup:
    """A control group (cgroups, version 2) for one sandbox, made below a parent.

    The kernel itself counts all its memory, with what it keeps for files, sockets and page tables, and shares the
    processors equally between groups, however many processes one has.
    """

    def __init__(self, parent, limits):
        self.limits = limits
        self.folder = parent / f"coursekit-{uuid.uuid4().hex}"
        self.folder.mkdir()
        # Files in the sandbox's /tmp are memory, too.
        memory = (limits["memory"] + limits["disk"]) * MIB
        settings = {"memory.max": memory, "memory.oom.group": 1, "pids.max": limits["processes"], "memory.swap.max": 0}
        for name, value in settings.items():
            if (self.folder / name).exists() or name != "memory.swap.max":  # which a kernel without swap does not have
                (self.folder / name).write_text(str(value))

    def command(self, command):
        """A command that runs another one in the group."""
        return ["/bin/sh", "-c", 'echo 0 > "$0" && exec "$@"', str(self.folder / "cgroup.procs"), *command]

    def excess(self):
        """What there is too much of, as the end of a sentence, or an empty text.

        Raises NoMemoryLeft where the kernel has ended processes that did not need more than they may.
        """
        if not self._number("memory.events", r"^oom_kill (\d+)"):
            return ""
        if not self._number("memory.events", r"^oom (\d+)"):
            raise NoMemoryLeft("this machine has no memory left; grade fewer notebooks at a time, with --jobs")
        return f"needed more than {self.limits['memory']} MiB of memory"

    def times(self):
        """Seconds of processor time, and seconds in which something was ready to run and waited, both so far."""
        waited = 0
        with contextlib.suppress(OSError):  # a kernel may not count it
            waited = self._number("cpu.pressure", r"^some .*total=(\d+)")
        return self._number("cpu.stat", r"^usage_usec (\d+)") / 1e6, waited / 1e6

    def _number(self, file, pattern):
        found = re.search(pattern, (self.folder / file).read_text(), re.MULTILINE)
        return int(found[1]) if found else 0

    def kill(self):
        with contextlib.suppress(OSError):
            (self.folder / "cgroup.kill").write_text("1")

    def close(self):
        """Remove the group. Its processes are dead or die now."""
        self.kill()
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                return self.folder.rmdir()
            except FileNotFoundError:
                return None
            except OSError:  # the last of its processes are still ending
                time.sleep(0.01)


class Processes:
    """A process with all its descendants, looked at one by one, where there is no control group for them.

    What the kernel keeps for them is estimated, and rather too high: by the number of processes, sockets and files.
    """

    def __init__(self, pid, limits):
        self.limits = limits
        self.first = psutil.Process(pid)
        self.processor, self.waited = 0.0, 0.0
        self.looked, self.threads = time.monotonic(), {}

    def excess(self):
        """What there is too much of, as the end of a sentence, or an empty text."""
        tree = self._tree()
        used = sum(_memory(process.pid) for process in tree) + _of_sandbox(tree)
        return f"needed more than {self.limits['memory']} MiB of memory" if used > self.limits["memory"] * MIB else ""

    def times(self):
        """Seconds of processor time, and seconds in which something was ready to run and waited, both so far."""
        tree, processor = self._tree(), 0.0
        for process in tree:
            with contextlib.suppress(psutil.Error):
                processor += sum(process.cpu_times()[:4])  # its own and those of children that have ended
        # Where nobody waits for a child, its time is lost; it does not run backwards.
        self.processor = max(self.processor, processor)
        before, self.threads = self.threads, dict(entry for process in tree for entry in _threads(process.pid))
        looked, self.looked = self.looked, time.monotonic()
        waits = (now.waited(before.get(thread, Thread()), self.looked - looked) for thread, now in self.threads.items())
        self.waited += max(waits, default=0)
        return self.processor, self.waited

    def kill(self):
        for process in self._tree():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def close(self):
        pass

    def _tree(self):
        try:
            return [self.first, *self.first.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _read(path):
    """What a file in /proc holds; nothing where the process has ended or is not ours to look at."""
    try:
        return Path(path).read_bytes()
    except (ProcessLookupError, FileNotFoundError, PermissionError):
        return b""


def _memory(pid):
    """Bytes of memory of a process, with its page tables and what of it is on the disk."""
    found = re.findall(rb"^Vm(?:RSS|PTE|Swap):\s+(\d+) kB", _read(f"/proc/{pid}/status"), re.MULTILINE)
    return OF_PROCESS + 1024 * sum(map(int, found))


def _of_sandbox(tree):
    """Bytes that the kernel may keep for the sockets and files of a sandbox, which has its own network and /tmp."""
    for process in reversed(tree):
        inside = f"/proc/{process.pid}"
        try:
            own = os.readlink(f"{inside}/ns/net") != os.readlink("/proc/self/ns/net")
            if own and os.stat(f"{inside}/root/tmp").st_dev != os.stat("/tmp").st_dev:
                files = os.statvfs(f"{inside}/root/tmp")
                # Newer kernels count those of streams in a line of their own.
                sockets = re.findall(rb"^UNIX\S*\s+\d+\s+(\d+)", _read(f"{inside}/net/protocols"), re.MULTILINE)
                most = 2 * int(_read("/proc/sys/net/core/wmem_max") or 0)
                return OF_FILE * (files.f_files - files.f_ffree) + most * sum(map(int, sockets))
        except OSError:  # it has ended, or is not ours to look at
            continue
    return 0


class Thread(typing.NamedTuple):
    """What the kernel tells of a thread: seconds that it ran, seconds of waits that are over, whether it is ready."""

    ran: float = 0.0
    waits: float = 0.0
    ready: bool = False

    def waited(self, before, elapsed):
        """Seconds that it was ready to run and waited, of those since an earlier look.

        The kernel counts a wait when it is over. One that lasts is the time in which the thread was ready, and did not
        run.
        """
        lasts = elapsed - (self.ran - before.ran) if self.ready and before.ready else 0.0
        return max(self.waits - before.waits, lasts)


def _threads(pid):
    """Pairs of the number and the ``Thread`` of each of a process, if the kernel tells."""
    with contextlib.suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/task"):
            counts = _read(f"/proc/{pid}/task/{number}/schedstat").split()
            state = _read(f"/proc/{pid}/task/{number}/stat").rpartition(b") ")[2][:1]
            if len(counts) == 3:
                yield number, Thread(int(counts[0]) / 1e9, int(counts[1]) / 1e9, state == b"R")
