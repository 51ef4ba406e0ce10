"""What a word of the glossary means, and which paper a link leads to, where the reader points at it.

The first time that a page uses a word of the glossary, the word leads there. A link to a paper leads where it led, and
``references.bib`` says which paper it is. The script shows what ``data-hover`` says, to pointer and keyboard.
"""

import re
import textwrap
from functools import cache
from pathlib import Path

import offline
from docutils import nodes
from sphinx import addnodes

SCRIPT = Path(__file__).with_name("hovers.js")
GLOSSARY = "glossary"
LONGEST = 320  # characters
# Words of the glossary that a page also uses as everybody does: a link would promise what the word does not keep.
ORDINARY = {
    *("check", "claim", "drifted", "experiment", "feature", "freezing", "head", "latent", "ledger", "multiplication"),
    *("path", "profile", "record", "replay", "residual", "seed", "tap", "undecided", "verdict"),
}
# What a word of prose is no part of.
OTHERS = (nodes.reference, nodes.title, nodes.literal, nodes.raw, nodes.math, nodes.target, addnodes.desc)
PAPER = re.compile(r"https?://(?:arxiv\.org/(?:abs|pdf)/|doi\.org/)([^?#]+?)(?:v\d+)?(?:\.pdf)?$")
ADDRESS = re.compile(r"\s*(?:URL: |arXiv:|doi:)\S+$")  # of a reference, which the link has


class Hover(nodes.reference):
    """A link that says what it leads to."""


def visit_hover(self, node):
    attributes = {"href": node.get("refuri") or f"#{node['refid']}", "data-hover": node["says"]}
    self.body.append(self.starttag(node, "a", "", CLASS="says", **attributes))


def depart_hover(self, node):
    self.body.append("</a>")


def link(app, doctree, docname):
    """Let the words and links of a page say what they lead to."""
    terms, known = sayings(app.env)
    for reference in list(doctree.findall(nodes.reference)):
        if says := known.get(target(reference)):
            reference.replace_self(Hover("", "", *reference.children, **reference.attributes, says=says))
    if terms and docname != GLOSSARY:
        link_words(doctree, terms, app.builder.get_relative_uri(docname, GLOSSARY))


@cache
def sayings(environment):
    """The words of the glossary; and what is said of each place there and of each paper, by what `target` returns."""
    terms = glossary(environment)
    return terms, dict(terms.values()) | papers(environment.get_domain("cite").citations)


def target(reference):
    """What a link leads to: a paper's number, its address, or the id of a place in the course."""
    address = reference.get("refuri", "")
    paper = PAPER.match(address)
    return paper[1] if paper else address.partition("#")[2] or reference.get("refid") or address


def papers(citations):
    """What is said of each paper, by its id on the page of references and by its number or address."""
    said = {}
    for citation in citations:
        text = ADDRESS.sub("", citation.formatted_entry.text.render_as("text"))
        fields = citation.entry.fields
        known = [fields[name] for name in ("eprint", "doi", "url") if name in fields]
        said |= dict.fromkeys([citation.citation_id, *known], text)
    return said


def glossary(environment):
    """The words of the glossary: each with the id of its place there, and what it says."""
    if GLOSSARY not in environment.all_docs:  # a fork may have none
        return {}
    items = environment.get_doctree(GLOSSARY).findall(nodes.definition_list_item)
    return {
        item[0].astext(): (item[0]["ids"][0], textwrap.shorten(item[-1].astext(), LONGEST, placeholder=" …"))
        for item in items
    }


def link_words(doctree, terms, address):
    """Let the first of every word of the glossary in a page's paragraphs lead there."""
    left = {name.lower(): place for name, place in terms.items() if name not in ORDINARY}
    longest_first = sorted(map(re.escape, left), key=len, reverse=True)
    word = re.compile(rf"(?<![\w-])({'|'.join(longest_first)})(?:e?s)?(?![\w-])", re.IGNORECASE)
    for paragraph in list(doctree.findall(nodes.paragraph)):
        for text in list(paragraph.findall(nodes.Text)):
            if is_prose(text):
                link_words_of(text, word, left, address)


def is_prose(text):
    """Whether a text is in no link, code or the like; a link may also be written as HTML, around it."""
    siblings = text.parent.children[: text.parent.index(text)]
    written = "".join(node.astext() for node in siblings if isinstance(node, nodes.raw))
    parent = text.parent
    while parent is not None and not isinstance(parent, OTHERS):
        parent = parent.parent
    return parent is None and written.count("<a ") == written.count("</a>")


def link_words_of(text, word, left, address):
    parts, end = [], 0
    for found in word.finditer(text):
        if found[1].lower() in left:
            identifier, says = left.pop(found[1].lower())
            link = Hover("", found[0], refuri=f"{address}#{identifier}", says=says, classes=["word"])
            parts += [nodes.Text(text[end : found.start()]), link]
            end = found.end()
    if parts:
        text.parent.replace(text, [*parts, nodes.Text(text[end:])])


def setup(app):
    app.add_node(Hover, html=(visit_hover, depart_hover))
    app.connect("doctree-resolved", link)
    offline.publish(app, SCRIPT)
    app.add_js_file(SCRIPT.name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
