"""Claims: verdicts against exact arithmetic, drift against the record, and what the ledger refuses."""

import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from coursekit import claims, records

STATEMENTS = """
[[gan]]
id = "gan-first"
statement = "the first statement"
lecture = "slide 1"

[[gan]]
id = "gan-second"
statement = "the second statement"
lecture = "slide 2"
reason = "only on some data"
"""
# Three or more numbers a seed, in thousandths so that the tests can calculate with them exactly.
thousandths = st.integers(3, 8).flatmap(
    lambda seeds: st.tuples(*[st.lists(st.integers(0, 1000), min_size=seeds, max_size=seeds)] * 2)
)


def numbers(series):
    return [number / 1000 for number in series]


def use_statements(monkeypatch, path, text):
    path.write_text(text)
    monkeypatch.setattr(claims, "STATEMENTS", path)
    monkeypatch.setattr(claims.load, "__defaults__", (path,))


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two claims without records, in a session of the maintainers' command."""
    use_statements(monkeypatch, tmp_path / "claims.toml", STATEMENTS)
    monkeypatch.setattr(records, "FOLDER", tmp_path / "records")
    monkeypatch.setenv("COURSEKIT_RECORD", "1")
    monkeypatch.delenv("COURSEKIT_PROFILE", raising=False)
    return tmp_path


# Conditions


@given(series=thousandths)
@example(series=([500, 500, 500], [500, 500, 500]))
@example(series=([501, 501, 501], [500, 500, 500]))
@example(series=([510, 520, 530], [500, 500, 500]))  # 3.5 standard errors
@example(series=([520, 530, 540], [500, 500, 500]))  # 5.2
def test_greater_is_four_standard_errors(series):
    first, second = series
    differences = [Fraction(a - b, 1000) for a, b in zip(first, second, strict=True)]
    seeds, mean = len(differences), sum(differences) / len(differences)
    variance = sum((d - mean) ** 2 for d in differences) / (seeds - 1)
    # |mean| >= 4 sqrt(variance / seeds), without the root; on the very border rounding may decide.
    assume(mean == 0 or mean**2 * seeds != 16 * variance)
    expected = "open"
    if mean != 0 and mean**2 * seeds > 16 * variance:
        expected = "holds" if mean > 0 else "reversed"

    condition = claims.greater(first=numbers(first), second=numbers(second))
    assert condition.outcome == expected
    assert condition.effect == pytest.approx(float(mean), abs=1e-12)
    assert condition.spread**2 == pytest.approx(float(variance), abs=1e-12)


@given(series=thousandths)
def test_greater_is_antisymmetric(series):
    first, second = map(numbers, series)
    forwards, backwards = claims.greater(a=first, b=second), claims.greater(b=second, a=first)
    opposite = {"holds": "reversed", "reversed": "holds", "open": "open"}
    assert backwards.outcome == opposite[forwards.outcome]
    assert backwards.effect == -forwards.effect


@given(series=thousandths, within=st.integers(0, 1000))
def test_equal_is_within_in_every_seed(series, within):
    first, second = series
    largest = max(abs(a - b) for a, b in zip(first, second, strict=True))
    assume(largest != within)
    condition = claims.equal(within=within / 1000, first=numbers(first), second=numbers(second))
    assert condition.outcome == ("holds" if largest < within else "reversed")
    assert condition.effect == pytest.approx(largest / 1000, abs=1e-12)


def test_greater_is_not_decided_by_rounding():
    third = np.array([1 / 3] * 3)
    assert claims.greater(a=np.nextafter(third, 1), b=third).outcome == "open"
    assert claims.greater(a=third + 1e-6, b=third).outcome == "holds"


def test_equal_is_bit_for_bit_unless_told():
    third = np.array([1 / 3] * 3)
    assert claims.equal(a=third, b=third).outcome == "holds"
    assert claims.equal(a=third, b=np.nextafter(third, 1)).outcome == "reversed"


@pytest.mark.parametrize("condition", [claims.greater, claims.equal])
def test_a_number_stands_for_every_seed(condition):
    values = condition(a=[1, 2, 3], b=1).values
    assert {name: series.tolist() for name, series in values.items()} == {"a": [1, 2, 3], "b": [1, 1, 1]}


