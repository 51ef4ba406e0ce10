"""Claims: outcomes against exact arithmetic and simulated experiments, verdicts, drift, and what the ledger refuses."""

import json
from fractions import Fraction

import numpy as np
import pytest
from bs4 import BeautifulSoup
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from coursekit import claims, records

pytestmark = pytest.mark.only_on("tensorflow")  # no backend computes here

STATEMENTS = """
[quantities.accuracy]
what = "share of images"
scale = "linear"
matters = 0.01

[quantities.steps]
what = "steps"
scale = "log"
matters = 1.25

[[gan]]
id = "gan-first"
statement = "the first statement"
lecture = "slide 1"
seeds = {quick = 3, full = 3}

[[gan]]
id = "gan-second"
statement = "the second statement"
lecture = "slide 2"
reason = "only on some data"
seeds = {quick = 3, full = 3}
"""
# Three or more numbers a seed, in thousandths so that the tests can calculate with them exactly.
thousandths = st.integers(3, 8).flatmap(
    lambda seeds: st.tuples(*[st.lists(st.integers(0, 1000), min_size=seeds, max_size=seeds)] * 2)
)


def numbers(series):
    return [number / 1000 for number in series]


def greater(**series):
    return claims.greater("accuracy", **series)


def use_statements(monkeypatch, path, text):
    path.write_text(text)
    monkeypatch.setattr(claims, "STATEMENTS", path)
    for function in (claims.load, claims.quantities):
        monkeypatch.setattr(function, "__defaults__", (path,))


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two claims without records, in a session of the maintainers' command."""
    use_statements(monkeypatch, tmp_path / "claims.toml", STATEMENTS)
    monkeypatch.setattr(records, "FOLDER", tmp_path / "records")
    monkeypatch.setenv("COURSEKIT_RECORD", "1")
    monkeypatch.delenv("COURSEKIT_PROFILE", raising=False)
    return tmp_path


# Outcomes

MIRRORED = {"holds": "reversed", "reversed": "holds"}


@given(series=thousandths)
def test_an_interval_is_scipys(series):
    first, second = map(numbers, series)
    assume(np.std(np.subtract(first, second)) > 0)
    test = stats.ttest_rel(first, second).confidence_interval(0.99)
    assert greater(a=first, b=second).interval == pytest.approx((test.low, test.high), abs=1e-9)


@given(series=thousandths)
def test_greater_is_what_the_interval_says(series):
    """The same without floating point: (mean - edge) ** 2 against (quantile * error) ** 2."""
    first, second = series
    differences = [Fraction(a - b, 1000) for a, b in zip(first, second, strict=True)]
    seeds, mean = len(differences), sum(differences) / len(differences)
    square = Fraction(stats.t.ppf(0.995, seeds - 1)) ** 2 * sum((d - mean) ** 2 for d in differences)
    square /= seeds * (seeds - 1)

    def beyond(edge):  # the whole interval lies above it
        distance = mean - edge
        assume(distance**2 != square)  # on the very border rounding may decide
        return distance > 0 and distance**2 > square

    matters = Fraction(1, 100)
    above, below = beyond(0), not beyond(0) and mean < 0 and mean**2 > square
    within = beyond(-matters) and mean < matters and (matters - mean) ** 2 > square
    expected = "no difference" if within else "holds" if above else "reversed" if below else "undecided"
    assert greater(a=numbers(first), b=numbers(second)).outcome == expected


@given(series=thousandths)
def test_to_swap_both_sides_mirrors_the_outcome(series):
    first, second = map(numbers, series)
    forwards, backwards = greater(a=first, b=second), greater(b=second, a=first)
    assert backwards.outcome == MIRRORED.get(forwards.outcome, forwards.outcome)
    assert backwards.effect == -forwards.effect
    same = [claims.same("accuracy", **pair).outcome for pair in ({"a": first, "b": second}, {"b": second, "a": first})]
    assert same[0] == same[1]


