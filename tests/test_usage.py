"""What a sandbox uses, counted by control groups and process by process.

Where the kernel lets the tests make control groups, real ones are limited; everywhere, their files are understood.
"""

import contextlib
import errno
import os
import subprocess
import sys
import threading
import types
import unittest.mock
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coursekit.grading import usage

MIB = usage.MIB
LIMITS = {"memory": 200, "disk": 0, "processes": 32}
TOO_MUCH = "needed more than 200 MiB of memory"


# Which group is found, in files as the kernel shows them.

ALL = ("cpu", "memory", "pids")
SLICE, SCOPE = "/user.slice", "/user.slice/run.scope"


class Kernel:
    """Files like those of control groups, and of a process in one of them.

    has, on: dict from a group to the controllers that it has, and that it has switched on. takes: groups below which
    this user may make others. delegated: groups that systemd has handed over.
    """

    def __init__(self, folder, own=SCOPE, root="/", kind="cgroup2", has=(), on=(), takes=(SLICE, SCOPE), delegated=()):
        self.mount, self.process = folder / "cgroup", folder / "process"
        self.process.mkdir()
        mounted = f"22 28 0:21 / /proc rw - proc proc rw\n30 25 0:26 {root} {self.mount} rw - {kind} cgroup rw\n"
        (self.process / "mountinfo").write_text(mounted)
        (self.process / "cgroup").write_text(f"4:memory:/a\n0::{own}\n")
        for name in ("/", SLICE, SCOPE):
            self.group(name).mkdir()
            self.file(name, "cgroup.controllers").write_text(" ".join(dict(has).get(name, ())))
            self.file(name, "cgroup.subtree_control").write_text(" ".join(dict(on).get(name, ())))
            self.file(name, "cgroup.procs").touch()
        self.takes, self.delegated = ({self.group(name) for name in names} for names in (takes, delegated))

    def group(self, name):
        return self.mount / name.strip("/")

    def file(self, group, name):
        return self.group(group) / name

    def found(self):
        """The name of the group that is found, or None."""
        takes = unittest.mock.patch.object(usage, "_takes_processes", self.takes.__contains__)
        with takes, unittest.mock.patch.object(usage, "_is_delegated", self.delegated.__contains__):
            group = usage.parent_group(self.process)
        return group and f"/{group.relative_to(self.mount)}".replace("/.", "/")


def test_another_system_has_no_control_groups(tmp_path):
    assert usage.parent_group(tmp_path / "self") is None


@pytest.mark.parametrize(
    ("kernel", "found"),
    [
        (dict(has={"/": ALL}, own="/", takes="/"), "/"),  # a machine without systemd
        (dict(has={"/": ALL, SLICE: ALL}, on={"/": ALL, SLICE: ALL}), SLICE),  # root in a session
        (dict(has={"/": ALL, SLICE: ALL}, on={"/": ALL, SLICE: ALL}, takes="/"), "/"),
        (dict(has={SCOPE: ALL}, on={"/": ALL, SLICE: ALL}, delegated=[SCOPE]), SCOPE),  # systemd-run --user --scope
        (dict(has={SCOPE: ALL}, on={"/": ALL, SLICE: ALL}), SLICE),
        (dict(has={SCOPE: ALL}, on={"/": ALL, SLICE: ALL}, takes=[SCOPE]), SCOPE),
        (dict(has={SCOPE: ALL}, on={"/": ALL, SLICE: ALL}, takes=[]), None),  # an ordinary user
        (dict(has={SCOPE: ALL[1:]}, on={"/": ALL, SLICE: ALL[1:]}), None),  # no controller of processors
        (
            dict(has={"/": ALL}, own="/docker/1", root="/docker/1", takes="/"),
            "/",
        ),  # a container in the host's namespace
        (dict(has={"/": ALL}, own="/", takes=()), None),  # a container in which it is mounted to be read only
        (dict(has={"/": ALL}, own="/docker/1", root="/docker/2", takes="/"), None),
        (dict(has={"/": ALL}, own="/../../1", takes="/"), None),  # outside of the namespace
        (dict(has={"/": ALL}, own="/", takes="/", kind="cgroup"), None),  # version 1
        (dict(own="/", takes="/"), None),  # both versions, with all controllers in the first
    ],
)
def test_a_group_is_found_where_others_can_be_made_below_it(tmp_path, kernel, found):
    kernel = Kernel(tmp_path, **kernel)
    assert kernel.found() == found
    if found:
        assert set(kernel.file(found, "cgroup.subtree_control").read_text().replace("+", "").split()) == set(ALL)


