"""The source beside its prose: all of the code and all of the words are there, and names lead there and back."""

import ast
import functools
import re

import annotated
import pytest
from accessibility import violations
from bs4 import BeautifulSoup
from conftest import ROOT
from playwright.sync_api import expect

MODULES = sorted(page.stem for page in (ROOT / "book" / "source").glob("*.md"))
SOURCE = '''"""What it is."""

import math

# Why two.
TWO = 2


# Of this
# function.
@functools.cache
def double(x):
    """Twice x."""
    y = TWO * x
    # Whole.
    return round(y)  # nearest


class A:
    """An A."""

    size = 1

    def _b(self):
        return 1


END = 3
'''


@functools.cache
def read(html, name):
    return BeautifulSoup((html / f"{name}.html").read_text("utf-8"), "html.parser")


def test_a_module_is_cut_where_something_begins():
    found = [
        (part.name, part.doc, part.note, " / ".join(line for run in part.code for _, line in run))
        for part in annotated.parts(SOURCE)
    ]
    assert found == [
        (None, "What it is.", "", "import math"),
        (None, None, "Why two.", "TWO = 2"),
        ("double", "Twice x.", "Of this function.", "@functools.cache / def double(x): /     y = TWO * x"),
        (None, None, "Whole.", "    return round(y)  # nearest"),
        ("A", "An A.", "", "class A: /     size = 1"),
        ("A._b", None, "", "    def _b(self): /         return 1"),
        (None, None, "", "END = 3"),
    ]


@pytest.mark.parametrize("name", MODULES)
def test_each_line_of_the_file_is_there_once(site, name):
    """As code under its number, or as prose."""
    source = (ROOT / "coursekit" / f"{name}.py").read_text("utf-8")
    lines, page = source.splitlines(), read(site.html, f"source/{name}")
    shown = {int(line["id"][2:]): line.get_text().rstrip("\n") for line in page.select(".code span[id^=L-]")}
    assert {number: lines[number - 1] for number in shown} == shown
    prose = " ".join(re.sub(r"\W+", " ", page.select_one(".annotated").get_text()).split())
    for number, line in enumerate(lines, start=1):
        if line.strip().startswith("#"):
            assert re.sub(r"\W+", " ", line).strip() in prose
        elif line.strip() and number not in shown:
            assert any(number in annotated.lines_of_docstring(node) for node in documented(source)), line


def documented(source):
    return [n for n in ast.walk(ast.parse(source)) if isinstance(n, (ast.Module, ast.FunctionDef, ast.ClassDef))]


@pytest.mark.parametrize("name", MODULES)
def test_the_api_page_and_the_source_lead_to_each_other(site, name):
    api, page = read(site.html, "api"), read(site.html, f"source/{name}")
    begins = f"coursekit.{name}."
    entries = [tag["id"].removeprefix(begins) for tag in api.select("dt.sig[id]") if tag["id"].startswith(begins)]
    assert entries
    defined = annotated.names()[name]
    for entry in (entry for entry in entries if entry in defined):
        (link,) = [a["href"] for a in api.find(id=begins + entry).select("a[href^=source]")]
        assert link == f"source/{name}.html#{entry}" and page.find(id=entry), entry
        assert page.find("a", href=f"../api.html#{begins}{entry}"), entry
    assert re.search(rf"/blob/main/coursekit/{name}\.py#L\d+-L\d+$", page.select(".places a")[-1]["href"])


def test_a_name_in_a_chapter_leads_to_its_source(site):
    links = {link["href"] for link in read(site.html, "01-transfer-learning").select("article p a[href^='source/']")}
    assert "source/transfer.html#freeze" in links
    assert "source/gan.html#GAN" in {link["href"] for link in read(site.html, "03-gans").select("article a[href]")}


def test_the_search_has_each_docstring_once(site, browser):
    page = browser.new_page()
    page.goto(f"{site.url}/index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("DCGAN generator")
    found = page.locator("#pst-search-dialog .found")
    expect(found.locator("a[href*='api.html']").first).to_be_visible()
    assert found.locator("a[href*='source/']").count() == 0
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_reads_well_at_every_width(site, browser, theme):
    page = browser.new_page(color_scheme=theme)
    page.goto(f"{site.url}/source/gan.html")
    for width in (1440, 768, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        prose, code = (page.locator(f".part:has(#generator) .{kind}").bounding_box() for kind in ("prose", "code"))
        beside = code["x"] >= prose["x"] + prose["width"]
        assert beside == (width > 600), "one column on a phone"
        assert page.evaluate("[...document.querySelectorAll('.code pre')].every((e) => e.scrollWidth <= e.clientWidth)")
        assert violations(page) == []
    page.close()


def test_it_needs_no_script(site, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.url}/source/gan.html#GAN.compile")
    expect(page.locator("[id='GAN.compile']")).to_be_in_viewport()
    expect(page.locator(".part:has([id='GAN.compile']) .code")).to_contain_text("def compile(self")
    context.close()
