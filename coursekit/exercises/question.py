"""What a graded question is: inputs, what is done with an answer, and how its results are judged."""

import copy
import functools
import hashlib
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from coursekit.exercises import values

PUBLIC_SEED = 0
# What the files of a notebook's cells are called, in Jupyter, in IPython and in Colab.
OF_NOTEBOOK = re.compile(r"ipykernel_\d|ipython-input")
NOT_WRITTEN = "It is not written yet."
FEW = 16  # numbers that a sentence may show
LONGEST = 300  # characters of what an error says


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question whose answer is a function, compared with the solution's on random inputs.

    Args:
        id: str.
        function: str, the name that the exercise gives to the answer.
        title: str, what there is to do.
        points: int.
        inputs: function of a ``numpy.random.Generator`` to the arguments of one case, a dict from the parameter's name.
        cases: int, how many.
        call: function of the answer and those arguments to what is compared, by default the answer's own.
        hint: str, shown where nothing more special is known.
        rtol, atol: float, what a number may differ by, relative to the solution's and absolutely.
    """

    id: str
    function: str
    title: str
    points: int
    inputs: Callable
    cases: int = 4
    call: Callable = lambda answer, **arguments: answer(**arguments)
    hint: str = ""
    rtol: float = 1e-4
    atol: float = 1e-5

    def randoms(self, seed):
        """A random generator for each case. What one question shows of its own says nothing of another's.

        Args:
            seed: int.

        Returns:
            A list of ``numpy.random.Generator``.
        """
        names = [f"{seed} {self.id} {number}" for number in range(self.cases)]
        return [np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest())) for name in names]

    @functools.lru_cache(maxsize=64)  # noqa: B019 (questions live as long as the process)
    def draw(self, seed):
        """The arguments of all cases; the same for the same seed. To be read only.

        Args:
            seed: int.

        Returns:
            A list of dicts of plain values.
        """
        return [self.inputs(random) for random in self.randoms(seed)]

    def results(self, answer, cases):
        """What an answer makes of each case.

        Args:
            answer: function.
            cases: the arguments of each case, as ``draw`` returns them.

        Returns:
            A list of ``{"value": plain value}`` or ``{"error": sentence}``.
        """
        return [self._result(answer, copy.deepcopy(arguments)) for arguments in cases]

    def _result(self, answer, arguments):
        try:
            value = self.call(answer, **arguments)
        except NotImplementedError:
            return {"error": NOT_WRITTEN}
        except BaseException as error:  # whatever a student's code raises
            return {"error": f"it raises {raised(error)}"}
        try:
            return {"value": values.plain(value)}
        except TypeError as error:
            return {"error": f"it cannot be compared: {said(error)}"}
        except BaseException as error:  # of an object that pretends to be an array
            return {"error": f"it raises {raised(error)}"}

    def judge(self, seed, expected, found):
        """Compare results on the inputs of a seed with the solution's.

        Args:
            seed: int.
            expected: the solution's results, as ``results`` returns them.
            found: the answer's, likewise; anything else was not handed in.

        Returns:
            The points, and a sentence on what is wrong, or an empty text.
        """
        cases = self.draw(seed)
        if not isinstance(found, list) or len(found) != len(cases):
            return 0, "It was not handed in."
        for arguments, right, result in zip(cases, expected, found, strict=True):
            clause = (
                values.difference(right["value"], result["value"], self.rtol, self.atol)
                if isinstance(result, dict) and "value" in result
                else _error(result)
            )
            if clause:
                return 0, _sentence(arguments, clause)
        return self.points, ""

    def feedback(self, seed, recorded, found):
        """Judge, and recognize a typical mistake by its results.

        Args:
            seed: int.
            recorded: ``{"solution": results, "mistakes": [[message, results], ...]}``, on the inputs of the same seed.
            found: as for ``judge``.

        Returns:
            The points, a sentence on what differs, and one on why, where that is known, or else a hint.

        Raises:
            ValueError: where nothing is recorded, which only the author of a question meets.
        """
        if recorded is None:
            raise ValueError(f"No solution of {self.id} is recorded yet; run make exercises.")
        points, sentence = self.judge(seed, recorded["solution"], found)
        if points == self.points or sentence == NOT_WRITTEN:
            return points, sentence, ""
        for message, results in recorded["mistakes"]:
            if not self.judge(seed, results, found)[1]:
                return points, sentence, message
        return points, sentence, f"Hint: {self.hint}" if self.hint else ""


def raised(error):
    """An exception as a clause: its type, what it says, and the line of the notebook that raised it.

    Args:
        error: exception, with its traceback.

    Returns:
        A str without a full stop.

    >>> raised(ValueError("Too short."))
    'ValueError: Too short'
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if OF_NOTEBOOK.search(frame.filename)]
    number, line = (frames[-1].lineno, frames[-1].line) if frames else (None, "")
    if isinstance(error, SyntaxError):
        number, line = error.lineno, error.text or ""
    message = error.msg if isinstance(error, SyntaxError) else said(error)
    if message.startswith("in user code:"):  # TensorFlow puts a traceback before what the error says
        message = message.splitlines()[-1].strip().removeprefix(f"{type(error).__name__}: ")
    where = f" (line {number}: `{str(line).strip()[:LONGEST]}`)" if number else ""
    return f"{type(error).__name__}: {message.rstrip('.')}".removesuffix(": ")[:LONGEST] + where


