"""Cards: numbers as they stand in the records, no formula that is false, and pictures that show them where they are."""

import html

import numpy as np
import pytest
import scipy.stats
from bs4 import BeautifulSoup
from hypothesis import assume, given
from hypothesis import strategies as st

from coursekit import cards, claims

pytestmark = pytest.mark.only_on("tensorflow")  # no backend computes here

CLAIM = claims.Claim("gan-first", "gan", "a < b & c", "slide <1>", "only on some data")


def said(text):
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("series", "is_log", "written"),
    [
        ([0.84, 0.85, 0.86], False, "0.850 ± 0.010"),
        ([0.0, 0.0, 0.0], False, "0"),
        ([1234567, 1234567], False, "1,234,567"),
        ([1000.0, 3000.0], False, "2,000 ± 1,414"),
        ([10.0, 20.0, 40.0], True, "20 ×/÷ 2"),
        ([7.0, 7.0], True, "7"),
        ([1e-7, 3e-7], False, "2e-07 ± 1.4e-07"),
    ],
)
def test_a_series_is_written_to_the_digits_of_its_spread(series, is_log, written):
    assert said(cards.mean(series, is_log)) == written


@pytest.mark.parametrize(
    ("comparison", "relation", "result"),
    [
        (claims.equal(within=0.01, a=[1, 1, 1], b=[1, 1, 1]), "a 1 = b 1 (within 0.01)", "holds"),
        (claims.equal(a=[1, 1, 1], b=[1, 1, 1]), "a 1 = b 1", "holds"),
        (claims.equal(a=[1, 1, 1], nothing=0), "a 1 ≠ 0", "fails"),
        (claims.every(batch_norm=[1], nothing=0.5), "batch norm 1 > nothing 0.5", "holds"),
        (claims.every(top_layer=[2], middle=1), "top layer 2 > middle 1", "holds"),
        (claims.every(a=[1], b=[2]), "a 1, b 2", "fails"),
        (claims.greater("accuracy", a=[2, 2, 2], b=1), "a 2 > b 1", "+1 holds; 99 %: +1 to +1 · 3 seeds"),
        (claims.greater("accuracy", a=[1, 1, 1], b=2), "a 1 < b 2", "−1 reversed; 99 %: −1 to −1 · 3 seeds"),
        (
            claims.greater("accuracy", a=[1, 1, 1], b=1),
            "a 1 ≈ b 1",
            "+0 no difference that matters; 99 %: +0 to +0 · 3 seeds",
        ),
        (claims.same("accuracy", a=[1, 1, 1], b=1), "a 1 ≈ b 1", "+0 holds; 99 %: +0 to +0 · 3 seeds"),
        (claims.same("accuracy", a=[1, 1, 1], b=2), "a 1 ≠ b 2", "−1 differs; 99 %: −1 to −1 · 3 seeds"),
        (claims.greater("steps", a=[20, 20, 20], b=10), "a 20 > b 10", "× 2 holds; 99 %: × 2 to × 2 · 3 seeds"),
        (
            claims.greater("accuracy", a=[0.1, 0.3, 0.2], b=0.1),
            "a 0.20 ± 0.10, b 0.1",
            "+0.1 undecided; about 15 seeds would decide; 99 %: −0.47 to +0.67 · 3 seeds",
        ),
        (
            claims.greater("accuracy", a=[-0.5, 0.5, 0], b=0),
            "a 0.00 ± 0.50, b 0",
            "+0 undecided; more than 1,000 seeds would decide; 99 %: −2.9 to +2.9 · 3 seeds",
        ),
    ],
)
def test_a_row_says_how_a_comparison_came_out(comparison, relation, result):
    card = BeautifulSoup(cards.card(CLAIM, "confirmed", {"Digits": ("confirmed", [comparison])}), "html.parser")
    (row,) = card.select("tr")
    assert said(row.th.get_text()) == relation == said(cards.relation(comparison))
    assert (
        said(row.select("td")[-1].get_text("; ").replace("; ", " ", 1 if comparison.quantity else 0)).replace("  ", " ")
        == result
    )


pairs = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=3, max_size=5)


