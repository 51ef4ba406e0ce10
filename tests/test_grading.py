"""Grading: a class of submissions gets the grades it deserves, and no attack gets a point or harms anybody.

Attacks run in bubblewrap, as they would in a class. Each is put into a notebook that is right otherwise.
"""

import concurrent.futures
import io
import json
import re
import subprocess
import tempfile
import types
import unittest.mock

import nbformat
import needs
import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from coursekit import exercises
from coursekit.exercises.question import Contest
from coursekit.grading import grade, sandbox, session, submissions

# Nothing here depends on the backend, so that it runs once, with the replays.
pytestmark = pytest.mark.replay

MASTER = nbformat.read(ROOT / "exercises" / "02-normalization.ipynb", as_version=4)
SOLUTION = {
    cell.id: cell.source
    for cell in MASTER.cells
    if cell.cell_type == "code" and not {"mistake", "not-graded"} & set(cell.metadata.get("tags", []))
}
QUESTIONS = exercises.questions("normalization")
ANSWER_TO = {
    name: next(
        source for source in SOLUTION.values() if re.search(rf"^def {question.function}\(", source, re.MULTILINE)
    )
    for name, question in QUESTIONS.items()
}
WITH_MISTAKES = submissions.code(MASTER, "not-graded")
SEED = 7
# An attack that has to be stopped shall not take a test's time.
LIMITS = sandbox.LIMITS | {"seconds": 60, "cell_seconds": 4, "memory": 1500, "disk": 32}


@pytest.fixture(scope="session", autouse=True)
def bubblewrap():
    """The sandbox; the tests fail where there is none, because a skipped attack looks like one that was repelled."""
    try:
        needs.ensure("bubblewrap")
    except needs.Missing as sentence:
        pytest.fail(str(sentence), pytrace=False)


@pytest.fixture(scope="session")
def solution(bubblewrap):
    return grade.key(WITH_MISTAKES, "normalization", SEED, "bwrap")


def graded(sources, solution, **limits):
    cells = [[number, source] for number, source in enumerate(sources, start=1)]
    return grade.grade(cells, "normalization", solution | {"limits": LIMITS | limits}, SEED, "bwrap")


def with_attack(*attacks):
    """The solution, with cells before the check of the sixth question."""
    sources = list(SOLUTION.values())
    place = sources.index(ANSWER_TO["verdict"]) + 1
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
        assert any(
            result["messages"][missed].endswith(message) for message, _ in solution["questions"][missed]["mistakes"]
        )


def test_the_same_seed_gives_the_same_grades_and_inputs_differ_from_the_public_ones(solution):
    again = grade.key(WITH_MISTAKES, "normalization", SEED, "bwrap")["questions"]
    assert json.dumps(again, default=lambda array: array.tolist()) == json.dumps(
        solution["questions"], default=lambda array: array.tolist()
    )
    public = exercises.expected("normalization")
    assert all(
        not exercises.find(name)[0].judge(0, public[name]["solution"], solution["questions"][name]["solution"])[0]
        for name in list(QUESTIONS)[:4]
    )


EVERYWHERE = "import os\nfor fd in range(3, 64):\n    try: os.write(fd, {})\n    except OSError: pass\n"

# Attacks. What is attacked is the sixth question, whose answer is spoiled first; all others are right.