@pytest.mark.parametrize("condition", [claims.greater, claims.equal])
@pytest.mark.parametrize(
    ("series", "sentence"),
    [
        ({}, "compares two series, each with a name; it got 0"),
        ({"a": [1, 2, 3]}, r"it got 1: \['a'\]"),
        ({"a": [1, 2, 3], "b": [1, 2, 3], "c": [1, 2, 3]}, "it got 3"),
        ({"a": [1, 2], "b": [1, 2]}, "a and b have 2 seeds; a claim needs at least 3"),
        ({"a": 1, "b": 2}, "a and b have 1 seeds"),
        ({"a": [], "b": []}, "a and b have 0 seeds"),
        ({"a": [1, 2, 3, 4], "b": [1, 2, 3]}, r"b has shape \(3,\); .* here 4"),
        ({"a": [[1, 2, 3]], "b": [1, 2, 3]}, r"a has shape \(1, 3\)"),
        ({"a": [1, float("nan"), 3], "b": 0}, r"a has a number that is not finite: \[1\.0, nan, 3\.0\]"),
        ({"a": [1, 2, 3], "b": float("inf")}, "b has a number that is not finite"),
    ],
)
def test_conditions_refuse(condition, series, sentence):
    with pytest.raises(ValueError, match=sentence):
        condition(**series)


# Verdicts

CONDITIONS = {
    "holds": lambda: claims.greater(a=[2, 2, 2], b=1),
    "reversed": lambda: claims.greater(a=[1, 1, 1], b=2),
    "open": lambda: claims.greater(a=[0, 2, 4], b=1.9),
}


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        (["holds"], "confirmed"),
        (["holds", "holds"], "confirmed"),
        (["holds", "open"], "qualified"),
        (["reversed", "holds"], "qualified"),
        (["open", "holds", "reversed"], "qualified"),
        (["reversed"], "refuted"),
        (["reversed", "reversed"], "refuted"),
        (["open"], "inconclusive"),
        (["open", "reversed"], "inconclusive"),
    ],
)
def test_verdict_in_one_line(course, capsys, outcomes, verdict):
    conditions = [CONDITIONS[outcome]() for outcome in outcomes]
    assert [condition.outcome for condition in conditions] == outcomes
    claims.check("gan-first", *conditions)
    assert capsys.readouterr().out == f"{verdict} · gan-first · the first statement\n"
    record = records.read("gan-first")
    assert (record["claim"], record["verdict"]) == ("gan-first", verdict)
    assert [condition["outcome"] for condition in record["conditions"]] == outcomes


MIRRORED = {"confirmed": "refuted", "refuted": "confirmed"}


@given(st.lists(st.sampled_from(claims.VERDICTS), min_size=1, max_size=4))
def test_the_joint_verdict_takes_no_side(verdicts):
    def joint(verdicts):
        return claims.joint_verdict([{"verdict": verdict} for verdict in verdicts])

    assert joint(MIRRORED.get(one, one) for one in verdicts) == MIRRORED.get(joint(verdicts), joint(verdicts))
    assert joint([*verdicts, "inconclusive"]) == joint(verdicts)


@pytest.mark.parametrize(
    ("quick", "full", "verdict"),
    [
        ("holds", "holds", "confirmed"),
        ("reversed", "reversed", "refuted"),
        ("open", "open", "inconclusive"),
        ("holds", "reversed", "qualified"),
        ("open", "holds", "confirmed"),
        ("reversed", "open", "refuted"),
    ],
)
def test_the_line_is_the_same_in_both_profiles(course, monkeypatch, capsys, quick, full, verdict):
    for _ in range(2):  # the first time, the full profile's record is not there yet
        capsys.readouterr()
        for profile, outcome in (("quick", quick), ("full", full)):
            monkeypatch.setenv("COURSEKIT_PROFILE", profile)
            claims.check("gan-first", CONDITIONS[outcome]())
    assert capsys.readouterr().out == f"{verdict} · gan-first · the first statement\n" * 2


def test_a_run_that_contradicts_its_record_speaks_for_itself(course, monkeypatch, capsys):
    for profile in ("quick", "full"):
        monkeypatch.setenv("COURSEKIT_PROFILE", profile)
        claims.check("gan-first", CONDITIONS["holds"]())
    monkeypatch.delenv("COURSEKIT_RECORD")
    capsys.readouterr()
    claims.check("gan-first", CONDITIONS["reversed"]())
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "refuted · gan-first · the first statement"
    assert second == "drifted · the verdict is refuted now, confirmed on record."


