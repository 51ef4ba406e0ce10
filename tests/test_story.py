"""The reading view of a chapter: folded code, results that wait for a guess, and what came of the guesses."""

import ast

import nbformat
import notebooks
import pytest
import story
from accessibility import violations
from conftest import ROOT, go_to
from playwright.sync_api import expect

CHAPTERS = sorted((ROOT / "book").glob("0*.ipynb"))
KEY = "transfer-scarce-freeze"


@pytest.fixture
def visit(site, browser):
    """Opens chapter 1 as somebody who has never been there; a second call comes back in the same browser."""
    contexts = {}

    def visit(at="", **options):
        context = contexts.setdefault(str(options), browser.new_context(**options))
        page = context.new_page()
        page.goto(f"{site.url}/01-transfer-learning.html{at}")
        return page

    yield visit
    for context in contexts.values():
        context.close()


def waiting(page):
    return page.locator(f".waits.waits-{KEY}")


def guess(page, number):
    quiz = page.locator(f'[id="question-{KEY}"]')
    go_to(quiz)
    quiz.get_by_role("radio").nth(number).check()
    quiz.get_by_role("button", name="Check").click()


def test_code_is_behind_a_bar_that_says_what_it_does(visit):
    page = visit()
    bar = page.locator("details.hide", has_text="Run the experiment transfer-rates")
    expect(bar).to_have_count(1)
    expect(bar.locator("pre")).to_be_hidden()
    bar.locator("summary").click()
    expect(bar.locator("pre")).to_be_visible()
    expect(page.get_by_text("keras.utils.set_random_seed(0)").first).to_be_visible()  # by hand, which is to be read
    expect(page.locator(".setup pre").first).to_be_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_folded_and_what_waits_is_accessible(visit, theme):
    page = visit(color_scheme=theme)
    guess(page, 0)
    expect(page.locator(".guesses")).to_be_visible()
    page.wait_for_function(
        "[...document.querySelectorAll('pre')].every((pre) => pre.tabIndex === 0 || pre.scrollWidth <= pre.clientWidth)"
    )
    assert violations(page) == []


def test_whoever_wants_the_code_has_it_from_then_on(visit):
    first = visit()
    first.get_by_role("button", name="Code", exact=True).click()
    for page in (first, visit()):
        expect(page.get_by_role("button", name="Code", exact=True)).to_have_attribute("aria-pressed", "true")
        expect(page.locator(".setup pre").first).to_be_visible()
        assert page.locator("details.hide:not([open])").count() == 0
    page.get_by_role("button", name="Story").click()
    assert page.locator("details.hide[open]").count() == 0


def test_a_result_waits_for_a_guess_which_is_kept(visit):
    asked = sum(cell.source.startswith("Quiz(") for cell in nbformat.read(CHAPTERS[0], as_version=4).cells)
    first = visit()
    expect(waiting(first)).to_be_hidden()
    expect(first.locator(".guesses")).to_be_hidden()
    guess(first, 0)
    for page in (first, visit()):
        expect(waiting(page)).to_be_visible()
        expect(page.locator(".guesses .score")).to_contain_text(
            f"You guessed 0 of 1 right. Of the chapter's questions, {asked - 1} you"
        )
    assert page.locator(".waits:visible").count() == 1
    guess(page, 1)  # another try is not another guess
    expect(page.locator(".guesses .score")).to_contain_text("0 of 1")
    expect(page.locator(".guesses li")).to_contain_text("Frozen is best")
    expect(page.locator(".guesses li .verdict")).to_have_count(1)
    page.get_by_role("button", name="Forget my guesses").click()
    expect(waiting(page)).to_be_hidden()
    expect(page.locator(".guesses")).to_be_hidden()


def test_of_code_that_is_to_be_read_only_the_output_waits(visit):
    page = visit()
    cell = page.locator(".cell:has(.waits-transfer-never-unfreezes)").first
    expect(cell.locator(".cell_input pre")).to_be_visible()
    expect(cell.locator(".cell_output")).to_be_hidden()
    cell.locator(".waits-bar button").click()
    expect(cell.locator(".cell_output")).to_be_visible()