@given(series=thousandths, shift=st.integers(-1000, 1000))
def test_a_shift_of_both_sides_changes_nothing(series, shift):
    first, second = (np.array(side, "float64") / 1000 for side in series)
    assume(np.abs(np.abs(greater(a=first, b=second).interval) - 0.01).min() > 1e-6)
    assume(np.abs(greater(a=first, b=second).interval).min() > 1e-6)
    assert greater(a=first + shift, b=second + shift).outcome == greater(a=first, b=second).outcome


@given(series=thousandths, factor=st.floats(1e-3, 1e3))
def test_where_ratios_count_a_factor_of_both_sides_changes_nothing(series, factor):
    first, second = (np.array(side, "float64") + 1 for side in series)
    before = claims.greater("steps", a=first, b=second)
    assume(np.abs(np.abs(before.interval) - np.log(1.25)).min() > 1e-6 and np.abs(before.interval).min() > 1e-6)
    assert claims.greater("steps", a=factor * first, b=factor * second).outcome == before.outcome


def test_where_ratios_count_logarithms_are_compared():
    comparison = claims.greater("steps", slow=[100, 210, 390], fast=[50, 100, 200])
    assert np.exp(comparison.effect) == pytest.approx(stats.gmean([2, 2.1, 1.95]))
    assert comparison.outcome == "holds"
    assert claims.greater("steps", slow=[1.1, 1.1, 1.1], fast=1).outcome == "no difference"


@pytest.mark.parametrize(
    ("difference", "greater", "same"),
    [
        ([0.05, 0.06, 0.05], "holds", "differs"),
        ([-0.05, -0.06, -0.05], "reversed", "differs"),
        ([0.005, 0.006, 0.005], "no difference", "holds"),
        ([0.012, 0.013, 0.0121], "holds", "undecided"),  # there is a difference, and whether it matters is open
        ([0.05, -0.06, 0.02], "undecided", "undecided"),
        ([0.0, 0.0, 0.0], "no difference", "holds"),
        ([1e-17, 1e-17, 1e-17], "no difference", "holds"),  # is not decided by rounding
    ],
)
def test_outcomes(difference, greater, same):
    assert claims.greater("accuracy", a=difference, b=0).outcome == greater
    assert claims.same("accuracy", a=difference, b=0).outcome == same


@given(series=thousandths, within=st.integers(0, 1000))
def test_equal_is_within_in_every_place(series, within):
    first, second = series
    largest = max(abs(a - b) for a, b in zip(first, second, strict=True))
    assume(largest != within)
    comparison = claims.equal(within=within / 1000, first=numbers(first), second=numbers(second))
    assert comparison.outcome == ("holds" if largest < within else "fails")
    assert comparison.effect == pytest.approx(largest / 1000, abs=1e-12)


@given(series=thousandths)
def test_every_is_greater_in_every_place(series):
    first, second = series
    holds = all(a > b for a, b in zip(first, second, strict=True))
    assert claims.every(first=numbers(first), second=numbers(second)).outcome == ("holds" if holds else "fails")


def test_equal_is_bit_for_bit_unless_told():
    third = np.array([1 / 3] * 3)
    assert claims.equal(a=third, b=third).outcome == "holds"
    assert claims.equal(a=third, b=np.nextafter(third, 1)).outcome == "fails"


def test_a_check_needs_no_seeds():
    assert claims.equal(counted=[120], lecture=120).outcome == "holds"
    assert claims.every(a=2, b=1).outcome == "holds"