SPOILED = "def verdict(before, after): return 'open'"
FORGERIES = {
    "prints a verdict": "print('✓ passed · verdict · 15 of 15 points')",
    "replaces check": "class Passed:\n    def __call__(self, *_): print('passed')\ncheck = Passed()",
    "patches the question": (
        "from coursekit.exercises import question\nquestion.Question.judge = lambda *_: (15, '')\n"
        "question.Question.results = lambda *_: [{'value': 'higher'}] * 60"
    ),
    "answers with errors that say nothing": (
        "from coursekit.exercises import question\nquestion.Question.results = lambda *_: [{'error': ''}] * 60"
    ),
    "patches the inputs": (
        "from coursekit import exercises\nfrom coursekit.exercises import normalization\n"
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
        "from coursekit.exercises import values\nmessage = values.pack({'ask': 'verdict', 'mistake': None})\n"
        "message += values.pack({'results': [{'value': 'open'}] * 60}) + values.pack({'done': True})\n"
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
    "leaves a process": "import subprocess\nsubprocess.Popen(['sleep', '4711'])",
    "has a name of no characters": (
        "import ctypes, time\nctypes.CDLL(None).prctl(15, b'\\xff\\xfe')\ntime.sleep(1000)"
    ),
    "has a child with a name of no characters": (
        "import ctypes, os, time\nif not os.fork():\n    ctypes.CDLL(None).prctl(15, b') R 1 \\n\\xff')\n"
        "    while True: pass\ntime.sleep(1000)"
    ),
    "hands in mistakes without end": (
        "n = 0\nwhile True:\n    n += 1\n    check.mistake('bn-fold', lambda **_: np.zeros(10**5), str(n) * 1000)"
    ),
    "hands in the same answer without end": "while True: check('bn-fold', fold)",
    "fills the buffers of sockets": (
        "import os, socket, time\nfor _ in range(5): os.fork()\npairs = []\ntry:\n    while True:\n"
        "        pairs.append(socket.socketpair())\n        pairs[-1][0].setblocking(False)\n"
        "        pairs[-1][0].setsockopt(1, 7, 2**30)\n        try:\n"
        "            while True: pairs[-1][0].send(bytes(2**15))\n        except BlockingIOError: pass\n"
        "except OSError: time.sleep(1000)"
    ),
    "makes empty files": "n = 0\nwhile True:\n    n += 1\n    open(f'/tmp/{n}', 'w').close()",
    "opens files": "held = []\nwhile True: held.append(open('/dev/null'))",
    "makes folders": "import os\nn = 0\nwhile True:\n    n += 1\n    os.mkdir(f'/tmp/{n}')",
    "makes links": "import os\nn = 0\nwhile True:\n    n += 1\n    os.symlink('x' * 4000, f'/tmp/{n}')",
    "presses Ctrl-C": "raise KeyboardInterrupt",
    "raises what cannot be said": (
        "class Mute(BaseException):\n    def __str__(self): raise KeyboardInterrupt\n    __repr__ = __str__\nraise Mute"
    ),
    "raises a novel": "raise ValueError('x' * 10**7)",
    "raises without end": "def f():\n    try: f()\n    finally: f()\nf()",
    "closes what is printed to": "import os; os.close(1); os.close(2)",
    "closes standard input": "import os; os.close(0)",
    "ends the process later": "import os, threading, time\nthreading.Timer(.2, os._exit, [1]).start()\ntime.sleep(.1)",
    "is to be woken": "import signal; signal.setitimer(signal.ITIMER_REAL, .2)",
    "has a child that kills it later": (
        "import os, time\nif not os.fork():\n    time.sleep(.3)\n    os.kill(os.getppid(), 9)\n    os._exit(0)"
    ),
    "raises what raises itself": (
        "one, other = ValueError(1), ValueError(2)\none.__cause__, other.__cause__ = other, one\nraise one"
    ),
    "raises a group in a group": (
        "error = ValueError()\nfor _ in range(500): error = ExceptionGroup('x', [error])\nraise error"
    ),
    "raises what has no class": (
        "class Kind(type):\n    def __getattribute__(self, name): raise SystemExit\n"
        "    __name__ = property(lambda self: 1 / 0)\nclass Error(Exception, metaclass=Kind): pass\nraise Error"
    ),
    "raises a syntax error of its own": (
        "error = SyntaxError('x')\n"
        "error.msg, error.lineno, error.text, error.offset = None, '<b>', ['x'], {}\nraise error"
    ),
    "shows what raises": (
        "class Shown:\n    def __repr__(self): raise SystemExit\n"
        "    def _ipython_display_(self): raise KeyboardInterrupt\n    def _repr_html_(self): 1 / 0\nShown()"
    ),
    "closes the event loop": "import asyncio\nloop = asyncio.get_event_loop()\nloop.stop()\nloop.close()",
    "lowers the limit of recursion": "import sys; sys.setrecursionlimit(60)",
    "is deeply nested": "x" + ".a" * 10**5,
    "has bytes of no program": "x = 1\0\ny = 2",
    "names a cell that is none": (
        "from coursekit.exercises import values\n"
        + EVERYWHERE.format("b''.join(values.pack({'cell': n}) for n in ([], {}, None, -1, 1.5, 'x'))")
    ),
    "asks what is no question": (
        "from coursekit.exercises import values\n" + EVERYWHERE.format("values.pack({'ask': [{}], 'mistake': {}})")
    ),
    "says what it raised in lists": (
        "from coursekit.exercises import values\n"
        + EVERYWHERE.format("values.pack({'raised': '', 'busy': np.zeros(3)}) + values.pack({'full': [{}]})")
    ),
    "goes on twice": "import os\nos.fork()",
    "leaves a busy thread": "import threading\ndef f():\n    while True: pass\nthreading.Thread(target=f).start()",
}
# After them, the cells of the honest part take as long as what ends the process later waits for.
LATER = "import time; time.sleep(.5)"


@pytest.mark.parametrize("attack", NUISANCES.values(), ids=NUISANCES)
def test_a_nuisance_costs_only_itself(attack, solution):
    result = graded(with_attack(attack, LATER), solution)
    assert result["points"] == {name: one.points for name, one in QUESTIONS.items()}
    assert len(result["notes"]) <= 1 and len(str(result)) < 10_000
    place = list(SOLUTION.values()).index(ANSWER_TO["verdict"]) + 2
    assert all(note.startswith(f"Cell {place} ") for note in result["notes"]), "another cell is blamed"


@pytest.mark.parametrize("attack", ["fills the buffers of sockets", "makes empty files", "fills memory in children"])
def test_memory_that_the_kernel_keeps_counts(attack, solution):
    (note,) = graded(with_attack(NUISANCES[attack]), solution, cell_seconds=50, memory=700)["notes"]
    assert "needed more than 700 MiB of memory" in note


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        ("fills memory", "needed more than 1500 MiB of memory"),
        ("fills the disk", "wrote more than 32 MiB of files"),
        ("opens files", "opened more than 256 files"),
    ],
)
def test_what_is_full_is_told(attack, reason, solution):
    (note,) = graded(with_attack(NUISANCES[attack]), solution, cell_seconds=50)["notes"]
    assert f" {reason}; the notebook was run again without it." in note


