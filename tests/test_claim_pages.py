"""The page of each claim, which is shared: its picture, its card, and where it leads."""

import re
from urllib.parse import unquote, urlsplit

import course
import pytest
import repository_address
import weight
from accessibility import violations
from bs4 import BeautifulSoup
from PIL import Image

from coursekit import claims


@pytest.fixture(scope="module")
def pages(site):
    """The page of each claim, by its id."""
    folder = site.html / "claims"
    return {path.stem: BeautifulSoup(path.read_text("utf-8"), "html.parser") for path in sorted(folder.glob("*.html"))}


def test_every_claim_has_a_page_with_its_sentence_its_verdict_and_a_picture(site, pages):
    assert pages.keys() == claims.load().keys()
    measured, pictures = claims.verify(), set()
    for name, claim in claims.load().items():
        page = pages[name]
        said = {tag.get("property") or tag.get("name"): tag["content"] for tag in page.select("meta[content]")}
        sentence = claim.statement[0].upper() + claim.statement[1:]
        assert said["og:title"] == page.title.get_text() == f"“{sentence}” — {course.read().title}"
        verdict, _ = claims.judged(name, measured)
        assert page.select_one(".claim-head .verdict").get_text() == verdict
        assert said["og:description"].lower().startswith(f"{verdict}. ") and len(said["og:description"]) <= 200
        address = f"{repository_address.site()}claims/{name}.html"
        assert page.select_one("link[rel=canonical]")["href"] == said["og:url"] == address
        picture = site.html / said["og:image"].removeprefix(repository_address.site())
        assert Image.open(picture).size == (1200, 630) and picture.stat().st_size < 100_000
        pictures.add(picture)
    assert len(pictures) == len(pages)


def test_it_leads_to_where_the_claim_was_measured_and_to_its_row(site, pages):
    ids = {}
    for name, page in pages.items():
        targets = [link["href"] for link in page.select("a")]
        assert f"../claims.html#{name}" in targets and any(f".html#measured-{name}" in target for target in targets)
        targets += [tag.get("src") or tag["href"] for tag in page.select("img, link[rel~=stylesheet], link[rel=icon]")]
        for target in map(urlsplit, targets):
            file = (site.html / "claims" / unquote(target.path)).resolve()
            if not target.scheme:
                assert file.is_file(), target
                if target.fragment and file not in ids:
                    ids[file] = set(re.findall(r'\bid="?([\w.-]+)', file.read_text("utf-8")))
                assert not target.fragment or target.fragment in ids[file], target


@pytest.mark.parametrize("page", ["claims", "01-transfer-learning"])
def test_a_row_and_a_card_lead_to_it(site, page):
    soup = BeautifulSoup((site.html / f"{page}.html").read_text("utf-8"), "html.parser")
    cards = soup.select(".claim-card")
    assert cards
    for card in cards:
        (shared,) = card.find_all("a", string="share")
        assert shared["href"] == f"claims/{card.code.get_text()}.html"


def test_it_is_in_no_contents_and_no_search(site):
    assert "claims/" not in BeautifulSoup((site.html / "index.html").read_text(), "html.parser").nav.decode()
    assert "claims/" not in (site.html / "sitemap.xml").read_text("utf-8")
    assert not (site.html / "_sources" / "claims").exists()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible_at_every_width(site, browser, theme):
    name = max(claims.load().values(), key=lambda claim: len(claim.statement)).id
    page = browser.new_page(color_scheme=theme)
    page.goto(f"{site.url}/claims/{name}.html")
    for width in (1440, 768, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(page) == []
    page.close()


def test_it_is_light_and_does_not_jump(site, browser):
    measured = weight.weigh(browser, site.html, site.url, f"claims/{next(iter(claims.load()))}", 390)
    assert measured.kib < 30 and measured.shift <= weight.MOST_SHIFT