COMPARISONS = [greater, lambda **series: claims.same("accuracy", **series), claims.equal, claims.every]


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_a_number_stands_for_every_seed(comparison):
    values = comparison(a=[1, 2, 3], b=1).values
    assert {name: series.tolist() for name, series in values.items()} == {"a": [1, 2, 3], "b": [1, 1, 1]}


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize(
    ("series", "sentence"),
    [
        ({}, "is of two series, each with a name; it got 0"),
        ({"a": [1, 2, 3]}, r"it got 1: \['a'\]"),
        ({"a": [1, 2, 3], "b": [1, 2, 3], "c": [1, 2, 3]}, "it got 3"),
        ({"a": [], "b": []}, "a and b have 0 numbers"),
        ({"a": [1, 2, 3, 4], "b": [1, 2, 3]}, r"b has shape \(3,\); .* here 4"),
        ({"a": [[1, 2, 3]], "b": [1, 2, 3]}, r"a has shape \(1, 3\)"),
        ({"a": [1, float("nan"), 3], "b": 0}, r"a has a number that is not finite: \[1\.0, nan, 3\.0\]"),
        ({"a": [1, 2, 3], "b": float("inf")}, "b has a number that is not finite"),
    ],
)
def test_comparisons_refuse(comparison, series, sentence):
    with pytest.raises(ValueError, match=sentence):
        comparison(**series)


@pytest.mark.parametrize("experiment", [claims.greater, claims.same])
def test_experiments_refuse(experiment):
    with pytest.raises(ValueError, match="a and b have 2 numbers; this comparison needs at least 3"):
        experiment("accuracy", a=[1, 2], b=[1, 2])
    with pytest.raises(ValueError, match=r"There is no quantity 'acuracy' in claims\.toml; it has accuracy, "):
        experiment("acuracy", a=[1, 2, 3], b=0)
    with pytest.raises(ValueError, match="b has a number that is not positive, and steps is compared by its ratio"):
        experiment("steps", a=[1, 2, 3], b=[1, 0, 3])


# Simulated experiments: what 99 % promises, on the numbers of seeds that the course has

DRAWS = {
    "normal": lambda random, size: random.normal(size=size),
    "skewed": lambda random, size: random.lognormal(sigma=0.5, size=size),
}


def outcomes_of(differences, relation="greater", matters=1e-9):
    quantity = claims.Quantity("simulated", "", "linear", matters)
    none = np.zeros(differences.shape[1])
    return [claims.Comparison(relation, {"a": one, "b": none}, quantity).outcome for one in differences]


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_where_there_is_no_difference_one_in_a_hundred_experiments_errs(draw, seeds):
    random = np.random.default_rng(seeds)
    # Pairs of one distribution: their differences are symmetric, however skewed the numbers are.
    first, second = (DRAWS[draw](random, (10_000, seeds)) for _ in range(2))
    wrong = sum(outcome in ("holds", "reversed") for outcome in outcomes_of(first - second))
    assert wrong <= 100 + 4 * 10  # four standard deviations of a hundred in ten thousand


@pytest.mark.parametrize("draw", DRAWS)
def test_a_wrong_sign_is_rarer_still(draw):
    random = np.random.default_rng(1)
    first, second = (DRAWS[draw](random, (10_000, 5)) for _ in range(2))
    outcomes = outcomes_of(first - second + 1)
    assert outcomes.count("reversed") <= 10 and outcomes.count("holds") > 500


def test_no_difference_that_matters_is_wrong_in_one_of_two_hundred():
    """At its worst, where the difference is just what matters, one end of the interval errs that often."""
    differences = np.random.default_rng(2).normal(1, 0.3, size=(10_000, 8))
    assert outcomes_of(differences, "same", matters=1.0).count("holds") <= 50 + 4 * 7


@pytest.mark.parametrize(("effect", "relation"), [(0.6, "greater"), (1.2, "greater"), (0.0, "greater"), (0.1, "same")])
def test_as_many_seeds_as_needed_decide_in_four_of_five(effect, relation):
    matters = 0.5
    measured = spread_out(effect, 1, 5)
    quantity = claims.Quantity("simulated", "", "linear", matters)
    needed = claims.Comparison(relation, {"a": measured, "b": np.zeros(5)}, quantity).seeds_needed()
    differences = np.random.default_rng(3).normal(effect, 1, size=(2000, needed))
    decided = 1 - outcomes_of(differences, relation, matters).count("undecided") / 2000
    assert 0.74 < decided < 0.86