def test_an_answer_that_never_returns_costs_its_question(solution):
    result = graded(with_attack("def verdict(before, after):\n    while True: pass"), solution)
    assert [name for name, points in result["points"].items() if not points] == ["verdict"]
    (note,) = result["notes"]
    assert "took longer than 4 s" in note
    place = 2 + list(SOLUTION.values()).index(ANSWER_TO["verdict"]) + 1
    assert result["messages"]["verdict"] == f"It was not handed in: Cell {place} took longer than 4 s."


def test_what_was_not_reached_in_time_is_told(solution):
    result = graded(with_attack(*["import time; time.sleep(2.5)"] * 3), solution, seconds=5)
    reached = [name for name, points in result["points"].items() if points]
    assert reached == [name for name in QUESTIONS if name not in ("verdict", "last-mean")]
    for name in ("verdict", "last-mean"):
        assert result["messages"][name].endswith("was running when the notebook's 5 s were over.")


BUSY = "import subprocess\nfor _ in range(200): subprocess.Popen(['sh', '-c', 'while :; do :; done'])\nwhile True: pass"


def test_a_notebook_takes_no_time_from_another(solution):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        hostile = [pool.submit(graded, with_attack(BUSY), solution, memory=8192) for _ in range(2)]
        honest = graded(with_attack("sum(range(4 * 10**7))"), solution)
    assert honest["notes"] == [] and set(honest["points"]) == {
        name for name, points in honest["points"].items() if points
    }
    assert all("took longer than 4 s" in job.result()["notes"][0] for job in hostile)


