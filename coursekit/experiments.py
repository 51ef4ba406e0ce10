"""Experiments: a run for every combination of choices and every seed, made now, resumed, or read from the record."""

import itertools
import json
import os
import pathlib

import numpy as np
from scipy import special
from tqdm.auto import tqdm

from coursekit import records, require, runtime


def sweep(run, *choices, seeds, name):
    """Run an experiment for every combination of choices and every seed, with a progress bar.

    Where the environment variable ``COURSEKIT_RESUME`` names a folder, every result is kept there as it comes, and an
    interrupted sweep of that ``name`` goes on where it stopped. Empty the folder whenever code or settings change.

    Args:
        run: function of one value from each of ``choices``, then ``seed=``, to a dict of numbers.
        *choices: iterables.
        seeds: ints.
        name: str, the label of the bar, and of what is kept.

    Returns:
        A dict from the combination (a tuple, or the value itself where there is one iterable) to a dict from the
        number's name to float64 (seeds,).

    Raises:
        ValueError: where a number's name is no string, runs return different names, or two combinations are equal.

    >>> sweep(lambda n, seed: {"square": n**2 + seed}, (2, 3), seeds=range(3), name="squares")[3]["square"]
    array([ 9., 10., 11.])
    """
    kept = _Results(name)
    results = {}
    seeds = require.listed("seeds", seeds)
    combinations = list(itertools.product(*choices))
    twice = [one for one in combinations if combinations.count(one) > 1]
    if twice:  # their runs would pass for those of more seeds
        raise ValueError(f"The choices {twice[0]!r} and {twice[1]!r} are equal; name every combination once.")
    jobs = [(*combination, seed) for combination, seed in itertools.product(combinations, seeds)]
    for *combination, seed in bar(jobs, desc=name, unit="run"):
        numbers = kept.get([*combination, seed], lambda: run(*combination, seed=seed))  # noqa: B023 (called at once)
        key = combination[0] if len(choices) == 1 else tuple(combination)
        of_key = results.setdefault(key, [])
        if of_key and of_key[0].keys() != numbers.keys():
            raise ValueError(f"Runs of {key!r} return {[*of_key[0]]} and {[*numbers]}; return the same names.")
        of_key.append(numbers)
    return {
        key: {number: np.array([one[number] for one in of_seeds], "float64") for number in of_seeds[0]}
        for key, of_seeds in results.items()
    }


def recorded_sweep(run, *choices, seeds, name, again):
    """A sweep that takes too long for every replay: read from the record ``name``, but for a few runs made again.

    Prints one line, and another for every number that is further from the recorded mean than chance allows.

    Where ``COURSEKIT_SWEEPS`` is set, the whole sweep runs, as it has to for whoever changes the experiment, and
    ``make notebooks`` records it.

    Args:
        run, seeds: as for ``sweep``.
        *choices: as for ``sweep``.
        name: str, of the record.
        again: a list of combinations, each as it is a key of the result. Their runs with the first seed are made again
            and take the place of the recorded ones.

    Returns:
        As ``sweep`` does.

    Raises:
        ValueError: where the record lacks a combination, has other seeds, or other numbers than a run.
    """
    if os.environ.get("COURSEKIT_SWEEPS"):
        results = sweep(run, *choices, seeds=seeds, name=name)
        kept = [[_name(key), numbers] for key, numbers in results.items()]
        records.write(name, {"seeds": list(seeds), "results": kept})
    else:
        results = _recorded(name, choices, seeds, again)
    drifts = []
    for key in again:
        numbers = run(*(key if len(choices) > 1 else [key]), seed=seeds[0])
        if numbers.keys() != results[key].keys():
            raise ValueError(
                f"The record of {name} has other numbers than a run; set COURSEKIT_SWEEPS=1 to make all runs."
            )
        for number, value in numbers.items():
            recorded = results[key][number]
            # Where every seed takes another course on another processor, a run made again is a new draw: it may be as
            # far from a few others as chance allows once in 10,000 numbers.
            deviations = special.stdtrit(len(recorded) - 1, 1 - 0.5e-4) * np.sqrt(1 + 1 / len(recorded))
            width = deviations * recorded.std(ddof=1)
            if not abs(value - recorded.mean()) <= max(width, 1e-3 * abs(recorded.mean())):  # NaN, too
                drifts.append(
                    f"{name}, {key}, {number}: {value:.3g} now, {recorded.mean():.3g} ± {width:.2g} on record."
                )
            recorded[0] = value
    total = len(results) * len(seeds)
    print(f"recorded · {total} runs, of which {len(again)} were made again")
    for drift in drifts:
        print(f"drifted · {drift}")
    return results


