"""The page of all claims: rows that are filtered, sorted and opened, numbers to download, and what has changed."""

import math
import re
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import explorer
import ledger
import pandas as pd
import pytest
import repository_address
from accessibility import violations
from bs4 import BeautifulSoup
from playwright.sync_api import expect

from coursekit import cards, claims

PHONE = {"width": 390, "height": 844}
KEY = "lrn-helps-alexnet"


def on_record():
    """What the claims and their records say of each row, in the order of the lecture."""
    measured = claims.verify()
    for claim in claims.load().values():
        verdict, data_sets = claims.judged(claim.id, measured)
        comparisons = [one for _, of_data_set in data_sets.values() for one in of_data_set]
        yield SimpleNamespace(
            id=claim.id,
            chapter=claim.chapter,
            verdict=verdict,
            kind="experiment" if any(one.quantity for one in comparisons) else "check",
            data={title.split(" · ")[0] for title in data_sets},
            newest=max(title.split(" · ")[-1] for title in data_sets),
            statement=claim.statement,
            data_sets=data_sets,
        )


ROWS = list(on_record())


@pytest.fixture
def visit(site, browser):
    pages = []

    def visit(at="", **options):
        pages.append(browser.new_page(**options))
        pages[-1].goto(f"{site.url}/claims.html{at}")
        return pages[-1]

    yield visit
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def soup(site):
    return BeautifulSoup((site.html / "claims.html").read_text("utf-8"), "html.parser")


def shown(page):
    """The claims whose rows are to be seen, from top to bottom."""
    return page.locator(".claim-rows > li:visible .claim-card").evaluate_all("cards => cards.map(card => card.id)")


def says(page, count):
    return expect(page.get_by_role("status")).to_have_text(f"{count} of {len(ROWS)} shown")


def test_a_row_has_the_verdict_and_a_line_for_each_data_set_or_a_mark(soup):
    assert [row.select_one(".claim-card")["id"] for row in soup.select(".claim-rows > li")] == [row.id for row in ROWS]
    for row, drawn in zip(ROWS, soup.select(".claim-rows summary"), strict=True):
        assert drawn.select_one(".verdict").get_text() == row.verdict
        hang_on = [cards.deciding(comparisons) for _, comparisons in row.data_sets.values()]
        # Both profiles may have the same run.
        lines = {tuple(one.differences) for one in hang_on if one.quantity}
        marks = {one.outcome for one in hang_on if not one.quantity}
        assert sorted(len(svg.select("circle")) for svg in drawn.select("svg")) == sorted(map(len, lines)), row.id
        assert {mark["class"][0] for mark in drawn.select(".strips > span")} == marks


def test_a_row_leads_to_its_chapter_and_back(site, soup):
    pages = {path.name: BeautifulSoup(path.read_text("utf-8"), "html.parser") for path in site.html.glob("0*.html")}
    for row in soup.select(".claim-rows > li"):
        claim_id = row.select_one(".claim-card")["id"]
        page, place = row.find("a", string="how it was measured")["href"].split("#")
        assert place == ledger.place(claim_id)
        assert pages[page].find(id=place).select(f'a[href="claims.html#{claim_id}"]'), claim_id


def test_no_formula_on_the_page_is_false_as_printed(soup):
    number = re.compile(r"(-?[\d,.]+(?:e[-+]\d+)?)(?:\s(?:±|×/÷)\s\S+)?$")
    found = 0
    for side in soup.select(".claim-card th"):
        text = side.get_text().replace("\N{NO-BREAK SPACE}", " ")
        for sign in ("=", "≠", ">", "<"):
            if f" {sign} " in text:
                found += 1
                first, second = text.split(f" {sign} ")
                second, _, within = second.rstrip(")").partition(" (within ")
                a, b = (float(number.search(one)[1].replace(",", "")) for one in (first, second))
                holds = {"=": math.isclose(a, b, abs_tol=float(within or 0)), "≠": a != b, ">": a > b, "<": a < b}
                assert holds[sign], text
    assert found > 100


CHOICES = [
    ("Chapter", "gan", lambda row: row.chapter == "gan"),
    ("Data", "Digits", lambda row: any("digits" in name.lower() for name in row.data)),
    ("Data", "Photographs", lambda row: row.data & {"Photographs", "Points and photographs"}),
    ("Data", "Photographs of ants and bees", lambda row: row.id == "transfer-imagenet-features"),
    ("Verdict", "refuted", lambda row: row.verdict == "refuted"),
    ("Verdict", "confirmed", lambda row: row.verdict == "confirmed"),
    ("Kind", "check", lambda row: row.kind == "check"),
    ("Kind", "experiment", lambda row: row.kind == "experiment"),
]


