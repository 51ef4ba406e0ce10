"""The lecture's claims: statements in ``claims.toml``, conditions in the chapters, verdicts over seeds.

A chapter measures, then calls ``check`` with conditions over per-seed numbers. A condition *holds* when the mean of
the paired differences lies at least ``MARGIN`` standard errors above zero, is *reversed* when it lies as far below,
and is *open* in between. (Chance alone reaches that margin once in 35 times with three seeds, once in 200 with six.)
The claim is

- *confirmed* when all its conditions hold,
- *qualified* when only some do,
- *refuted* when all are reversed,
- *inconclusive* otherwise.

A profile that is inconclusive outvotes no other one. Where those that are conclusive do not agree, the claim is
*qualified*: it depends on the data. So it is symmetric: what refutes a claim confirms its opposite.

Rounding differs from one processor to the next, and training multiplies it: 4.3 standard errors here may be 3.7 there.
So the outcome on record stands until a run contradicts it clearly.
"""

import tomllib
from dataclasses import dataclass

import numpy as np

from coursekit import records, runtime

STATEMENTS = records.FOLDER.parent / "claims.toml"
VERDICTS = ("confirmed", "qualified", "refuted", "inconclusive")
MARGIN = 4.0
FEWEST_SEEDS = 3


@dataclass(frozen=True)
class Claim:
    """One sentence of the lecture that can be wrong.

    Args:
        id: str, begins with what it is about.
        chapter: str, the topic.
        statement: str, in our words.
        lecture: str, the slide.
        reason: str, why the verdict is not simply *confirmed*, or does not hold everywhere; else empty.
    """

    id: str
    chapter: str
    statement: str
    lecture: str
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Condition:
    """A relation between two named series of per-seed numbers, and how it came out.

    Args:
        relation: str, ``"greater"`` or ``"equal"``.
        values: dict from name to float64 (seeds,).
        outcome: ``"holds"``, ``"reversed"`` or ``"open"``.
        effect: float, the mean difference; for *equal*, the largest distance.
        spread: float, standard deviation of the differences.
        within: float, the distance that *equal* allowed.
    """

    relation: str
    values: dict
    outcome: str
    effect: float
    spread: float
    within: float = 0.0


def load(path=STATEMENTS):
    """Read the claims, a dict from id to Claim in the order of the file.

    Args:
        path: ``pathlib.Path`` of a TOML file; by default the course's own.

    Returns:
        A dict from id to ``Claim``.

    Raises:
        ValueError: for a file that is no such list, or an id that appears twice.

    >>> load()["transfer-sweep-n"].chapter
    'transfer'
    """
    try:
        by_chapter = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name} is not TOML: {error}.") from None
    claims = {}
    for chapter, entries in by_chapter.items():
        if not isinstance(entries, list):
            raise ValueError(f"{path.name} has [{chapter}]; write [[{chapter}]], once for every claim.")
        for entry in entries:
            try:
                claim = Claim(chapter=chapter, **entry)
            except TypeError:
                raise ValueError(
                    f"{path.name} has a claim of {chapter!r} that lacks id, statement or lecture, or has more."
                ) from None
            if claim.id in claims:
                raise ValueError(f"{path.name} has the claim {claim.id!r} twice; give one of them another id.")
            claims[claim.id] = claim
    return claims


def greater(**series):
    """The condition that the first of two named series is the greater one, seed by seed.

    Args:
        **series: two arrays of per-seed numbers, or a number in place of one.

    Returns:
        A ``Condition``.

    Raises:
        ValueError: for other than two series, series of unequal length, fewer than three seeds, or a number that is not
            finite.

    >>> greater(frozen=[0.9, 0.8, 0.9], pixels=[0.7, 0.6, 0.7]).outcome
    'holds'
    """
    values, first, second = _pair(series)
    difference = first - second
    effect, spread = difference.mean(), difference.std(ddof=1)
    error = spread / np.sqrt(len(difference))
    outcome = "open"
    rounding = 1e-9 * max(np.abs(first).max(), np.abs(second).max())
    if abs(effect) > rounding and abs(effect) >= MARGIN * error:
        outcome = "holds" if effect > 0 else "reversed"
    return Condition("greater", values, outcome, effect, spread)


