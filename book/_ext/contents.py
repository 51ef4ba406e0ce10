"""The contents of a page beside it: a mark for every verdict of a section, which waits as the verdict does.

The script marks the section that is read, and keeps it in sight where the contents are longer than the screen.
"""

import re
from pathlib import Path

import ledger
import offline
from docutils import nodes

SCRIPT = Path(__file__).with_name("contents.js")
ENTRY = re.compile(r'(<a [^>]*href="#([^"]+)"[^>]*>.*?)</a>', re.DOTALL)
MEASURED = re.compile(rf"{ledger.place('')}([\w-]+)$")


def mark_verdicts(app, pagename, templatename, context, doctree):
    """Put the verdicts of each section behind its name."""
    if doctree is None:
        return
    marks = marks_by_section(doctree)
    context["toc"] = ENTRY.sub(lambda entry: f"{entry[1]}{marks.get(entry[2], '')}</a>", context["toc"])


def marks_by_section(doctree):
    """The marks of the claims that have cards on a page, as HTML by the id of the section."""
    marks, measured = {}, None
    for node in doctree.findall(nodes.container):
        claim = next(filter(None, map(MEASURED.match, node["ids"])), None)
        if claim:
            measured = measured or ledger.claims.verify()
            verdict, _ = ledger.claims.judged(claim[1], measured)
            section, waits = surroundings(node)
            for name in section["ids"]:
                marks[name] = marks.get(name, "") + mark(verdict, waits)
    return marks


def surroundings(node):
    """The section that a node is in, and the classes by which it waits for a guess."""
    waits = []
    while not isinstance(node, nodes.section):
        waits += [name for name in node.get("classes", ()) if name.startswith("waits-")]
        node = node.parent
    return node, waits


def mark(verdict, waits):
    classes = " ".join(["verdict", verdict.replace(" ", "-"), *waits])
    sign = f'<span class="{classes}" role="img" aria-label="{verdict}" title="{verdict}">{ledger.MARKS[verdict]}</span>'
    return f' <span class="outcome">{sign}</span>'


def setup(app):
    app.connect("html-page-context", mark_verdicts)
    offline.publish(app, SCRIPT)
    app.add_js_file(SCRIPT.name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
