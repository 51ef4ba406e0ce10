"""Checks of the graded exercises: feedback in the student's notebook, on inputs that everybody may know.

``check`` compares an answer with recorded results of the solution; the solution itself is not in the package. The
grader asks the same questions with inputs that nobody knows.
"""

import functools
import importlib
import pathlib

from coursekit.exercises import values
from coursekit.exercises.question import PUBLIC_SEED, Contest

TOPICS = ("transfer", "normalization", "gan", "inception", "resnet")
EXPECTED = pathlib.Path(__file__).parent / "expected"


def questions(topic):
    """The questions of a topic's exercise, a dict from id to question in the order of the exercise.

    Args:
        topic: str, one of ``TOPICS``.

    Returns:
        A dict from id to ``Question``.

    >>> sum(question.points for question in questions("normalization").values())
    100
    """
    module = importlib.import_module(f"coursekit.exercises.{topic}")
    return {question.id: question for question in module.QUESTIONS}


def find(question_id):
    """Return a question and its topic.

    Args:
        question_id: str.

    Returns:
        A ``Question`` and a str.

    Raises:
        ValueError: for an id that no exercise has.

    >>> find(next(iter(questions("gan"))))[1]
    'gan'
    """
    known = {name: topic for topic in TOPICS for name in questions(topic)}
    if question_id not in known:
        raise ValueError(f"There is no question {question_id!r}; there are {', '.join(known)}.")
    return questions(known[question_id])[question_id], known[question_id]


@functools.cache
def expected(topic):
    """What the solution and known mistakes make of the public inputs, by question; ``make exercises`` records it.

    Args:
        topic: str, one of ``TOPICS``.

    Returns:
        A dict from a question's id to what ``Question.feedback`` takes as ``recorded``; empty where nothing is
        recorded.

    >>> sorted(expected("gan")["gan-losses"])
    ['mistakes', 'solution']
    """
    path = EXPECTED / topic
    return values.unpack(path.read_bytes()) if path.is_file() else {}


class Check:
    """Checks answers as they are written, and adds up their points.

    ``hand_in`` is None in a student's session. The grader puts a function there, which takes the question, the answer
    and the mistake's message or None.
    """

    def __init__(self):
        self.points = {}
        self.hand_in = None

    def __call__(self, question_id, answer):
        """Check an answer to a question, and print what came out.

        answer: function with the parameters that the question names. Raises ValueError for an unknown question.
        """
        question, _ = find(question_id)
        if self.hand_in:
            self.hand_in(question, answer, None)
            return
        points, *sentences = self._judge(question_id, answer)
        self.points[question_id] = points
        sign = "✓ passed" if points == question.points else "◐ so far" if points else "✗ not yet"
        print(f"{sign} · {question_id} · {points:g} of {question.points} points")
        for sentence in filter(None, sentences):
            print(f"  {sentence}")

    def mistake(self, question_id, answer, message):
        """Say that a wrong answer is a typical one, and what its author is to be told. (For masters of exercises.)

        Args:
            question_id: str.
            answer: the wrong one, a function as for the check itself.
            message: str; or what the check says of the answer by itself, without the numbers that it has measured.

        Raises:
            ValueError: where the check does not recognize it, or for an unknown question.
        """
        question, _ = find(question_id)
        if self.hand_in:
            self.hand_in(question, answer, message)
            return
        points, *sentences = self._judge(question_id, answer)
        if points:
            raise ValueError(f"{question_id}: this mistake gets {points:g} points, as if it were right.")
        # The line that raised an error, which may be this very call, is not what the check knows of a mistake.
        said = [sentence.partition(" (line ")[0] for sentence in sentences]
        if not any(message in sentence for sentence in said):
            advice = "Run make exercises; if you have, the mistake raises an error, or answers what one before it does."
            if isinstance(question, Contest):
                advice = "The message of a contest's mistake is a part of that."
            raise ValueError(f"{question_id}: of this mistake, the check says: {' '.join(filter(None, said))} {advice}")
        print(f"caught · {question_id} · {message}")

    def _judge(self, question_id, answer):
        question, topic = find(question_id)
        found = question.results(answer, question.draw(PUBLIC_SEED))
        return question.feedback(PUBLIC_SEED, expected(topic).get(question_id), found)

    def report(self):
        """Print the points of every question of the exercise, and their sum."""
        if not self.points:
            print("Nothing has been checked yet: run the cells that call check(...).")
            return
        _, topic = find(next(iter(self.points)))
        of_topic = questions(topic)
        width = max(map(len, of_topic))
        for name, question in of_topic.items():
            reached = f"{self.points[name]:g}" if name in self.points else "–"
            print(f"{name:{width}}  {reached:>4} of {question.points:3}  {question.title}")
        total = sum(self.points.get(name, 0) for name in of_topic)
        print(f"{'together':{width}}  {total:4g} of {sum(question.points for question in of_topic.values())}")
        print("The grader asks the same questions with other inputs.")


check = Check()
