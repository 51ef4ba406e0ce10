"""What the theme's own HTML lacks: roles and names that axe-core asks for, and boxes that the keyboard can scroll.

The theme looks for such boxes, too, but asks each for its size and marks it before it asks the next, so that the
browser lays out the page once for every box, folded ones included: most of a second of a chapter on a phone.
"""

import re
from pathlib import Path

import offline
from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.writers.html5 import HTML5Translator

SCRIPT = Path(__file__).with_name("accessible.js")
THEMES = "scripts/pydata-sphinx-theme.js"
MARKS_BOXES = re.compile(r"\.forEach\(\(?(\w)=>\{\1\.tabIndex=\1\.scrollWidth>[^{}]*\}\)?\)")


def visit_citation(self, node):
    """An item of a list, as the element around it says; the role that docutils writes is not allowed on a div."""
    HTML5Translator.visit_citation(self, node)
    self.body[-1] = self.body[-1].replace("doc-biblioentry", "listitem")


def name_toggles(app, pagename, templatename, context, doctree):
    """Say to those who only hear it what a button folds in the list of pages: those that belong to the one before."""
    draw = context["generate_toctree_html"]

    def named(*arguments, **options):
        pages = draw(*arguments, **options)
        for button in pages.select("summary") if pages else ():
            button["aria-label"] = f"Pages of {button.find_previous('a').get_text()}"
        return pages

    context["generate_toctree_html"] = named


def leave_boxes(app, error):
    """Take the marking of boxes out of the theme's script."""
    if error or app.builder.name != "html":
        return
    script = Path(app.outdir, "_static", THEMES)
    cut, times = MARKS_BOXES.subn("", script.read_text("utf-8"))
    if times != 1:
        raise ExtensionError(
            f"The theme's {THEMES} marks boxes that scroll in {times} places instead of one: look whether it still does"
            " so for one box after the other, and mend MARKS_BOXES in book/_ext/accessible.py or take it out."
        )
    script.write_text(cut, "utf-8")


def setup(app):
    app.add_node(nodes.citation, override=True, html=(visit_citation, HTML5Translator.depart_citation))
    offline.publish(app, SCRIPT)
    app.add_js_file(SCRIPT.name)
    app.connect("html-page-context", name_toggles, priority=900)  # behind the theme
    app.connect("build-finished", leave_boxes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
