"""Points for one submission, from what its sandbox let out and what the solution answers to the same inputs."""

import atexit
import functools
import os
import tempfile
from pathlib import Path

from coursekit import checks
from coursekit.checks import values
from coursekit.checks.question import Contest
from coursekit.grading import sandbox, session


@functools.cache
def package():
    """A folder with the part of coursekit that notebooks may import, made once a process."""
    temporary = tempfile.TemporaryDirectory(prefix="coursekit-")
    atexit.register(temporary.cleanup)
    os.chmod(temporary.name, 0o755)
    return sandbox.allowed_package(Path(temporary.name, "course"))


def key(cells, topic, seed, kind):
    """What solution and typical mistakes of an exercise answer to the inputs of a seed.

    cells: of the exercise's master. Returns for each question ``{"solution": results, "mistakes": [[message, results],
    ...]}``. Raises ValueError where the master leaves a question open.
    """
    found, notes = session.answers(cells, checks.questions(topic), seed, kind, package(), mistakes=True)
    missing = [name for name in checks.questions(topic) if (name, None) not in found]
    if missing or notes:
        raise ValueError(" ".join([f"The master of {topic} does not answer {', '.join(missing) or 'all'}.", *notes]))
    return {
        name: {
            "solution": found[name, None],
            "mistakes": [
                [message, results]
                for (of, message), results in found.items()
                if of == name and message and _recognizable(results)
            ],
        }
        for name, question in checks.questions(topic).items()
        if not isinstance(question, Contest)  # which compares with nothing
    }


def _recognizable(results):
    """Whether results equal themselves, which errors do not, and neither what is not finite."""
    return all("value" in result for result in results) and not values.difference(results, results, 0, 0)


def grade(cells, topic, solution, seed, kind, limits=sandbox.LIMITS):
    """Grade one submission. Everything that goes in and comes out is plain data, so that it can run on any machine.

    solution: of ``key``. Returns ``{"points": {question: points}, "messages": {question: sentence}, "notes": [...]}``.
    """
    questions = checks.questions(topic)
    found, notes = session.answers(cells, questions, seed, kind, package(), limits)
    points, messages = {}, {}
    for name, question in questions.items():
        try:
            points[name], *sentences = question.feedback(seed, solution.get(name), found.get((name, None)))
        except Exception as error:  # whatever values an answer has, they cost this question and nothing else
            points[name], sentences = 0, [f"It cannot be judged: {type(error).__name__}: {error}"[:300]]
        messages[name] = " ".join(filter(None, sentences))
    return {"points": points, "messages": messages, "notes": notes}
