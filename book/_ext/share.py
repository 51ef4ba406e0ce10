"""What a page says of itself: to those who share it, to search engines, and to those who cite it.

The card of a page is a picture with its title, what it is about, and for a chapter the count of its verdicts.
"""

import hashlib
import inspect
import re
import textwrap
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import course
import ledger
import logo
import repository_address
import yaml
from docutils import nodes
from story import raw

from coursekit import claims

CITATION = Path(__file__).parents[2] / "CITATION.cff"
CHAPTER = re.compile(r"\d+-(\w+)")
CARDS = Path("_static") / "share"
SIZE = (1200, 630)
INK, MUTED, PAPER = "#1f2328", "#57606a", "#ffffff"
NO_BREAK = "\N{NO-BREAK SPACE}"
RELATIVE = re.compile(r'\b(href|src|action|data-content_root)="(?![a-z]+:|[/#])(?:\./)?([^"]*)"')


def describe(app, pagename, templatename, context, doctree):
    """Give the templates what a page says of itself, and draw its card."""
    name = re.sub(r"<.*?>", "", context.get("title") or "Search")
    title = name if name == app.config.html_title else f"{name} — {app.config.html_title}"
    url = repository_address.site() + re.sub(r"^index\.html$", "", f"{pagename}.html")
    context["pageurl"] = url
    context["share"] = SimpleNamespace(title=title, url=url)
    if doctree is not None:
        said = description(app.env.metadata[pagename], doctree)
        verdicts = verdicts_of(pagename)
        card = draw_once(Path(app.outdir), pagename, (name, said, verdicts, *of_course()))
        vars(context["share"]).update(description=said, image=address_of(card))


def of_course():
    """What every card has of the course: its title and its color."""
    read = course.read()
    return read.title, read.color


def address_of(card):
    return f"{repository_address.site()}{card.as_posix()}"


def description(front_matter, doctree):
    """What the front matter says, or the first paragraph of prose, as one line."""
    prose = (
        node.astext()
        for node in doctree.findall(nodes.paragraph)
        if isinstance(node.parent, (nodes.section, nodes.container)) and len(node.astext()) > 40
    )
    text = front_matter.get("description") or next(prose, citation()["abstract"])
    return textwrap.shorten(text, 200, placeholder=" …")


def verdicts_of(pagename):
    """The verdicts of a chapter, counted, and none for another page."""
    chapter = CHAPTER.match(pagename)
    stated, measured = (claims.load(), claims.verify()) if chapter else ({}, {})
    of_chapter = [name for name, claim in stated.items() if chapter[1].startswith(claim.chapter)]
    return ledger.counted(of_chapter, measured)


def draw(title, line, verdicts, course, color):
    """Draw a card: the course above, the title, a line or two, and a chapter's verdicts below."""
    image, pen = canvas(course, color)
    name = textwrap.fill(title, 26, max_lines=2, placeholder=" …")
    pen.multiline_text((80, 190), name, INK, font("Bold", 68), spacing=14)
    _, _, _, bottom = pen.multiline_textbbox((80, 190), name, font("Bold", 68), spacing=14)
    about = textwrap.fill(line, 58, max_lines=3 if verdicts else 4, placeholder=" …")
    pen.multiline_text((80, bottom + 34), about, MUTED, font("", 31), spacing=12)
    counts = " · ".join(f"{count} {verdict}".replace(" ", NO_BREAK) for count, verdict in verdicts)
    pen.multiline_text((80, 585), textwrap.fill(counts, 60), color, font("Bold", 28), anchor="ld")
    return image


def draw_once(folder, pagename, content, draw=draw):
    """Return the place of a page's card, whose name changes with what is on it; without a change it is there."""
    made_of = repr(content).encode() + Path(__file__).read_bytes() + inspect.getsource(draw).encode()
    stem = pagename.replace("/", "-")
    card = CARDS / f"{stem}-{hashlib.sha256(made_of).hexdigest()[:12]}.png"
    if not (folder / card).exists():
        (folder / CARDS).mkdir(parents=True, exist_ok=True)
        for old in (folder / CARDS).glob(f"{stem}-{'?' * 12}.png"):
            old.unlink()
        draw(*content).save(folder / card, optimize=True)
    return card


