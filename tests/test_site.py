"""The built site: every link leads somewhere, nothing comes from another host, and each page works in a browser."""

import base64
import functools
import html
import io
import re
import sys
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import accessible
import course
import figures
import ledger
import light
import nbformat
import notebooks
import pytest
import repository_address
import search_index
import share
import weight
import yaml
from accessibility import violations
from bs4 import BeautifulSoup
from conftest import ROOT, draw_widgets, lay_out
from fontTools.ttLib import TTFont
from PIL import Image
from playwright.sync_api import expect
from sphinx.errors import ExtensionError

from coursekit import cards, claims, plots, records

WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
CHAPTERS = sorted((ROOT / "book").glob("0*.ipynb"))
TRANSITIONS = """() => Promise.allSettled(
  document.getAnimations().filter((each) => each instanceof CSSTransition).map((each) => each.finished))"""


def pages():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    return [toc["root"], *(page["file"] for chapter in chapters for page in (chapter, *chapter.get("sections", ())))]


@pytest.fixture(scope="module", params=pages())
def name(request):
    return request.param


@pytest.fixture(scope="module")
def visit(name, site, browser):
    """A page open in the browser with all that it has, what went wrong while it loaded, and how far it jumped."""
    page = browser.new_page(viewport=WIDE)
    page.add_init_script("localStorage['coursekit-read'] = 'code'; localStorage['coursekit-wait'] = 'no'")
    page.add_init_script(weight.OBSERVE)
    wrong = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url}"))
    page.on(
        "response", lambda response: wrong.append(f"{response.status}: {response.url}") if not response.ok else None
    )
    page.on("request", lambda request: wrong.append(f"external: {request.url}") if is_external(request.url) else None)
    page.goto(f"{site.url}/{name}.html", wait_until="networkidle")
    shift = page.evaluate("window.shifts")
    draw_widgets(page)
    yield SimpleNamespace(page=page, wrong=wrong, shift=shift)
    page.close()


def is_external(url):
    return urlsplit(url).scheme in ("http", "https", "ws") and urlsplit(url).hostname != "127.0.0.1"


def test_it_loads_without_a_complaint(visit):
    assert visit.wrong == []


def test_maths_is_drawn(visit):
    assert visit.page.locator(".math:not(:has(math))").count() == 0
    fonts = "async () => [...await document.fonts.ready].map(({ family, status }) => [family, status])"
    loaded = any("STIX" in family and status == "loaded" for family, status in visit.page.evaluate(fonts))
    assert loaded == (visit.page.locator("math").count() > 0)


def test_it_is_accessible(visit):
    assert violations(visit.page) == []


def test_it_is_accessible_in_the_dark(visit):
    """Of all that Axe looks at, only the colors are other ones."""
    visit.page.emulate_media(color_scheme="dark")
    visit.page.locator("html[data-theme=dark]").wait_for()
    visit.page.evaluate(TRANSITIONS)
    found = violations(visit.page, runOnly=["color-contrast"])
    visit.page.emulate_media(color_scheme="light")
    assert found == []


def test_it_fits_a_phone(visit):
    visit.page.set_viewport_size(PHONE)
    width = visit.page.evaluate("document.documentElement.scrollWidth")
    visit.page.evaluate("document.querySelectorAll('details').forEach((folded) => { folded.open = true; })")
    visit.page.wait_for_function(  # the browser tells of new sizes with the next frame
        "[...document.querySelectorAll('pre')].every((pre) => pre.tabIndex === 0 || pre.scrollWidth <= pre.clientWidth)"
    )
    out_of_reach = violations(visit.page, runOnly=["scrollable-region-focusable"])
    visit.page.set_viewport_size(WIDE)
    assert width <= PHONE["width"], "the page scrolls sideways"
    assert out_of_reach == [], "the keyboard does not reach it"


