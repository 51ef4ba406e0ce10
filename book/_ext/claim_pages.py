"""A page for each claim, `claims/ID.html`: what a reader shares, since only a page has a picture of its own there.

What follows the # in an address never reaches those who draw its picture, so a row of the ledger cannot have one. The
page has the claim's card and leads to where it was measured and to its row. It stands in no contents, and the site's
search finds the row.
"""

import html
import re
import textwrap
from pathlib import Path

import ledger
import numpy as np
import offline
import share
from course import tint

from coursekit import cards, claims

TEMPLATE, STYLE = "claim.html", Path(__file__).with_name("claim.css")
COLORS = dict(reversed(re.findall(r"--verdict-(\w+): (#\w+)", cards.STYLE.read_text("utf-8"))))  # the first, on white
BAND, LINE = "#e4e8ec", "#57606a"
STRIP = (800, 1120)  # from where to where the intervals lie


def pages(app):
    """Name, context and template of each page, as Sphinx asks for those that no file makes."""
    stated, measured = claims.load(), claims.verify()
    for claim in stated.values():
        verdict, data_sets = claims.judged(claim.id, measured)
        chapter, title = ledger.chapter_page(Path(app.srcdir), claim.chapter)
        links = {
            f"how it was measured, in “{html.escape(title)}”": f"../{chapter}.html#{ledger.place(claim.id)}",
            "among all claims": f"../claims.html#{claim.id}",
        }
        sentence = claim.statement[0].upper() + claim.statement[1:]
        rows = summary(data_sets)
        context = {
            "title": f"“{sentence}”",
            "description": textwrap.shorten(f"{verdict.capitalize()}. {said(rows)}", 200, placeholder=" …"),
            "card": cards.card(claim, verdict, data_sets, links=links),
            "drawn": (sentence, verdict, rows),
        }
        yield f"claims/{claim.id}", context, TEMPLATE


def summary(data_sets):
    """What came out, with the data for which it did, and where it lies for a picture."""
    data = {}
    for title, (_, comparisons) in data_sets.items():
        data.setdefault(result_of(cards.deciding(comparisons)), []).append(title.partition(" · ")[0])
    return [(" and ".join(names), *result) for result, names in data.items()]


def result_of(one):
    """A comparison in words, and its seeds, interval, mean and band, of 1 at most; of a check the words alone."""
    if not one.quantity:
        return f"{cards.relation(one)}: {one.outcome}", ()
    effect, interval = cards.effect(one)
    low, high = one.interval
    numbers = [*one.differences, low, high, one.effect, one.quantity.band]
    reach = np.abs([*numbers, 1.5 * one.quantity.band]).max()
    words = f"{one.quantity.name}: {effect} (99 %: {interval}, {len(one.differences)} seeds)"
    return words, tuple(float(x / reach) for x in numbers)


def said(rows):
    return " ".join(f"{data}: {result}." for data, result, _ in rows)


def describe(app, pagename, templatename, context, doctree):
    """Draw the page's card, and add what the page says of itself."""
    if templatename == TEMPLATE:
        content = (*context["drawn"], *share.of_course())
        card = share.draw_once(Path(app.outdir), pagename, content, draw)
        vars(context["share"]).update(description=context["description"], image=share.address_of(card))


def draw(sentence, verdict, rows, course, color):
    """Draw a claim's card: the sentence, and below it the verdict as a stamp and a line for each data set."""
    image, pen = share.canvas(course, color)
    size, most = (44, 4) if len(sentence) < 120 else (36, 5)
    lines = textwrap.fill(f"“{sentence}”", 1480 // size, max_lines=most, placeholder=" …”")
    pen.multiline_text((80, 165), lines, share.INK, share.font("Bold", size), spacing=11)
    stamp(pen, verdict)
    for place, row in zip((505, 565), rows, strict=False):
        line(pen, color, place, *row)
    return image


def stamp(pen, verdict):
    color = COLORS[{"depends": "partly"}.get(verdict, verdict.split()[0])]
    _, _, right, _ = pen.textbbox((108, 440), verdict, share.font("Bold", 32), anchor="lm")
    pen.rounded_rectangle((80, 410, right + 28, 470), 30, outline=color, width=4)
    pen.text((108, 440), verdict, color, share.font("Bold", 32), anchor="lm")


def line(pen, color, y, data, result, numbers):
    """One data set: its result, and where seeds, interval and mean lie on the band of what does not matter."""
    width = 58 if numbers else 82
    pen.text((80, y - 14), data, share.INK, share.font("Bold", 22), anchor="lm")
    pen.text((80, y + 14), textwrap.shorten(result, width, placeholder=" …"), LINE, share.font("", 22), anchor="lm")
    if not numbers:
        return
    middle, half = sum(STRIP) / 2, (STRIP[1] - STRIP[0]) / 2
    *seeds, low, high, mean, band = (middle + half * number for number in numbers)
    pen.rectangle((2 * middle - band, y - 22, band, y + 22), fill=BAND)
    pen.line((middle, y - 22, middle, y + 22), LINE, 2)
    pen.line((low, y, high, y), tint(color, 0.4), 12)
    for seed in seeds:
        pen.ellipse((seed - 6, y - 6, seed + 6, y + 6), fill=color)
    pen.line((mean, y - 18, mean, y + 18), color, 5)


def setup(app):
    offline.publish(app, STYLE)
    app.connect("html-collect-pages", pages)
    app.connect("html-page-context", describe, priority=600)  # when `share` has said where the page is
    return {"parallel_read_safe": True, "parallel_write_safe": True}
