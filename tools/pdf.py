"""Print the course as one PDF: `python tools/pdf.py HTML FILE`, of the built site.

The chapters, the glossary and the references become one page, so that what leads from one to another leads there in the
PDF, too; all else is on the web. Chromium prints it, with bookmarks from the headings. A widget is there as it is
without a script: a question with all its answers, a toy with a picture or a sentence in its place.
"""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import jinja2
import needs
import slides
from bs4 import BeautifulSoup
from playwright.sync_api import sync_playwright
from weight import serve

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import course  # noqa: E402
import repository_address  # noqa: E402

TEMPLATE = ROOT / "book" / "_templates" / "pdf.html"
NAME = "course.html"  # of the one page, beside the site's
OTHERS = ("glossary", "references")
ARTICLE = re.compile(r"<article.*</article>", re.DOTALL)
# What names something, and what leads to a name in its own page; of a drawing, too.
NAMES = re.compile(r'(\b(?:id|for|aria-labelledby)="|\bhref="#|url\(#)(?=[^"#)])')
LINK = re.compile(r'\bhref="(?![a-z]+:|#)([^"#]*)(#[^"]*)?"')
NOT_PRINTED = ".headerlink, .reading, .waits-bar, .guesses, .cite, script, style, details.hide"
ASSETS = "style, link[rel=stylesheet]"
FOOTER = '<p style="width: 100%; font-size: 8pt; text-align: center"><span class="pageNumber"></span></p>'


def write(html, file):
    """Print the site in a folder to a file."""
    (html / NAME).write_text(one_page(html), "utf-8")
    server = serve(html)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=needs.chromium(), args=needs.CHROMIUM_FLAGS)
            page = browser.new_page(color_scheme="light")
            page.goto(f"http://127.0.0.1:{server.server_port}/{NAME}", wait_until="networkidle", timeout=300_000)
            page.evaluate("document.fonts.ready.then(() => true)")
            page.pdf(
                path=file,
                prefer_css_page_size=True,
                outline=True,
                tagged=True,
                display_header_footer=True,
                header_template="<p></p>",
                footer_template=FOOTER,
            )
            browser.close()
    finally:
        server.shutdown()
        (html / NAME).unlink()


def one_page(html):
    """Put the pages of a site one after another, behind a title and the contents."""
    names = [*sorted(path.stem for path in html.glob(slides.CHAPTERS)), *OTHERS]
    first = BeautifulSoup((html / f"{names[0]}.html").read_text("utf-8").partition("<body")[0], "html.parser")
    template = jinja2.Template(TEMPLATE.read_text("utf-8"))
    return template.render(
        course=course.read(),
        site=repository_address.site(),
        assets=first.select(ASSETS),
        pages=[printed(name, (html / f"{name}.html").read_text("utf-8"), names) for name in names],
    )


def printed(name, text, names):
    """A page's `name`, `title`, `sections` (pairs of id and title) and `body`, with ids that no other page has."""
    article = NAMES.sub(rf"\g<1>{name}--", ARTICLE.search(text)[0])
    article = LINK.sub(lambda link: f'href="{target(link[1], link[2] or "", names)}"', article)
    bare, put_back = slides.without_drawings(article)
    soup = BeautifulSoup(bare, "html.parser").article
    for element in soup.select(NOT_PRINTED):
        element.decompose()
    for closed in soup.select("details"):
        closed["open"] = ""
    for image in soup.select("img[loading]"):
        del image["loading"]
    headings = [(heading.parent["id"], heading.decode_contents()) for heading in soup.select("section[id] > h2")]
    return SimpleNamespace(
        name=name,
        title=soup.h1.decode_contents(),
        sections=headings if name not in OTHERS else [],
        body=put_back(soup.decode_contents()),
    )


def target(page, place, names):
    """Where a link to another page of the site leads in the PDF."""
    name = page.removesuffix(".html")
    if name in names:
        return f"#{name}--{place[1:]}" if place else f"#{name}"
    return repository_address.site() + page + place


if __name__ == "__main__":
    folder, output = map(Path, sys.argv[1:])
    if not any(folder.glob(slides.CHAPTERS)):
        print(f"There is no chapter in {folder}: build the site first, with `make book`.", file=sys.stderr)
        sys.exit(2)
    write(folder, output)
    print(f"The course is printed: {output}.")