def test_the_index_fits_a_phone(site, browser):
    page = browser.new_page(viewport=PHONE)
    page.goto(f"{site.url}/genindex.html")
    assert page.locator(".indextable a").count() > 100
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.close()


def test_it_does_not_jump_on_a_wide_screen(visit):
    assert visit.shift <= weight.MOST_SHIFT


def test_it_is_light_and_does_not_jump(site, browser, name):
    """On a phone; a chapter, which the visit reads with its code, on a wide screen, too."""
    for width in weight.SCREENS if name[0].isdigit() else [PHONE["width"]]:
        measured = weight.weigh(browser, site.html, site.url, name, width)
        assert measured.kib <= weight.most_kib(name)
        assert measured.shift <= weight.MOST_SHIFT


def test_its_images_keep_their_place_and_wait_for_the_reader(site, name):
    images = read(site, name).select("article figure img")
    assert [str(image) for image in images if not (image.get("width") and image.get("height"))] == []
    late = [(image.get("loading"), image.get("decoding")) for image in images]
    assert late == [(None, None), *[("lazy", "async")] * len(images)][: len(images)]


def test_it_waits_for_one_style_sheet(site, name):
    sheets = [link["href"].rpartition("/")[2] for link in read(site, name).select("link[rel~=stylesheet]")]
    assert sheets == ["site.css"]


@pytest.mark.parametrize(
    ("selectors", "kept"),
    [
        (".a,.b", ".a"),
        ("p, .b, .a p", "p, .a p"),
        (".b", ""),
        (".a .-b", ""),
        (".a:not(.b, .c:is(.d)), .c", ".a:not(.b, .c:is(.d))"),
        (":is(.b, .c:not(.d)) .a", ":is(.b, .c:not(.d)) .a"),
        ("a[href$='.b']", "a[href$='.b']"),
        ("12.5%", "12.5%"),
    ],
)
def test_a_rule_is_kept_for_what_it_can_apply_to(selectors, kept):
    assert light.applicable(selectors, "{x}", {"a"}) == (f"{kept}{{x}}" if kept else "")


@pytest.mark.parametrize(
    ("style", "left"),
    [
        (":root{--a:1px;--b:2px}p{margin:var(--b)}", ":root{--b:2px}p{margin:var(--b)}"),
        (":root{--a:1px;--b:var(--a)}", ""),
        ("@media x{p{--a:1px}}q{top:0}", "q{top:0}"),
        (":root{--a:url(\"data:x;(')};\");--b:f(g(1;2), ';)');}p{top:0}", "p{top:0}"),
        (":root{--a:1px}p{margin:var( --a, 0)}", ":root{--a:1px}p{margin:var( --a, 0)}"),
        (":root{--known: var(--a); --a: 1px}", ":root{--known: var(--a); --a: 1px}"),
    ],
)
def test_a_variable_is_kept_for_what_reads_it(style, left):
    assert light.without_unused(style, {"--known"}) == left


def test_its_formulas_are_drawn_in_their_font(site, name):
    page = read(site, name)
    for annotation in page.select("math annotation"):
        annotation.decompose()
    shown = {letter for formula in page.select("math") for letter in formula.get_text()}
    assert "\\" not in shown
    characters = TTFont(site.html / "_static" / "maths.woff").getBestCmap()
    assert {letter for letter in shown if ord(letter) not in characters and not letter.isspace()} == set()


