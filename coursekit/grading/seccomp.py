"""The system calls that a notebook has no use for: a filter for bubblewrap, which hands it to the kernel.

Refused is memory that no limit counts (memfd, shared segments, message queues, watches of files), namespaces and
sockets other than local ones, which open much of the kernel to attacks, and what looks into other processes or into the
kernel. So is a session of one's own: a kernel that shares the processors between sessions would give it a share more.
"""

import errno
import platform
import struct

# By machine: the kernel's number of the architecture, those of clone, clone3 and socket, and of what is refused.
_CALLS = {
    "x86_64": (
        0xC000003E,
        56,
        435,
        41,
        dict(
            setsid=112, msgget=68, semget=64, inotify_init=253, inotify_init1=294,
            memfd_create=319, memfd_secret=447, shmget=29, mq_open=240, ptrace=101, add_key=248, request_key=249,
            keyctl=250, bpf=321, perf_event_open=298, userfaultfd=323, unshare=272, setns=308, mount=165, umount2=166,
            pivot_root=155, io_uring_setup=425, open_by_handle_at=304, process_vm_readv=310, process_vm_writev=311,
        ),
    ),
    "aarch64": (
        0xC00000B7,
        220,
        435,
        198,
        dict(
            setsid=157, msgget=186, semget=190, inotify_init1=26,
            memfd_create=279, memfd_secret=447, shmget=194, mq_open=180, ptrace=117, add_key=217, request_key=218,
            keyctl=219, bpf=280, perf_event_open=241, userfaultfd=282, unshare=97, setns=268, mount=40, umount2=39,
            pivot_root=41, io_uring_setup=425, open_by_handle_at=265, process_vm_readv=270, process_vm_writev=271,
        ),
    ),
}  # fmt: skip
_NAMESPACES = 0x7E020000  # the flags of clone that make any
_LOCAL = 1  # the family of sockets that stay on this machine
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # where they are in what the filter sees
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000


def program():
    """The filter as bytes, a BPF program; None on a machine that it is not written for."""
    if platform.machine() not in _CALLS:
        return None
    architecture, clone, clone3, socket, refused = _CALLS[platform.machine()]
    steps = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    steps += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL)]  # the numbers of x32
    for number in refused.values():
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _FAIL | errno.EPERM)]
    # The flags of clone3 are out of a filter's sight; without it, programs fall back on clone.
    steps += [(_EQUAL, 0, 1, clone3), (_RETURN, 0, 0, _FAIL | errno.ENOSYS)]
    steps += [(_EQUAL, 0, 4, socket), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_EQUAL, 0, 1, _LOCAL)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _FAIL | errno.EAFNOSUPPORT)]
    steps += [(_EQUAL, 0, 3, clone), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_ANY_BIT, 0, 1, _NAMESPACES)]
    steps += [(_RETURN, 0, 0, _FAIL | errno.EPERM), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)
