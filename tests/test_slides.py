"""Slides: a deck for each chapter, with all that it shows, that fits, asks before it tells, and works by keyboard."""

import re
from types import SimpleNamespace

import nbformat
import notebooks
import pytest
import slides
import story
from accessibility import violations
from conftest import ROOT
from playwright.sync_api import expect

SLIDE = {"width": 1280, "height": 720}
PROJECTOR = {"width": 1920, "height": 1080}
CHAPTERS = sorted((ROOT / "book").glob("0*.ipynb"))
# What reaches out of its slide, and letters that are too small; drawings have sizes of their own.
ALL = ".slides section:not(.stack)"
MISFITS = """([all, smallest, ofWidgets]) => [...document.querySelectorAll(all)].flatMap((slide) => {
  const frame = slide.getBoundingClientRect(), scale = frame.width / 1280;
  return [...slide.querySelectorAll(":not(aside, aside *, svg *, math *)")].flatMap((node) => {
    const box = node.getBoundingClientRect(), style = getComputedStyle(node);
    if (!box.width || !box.height) return [];
    const says = [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
    const least = node.closest(".coursekit-widget") ? ofWidgets : smallest;
    const fits = box.right <= frame.right + 1 && box.bottom <= frame.top + 720 * scale + 1;
    return fits && !(says && parseFloat(style.fontSize) < least) ? [] : [`${slide.id}: ${node.outerHTML.slice(0, 80)}`];
  });
})"""


@pytest.fixture(scope="module", params=CHAPTERS, ids=lambda path: path.stem)
def deck(request, site, browser):
    """A deck open on a projector, the cells of its chapter, and what went wrong while it loaded."""
    page = browser.new_page(viewport=PROJECTOR)
    wrong = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    own = (site.url, "data:")
    page.on("request", lambda request: None if request.url.startswith(own) else wrong.append(request.url))
    page.on("response", lambda response: None if response.ok else wrong.append(f"{response.status}: {response.url}"))
    page.goto(f"{site.url}/slides/{request.param.stem}.html", wait_until="networkidle")
    cells = notebooks.code_cells(nbformat.read(request.param, as_version=4))
    yield SimpleNamespace(page=page, chapter=request.param.stem, cells=cells, wrong=wrong)
    page.close()


@pytest.fixture
def open_deck(site, browser):
    """Opens the deck of chapter 3, at a slide."""
    contexts = []

    def open_deck(at="", query="", **options):
        contexts.append(browser.new_context(**{"viewport": SLIDE} | options))
        page = contexts[-1].new_page()
        page.goto(f"{site.url}/slides/{CHAPTERS[2].stem}.html{query}{at}", wait_until="networkidle")
        return page

    yield open_deck
    for context in contexts:
        context.close()


def test_it_loads_without_a_complaint_and_its_maths_is_drawn(deck):
    assert deck.wrong == []
    assert deck.page.locator(".math:not(:has(math))").count() == 0


def test_every_slide_fits_and_can_be_read_from_afar(deck):
    assert deck.page.evaluate("Reveal.getScale()") == 1.5
    assert deck.page.evaluate(MISFITS, [ALL, 24, 20]) == []


def test_it_has_all_that_the_chapter_shows(deck):
    ids = deck.page.evaluate("[...document.querySelectorAll('.slides [id]')].map((node) => node.id)")
    figures = sum("mystnb" in cell.metadata for cell in deck.cells)
    questions = [match[1] for cell in deck.cells if (match := story.QUIZ.match(cell.source))]
    claimed = [claim for cell in deck.cells for claim in notebooks.claims_in(cell)]
    named = {f"figure-{number + 1}" for number in range(figures)}
    named |= {f"question-{key}" for key in questions} | {f"measured-{claim}" for claim in claimed}
    assert named <= set(ids)
    assert len(ids) == len(set(ids))