def test_it_has_the_icons_that_it_shows(site, name):
    """Those that it names by a class, and those that the theme's style draws, of admonitions for instance."""
    style = (site.html / "_static" / "site.css").read_text("utf-8")
    fonts = re.findall(r"font-family:Font Awesome[^}]*base64,([\w+/=]+)", style)
    in_fonts = {code for font in fonts for code in TTFont(io.BytesIO(base64.b64decode(font))).getBestCmap()}
    rules = re.findall(r'((?:\.fa-[\w-]+:before,?)+){content:"\\(\w+)"', style)
    by_class = {name: int(code, 16) for names, code in rules for name in re.findall(r"fa-[\w-]+", names)}
    by_character = set(map(ord, re.findall(r'--pst-icon-[\w-]+:"(.)"', style)))
    named = set(re.findall(r"(--pst-icon-[\w-]+):", style))
    icons = [icon["class"] for icon in read(site, name).select("[class*=fa-]")]
    assert icons and by_character and named == set(re.findall(r"var\((--pst-icon-[\w-]+)", style))
    for classes in icons:
        assert any(by_class.get(each) in in_fonts for each in classes), classes
    assert by_character <= in_fonts


def test_its_links_lead_somewhere(site, name):
    page = site.html / f"{name}.html"
    broken = []
    for target in targets(page):
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not file.is_file() or (parts.fragment and file.suffix == ".html" and parts.fragment not in ids(file)):
            broken.append(target)
    assert broken == []


def test_it_takes_nothing_from_elsewhere(site, name):
    soup = BeautifulSoup((site.html / f"{name}.html").read_text("utf-8"), "html.parser")
    loaded = [
        tag.get("src") or tag.get("href") for tag in soup.select("script[src], img, link[rel~=stylesheet], iframe")
    ]
    assert [url for url in loaded if is_external(url)] == []


def test_a_class_shows_what_it_is_made_with(site):
    page = BeautifulSoup((site.html / "api.html").read_text("utf-8"), "html.parser")
    signatures = {tag["id"]: tag.get_text().strip() for tag in page.select("dt.sig[id]")}
    made = signatures["coursekit.normalization.BatchNormalization"]
    assert "BatchNormalization(axis=-1, momentum=0.99, epsilon=0.001, **layer_options)" in made
    assert not [name for name, text in signatures.items() if "*args" in text or "<" in text]


def test_no_source_file_is_published(site):
    assert [path.name for path in (site.html / "_static").rglob("*") if path.suffix in (".py", ".toml", ".pyc")] == []


def test_every_claim_is_on_the_page_with_its_numbers(site):
    page = (site.html / "claims.html").read_text("utf-8")
    for claim in claims.load().values():
        assert f'id="{claim.id}"' in page
    for (_, name), on_file in records.read_all().items():
        if "claim" in on_file:
            for comparison in claims.comparisons_of(on_file):
                assert html.escape(cards.relation(comparison)) in page, name


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_has_a_card_for_each_claim_that_it_checks(site, chapter):
    """With the verdict of the line that the check has printed, and in its place."""
    cells = notebooks.code_cells(nbformat.read(chapter, as_version=4))
    printed = [output.text for cell in cells if notebooks.claims_in(cell) for output in cell.outputs]
    lines = [line.split(" · ") for line in "".join(printed).splitlines()]
    page = BeautifulSoup((site.html / f"{chapter.stem}.html").read_text("utf-8"), "html.parser")
    drawn = [(card.select_one(".verdict").get_text(), card.a.get_text()) for card in page.select(".claim-card")]
    assert drawn == [(verdict, claim_id) for verdict, claim_id, _ in lines] != []
    assert not [block for block in page.select(".cell_output pre") if ledger.CHECKED.match(block.get_text())]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_figure_has_a_number_and_says_what_to_see(site, chapter):
    cells = notebooks.code_cells(nbformat.read(chapter, as_version=4))
    alts = [alt for cell in cells if (alt := cell.metadata.get("mystnb", {}).get("image", {}).get("alt"))]
    page = BeautifulSoup((site.html / f"{chapter.stem}.html").read_text("utf-8"), "html.parser")
    drawn = page.select(".cell_output figure")
    assert [figure.figcaption.get_text().strip() for figure in drawn] == [
        f"Figure {int(chapter.stem[:2])}.{number}. {alt.partition(f' {plots.MEANS}')[0]}"
        for number, alt in enumerate(alts, start=1)
    ]
    for figure, alt in zip(drawn, alts, strict=True):
        shown = figure.svg or figure.img
        assert alt.endswith(shown.get("aria-label") or shown.get("alt") or "")
    names = [element["id"] for element in page.select("[id]")]
    assert len(names) == len(set(names))
    assert page.select("svg.drawn") and not page.select("svg.drawn style")


