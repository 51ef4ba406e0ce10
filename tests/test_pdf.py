"""The course as one PDF: all chapters in order, bookmarks, and links that lead somewhere."""

import re
import shutil
import subprocess
import sys

import pdf
import pytest
import repository_address
from bs4 import BeautifulSoup
from conftest import ROOT

CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("0*.ipynb"))
TITLE = re.compile(rb"/Title (?:\(((?:[^()\\]|\\.)*)\)|<FEFF([0-9A-F]+)>)")


@pytest.fixture(scope="module")
def page(site):
    """The one page that is printed."""
    return BeautifulSoup(pdf.one_page(site.html), "html.parser")


def test_it_has_the_chapters_in_order_and_their_sections(page):
    entries = page.select("nav > ol > li")
    assert [entry.a["href"] for entry in entries] == [f"#{name}" for name in (*CHAPTERS, *pdf.OTHERS)]
    assert all(len(entry.select("ul a")) > 8 for entry in entries[: len(CHAPTERS)])
    assert [body["id"] for body in page.select("div.page")] == [*CHAPTERS, *pdf.OTHERS]


def test_every_link_leads_to_one_place_or_to_the_web(page):
    ids = [tag["id"] for tag in page.select("[id]")]
    assert len(ids) == len(set(ids))
    targets = {link["href"] for link in page.select("a[href]")}
    assert {target for target in targets if not re.match(r"#|https?:|mailto:", target)} == set()
    assert {target[1:] for target in targets if target.startswith("#")} - set(ids) == set()
    assert f"{repository_address.site()}claims.html#bn-replaces-dropout" in targets


def test_drawings_find_what_they_use(page):
    ids = {tag["id"] for tag in page.select("[id]")}
    used = re.findall(r"url\(#([^)]+)\)", " ".join(str(path) for path in page.select("svg [clip-path]")))
    assert used and set(used) <= ids


def test_questions_show_their_answers_and_nothing_waits(page):
    questions = page.select('[data-widget="quiz"]')
    assert len(questions) > 20 and all(detail.has_attr("open") for detail in page.select("details"))
    assert not page.select(".waits-bar, .reading, details.hide, .headerlink")


def test_what_is_printed_has_bookmarks_and_pages(site, tmp_path):
    folder = tmp_path / "html"
    folder.mkdir()
    (folder / "_static").symlink_to(site.html / "_static")
    (folder / "_images").symlink_to(site.html / "_images")
    for name in (CHAPTERS[-1], *pdf.OTHERS):
        shutil.copy(site.html / f"{name}.html", folder)
    output = tmp_path / "course.pdf"
    subprocess.run([sys.executable, ROOT / "tools" / "pdf.py", folder, output], check=True)
    printed = output.read_bytes()
    assert len(re.findall(rb"/Type /Page\b", printed)) > 20
    titles = {
        bytes.fromhex(wide.decode()).decode("utf-16-be") if wide else plain.decode("latin-1")
        for plain, wide in TITLE.findall(printed)
    }
    assert {"Contents", "Residual networks", "What to take away", "Glossary", "References"} <= titles
    assert not (folder / pdf.NAME).exists()