def test_what_runs_in_a_group_moves_below_before_it_becomes_a_parent(tmp_path, monkeypatch):
    write, moved = Path.write_text, []

    def as_the_kernel_does(path, text):
        inside = (tmp_path / "cgroup.procs").read_text().split()
        if path == tmp_path / "cgroup.subtree_control" and inside:
            raise OSError(errno.EBUSY, "Device or resource busy")
        if path == tmp_path / "grader" / "cgroup.procs":
            inside.remove(text)
            inside += ["child"] * (text == "parent")  # which it has begun before it was moved
            write(tmp_path / "cgroup.procs", " ".join(inside))
            if text == "gone":
                raise ProcessLookupError
            moved.append(text)
        return write(path, text)

    write(tmp_path / "cgroup.procs", "1 gone parent 2")
    monkeypatch.setattr(Path, "write_text", as_the_kernel_does)
    usage._become_parent(tmp_path)
    assert sorted(moved) == ["1", "2", "child", "parent"]
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


@pytest.mark.parametrize("error", [PermissionError, ProcessLookupError])
def test_a_group_with_processes_that_stay_is_no_parent(tmp_path, monkeypatch, error):
    kernel = Kernel(tmp_path, has={SCOPE: ALL})
    write = Path.write_text

    def as_the_kernel_does(path, text):
        if path.name == "cgroup.subtree_control":
            raise OSError(errno.EBUSY, "Device or resource busy")
        if path.name == "cgroup.procs":
            raise error
        return write(path, text)

    write(kernel.file(SCOPE, "cgroup.procs"), "1")
    monkeypatch.setattr(Path, "write_text", as_the_kernel_does)
    assert kernel.found() is None


# What a group says, in files as the kernel writes them.


@pytest.fixture
def group(tmp_path):
    return usage.ControlGroup(tmp_path, LIMITS | {"disk": 56})


def test_a_group_has_the_limits_of_its_sandbox(group):
    written = {path.name: path.read_text() for path in group.folder.iterdir()}
    assert written == {"memory.max": str(256 * MIB), "memory.oom.group": "1", "pids.max": "32"}
    (group.folder / "memory.swap.max").touch()  # as kernels with swap have it


@pytest.mark.parametrize("missing", ["memory.max", "memory.oom.group", "pids.max"])
def test_without_a_limit_there_is_no_group(tmp_path, monkeypatch, missing):
    write = Path.write_text

    def as_the_kernel_does(path, text):
        if path.name == missing:
            raise PermissionError("a file that is not there cannot be made")
        return write(path, text)

    monkeypatch.setattr(Path, "write_text", as_the_kernel_does)
    with pytest.raises(OSError, match="cannot be made"):
        usage.ControlGroup(tmp_path, LIMITS)


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ("max 0\noom 0\noom_kill 0\noom_group_kill 0\n", ""),
        ("max 99\noom 3\noom_kill 0\noom_group_kill 0\n", ""),
        ("max 99\noom 1\noom_kill 5\noom_group_kill 1\n", TOO_MUCH),
        ("max 99\noom 1\noom_kill 5\n", TOO_MUCH),
    ],
)
def test_what_the_kernel_ended_has_needed_too_much_memory(group, events, said):
    (group.folder / "memory.events").write_text(f"low 0\nhigh 0\n{events}")
    assert group.excess() == said


def test_what_the_kernel_ended_for_want_of_memory_elsewhere_is_not_blamed(group):
    (group.folder / "memory.events").write_text("max 7\noom 0\noom_kill 2\noom_group_kill 1\n")
    with pytest.raises(usage.NoMemoryLeft, match="grade fewer notebooks at a time, with --jobs"):
        group.excess()