def test_nobody_has_to_guess(visit):
    first = visit()
    bar = first.locator(f'.waits-bar[data-for="{KEY}"]')
    bar.get_by_role("button").click()
    expect(bar).to_be_hidden()
    expect(waiting(first)).to_be_visible()
    expect(waiting(first)).to_be_focused()  # the keyboard goes on from there
    assert first.locator(".waits:visible").count() == 1
    first.get_by_label("Results wait for my guess").uncheck()
    for page in (first, visit()):
        assert page.locator(".waits:not(:visible), .waits-bar:visible").count() == 0
    guess(page, 0)  # of what was seen: no guess any more
    expect(page.locator(".guesses .score")).to_contain_text("You guessed 0 of 0 right.")
    page.get_by_role("button", name="let results wait again").click()
    page.get_by_label("Results wait for my guess").check()
    expect(waiting(page)).to_be_hidden()


def test_two_pages_that_are_open_know_of_each_other(visit):
    first, second = visit(), visit()
    guess(first, 0)
    expect(waiting(second)).to_be_visible()
    expect(second.locator(".guesses .score")).to_contain_text("0 of 1")


def test_the_ledger_leads_into_what_waits_and_opens_it(visit, site):
    page = visit()
    page.goto(f"{site.url}/claims.html#{KEY}")
    page.locator(f"[id='{KEY}']").get_by_role("link", name="how it was measured").click()
    card = page.locator(f"[id='measured-{KEY}']")
    expect(card).to_be_in_viewport()
    expect(waiting(page)).to_be_visible()
    page.evaluate("location.hash = '#measured-transfer-layerwise-rates'")
    expect(page.locator(".waits.waits-transfer-layerwise-rates")).to_be_visible()


def test_without_javascript_nothing_waits(visit):
    page = visit(java_script_enabled=False)
    assert page.locator(".waits:not(:visible), .waits-bar:visible, .reading:visible").count() == 0
    bar = page.locator("details.hide", has_text="Run the experiment transfer-rates")
    bar.locator("summary").click()
    expect(bar.locator("pre")).to_be_visible()


def test_on_paper_nothing_waits_and_no_frame_is_empty(visit):
    page = visit()
    page.emulate_media(media="print")
    assert page.locator(".waits:not(:visible), .waits-bar:visible, .reading:visible, .guesses:visible").count() == 0
    cells = page.locator(".cell:visible").all()
    assert cells and all(cell.inner_text().strip() or cell.locator("img").count() for cell in cells)


def test_where_the_browser_keeps_nothing_the_page_still_works(visit):
    page = visit()
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } })")
    page.reload()
    expect(waiting(page)).to_be_hidden()
    guess(page, 0)
    expect(waiting(page)).to_be_visible()
    expect(page.locator(".guesses .score")).to_contain_text("You guessed 0 of 1 right.")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_only_alternative_texts_are_left_out(chapter):
    class Shorter(ast.NodeTransformer):
        def visit_keyword(self, node):
            text = isinstance(node.value, (ast.Constant, ast.JoinedStr))
            return ast.keyword(node.arg, ast.Constant("…")) if node.arg == "alt" and text else self.generic_visit(node)

    for cell in notebooks.code_cells(nbformat.read(chapter, as_version=4))[1:]:
        shown = ast.dump(ast.parse(story.without_alt_texts(cell.source, story.parsed(cell.source))))
        assert shown == ast.dump(Shorter().visit(ast.parse(cell.source))), cell.id


@pytest.mark.parametrize(
    "source, bar",
    [
        (
            'runs = experiments.sweep(\n    run, n=(1,), seeds=seeds, name="gan-noise"\n)',
            "Run the experiment gan-noise",
        ),
        ('a = sweep(f, name="long")\nb = sweep(f, name="short")\nplots.lines(a)', "Run the experiments long, short"),
        ('claims.check(\n    "gan-noise", claims.every(a=1, b=0)\n)', "Check the claim"),
        ("def f():\n    plots.lines(1)\n\n\nf()", "Draw the figure"),
        ("def f():\n    return 1\n\n\nclass G:\n    pass", "Define f, G"),
        ('check("tap", features)', "Check the answer"),
        ("check.report()", "Count the points"),
        ("n = 1\nprint(n)", "Compute"),
    ],
)
def test_what_a_cell_does(source, bar):
    assert story.what_it_does(story.parsed(source)) == bar