def test_what_no_thousand_seeds_decide():
    hopeless = claims.Quantity("simulated", "", "linear", 1e-3)
    assert claims.Comparison("greater", {"a": spread_out(0, 1, 5), "b": np.zeros(5)}, hopeless).seeds_needed() is None


# Verdicts

OUTCOMES = {
    "holds": lambda: greater(a=[2, 2, 2], b=1),
    "reversed": lambda: greater(a=[1, 1, 1], b=2),
    "no difference": lambda: greater(a=[2, 2, 2], b=2),
    "undecided": lambda: greater(a=[0, 2, 4], b=1.9),
    "differs": lambda: claims.same("accuracy", a=[2, 2, 2], b=1),
    "fails": lambda: claims.equal(a=[2, 2, 2], b=1),
}


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        (["holds"], "confirmed"),
        (["holds", "holds"], "confirmed"),
        (["holds", "undecided"], "confirmed in part"),
        (["reversed", "holds"], "partly"),
        (["no difference", "holds"], "partly"),
        (["undecided", "holds", "fails"], "partly"),
        (["reversed"], "refuted"),
        (["no difference"], "refuted"),
        (["differs", "fails"], "refuted"),
        (["undecided"], "undecided"),
        (["undecided", "reversed"], "refuted in part"),
    ],
)
def test_verdict_in_one_line(course, capsys, outcomes, verdict):
    comparisons = [OUTCOMES[outcome]() for outcome in outcomes]
    assert [comparison.outcome for comparison in comparisons] == outcomes
    claims.check("gan-first", *comparisons)
    assert capsys.readouterr().out == f"{verdict} · gan-first · the first statement\n"
    record = records.read("gan-first")
    assert record["claim"] == "gan-first" and claims.verdict_on_record(record) == verdict
    assert [comparison.outcome for comparison in claims.comparisons_of(record)] == outcomes


def mirrored(verdict):
    swapped = {"confirmed": "refuted", "refuted": "confirmed"}
    first, *rest = verdict.split(" ")
    return " ".join([swapped.get(first, first), *rest])


@given(st.lists(st.sampled_from(["holds", "reversed", "undecided"]), min_size=1, max_size=4))
def test_a_verdict_takes_no_side(outcomes):
    swapped = [MIRRORED.get(outcome, outcome) for outcome in outcomes]
    assert claims.verdict_of(swapped) == mirrored(claims.verdict_of(outcomes))


of_one_data_set = st.sampled_from([verdict for verdict in claims.VERDICTS if verdict != "depends"])


@given(st.lists(of_one_data_set, min_size=1, max_size=4))
def test_the_joint_verdict_takes_no_side(verdicts):
    joint = claims.joint_verdict(verdicts)
    assert claims.joint_verdict(map(mirrored, verdicts)) == mirrored(joint)
    assert claims.joint_verdict([*verdicts, "undecided"]) == joint
    assert claims.joint_verdict(verdicts * 2) == claims.joint_verdict(verdicts[::-1]) == joint


@pytest.mark.parametrize(
    ("quick", "full", "verdict"),
    [
        ("confirmed", "refuted", "depends"),
        ("confirmed", "partly", "depends"),
        ("confirmed in part", "refuted in part", "depends"),
        ("confirmed in part", "confirmed", "confirmed"),
        ("refuted", "refuted in part", "refuted"),
        ("partly", "undecided", "partly"),
        ("partly", "confirmed in part", "partly"),
        ("partly", "refuted", "depends"),
    ],
)
def test_the_joint_verdict(quick, full, verdict):
    assert claims.joint_verdict([quick, full]) == verdict


