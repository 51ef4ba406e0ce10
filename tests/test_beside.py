"""What stands beside the text of a page: notes in the margin, contents, what words mean, and pictures of steps."""

import itertools
import re

import hovers
import ledger
import margin
import nbformat
import pytest
import steps
from conftest import ROOT, lay_out
from docutils import nodes
from playwright.sync_api import expect

CHAPTERS = sorted((ROOT / "book").glob("0*.ipynb"))
WIDE = {"width": 1440, "height": 900}
PAPERS = re.compile(r"\]\((https?://(?:arxiv\.org|doi\.org|papers\.nips\.cc|www\.cs\.toronto\.edu)[^)]+)\)")


@pytest.fixture
def visit(site, browser):
    """Opens a page in a browser of its own."""
    contexts = []

    def visit(name, viewport=WIDE, **options):
        contexts.append(browser.new_context(viewport=viewport, **options))
        page = contexts[-1].new_page()
        page.goto(f"{site.url}/{name}.html")
        return page

    yield visit
    for context in contexts:
        context.close()


def paragraph(*children):
    return nodes.paragraph("", "", *(nodes.Text(child) if isinstance(child, str) else child for child in children))


LONG = "One is enough where the other would do, and both are wrong, as we shall see"


@pytest.mark.parametrize(
    "text", [f"First. ({LONG}.)", f"({LONG}.) Then.", f"First. ({LONG}.) Then. (Short.)", f"Is it? ({LONG}!) Yes."]
)
def test_a_sentence_in_parentheses_is_a_note(text):
    marked = paragraph(text)
    margin.mark(marked)
    (note,) = marked.findall(margin.MarginNote)
    assert marked.astext() == text and note.astext().strip("().!") == LONG


@pytest.mark.parametrize(
    "text",
    [
        "First. (Short.)",
        f"First ({LONG[0].lower()}{LONG[1:]}) then.",
        f"First. ({LONG}.",
        f"First. {LONG}.)",
        f"f({LONG}.)",
    ],
)
def test_other_parentheses_stay(text):
    marked = paragraph(text)
    margin.mark(marked)
    assert not list(marked.findall(margin.MarginNote)) and marked.astext() == text


def test_a_note_takes_what_is_in_it_along():
    marked = paragraph("First. (On one set ", nodes.emphasis("", "everything"), f" is known. {LONG}.) Then.")
    margin.mark(marked)
    (note,) = marked.findall(margin.MarginNote)
    assert list(note.findall(nodes.emphasis)) and not note.astext().endswith("Then.")


def test_notes_stand_beside_the_text_and_cover_nothing(visit):
    page = visit("01-transfer-learning")
    page.evaluate("document.querySelectorAll('.waits-bar button').forEach((button) => button.click())")
    lay_out(page)
    notes = page.locator(".margin-note:visible")
    assert notes.count() > 10
    covered = page.evaluate("""() => {
      const seen = (node) => node.checkVisibility() && !node.closest("details:not([open])");
      const notes = [...document.querySelectorAll(".margin-note")].filter(seen);
      const others = [...document.querySelectorAll(".bd-article :is(p, li, figure, pre, table, .claim-card)")]
        .filter((node) => seen(node) && !node.querySelector(".margin-note") && !node.closest(".margin-note"));
      const meet = (one, other) => {
        const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
        return a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
      };
      return notes.filter((note) => [...others, ...notes].some((other) => other !== note && meet(note, other)))
        .map((note) => note.textContent);
    }""")
    assert covered == []
    narrow = visit("01-transfer-learning", {"width": 390, "height": 844}).locator(".margin-note").first
    expect(narrow).to_have_css("float", "none")
    assert narrow.inner_text().startswith("(")


def test_contents_show_the_verdicts_that_the_reader_has_seen(visit):
    page = visit("03-gans")
    entry = page.locator(".page-toc a[href='#who-trains-when']")
    expect(entry.locator(".outcome")).to_have_count(2)
    expect(entry.locator(".verdict:visible")).to_have_count(0)
    page.locator('.waits-bar[data-for~="gan-part1-only-d"] button').click()
    expect(entry.locator(".verdict:visible")).to_have_count(2)
    expect(entry.get_by_role("img", name="confirmed")).to_have_count(2)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_verdict_of_a_chapter_is_in_its_contents(site, chapter):
    html = (site.html / f"{chapter.stem}.html").read_text("utf-8")
    beside = html[html.index('id="pst-page-toc-nav"') :]
    assert beside.count('class="outcome"') == html.count(f'id="{ledger.place("")}') > 5