def watched(usage_of, **limits):
    """A watch over a sandbox that uses what a function says, and what it has killed."""
    killed = []
    process = types.SimpleNamespace(stderr=io.BytesIO(), pid=0)
    running = types.SimpleNamespace(process=process, usage=usage_of, kill=lambda: killed.append(1), close=lambda: None)
    return session.Watch(running, LIMITS | limits, seconds_left=60), killed


class Usage:
    def __init__(self, *times):
        self.of_each_look = iter(times)

    def times(self):
        return next(self.of_each_look)

    def excess(self):
        return ""


def test_a_watch_that_fails_ends_what_it_watches():
    watch, killed = watched(Usage())  # which has nothing to say
    watch.join(timeout=10)
    assert killed and watch.reason.startswith("could not be watched any more")


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 2), st.floats(0, 1)), max_size=20))
def test_time_that_others_take_is_not_counted(ticks):
    """Of each tick: its length, how many processors were used, and what share of it something had to wait for one."""
    clock, usage, expected = [0.0], [0.0, 0.0], 0.0
    watch, _ = watched(types.SimpleNamespace(times=lambda: tuple(usage), excess=lambda: ""))
    watch.done.set()
    watch.join()
    watch.seconds, watch.last = 0.0, (0.0, 0.0, 0.0)
    for length, processors, waiting in ticks:
        clock[0] += length
        usage[0] += length * processors
        usage[1] += length * waiting
        with unittest.mock.patch("time.monotonic", lambda: clock[0]):
            watch.look()
        expected += length * max(processors, 1 - waiting)
    assert watch.seconds == pytest.approx(expected)


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
    "watches files": "import ctypes; assert ctypes.CDLL(None).syscall(300, 0x200, 0) > 0",
    "makes rules of Landlock": (
        "import ctypes, struct\nassert ctypes.CDLL(None).syscall(444, struct.pack('Q', 1), 8, 0) > 0"
    ),
    "takes the system's asynchronous reading": (
        "import ctypes; assert ctypes.CDLL(None).syscall(206, 1, ctypes.byref(ctypes.c_ulong())) == 0"
    ),
    "traces a process": "import ctypes; assert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0",
    "shares memory without a file": "import mmap; mmap.mmap(-1, 4096)",
    "shares memory of a device": "import mmap, os; mmap.mmap(os.open('/dev/zero', os.O_RDWR), 4096)",
    "lets children end unseen": "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "opens its own session": "import os; os.setsid()",
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
    result = graded(with_attack(SPOILED, f"{code}\n{ANSWER_TO['verdict']}"), solution)
    server.close()
    assert result["points"]["verdict"] == 0, "the attack went through"
    assert not target.exists()


# What students do to their notebooks. Their answers count where they can be found, and the notes say what is missing.

FOLD_CHECK = 'check("bn-fold", fold)'
COLAB = (
    "from google.colab import drive, files\nimport google.colab\nfrom google.colab.patches import cv2_imshow\n"
    "drive.mount('/content/drive')\n"
)
NOTHING_THERE = "It was not handed in: no check of bn-fold was reached, and there is no function fold."


def changed(old, new):
    """The solution with every cell's text changed; a cell that has none left is gone."""
    return [source.replace(old, new) for source in SOLUTION.values() if source.replace(old, new)]


