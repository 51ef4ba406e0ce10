"""The lecture's claims: statements in ``claims.toml``, comparisons in the chapters, verdicts from intervals.

A chapter measures, then calls ``check`` with comparisons of two series of numbers. There are two kinds.

- *Checks* are arithmetic or a mechanism: two series are ``equal``, or the first is greater in ``every`` place. A check
  *holds* or *fails*; there is no chance in it.
- *Experiments* compare means over seeds: the first is ``greater``, or both are the ``same``. What they measure is a
  quantity of ``claims.toml``, which fixes before any run on which scale it is compared, and the smallest difference
  that matters. The outcome follows from the two-sided 99 % t interval of the paired difference, by the first line that
  fits:

  ========================================  ===========================================
  within what does not matter                ``no difference`` (what ``same`` promises)
  above zero                                 ``holds``
  below zero                                 ``reversed``
  anything else                              ``undecided``: too few runs
  ========================================  ===========================================

  Where the lecture promises no difference, an interval that lies wholly beyond what does not matter ``differs``.

The verdict on one data set comes from its outcomes alone. Over data sets, what is undecided outvotes nobody, and
verdicts that contradict each other make a claim that *depends* on the data. So no side is favored: what refutes a
claim confirms its opposite.

Rounding differs from one processor to the next, and training multiplies it. So the outcome on record stands until a
run contradicts it clearly.
"""

import tomllib
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from scipy import special

from coursekit import cards, records, runtime

STATEMENTS = records.FOLDER.parent / "claims.toml"
VERDICTS = ("confirmed", "confirmed in part", "partly", "refuted in part", "refuted", "depends", "undecided")
DATA_SETS = {"quick": "Digits", "full": "Photographs"}
CONFIDENCE = 0.99
FEWEST_SEEDS = 3
DRIFT = 4.0  # standard errors
LEFT_OPEN = {
    "confirmed": {"confirmed in part"},
    "refuted": {"refuted in part"},
    "partly": {"confirmed in part", "refuted in part"},
}
REFUTING = ("fails", "no difference", "reversed", "differs")
POWER, MOST_SEEDS = 0.8, 1000


@dataclass(frozen=True)
class Claim:
    """One sentence of the lecture that can be wrong.

    Args:
        id: str, begins with what it is about.
        chapter: str, the topic.
        statement: str, in our words.
        lecture: str, the slide.
        reason: str, why the verdict is not simply *confirmed*, or does not hold everywhere; else empty.
        seeds: dict from profile to how many seeds its experiments run over, or a list where these differ; None
            for a claim of checks alone.
        data: dict from profile to what was measured, where it is neither digits nor CIFAR-10's photographs.
    """

    id: str
    chapter: str
    statement: str
    lecture: str
    reason: str = ""
    seeds: dict | None = None
    data: dict | None = None


