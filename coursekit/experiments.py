"""Experiments: one run for every combination of choices and every seed, as a tidy table with one row a run.

A sweep that takes too long for every replay is recorded: its finished runs are lines of a file, and each line says, by
a fingerprint, of which experiment it is. Whoever changes the experiment gets runs of their own.
"""

import ast
import concurrent.futures
import datetime
import dis
import functools
import hashlib
import inspect
import itertools
import json
import os
import pathlib
import sys
import textwrap
import types

import numpy as np
import pandas as pd
import tqdm
import tqdm.auto
from scipy import special

from coursekit import data, records, require, runtime

# A run made again is a new draw where every seed takes another course on another processor. Chance takes one of its
# numbers too far from those of the others once in so many runs.
ONCE_IN = 10_000


def sweep(run, *, seeds, name, again=None, executor=None, **choices):
    """Run an experiment for every combination of choices and every seed, with a progress bar.

    Where ``again`` is given, the sweep is a recorded one. Runs on record are read instead of made, unless the
    experiment is another one by now: the source of ``run`` and of what it calls in the same notebook, and the values
    that these name, settings for instance. Some of them are made again, to see whether the record still holds.

    Where the environment variable ``COURSEKIT_RESUME`` names a folder, every finished run is kept there as it comes,
    and an interrupted sweep of that ``name`` goes on where it stopped.

    Args:
        run: function of one value of each choice, and of ``seed``, all by name, to a dict of numbers.
        seeds: ints.
        name: str, of the record, and the label of the bar.
        again: dict from choice to value: of the runs with these, those with the first seed are made again; ``{}`` for
            one of each combination. Or a list of such dicts; ``[]`` to make none again. None for a sweep that is not
            recorded.
        executor: ``concurrent.futures.Executor`` that makes the runs, such as a Dask client's; by default this thread.
        **choices: iterables of numbers or text.

    Returns:
        A pandas table: one row a run, in order; one column for each choice, ``seed``, and each number.

    Raises:
        ValueError: where a run returns no dict of numbers, or another one than the others; for a choice that is neither
            number nor text, or given twice; in a replay, where runs are not on record, or the record does not hold.

    >>> sweep(lambda n, seed: {"square": n**2 + seed}, n=(2, 3), seeds=range(2), name="squares")
       n  seed  square
    0  2     0     4.0
    1  2     1     5.0
    2  3     0     9.0
    3  3     1    10.0
    """
    jobs = _jobs(choices, require.listed("seeds", seeds))
    kept = _Kept(run, name, jobs, recorded=again is not None)
    missing = [job for job in jobs if job not in kept]
    if again is not None and missing and runtime.is_replay():
        raise ValueError(
            f"Of the experiment {name} as it is now, {len(missing)} of {len(jobs)} runs are not on record, "
            f"{missing[0]} among them; make notebooks makes them."
        )
    for job, numbers in _made(run, missing, executor, name):
        kept.add(job, numbers)
    table = _table([(job, kept[job]) for job in jobs], name)
    if again is not None:
        kept.forget_others()
        _make_again(run, name, again, table, jobs, missing)
    return table


def best(runs, choice, *, by, of=()):
    """Return the runs with the value of a choice that is best in the mean over seeds.

    Args:
        runs: table, as ``sweep`` returns it.
        choice: str, the choice to make, such as a learning rate.
        by: str, the number that is to be large, of validation images for instance.
        of: str, or a list of them: the choices that each get a best value of their own.

    Returns:
        A table with the rows of the best. Where one run of a value has diverged, that value is not the best.

    Raises:
        ValueError: for a column that the table lacks, or where every value has diverged.

    >>> def accuracy(rate, seed):
    ...     return {"accuracy": 1 - abs(rate - 0.3)}
    >>> runs = sweep(accuracy, rate=(0.1, 0.3, 1.0), seeds=range(2), name="rates")
    >>> best(runs, "rate", by="accuracy").rate.unique()
    array([0.3])
    """
    of = [of] if isinstance(of, str) else list(of)
    _require_columns(runs, [choice, by, *of])
    means = runs.groupby([*of, choice], sort=False)[by].agg(lambda values: values.mean(skipna=False))
    means = means.dropna().sort_values(ascending=False, kind="stable").reset_index()
    winners = means.drop_duplicates(of) if of else means.head(1)
    if len(winners) < (len(runs[of].drop_duplicates()) if of else 1):
        raise ValueError(f"Of some runs, {by} is not a number at any {choice}; all of them have diverged.")
    return runs.merge(winners[[*of, choice]])