@pytest.mark.parametrize(
    ("quick", "full", "verdict"),
    [
        ("holds", "holds", "confirmed"),
        ("reversed", "no difference", "refuted"),
        ("undecided", "undecided", "undecided"),
        ("holds", "reversed", "depends"),
        ("undecided", "holds", "confirmed"),
        ("reversed", "undecided", "refuted"),
    ],
)
def test_the_line_is_the_same_in_both_profiles(course, monkeypatch, capsys, quick, full, verdict):
    for _ in range(2):  # the first time, the full profile's record is not there yet
        capsys.readouterr()
        for profile, outcome in (("quick", quick), ("full", full)):
            monkeypatch.setenv("COURSEKIT_PROFILE", profile)
            claims.check("gan-first", OUTCOMES[outcome]())
    assert capsys.readouterr().out == f"{verdict} · gan-first · the first statement\n" * 2


def test_a_run_that_contradicts_its_record_speaks_for_itself(course, monkeypatch, capsys):
    for profile in ("quick", "full"):
        monkeypatch.setenv("COURSEKIT_PROFILE", profile)
        claims.check("gan-first", OUTCOMES["holds"]())
    monkeypatch.delenv("COURSEKIT_RECORD")
    capsys.readouterr()
    claims.check("gan-first", OUTCOMES["reversed"]())
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "refuted · gan-first · the first statement"
    assert second == "drifted · the verdict is refuted now, confirmed on record."


def test_check_records_what_was_measured_and_nothing_derived(course):
    first = greater(new=[0.9, 0.8, 1.0], old=[0.5, 0.5, 0.5])
    claims.check("gan-first", first, claims.equal(a=[1], b=1.5, within=1), claims.every(a=[2], b=[1]))
    assert records.read("gan-first")["comparisons"] == [
        {"relation": "greater", "values": {"new": [0.9, 0.8, 1.0], "old": [0.5, 0.5, 0.5]}, "quantity": "accuracy"},
        {"relation": "equal", "values": {"a": [1], "b": [1.5]}, "within": 1},
        {"relation": "every", "values": {"a": [2], "b": [1]}},
    ]
    (read, *_) = claims.comparisons_of(records.read("gan-first"))
    assert (read.interval, read.outcome) == (first.interval, first.outcome)


def test_a_readers_check_leaves_no_file(course, monkeypatch, capsys):
    monkeypatch.delenv("COURSEKIT_RECORD")
    claims.check("gan-first", OUTCOMES["holds"]())
    assert capsys.readouterr().out == "confirmed · gan-first · the first statement\n"
    assert not (course / "records").exists()


def test_check_refuses(course):
    with pytest.raises(ValueError, match=r"There is no claim 'gan-third' in claims\.toml"):
        claims.check("gan-third", OUTCOMES["holds"]())
    with pytest.raises(ValueError, match="gan-first was checked without a comparison"):
        claims.check("gan-first")


def test_numbers_of_another_run_are_filed_there(course, monkeypatch, capsys):
    run = {"profile": "full", "device": "H100", "date": "2001-02-03"}
    claims.check("gan-first", OUTCOMES["holds"](), run=run)
    assert records.read("gan-first") is None
    assert records.read("gan-first", "full")["run"] == run
    monkeypatch.delenv("COURSEKIT_RECORD")
    capsys.readouterr()
    claims.check("gan-first", OUTCOMES["reversed"](), run=run)
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "refuted · gan-first · the first statement"
    assert second == "drifted · the verdict is refuted now, confirmed on record."


def test_who_watches_sees_a_card_of_this_run_and_of_the_other_data_set(course, monkeypatch, capsys):
    monkeypatch.setenv("COURSEKIT_PROFILE", "full")
    claims.check("gan-first", OUTCOMES["reversed"]())
    monkeypatch.delenv("COURSEKIT_PROFILE")
    monkeypatch.delenv("COURSEKIT_RECORD")
    shown = []
    monkeypatch.setattr(claims, "_display", shown.append)
    claims.check("gan-first", OUTCOMES["holds"]())
    assert shown == [], "in a replay, nothing is shown that would be compared"
    monkeypatch.delenv("PYTEST_VERSION")
    claims.check("gan-first", OUTCOMES["holds"]())
    (card,) = (BeautifulSoup(card, "html.parser") for card in shown)
    titles = [title.get_text() for title in card.select(".data-set")]
    assert titles[0] == "This run confirmed" and titles[1].startswith("Photographs · full profile · ")
    assert card.select_one(".verdict").get_text() == "depends"
    assert capsys.readouterr().out.splitlines()[-1] == "depends · gan-first · the first statement"