@pytest.mark.parametrize(("label", "value", "fits"), CHOICES)
def test_rows_are_filtered_and_counted(visit, label, value, fits):
    page = visit()
    says(page, len(ROWS))
    page.get_by_role("combobox", name=label).select_option(value)
    wanted = [row.id for row in ROWS if fits(row)]
    says(page, len(wanted))
    assert shown(page) == wanted != []
    assert shown(visit(page.url.partition("claims.html")[2])) == wanted, "the address keeps the choice"


def test_choices_add_up_and_can_be_taken_back(visit):
    page = visit("?verdict=no-such-verdict")
    says(page, len(ROWS))
    words = page.get_by_label("Words")
    words.fill("Batch DROPOUT")
    wanted = [
        row.id for row in ROWS if all(word in f"{row.statement} {row.id}".lower() for word in ("batch", "dropout"))
    ]
    assert shown(page) == wanted != []
    words.fill(KEY)
    assert shown(page) == [KEY]
    page.get_by_role("combobox", name="Chapter").select_option("gan")
    expect(page.get_by_role("status")).to_have_text(f"No claim fits: 0 of {len(ROWS)} shown")
    words.press("Enter")
    assert "words=lrn-helps-alexnet&chapter=gan" in page.url
    page.get_by_role("button", name="Reset").click()
    says(page, len(ROWS))
    assert page.url.endswith("claims.html") and shown(page) == [row.id for row in ROWS]


def size(row):
    hang_on = [cards.deciding(comparisons) for _, comparisons in row.data_sets.values()]
    return max((abs(one.effect) / one.quantity.band for one in hang_on if one.quantity), default=0)


@pytest.mark.parametrize(
    ("order", "key"),
    [
        ("surprise", lambda row: explorer.BY_SURPRISE.index(row.verdict)),
        ("size of the effect", lambda row: -float(f"{size(row):.6g}")),
        ("newest run", lambda row: [-int(part) for part in row.newest.split("-")]),
    ],
)
def test_rows_are_sorted_and_the_lectures_order_comes_back(visit, order, key):
    page = visit()
    page.get_by_role("combobox", name="Order").select_option(order)
    assert shown(page) == [row.id for row in sorted(ROWS, key=key)]
    page.get_by_role("combobox", name="Order").select_option("as in the lecture")
    assert shown(page) == [row.id for row in ROWS]


def test_what_surprises_comes_first_and_every_verdict_has_its_place(visit):
    assert set(explorer.BY_SURPRISE) == set(claims.VERDICTS)
    page = visit("?order=surprise")
    assert page.locator(".claim-rows .verdict").first.inner_text() == "refuted"


@pytest.mark.parametrize("at", ["", "?chapter=gan"])
def test_a_link_opens_a_row_also_where_it_was_filtered_out(visit, at):
    page = visit(f"{at}#{KEY}")
    expect(page.locator(f"[id='{KEY}']")).to_be_visible()
    expect(page.locator(".claim-row[open]")).to_have_count(1)
    expect(page.locator(f".claim-row:has([id='{KEY}']) summary")).to_be_in_viewport()
    says(page, len(ROWS))
    page.evaluate("location.hash = 'gan-improves'")
    expect(page.locator("[id='gan-improves']")).to_be_visible()
    expect(page.locator(".claim-row:has([id='gan-improves']) summary")).to_be_in_viewport()


