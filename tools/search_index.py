"""Index the built site for its search, section by section, with Pagefind: `python tools/search_index.py HTML`.

Pagefind reads pages that are made for it: the prose of the articles, with the claims as sections of their own.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from bs4 import BeautifulSoup

# No prose: code, what cells print, questions' choices, and what is there for the mouse.
NO_PROSE = (
    ".mosaic, .claim-controls, .highlight, .coursekit-widget, .headerlink, .reading, .waits-bar, .guesses, .run-info, "
    "script, style, svg, pre"
)
# The source beside its prose: the API page has the same docstrings.
NOT_INDEXED = "source"
# What the site does not use of what Pagefind writes: its own dialogs.
NOT_USED = ("*ui*", "pagefind-highlight.js", "wasm.unknown.pagefind")
MISSING = "Pagefind is not installed: the site has the theme's own search, which knows pages, and no sections."


def index(html):
    """Write `html/pagefind`, or say what is missing. The site's search.js does without."""
    try:
        from pagefind_bin import get_executable

        pagefind = get_executable()
    except (ImportError, FileNotFoundError):
        print(MISSING)
        return
    with tempfile.TemporaryDirectory() as folder:
        sources = html / "_sources"  # lists of other pages have none
        for source in (path for path in sources.rglob("*") if path.is_file() and path.parent.name != NOT_INDEXED):
            page = source.relative_to(sources).with_suffix(".html")
            copy = Path(folder) / page
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(prose((html / page).read_text("utf-8")), "utf-8")
        output = html / "pagefind"
        subprocess.run([pagefind, "--site", folder, "--output-path", output, "--quiet"], check=True)
    for file in (file for pattern in NOT_USED for file in output.glob(pattern)):
        file.unlink()


def prose(page):
    """The page as Pagefind reads it: a section begins at a heading that has an id."""
    soup = BeautifulSoup(page, "html.parser")
    article = soup.select_one("article.bd-article")
    for element in article.select(NO_PROSE):
        element.decompose()
    for math in article.select("span.math"):
        math.string = math.annotation.get_text().replace("\\", "")  # \gamma: gamma
    for heading in article.select("section[id] > :is(h1, h2, h3, h4)"):
        heading["id"] = heading.parent["id"]
        del heading.parent["id"]
    # A claim is a card in a chapter, and in the ledger a row.
    for claim in article.select("[id]:has(> .claim-card), .claim-rows > li"):
        statement, place = claim.select_one(".statement"), claim if claim.get("id") else claim.select_one("[id]")
        statement.name, statement["id"] = "h3", place["id"]
        del place["id"]
    return f'<html lang="{soup.html["lang"]}"><body>{article}</body></html>'


if __name__ == "__main__":
    index(Path(sys.argv[1]))