def test_check_records_the_numbers(course):
    claims.check("gan-first", claims.greater(new=[0.9, 0.8, 1.0], old=[0.5, 0.5, 0.5]))
    (condition,) = records.read("gan-first")["conditions"]
    assert condition == {
        "relation": "greater",
        "values": {"new": [0.9, 0.8, 1.0], "old": [0.5, 0.5, 0.5]},
        "effect": 0.4,
        "spread": 0.1,
        "outcome": "holds",
        "within": 0.0,
    }


def test_a_readers_check_leaves_no_file(course, monkeypatch, capsys):
    monkeypatch.delenv("COURSEKIT_RECORD")
    claims.check("gan-first", CONDITIONS["holds"]())
    assert capsys.readouterr().out == "confirmed · gan-first · the first statement\n"
    assert not (course / "records").exists()


def test_check_refuses(course):
    with pytest.raises(ValueError, match=r"There is no claim 'gan-third' in claims\.toml"):
        claims.check("gan-third", CONDITIONS["holds"]())
    with pytest.raises(ValueError, match="gan-first was checked without a condition"):
        claims.check("gan-first")


def test_numbers_of_another_run_are_filed_there(course, monkeypatch, capsys):
    run = {"profile": "full", "device": "H100", "date": "2001-02-03"}
    claims.check("gan-first", CONDITIONS["holds"](), run=run)
    assert records.read("gan-first") is None
    assert records.read("gan-first", "full")["run"] == run
    monkeypatch.delenv("COURSEKIT_RECORD")
    capsys.readouterr()
    claims.check("gan-first", CONDITIONS["reversed"](), run=run)
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "refuted · gan-first · the first statement"
    assert second == "drifted · the verdict is refuted now, confirmed on record."


# Drift


def lines_of_a_replay(monkeypatch, capsys, on_record, now):
    """What a check prints that finds these numbers, where those are on record."""
    monkeypatch.setenv("COURSEKIT_RECORD", "1")
    claims.check("gan-first", claims.greater(**on_record))
    monkeypatch.delenv("COURSEKIT_RECORD")
    capsys.readouterr()
    claims.check("gan-first", claims.greater(**now))
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
    first, second = map(numbers, series)
    condition = claims.greater(first=first, second=second)
    now = {"verdict": "confirmed", "conditions": [vars(condition)]}
    on_file = json.loads(json.dumps(now, default=lambda a: a.tolist()), parse_float=records._six_digits)
    assert list(claims._drifts(now, on_file)) == []


def at(standard_errors, seeds=6):
    """A series that lies so many standard errors above zero, and scatters so much that its mean never drifts."""
    return {"a": spread_out(standard_errors / np.sqrt(seeds), 1, seeds), "nothing": 0}


@pytest.mark.parametrize(
    ("recorded", "now", "verdict"),
    [
        (4.5, 4.5, "confirmed"),
        (4.5, 3.5, "confirmed"),
        (4.5, 2.5, "confirmed"),
        (4.5, 1.5, "inconclusive"),
        (3.5, 4.5, "inconclusive"),
        (-3.5, 4.5, "inconclusive"),
        (3.5, 7.5, "inconclusive"),
        (3.5, 8.5, "confirmed"),
        (-4.5, -2.5, "refuted"),
        (-4.5, -1.5, "inconclusive"),
        (-4.5, 4.5, "confirmed"),
    ],
)
def test_the_verdict_on_record_stands_until_it_is_contradicted(course, monkeypatch, capsys, recorded, now, verdict):
    lines = lines_of_a_replay(monkeypatch, capsys, at(recorded), at(now))
    assert lines[0] == f"{verdict} · gan-first · the first statement"
    before = "confirmed" if recorded > 4 else "refuted" if recorded < -4 else "inconclusive"
    assert any("the verdict is" in line for line in lines[1:]) == (verdict != before)