def test_the_keyboard_finds_and_opens_a_row(visit):
    page = visit()
    page.get_by_label("Words").focus()
    page.keyboard.type(KEY)
    for field in ("chapter", "data", "verdict", "kind", "order"):
        page.keyboard.press("Tab")
        expect(page.locator(f"select[name={field}]")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Reset")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(f"[id='{KEY}']")).to_be_visible()


def test_without_javascript_the_list_is_complete_and_opens(visit):
    page = visit(f"#{KEY}", java_script_enabled=False)
    assert shown(page) == [row.id for row in ROWS]
    assert page.locator(".claim-controls:visible").count() == 0
    expect(page.locator(f"[id='{KEY}']")).to_be_visible()
    page.locator(".claim-row summary").first.click()
    expect(page.locator(".claim-row .claim-card").first).to_be_visible()


def test_on_paper_are_all_rows_and_no_controls(visit):
    page = visit("?chapter=gan")
    page.emulate_media(media="print")
    expect(page.locator(".claim-rows > li:visible")).to_have_count(len(ROWS))
    expect(page.locator(".claim-controls")).to_be_hidden()


def test_it_fits_a_phone_closed_and_open(visit):
    page = visit(viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollHeight") < 12_000
    page.evaluate("document.querySelectorAll('.bd-article details').forEach((row) => { row.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize("at", ["", "?order=surprise&kind=experiment"])
def test_nothing_moves_while_it_loads(site, browser, at):
    page = browser.new_page()
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver((list) => list.getEntries().forEach("
        "(entry) => { moved += entry.value; })).observe({ type: 'layout-shift', buffered: true })"
    )
    page.goto(f"{site.url}/claims.html{at}", wait_until="networkidle")
    assert page.evaluate("moved") < 0.02
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_open_is_accessible(visit, theme):
    page = visit(f"?words=dropout#{KEY}", color_scheme=theme, viewport=PHONE)
    page.locator(".claim-changes > summary").click()
    assert violations(page) == []


def test_whoever_doubts_a_number_finds_an_issue_begun(soup):
    for row, told in zip(soup.select(".claim-rows > li"), ROWS, strict=True):
        link = urlsplit(row.find("a", string="this number looks wrong?")["href"])
        assert f"{link.scheme}://{link.netloc}{link.path}" == f"{repository_address.address()}/issues/new"
        begun = parse_qs(link.query)
        assert begun["title"] == [f"{told.id}: this number looks wrong"]
        assert told.statement in begun["body"][0] and told.verdict in begun["body"][0]


def test_the_downloads_are_the_comparisons_on_record(site, visit):
    page = visit()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    frame = pd.read_csv(download.value.path())
    as_json = pd.read_json(site.html / "_static" / "claims.json", orient="records", convert_dates=False)
    pd.testing.assert_frame_equal(frame, as_json, check_dtype=False)

    wanted = [
        (row, title.split(" · "), own, one)
        for row in ROWS
        for title, (own, comparisons) in row.data_sets.items()
        for one in comparisons
    ]
    for line, (row, (data, profile, _, date), own, one) in zip(frame.to_dict("records"), wanted, strict=True):
        profile = profile.removesuffix(" profile")
        assert (line["claim"], line["chapter"], line["statement"]) == (row.id, row.chapter, row.statement)
        assert (line["data"], line["profile"], line["date"]) == (data, profile, date)
        assert (line["verdict"], line["verdict_on_data"], line["outcome"]) == (row.verdict, own, one.outcome)
        assert (line["relation"], line["first"], line["second"]) == (one.relation, *one.values)
        scale = math.exp if one.is_log else float
        assert line["mean_difference"] == pytest.approx(scale(one.differences.mean()), rel=1e-5)
        if one.quantity:
            measured = (line["kind"], line["quantity"], line["matters"], line["seeds"])
            assert measured == ("experiment", one.quantity.name, one.quantity.matters, len(one.differences))
            assert (line["low"], line["high"]) == pytest.approx([scale(end) for end in one.interval], rel=1e-5)
        else:
            assert line["kind"] == "check" and pd.isna([line["low"], line["high"], line["quantity"]]).all()
        needed = one.seeds_needed() if one.outcome == "undecided" else None
        assert line["seeds_needed"] == needed if needed else pd.isna(line["seeds_needed"])


def test_what_has_changed_is_what_differs_from_the_file(soup):
    before, now = explorer.first_edition(), {row.id: row.verdict for row in ROWS}
    drawn = {
        line.code.get_text(): [cell.get_text() for cell in line.select("td")]
        for line in soup.select(".claim-changes tr:has(td)")
    }
    for name, told in drawn.items():
        assert told == [before[name], now[name]]
    left = {(before[name], now[name]) for name in before.keys() & now.keys() - drawn.keys()}
    assert left <= {("confirmed", "confirmed"), ("refuted", "refuted"), ("inconclusive", "undecided")}
    flipped = [line.code.get_text() for line in soup.select(".claim-changes tbody:first-of-type tr:has(td)")]
    assert [name for name in flipped if before[name] == "qualified" and now[name] != "confirmed"] == []
    said = [int(number) for number in re.findall(r": (\d+)", soup.select_one(".claim-changes summary").get_text())]
    assert said == [len(flipped), len(now.keys() - before.keys()), len(before.keys() - now.keys())]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no verdicts"),
        ("[verdicts", "has no verdicts"),
        ('[verdicts]\ngan-improves = "likely"', "'gan-improves' was 'likely'"),
    ],
)
def test_a_first_edition_that_says_nothing_fails_in_a_sentence(tmp_path, monkeypatch, text, sentence):
    file = tmp_path / "first_edition.toml"
    file.write_text(text)
    monkeypatch.setattr(explorer, "FIRST_EDITION", file)
    with pytest.raises(ledger.LedgerError, match=re.escape(sentence)):
        explorer.first_edition()
