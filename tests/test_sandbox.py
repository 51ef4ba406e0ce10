"""What a notebook can see and call in bubblewrap, and that nothing which it must not see is graded."""

import errno
import platform
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
import venv

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from coursekit.grading import __main__ as grading
from coursekit.grading import sandbox, seccomp

# Files.


@pytest.fixture
def usr(tmp_path, monkeypatch):
    """A folder that stands in for /usr, which notebooks can read."""
    monkeypatch.setattr(sandbox, "visible", lambda: [tmp_path / "usr"])
    monkeypatch.setattr(grading, "REPOSITORY", tmp_path / "course")
    for folder in ("usr/local/share", "in", "masters", "course/exercises"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path / "usr"


def arguments(*words):
    parser, options = grading.arguments(list(map(str, words)))
    grading.check_arguments(parser, options)


def test_what_notebooks_cannot_read_is_graded(usr, tmp_path):
    arguments(tmp_path / "in", "--out", tmp_path / "grades.csv", "--masters", tmp_path / "masters")
    arguments(tmp_path / "in", "--out", tmp_path / "new" / "grades.csv")


@pytest.mark.parametrize("folder", ["in", "in/deep", "link"])
@pytest.mark.parametrize("what", ["submissions", "out", "masters"])
def test_what_notebooks_could_read_is_refused(usr, tmp_path, capsys, what, folder):
    place = usr / "local" / "share" / folder
    if folder == "link":
        (usr / "in").mkdir()
        place = tmp_path / "link"
        place.symlink_to(usr / "in")
    place.mkdir(parents=True, exist_ok=True)
    paths = {"submissions": tmp_path / "in", "out": tmp_path / "grades.csv", "masters": tmp_path / "masters"}
    paths[what] = place / "grades.csv" if what == "out" else place
    with pytest.raises(SystemExit, match="2"):
        arguments(paths["submissions"], "--out", paths["out"], "--masters", paths["masters"])
    assert f"{paths[what]} lies in {usr}, which notebooks can read; move it somewhere else." in capsys.readouterr().err


def test_a_clone_that_notebooks_could_read_is_refused_and_beside_an_installed_package_there_is_none(
    usr, tmp_path, capsys, monkeypatch
):
    paths = [tmp_path / "in", "--out", tmp_path / "grades.csv", "--masters", tmp_path / "masters"]
    monkeypatch.setattr(grading, "REPOSITORY", usr / "local" / "lib" / "python3.12" / "site-packages")
    arguments(*paths)
    (grading.REPOSITORY / "exercises").mkdir(parents=True)
    with pytest.raises(SystemExit, match="2"):
        arguments(*paths)
    assert f"site-packages/exercises lies in {usr}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "place", ["local/lib/python3.12/site-packages", "lib/python3/dist-packages", "python3.11/site-packages"]
)
def test_an_installed_coursekit_is_hidden(usr, place):
    (usr / place / "coursekit").mkdir(parents=True)
    (usr / place / "coursekit_of_another").mkdir()
    hidden = str(usr / place / "coursekit")
    command = sandbox._bwrap(ROOT, sandbox.LIMITS, None)
    assert command[command.index(hidden) - 1] == "--tmpfs"
    assert [word for word in command if word.startswith(str(usr))] == [hidden, hidden]


