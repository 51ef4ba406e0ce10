"""The ledger as an explorer, from `claims.toml` and the records alone: no notebook runs, no Keras is imported.

`{claims-explorer}` has a row for every claim, with the numbers folded below it; `explorer.js` filters and sorts the
rows, which without it are a plain list. `{claims-changes}` compares the verdicts with those of the first edition. The
numbers are files to download, too.
"""

import datetime
import html
import tomllib
from pathlib import Path

import numpy as np
import offline
import pandas as pd
from ledger import ClaimsDirective, LedgerError, chapter_page, links
from story import raw

from coursekit import cards, claims, records, runtime

SCRIPT = Path(__file__).with_name("explorer.js")
FIRST_EDITION = claims.STATEMENTS.with_name("first_edition.toml")
# The first edition's words, and what each can be now without being another verdict.
NOW = {
    "confirmed": {"confirmed"},
    "qualified": {"partly", "depends", "confirmed in part", "refuted in part"},
    "refuted": {"refuted"},
    "inconclusive": {"undecided"},
}
# What a reader of the lecture expects least comes first.
BY_SURPRISE = ("refuted", "refuted in part", "depends", "partly", "undecided", "confirmed in part", "confirmed")
# Orders of the rows, by the attribute that has the numbers, the largest first.
ORDERS = {"": "as in the lecture", "surprise": "surprise", "size": "size of the effect", "age": "newest run"}
CONTROLS = """
<form class="claim-controls" role="search" aria-label="Claims" autocomplete="off">
<label>Words <input type="search" name="words"></label>
{selects}
<output>{count} of {count} shown</output>
<button type="button">Reset</button>
</form>
"""


class Explorer(ClaimsDirective):
    def run(self):
        stated, measured = self.read()
        pages = {topic: chapter_page(Path(self.env.srcdir), topic) for topic in topics(stated)}
        rows, facets = [], []
        for claim in stated.values():
            # `[...](#transfer-sweep-n)` in any page leads here.
            self.env.get_domain("std").labels[claim.id] = (self.env.docname, claim.id, claim.statement)
            verdict, data_sets = claims.judged(claim.id, measured)
            runs = [record["run"] for (_, name), record in measured.items() if name == claim.id]
            facets.append(facets_of(claim, verdict, {run["profile"] for run in runs}, data_names(stated)))
            attributes = facets[-1] | sort_keys(verdict, data_sets, runs)
            rows.append(row(claim, verdict, data_sets, attributes, pages[claim.chapter][0]))
        titles = {topic: f"{number(page)} {title}" for topic, (page, title) in pages.items()}
        return [raw(f'{controls(facets, titles)}<ul class="claim-rows" role="list">\n{"".join(rows)}</ul>')]


class Changes(ClaimsDirective):
    """What changed since the first edition, folded; the text in the directive says why."""

    has_content = True

    def run(self):
        stated, measured = self.read()
        before, now = first_edition(), {name: claims.judged(name, measured)[0] for name in stated}
        new, withdrawn = len(now.keys() - before.keys()), len(before.keys() - now.keys())
        flipped, finer = changes(before, now)
        opening = (
            f"<summary>Since the first edition · verdicts that changed: {len(flipped)} · new claims: {new} · "
            f"withdrawn: {withdrawn}</summary>"
        )
        groups = {"Another verdict": flipped, "The same in a finer word": finer}
        body = "".join(group_of_changes(title, rows) for title, rows in groups.items() if rows)
        drawn = (
            "<table class=table><thead><tr><th scope=col>Claim</th><th scope=col>Then</th><th scope=col>Now</th></tr>"
            f"</thead>{body}</table>"
        )
        return [
            raw(f'<details class="claim-changes" data-pagefind-ignore>{opening}'),
            *self.parse_content_to_nodes(),
            raw(f"{drawn}</details>"),
        ]


def topics(stated):
    return list(dict.fromkeys(claim.chapter for claim in stated.values()))


def number(page):
    """The number of a chapter, with which its page's name begins."""
    return int(page[:2])


def data_names(stated):
    return {name for claim in stated.values() for name in (claim.data or claims.DATA_SETS).values()}


def facets_of(claim, verdict, profiles, names):
    """What a claim is filtered by, each a set of words."""
    data = set()
    for name in ((claim.data or claims.DATA_SETS)[profile] for profile in profiles):
        parts = {part.capitalize() for part in name.split(" and ")}
        data |= parts if parts <= names else {name}  # "Points and digits" is both, "ants and bees" is one
    kind = "experiment" if claim.seeds else "check"
    return {"chapter": {claim.chapter}, "data": data, "verdict": {verdict}, "kind": {kind}}


def sort_keys(verdict, data_sets, runs):
    """The numbers that rows are sorted by."""
    decide = [cards.deciding(comparisons) for _, comparisons in data_sets.values()]
    size = max((cards.size(one) for one in decide if one.quantity), default=0)
    newest = max(datetime.date.fromisoformat(run["date"]) for run in runs)
    return {"surprise": -BY_SURPRISE.index(verdict), "size": records.six_digits(size), "age": newest.toordinal()}


