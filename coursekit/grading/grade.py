"""Points for one submission, from what its sandbox let out and what the solution answers to the same inputs."""

import atexit
import functools
import os
import tempfile
from pathlib import Path

from coursekit import checks
from coursekit.grading import sandbox, session


@functools.cache
def package():
    """A folder with the part of coursekit that notebooks may import, made once a process."""
    temporary = tempfile.TemporaryDirectory(prefix="coursekit-")
    atexit.register(temporary.cleanup)
    os.chmod(temporary.name, 0o755)
    return sandbox.allowed_package(Path(temporary.name, "course"))


def key(cells, topic, seed, kind):
    """What the solution answers to the inputs of a seed: a dict from question to results.

    cells: of the exercise's master. Raises ValueError where it leaves a question open.
    """
    found, notes = session.answers(cells, checks.questions(topic), seed, kind, package())
    missing = [name for name in checks.questions(topic) if (name, None) not in found]
    if missing or notes:
        raise ValueError(" ".join([f"The master of {topic} does not answer {', '.join(missing) or 'all'}.", *notes]))
    return {name: results for (name, _), results in found.items()}


def grade(cells, topic, solution, seed, kind, limits=sandbox.LIMITS):
    """Grade one submission. Everything that goes in and comes out is plain data, so that it can run on any machine.

    solution: of ``key``. Returns ``{"points": {question: points}, "messages": {question: sentence}, "notes": [...]}``.
    """
    questions = checks.questions(topic)
    found, notes = session.answers(cells, questions, seed, kind, package(), limits)
    points, messages = {}, {}
    for name, question in questions.items():
        points[name], messages[name] = question.judge(seed, solution[name], found.get((name, None)))
    return {"points": points, "messages": messages, "notes": notes}