def test_drawings_follow_the_theme(site, browser):
    color = {}
    for theme in ("light", "dark"):
        page = browser.new_page(viewport=WIDE, color_scheme=theme)
        page.add_init_script("localStorage['coursekit-wait'] = 'no'")
        page.goto(f"{site.url}/{CHAPTERS[0].stem}.html")
        letters = page.locator("#figure-1 svg.drawn text").first
        color[theme] = letters.evaluate("text => getComputedStyle(text).fill")
        assert color[theme] == page.locator("#figure-1").evaluate("node => getComputedStyle(node).color")
        assert letters.evaluate("text => getComputedStyle(text).fontFamily") == page.locator("p").first.evaluate(
            "node => getComputedStyle(node).fontFamily"
        )
        page.close()
    assert color["light"] != color["dark"]


@pytest.mark.parametrize(
    ("drawing", "left"),
    [
        ('<svg><g id="a"><path/></g></svg>', "<svg><path/></svg>"),
        (
            '<svg><g id="a"><g clip-path="url(#p)"><g><use/></g></g></g></svg>',
            '<svg><g clip-path="url(#p)"><use/></g></svg>',
        ),
        (
            '<svg><g style="x" id="a"><g id="b"/><glyph/></g></svg>',
            '<svg><g style="x" id="a"><g id="b"/><glyph/></g></svg>',
        ),
    ],
)
def test_a_drawing_has_the_groups_that_do_something(drawing, left):
    assert figures.without_groups(drawing) == left


@pytest.mark.parametrize("options", [{"java_script_enabled": False}, {}, {"color_scheme": "dark"}])
def test_colors_are_those_of_paper_until_a_script_knows_better(site, browser, options):
    context = browser.new_context(**options)
    page = context.new_page()
    page.goto(f"{site.url}/index.html")
    paper = page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    drawn = page.locator("svg.drawn path").evaluate_all("paths => paths.map((path) => getComputedStyle(path).fill)")
    context.close()
    assert paper == ("rgb(18, 18, 18)" if "color_scheme" in options else "rgb(255, 255, 255)")
    assert paper in drawn


def test_lines_of_prose_are_as_long_as_is_easy_to_read(site, browser):
    page = browser.new_page(viewport=WIDE)
    page.goto(f"{site.url}/{CHAPTERS[0].stem}.html")
    characters = page.evaluate(
        "[...document.querySelectorAll('section > p')].filter((p) => p.offsetHeight && p.textContent.length > 300)"
        ".map((p) => p.textContent.length / Math.round(p.offsetHeight / parseFloat(getComputedStyle(p).lineHeight)))"
    )
    assert len(characters) > 10 and 60 < sum(characters) / len(characters) < 80
    page.close()


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_leads_on_to_its_exercise(site, chapter):
    soup = BeautifulSoup((site.html / f"{chapter.stem}.html").read_text("utf-8"), "html.parser")
    assert [link["href"] for link in soup.select(".prev-next-area .to-exercise")] == [f"exercises/{chapter.stem}.html"]