def row(claim, verdict, data_sets, attributes, page):
    """A claim in a line, and its numbers folded below it. Its id is in there, so that a link to it opens the row."""
    told = {name: "|".join(sorted(value)) if isinstance(value, set) else value for name, value in attributes.items()}
    written = " ".join(f'data-{name}="{html.escape(str(value))}"' for name, value in told.items())
    numbers = cards.numbers(claim, verdict, data_sets, "claims.html", links(claim, verdict, page))
    return (
        f"<li {written}><details class=claim-row><summary><span class=chapter>Chapter {number(page)}</span>"
        f"{cards.row(claim, verdict, data_sets)}</summary>\n"
        f'<div class="claim-card" id="{claim.id}">\n{numbers}\n</div></details></li>\n'
    )


def controls(facets, titles):
    """The form above the rows: a choice for every word that some claim has."""
    found = {name: set().union(*(of_claim[name] for of_claim in facets)) for name in facets[0]}
    choices = {
        "chapter": titles,
        "data": {name: name for name in sorted(found["data"])},
        "verdict": {name: name for name in claims.VERDICTS if name in found["verdict"]},
        "kind": {name: f"{name}s" for name in sorted(found["kind"])},
    }
    choices = {name: {"": "all"} | of_facet for name, of_facet in choices.items()} | {"order": ORDERS}
    return CONTROLS.format(selects="\n".join(select(*one) for one in choices.items()), count=len(facets))


def select(name, choices):
    options = "".join(
        f'<option value="{html.escape(value)}">{html.escape(said)}</option>' for value, said in choices.items()
    )
    return f'<label>{name.capitalize()} <select name="{name}">{options}</select></label>'


def first_edition():
    """The verdicts of the first edition, by claim, in its own words."""
    try:
        verdicts = tomllib.loads(FIRST_EDITION.read_text("utf-8"))["verdicts"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise LedgerError(f"{FIRST_EDITION.name} has no verdicts to compare with: {error}.") from None
    for name, verdict in verdicts.items():
        if verdict not in NOW:
            raise LedgerError(
                f"{FIRST_EDITION.name} says that {name!r} was {verdict!r}; its words are {', '.join(NOW)}."
            )
    return verdicts


def changes(before, now):
    """The claims of both editions whose verdict is another one, and those where a finer word says the same: two lists
    of claim, then and now.
    """
    of_both = [(name, before[name], verdict) for name, verdict in now.items() if name in before]
    flipped = [one for one in of_both if one[2] not in NOW[one[1]]]
    return flipped, [one for one in of_both if one not in flipped and len(NOW[one[1]]) > 1]


def group_of_changes(title, rows):
    lines = [
        f'<tr><th scope=row><a href="#{name}"><code>{name}</code></a></th>'
        f"<td>{then}</td><td>{cards.stamp(now)}</td></tr>"
        for name, then, now in rows
    ]
    return f"<tbody><tr><th scope=rowgroup colspan=3>{title}</th></tr>{''.join(lines)}</tbody>"


def table(stated, measured):
    """A data frame of all numbers: a row for each comparison of each claim on each data set."""
    rows = []
    for claim in stated.values():
        verdict, _ = claims.judged(claim.id, measured)
        of_claim = {"claim": claim.id, "chapter": claim.chapter, "statement": claim.statement}
        of_claim |= {"lecture": claim.lecture, "verdict": verdict}
        for profile in runtime.PROFILES:
            if record := measured.get((profile, claim.id)):
                of_record = {"data": (claim.data or claims.DATA_SETS)[profile], "profile": profile}
                of_record |= {"date": record["run"]["date"], "verdict_on_data": claims.verdict_on_record(record)}
                rows += [of_claim | of_record | numbers(one) for one in claims.comparisons_of(record)]
    return pd.DataFrame(rows).astype({"seeds": "Int64", "seeds_needed": "Int64"})


def numbers(one):
    """The numbers of a comparison to six digits, as the records have them; where ratios are compared, factors."""

    def written(difference):
        return records.six_digits(np.exp(difference) if one.is_log else difference)

    first, second = one.values
    row = {"kind": "check", "first": first, "relation": one.relation, "second": second, "outcome": one.outcome}
    row |= {"mean_difference": written(one.differences.mean())}
    if not one.quantity:
        return row
    low, high = map(written, one.interval)
    needed = one.seeds_needed() if one.outcome == "undecided" else None
    of_quantity = {"quantity": one.quantity.name, "scale": one.quantity.scale, "matters": one.quantity.matters}
    return (
        row
        | of_quantity
        | {"kind": "experiment", "seeds": len(one.differences), "low": low, "high": high, "seeds_needed": needed}
    )


def write_downloads(app, error):
    if error is None:
        frame = table(claims.load(), claims.verify())
        static = Path(app.outdir) / "_static"
        frame.to_csv(static / "claims.csv", index=False)
        frame.to_json(static / "claims.json", orient="records", indent=1, double_precision=15, force_ascii=False)


def add_script(app, pagename, templatename, context, doctree):
    if pagename == "claims":
        app.add_js_file(SCRIPT.name)


def setup(app):
    app.add_directive("claims-explorer", Explorer)
    app.add_directive("claims-changes", Changes)
    offline.publish(app, SCRIPT)
    app.connect("html-page-context", add_script)
    app.connect("build-finished", write_downloads)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