def canvas(title, color):
    """A card with the course above, and the pen that draws the rest."""
    from PIL import Image, ImageDraw  # not for a page whose card is there

    image = Image.new("RGB", SIZE, PAPER)
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 0, 18, SIZE[1]), fill=color)
    image.paste(logo.draw(80, color), (80, 60))
    pen.text((180, 100), title, INK, font("Bold", 34), anchor="lm")
    return image, pen


@cache
def font(weight, size):
    """A font that comes with Matplotlib."""
    from PIL import ImageFont

    folder = Path(find_spec("matplotlib").origin).parent / "mpl-data" / "fonts" / "ttf"
    return ImageFont.truetype(folder / f"DejaVuSans{'-' * bool(weight)}{weight}.ttf", size)


@cache
def citation():
    return yaml.safe_load(CITATION.read_text("utf-8"))


def add_citation(app, doctree):
    """End a chapter with how to cite it, folded."""
    docname = app.env.docname
    if not CHAPTER.match(docname):
        return
    app.env.note_dependency(str(CITATION))
    title = next(iter(doctree.findall(nodes.title)))
    entry = bibtex(docname, title.astext(), app.config.copyright)
    block = nodes.literal_block(entry, entry, language="bibtex")
    title.parent.extend([raw("<details><summary>Cite this chapter</summary>"), block, raw("</details>")])


def bibtex(docname, title, year):
    cited = citation()
    fields = {
        "author": " and ".join(author_of(each) for each in cited["authors"]),
        "title": f"{{{title}}}",
        "booktitle": f"{{{cited['title']}}}",
        "year": year,
        "note": f"Version {cited['version']}",
        "url": f"{repository_address.site()}{docname}.html",
    }
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@incollection{{convnets-{docname},\n{lines}\n}}"


def author_of(person):
    """An author of CITATION.cff for BibTeX: a person, or a group, whose name stays in one piece."""
    return f"{{{person['name']}}}" if "name" in person else f"{person['family-names']}, {person['given-names']}"


def page_not_found(app):
    """The page that a server shows for an address that does not exist."""
    titles = {name: app.env.titles[name].astext() for name in sorted(app.env.all_docs) if CHAPTER.match(name)}
    yield "404", {"title": "Page not found", "chapters": titles}, "404.html"


def write_for_robots(app, error):
    """Write what search engines ask for and a telephone's icon, and mend the page for what is not found."""
    if error:
        return
    folder = Path(app.outdir)
    pages = sorted(app.env.all_docs)
    urls = [repository_address.site() + app.builder.get_target_uri(name) for name in pages]
    lines = [f"<url><loc>{escape(re.sub(r'/index.html$', '/', url))}</loc></url>" for url in urls]
    opening = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
    (folder / "sitemap.xml").write_text("\n".join([opening, *lines, "</urlset>\n"]), "utf-8")
    robots = f"User-agent: *\nAllow: /\nSitemap: {repository_address.site()}sitemap.xml\n"
    (folder / "robots.txt").write_text(robots, "utf-8")
    logo.draw(180, course.read().color).save(folder / "_static" / "apple-touch-icon.png")
    # A server shows it at any depth, where a relative address would lead elsewhere.
    page, base = folder / "404.html", urlsplit(repository_address.site()).path
    page.write_text(RELATIVE.sub(rf'\1="{base}\2"', page.read_text("utf-8")), "utf-8")


def setup(app):
    app.connect("doctree-read", add_citation)
    app.connect("html-page-context", describe)
    app.connect("html-collect-pages", page_not_found)
    app.connect("build-finished", write_for_robots)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