def equal(within=0.0, **series):
    """The condition that two named series are equal, in every seed: bit for bit, or ``within`` a stated distance.

    Args:
        within: float, the largest distance that is allowed.
        **series: as for ``greater``.

    Returns:
        A ``Condition``, whose effect is the largest difference.

    Raises:
        ValueError: as ``greater`` does.

    >>> equal(largest_change=[0.0, 0.0, 0.0], nothing=0).outcome
    'holds'
    """
    values, first, second = _pair(series)
    difference = np.abs(first - second)
    outcome = "holds" if difference.max() <= within else "reversed"
    return Condition("equal", values, outcome, difference.max(), difference.std(ddof=1), within)


def check(claim_id, *conditions, run=None):
    """Judge a claim by its conditions, print one line, and compare the numbers with the record.

    Near the margin, a condition comes out as it did on record. The verdict joins this run's with the other profile's
    record, unless this run contradicts its own profile's: then it speaks for itself. The line has no number, so that a
    replay can compare it as text. Where a number has left its recorded interval a second line says so, and the replay
    fails: .80 shall not hide behind the verdict that .95 had. Whoever changed a setting on purpose may ignore that
    line.

    Args:
        claim_id: str, of a claim in ``claims.toml``.
        *conditions: ``Condition``, as ``greater`` and ``equal`` return them.
        run: where the numbers were measured, if not in this session: the ``"run"`` of the record they were read from.

    Raises:
        ValueError: for an unknown id or no condition.
    """
    claim = _find(claim_id)
    if not conditions:
        raise ValueError(f"{claim_id} was checked without a condition; pass claims.greater(...) or claims.equal(...).")
    verdict = _verdict([condition.outcome for condition in conditions])
    own = run["profile"] if run else runtime.profile()
    elsewhere = [records.read(claim_id, profile) for profile in runtime.PROFILES if profile != own]
    record = {"claim": claim_id, "verdict": verdict, "conditions": [vars(condition) for condition in conditions]}
    records.write(claim_id, record, run)
    on_file = records.read(claim_id, own)
    if on_file and len(on_file["conditions"]) == len(conditions):
        outcomes = [_beside_the_record(*pair) for pair in zip(conditions, on_file["conditions"], strict=True)]
        verdict = record["verdict"] = _verdict(outcomes)
    if on_file is None or on_file["verdict"] == verdict:
        verdict = joint_verdict([record, *filter(None, elsewhere)])
    print(f"{verdict} · {claim_id} · {claim.statement}")
    for drift in _drifts(record, on_file):
        print(f"drifted · {drift}")


def joint_verdict(records_of_claim):
    """Return the verdict on a claim from its records in one or several profiles: what is inconclusive does not count.

    Args:
        records_of_claim: dicts, each with a ``"verdict"``; at least one.

    Returns:
        str, one of ``VERDICTS``.

    >>> joint_verdict([{"verdict": "inconclusive"}, {"verdict": "refuted"}])
    'refuted'
    >>> joint_verdict([{"verdict": "confirmed"}, {"verdict": "refuted"}])
    'qualified'
    """
    verdicts = {record["verdict"] for record in records_of_claim}
    conclusive = verdicts - {"inconclusive"} or verdicts
    return conclusive.pop() if len(conclusive) == 1 else "qualified"


def verify():
    """Return all records of claims, after checking that claims and records belong together.

    Returns:
        A dict from (profile, id) to record.

    Raises:
        ValueError: in one sentence, for a claim without a record, a record of an unknown claim, or a claim that is not
            confirmed by every record and gives no reason.

    >>> verify()["full", "transfer-sweep-n"]["claim"]
    'transfer-sweep-n'
    """
    claims = load()
    of_claims = {key: record for key, record in records.read_all().items() if "claim" in record}
    for profile, claim_id in of_claims:
        if claim_id not in claims:
            raise ValueError(
                f"There is a {profile} record of {claim_id!r}, which is not in {STATEMENTS.name}; state it there, or "
                f"delete coursekit/records/{profile}/{claim_id}.json."
            )
    for claim_id, claim in claims.items():
        measured = [record for (_, name), record in of_claims.items() if name == claim_id]
        if not measured:
            raise ValueError(f"The claim {claim_id!r} has no record; check it in its chapter and run make notebooks.")
        for record in measured:
            if record["verdict"] != "confirmed" and not claim.reason:
                raise ValueError(f"The claim {claim_id!r} is {record['verdict']}; give it a reason.")
    return of_claims


