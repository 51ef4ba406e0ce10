"""Claims on pages, from `claims.toml` and the records alone: no notebook runs, no Keras is imported.

A chapter has a card where a claim is checked; `{claims-summary}` counts the verdicts, and `{claims-quantities}` says
what experiments measure. The page of all claims is made by `explorer`.
"""

import json
import re
from collections import Counter
from urllib.parse import quote, urlencode

import offline
import repository_address
from docutils import nodes
from sphinx.errors import SphinxError
from sphinx.util.docutils import SphinxDirective

from coursekit import cards, claims

# The cell that ends a chapter, and what ``claims.check`` prints: verdict, id, statement.
ASKS_FOR_VERDICTS = re.compile(r'claims\.verdicts\("(\w+)"\)$')
CHECKED = re.compile(rf"(?:{'|'.join(claims.VERDICTS)}) · ([\w-]+) · ")
MARKS = {
    "confirmed": "✓",
    "confirmed in part": "✓",
    "partly": "±",
    "depends": "±",
    "refuted in part": "✗",
    "refuted": "✗",
    "undecided": "?",
}


class LedgerError(SphinxError):
    category = "Ledger"


class ClaimsDirective(SphinxDirective):
    """Base: reads claims and records, in every build, since the page's own date says nothing of theirs."""

    def read(self):
        return read(self.env)


def read(environment):
    """Return claims and records, for a page that is to be read in every build."""
    environment.note_reread()
    try:
        return claims.load(), claims.verify()
    except ValueError as error:
        raise LedgerError(str(error)) from None


class Quantities(ClaimsDirective):
    """What experiments measure, and which difference matters."""

    def run(self):
        self.read()
        rows = []
        for name, quantity in claims.quantities().items():
            matters = f"a factor of {quantity.matters:g}" if quantity.scale == "log" else f"{quantity.matters:g}"
            cells = [[nodes.paragraph("", text)] for text in (name, quantity.what, matters)]
            rows.append((f"quantity-{name}", cells))
        return [table(("Quantity", "What it is", "What matters"), rows, classes=["quantities"])]


class Summary(ClaimsDirective):
    """The verdicts of all chapters, counted."""

    def run(self):
        stated, measured = self.read()
        items = [
            nodes.list_item("", nodes.paragraph("", "", nodes.strong("", str(count)), text(" "), badge(verdict)))
            for count, verdict in counted(stated, measured)
        ]
        return [nodes.bullet_list("", *items, classes=["claims-summary"])]


def counted(names, measured):
    """The verdicts of claims as pairs of a number and a verdict, those that occur."""
    counts = Counter(claims.judged(name, measured)[0] for name in names)
    return [(counts[verdict], verdict) for verdict in claims.VERDICTS if counts[verdict]]


def draw_cards(app, doctree):
    """In a chapter, put a card in the place of the line that a check of a claim has printed, and a figure in the place
    of the chapter's verdicts.
    """
    for cell in doctree.findall(nodes.container):
        called = ASKS_FOR_VERDICTS.match(cell.children[0].astext()) if cell.get("nb_element") == "cell_code" else None
        if called:
            cell.children[-1].children = [forest(called[1], app.env)]
    for block in list(doctree.findall(nodes.literal_block)):
        lines = block.astext().splitlines()
        checked = {number: match[1] for number, line in enumerate(lines) if (match := CHECKED.match(line))}
        if "output" not in block["classes"] or not checked:
            continue
        stated, measured = read(app.env)
        drawn = [
            nodes.container("", card(stated[claim_id], measured), ids=[place(claim_id)])
            for claim_id in checked.values()
        ]
        left = [line for number, line in enumerate(lines) if number not in checked]
        if left:
            drawn.insert(0, nodes.literal_block("", "\n".join(left), **block.attributes))
        block.replace_self(drawn)


def place(claim_id):
    """Return the id of a claim's card in its chapter."""
    return f"measured-{claim_id}"


def card(claim, measured, page=""):
    """Draw a claim's card, on another page than that of its chapter with a link to it."""
    verdict, data_sets = claims.judged(claim.id, measured)
    drawn = cards.card(claim, verdict, data_sets, "claims.html", links(claim, verdict, page))
    return nodes.raw("", drawn, format="html")


def links(claim, verdict, page):
    """What a card leads to: where the claim is measured, its page to share, an issue that the reader finds begun."""
    begun = {
        "title": f"{claim.id}: this number looks wrong",
        "body": f"> {claim.statement}\n\nThe page says: {verdict}.\n\nWhat looks wrong, and why:\n",
    }
    measured = {"how it was measured": f"{page}.html#{place(claim.id)}"} if page else {}
    issue = f"{repository_address.address()}/issues/new?{urlencode(begun, quote_via=quote)}"
    return measured | {"share": f"claims/{claim.id}.html", "this number looks wrong?": issue}


def forest(topic, environment):
    stated, measured = read(environment)
    of_claims = [(claim, *claims.judged(claim.id, measured)) for claim in stated.values() if claim.chapter == topic]
    return nodes.raw("", cards.forest(of_claims, "claims.html"), format="html")


def chapter_page(folder, topic):
    """Return the page of a topic's chapter and its title: a chapter's name begins with its number and its topic."""
    found = sorted(folder.glob(f"[0-9]*-{topic}*.ipynb"))
    if not found:
        raise LedgerError(f"There are claims of {topic!r}, but no chapter whose name begins with it.")
    first = json.loads(found[0].read_text("utf-8"))["cells"][0]["source"]
    return found[0].stem, "".join(first).partition("\n")[0].lstrip("# ")


def text(content):
    return nodes.Text(content)


def badge(verdict):
    return nodes.inline("", verdict, classes=["verdict", verdict.replace(" ", "-")])


def table(heads, rows, classes):
    """Build a table; each row is its id and its cells, each cell a list of nodes, the first one the row's header."""
    group = nodes.tgroup("", *(nodes.colspec("", colwidth=1) for _ in heads), cols=len(heads))
    group[0]["stub"] = 1
    head = nodes.row("", *(nodes.entry("", nodes.paragraph("", name)) for name in heads))
    body = [nodes.row("", *(nodes.entry("", *cell) for cell in cells), ids=[row_id]) for row_id, cells in rows]
    group += [nodes.thead("", head), nodes.tbody("", *body)]
    return nodes.table("", group, classes=classes)


def setup(app):
    app.add_directive("claims-summary", Summary)
    app.add_directive("claims-quantities", Quantities)
    app.connect("doctree-read", draw_cards)
    offline.publish(app, cards.STYLE)
    app.add_css_file(cards.STYLE.name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