def _recorded(name, choices, seeds, again):
    record = records.read(name) or {"seeds": list(seeds), "results": []}
    by_key = dict(record["results"])
    wanted = list(itertools.product(*choices)) if len(choices) > 1 else list(choices[0])
    missing = [key for key in (*wanted, *again) if _name(key) not in by_key]
    if missing or record["seeds"] != list(seeds):
        lacks = f"{missing[0]!r}" if missing else f"seeds {list(seeds)}"
        raise ValueError(
            f"The record of {name} lacks {lacks}; set COURSEKIT_SWEEPS=1 to make all runs, which takes long."
        )
    return {
        key: {number: np.array(values, "float64") for number, values in by_key[_name(key)].items()} for key in wanted
    }


def _name(key):
    """A combination as text, the same for NumPy's numbers as for Python's."""
    return json.dumps(key, default=_plain)


def _plain(number):
    """A number of NumPy or of a backend, as JSON has it."""
    return np.asarray(number).tolist()


class _Results:
    """Results of a sweep by key; on disk too, one JSON line each, where ``COURSEKIT_RESUME`` says so."""

    def __init__(self, name):
        self.path = resume_path(f"{name}.jsonl")
        text = self.path.read_text("utf-8") if self.path and self.path.is_file() else ""
        whole = text[: text.rfind("\n") + 1]  # whoever was interrupted in the middle of a line runs that one again
        if whole != text:
            self.path.write_text(whole, "utf-8")
        self.results = {json.dumps(key): value for key, value in map(json.loads, whole.splitlines())}

    def get(self, key, compute):
        name = _name(key)
        if name not in self.results:
            numbers = compute()
            if not isinstance(numbers, dict):
                raise ValueError(f"A run of a sweep returns {type(numbers).__name__}; return a dict of numbers.")
            if not all(isinstance(number, str) for number in numbers):
                # JSON has no other names: an interrupted sweep would go on with different ones.
                raise ValueError(f"A run of a sweep returns the names {[*numbers]}; make all of them strings.")
            self.results[name] = numbers
            if self.path:
                line = json.dumps([key, self.results[name]], default=_plain)
                with open(self.path, "a", encoding="utf-8") as file:
                    file.write(line + "\n")
        return self.results[name]


def resume_path(file_name):
    """Path of a file that an interrupted run leaves behind for the next, or None where nothing is to be kept.

    The file lies in the folder that ``COURSEKIT_RESUME`` names, in one for the profile, which is made.

    Args:
        file_name: str.

    Returns:
        A path, or None where ``COURSEKIT_RESUME`` is not set.

    >>> resume_path("squares.jsonl") is None
    True
    """
    folder = os.environ.get("COURSEKIT_RESUME")
    if not folder:
        return None
    path = pathlib.Path(folder, runtime.profile(), file_name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def bar(iterable=None, disable=False, **options):
    """A ``tqdm`` bar, silent where notebooks are executed without anybody watching.

    Args:
        iterable: what it counts; None for a bar that is moved by ``update``.
        disable: bool, for no bar.
        **options: as for ``tqdm.auto.tqdm``.

    Returns:
        The bar.

    >>> list(bar(range(3)))
    [0, 1, 2]
    """
    return tqdm(iterable, leave=False, delay=2, disable=disable or not runtime.is_watched(), **options)