def said(error):
    """What an exception says: at most ``LONGEST`` characters, and nothing where its text raises another one.

    Args:
        error: exception.

    Returns:
        A str.

    >>> said(ValueError("Too short."))
    'Too short.'
    """
    try:
        return str(error).strip()[:LONGEST]
    except BaseException:  # it is a student's own
        return ""


def _error(result):
    error = result.get("error") if isinstance(result, dict) else None
    # A clause of nothing would mean that nothing is wrong.
    return error[:400] if isinstance(error, str) and error.strip() else "it was not handed in"


def _sentence(arguments, clause):
    if clause == NOT_WRITTEN:
        return NOT_WRITTEN
    return f"Given {described(arguments)}, {clause}." if arguments else f"{clause[0].upper()}{clause[1:]}."


@dataclass(frozen=True, kw_only=True)
class Contest(Question):
    """An open question: the better the answer, the more points.

    Args:
        id, function, title, points, inputs, cases, call, hint, rtol, atol: as for ``Question``.
        score: function of what the answer returned in each case, a list of plain values, and of the random generators
            that the inputs of these cases were drawn from, to the share of the points, from 0 to 1, and a sentence on
            how it came about. What does not fit, it says as ValueError. It runs where no student's code does.
    """

    score: Callable

    def judge(self, seed, expected, found):
        """Give the results on the inputs of a seed the points that ``score`` says.

        Args:
            seed, found: as for ``Question.judge``.
            expected: not used.

        Returns:
            The points, to a tenth, and a sentence on how they came about or on what is wrong.
        """
        if not isinstance(found, list) or len(found) != self.cases:
            return 0, "It was not handed in."
        for arguments, result in zip(self.draw(seed), found, strict=True):
            if not isinstance(result, dict) or "value" not in result:
                return 0, _sentence(arguments, _error(result))
        try:
            share, sentence = self.score([result["value"] for result in found], self.randoms(seed))
        except ValueError as error:
            return 0, str(error)
        return round(self.points * share, 1), sentence

    def feedback(self, seed, recorded, found):
        """Judge; there are no typical mistakes.

        Args:
            seed, found: as for ``Question.judge``.
            recorded: not used.

        Returns:
            The points, a sentence on how they came about or on what is wrong, and an empty text.
        """
        return *self.judge(seed, None, found), ""


def fitting(truths, found):
    """Pairs of a true value and the one that was found.

    Args:
        truths: iterable of plain values, one for each case.
        found: iterable of plain values, as many.

    Yields:
        The true value, and the other one as a float64 array.

    Raises:
        ValueError: for one of another shape, or not finite.

    >>> [(true, one.tolist()) for true, one in fitting([0.5], [0.25])]
    [(0.5, 0.25)]
    """
    for number, (true, one) in enumerate(zip(truths, found, strict=True), start=1):
        clause = values.difference(true, one, rtol=0, atol=np.inf)
        if clause:
            raise ValueError(f"In case {number}, {clause}.")
        yield true, np.asarray(one, "float64")  # whatever kind of number it is, differences shall be less than 0


def share_of(error, worst, best):
    """The share of the points for an error, in proportion to its logarithm: 0 at the worst, 1 at the best.

    Args:
        error: float from 0, of an answer.
        worst, best: float greater than 0, the errors between which the share goes from 0 to 1.

    Returns:
        A float from 0 to 1; 0 for an error that is not finite.

    >>> round(share_of(0.1, worst=1.0, best=0.01), 6)
    0.5
    """
    if not np.isfinite(error):
        return 0.0
    return float(np.clip(np.log(worst / max(error, 1e-9)) / np.log(worst / best), 0, 1))


def described(arguments):
    """Arguments in a line: arrays by their shape, and with their numbers where all together have few.

    Args:
        arguments: dict from a parameter's name to a value.

    Returns:
        A str.

    >>> described({"x": np.zeros((4, 5)), "training": True})
    'x of shape (4, 5), training=True'
    >>> described({"before": np.array([0.5, 0.625]), "after": np.array([1, 2])})
    'before=[0.5   0.625], after=[1 2]'
    """
    few = sum(np.size(value) for value in arguments.values() if isinstance(value, np.ndarray)) <= FEW

    def shown(name, value):
        if isinstance(value, np.ndarray):
            return f"{name}={np.array2string(value, precision=3)}" if few else f"{name} of shape {value.shape}"
        if isinstance(value, float):
            return f"{name}={value:.3g}"
        short = isinstance(value, (str, bool, int)) or (isinstance(value, list) and len(repr(value)) <= 80)
        return f"{name}={value!r}" if short else name

    return ", ".join(shown(name, value) for name, value in arguments.items())