# Drift


def lines_of_a_replay(monkeypatch, capsys, on_record, now):
    """What a check prints that finds these numbers, where those are on record."""
    monkeypatch.setenv("COURSEKIT_RECORD", "1")
    claims.check("gan-first", greater(**on_record))
    monkeypatch.delenv("COURSEKIT_RECORD")
    capsys.readouterr()
    claims.check("gan-first", greater(**now))
    return capsys.readouterr().out.splitlines()


def spread_out(mean, deviation, seeds):
    """Numbers with exactly this mean and sample standard deviation."""
    shape = np.random.default_rng(seeds).normal(size=seeds)
    return mean + deviation * (shape - shape.mean()) / shape.std(ddof=1)


@pytest.mark.parametrize(("deviation", "seeds"), [(0.01, 3), (0.015, 3), (0.01, 6), (0.02, 6), (0.02, 10)])
class TestDrift:
    def replay(self, course, monkeypatch, capsys, seeds, deviation, shift):
        frozen = spread_out(0.95, deviation, seeds)
        return lines_of_a_replay(
            monkeypatch, capsys, {"frozen": frozen, "pixels": 0.5}, {"frozen": frozen + shift, "pixels": 0.5}
        )

    def test_five_points_are_seen_behind_the_same_verdict(self, course, monkeypatch, capsys, seeds, deviation):
        for shift in (-0.05, 0.05):
            verdict, drift = self.replay(course, monkeypatch, capsys, seeds, deviation, shift)
            assert verdict == "confirmed · gan-first · the first statement"
            assert drift.startswith(f"drifted · frozen: {0.95 + shift:.3g} now, 0.95 ± 0.0")

    def test_noise_is_not(self, course, monkeypatch, capsys, seeds, deviation):
        error_of_a_difference = deviation * np.sqrt(2 / seeds)
        for shift in (-3.5, -1, 0, 1e-7, 1, 3.5):
            lines = self.replay(course, monkeypatch, capsys, seeds, deviation, shift * error_of_a_difference)
            assert lines == ["confirmed · gan-first · the first statement"]


def test_seeds_that_agree_exactly_leave_a_thousandth(course, monkeypatch, capsys):
    on_record = {"a": [200, 200, 200], "b": 1}
    assert len(lines_of_a_replay(monkeypatch, capsys, on_record, {"a": [200.1, 200.1, 200.1], "b": 1})) == 1
    assert len(lines_of_a_replay(monkeypatch, capsys, on_record, {"a": [200.3, 200.3, 200.3], "b": 1})) == 2


@settings(max_examples=30)
@given(series=thousandths)
def test_the_same_numbers_never_drift(series):
    now = greater(**dict(zip("ab", map(numbers, series), strict=True)))
    on_file = json.loads(
        json.dumps(claims._as_record(now), default=lambda array: array.tolist()), parse_float=records.six_digits
    )
    assert list(claims._drifts([now], claims.comparisons_of({"comparisons": [on_file]}))) == []


def at(half_widths, seeds=6):
    """A series whose interval begins so many half widths above zero, and that scatters so much that no mean drifts."""
    half_width = stats.t.ppf(0.995, seeds - 1) / np.sqrt(seeds)
    return {"a": spread_out(half_widths * half_width, 1, seeds), "nothing": 0}


