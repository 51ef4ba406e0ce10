"""Where a student's notebook runs: with bubblewrap, in a container, or, if that is asked for by name, unprotected."""

import contextlib
import fcntl
import functools
import json
import os
import shutil
import signal
import site
import socket
import subprocess
import sys
import sysconfig
import tempfile
import uuid
from pathlib import Path

import coursekit
from coursekit.grading import seccomp, usage

KINDS = ("bwrap", "docker", "none")
IMAGE = "coursekit-grading"
# What of coursekit a notebook may import while it is graded: nothing that could answer a question.
ALLOWED = ["__init__", "_keras", "_version", "cost", "cost_rules", "data", "multiplications", "receptive_field"]
ALLOWED += ["require", "runtime"]
# Seconds of a notebook and of one of its cells, of processor time or of waiting by its own choice; MiB of memory, disk.
LIMITS = {"seconds": 600, "cell_seconds": 120, "memory": 8192, "processes": 256, "disk": 256}
# Root hands a notebook over to users of its own, one for each that runs at a time, who have no files and no rights.
FIRST_USER, USERS = 61000, 4000
# Which instructions the libraries use, where the grader's own environment says so.
INSTRUCTIONS = (
    "ONEDNN_MAX_CPU_ISA",
    "TF_ENABLE_ONEDNN_OPTS",
    "XLA_FLAGS",
    "OPENBLAS_CORETYPE",
    "NPY_DISABLE_CPU_FEATURES",
)


class SandboxError(Exception):
    """The sandbox cannot be used here; the sentence says why, and what to do."""


def allowed_package(folder):
    """Copy the part of coursekit that may be imported to a folder, and return the folder."""
    source, target = Path(coursekit.__file__).parent, Path(folder, "coursekit")
    target.mkdir(parents=True)
    for name in ALLOWED:
        shutil.copy(source / f"{name}.py", target)
    secret = shutil.ignore_patterns("expected", "__pycache__")
    shutil.copytree(source / "exercises", target / "exercises", ignore=secret)
    (target / "assets").mkdir()
    shutil.copy(source / "assets" / "digits.npz", target / "assets")
    return Path(folder)