@given(pairs, st.sampled_from(["accuracy", "steps"]))
def test_no_formula_is_false(pairs, quantity):
    first, second = (np.array(side) / 10 for side in zip(*pairs, strict=True))
    mean = scipy.stats.gmean if quantity == "steps" else np.mean
    experiment = claims.greater(quantity, a=first, b=second)
    line = cards.relation(experiment)
    assert (" > " in line) <= (mean(first) > mean(second)) and (" < " in line) <= (mean(first) < mean(second))
    assert (" > " in line or " < " in line) == (experiment.outcome in ("holds", "reversed"))
    assert (" = " in cards.relation(claims.equal(a=first, b=second))) == (first == second).all()
    assert (" > " in cards.relation(claims.every(a=first, b=second))) == (first > second).all()


@given(pairs, st.sampled_from(["accuracy", "steps"]))
def test_a_picture_shows_the_numbers_where_they_are(pairs, quantity):
    """On one scale, zero in the middle, the band as wide to both sides, and nothing outside of the picture."""
    first, second = (np.array(side) / 10 for side in zip(*pairs, strict=True))
    one = claims.greater(quantity, a=first, b=second)
    assume(np.ptp(one.differences) > 0)
    picture = BeautifulSoup(cards.card(CLAIM, "confirmed", {"Digits": ("confirmed", [one])}), "html.parser").svg
    dots = [float(dot["cx"]) for dot in picture.select("circle")]
    low, high = (float(end) for end in picture.select_one(".interval")["d"][1:].replace(" 13H", " ").split())
    left = float(picture.rect["x"])
    right = left + float(picture.rect["width"])
    scale = (cards.WIDTH / 2 - cards.MARGIN) / np.abs([*one.interval, *one.differences, 1.5 * one.quantity.band]).max()
    wanted = [*one.differences, *one.interval, -one.quantity.band, one.quantity.band]
    assert [*dots, low, high, left, right] == pytest.approx(cards.WIDTH / 2 + scale * np.array(wanted), abs=0.2)
    assert min(*dots, low, left) >= 0 and max(*dots, high, right) <= cards.WIDTH


def test_pictures_of_one_quantity_have_one_scale():
    wide, narrow = (
        claims.greater("accuracy", a=[0.5, 0.6, 0.7], b=0),
        claims.greater("accuracy", a=[0.1, 0.2, 0.2], b=0),
    )
    card = BeautifulSoup(cards.card(CLAIM, "confirmed", {"Digits": ("confirmed", [wide, narrow])}), "html.parser")
    bands = [rectangle["width"] for rectangle in card.select("rect")]
    assert bands[0] == bands[1]


def test_a_card_leads_to_the_ledger_where_there_is_one():
    digits = {"Digits": ("confirmed", [claims.every(a=[2], b=[1])])}
    pages = [
        BeautifulSoup(cards.card(CLAIM, "confirmed", digits, *ledger), "html.parser") for ledger in ((), ("l.html",))
    ]
    assert pages[0].a is None and pages[0].code.get_text() == CLAIM.id
    assert pages[1].a["href"] == f"l.html#{CLAIM.id}"


def test_a_card_escapes_what_it_quotes_and_says_what_a_data_set_decides():
    refuted, confirmed = claims.every(a=[1], b=[2]), claims.every(a=[2], b=[1])
    card = cards.card(
        CLAIM, "depends", {"Digits": ("confirmed", [confirmed]), "Photographs": ("refuted", [refuted, refuted])}
    )
    page = BeautifulSoup(card, "html.parser")
    assert page.select_one(".statement").get_text() == "“A < b & c”" and html.escape(CLAIM.lecture) in card
    assert [stamp.get_text() for stamp in page.select(".verdict")] == ["depends", "confirmed", "refuted"]
    assert len(page.select("tr")) == 2, "checks that came out alike are one row"
    assert "only on some data" in page.get_text()
    alone = BeautifulSoup(cards.card(CLAIM, "confirmed", {"Digits": ("confirmed", [confirmed])}), "html.parser")
    assert len(alone.select(".verdict")) == 1, "a data set that decides as the whole says so once"


def test_a_forest_has_a_row_for_each_claim_and_a_line_for_each_interval():
    on_record = claims.verify()
    of_claims = [(claim, *claims.judged(claim.id, on_record)) for claim in claims.load().values()]
    drawn = BeautifulSoup(cards.forest(of_claims, "claims.html"), "html.parser")
    rows = {row.a["href"].partition("#")[2]: row for row in drawn.select("tr:has(td)")}
    assert list(sorted(rows)) == sorted(claims.load())
    for claim, verdict, data_sets in of_claims:
        experiments = [one for _, comparisons in data_sets.values() for one in comparisons if one.quantity]
        row = rows[claim.id]
        assert row.strong.get_text() == verdict
        assert len(row.select(".interval")) == len(row.select("circle")) == len(experiments)
        kind = row.find_parent("tbody").th.get_text()
        assert kind.startswith("Experiments" if experiments else "Checks")