def test_it_leads_back_to_its_chapter(deck, site):
    links = deck.page.evaluate("[...document.querySelectorAll('h1 + p + p a, h1 a')].map((link) => link.href)")
    chapter = (site.html / f"{deck.chapter}.html").read_text("utf-8")
    assert links[0] == f"{site.url}/{deck.chapter}.html"
    assert [link for link in links[2:] if f'id="{link.partition("#")[2]}"' not in chapter] == []


def test_its_opening_figure_can_be_played_with(deck):
    deck.page.keyboard.press("Home")
    deck.page.keyboard.press("ArrowRight")
    opening = deck.page.locator(".present.widget .coursekit-widget")
    before = opening.inner_text()
    buttons = opening.get_by_role("button", disabled=False)
    if buttons.count():
        buttons.nth(1).click()  # the first one of the symbols adds nothing before one has drawn
    else:
        opening.get_by_role("slider").first.press("ArrowLeft")
    expect(opening).not_to_have_text(before, use_inner_text=True)
    deck.page.keyboard.press("PageDown")  # a presenter's remote control, whatever has the focus
    expect(deck.page.locator(".present.widget .coursekit-widget")).to_have_count(0)


def test_an_answer_waits_for_the_next_key(open_deck):
    page = open_deck("#/question-gan-mode-collapse")
    question = page.locator("#question-gan-mode-collapse")
    answer, right = question.locator("p.fragment"), question.locator(".right")
    expect(question.locator("li").first).to_be_visible()
    expect(answer).to_be_hidden()
    expect(right).not_to_have_class(re.compile("visible"))
    page.keyboard.press("Space")
    expect(answer).to_be_visible()
    expect(right).to_have_class(re.compile("visible"))
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile("#/(?!question-gan-mode-collapse)"))


def test_the_keyboard_leads_through_it(open_deck):
    page = open_deck()
    for key, at in {"ArrowRight": "gan_playground", "End": slides.TAKE_AWAY, "ArrowLeft": "verdicts"}.items():
        page.keyboard.press(key)
        expect(page).to_have_url(re.compile(f"#/{at}$"))
    page.reload()
    expect(page.locator("section.present:not(.stack)")).to_have_id("verdicts")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    run = page.get_by_role("button", name="Run")
    run.press("Space")  # presses it, and leads nowhere
    expect(page).to_have_url(re.compile("gan_playground"))
    page.keyboard.press("ArrowRight")  # no key of a button
    expect(page).not_to_have_url(re.compile("gan_playground"))
    page.keyboard.press("o")
    expect(page.locator(".reveal.overview")).to_have_count(1)
    page.keyboard.press("o")
    page.keyboard.press("?")
    expect(page.get_by_text("Keyboard Shortcuts")).to_be_visible()


def test_the_notes_have_the_prose(open_deck):
    page = open_deck("#/measured-gan-six-steps")
    with page.expect_popup() as opened:
        page.keyboard.press("s")
    expect(opened.value.locator(".speaker-controls-notes")).to_contain_text("so that the generator learns to be caught")


def test_its_theme_is_the_sites_and_d_changes_it(open_deck):
    page = open_deck(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.keyboard.press("d")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.evaluate("localStorage.mode = 'light'")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible(open_deck, theme):
    page = open_deck(color_scheme=theme)
    rules = {"runOnly": ["color-contrast"]} if theme == "dark" else {}
    for at in ("title", "gan_playground", "figure-2", "question-gan-mode-collapse", "measured-gan-mode-collapse"):
        page.evaluate("at => { location.hash = `/${at}`; }", at)
        expect(page.locator("section.present:not(.stack)")).to_have_id(at)
        assert (at, violations(page, **rules)) == (at, [])


def test_on_paper_a_slide_is_a_page(open_deck):
    page = open_deck(query="?print-pdf", color_scheme="dark")
    page.wait_for_function("Reveal.isReady() && document.querySelector('.pdf-page')")
    number = page.locator(".pdf-page").count()
    printed = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type /Page\b", printed)) == number > 30
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