def test_contents_longer_than_the_screen_follow_the_reader(visit):
    page = visit("01-transfer-learning", {"width": 1280, "height": 400})
    entry = page.locator(".page-toc a[href='#exercises']")
    expect(entry).not_to_be_in_viewport()
    page.locator("#exercises").scroll_into_view_if_needed()
    page.mouse.wheel(0, 600)
    expect(entry).to_be_in_viewport()


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_paper_that_a_chapter_links_to_is_in_the_references(site, chapter):
    html = (site.html / f"{chapter.stem}.html").read_text("utf-8")
    cells = nbformat.read(chapter, 4).cells
    linked = {address for cell in cells if cell.cell_type == "markdown" for address in PAPERS.findall(cell.source)}
    said = {
        address for address in linked if re.search(rf'<a [^>]*data-hover="[^"]+" href="{re.escape(address)}"', html)
    }
    assert linked and said == linked


def test_a_word_of_the_glossary_is_a_link_once_in_a_page(site):
    html = (site.html / "01-transfer-learning.html").read_text("utf-8")
    words = re.findall(r'<a class="word says"[^>]*href="glossary.html#([^"]+)"', html)
    assert len(words) >= 8 and len(words) == len(set(words))
    glossary = (site.html / "glossary.html").read_text("utf-8")
    assert all(f'id="{word}"' in glossary for word in words)


def test_a_link_that_is_written_as_html_has_no_link_in_it(site):
    html = (site.html / "instructors.html").read_text("utf-8")
    assert '<a href="slides/01-transfer-learning.html">transfer learning</a>' in html


def test_ordinary_words_are_words_of_the_glossary():
    """Else they would be left out of nothing."""
    text = (ROOT / "book" / "glossary.md").read_text("utf-8")
    assert all(f"\n{word}\n" in text for word in hovers.ORDINARY)


def test_what_a_link_says_comes_with_pointer_and_keyboard_and_goes_with_escape(visit):
    page = visit("05-resnets")
    word, note = page.locator("a.word").first, page.get_by_role("tooltip")
    word.hover()
    expect(note).to_be_visible()
    expect(word).to_have_accessible_description(word.get_attribute("data-hover"))
    page.mouse.move(5, 5)
    expect(note).to_be_hidden()
    page.keyboard.press("Tab")  # from now on what has the focus shows it
    word.focus()
    expect(note).to_be_visible()
    page.keyboard.press("Escape")
    expect(note).to_be_hidden()


def test_what_a_link_says_stays_on_the_screen(visit):
    page = visit("05-resnets", {"width": 390, "height": 844})
    for place in range(page.locator("a[data-hover]:visible").count()):
        page.locator("a[data-hover]:visible").nth(place).hover()
        box = page.get_by_role("tooltip").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390
        assert box["y"] >= 0 and box["y"] + box["height"] <= 844


def cell(*tags):
    return nodes.container("", nb_element="cell_code", cell_metadata={"tags": list(tags)})


def test_steps_are_texts_with_their_pictures():
    intro, other, end = paragraph("Intro"), cell(), paragraph("End")
    texts, pictures = [paragraph(f"Step {i}") for i in range(3)], [cell("step") for _ in range(3)]
    pairs = [node for pair in zip(texts, pictures, strict=True) for node in pair]
    found = steps.framed([intro, other, *pairs, end, cell()])
    assert [found[0], found[1], found[3]] == [intro, other, end]
    frame = found[2]
    assert frame["classes"] == ["steps"] and [step[0][0] for step in frame] == texts
    assert [step[1] for step in frame] == pictures


def test_the_picture_of_the_step_that_is_read_is_shown(visit):
    page = visit("03-gans")
    each = page.locator(".step")
    expect(each).to_have_count(6)
    for place in (0, 3, 5, 1):
        each.nth(place).locator("p").first.evaluate("(text) => text.scrollIntoView({ block: 'center' })")
        expect(each.nth(place).locator("figure")).to_be_in_viewport(ratio=1)
        for other in range(6):
            expect(each.nth(other).locator("> .cell")).to_have_css("opacity", "1" if other == place else "0")


@pytest.mark.parametrize("options", [{"java_script_enabled": False}, {"viewport": {"width": 390, "height": 844}}])
def test_elsewhere_each_picture_stands_below_its_text(visit, options):
    page = visit("03-gans", **options)
    tops = [page.locator(".step").nth(place).bounding_box() for place in range(6)]
    assert all(above["y"] + above["height"] <= below["y"] for above, below in itertools.pairwise(tops))
    expect(page.locator(".step figure").last).to_be_visible()
    expect(page.locator(".step > .cell").last).to_have_css("opacity", "1")