def test_where_two_runs_become_the_same_nothing_holds_any_more(course, monkeypatch, capsys):
    """As where a reader breaks an experiment by giving both networks the same layers."""
    for recorded, before in ((at(4.5), "confirmed"), (at(-4.5), "refuted")):
        lines = lines_of_a_replay(monkeypatch, capsys, recorded, {"a": recorded["a"], "nothing": recorded["a"]})
        assert lines[0] == "inconclusive · gan-first · the first statement"
        assert lines[1] == f"drifted · the verdict is inconclusive now, {before} on record."


def test_without_a_record_the_margin_alone_decides(course, capsys):
    claims.check("gan-first", claims.greater(**at(3.9)))
    assert capsys.readouterr().out.startswith("inconclusive")


def test_another_verdict_drifts(course, monkeypatch, capsys):
    # Within the interval of a scattered record, yet no longer two standard errors above zero.
    on_record, now = {"a": [0.6, 0.7, 0.8], "b": 0.45}, {"a": [0.45, 0.55, 0.65], "b": 0.45}
    verdict, drift = lines_of_a_replay(monkeypatch, capsys, on_record, now)
    assert verdict == "inconclusive · gan-first · the first statement"
    assert drift == "drifted · the verdict is inconclusive now, confirmed on record."


@pytest.mark.parametrize(("within", "drifts"), [(1e-5, 0), (0.0, 1), (2e-7, 1)])
def test_rounding_within_the_distance_that_was_allowed_is_no_drift(within, drifts):
    def condition(difference):
        return vars(claims.equal(a=[difference] * 3, b=0, within=within))

    now = {"verdict": "confirmed", "conditions": [condition(4e-7)]}
    on_file = {"verdict": "confirmed", "conditions": [condition(3e-8)]}
    assert len(list(claims._drifts(now, on_file))) == drifts


def test_other_conditions_drift(course, monkeypatch, capsys):
    on_record, now = {"a": [2, 2, 2], "b": 1}, {"a": [2, 2, 2], "c": 1}
    _, drift = lines_of_a_replay(monkeypatch, capsys, on_record, now)
    assert drift == "drifted · the record has other conditions; run make notebooks."


# The file of statements, and the ledger


def test_load(course):
    assert list(claims.load().values()) == [
        claims.Claim("gan-first", "gan", "the first statement", "slide 1"),
        claims.Claim("gan-second", "gan", "the second statement", "slide 2", "only on some data"),
    ]


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
    claims.check("gan-first", CONDITIONS["holds"]())
    with pytest.raises(ValueError, match="The claim 'gan-second' has no record"):
        claims.verify()
    claims.check("gan-second", CONDITIONS["holds"](), CONDITIONS["open"]())
    records.write("gan", {"history": [1, 2]})  # a chapter's other results are none of the ledger's business
    assert list(claims.verify()) == [("quick", "gan-first"), ("quick", "gan-second")]


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_verify_wants_a_reason(course, monkeypatch, profile):
    """A quick record of `gan-first` that is not confirmed, or a full one beside a confirmed quick one."""
    for claim_id in ("gan-first", "gan-second"):
        claims.check(claim_id, CONDITIONS["holds"]())
    monkeypatch.setenv("COURSEKIT_PROFILE", profile)
    claims.check("gan-first", CONDITIONS["reversed"]())
    with pytest.raises(ValueError, match="The claim 'gan-first' is refuted; give it a reason"):
        claims.verify()


def test_verify_refuses_the_record_of_an_unknown_claim(course, monkeypatch):
    claims.check("gan-first", CONDITIONS["holds"]())
    claims.check("gan-second", CONDITIONS["holds"]())
    use_statements(monkeypatch, course / "claims.toml", STATEMENTS.replace("gan-second", "gan-third"))
    with pytest.raises(ValueError, match=r"There is a quick record of 'gan-second', which is not in claims\.toml;"):
        claims.verify()


def test_table(course):
    assert claims.table("gan").data.splitlines()[2:] == [
        "| `gan-first` | the first statement |",
        "| `gan-second` | the second statement |",
    ]
    with pytest.raises(ValueError, match=r"There are no claims of 'resnet' in claims\.toml"):
        claims.table("resnet")


def test_the_course_s_own_claims_and_records_belong_together(monkeypatch):
    monkeypatch.delenv("COURSEKIT_PROFILE", raising=False)
    of_claims = claims.verify()
    assert {claim_id for _, claim_id in of_claims} == set(claims.load())