def test_a_page_opened_from_the_disk_draws_maths_and_widgets(site, browser):
    page = browser.new_page()
    page.goto((site.html / "01-transfer-learning.html").as_uri())
    draw_widgets(page)
    expect(page.get_by_role("group", name="Predict, then run").first).to_be_visible()
    expect(page.get_by_role("slider", name="Frozen layers")).to_be_visible()
    expect(page.locator(".math math").first).to_be_visible()
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_code_that_is_not_marked_has_the_color_that_its_mark_would_give(site, theme):
    style = (site.html / "_static" / "pygments.css").read_text("utf-8")
    rules = dict(re.findall(rf'\[data-theme="{theme}"\] \.highlight ?(\S*) {{[^}}]*?\bcolor: (\S+) ', style))
    unmarked = re.search(r"\(\?:([\w|]+)\)", light.PLAIN_CODE.pattern)[1].split("|")
    assert {rules[f".{name}"] for name in unmarked} == {rules[""]}
    assert not light.PLAIN_CODE.search((site.html / f"{CHAPTERS[0].stem}.html").read_text("utf-8"))


MIDDLE = "where-it-went"
PIECEMEAL = "document.documentElement.hasAttribute('data-piecemeal')"


@pytest.fixture
def opened(site, browser):
    """Opens the first chapter at a place, and notes whether it begins to be laid out a section at a time."""
    context = browser.new_context(viewport=WIDE)

    def opened(at="", idle=True):
        page = context.new_page()
        page.add_init_script(f"document.addEventListener('DOMContentLoaded', () => {{ window.begun = {PIECEMEAL}; }})")
        if not idle:
            page.add_init_script("window.requestIdleCallback = () => {}")
        page.goto(f"{site.url}/{CHAPTERS[0].stem}.html{at}", wait_until="networkidle")
        return page

    yield opened
    context.close()


def test_a_page_is_laid_out_a_section_at_a_time_and_in_the_end_as_it_would_be_at_once(opened):
    heights, begun = {}, {}
    for at in ("", f"#{MIDDLE}"):
        page = opened(at)
        lay_out(page)
        draw_widgets(page)
        begun[at], heights[at] = page.evaluate("[window.begun, document.documentElement.scrollHeight]")
    assert list(begun.values()) == [True, False]
    assert len(set(heights.values())) == 1 and heights[""] > 10 * WIDE["height"]


def test_what_is_not_seen_waits_for_the_readers_first_sign(opened):
    page = opened()
    left = "document.querySelectorAll('.bd-article > section > section:not(.laid-out)').length"
    assert page.evaluate(f"[{PIECEMEAL}, document.querySelector('.laid-out')]") == [True, None]
    page.mouse.move(300, 300)
    page.wait_for_function(f"{left} === 0 && !{PIECEMEAL}")


def test_a_menu_opens_at_the_readers_first_sign(opened):
    page = opened()
    assert page.evaluate("[typeof bootstrap, typeof ClipboardJS]") == ["undefined", "undefined"]
    page.locator(".dropdown-source-buttons > button").dispatch_event("click")  # with no move before it
    expect(page.locator(".dropdown-source-buttons .dropdown-menu")).to_be_visible()
    assert page.locator(".highlight .copybtn").count() > 50


@pytest.mark.parametrize("link", ["beside it", "on another page"])
def test_a_page_opens_where_its_link_leads(opened, link):
    page = opened(f"#{MIDDLE}" if link == "on another page" else "", idle=False)
    if link == "beside it":
        assert page.evaluate(PIECEMEAL)
        page.locator(f".page-toc a[href='#{MIDDLE}']").click()
    assert not page.evaluate(PIECEMEAL)
    expect(page.locator(".coursekit-widget[data-widget]:not(:has([class^=ck-]))")).to_have_count(0)
    page.wait_for_function(f"Math.abs(document.getElementById('{MIDDLE}').getBoundingClientRect().top) < 100")


def test_a_widget_is_drawn_when_the_reader_comes_near(opened):
    page = opened(idle=False)
    last = page.locator(".coursekit-widget[data-widget]").last
    expect(page.locator("[class^=ck-]").first).to_be_visible()
    expect(last.locator("[class^=ck-]")).to_have_count(0)
    last.scroll_into_view_if_needed()
    expect(last.locator("[class^=ck-]").first).to_be_visible()


