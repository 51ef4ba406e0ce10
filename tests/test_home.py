"""The home page: every verdict a tile, every chapter with its picture and the reader's progress, a GAN that learns."""

import re

import nbformat
import pytest
import repository_address
from bs4 import BeautifulSoup
from conftest import ROOT, go_to
from playwright.sync_api import expect

from coursekit import claims

CHAPTERS = sorted((ROOT / "book").glob("0*.ipynb"))


@pytest.fixture
def home(site):
    return BeautifulSoup((site.html / "index.html").read_text("utf-8"), "html.parser")


@pytest.fixture
def page(site, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{site.url}/index.html")
    yield page
    context.close()


def test_every_verdict_is_a_tile_that_leads_to_its_row(home):
    measured = claims.verify()
    tiles = {tile["href"]: tile for tile in home.select(".mosaic dd a")}
    assert list(tiles) == [f"claims.html#{name}" for name in claims.load()]
    for name, claim in claims.load().items():
        verdict, tile = claims.judged(name, measured)[0], tiles[f"claims.html#{name}"]
        assert tile["class"] == ["verdict", verdict.replace(" ", "-")]
        assert tile.span.get_text() == f"{verdict} {claim.statement}"


def test_a_chapter_has_its_picture_its_minutes_its_claims_and_the_ways_to_run_it(home):
    chapters = home.select(".chapter-entry")
    assert len(chapters) == len(CHAPTERS)
    stated, repository = claims.load(), repository_address.address().removeprefix("https://github.com/")
    for path, chapter in zip(CHAPTERS, chapters, strict=True):
        words = sum(
            len(cell.source.split()) for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"
        )
        (minutes,) = re.findall(r"\((\d+) minutes\)", chapter.get_text())
        assert words / 200 < int(minutes) < words / 100
        of_chapter = [claim for claim in stated.values() if claim.chapter in path.stem]
        assert f"{len(of_chapter)} claims" in chapter.get_text()
        picture = chapter.select_one(".chapter-picture :is(img, svg)")
        assert picture.get("alt") or picture.get("aria-label")
        hrefs = [link["href"] for link in chapter.select(".chapter-links a")]
        assert hrefs[0] == f"{path.stem}.html"
        assert hrefs[1] == f"https://colab.research.google.com/github/{repository}/blob/main/book/{path.name}"
        assert hrefs[2].startswith(f"https://mybinder.org/v2/gh/{repository}/main?") and path.stem in hrefs[2]


def test_a_tile_says_its_sentence_to_the_keyboard_and_to_the_mouse(page):
    tile, other = page.locator(".mosaic dd a").nth(0), page.locator(".mosaic dd a").nth(30)
    hidden = "inset(50%)"
    expect(tile.locator("span")).to_have_css("clip-path", hidden)
    other.hover()
    expect(other.locator("span")).to_have_css("clip-path", "none")
    expect(tile.locator("span")).to_have_css("clip-path", hidden)
    page.locator(".mosaic dt a").nth(0).focus()
    page.keyboard.press("Tab")
    expect(tile).to_be_focused()
    expect(tile.locator("span")).to_have_css("clip-path", "none")


def test_the_readers_progress_is_counted_by_chapter(page, site):
    progress = page.locator(".progress-of")
    expect(progress).to_have_text([""] * len(CHAPTERS))
    page.goto(f"{site.url}/{CHAPTERS[1].stem}.html")
    quiz = page.locator('.coursekit-widget[data-widget="quiz"]').first
    go_to(quiz)
    quiz.get_by_role("radio").first.check()
    quiz.get_by_role("button", name="Check").click()
    page.goto(f"{site.url}/index.html")
    expect(progress.nth(1)).to_contain_text("you have met 1 of")
    expect(progress.nth(0)).to_have_text("")


def test_a_gan_learns_in_the_page(page):
    gan = page.locator('.coursekit-widget[data-widget="gan_playground"]')
    go_to(gan)
    expect(gan).to_contain_text("Nothing has been trained")
    gan.get_by_role("button", name="Run").click()
    expect(gan).not_to_contain_text("Nothing has been trained")