@dataclass(frozen=True)
class Quantity:
    """What experiments measure, and how it is compared.

    Args:
        name: str.
        what: str, in words.
        scale: str, ``"linear"``, or ``"log"`` for what is compared by its ratio.
        matters: float, the smallest difference that a practitioner should care about; on the log scale, the smallest
            factor.
    """

    name: str
    what: str
    scale: str
    matters: float

    @property
    def band(self):
        """Float, the smallest difference that matters, on the scale in which it is compared."""
        return float(np.log(self.matters)) if self.scale == "log" else self.matters


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two named series of numbers, and how the first relates to the second.

    Args:
        relation: str, ``"equal"`` or ``"every"`` for a check, ``"greater"`` or ``"same"`` for an experiment.
        values: dict from name to float64 (seeds,).
        quantity: ``Quantity``, what an experiment measures; None for a check.
        within: float, the distance that *equal* allows.
    """

    relation: str
    values: dict
    quantity: Quantity | None = None
    within: float = 0.0

    @cached_property
    def differences(self):
        """float64 (seeds,), the first series less the second; on the log scale, of logarithms."""
        first, second = self.values.values()
        return np.subtract(*map(np.log, (first, second))) if self.is_log else first - second

    @property
    def effect(self):
        """Float, the mean difference; for *equal*, the largest distance."""
        return float(np.abs(self.differences).max() if self.relation == "equal" else self.differences.mean())

    @property
    def half_width(self):
        """Float, half of the 99 % t interval of the mean difference."""
        seeds = len(self.differences)
        return float(_quantile(seeds) * self.differences.std(ddof=1) / np.sqrt(seeds))

    @property
    def interval(self):
        """Pair of floats, the ends of the 99 % t interval of the mean difference."""
        return self.effect - self.half_width, self.effect + self.half_width

    @property
    def outcome(self):
        """Str, ``"holds"``, one of ``REFUTING``, or ``"undecided"``."""
        return self._outcome()

    @property
    def in_words(self):
        """Str, the outcome, and for an undecided one how many seeds would decide it."""
        if self.outcome == "no difference":
            return "no difference that matters"
        if self.outcome != "undecided":
            return self.outcome
        needed = self.seeds_needed()
        return f"undecided; {f'about {needed}' if needed else f'more than {MOST_SEEDS:,}'} seeds would decide"

    def outcome_beside(self, recorded):
        """Return the outcome, where the one on record stands until it is contradicted.

        Args:
            recorded: ``Comparison``, the same one on record.

        Returns:
            Str: the recorded outcome, if an interval half or twice as wide gives it; else this one's own.
        """
        near = {self._outcome(stretch) for stretch in (0.5, 1.0, 2.0)} if self.quantity else set()
        return recorded.outcome if recorded.outcome in near else self.outcome

    def seeds_needed(self):
        """Return how many seeds would decide with a probability of .8, were difference and spread as measured.

        Returns:
            Int, or None for more than a thousand.
        """
        seeds = np.arange(FEWEST_SEEDS, MOST_SEEDS + 1)
        error = self.differences.std(ddof=1) / np.sqrt(seeds)
        half_width = _quantile(seeds) * error
        band = self.quantity.band
        # The mean has to come as near to zero as `inner`, or be further from it than `outer`.
        inner, outer = band - half_width, half_width + (band if self.relation == "same" else 0)

        def beyond(distance):
            return special.ndtr((self.effect - distance) / error) + special.ndtr((-self.effect - distance) / error)

        undecided = beyond(np.maximum(inner, 0)) - beyond(np.maximum(inner, outer))
        enough = seeds[undecided <= 1 - POWER]
        return int(enough[0]) if enough.size else None

    @property
    def is_log(self):
        """Bool, whether ratios are compared."""
        return self.quantity is not None and self.quantity.scale == "log"

    def _outcome(self, stretch=1.0):
        """The outcome by an interval so many times as wide."""
        if self.quantity is None:
            holds = self.effect <= self.within if self.relation == "equal" else (self.differences > 0).all()
            return "holds" if holds else "fails"
        band, half_width = self.quantity.band, stretch * self.half_width
        low, high = self.effect - half_width, self.effect + half_width
        if -band <= low and high <= band:
            return "holds" if self.relation == "same" else "no difference"
        if self.relation == "same":
            return "differs" if low > band or high < -band else "undecided"
        return "holds" if low > 0 else "reversed" if high < 0 else "undecided"


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
    claims = {}
    for chapter, entries in _read(path).items():
        if chapter == "quantities":
            continue
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


def quantities(path=STATEMENTS):
    """Read what experiments measure, and which difference of it matters.

    Args:
        path: ``pathlib.Path`` of a TOML file; by default the course's own.

    Returns:
        A dict from name to ``Quantity``.

    Raises:
        ValueError: for a quantity without words, of an unknown scale, or of which no difference matters.

    >>> quantities()["accuracy"].matters
    0.01
    """
    found = {}
    for name, entry in _read(path).get("quantities", {}).items():
        try:
            quantity = found[name] = Quantity(name, **entry)
        except TypeError:
            raise ValueError(
                f"The quantity {name!r} in {path.name} lacks what, scale or matters, or has more."
            ) from None
        if quantity.scale not in ("linear", "log") or not quantity.band > 0:
            raise ValueError(
                f"The quantity {name!r} in {path.name} has the scale {quantity.scale!r}, and what matters is "
                f"{quantity.matters!r}; write linear and a difference above 0, or log and a factor above 1."
            )
    return found


def equal(within=0.0, **series):
    """The check that two named series are equal, in every place: bit for bit, or ``within`` a stated distance.

    Args:
        within: float, the largest distance that is allowed.
        **series: two arrays of numbers, or a number in place of one.

    Returns:
        A ``Comparison``, whose effect is the largest distance.

    Raises:
        ValueError: for other than two series, series of unequal length, an empty one, or a number that is not finite.

    >>> equal(largest_change=[0.0, 0.0, 0.0], nothing=0).outcome
    'holds'
    """
    return Comparison("equal", _pair(series, fewest=1), within=within)


def every(**series):
    """The check that the first of two named series is greater in every place.

    Args:
        **series: as for ``equal``.

    Returns:
        A ``Comparison``.

    Raises:
        ValueError: as ``equal`` does.

    >>> every(moved=[0.1, 0.2, 0.0], nothing=0).outcome
    'fails'
    """
    return Comparison("every", _pair(series, fewest=1))


def greater(quantity, **series):
    """The experiment that is to show the first of two named series greater on average over seeds.

    Args:
        quantity: str, what both measure, of ``claims.toml``.
        **series: two arrays of numbers, one for each seed, or a number in place of one.

    Returns:
        A ``Comparison``.

    Raises:
        ValueError: for an unknown quantity, fewer than three seeds, a number that is not positive where its ratio is
            compared, and as ``equal`` does.

    >>> greater("accuracy", frozen=[0.9, 0.8, 0.9], pixels=[0.7, 0.6, 0.7]).outcome
    'holds'
    """
    return _experiment("greater", quantity, series)


def same(quantity, **series):
    """The experiment that is to show no difference that matters between two named series.

    Args:
        quantity: as for ``greater``.
        **series: as for ``greater``.

    Returns:
        A ``Comparison``.

    Raises:
        ValueError: as ``greater`` does.

    >>> same("accuracy", ours=[0.901, 0.902, 0.901], theirs=[0.9, 0.901, 0.9]).outcome
    'holds'
    """
    return _experiment("same", quantity, series)


def check(claim_id, *comparisons, run=None):
    """Judge a claim by its comparisons, print one line, compare the numbers with the record, and show a card.

    The verdict joins this run's with the other profile's record, unless this run contradicts its own profile's: then it
    speaks for itself. The line has no number, so that a replay can compare it as text. Where a number has left its
    recorded interval a second line says so, and the replay fails: .80 shall not hide behind the verdict that .95 had.
    Whoever changed a setting on purpose may ignore that line.

    Args:
        claim_id: str, of a claim in ``claims.toml``.
        *comparisons: as ``equal``, ``every``, ``greater`` and ``same`` return them.
        run: where the numbers were measured, if not in this session: the ``"run"`` of the record they were read from.

    Raises:
        ValueError: for an unknown id or no comparison.
    """
    claim = _find(claim_id)
    if not comparisons:
        raise ValueError(f"{claim_id} was checked without a comparison; pass claims.greater(...) or claims.equal(...).")
    own = run["profile"] if run else runtime.profile()
    elsewhere = [records.read(claim_id, profile) for profile in runtime.PROFILES if profile != own]
    records.write(claim_id, {"claim": claim_id, "comparisons": [_as_record(one) for one in comparisons]}, run)
    on_file = records.read(claim_id, own)
    recorded = comparisons_of(on_file) if on_file else list(comparisons)
    outcomes = [one.outcome for one in comparisons]
    if _names(recorded) == _names(comparisons):
        outcomes = [now.outcome_beside(then) for now, then in zip(comparisons, recorded, strict=True)]
    here, before = verdict_of(outcomes), verdict_of(one.outcome for one in recorded)
    others = data_sets(filter(None, elsewhere))
    drifts = list(_drifts(comparisons, recorded))
    if here == before:
        verdict = joint_verdict([here, *(there for there, _ in others.values())])
    else:
        verdict = here
        drifts.insert(0, f"the verdict is {here} now, {before} on record.")
    print(f"{verdict} · {claim_id} · {claim.statement}")
    for drift in drifts:
        print(f"drifted · {drift}")
    if runtime.is_watched():
        _display(cards.card(claim, verdict, {"This run": (here, comparisons)} | others))


def data_sets(records_of_claim):
    """Return what a card shows of records: the verdict and the comparisons of each, by what and where was measured.

    Args:
        records_of_claim: dicts, as ``records.read`` returns them.

    Returns:
        A dict from a title to a pair of verdict and list of ``Comparison``.

    Raises:
        ValueError: for a record of an unknown quantity.

    >>> list(data_sets([records.read("gan-improves", "quick")]))[0].startswith("Digits · quick profile · ")
    True
    """
    found = {}
    for record in records_of_claim:
        profile, device, date = (record["run"][name] for name in ("profile", "device", "date"))
        data = (_find(record["claim"]).data or DATA_SETS)[profile]
        title = f"{data} · {profile} profile · {device} · {date}"
        found[title] = verdict_on_record(record), comparisons_of(record)
    return found


def judged(claim_id, on_record):
    """Return the joint verdict on a claim, and what each data set contributes to it.

    Args:
        claim_id: str, of a claim in ``claims.toml``.
        on_record: dict from (profile, id) to record, as ``verify`` returns it.

    Returns:
        A pair: str, one of ``VERDICTS``, and a dict as ``data_sets`` returns it.

    Raises:
        ValueError: for a claim without a record.

    >>> judged("transfer-plentiful-finetune", verify())[0]
    'confirmed'
    """
    of_claim = [on_record[profile, claim_id] for profile in runtime.PROFILES if (profile, claim_id) in on_record]
    if not of_claim:
        raise ValueError(f"The claim {claim_id!r} has no record; run make notebooks.")
    return joint_verdict(map(verdict_on_record, of_claim)), data_sets(of_claim)


def verdicts(chapter):
    """Print the verdicts on a chapter's claims, a line each, and show all intervals as one figure where it can be seen.

    Args:
        chapter: str, the topic.

    Raises:
        ValueError: for a chapter without claims, and for a claim without a record.

    >>> verdicts("inception")  # doctest: +ELLIPSIS
    confirmed          conv1x1-per-pixel
    ...
    """
    on_record = _on_record()
    of_claims = [(claim, *judged(claim.id, on_record)) for claim in load().values() if claim.chapter == chapter]
    if not of_claims:
        raise ValueError(f"There are no claims of {chapter!r} in {STATEMENTS.name}.")
    for claim, verdict, _ in of_claims:
        print(f"{verdict:18} {claim.id}")
    if runtime.is_watched():
        _display(cards.forest(of_claims))


def verdict_of(outcomes):
    """Return the verdict on one data set.

    Args:
        outcomes: strings, as ``Comparison.outcome``; at least one.

    Returns:
        str, one of ``VERDICTS``.

    >>> verdict_of(["holds", "undecided"])
    'confirmed in part'
    """
    outcomes = list(outcomes)
    holds, refuting = "holds" in outcomes, not set(outcomes).isdisjoint(REFUTING)
    if holds and refuting:
        return "partly"
    if not holds and not refuting:
        return "undecided"
    return ("confirmed" if holds else "refuted") + (" in part" if "undecided" in outcomes else "")


def joint_verdict(verdicts):
    """Return the verdict on a claim over several data sets. What is undecided on one changes nothing on another.

    Args:
        verdicts: strings of ``VERDICTS``, one for each data set; at least one.

    Returns:
        str, one of ``VERDICTS``.

    >>> joint_verdict(["undecided", "refuted"])
    'refuted'
    >>> joint_verdict(["confirmed", "refuted"])
    'depends'
    """
    decided = set(verdicts) - {"undecided"} or {"undecided"}
    # A verdict in part leaves open what another data set may decide.
    whole = [verdict for verdict in decided if decided - {verdict} <= LEFT_OPEN.get(verdict, set())]
    return whole[0] if whole else "depends"


def comparisons_of(record):
    """Return what a claim was judged by, from its record.

    Args:
        record: dict, as ``records.read`` returns it.

    Returns:
        A list of ``Comparison``.

    Raises:
        ValueError: for a record of an unknown quantity.

    >>> comparisons_of(records.read("transfer-frozen-untouched", "quick"))[0].outcome
    'holds'
    """
    return [
        Comparison(
            one["relation"],
            {name: np.array(series, "float64") for name, series in one["values"].items()},
            _find_quantity(one["quantity"]) if "quantity" in one else None,
            one.get("within", 0.0),
        )
        for one in record["comparisons"]
    ]


def verdict_on_record(record):
    """Return the verdict that a claim's record amounts to.

    Args:
        record: dict, as ``records.read`` returns it.

    Returns:
        str, one of ``VERDICTS``.

    Raises:
        ValueError: for a record of an unknown quantity.

    >>> verdict_on_record(records.read("transfer-frozen-untouched", "quick"))
    'confirmed'
    """
    return verdict_of(one.outcome for one in comparisons_of(record))


def verify():
    """Return all records of claims, after checking that claims and records belong together.

    Returns:
        A dict from (profile, id) to record.

    Raises:
        ValueError: in one sentence, for a claim without a record, a record of an unknown claim or quantity, an
            experiment over other seeds than the claim states, or a claim that is not confirmed by every record and
            gives no reason.

    >>> verify()["full", "transfer-sweep-n"]["claim"]
    'transfer-sweep-n'
    """
    claims = load()
    of_claims = _on_record()
    for profile, claim_id in of_claims:
        if claim_id not in claims:
            raise ValueError(
                f"There is a {profile} record of {claim_id!r}, which is not in {STATEMENTS.name}; state it there, or "
                f"delete coursekit/records/{profile}/{claim_id}.json."
            )
    for claim_id, claim in claims.items():
        measured = {profile: record for (profile, name), record in of_claims.items() if name == claim_id}
        if not measured:
            raise ValueError(f"The claim {claim_id!r} has no record; check it in its chapter and run make notebooks.")
        for profile, record in measured.items():
            _verify_seeds(claim, profile, record)
            if (verdict := verdict_on_record(record)) != "confirmed" and not claim.reason:
                raise ValueError(f"The claim {claim_id!r} is {verdict}; give it a reason.")
    return of_claims


def _on_record():
    return {key: record for key, record in records.read_all().items() if "claim" in record}


def _verify_seeds(claim, profile, record):
    ran = {len(one.differences) for one in comparisons_of(record) if one.quantity}
    stated = set(np.ravel((claim.seeds or {}).get(profile, [])).tolist())
    if ran != stated:
        raise ValueError(
            f"The {profile} record of {claim.id!r} has experiments over {sorted(ran)} seeds, and {STATEMENTS.name} "
            f"states {sorted(stated)}; they are to be stated before they run."
        )


def _read(path):
    try:
        return _parsed(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name} is not TOML: {error}.") from None


_parsed = cache(tomllib.loads)


def _find(claim_id):
    claims = load()
    if claim_id not in claims:
        raise ValueError(f"There is no claim {claim_id!r} in {STATEMENTS.name}.")
    return claims[claim_id]


def _find_quantity(name):
    known = quantities()
    if name not in known:
        raise ValueError(f"There is no quantity {name!r} in {STATEMENTS.name}; it has {', '.join(known)}.")
    return known[name]


def _quantile(seeds):
    """How many standard errors the interval reaches to either side."""
    return special.stdtrit(np.subtract(seeds, 1), (1 + CONFIDENCE) / 2)


def _experiment(relation, quantity, series):
    comparison = Comparison(relation, _pair(series, FEWEST_SEEDS), _find_quantity(quantity))
    if comparison.is_log and (low := [name for name, numbers in comparison.values.items() if numbers.min() <= 0]):
        raise ValueError(f"{low[0]} has a number that is not positive, and {quantity} is compared by its ratio.")
    return comparison


def _pair(series, fewest):
    if len(series) != 2:
        raise ValueError(f"A comparison is of two series, each with a name; it got {len(series)}: {list(series)}.")
    length = max(np.size(numbers) for numbers in series.values())
    values = {}
    for name, numbers in series.items():
        numbers = np.asarray(numbers, "float64")
        if numbers.ndim == 0:
            numbers = np.full(length, numbers)
        if numbers.shape != (length,):
            raise ValueError(f"{name} has shape {numbers.shape}; a comparison takes one number a seed, here {length}.")
        if not np.isfinite(numbers).all():
            raise ValueError(f"{name} has a number that is not finite: {numbers.tolist()}.")
        values[name] = numbers
    if length < fewest:
        raise ValueError(f"{' and '.join(series)} have {length} numbers; this comparison needs at least {fewest}.")
    return values


def _display(card):
    """Show a card where it can be seen, which is not in a terminal."""
    from IPython import display, get_ipython

    if get_ipython():
        style = f"<style>{cards.STYLE.read_text('utf-8')}</style>"
        display.display({"text/html": f"{style}\n{card}", "text/plain": ""}, raw=True)


def _names(comparisons):
    return [(one.relation, *one.values) for one in comparisons]


def _as_record(comparison):
    """What was measured. What follows from it is derived when it is read."""
    record = {"relation": comparison.relation, "values": comparison.values}
    if comparison.quantity:
        record["quantity"] = comparison.quantity.name
    if comparison.within:
        record["within"] = comparison.within
    return record


def _drifts(comparisons, recorded):
    """Yield a sentence for every series whose mean has left the recorded interval.

    That is ``DRIFT`` standard errors of the difference of two means: the seed spread, widened for hardware on which
    every seed takes another course; at least a thousandth. What is equal within a stated distance may have any value
    within it: rounding differs from one processor to the next.
    """
    if _names(comparisons) != _names(recorded):
        yield "the record has other comparisons; run make notebooks."
        return
    for now, then in zip(comparisons, recorded, strict=True):
        if now.within and now.outcome == "holds":
            continue
        for name, numbers in now.values.items():
            old = then.values[name]
            error = np.sqrt(sum(series.var(ddof=1) / series.size for series in (old, numbers) if series.size > 1))
            width = max(DRIFT * error, 1e-3 * abs(old.mean()))
            if abs(numbers.mean() - old.mean()) > width:
                yield f"{name}: {numbers.mean():.3g} now, {old.mean():.3g} ± {width:.2g} on record."
