"""Grading: a class of submissions gets the grades it deserves, and no attack gets a point or harms anybody.

Attacks run in bubblewrap, as they would in a class. Each is put into a notebook that is right otherwise.
"""

import json
import re
import subprocess
import tempfile

import debian
import nbformat
import pytest
from conftest import ROOT

from coursekit import checks
from coursekit.checks.question import Contest
from coursekit.grading import grade, sandbox, submissions

# Nothing here depends on the backend, so that it runs once, with the replays.
pytestmark = pytest.mark.replay

MASTER = nbformat.read(ROOT / "exercises" / "02-normalization.ipynb", as_version=4)
SOLUTION = {
    cell.id: cell.source
    for cell in MASTER.cells
    if cell.cell_type == "code" and not {"mistake", "not-graded"} & set(cell.metadata.get("tags", []))
}
WITH_MISTAKES = submissions.code(MASTER, "not-graded")
QUESTIONS = checks.questions("normalization")
SEED = 7
# An attack that has to be stopped shall not take a test's time.
LIMITS = sandbox.LIMITS | {"seconds": 60, "cell_seconds": 4, "memory": 1500, "disk": 32}


@pytest.fixture(scope="session", autouse=True)
def bubblewrap():
    """The sandbox; the tests fail where there is none, because a skipped attack looks like one that was repelled."""
    bwrap = debian.program("bubblewrap", "bwrap")
    if not bwrap or not debian.succeeds([bwrap, "--ro-bind", "/", "/", "--unshare-user", "--unshare-net", "true"]):
        pytest.fail("These tests need bubblewrap, and the right to use it: see book/instructors.md.", pytrace=False)


@pytest.fixture(scope="session")
def solution(bubblewrap):
    return grade.key(WITH_MISTAKES, "normalization", SEED, "bwrap")


def graded(cells, solution, **limits):
    return grade.grade(cells, "normalization", solution, SEED, "bwrap", LIMITS | limits)


def with_attack(*attacks):
    """The solution, with cells before the check of the sixth question."""
    sources = list(SOLUTION.values())
    place = sources.index(SOLUTION["verdict-answer"]) + 1
    return [*sources[:place], *attacks, *sources[place:]]


def test_the_solution_gets_everything(solution):
    result = graded(list(SOLUTION.values()), solution)
    assert result["points"] == {name: one.points for name, one in QUESTIONS.items()}
    assert result["notes"] == []


def test_the_students_notebook_gets_nothing(solution):
    student = nbformat.read(ROOT / "book" / "exercises" / "02-normalization.ipynb", as_version=4)
    result = graded([cell.source for cell in student.cells if cell.cell_type == "code"], solution)
    assert set(result["points"].values()) == {0}
    assert all(result["messages"].values())


@pytest.mark.parametrize(
    "cell", [cell for cell in MASTER.cells if "mistake" in cell.metadata.get("tags", [])], ids=lambda c: c.id
)
def test_a_mistake_gets_nothing_for_its_question_and_is_told_what_it_is(cell, solution):
    source = re.sub(r"check\.mistake\(", "handed_in(", cell.source)
    result = graded(
        [*SOLUTION.values(), "handed_in = lambda name, answer, message: check(name, answer)", source], solution
    )
    (missed,) = [name for name, points in result["points"].items() if points < QUESTIONS[name].points]
    assert f'"{missed}"' in cell.source and result["points"][missed] == 0
    if not isinstance(QUESTIONS[missed], Contest):
        assert any(result["messages"][missed].endswith(message) for message, _ in solution[missed]["mistakes"])


def test_the_same_seed_gives_the_same_grades_and_inputs_differ_from_the_public_ones(solution):
    again = grade.key(WITH_MISTAKES, "normalization", SEED, "bwrap")
    assert json.dumps(again, default=lambda array: array.tolist()) == json.dumps(
        solution, default=lambda array: array.tolist()
    )
    public = checks.expected("normalization")
    assert all(
        not checks.find(name)[0].judge(0, public[name]["solution"], solution[name]["solution"])[0]
        for name in list(QUESTIONS)[:4]
    )


