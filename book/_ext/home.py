"""The home page: a claim with its card, all verdicts as tiles, chapters with a picture, and a widget."""

import base64
import html
import io
from itertools import groupby
from pathlib import Path

import ledger
import repository_address
from docutils import nodes
from docutils.parsers.rst import directives
from figures import svg_of
from PIL import Image
from sphinx.util.docutils import SphinxDirective
from story import minutes, progress, raw, read_cells

from coursekit import claims, widgets

THUMBNAIL = (480, 480)


class Claim(ledger.ClaimsDirective):
    """The card of one claim, by its id."""

    required_arguments = 1

    def run(self):
        stated, measured = self.read()
        claim = stated.get(self.arguments[0])
        if claim is None:
            raise ledger.LedgerError(f"{self.env.docname} shows the claim {self.arguments[0]!r}, which does not exist.")
        page, _ = ledger.chapter_page(Path(self.env.srcdir), claim.chapter)
        return [ledger.card(claim, measured, page)]


class Mosaic(ledger.ClaimsDirective):
    """A tile for every verdict, by chapter, which says its sentence when it is pointed at and leads to its row."""

    def run(self):
        stated, measured = self.read()
        rows = []
        for topic, of_chapter in groupby(stated.values(), key=lambda claim: claim.chapter):
            page, title = ledger.chapter_page(Path(self.env.srcdir), topic)
            tiles = "".join(self.tile(claim, claims.judged(claim.id, measured)[0]) for claim in of_chapter)
            rows.append(f'<dt><a href="{page}.html">{html.escape(title)}</a></dt><dd>{tiles}</dd>')
        return [raw(f'<dl class="mosaic">{"".join(rows)}</dl>')]

    @staticmethod
    def tile(claim, verdict):
        kind = verdict.replace(" ", "-")
        says = f"<span><b>{verdict}</b> {html.escape(claim.statement)}</span>"
        return f'<a class="verdict {kind}" href="claims.html#{claim.id}">{ledger.MARKS[verdict]}{says}</a>'


class Chapter(ledger.ClaimsDirective):
    """A chapter on the home page: its picture, what it is about, its verdicts, and where to read or run it."""

    required_arguments = 1
    has_content = True
    option_spec = {"picture": directives.unchanged_required, "alt": directives.unchanged_required}  # noqa: RUF012

    def run(self):
        page, path = self.arguments[0], Path(self.env.srcdir, f"{self.arguments[0]}.ipynb")
        self.env.note_dependency(str(path))
        cells = read_cells(str(path))
        number, title = int(page[:2]), "".join(cells[0]["source"]).partition("\n")[0].lstrip("# ")
        body = nodes.container("", classes=["chapter-text"])
        body += raw(f'<h3><a href="{page}.html">{number} · {html.escape(title)}</a></h3>')
        self.state.nested_parse(self.content, self.content_offset, body)
        body += raw(f"<p>{self.counts(page)}</p>")
        body += raw(f'<p class="chapter-links">{self.links(page, cells)}</p>')
        return [nodes.container("", raw(self.picture(page, cells)), body, classes=["chapter-entry"])]

    def picture(self, page, cells):
        (cell,) = [cell for cell in cells if cell["id"] == self.options["picture"]]
        drawn = svg_of(cell, f"picture-{page[:2]}", self.options["alt"])
        if not drawn:
            (png,) = [output["data"]["image/png"] for output in cell["outputs"] if "image/png" in output["data"]]
            drawn = thumbnail(base64.b64decode(png), self.options["alt"])
        return f'<a class="chapter-picture" href="{page}.html" tabindex="-1">{drawn}</a>'

    def counts(self, page):
        stated, measured = self.read()
        of_chapter = [name for name, claim in stated.items() if claim.chapter in page]
        each = ", ".join(f"{count} {verdict}" for count, verdict in ledger.counted(of_chapter, measured))
        return f"<b>{len(of_chapter)} claims</b>: {each}"

    def links(self, page, cells):
        run = repository_address.links_to_run(self.config.html_theme_options, page)
        links = [f'<a href="{page}.html">Read</a> ({minutes(cells)} minutes)', *run]
        return f"{' · '.join(links)} {progress(cells)}"


def thumbnail(png, alt):
    """A picture of a cell, small enough to stand in the page."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.thumbnail(THUMBNAIL)
    small = io.BytesIO()
    picture.save(small, "webp", quality=80)
    source = f"data:image/webp;base64,{base64.b64encode(small.getvalue()).decode()}"
    return f'<img src="{source}" alt="{html.escape(alt)}" width="{picture.width}" height="{picture.height}">'


class WidgetDirective(SphinxDirective):
    """A widget that needs nothing from a notebook, by the name of its class."""

    required_arguments = 1

    def run(self):
        return [raw(getattr(widgets, self.arguments[0])().html())]


def setup(app):
    app.add_directive("claim", Claim)
    app.add_directive("claims-mosaic", Mosaic)
    app.add_directive("chapter", Chapter)
    app.add_directive("widget", WidgetDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
