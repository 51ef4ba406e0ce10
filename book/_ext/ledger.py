"""The ledger of claims, from `claims.toml` and the records alone: no notebook runs, no Keras is imported.

`{claims-ledger}` lists every claim by chapter with its numbers; `{claims-summary}` counts the verdicts, and
`{claims-quantities}` says what experiments measure.
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


class Quantities(SphinxDirective):
    """What experiments measure, and which difference matters."""

    def run(self):
        self.env.note_reread()
        rows = [
            (f"quantity-{name}", [[nodes.paragraph("", name)], *([nodes.paragraph("", text)] for text in texts)])
            for name, *texts in map(self.texts, claims.quantities().values())
        ]
        return [table(("Quantity", "What it is", "What matters"), rows, classes=["quantities"])]

    def texts(self, quantity):
        matters = f"a factor of {quantity.matters:g}" if quantity.scale == "log" else f"{quantity.matters:g}"
        return quantity.name, quantity.what, matters


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
    of_claim = [record for (_, name), record in measured.items() if name == claim.id]
    return claims.joint_verdict(map(claims.verdict_on_record, of_claim))


def chapter_page(folder, topic):
    """Return the page of a topic's chapter and its title: a chapter's name begins with its number and its topic."""
    found = sorted(folder.glob(f"[0-9]*-{topic}*.ipynb"))
    if not found:
        raise LedgerError(f"There are claims of {topic!r}, but no chapter whose name begins with it.")
    first = json.loads(found[0].read_text("utf-8"))["cells"][0]["source"]
    return found[0].stem, "".join(first).partition("\n")[0].lstrip("# ")


def numbers(record, verdict):
    """Return the contents of a cell: what each comparison found, and over how many seeds."""
    comparisons = claims.comparisons_of(record)
    # Comparisons that came out alike, to every digit shown, are one line.
    lines = [nodes.paragraph("", line) for line in dict.fromkeys(map(comparison_line, comparisons))]
    own = claims.verdict_on_record(record)
    seeds = max((len(one.differences) for one in comparisons if one.quantity), default=0)
    where = [f"{seeds} seeds"] * bool(seeds) + [record["run"]["device"], record["run"]["date"]]
    said = [badge(own), text(" ")] if own != verdict else []
    return [*lines, nodes.paragraph("", "", *said, text(" · ".join(where)), classes=["place"])]


# How a line relates the two sides, and what it says behind them.
SIGNS = {
    ("equal", "holds"): ("=", ""),
    ("equal", "fails"): ("≠", "fails"),
    ("every", "holds"): (">", ""),
    ("every", "fails"): (",", "fails"),
    ("greater", "holds"): (">", ""),
    ("greater", "reversed"): ("<", "reversed"),
    ("greater", "no difference"): ("≈", "no difference that matters"),
    ("greater", "undecided"): (",", "undecided"),
    ("same", "holds"): ("≈", ""),
    ("same", "differs"): ("≠", "differs"),
    ("same", "undecided"): (",", "undecided"),
}


def comparison_line(comparison):
    """Write a comparison as it came out: both sides, the interval of an experiment, and the outcome unless it holds."""
    sign, outcome = SIGNS[comparison.relation, comparison.outcome]
    left, right = (side(name, series, comparison.is_log) for name, series in comparison.values.items())
    line = f"{left}, {right}" if sign == "," else f"{left} {sign} {right}"
    if comparison.within:
        line += f" (within {comparison.within:g})"
    if comparison.quantity:
        line += f" ({interval(comparison)})"
    if outcome == "undecided":
        needed = comparison.seeds_needed()
        outcome += f"; {f'about {needed}' if needed else f'more than {claims.MOST_SEEDS:,}'} seeds would decide"
    return f"{line}: {outcome}" if outcome else line


def interval(comparison):
    """Write the 99 % interval of the difference, or, on the log scale, of the factor."""
    if comparison.is_log:
        return " to ".join(f"×\N{NO-BREAK SPACE}{math.exp(end):.3g}" for end in comparison.interval)
    return " to ".join(f"{end:+.2g}".replace("-", "\N{MINUS SIGN}") for end in comparison.interval)


def side(name, series, is_log):
    """Write one side of a comparison; the series `nothing` only says that the other is compared with zero."""
    of_seeds = mean(series.tolist(), is_log)
    return of_seeds if name == "nothing" else f"{name.replace('_', ' ')} {of_seeds}"


def mean(series, is_log=False):
    """Write numbers as mean ± standard deviation, to two digits of the latter, and equal ones as one. Where ratios
    count, write their geometric mean ×/÷ the factor that one standard deviation of the logarithms is.
    """
    if len(set(series)) == 1:
        return f"{series[0]:,.0f}" if series[0] == round(series[0]) else f"{series[0]:.6g}"
    space = "\N{NO-BREAK SPACE}"
    if is_log:
        spread = math.exp(statistics.stdev(map(math.log, series)))
        return f"{statistics.geometric_mean(series):.3g}{space}×/÷{space}{spread:.3g}"
    spread = statistics.stdev(series)
    decimals = max(0, 1 - math.floor(math.log10(spread)))
    return f"{statistics.mean(series):,.{decimals}f}{space}±{space}{spread:,.{decimals}f}"


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
    app.add_directive("claims-ledger", Ledger)
    app.add_directive("claims-summary", Summary)
    app.add_directive("claims-quantities", Quantities)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
