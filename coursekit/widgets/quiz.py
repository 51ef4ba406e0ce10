"""A multiple-choice question with an explanation for every choice, asked before an experiment is run."""

import html
import re
import tomllib

import traitlets

from coursekit.widgets.base import FOLDER, Widget, module


def load_quizzes():
    """All questions of the course by key, from ``quizzes.toml``."""
    return tomllib.loads((FOLDER / "quizzes.toml").read_text("utf-8"))


def checked(key, quizzes):
    """The question under ``key``, or one sentence that says what is wrong with it."""
    if key not in quizzes:
        raise ValueError(f"There is no quiz {key!r}; quizzes.toml has {', '.join(sorted(quizzes))}.")
    quiz = quizzes[key]
    if not quiz.get("question"):
        raise ValueError(f"Quiz {key!r} has no question.")
    choices = quiz.get("choices", [])
    if len(choices) < 2:
        raise ValueError(f"Quiz {key!r} has {len(choices)} choices and needs at least two.")
    for number, choice in enumerate(choices, 1):
        for part in ("text", "explanation"):
            if not choice.get(part):
                raise ValueError(f"Choice {number} of quiz {key!r} has no {part}.")
    correct = sum(choice.get("correct", False) for choice in choices)
    if correct != 1:
        raise ValueError(f"Quiz {key!r} marks {correct} choices as correct and must mark exactly one.")
    return quiz


class Quiz(Widget):
    """The question ``key`` of ``quizzes.toml``: choose, check, read why, try again.

    Text between backticks is shown as code.

    Args:
        key: str, of the question.

    Raises:
        ValueError: for an unknown key or an ill-formed question.

    >>> Quiz("transfer-scarce-freeze")
    Quiz('transfer-scarce-freeze')
    """

    _name = "quiz"
    _esm = module(_name)
    key = traitlets.Unicode().tag(sync=True, state=True)
    question = traitlets.Unicode().tag(sync=True, state=True)
    choices = traitlets.List().tag(sync=True, state=True)

    def __init__(self, key):
        super().__init__(key=key, **checked(key, load_quizzes()))

    def __repr__(self):
        return f"Quiz({self.key!r})"

    def fallback(self):
        """The HTML for readers without JavaScript."""
        choices = "".join(
            f"<li><details><summary>{with_code(choice['text'])}</summary>"
            f"<p>{'Correct.' if choice.get('correct') else 'No.'} {with_code(choice['explanation'])}</p></details></li>"
            for choice in self.choices
        )
        return f"<p><strong>Predict, then run.</strong> {with_code(self.question)}</p><ol>{choices}</ol>"


def with_code(text):
    """Escaped HTML in which text between backticks is code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", html.escape(text))