def by_seed(runs, number, **chosen):
    """Return one number of one experiment by seed.

    Args:
        runs: table, as ``sweep`` returns it.
        number: str, which.
        **chosen: the values that choose one run a seed.

    Returns:
        float64 (seeds,), or (seeds, ...) for a number that is a list, in order of the seeds.

    Raises:
        ValueError: for a column that the table lacks, no run, or several runs of one seed, which would pass for
            independent ones.

    >>> by_seed(sweep(lambda n, seed: {"sum": n + seed}, n=(2, 3), seeds=range(3), name="sums"), "sum", n=3)
    array([3., 4., 5.])
    """
    _require_columns(runs, [number, *chosen])
    wanted = _where(runs, chosen).sort_values("seed")
    if wanted.empty:
        raise ValueError(f"There is no run with {chosen}.")
    if wanted.seed.duplicated().any():
        raise ValueError(f"There are several runs with {chosen} and one seed; say which, by further choices.")
    return np.array(wanted[number].tolist(), "float64")


def recorded(name, profile=None):
    """Return the runs on record, without making any.

    Args:
        name: str, of the sweep.
        profile: ``"quick"`` or ``"full"``; this session's by default.

    Returns:
        A table, as ``sweep`` returns it.

    Raises:
        ValueError: where there are none.

    >>> sorted(recorded("transfer-scratch").columns)[-3:]
    ['test', 'train', 'validation']
    """
    lines = records.read_runs(records.runs_path(name, profile))
    if not lines:
        raise ValueError(f"There are no {profile or runtime.profile()} runs of {name} on record.")
    return _table([(line["choices"] | {"seed": line["seed"]}, line["numbers"]) for line in lines], name)


def _jobs(choices, seeds):
    """Every combination of choices, with every seed, as the arguments of a run."""
    values = {choice: [_plain(value) for value in require.listed(choice, of)] for choice, of in choices.items()}
    for choice, of in values.items():
        for value in of:
            if not isinstance(value, (str, int, float)):
                raise ValueError(f"{choice} is {value!r}; a choice is a number or text, which names something else.")
            if of.count(value) > 1:  # its runs would pass for those of more seeds
                raise ValueError(f"{choice} has {value!r} more than once.")
    combinations = itertools.product(*values.values(), map(_plain, seeds))
    return [dict(zip([*values, "seed"], combination, strict=True)) for combination in combinations]


def _made(run, jobs, executor, name):
    """Make runs, and yield each with its arguments as it comes, behind a bar that says how long the rest takes."""
    with bar(total=len(jobs), desc=name, unit="run") as shown:
        if executor is None:
            for job in jobs:
                yield job, run(**job)
                shown.update()
            return
        made = {executor.submit(run, **job): job for job in jobs}
        try:
            for future in concurrent.futures.as_completed(made):
                yield made[future], future.result()
                shown.update()
        finally:
            for future in made:
                future.cancel()


def _table(runs, name):
    names = {}
    for job, numbers in runs:
        of_choices = names.setdefault(_key(_choices(job)), numbers.keys())
        if numbers.keys() != of_choices:
            raise ValueError(f"Runs of {name} return {[*of_choices]}, and {job} {[*numbers]}; return the same names.")
        if twice := job.keys() & numbers.keys():
            raise ValueError(f"Runs of {name} return {min(twice)!r}, which is a choice; give it another name.")
    return pd.DataFrame(
        [job | {number: _diverged(value) for number, value in numbers.items()} for job, numbers in runs]
    )


