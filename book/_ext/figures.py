"""Figures of the chapters: numbered, with a caption that says what to see, and drawn in the page's own colors.

The caption is the figure's alternative text. The means that ``plots`` adds to it are for those who do not see the
figure. A figure of lines and letters comes as SVG beside its PNG, and the page shows that: its text has the page's
font, and what is drawn in the color of text follows the theme.
"""

import html
import re

from docutils import nodes
from story import raw, read_cells

from coursekit import plots

SIZE = re.compile(r'<svg [^>]*?viewBox="0 0 ([\d.]+) ([\d.]+)"[^>]*>')
FONT = re.compile(r"font-family: [^;\"]*;? ?")
NOT_FOR_A_PAGE = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)  # a style is the whole page's
GROUP, NAMING = re.compile(r"(<g\b[^>]*(?<!/)>|</g>)"), re.compile(r'<g(?: id="[^"]*")?>')
OF_PAGE = {
    plots.INK: "currentColor",
    plots.PAPER: "var(--pst-color-background)",
    plots.GRID: "var(--pst-color-border)",
}
NAMES = re.compile(r'(\bid="|url\(#|xlink:href="#)')


def caption_figures(app, doctree):
    """Put each figure of a chapter into an element with its number and caption."""
    docname = app.env.docname
    cells = [node for node in doctree.findall(nodes.container) if node.get("nb_element") == "cell_code"]
    images = [(cell, image) for cell in cells for image in list(cell.findall(nodes.image))]
    if not images:
        return
    read = read_cells(app.env.doc2path(docname))
    for number, (cell, image) in enumerate(images, start=1):
        name = f"figure-{number}"
        says, _, means = image["alt"].partition(f" {plots.MEANS}")
        spoken = f"{plots.MEANS}{means}" if means else ""
        drawing = svg_of(read[cell["cell_index"]], name, spoken)
        image["alt"] = spoken
        title = f"<strong>Figure {int(docname[:2])}.{number}.</strong> "
        caption = f"<figcaption>{title}{html.escape(says)}</figcaption></figure>"
        shown = raw(drawing) if drawing else image
        image.replace_self([raw(f'<figure id="{name}"><div>'), shown, raw(f"</div>{caption}")])


def svg_of(cell, name, spoken):
    """The SVG of a cell's figure for the page, or an empty text where it has none."""
    found = [output["data"][plots.SVG] for output in cell["outputs"] if plots.SVG in output.get("data", {})]
    if not found:
        return ""
    source = "".join(found[0])
    width, height = SIZE.search(source).groups()
    label = f'role="img" aria-label="{html.escape(spoken)}"' if spoken else 'aria-hidden="true"'
    size = f"width: {width}pt; aspect-ratio: {width} / {height}"
    opening = f'<svg class="drawn" viewBox="0 0 {width} {height}" style="{size}" {label}>'
    drawn = SIZE.sub(opening, without_groups(NOT_FOR_A_PAGE.sub("", source[source.index("<svg") :])), count=1)
    # Each figure its own names: a page must not have one twice.
    named = NAMES.sub(rf"\g<1>{name}-", FONT.sub("", drawn))
    for color, of_page in OF_PAGE.items():
        named = named.replace(color, of_page)
    return named


def without_groups(drawing):
    """A drawing without the groups that only name what is in them, a third of its elements."""
    kept, opened = [], []
    for part in GROUP.split(drawing):
        if part.startswith("<g"):
            opened.append("" if NAMING.fullmatch(part) else part)
            kept.append(opened[-1])
        else:
            kept.append("" if part == "</g>" and not opened.pop() else part)
    return "".join(kept)


def setup(app):
    app.connect("doctree-read", caption_figures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