class Sandbox:
    """The runner, started in a sandbox. ``process`` is to be talked to; ``usage`` tells what all of it uses."""

    def __init__(self, kind, package, limits):
        self.container = f"coursekit-{uuid.uuid4().hex}" if kind == "docker" else None
        self.home = tempfile.mkdtemp(prefix="coursekit-") if kind == "none" else None
        # Who is not root cannot hand over to another user, and need not.
        user, self.reservation = _reserved_user()
        own = {name: limits[name] for name in ("seconds", "memory", "processes", "disk")}
        own["user"] = user if kind == "bwrap" and os.getuid() == 0 else None
        runner = ["-m", "coursekit.exercises.runner", json.dumps(own)]
        filter_fd = _filter() if kind == "bwrap" else None
        if kind == "bwrap":
            command = [*_bwrap(package, limits, filter_fd), sys.executable, *runner]
        elif kind == "docker":
            command = [*_docker(package, limits, self.container, user), "python", *runner]
        else:
            command = [sys.executable, *runner]
        parent = usage.parent_group() if kind != "docker" else None  # which makes a group of its own
        group = usage.ControlGroup(parent, limits) if parent else None
        # Of the grader's own environment, which may hold passwords, only what starts containers needs anything.
        variables = environment(package) | {"HOME": self.home} if kind == "none" else {}
        self.process = subprocess.Popen(
            group.command(command) if group else command,
            env=None if kind == "docker" else variables,
            pass_fds=() if filter_fd is None else (filter_fd,),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.usage = group or usage.Processes(self.process.pid, limits)
        if filter_fd is not None:
            os.close(filter_fd)

    def kill(self):
        """End everything inside."""
        self.usage.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.container:
            subprocess.run(["docker", "rm", "--force", self.container], capture_output=True)

    def close(self):
        """End everything inside, and remove what it has left."""
        self.kill()
        self.process.wait()
        self.usage.close()
        self.reservation.close()
        if self.home:
            shutil.rmtree(self.home, ignore_errors=True)


def _reserved_user():
    """A user that no other sandbox on this machine has, whichever process it is in, and what reserves it."""
    for user in range(FIRST_USER, FIRST_USER + USERS):
        with contextlib.suppress(OSError):
            return user, _reservation(user)
    raise SandboxError(
        f"{USERS:,} notebooks run on this machine at a time, and there are no more users; use fewer jobs."
    )


def _reservation(user):
    """What one process at a time can have, and no longer than it lives: a socket with the user's name, in no folder, or
    a lock on a file where there are no such sockets, as on macOS.

    Raises OSError where another one has it.
    """
    if sys.platform == "linux":
        held = socket.socket(socket.AF_UNIX)
        take = functools.partial(held.bind, f"\0coursekit-{user}")
    else:
        held = open(Path(tempfile.gettempdir(), f"coursekit-{user}"), "wb")  # noqa: SIM115 (the sandbox closes it)
        take = functools.partial(fcntl.flock, held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        take()
    except OSError:
        held.close()
        raise
    return held


def environment(package):
    """The environment variables of the runner, a dict."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(package),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": "/tmp",
        "IPYTHONDIR": "/tmp",
        "OMP_NUM_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow"),
    } | {name: os.environ[name] for name in INSTRUCTIONS if name in os.environ}


def visible():
    """The folders of this machine that a notebook in bubblewrap can read: the system's and Python's, sorted."""
    return [Path("/usr"), Path("/etc/alternatives"), *_python_folders()]


def _python_folders():
    """What Python needs of its own folder and of the environment's, without whatever else lies in them."""
    prefixes = {Path(prefix) for prefix in (sys.base_prefix, sys.prefix)}
    found = {prefix / name for prefix in prefixes for name in ("bin", "lib", "lib64", "pyvenv.cfg")}
    found |= {Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")}
    found |= {Path(folder) for folder in site.getsitepackages()}
    found = {path for path in {path.resolve() for path in found} | found if path.exists()}
    inside = {path for path in found for other in found if other != path and path.is_relative_to(other)}
    return sorted(path for path in found - inside if not path.is_relative_to("/usr") or path.is_symlink())


def _installed():
    """Every coursekit that is installed where a notebook can read, in this Python or in another one, sorted."""
    places = ("python3*", "lib/python3*", "local/lib/python3*")
    found = (path for folder in visible() for place in places for path in folder.glob(f"{place}/*-packages/coursekit"))
    return sorted({path.resolve() for path in found})


def _filter():
    """A file descriptor that the filter of system calls can be read from, or None on a machine that has none."""
    program = seccomp.program()
    if program is None:
        return None
    source, target = os.pipe()
    os.write(target, program)
    os.close(target)
    return source


def _bwrap(package, limits, filter_fd):
    """The beginning of a command that runs in bubblewrap."""
    bwrap = shutil.which("bwrap")
    if not bwrap:
        raise SandboxError("bubblewrap is not installed: apt install bubblewrap, or choose --sandbox docker.")
    arguments = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    if os.getuid() != 0:
        arguments += ["--unshare-user", "--disable-userns"]
    # As the first process, since one of bubblewrap's own would be an ordinary user's, open to whatever runs beside it.
    arguments += ["--as-pid-1", "--die-with-parent", "--new-session", "--chdir", "/tmp", "--ro-bind", "/usr", "/usr"]
    for link in ("/bin", "/lib", "/lib64", "/sbin"):
        if os.path.islink(link):
            arguments += ["--symlink", os.readlink(link), link]
        elif os.path.isdir(link):
            arguments += ["--ro-bind", link, link]
    # Before what is mounted below it: an environment may be in /tmp.
    disk = str(limits["disk"] * 2**20)
    arguments += ["--perms", "1777", "--size", disk, "--tmpfs", "/tmp"]
    for folder in (Path("/etc/ld.so.cache"), Path("/etc/alternatives"), *_python_folders()):
        for parent in reversed(folder.parents[:-1]):  # bubblewrap itself would make them for root only
            arguments += ["--perms", "0755", "--dir", str(parent)]
        arguments += ["--ro-bind-try", str(folder), str(folder)]
    for package_of_answers in _installed():
        arguments += ["--tmpfs", str(package_of_answers), "--remount-ro", str(package_of_answers)]
    arguments += ["--ro-bind", str(package), "/course", "--proc", "/proc", "--dev", "/dev"]
    # Of which one could make shared memory without a file.
    arguments += ["--ro-bind", "/dev/null", "/dev/zero", "--remount-ro", "/dev"]
    arguments += ["--remount-ro", "/", "--clearenv"]
    if filter_fd is not None:
        arguments += ["--seccomp", str(filter_fd)]
    for name, value in environment("/course").items():
        arguments += ["--setenv", name, value]
    return [bwrap, *arguments, "--"]


def _docker(package, limits, name, user):
    """The beginning of a command that runs in a container of the image ``coursekit-grading``."""
    if not shutil.which("docker"):
        raise SandboxError("docker is not installed; install it, or choose --sandbox bwrap.")
    memory = f"{limits['memory']}m"
    arguments = ["--rm", "--interactive", "--name", name, "--network", "none", "--read-only", "--cap-drop", "ALL"]
    arguments += ["--security-opt", "no-new-privileges", "--user", f"{user}:{user}"]
    arguments += ["--memory", memory, "--memory-swap", memory, "--pids-limit", str(limits["processes"]), "--cpus", "1"]
    arguments += ["--shm-size", "1m", "--tmpfs", f"/tmp:rw,nosuid,nodev,mode=1777,size={limits['disk']}m"]
    arguments += ["--volume", f"{package}:/course:ro"]
    for variable, value in environment("/course").items():
        if variable != "PATH":
            arguments += ["--env", f"{variable}={value}"]
    return ["docker", "run", *arguments, IMAGE]
