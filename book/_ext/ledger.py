"""The ledger of claims, from `claims.toml` and the records alone: no notebook runs, no Keras is imported.

`{claims-ledger}` lists every claim by chapter with its numbers; `{claims-summary}` counts the verdicts.
"""

import json
import math
import statistics
from collections import Counter
from itertools import groupby
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.errors import SphinxError
from sphinx.util.docutils import SphinxDirective

from coursekit import claims
from coursekit.runtime import PROFILES

COLUMNS = ("Claim", "Verdict", "Quick", "Full")


class LedgerError(SphinxError):
    category = "Ledger"


class ClaimsDirective(SphinxDirective):
    """Base of both: reads claims and records, in every build, since the page's own date says nothing of theirs."""

    def read(self):
        self.env.note_reread()
        try:
            return claims.load(), claims.verify()
        except ValueError as error:
            raise LedgerError(str(error)) from None


class Ledger(ClaimsDirective):
    def run(self):
        stated, measured = self.read()
        return [
            self.chapter(topic, list(of_chapter), measured)
            for topic, of_chapter in groupby(stated.values(), key=lambda claim: claim.chapter)
        ]

    def chapter(self, topic, stated, measured):
        page, title = chapter_page(Path(self.env.srcdir), topic)
        section = nodes.section("", nodes.title("", title), ids=[topic])
        link = pending_xref(
            "", nodes.inline("", title), refdomain="std", reftype="doc", reftarget=page, refexplicit=True
        )
        section += nodes.paragraph("", "", text("Measured in the chapter "), link, text("."))
        section += table(COLUMNS, [self.row(claim, measured) for claim in stated], classes=["ledger"])
        return section

    def row(self, claim, measured):
        by_profile = {profile: measured.get((profile, claim.id)) for profile in PROFILES}
        verdict = headline(claim, measured)
        statement = nodes.paragraph("", claim.statement, classes=["statement"])
        place = nodes.paragraph(
            "", "", nodes.literal("", claim.id), text(f" · lecture: {claim.lecture}"), classes=["place"]
        )
        cells = [[statement, place], [nodes.paragraph("", "", badge(verdict))]]
        if claim.reason:
            cells[0].append(nodes.paragraph("", claim.reason, classes=["reason"]))
        for record in by_profile.values():
            cells.append(
                numbers(record, verdict) if record else [nodes.paragraph("", "not measured", classes=["place"])]
            )
        # `[...](#transfer-sweep-n)` in any page leads here.
        self.env.get_domain("std").labels[claim.id] = (self.env.docname, claim.id, claim.statement)
        return claim.id, cells


class Summary(ClaimsDirective):
    """The verdicts counted, of all chapters or of the topic that is named."""

    optional_arguments = 1

    def run(self):
        stated, measured = self.read()
        topics = self.arguments or {claim.chapter for claim in stated.values()}
        counts = Counter(headline(claim, measured) for claim in stated.values() if claim.chapter in topics)
        items = [
            nodes.list_item(
                "", nodes.paragraph("", "", nodes.strong("", str(counts[verdict])), text(" "), badge(verdict))
            )
            for verdict in claims.VERDICTS
            if counts[verdict]
        ]
        return [nodes.bullet_list("", *items, classes=["claims-summary"])]


def headline(claim, measured):
    """Return the verdict on a claim from all the profiles it was measured in."""
    return claims.joint_verdict([record for (_, name), record in measured.items() if name == claim.id])


def chapter_page(folder, topic):
    """Return the page of a topic's chapter and its title: a chapter's name begins with its number and its topic."""
    found = sorted(folder.glob(f"[0-9]*-{topic}*.ipynb"))
    if not found:
        raise LedgerError(f"There are claims of {topic!r}, but no chapter whose name begins with it.")
    first = json.loads(found[0].read_text("utf-8"))["cells"][0]["source"]
    return found[0].stem, "".join(first).partition("\n")[0].lstrip("# ")


def numbers(record, verdict):
    """Return the contents of a cell: what each condition compared, and over how many seeds."""
    seeds = max(len(series) for condition in record["conditions"] for series in condition["values"].values())
    # Conditions that came out alike, to every digit shown, are one line.
    lines = [nodes.paragraph("", line) for line in dict.fromkeys(map(condition_line, record["conditions"]))]
    own = [badge(record["verdict"]), text(" ")] if record["verdict"] != verdict else []
    where = f"{seeds} seeds · {record['run']['device']} · {record['run']['date']}"
    return [*lines, nodes.paragraph("", "", *own, text(where), classes=["place"])]


def condition_line(condition):
    """Write a condition as it came out: a formula where that is one, and both sides where it is open."""
    left, right = (side(name, series) for name, series in condition["values"].items())
    holds = condition["outcome"] == "holds"
    if condition["outcome"] == "open":
        return f"{left}, {right}: open"
    if condition["relation"] == "equal":
        line = f"{left} {'=' if holds else '≠'} {right}"
        if condition["within"]:
            line += f" (within {condition['within']:g})"
    else:
        line = f"{left} {'>' if holds else '<'} {right}"
    return line if holds else f"{line}: reversed"


def side(name, series):
    """Write one side of a comparison; the series `nothing` only says that the other is compared with zero."""
    return mean(series) if name == "nothing" else f"{name.replace('_', ' ')} {mean(series)}"


def mean(series):
    """Write per-seed numbers as mean ± standard deviation, to two digits of the latter; equal numbers, as one."""
    spread = statistics.stdev(series)
    if spread == 0:
        return f"{series[0]:,.0f}" if series[0] == round(series[0]) else f"{series[0]:.6g}"
    decimals = max(0, 1 - math.floor(math.log10(spread)))
    return f"{statistics.mean(series):,.{decimals}f}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{spread:,.{decimals}f}"


def text(content):
    return nodes.Text(content)


def badge(verdict):
    return nodes.inline("", verdict, classes=["verdict", verdict])


def table(heads, rows, classes):
    """Build a table; each row is its id and its cells, each cell a list of nodes, the first one the row's header."""
    group = nodes.tgroup("", *(nodes.colspec("", colwidth=1) for _ in heads), cols=len(heads))
    group[0]["stub"] = 1
    head = nodes.row("", *(nodes.entry("", nodes.paragraph("", name)) for name in heads))
    body = [nodes.row("", *(nodes.entry("", *cell) for cell in cells), ids=[row_id]) for row_id, cells in rows]
    group += [nodes.thead("", head), nodes.tbody("", *body)]
    return nodes.table("", group, classes=classes)


def setup(app):
    app.add_directive("claims-ledger", Ledger)
    app.add_directive("claims-summary", Summary)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