EVERYWHERE = "import os\nfor fd in range(3, 64):\n    try: os.write(fd, {})\n    except OSError: pass\n"

# Attacks. What is attacked is the sixth question, whose answer is spoiled first; all others are right.

SPOILED = "def verdict(before, after): return 'open'"
FORGERIES = {
    "prints a verdict": "print('✓ passed · verdict · 15 of 15 points')",
    "replaces check": "class Passed:\n    def __call__(self, *_): print('passed')\ncheck = Passed()",
    "patches the question": (
        "from coursekit.checks import question\nquestion.Question.judge = lambda *_: (15, '')\n"
        "question.Question.results = lambda *_: [{'value': 'higher'}] * 20"
    ),
    "patches the inputs": (
        "from coursekit import checks\nfrom coursekit.checks import normalization\n"
        "normalization.verdict = lambda random: {}\nchecks.questions = lambda topic: {}"
    ),
    "patches numpy": "np.allclose = np.array_equal = lambda *a, **k: True\nnp.abs = lambda x: x * 0",
    "patches builtins": "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.isinstance = lambda *_: True",
    "returns what equals everything": (
        "class Equal(str):\n    __eq__ = __ge__ = __le__ = lambda *_: True\n    __ne__ = lambda *_: False\n"
        "    __hash__ = str.__hash__\ndef verdict(before, after): return Equal('x')"
    ),
    "returns an array that equals everything": (
        "class Equal(np.ndarray):\n    __eq__ = lambda *_: True\n"
        "def verdict(before, after): return np.zeros(3).view(Equal)"
    ),
    "returns a pickle": "import pickle\ndef verdict(before, after): return np.array([pickle.dumps(1)], object)",
    "reads the expected results": (
        "import pathlib, coursekit\n"
        "found = list(pathlib.Path(coursekit.__file__).parent.rglob('expected'))\nassert found == []"
    ),
    "imports the implementations": "from coursekit import normalization, claims, training, grading",
    "looks for the solution": (
        "import subprocess\nfound = subprocess.run(['grep', '-rl', 'BEGIN SOLUTION', '/', '--include=*.ipynb'],"
        " capture_output=True, text=True).stdout\nassert not found, found\n"
    ),
    "writes messages of its own": (
        "from coursekit.checks import values\nmessage = values.pack({'ask': 'verdict', 'mistake': None})\n"
        "message += values.pack({'results': [{'value': 'open'}] * 20}) + values.pack({'done': True})\n"
        + EVERYWHERE.format("message")
    ),
    "answers without asking": (
        "import sys\nmain = sys.modules['__main__']\ncheck.hand_in = None\ncheck.points['verdict'] = 15"
    ),
}


@pytest.mark.parametrize("attack", FORGERIES.values(), ids=FORGERIES)
def test_nothing_can_be_forged(attack, solution):
    result = graded(with_attack(SPOILED, attack), solution)
    earlier = [name for name in QUESTIONS if name not in ("verdict", "last-mean")]
    assert result["points"]["verdict"] == 0
    assert all(result["points"][name] == QUESTIONS[name].points for name in earlier)


# What ends the process, or has to be stopped, costs nothing but itself.
NUISANCES = {
    "exits": "import os; os._exit(0)",
    "exits like a human": "raise SystemExit",
    "kills itself": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "kills all it can": "import os\ntry: os.kill(-1, 9)\nexcept OSError: pass",
    "crashes": "import ctypes; ctypes.string_at(0)",
    "spins": "while True: pass",
    "sleeps": "import time; time.sleep(1000)",
    "recurses": "def f(x): return f([x])\nf(0)",
    "forks": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "fills memory": "x = []\nwhile True: x.append(b'x' * 2**24)",
    "fills memory in children": (
        "import os, time\nfor _ in range(20):\n    if not os.fork():\n        x = b'x' * 2**28; time.sleep(100)\n"
        "time.sleep(100)"
    ),
    "fills the disk": "n = 0\nwhile True:\n    n += 1\n    open(f'/tmp/{n}', 'wb').write(b'x' * 2**24)",
    "prints a gigabyte": "for _ in range(2**10): print('x' * 2**20)",
    "fills memory that no process holds": (
        "import os\nfor _ in range(60): os.write(os.memfd_create('x'), b'x' * 2**26)"
    ),
    "fills shared memory": (
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "assert libc.shmget(0, 2**30, 0o1600) == -1 and ctypes.get_errno() == 1"
    ),
    "closes everything": "import os\nos.closerange(0, 1000)",
    "ignores signals": (
        "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\nwhile True: pass"
    ),
    "stops itself": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    "writes nonsense": EVERYWHERE.format("os.urandom(4096)"),
    "announces a huge message": EVERYWHERE.format("(2**60).to_bytes(8, 'big') * 2"),
    "never ends its message": EVERYWHERE.format("(2**20).to_bytes(8, 'big') * 2 + b'x'") + "while True: pass",
    "leaves threads": (
        "import threading, time\nfor _ in range(9): threading.Thread(target=time.sleep, args=[1000]).start()"
    ),
    "leaves a process": "import subprocess\nsubprocess.Popen(['sleep', '4711'], start_new_session=True)",
}