@pytest.mark.parametrize(
    ("recorded", "now", "verdict"),
    [
        (1.1, 1.1, "confirmed"),
        (1.1, 0.9, "confirmed"),
        (1.1, 0.6, "confirmed"),
        (1.1, 0.4, "undecided"),
        (0.9, 1.1, "undecided"),
        (-0.9, 1.1, "undecided"),
        (0.9, 1.9, "undecided"),
        (0.9, 2.1, "confirmed"),
        (-1.1, -0.6, "refuted"),
        (-1.1, -0.4, "undecided"),
        (-1.1, 1.1, "confirmed"),
    ],
)
def test_the_verdict_on_record_stands_until_it_is_contradicted(course, monkeypatch, capsys, recorded, now, verdict):
    lines = lines_of_a_replay(monkeypatch, capsys, at(recorded), at(now))
    assert lines[0] == f"{verdict} · gan-first · the first statement"
    before = "confirmed" if recorded > 1 else "refuted" if recorded < -1 else "undecided"
    assert any("the verdict is" in line for line in lines[1:]) == (verdict != before)


def test_where_two_runs_become_the_same_there_is_no_difference(course, monkeypatch, capsys):
    """As where a reader breaks an experiment by giving both networks the same layers."""
    for recorded in (1.1, 0.5):
        lines = lines_of_a_replay(
            monkeypatch, capsys, at(recorded), {"a": at(recorded)["a"], "nothing": at(recorded)["a"]}
        )
        assert lines[0] == "refuted · gan-first · the first statement"
        before = "confirmed" if recorded > 1 else "undecided"
        assert lines[1] == f"drifted · the verdict is refuted now, {before} on record."


def test_without_a_record_the_interval_alone_decides(course, capsys):
    claims.check("gan-first", greater(**at(0.9)))
    assert capsys.readouterr().out.startswith("undecided")


def test_another_verdict_drifts(course, monkeypatch, capsys):
    # Within the interval of a scattered record, yet by half as wide an interval no longer above zero.
    on_record, now = {"a": [0.546, 0.566, 0.586], "b": 0.45}, {"a": [0.484, 0.504, 0.524], "b": 0.45}
    verdict, drift = lines_of_a_replay(monkeypatch, capsys, on_record, now)
    assert verdict == "undecided · gan-first · the first statement"
    assert drift == "drifted · the verdict is undecided now, confirmed on record."


@pytest.mark.parametrize(("within", "drifts"), [(1e-5, 0), (0.0, 1), (2e-7, 1)])
def test_rounding_within_the_distance_that_was_allowed_is_no_drift(within, drifts):
    now, on_file = (claims.equal(a=[difference] * 3, b=0, within=within) for difference in (4e-7, 3e-8))
    assert len(list(claims._drifts([now], [on_file]))) == drifts


def test_other_comparisons_drift(course, monkeypatch, capsys):
    on_record, now = {"a": [2, 2, 2], "b": 1}, {"a": [2, 2, 2], "c": 1}
    _, drift = lines_of_a_replay(monkeypatch, capsys, on_record, now)
    assert drift == "drifted · the record has other comparisons; run make notebooks."


# The file of statements, and the ledger


def test_load(course):
    assert list(claims.load().values()) == [
        claims.Claim("gan-first", "gan", "the first statement", "slide 1", seeds={"quick": 3, "full": 3}),
        claims.Claim(
            "gan-second", "gan", "the second statement", "slide 2", "only on some data", {"quick": 3, "full": 3}
        ),
    ]
    assert claims.quantities()["steps"] == claims.Quantity("steps", "steps", "log", 1.25)
    assert claims.quantities()["steps"].band == pytest.approx(np.log(1.25))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (('what = "steps"', ""), "The quantity 'steps' in claims.toml lacks what, scale or matters, or has more"),
        (('scale = "log"', 'scale = "ratio"'), "has the scale 'ratio'"),
        (("matters = 1.25", "matters = 0.2"), "and what matters is 0.2; write linear and a difference above 0, or log"),
        (("matters = 0.01", "matters = 0"), "a difference above 0"),
        (("matters = 0.01", "matters = nan"), "a difference above 0"),
    ],
)
def test_quantities_refuse(course, monkeypatch, change, sentence):
    use_statements(monkeypatch, course / "claims.toml", STATEMENTS.replace(*change))
    with pytest.raises(ValueError, match=sentence):
        claims.quantities()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("gan-second", "gan-first"), "has the claim 'gan-first' twice"),
        (('lecture = "slide 2"', ""), "has a claim of 'gan' that lacks id, statement or lecture, or has more"),
        (("lecture", "lectures"), "has a claim of 'gan' that lacks id"),
        (("[[gan]]", "[gan"), r"claims\.toml is not TOML: .*line"),
        ((STATEMENTS, '[gan]\nid = "gan-first"'), r"claims\.toml has \[gan\]; write \[\[gan\]\], once for every claim"),
    ],
)
def test_load_refuses(course, monkeypatch, change, sentence):
    use_statements(monkeypatch, course / "claims.toml", STATEMENTS.replace(*change))
    with pytest.raises(ValueError, match=sentence):
        claims.load()