@pytest.mark.parametrize(
    ("sources", "notes"),
    [
        (changed("try:\n    import coursekit", COLAB + "try:\n    import coursekit"), []),
        (changed(FOLD_CHECK, ""), ["No cell checks bn-fold; the function fold was graded as it was in the end."]),
        (changed('check("', 'check (\n "'), []),
        (changed(FOLD_CHECK, "name, f = 'bn-fold', fold\ncheck(name, f)"), []),
        (["import seaborn", *SOLUTION.values()], ["Cell 1 raises ModuleNotFoundError: No module named 'seaborn'"]),
        (with_attack("check = sum([1, 2])", "assert check == 3"), []),
        (
            changed(FOLD_CHECK, f"check = 5\n{FOLD_CHECK}"),
            ["raises TypeError: 'int' object is not callable (line 2: `c"],
        ),
        (["!pip install seaborn", "%matplotlib inline", *SOLUTION.values()], []),
    ],
)
def test_an_answer_counts_where_it_can_be_found(sources, notes, solution):
    result = graded(sources, solution)
    assert result["points"] == {name: one.points for name, one in QUESTIONS.items()}
    assert len(result["notes"]) >= len(notes)
    assert all(any(note in said for said in result["notes"]) for note in notes)


@pytest.mark.parametrize(
    ("old", "new", "notes"),
    [
        (
            "def fold(",
            "def folded(",
            ["raises NameError: name 'fold' is not defined (line 1: `check(\"bn-fold\", fold)`)."],
        ),
        (
            "def fold(",
            "def fold(:",
            ["raises SyntaxError: invalid syntax (line 1: `def fold(:", "raises NameError: name"],
        ),
        (ANSWER_TO["bn-fold"], "", ["raises NameError: name 'fold' is not defined"]),
        (ANSWER_TO["bn-fold"], "fold = 3", []),
    ],
)
def test_what_a_cell_raises_is_told(old, new, notes, solution):
    result = graded(changed(old, new), solution)
    assert {name for name, points in result["points"].items() if not points} == {"bn-fold"}
    assert len(result["notes"]) == len(notes)
    place = 1 + list(SOLUTION.values()).index(ANSWER_TO["bn-fold"])
    for note, said in zip(notes, result["notes"], strict=True):
        assert said.startswith((f"Cell {place} ", f"Cell {place + 1} ")) and note in said
    if notes:
        assert result["messages"]["bn-fold"] == NOTHING_THERE


def test_what_an_error_says_becomes_text_that_every_table_takes(solution):
    said = "raise ValueError('a\\0b\\ud800c\\u202ed\\ne')"
    result = graded(with_attack(said, f"def verdict(before, after): {said}"), solution)
    for sentence in (result["notes"][0], result["messages"]["verdict"]):
        assert "ValueError: a\\x00b\\ud800c\\u202ed\ne" in sentence


# Answers that would become huge in the grader, or in what it says.
HUGE = {
    "an array": "lambda **_: np.zeros(2**26, 'uint8')",
    "an array that fits": "lambda **_: np.zeros(2**19, 'uint8')",
    "nested lists": "lambda **_: [[]] * 10**6",
    "a text": "lambda **_: 'x' * 10**7",
    "a dict": "lambda **_: dict.fromkeys(map(str, range(10**6)))",
    "a dict that fits": "lambda **_: dict.fromkeys(map(str, range(10**4)))",
    "an error": "lambda **_: (_ for _ in ()).throw(ValueError('x' * 10**7))",
}


@pytest.mark.parametrize("answer", HUGE.values(), ids=HUGE)
def test_a_huge_answer_is_refused_in_a_sentence(answer, solution):
    result = graded(with_attack(f"verdict = {answer}"), solution)
    assert [name for name, points in result["points"].items() if not points] == ["verdict"]
    assert len(result["notes"]) <= 1 and len(result["messages"]["verdict"]) < 1000


def test_nothing_is_left_behind(solution, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    graded(with_attack(NUISANCES["leaves a process"].replace("4711", "4712")), solution)
    graded(with_attack(NUISANCES["forks"]), solution)
    assert "sleep 4712" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert list(tmp_path.iterdir()) == []