@pytest.mark.parametrize("attack", NUISANCES.values(), ids=NUISANCES)
def test_a_nuisance_costs_only_itself(attack, solution):
    result = graded(with_attack(attack), solution)
    assert result["points"] == {name: one.points for name, one in QUESTIONS.items()}
    assert len(result["notes"]) <= 1


def test_an_answer_that_never_returns_costs_its_question(solution):
    result = graded(with_attack("def verdict(before, after):\n    while True: pass"), solution)
    assert [name for name, points in result["points"].items() if not points] == ["verdict"]
    (note,) = result["notes"]
    assert "took longer than 4 s" in note


ESCAPES = {
    "writes to the host": "open({target!r}, 'w').write('x')",
    "writes to its package": "open('/course/coursekit/__init__.py', 'a').write('x')",
    "writes to Python": "import numpy; open(numpy.__file__, 'a').write('x')",
    "writes to the root": "open('/x', 'w').write('x')",
    "writes to shared memory": "open('/dev/shm/x', 'w').write('x')",
    "reads the submissions": "open({secret!r}).read()",
    "reads passwords": "open('/etc/passwd').read()",
    "opens the network": "import socket; socket.create_connection(('127.0.0.1', {port}), 2)",
    "listens": "import socket; socket.create_server(('0.0.0.0', 8000)); socket.create_connection(('8.8.8.8', 53), 2)",
    "becomes root": "import os; os.setuid(0); assert os.getuid() != 0 or open({target!r}, 'w')",
    "mounts": "import subprocess; subprocess.run(['mount', '-t', 'tmpfs', 'x', '/tmp'], check=True)",
    "makes a user namespace": "import subprocess; subprocess.run(['unshare', '-r', 'true'], check=True)",
    "makes a namespace by clone": (
        "import ctypes, os\npid = ctypes.CDLL(None).syscall(56, 0x10000000 | 17, 0, 0, 0, 0)\n"
        "if pid == 0: os._exit(0)\nassert pid > 0"
    ),
    "traces a process": "import ctypes; assert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0",
    "sees other processes": "import os; assert [p for p in os.listdir('/proc') if p.isdigit() and int(p) > 1000]",
}


@pytest.mark.parametrize("attack", ESCAPES.values(), ids=ESCAPES)
def test_nothing_escapes(attack, solution, tmp_path):
    import socket

    secret, target = tmp_path / "other.ipynb", tmp_path / "written"
    secret.write_text("another submission")
    server = socket.create_server(("127.0.0.1", 0))
    code = attack.format(secret=str(secret), target=str(target), port=server.getsockname()[1])
    # The spoiled answer becomes right only where the attack succeeds.
    result = graded(with_attack(SPOILED, f"{code}\n{SOLUTION['verdict-answer']}"), solution)
    server.close()
    assert result["points"]["verdict"] == 0, "the attack went through"
    assert not target.exists()


def test_nothing_is_left_behind(solution, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    graded(with_attack(NUISANCES["leaves a process"].replace("4711", "4712")), solution)
    graded(with_attack(NUISANCES["forks"]), solution)
    assert "sleep 4712" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert list(tmp_path.iterdir()) == []