def test_verify(course, monkeypatch):
    with pytest.raises(ValueError, match="The claim 'gan-first' has no record; check it in its chapter"):
        claims.verify()
    claims.check("gan-first", OUTCOMES["holds"]())
    with pytest.raises(ValueError, match="The claim 'gan-second' has no record"):
        claims.verify()
    claims.check("gan-second", OUTCOMES["holds"](), OUTCOMES["undecided"]())
    records.write("gan", {"history": [1, 2]})  # a chapter's other results are none of the ledger's business
    assert list(claims.verify()) == [("quick", "gan-first"), ("quick", "gan-second")]


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_verify_wants_a_reason(course, monkeypatch, profile):
    """A quick record of `gan-first` that is not confirmed, or a full one beside a confirmed quick one."""
    for claim_id in ("gan-first", "gan-second"):
        claims.check(claim_id, OUTCOMES["holds"]())
    monkeypatch.setenv("COURSEKIT_PROFILE", profile)
    claims.check("gan-first", OUTCOMES["reversed"]())
    with pytest.raises(ValueError, match="The claim 'gan-first' is refuted; give it a reason"):
        claims.verify()


def test_verify_wants_the_seeds_stated_before(course, monkeypatch):
    for claim_id in ("gan-first", "gan-second"):
        claims.check(claim_id, OUTCOMES["holds"](), claims.equal(a=[1, 1, 1, 1, 1], b=1))
    assert claims.verify()
    use_statements(monkeypatch, course / "claims.toml", STATEMENTS.replace("{quick = 3, full = 3}", "{quick = 5}", 1))
    with pytest.raises(ValueError, match=r"'gan-first' has experiments over \[3\] seeds, and .* states \[5\]"):
        claims.verify()


def test_verify_refuses_the_record_of_an_unknown_claim(course, monkeypatch):
    claims.check("gan-first", OUTCOMES["holds"]())
    claims.check("gan-second", OUTCOMES["holds"]())
    use_statements(monkeypatch, course / "claims.toml", STATEMENTS.replace("gan-second", "gan-third"))
    with pytest.raises(ValueError, match=r"There is a quick record of 'gan-second', which is not in claims\.toml;"):
        claims.verify()


def test_verdicts(course, capsys):
    claims.check("gan-first", OUTCOMES["holds"]())
    claims.check("gan-second", OUTCOMES["reversed"]())
    capsys.readouterr()
    claims.verdicts("gan")
    assert capsys.readouterr().out.splitlines() == ["confirmed          gan-first", "refuted            gan-second"]
    with pytest.raises(ValueError, match=r"There are no claims of 'resnet' in claims\.toml"):
        claims.verdicts("resnet")


def test_verdicts_want_a_record_of_each_claim(course):
    claims.check("gan-first", OUTCOMES["holds"]())
    with pytest.raises(ValueError, match=r"The claim 'gan-second' has no record; run make notebooks\."):
        claims.verdicts("gan")


def test_the_course_s_own_claims_and_records_belong_together(monkeypatch):
    monkeypatch.delenv("COURSEKIT_PROFILE", raising=False)
    of_claims = claims.verify()
    assert {claim_id for _, claim_id in of_claims} == set(claims.load())