@given(st.integers(0, 10**15), st.integers(0, 10**15), st.booleans())
def test_a_group_tells_its_times(used, waited, counts_waiting):
    files = {"cpu.stat": f"usage_usec {used}\nuser_usec 1\nsystem_usec 2\n"}
    if counts_waiting:
        files["cpu.pressure"] = f"some avg10=0.00 avg60=1.25 avg300=9.01 total={waited}\nfull avg10=0.00 total=5\n"

    def read(path):
        if path.name not in files:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return files[path.name]

    group = object.__new__(usage.ControlGroup)
    group.folder = Path("group")
    with unittest.mock.patch.object(Path, "read_text", read):
        assert group.times() == (used / 1e6, waited / 1e6 if counts_waiting else 0)


def test_a_group_that_is_gone_cannot_be_read(group):
    """So that the watch, which cannot go on, ends what ran in it."""
    for path in group.folder.iterdir():
        path.unlink()
    group.folder.rmdir()
    for look in (group.excess, group.times):
        with pytest.raises(OSError, match=group.folder.name):
            look()


# Both kinds, with real processes.

KINDS = ["process by process", *["in a control group"] * bool(usage.parent_group())]


class Running:
    """A Python program with what counts it; ``says`` reads a line of what it prints."""

    def __init__(self, kind, source):
        self.group = usage.ControlGroup(usage.parent_group(), LIMITS) if kind == "in a control group" else None
        command = [
            sys.executable,
            "-c",
            f"import os, sys, time\n{source}\nos.write(1, b'ready\\n')\nsys.stdin.read()",
        ]
        self.process = subprocess.Popen(
            self.group.command(command) if self.group else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.usage = self.group or usage.Processes(self.process.pid, LIMITS)

    def says(self):
        return self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.usage.kill()
        self.process.communicate()
        self.usage.close()


# Prints what processors all of its processes together have worked, as the kernel tells each of them.
WORK = """
def work(depth):
    for _ in range(2 * bool(depth)):
        if not os.fork():
            work(depth - 1)
            os._exit(0)
    while time.process_time() < .1: pass
    for _ in range(2 * bool(depth)): os.wait()
work(2)
print(sum(os.times()[:4]), flush=True)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_the_time_of_all_descendants_counts(kind):
    with Running(kind, WORK) as running:
        measured = float(running.says())
        used, waited = running.usage.times()
        assert running.says() == "ready" and running.usage.excess() == ""
    assert measured > 0.5 and used >= measured - 0.01 * 7 and waited >= 0


@pytest.mark.parametrize("kind", KINDS)
def test_times_do_not_run_backwards_whatever_ends(kind):
    looks = [(0, 0)]
    with Running(
        kind, WORK.replace("os.wait()", "pass").replace("os._exit(0)", "os.write(1, b'1\\n'), os._exit(0)")
    ) as running:
        while running.says() != "ready":
            looks.append(running.usage.times())
    assert looks[-1][0] > 0.1 and looks == sorted(looks) and [w for _, w in looks] == sorted(w for _, w in looks)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("mib", "said"), [(5, ""), (100, TOO_MUCH)])
def test_the_memory_of_all_descendants_counts(kind, mib, said):
    fill = f"held = [bytearray(os.urandom(2**20)) for _ in range({mib})]"
    with Running(kind, f"for _ in range(2):\n    if not os.fork(): break\n{fill}") as running:
        for _ in range(3):  # fewer, where the kernel has ended them
            running.says()
        assert running.usage.excess() == said


def lasting(pid):
    """A process that has not ended, nor does so soon: what is killed takes its time on a busy machine."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for _ in range(600):
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(0.05)
        return process
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left_of_what_is_closed(kind):
    with Running(kind, "for _ in range(3):\n    os.fork()\nos.write(1, b'%d\\n' % os.getpid())") as running:
        lines = [running.says() for _ in range(16)]
        pids = [int(line) for line in lines if line.isdigit()]
    assert len(pids) == 8
    assert not [one for pid in pids if (one := lasting(pid))]
    assert not running.group or not running.group.folder.exists()


# Process by process.

SECONDS = st.floats(0, 1e6)


def processes():
    one = usage.Processes(os.getpid(), LIMITS)
    assert one.first.pid == os.getpid()
    return one


@given(st.lists(st.lists(st.tuples(SECONDS, SECONDS, SECONDS, SECONDS), max_size=4), max_size=8))
def test_processor_time_is_the_most_that_the_tree_has_shown(looks):
    counter, most = processes(), 0
    for look in looks:
        tree = [types.SimpleNamespace(pid=0, cpu_times=lambda times=times: (*times, 99)) for times in look]
        most = max(most, sum(sum(times) for times in look))
        with unittest.mock.patch.object(counter, "_tree", lambda tree=tree: tree):
            assert counter.times()[0] == pytest.approx(most)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.floats(0, 10)), max_size=8))