@pytest.mark.parametrize(
    "outcome, inside, right", [("holds", False, True), ("no difference", True, None), ("reversed", False, False)]
)
def test_a_forest_shows_an_outcome_by_its_place(outcome, inside, right):
    series = {"holds": [2.0, 2.1, 2.2], "no difference": [1.0, 1.001, 1.002], "reversed": [0.1, 0.2, 0.3]}[outcome]
    comparison = claims.greater("accuracy", a=series, b=1)
    assert comparison.outcome == outcome
    claim = next(iter(claims.load().values()))
    svg = BeautifulSoup(
        cards.forest([(claim, "confirmed", {"Digits": ("confirmed", [comparison])})]), "html.parser"
    ).svg
    low, high = map(float, svg.select_one(".interval")["d"].removeprefix("M").replace(" 4.5H", " ").split())
    band = svg.select_one(".band")
    left, width = float(band["x"]), float(band["width"])
    assert (left <= low and high <= left + width) == inside
    if right is not None:
        assert (low > left + width) == right and (high < left) != right


HOLDS = claims.greater("accuracy", a=[1.1, 1.11, 1.12], b=1)
LESS = claims.greater("accuracy", a=[1.08, 1.08, 1.08], b=1)
OPEN = claims.greater("accuracy", a=[1, 2, 3], b=2)
REVERSED = claims.greater("accuracy", a=[0.88, 0.89, 0.9], b=1)
ALIKE, NEARLY = claims.same("accuracy", a=[1, 1, 1], b=1), claims.same("accuracy", a=[1.005, 1.005, 1.005], b=1)


@pytest.mark.parametrize(
    ("comparisons", "wanted"),
    [
        ([HOLDS, LESS], LESS),
        ([HOLDS, OPEN, LESS], OPEN),
        ([HOLDS, OPEN, REVERSED], REVERSED),
        ([ALIKE, NEARLY], NEARLY),
        ([claims.every(a=2, b=1), HOLDS], HOLDS),
        ([HOLDS, failed := claims.every(a=1, b=2)], failed),
    ],
)
def test_a_verdict_hangs_on_what_is_worst_for_it(comparisons, wanted):
    assert cards.deciding(comparisons) is cards.deciding(comparisons[::-1]) is wanted


def test_a_row_shows_seeds_and_interval_on_the_scale_of_all():
    data_sets = {"Digits": ("confirmed", [HOLDS]), "Photographs": ("refuted", [REVERSED])}
    row = BeautifulSoup(cards.row(CLAIM, "depends", data_sets), "html.parser")
    assert row.select_one(".statement").get_text() == "A < b & c" and row.strong.get_text() == "depends"
    right, left = row.select("svg")
    assert right.rect == left.rect and right.g["class"] == ["holds"] and left.g["class"] == ["reversed"]
    for svg, one, sign in ((right, HOLDS, 1), (left, REVERSED, -1)):
        low, high = map(float, svg.select_one(".interval")["d"].removeprefix("M").replace(" 6H", " ").split())
        dots = [float(dot["cx"]) for dot in svg.select("circle")]
        assert len(dots) == len(one.differences) and low < min(dots) <= max(dots) < high
        assert all(sign * (dot - cards.WIDTH / 2) > float(svg.rect["width"]) / 2 for dot in dots)


def test_checks_are_marks_and_what_is_alike_is_shown_once():
    holds, fails = ("confirmed", [claims.every(a=2, b=1)]), ("refuted", [claims.every(a=1, b=2)])
    for data_sets, marks in (
        ({"A": holds, "B": holds}, ["✓ check"]),
        ({"A": holds, "B": fails}, ["✓ check", "✗ check"]),
    ):
        row = BeautifulSoup(cards.row(CLAIM, "depends", data_sets), "html.parser")
        assert [mark.get_text() for mark in row.select(".strips > span")] == marks and not row.svg
    twice = BeautifulSoup(cards.row(CLAIM, "confirmed", {name: ("confirmed", [HOLDS]) for name in "AB"}), "html.parser")
    assert len(twice.select("svg")) == 1
