"""Sentences in parentheses as notes in the margin, where a screen has one, so that they do not interrupt.

In a notebook, and where a screen is narrow or the page is printed, they stand in their parentheses as they are written.
"""

import re

from docutils import nodes

SHORTEST = 60  # characters
# Of a full line of the text and of the margin, at most and about: a note must not hang above its paragraph.
TEXT, MARGIN = 82, 28
# A whole sentence: the parenthesis begins after another one, and its full stop is inside.
OPENING = re.compile(r"(?:^|(?<=[.?!:;]\s))\((?=\W*[A-Z])")
CLOSING = re.compile(r"(?<=[.?!])\)")


class MarginNote(nodes.inline):
    """A sentence beside its paragraph, which begins so many lines above the place that it comes from."""


def visit_margin_note(self, node):
    self.body.append(self.starttag(node, "span", "", CLASS="margin-note", style=f"--up: {node['up']}"))


def depart_margin_note(self, node):
    self.body.append("</span>")


def set_apart(app, doctree):
    """Mark the sentences in parentheses of a page that is made from a notebook."""
    if not any(node.get("nb_element") == "cell_code" for node in doctree.findall(nodes.container)):
        return
    for paragraph in list(doctree.findall(nodes.paragraph)):
        if isinstance(paragraph.parent, nodes.section):
            mark(paragraph)


def mark(paragraph):
    """Put each sentence in parentheses of a paragraph into a node of its own, from its parenthesis to the other."""
    made, begun = [], None  # the nodes of a sentence, while it lasts
    for child in paragraph.children:
        if not isinstance(child, nodes.Text):
            (made if begun is None else begun).append(child)
            continue
        rest = str(child)
        while found := (OPENING if begun is None else CLOSING).search(rest):
            before, rest = nodes.Text(rest[: found.start()]), rest[found.end() :]
            if begun is None:
                made, begun = [*made, before], []
            else:
                made, begun = [*made, note([*begun, before], made)], None
        (made if begun is None else begun).append(nodes.Text(rest))
    if begun is None:  # else a parenthesis is never closed, and stays as it is
        paragraph.children = []
        paragraph.extend(made)


def note(inside, before):
    """A node for a sentence in parentheses. The first of a paragraph hangs up beside what comes before it."""
    length = characters(inside)
    if length < SHORTEST:
        return nodes.inline("", "", nodes.Text("("), *inside, nodes.Text(")"))
    opening, closing = (nodes.inline("", sign, classes=["parenthesis"]) for sign in "()")
    is_first = not any(isinstance(node, MarginNote) for node in before)
    up = min(characters(before) // TEXT, length // MARGIN) if is_first else 0
    return MarginNote("", "", opening, *inside, closing, up=up)


def characters(some):
    return sum(len(node.astext()) for node in some)


def setup(app):
    app.add_node(MarginNote, html=(visit_margin_note, depart_margin_note))
    app.connect("doctree-read", set_apart)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
