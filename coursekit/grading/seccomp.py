"""The system calls that a notebook has no use for: a filter for bubblewrap, which hands it to the kernel.

Refused is memory that no limit counts (memfd, shared memory without a file, message queues, watches of files, rules of
Landlock), asynchronous reading, of which a system has only so much, namespaces and sockets other than local ones, which
open much of the kernel to attacks, and what looks into other processes or into the kernel. So is what would hide how
much time is used: not to wait for the end of one's processes, and a session of one's own, to which a kernel that shares
the processors between sessions would give a share more.
"""

import errno
import platform
import struct

# The kernel's number of the architecture, and those of the calls that are refused.
_MACHINES = {
    "x86_64": (
        0xC000003E,
        dict(
            setsid=112, msgget=68, semget=64, inotify_init=253, inotify_init1=294, fanotify_init=300,
            landlock_create_ruleset=444, io_setup=206,
            memfd_create=319, memfd_secret=447, shmget=29, mq_open=240, ptrace=101, add_key=248, request_key=249,
            keyctl=250, bpf=321, perf_event_open=298, userfaultfd=323, unshare=272, setns=308, mount=165, umount2=166,
            pivot_root=155, io_uring_setup=425, open_by_handle_at=304, process_vm_readv=310, process_vm_writev=311,
            clone=56, clone3=435, socket=41, socketpair=53, mmap=9, rt_sigaction=13,
        ),
    ),
    "aarch64": (
        0xC00000B7,
        dict(
            setsid=157, msgget=186, semget=190, inotify_init1=26, fanotify_init=262,
            landlock_create_ruleset=444, io_setup=0,
            memfd_create=279, memfd_secret=447, shmget=194, mq_open=180, ptrace=117, add_key=217, request_key=218,
            keyctl=219, bpf=280, perf_event_open=241, userfaultfd=282, unshare=97, setns=268, mount=40, umount2=39,
            pivot_root=41, io_uring_setup=425, open_by_handle_at=265, process_vm_readv=270, process_vm_writev=271,
            clone=220, clone3=435, socket=198, socketpair=199, mmap=222, rt_sigaction=134,
        ),
    ),
}  # fmt: skip
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # where they are in what the filter sees
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
# Calls that are refused only if all these tests of arguments hold: the argument's place, the test and its outcome.
_NAMESPACES = 0x7E020000  # the flags of clone that make any
_SHARED, _WITHOUT_FILE = 0x01, 0x20
_LOCAL, _CHILD_HAS_ENDED = 1, 17
_TESTS = {
    "clone": [(0, _ANY_BIT, _NAMESPACES, True)],
    "socket": [(0, _EQUAL, _LOCAL, False)],
    "socketpair": [(0, _EQUAL, _LOCAL, False)],
    "mmap": [(3, _ANY_BIT, _SHARED, True), (3, _ANY_BIT, _WITHOUT_FILE, True)],
    "rt_sigaction": [(0, _EQUAL, _CHILD_HAS_ENDED, True)],
}
# The flags of clone3 are out of a filter's sight; without it, programs fall back on clone.
_ERRORS = {"clone3": errno.ENOSYS, "socket": errno.EAFNOSUPPORT, "socketpair": errno.EAFNOSUPPORT}


def program():
    """The filter as bytes, a BPF program; None on a machine that it is not written for."""
    if platform.machine() not in _MACHINES:
        return None
    architecture, refused = _MACHINES[platform.machine()]
    steps = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    steps += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL)]  # the numbers of x32
    for name, number in refused.items():
        steps += _refusal(number, _TESTS.get(name, []), _ERRORS.get(name, errno.EPERM))
    steps += [(_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _refusal(number, tests, error):
    """Steps that refuse a call if all tests hold, allow it if one does not, and leave other calls to what follows."""
    steps = []
    for place, test, value, outcome in tests:
        steps += [(_LOAD, 0, 0, _ARGUMENTS + 8 * place), (test, outcome, not outcome, value), (_RETURN, 0, 0, _ALLOW)]
    return [(_EQUAL, 0, len(steps) + 1, number), *steps, (_RETURN, 0, 0, _FAIL | error)]