def test_a_clone_in_the_folder_of_the_environment_is_not_seen(tmp_path):
    """As after ``python -m venv ~/teach; cd ~/teach; git clone ...``."""
    teach = tmp_path / "teach"
    venv.create(teach, with_pip=False)
    clone = teach / "course"
    shutil.copytree(ROOT / "coursekit", clone / "coursekit", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "exercises", clone / "exercises")
    (packages,) = teach.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    look = (
        "import subprocess, sys\nfrom coursekit.grading import sandbox\n"
        "see = sandbox._bwrap('/usr', sandbox.LIMITS, None)\n"
        "for path in sys.argv[1:]: print(subprocess.run([*see, 'test', '-e', path]).returncode)"
    )
    paths = [clone / "exercises", clone / "coursekit", clone, packages]
    done = subprocess.run(
        [teach / "bin" / "python", "-c", look, *paths], env={"PYTHONPATH": str(clone)}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["1", "1", "1", "0"], done.stderr


# System calls.

CALLS = {machine: dict(numbers) for machine, (_, numbers) in seccomp._MACHINES.items()}
ALLOWED, KILLED = "allowed", "killed"


def outcome(machine, number, arguments=(), of=None):
    """What becomes of a call with the filter for a machine, as a kernel would find out: allowed, killed, or the error.

    of: the machine whose call it is, where it is another one.
    """
    architecture = seccomp._MACHINES[of or machine][0]
    seen = struct.pack("<IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(platform, "machine", lambda: machine)
        program = list(struct.iter_unpack("HBBI", seccomp.program()))
    place, loaded = 0, 0
    while True:
        code, jump, otherwise, value = program[place]
        place += 1
        if code == 0x06:
            return {0x7FFF0000: ALLOWED, 0x80000000: KILLED}.get(value, value & 0xFFFF)
        if code == 0x20:
            (loaded,) = struct.unpack_from("<I", seen, value)
        else:
            holds = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[code]
            place += jump if holds else otherwise


@pytest.mark.parametrize("machine", CALLS)
@given(number=st.integers(0, 0x3FFFFFFF), arguments=st.lists(st.integers(0, 2**64 - 1), max_size=6))
def test_no_other_calls_are_refused(machine, number, arguments):
    if number not in CALLS[machine].values():
        assert outcome(machine, number, arguments) == ALLOWED


@pytest.mark.parametrize("machine", CALLS)
def test_calls_of_another_machine_or_of_x32_end_the_process(machine):
    (other,) = CALLS.keys() - {machine}
    assert outcome(machine, 1, of=other) == KILLED
    assert outcome(machine, 0x40000001) == outcome(machine, 2**32 - 1) == KILLED


# What is refused only with some arguments: those that are, and those that are not.
BY_ARGUMENTS = {
    "clone": ([[0x10000000 | 17], [0x40000000]], [[17], [0x003D0F00]]),
    "socket": ([[2, 1, 0], [10], [16], [2**32 + 2]], [[1], [1, 2**64 - 1]]),
    "socketpair": ([[2], [30]], [[1, 2]]),
    "mmap": (
        [[0, 1, 3, 0x21], [0, 1, 3, 0x23], [0, 1, 3, 0x40021]],
        [[0, 1, 3, 0x22], [0, 1, 3, 0x01, 3], [0, 1, 3, 0x2]],
    ),
    "rt_sigaction": ([[17, 0, 0, 8], [17, 1]], [[2, 17], [18], [0]]),
}


@pytest.mark.parametrize("machine", CALLS)
@given(arguments=st.lists(st.integers(0, 2**64 - 1), max_size=6))
def test_calls_without_use_are_refused_whatever_their_arguments(machine, arguments):
    for name in CALLS[machine].keys() - BY_ARGUMENTS.keys():
        expected = errno.ENOSYS if name == "clone3" else errno.EPERM
        assert outcome(machine, CALLS[machine][name], arguments) == expected, name


@pytest.mark.parametrize("machine", CALLS)
@pytest.mark.parametrize("name", BY_ARGUMENTS)
def test_calls_with_a_use_are_refused_by_their_arguments(machine, name):
    refused, allowed = BY_ARGUMENTS[name]
    number = CALLS[machine][name]
    assert {outcome(machine, number, arguments) for arguments in refused} <= {errno.EPERM, errno.EAFNOSUPPORT}
    assert {outcome(machine, number, arguments) for arguments in allowed} == {ALLOWED}


def test_the_filter_is_one_that_this_kernel_takes():
    if platform.machine() in CALLS:
        see = sandbox._bwrap(ROOT, sandbox.LIMITS, descriptor := sandbox._filter())
        done = subprocess.run(
            [*see, sys.executable, "-c", "import os; os.setsid()"], pass_fds=[descriptor], capture_output=True
        )
        assert b"PermissionError" in done.stderr


@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_no_two_sandboxes_of_a_machine_have_one_user(system, monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox.sys, "platform", system)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    one, held = sandbox._reserved_user()
    code = f"import sys; from coursekit.grading import sandbox; sys.platform = '{system}'; "
    code += "print(sandbox._reserved_user()[0])"
    other = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert other != one
    held.close()
    again, held = sandbox._reserved_user()
    held.close()
    assert again <= one