def test_waiting_is_that_of_the_thread_which_waited_most_since_the_last_look(looks):
    counter, so_far, expected = processes(), {}, 0
    for look in looks:
        expected += max(look.values(), default=0)
        so_far = {
            thread: usage.Thread(0, waited + so_far.get(thread, usage.Thread()).waits)
            for thread, waited in look.items()
        }
        threads = unittest.mock.patch.object(usage, "_threads", lambda _, now=so_far: now.items())
        with threads, unittest.mock.patch.object(counter, "_tree", lambda: [counter.first]):
            assert counter.times()[1] == pytest.approx(expected)


@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 3)), max_size=20))
def test_a_wait_counts_while_it_lasts(spans):
    """Of each time between two looks: whether the thread ran or waited, and for how long."""
    before, ran, waits, lasts, counted = usage.Thread(ready=True), 0.0, 0.0, 0.0, 0.0
    for runs, seconds in spans:
        if runs:
            ran, waits, lasts = ran + seconds, waits + lasts, 0.0  # the kernel counts what is over
        else:
            lasts += seconds
        now = usage.Thread(ran, waits, ready=True)
        counted += max(now.ran - before.ran, seconds - now.waited(before, seconds))
        before = now
    assert counted == pytest.approx(ran)


def test_who_sleeps_does_not_wait():
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    while psutil.Process(child.pid).status() != psutil.STATUS_SLEEPING:
        pass
    (asleep,) = [thread for _, thread in usage._threads(child.pid)]
    child.communicate()
    own = dict(usage._threads(os.getpid()))[str(threading.get_native_id())]
    assert own.ready and own.ran > 0 and not asleep.ready
    assert asleep.waited(asleep, elapsed=5) == asleep.waited(asleep._replace(ready=True), elapsed=5) == 0


@pytest.mark.parametrize(("files", "sockets"), [(0, 0), (100, 0), (0, 30), (1000, 10)])
def test_files_and_sockets_of_a_sandbox_count(files, sockets):
    source = (
        f"import socket, sys\nheld = [socket.socketpair() for _ in range({sockets})]\n"
        f"for n in range({files}): open(f'/tmp/{{n}}', 'w')\nprint('ready', flush=True)\nsys.stdin.read()"
    )
    sandbox = ["bwrap", "--unshare-net", "--dev-bind", "/", "/", "--tmpfs", "/tmp", sys.executable, "-c", source]
    running = subprocess.Popen(sandbox, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    running.stdout.readline()
    counted = usage._of_sandbox(usage.Processes(running.pid, LIMITS)._tree())
    running.communicate()
    most = 2 * int(Path("/proc/sys/net/core/wmem_max").read_text())
    assert counted >= usage.OF_FILE * files + most * 2 * sockets
    assert counted <= usage.OF_FILE * (files + 2) + most * (2 * sockets + 2)


def test_what_is_in_no_sandbox_has_files_and_sockets_that_are_not_its_own():
    assert usage._of_sandbox(processes()._tree()) == 0


def test_what_has_ended_uses_nothing_more():
    ended = subprocess.Popen(["true"])
    counter = usage.Processes(ended.pid, LIMITS)
    ended.wait()
    assert counter.times() == (0, 0) and counter.excess() == ""
    assert list(usage._threads(ended.pid)) == [] and usage._memory(ended.pid) == usage.OF_PROCESS
    counter.kill()
