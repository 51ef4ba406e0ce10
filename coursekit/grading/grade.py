"""Points for one submission, from what its sandbox let out and what the solution answers to the same inputs."""

import atexit
import functools
import math
import os
import tempfile
from pathlib import Path

from coursekit import exercises
from coursekit.exercises import values
from coursekit.exercises.question import Contest, said
from coursekit.grading import files, sandbox, session

LONGEST = 1500  # characters of what is said of an answer
# Seconds that a notebook and one of its cells get at least, however fast the master is.
SHORTEST = {"seconds": 60, "cell_seconds": 10}


@functools.cache
def package():
    """A folder with the part of coursekit that notebooks may import, made once a process."""
    temporary = tempfile.TemporaryDirectory(prefix="coursekit-")
    atexit.register(temporary.cleanup)
    os.chmod(temporary.name, 0o755)
    return sandbox.allowed_package(Path(temporary.name, "course"))


def key(cells, topic, seed, kind):
    """What solution and typical mistakes of an exercise answer to the inputs of a seed, and what time a notebook gets.

    cells: of the exercise's master. Returns ``{"questions": {question: {"solution": results, "mistakes": [[message,
    results], ...]}}, "limits": limits}``. Raises ValueError where the master leaves a question open.
    """
    questions = exercises.questions(topic)
    answers = session.answers(cells, questions, seed, kind, package(), mistakes=True)
    missing = [name for name in questions if (name, None) not in answers.results]
    if missing or answers.notes:
        said = [f"The master of {topic} does not answer {', '.join(missing)}."] if missing else []
        raise ValueError(" ".join([*said, *answers.notes]))
    compared = {
        name: {
            "solution": answers.results[name, None],
            "mistakes": [
                [message, results]
                for (of, message), results in answers.results.items()
                if of == name and message and _recognizable(results)
            ],
        }
        for name, question in questions.items()
        if not isinstance(question, Contest)  # which compares with nothing
    }
    return {"questions": compared, "limits": _limits(answers)}


def _limits(answers):
    """What a notebook may use: ten times as many seconds as the master, and not so few that a slow disk decides."""
    seconds = min(max(10 * answers.seconds, SHORTEST["seconds"]), sandbox.LIMITS["seconds"])
    of_cell = min(max(10 * answers.longest, SHORTEST["cell_seconds"]), sandbox.LIMITS["cell_seconds"])
    return sandbox.LIMITS | {"seconds": math.ceil(seconds), "cell_seconds": math.ceil(of_cell)}


def _recognizable(results):
    """Whether results equal themselves, which errors do not, and neither what is not finite."""
    return all("value" in result for result in results) and not values.difference(results, results, 0, 0)


def grade(cells, topic, key, seed, kind, only=None):
    """Grade one submission. Everything that goes in and comes out is plain data, so that it can run on any machine.

    key: of ``key``. only: ids of the questions to judge; by default all. Returns ``{"points": {question: points},
    "messages": {question: sentence}, "notes": [...]}``.
    """
    questions = exercises.questions(topic)
    answers = session.answers(cells, questions, seed, kind, package(), key["limits"])
    points, messages = {}, {}
    for name in questions if only is None else only:
        points[name], messages[name] = _judge(questions[name], seed, key["questions"].get(name), answers)
    # What an error says, and so its message, is the student's own.
    messages = {name: files.readable(message) for name, message in messages.items()}
    return {"points": points, "messages": messages, "notes": list(map(files.readable, answers.notes))}


def _judge(question, seed, solution, answers):
    """Points of a question, and what is to be said of them."""
    if (question.id, None) not in answers.results:
        missing = f"no check of {question.id} was reached, and there is no function {question.function}"
        return 0, f"It was not handed in: {answers.stopped.get(question.id, missing)}."
    try:
        points, *sentences = question.feedback(seed, solution, answers.results[question.id, None])
    except Exception as error:  # whatever values an answer has, they cost this question and nothing else
        points, sentences = 0, [f"It cannot be judged: {type(error).__name__}: {said(error)}"]
    return points, " ".join(filter(None, sentences))[:LONGEST]