def _find(claim_id):
    claims = load()
    if claim_id not in claims:
        raise ValueError(f"There is no claim {claim_id!r} in {STATEMENTS.name}.")
    return claims[claim_id]


def _pair(series):
    if len(series) != 2:
        raise ValueError(f"A condition compares two series, each with a name; it got {len(series)}: {list(series)}.")
    length = max(np.size(numbers) for numbers in series.values())
    values = {}
    for name, numbers in series.items():
        numbers = np.asarray(numbers, "float64")
        if numbers.ndim == 0:
            numbers = np.full(length, numbers)
        if numbers.shape != (length,):
            raise ValueError(f"{name} has shape {numbers.shape}; a condition takes one number a seed, here {length}.")
        if not np.isfinite(numbers).all():
            raise ValueError(f"{name} has a number that is not finite: {numbers.tolist()}.")
        values[name] = numbers
    if length < FEWEST_SEEDS:
        raise ValueError(f"{' and '.join(series)} have {length} seeds; a claim needs at least {FEWEST_SEEDS}.")
    return values, *values.values()


def _verdict(outcomes):
    if all(outcome == "holds" for outcome in outcomes):
        return "confirmed"
    if any(outcome == "holds" for outcome in outcomes):
        return "qualified"
    return "refuted" if all(outcome == "reversed" for outcome in outcomes) else "inconclusive"


def _beside_the_record(condition, on_file):
    """The outcome of a condition: that on record, unless the effect is less than half of the margin, where it held or
    was reversed, or more than twice the margin, where it was open.
    """
    if condition.relation != "greater" or on_file["relation"] != "greater":
        return condition.outcome
    margin = MARGIN * condition.spread / np.sqrt(len(next(iter(condition.values.values()))))
    near = {
        "holds": condition.effect > margin / 2,  # and not where two runs are the same
        "reversed": condition.effect < -margin / 2,
        "open": abs(condition.effect) <= 2 * margin,
    }
    return on_file["outcome"] if near[on_file["outcome"]] else condition.outcome


def _drifts(now, on_file):
    """Yield a sentence for another verdict, and for every series whose mean has left the recorded interval.

    The interval is ``MARGIN`` standard errors of the difference of two means: the seed spread, widened for hardware on
    which every seed takes another course; at least a thousandth. What is equal within a stated distance may have any
    value within it: rounding differs from one processor to the next.
    """
    if on_file is None:
        return
    if now["verdict"] != on_file["verdict"]:
        yield f"the verdict is {now['verdict']} now, {on_file['verdict']} on record."
    if [list(c["values"]) for c in now["conditions"]] != [list(c["values"]) for c in on_file["conditions"]]:
        yield "the record has other conditions; run make notebooks."
        return
    for condition, condition_on_file in zip(now["conditions"], on_file["conditions"], strict=True):
        if condition["within"] and condition["outcome"] == "holds":
            continue
        for name, numbers in condition["values"].items():
            old = np.array(condition_on_file["values"][name])
            error = np.sqrt(old.var(ddof=1) / old.size + numbers.var(ddof=1) / numbers.size)
            width = max(MARGIN * error, 1e-3 * abs(old.mean()))
            if abs(numbers.mean() - old.mean()) > width:
                yield f"{name}: {numbers.mean():.3g} now, {old.mean():.3g} ± {width:.2g} on record."


def table(chapter):
    """Return the claims of a chapter as a Markdown table of statements, for the chapter's map.

    Args:
        chapter: str, the topic.

    Returns:
        An ``IPython.display.Markdown``.

    Raises:
        ValueError: for a chapter without claims.

    >>> table("transfer").data.splitlines()[0]
    '| claim | in one sentence |'
    """
    from IPython.display import Markdown

    rows = [f"| `{claim.id}` | {claim.statement} |" for claim in load().values() if claim.chapter == chapter]
    if not rows:
        raise ValueError(f"There are no claims of {chapter!r} in {STATEMENTS.name}.")
    return Markdown("\n".join(["| claim | in one sentence |", "|---|---|", *rows]))