def test_a_page_that_is_loaded_again_is_whole_at_once(opened):
    page = opened()
    page.reload()
    assert not page.evaluate("window.begun")


def test_a_long_state_comes_when_its_widget_is_drawn(site, browser):
    soup = read(site, CHAPTERS[2].stem)
    assert all(len(widget["data-state"]) < 50_000 for widget in soup.select(".coursekit-widget[data-state]"))
    (name,) = [widget["data-state-in"] for widget in soup.select(".coursekit-widget[data-state-in]")]
    assert (site.html / "_static" / "widgets" / name).stat().st_size > 50_000
    page, asked = browser.new_page(viewport=WIDE), []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.goto(f"{site.url}/{CHAPTERS[2].stem}.html", wait_until="networkidle")
    assert name not in asked
    draw_widgets(page)
    assert asked.count(name) == 1
    page.close()


@pytest.mark.parametrize("marking", ["", "x.forEach((e=>{e.tabIndex=e.scrollWidth>e.clientWidth?0:-1}));" * 2])
def test_a_theme_that_marks_boxes_otherwise_fails_the_build(tmp_path, marking):
    script = tmp_path / "_static" / accessible.THEMES
    script.parent.mkdir(parents=True)
    script.write_text(marking)
    app = SimpleNamespace(builder=SimpleNamespace(name="html"), outdir=tmp_path)
    with pytest.raises(ExtensionError, match=f"in {marking.count('forEach')} places instead of one"):
        accessible.leave_boxes(app, None)
    assert script.read_text() == marking


def test_a_fork_points_at_itself(monkeypatch):
    address = repository_address.address
    assert address().startswith("https://github.com/")
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/their-fork")
    assert address() == "https://github.com/someone/their-fork"


def test_it_says_what_it_is_to_those_who_share_it(site, name):
    page = read(site, name)
    said = {tag.get("name") or tag.get("property"): tag["content"] for tag in page.select("meta[content]")}
    (title,), (canonical,) = page.select("title"), page.select("link[rel=canonical]")
    title_of_course, heading = course.read().title, page.h1.get_text().removesuffix("#")
    assert title.get_text() == said["og:title"] == said["twitter:title"]
    assert title.get_text() == (title_of_course if name == "index" else f"{heading} — {title_of_course}")
    assert 40 < len(said["description"]) <= 200
    assert said["description"] == said["og:description"] == said["twitter:description"]
    assert canonical["href"] == said["og:url"] == repository_address.site() + f"{name}.html".removeprefix("index.html")
    card = site.html / said["og:image"].removeprefix(repository_address.site())
    assert said["og:image"] == said["twitter:image"]
    assert Image.open(card).size == (1200, 630)
    assert canonical["href"] in (site.html / "sitemap.xml").read_text("utf-8")


def test_every_page_has_a_description_of_its_own(site):
    said = [read(site, name).select_one("meta[name=description]")["content"] for name in pages()]
    assert len(set(said)) == len(said)


def test_the_sites_address_follows_the_repository(monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "Someone/their-fork")
    assert repository_address.site() == "https://someone.github.io/their-fork/"
    assert "someone.github.io/their-fork/02-x.html" in share.bibtex("02-x", "X", "2026")
    monkeypatch.setenv("GITHUB_REPOSITORY", "Someone/someone.github.io")
    assert repository_address.site() == "https://someone.github.io/"


def test_a_card_is_drawn_again_only_when_it_changes(tmp_path):
    content = ("Title", "What it is about.", [(2, "confirmed")], "Course", "#08519c")
    card = share.draw_once(tmp_path, "part/page", content)
    (tmp_path / card).write_text("drawn")
    assert share.draw_once(tmp_path, "part/page", content) == card
    assert (tmp_path / card).read_text() == "drawn"
    other = share.draw_once(tmp_path, "part/page", ("Other", *content[1:]))
    assert [path.name for path in (tmp_path / card).parent.iterdir()] == [other.name] != [card.name]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_says_how_to_cite_it(site, chapter):
    page = read(site, chapter.stem)
    (cite,) = [block for block in page.select("details") if block.summary.get_text() == "Cite this chapter"]
    assert f"title = {{{{{page.h1.contents[0].get_text()}}}}}" in cite.pre.get_text()
    assert f"{repository_address.site()}{chapter.stem}.html" in cite.pre.get_text()