def _make_again(run, name, again, table, jobs, just_made):
    """Make some recorded runs once more and say, or in a replay insist, that they are what is on record."""
    first = jobs[0]["seed"] if jobs else None
    chosen = []
    for wanted in [again] if isinstance(again, dict) else again:
        found = [job for job in jobs if job["seed"] == first and wanted.items() <= job.items()]
        if not found:
            raise ValueError(f"Of {name}, {wanted} is to be made again, and no run has it.")
        chosen.extend(job for job in found if job not in chosen)
    drifts = []
    for job in chosen:
        if job not in just_made:
            runs = _where(table, _choices(job))
            drifts.extend(f"{name}, {job}, {drift}" for drift in _drifts(_numbers(run(**job)), runs))
    if drifts and not runtime.is_watched():
        raise ValueError(f"The record of {drifts[0]} Where that is right, delete the record and run make notebooks.")
    if just_made and runtime.is_watched():
        print(f"made now · {len(just_made)} of {len(jobs)} runs, which are not on record")
    else:
        print(f"recorded · {len(jobs)} runs, {len(chosen)} of them made again")
    for drift in drifts:
        print(f"drifted · {drift}")


def _drifts(numbers, on_record):
    """Yield a sentence for every number that is further from the recorded runs' mean than chance allows."""
    count = len(on_record)
    if count < 2:
        return  # nobody knows what chance allows
    # A new draw against the mean of the others, by Student's t, at a level that all numbers of the run share.
    level = 1 / ONCE_IN / sum(np.size(value) for value in numbers.values())
    reach = special.stdtrit(count - 1, 1 - level / 2) * np.sqrt(1 + 1 / count)
    for number, value in numbers.items():
        if number not in on_record:
            yield f"{number}: not on record."
            continue
        recorded, value = np.array(on_record[number].tolist(), "float64"), np.array(_diverged(value), "float64")
        mean, width = recorded.mean(0), reach * recorded.std(0, ddof=1)
        if recorded.shape[1:] != value.shape:
            yield f"{number}: shape {value.shape} now, {recorded.shape[1:]} on record."
            continue
        near = np.abs(value - mean) <= np.maximum(width, 1e-3 * np.abs(mean))
        far = ~(near | np.isnan(value) & np.isnan(recorded).all(0))  # what diverges does so again
        if far.any():
            now, then, around = (np.atleast_1d(one)[np.atleast_1d(far)][0] for one in (value, mean, width))
            yield f"{number}: {now:.3g} now, {then:.3g} ± {around:.2g} on record."


class _Kept:
    """Finished runs of an experiment: those on file, and each new one, of which a line is written as it comes."""

    def __init__(self, run, name, jobs, recorded):
        resumed = resume_path(f"{name}.jsonl")
        record = records.runs_path(name) if recorded else None
        on_file = [path for path in (record, resumed) if path]
        self.path = record if record and "COURSEKIT_RECORD" in os.environ else resumed
        choices = map(_choices, jobs) if on_file else ()
        self.of = {_key(chosen): fingerprint(run, chosen) for chosen in choices}
        self.numbers = {
            _key(line["choices"] | {"seed": line["seed"]}): line["numbers"]
            for line in itertools.chain.from_iterable(map(records.read_runs, on_file))
            if self._is_of(line)
        }

    def __contains__(self, job):
        return _key(job) in self.numbers

    def __getitem__(self, job):
        return self.numbers[_key(job)]

    def add(self, job, numbers):
        self.numbers[_key(job)] = numbers = _numbers(numbers)
        if self.path:
            choices = _choices(job)
            line = {"choices": choices, "seed": job["seed"], "numbers": numbers, "of": self.of[_key(choices)]}
            made = {name: value for name, value in runtime.describe().items() if name != "profile"}
            records.append_run(self.path, line | {"run": {"date": datetime.date.today().isoformat()} | made})

    def forget_others(self):
        """Drop the runs of other experiments and choices from the record, where this session writes it."""
        if "COURSEKIT_RECORD" in os.environ:
            records.write_runs(self.path, [line for line in records.read_runs(self.path) if self._is_of(line)])

    def _is_of(self, line):
        return self.of.get(_key(line["choices"])) == line["of"]