def test_what_is_not_found_leads_on_from_any_depth(site, browser):
    """As on GitHub Pages: the page comes under the address that was asked for."""
    page, wrong = browser.new_page(), []
    base = site.url + urlsplit(repository_address.site()).path
    page.route(f"{base}**", lambda route: fulfill(route, site.html, base))
    page.on("response", lambda answer: wrong.append(answer.url) if answer.status == 404 else None)
    page.goto(f"{base}no/such/page.html")
    assert wrong == [f"{base}no/such/page.html"]
    page.get_by_role("article").get_by_role("link", name="Normalization").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Normalization")
    page.close()


def fulfill(route, html, base):
    file = html / urlsplit(route.request.url.removeprefix(base)).path
    route.fulfill(path=file if file.is_file() else html / "404.html", status=200 if file.is_file() else 404)


@pytest.fixture
def at_search(site, browser):
    """A page with the dialog of its search open, and what it has asked of other hosts."""
    page, asked = browser.new_page(viewport=WIDE), []
    page.on("request", lambda request: asked.append(request.url) if is_external(request.url) else None)
    page.goto(f"{site.url}/exercises/02-normalization.html")
    page.keyboard.press("Control+k")
    yield page
    page.close()
    assert asked == []


def test_the_search_finds_sections_and_chapters_first(at_search):
    at_search.keyboard.type("batch norm")
    found = at_search.locator("#pst-search-dialog .found")
    expect(found.locator(".page").first).to_have_text("Normalization")
    names = found.locator(".page").all_inner_texts()
    assert [name for name in names if name.startswith("Exercise")], "or the test says nothing"
    expect(found.locator("ul a").first).to_have_text("Batch norm and the gradient")
    assert "Code" not in found.inner_text() and "\\(" not in found.inner_text()
    at_search.keyboard.press("Enter")
    expect(at_search.locator("#search-results .page").first).to_have_text("Normalization")
    at_search.locator("#search-results ul a").first.click()
    expect(at_search).to_have_url(re.compile(r"/02-normalization\.html#batch-norm-and-the-gradient$"))


def test_the_search_finds_a_claim_by_its_words(at_search):
    claim = claims.load()["transfer-features-generic"]
    at_search.keyboard.type(claim.statement)
    link = at_search.locator(f'.found a[href$="claims.html#{claim.id}"]')
    expect(link).to_contain_text(claim.statement[1:])


def test_a_search_on_the_disk_is_the_themes(site, browser):
    page = browser.new_page()
    page.goto((site.html / "index.html").as_uri())
    page.keyboard.press("Control+k")
    page.keyboard.type("dropout")
    expect(page.locator("#pst-search-dialog")).to_contain_text("press Enter for a search of pages.")
    page.keyboard.press("Enter")
    expect(page.locator("#search-results")).to_contain_text("Normalization")
    expect(page.get_by_text("these are the pages that have the words")).to_be_visible()
    page.close()


def test_the_site_is_built_without_pagefind(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pagefind_bin", None)
    search_index.index(tmp_path)
    assert capsys.readouterr().out.strip() == search_index.MISSING
    assert list(tmp_path.iterdir()) == []


def read(site, name):
    return BeautifulSoup((site.html / f"{name}.html").read_text("utf-8"), "html.parser")


def targets(page):
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    return {tag.get("href") or tag.get("src") for tag in soup.select("a[href], img[src], script[src], link[href]")}


@functools.cache
def ids(page):
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    return {tag["id"] for tag in soup.select("[id]")}