def _choices(job):
    return {choice: value for choice, value in job.items() if choice != "seed"}


def _key(job):
    return json.dumps(job, sort_keys=True)


def _numbers(numbers):
    """What a run returns, as its line holds it: numbers, or lists of them, to six digits; None for what diverged."""
    if not isinstance(numbers, dict):
        raise ValueError(f"A run of a sweep returns {type(numbers).__name__}; return a dict of numbers.")
    if not all(isinstance(number, str) for number in numbers):
        raise ValueError(f"A run of a sweep returns the names {[*numbers]}; make all of them strings.")
    return {number: _as_recorded(_plain(value)) for number, value in numbers.items()}


def _as_recorded(value):
    if isinstance(value, list):
        return [_as_recorded(one) for one in value]
    return records.six_digits(value) if np.isfinite(value) else None


def _diverged(value):
    if isinstance(value, list):
        return [_diverged(one) for one in value]
    return np.nan if value is None else value


def _plain(value):
    """A number of NumPy or of a backend, as JSON has it."""
    return value if isinstance(value, (str, int, float)) or value is None else np.asarray(value).tolist()


def fingerprint(run, choices):
    """Return a text that changes when a run would be another experiment.

    It stands for the source of ``run``, comments and layout aside, and of all that it calls in its own module or
    notebook; and for the values that these name: numbers, text, and what holds nothing else. Of a dict that has one of
    the run's choices among its keys, only that entry counts, so that further entries leave the other runs what they
    are; of a notebook's settings, those that are read; of a data set, its name, sizes and classes. Arrays and tables do
    not count. A model must come from a function, since how it was made is not to be seen from it.

    Args:
        run: function, as for ``sweep``.
        choices: dict of its arguments; the seed does not count.

    Returns:
        Str of 12 characters.

    Raises:
        ValueError: where Python cannot find the function's source, or where a run reads a model that no function made.

    >>> rate = 0.1
    >>> def half(n, seed):
    ...     return {"half": rate * n / 2}
    >>> before = fingerprint(half, {"n": 2})
    >>> rate = 0.2
    >>> fingerprint(half, {"n": 2}) == before
    False
    """
    try:
        described = _Describer(choices, run.__module__).function(run)
    except (AttributeError, TypeError, OSError, SyntaxError):
        raise ValueError(f"The source of {run!r} cannot be found; define it with def, in a cell or a file.") from None
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:12]


class _Describer:
    """Says what a run's functions do and what they read, as lists of text."""

    def __init__(self, choices, module):
        self.chosen = list(choices.values())
        self.module, self.seen = module, set()

    def function(self, function):
        function = inspect.unwrap(function)
        if function in self.seen:
            return function.__name__
        self.seen.add(function)
        names = set(function.__code__.co_freevars).union(*map(_global_names, _codes(function.__code__)))
        attributes = set().union(*(code.co_names for code in _codes(function.__code__)))
        scope = function.__globals__ | inspect.getclosurevars(function).nonlocals
        for name in sorted(names):
            if hasattr(scope.get(name), "count_params") and not isinstance(scope[name], type):
                raise ValueError(
                    f"{function.__name__} reads the model {name}, and a record could not tell how that was made; let a "
                    "function return it."
                )
        read = {name: self.value(self.own_entry(scope[name]), attributes) for name in sorted(names) if name in scope}
        defaults = self.value([*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()], attributes)
        return [_source(function), defaults, {name: value for name, value in read.items() if value is not None}]

    def own_entry(self, value):
        """Of a dict by one of the run's choices, what it has for this run."""
        own = {key: one for key, one in value.items() if key in self.chosen} if isinstance(value, dict) else None
        return own or value

    def value(self, value, attributes):
        """A value as what JSON has, or None for one that does not count. Of settings, these attributes count."""
        try:
            return self._value(value, attributes)
        except TypeError:
            return None

    def _value(self, value, attributes):
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, (bool, int, float, str)):
            return repr(value)
        if isinstance(value, data.Dataset):
            return str(value)
        if isinstance(value, types.SimpleNamespace):
            return {
                name: self.value(one, attributes) for name, one in sorted(vars(value).items()) if name in attributes
            }
        if isinstance(value, (list, tuple, range)):
            return [self._value(one, attributes) for one in value]
        if isinstance(value, dict):
            return [[self._value(key, attributes), self._value(one, attributes)] for key, one in value.items()] or None
        if isinstance(value, functools.partial):
            return [self._value(one, attributes) for one in (value.func, value.args, value.keywords)]
        if not callable(value) or not hasattr(value, "__qualname__"):
            raise TypeError
        if value.__module__ != self.module:
            return f"{value.__module__}.{value.__qualname__}"
        if isinstance(value, type):
            methods = [one for one in vars(value).values() if inspect.isfunction(one)]
            return [value.__qualname__, *map(self.function, methods)]
        try:
            return self.function(value)
        except (OSError, SyntaxError):  # a function that has no source, or a lambda amid other code
            return value.__qualname__


def _codes(code):
    """The code of a function and of those in it."""
    inner = (one for one in code.co_consts if isinstance(one, types.CodeType))
    return [code, *itertools.chain.from_iterable(map(_codes, inner))]


def _global_names(code):
    """The globals that a function reads. Its attributes have names, too, which may be those of globals by chance."""
    return {one.argval for one in dis.get_instructions(code) if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")}


@functools.lru_cache(1024)
def _source(function):
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            del node.body[0]
    return _as_lists(tree)


def _as_lists(node):
    """A syntax tree, the same from every version of Python."""
    if isinstance(node, ast.AST):
        fields = [
            [name, _as_lists(value)] for name, value in ast.iter_fields(node) if value is not None and value != []
        ]
        return [type(node).__name__, *fields]
    return [_as_lists(one) for one in node] if isinstance(node, list) else repr(node)


def _where(runs, chosen):
    return functools.reduce(lambda rows, choice: rows[rows[choice] == chosen[choice]], chosen, runs)


def _require_columns(runs, names):
    if lacking := [name for name in names if name not in runs]:
        raise ValueError(f"The table has no {lacking[0]!r}; it has {', '.join(map(str, runs.columns))}.")


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
    """A ``tqdm`` bar: in the notebook where somebody watches it, in the terminal of the maintainers' command, and none
    in a replay.

    Args:
        iterable: what it counts; None for a bar that is moved by ``update``.
        disable: bool, for no bar.
        **options: as for ``tqdm.tqdm``.

    Returns:
        The bar.

    >>> list(bar(range(3)))
    [0, 1, 2]
    """
    options |= {"leave": False, "delay": 2, "disable": disable or runtime.is_replay()}
    if "COURSEKIT_RECORD" not in os.environ:
        return tqdm.auto.tqdm(iterable, **options)
    return tqdm.tqdm(iterable, file=_terminal(), **options)  # what the notebook shows would be kept there


@functools.cache
def _terminal():
    """Where the maintainers' command shows progress: what it gave its kernel for that, or here."""
    number = os.environ.get("COURSEKIT_PROGRESS")
    return os.fdopen(int(number), "w", encoding="utf-8") if number else sys.__stderr__
