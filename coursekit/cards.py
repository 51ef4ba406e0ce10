"""Cards: what came of a claim, as HTML for notebooks and pages, the same in both.

Each seed is a dot at its paired difference, the bar is the 99 % interval of their mean, and the gray band holds the
differences that do not matter.
"""

import html
import pathlib

import numpy as np

from coursekit import claims

STYLE = pathlib.Path(__file__).parent / "assets" / "cards.css"
WIDTH, HEIGHT, MARGIN = 240, 26, 6  # of a picture, in its own units
# What an outcome says behind the numbers.
SAID = {"holds": "holds", "fails": "fails", "reversed": "the other way round", "differs": "differs"} | {
    "no difference": "no difference that matters"
}


def card(claim, verdict, data_sets):
    """Draw what came of a claim.

    Args:
        claim: ``claims.Claim``.
        verdict: str, the joint one.
        data_sets: dict from the name of a data set to the list of its ``claims.Comparison``.

    Returns:
        str, HTML that brings its style.

    >>> one = claims.every(a=[2], b=[1])
    >>> "confirmed" in card(claims.load()["transfer-sweep-n"], "confirmed", {"digits": [one]})
    True
    """
    parts = [_data_set(name, comparisons, verdict, len(data_sets)) for name, comparisons in data_sets.items()]
    return "\n".join(
        [
            f'<section class="claim-card" aria-label="Verdict on {claim.id}">',
            f"<style>{STYLE.read_text('utf-8')}</style>",
            f"<header><blockquote>{html.escape(claim.statement)}</blockquote>{_stamp(verdict)}</header>",
            f"<p>{html.escape(claim.lecture)} · <code>{claim.id}</code></p>",
            *parts,
            "</section>",
        ]
    )


def _stamp(verdict):
    return f'<strong class="stamp {verdict.replace(" ", "-")}">{verdict}</strong>'


def _data_set(name, comparisons, joint, number):
    own = claims.verdict_of(one.outcome for one in comparisons)
    said = f" · {own}" if number > 1 and own != joint else ""
    # One scale for all comparisons of a quantity, so that pictures can be compared.
    reach = {}
    for one in comparisons:
        if one.quantity:
            ends = np.abs([*one.interval, *one.differences, 1.5 * one.quantity.band]).max()
            reach[one.quantity.name] = max(ends, reach.get(one.quantity.name, 0))
    rows = [_row(one, one.quantity and reach[one.quantity.name]) for one in comparisons]
    return f"<h4>{html.escape(name)}{said}</h4>\n<table>{''.join(rows)}</table>"


def _row(comparison, reach):
    first, second = (html.escape(name.replace("_", " ")) for name in comparison.values)
    sides = f"{first} <small>against</small> {second}"
    picture = _picture(comparison, reach) if comparison.quantity else ""
    return f"<tr><th scope=row>{sides}</th><td>{picture}</td><td>{_numbers(comparison)}</td></tr>"


def _numbers(comparison):
    """The mean difference, its interval, and the outcome in words."""
    if not comparison.quantity:
        return f"<b>{SAID[comparison.outcome]}</b>"
    low, high = (written(end, comparison.is_log) for end in comparison.interval)
    seeds = len(comparison.differences)
    return (
        f"<b>{written(comparison.effect, comparison.is_log)}</b> {outcome(comparison)}"
        f"<br><small>99 %: {low} to {high} · {seeds} seeds</small>"
    )


def written(difference, is_log):
    """Write a difference, or, of logarithms, the factor that it is.

    Args:
        difference: float.
        is_log: bool.

    Returns:
        str.

    >>> written(-0.02, False), written(np.log(2), True)
    ('−0.02', '×\\xa02')
    """
    if is_log:
        return f"×\N{NO-BREAK SPACE}{np.exp(difference):.3g}"
    return f"{difference:+.2g}".replace("-", "\N{MINUS SIGN}")


def outcome(comparison):
    """Write the outcome of a comparison in words, and for an undecided one how many seeds would decide it.

    Args:
        comparison: ``claims.Comparison``.

    Returns:
        str.

    >>> outcome(claims.every(a=[1], b=[2]))
    'fails'
    """
    if comparison.outcome != "undecided":
        return SAID[comparison.outcome]
    needed = comparison.seeds_needed()
    return f"undecided; {f'about {needed}' if needed else f'more than {claims.MOST_SEEDS:,}'} seeds would decide"


def _picture(comparison, reach):
    def x(difference):
        return round(WIDTH / 2 + (WIDTH / 2 - MARGIN) * difference / reach, 1)

    low, high = map(x, comparison.interval)
    band = x(comparison.quantity.band) - WIDTH / 2
    middle = HEIGHT / 2
    dots = "".join(f'<circle cx="{x(one)}" cy="{middle:g}" r="3.5"/>' for one in comparison.differences)
    ends = " to ".join(written(end, comparison.is_log) for end in comparison.interval)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Mean difference '
        f'{written(comparison.effect, comparison.is_log)}, interval {ends}, of {len(comparison.differences)} seeds">'
        f'<rect class="band" x="{WIDTH / 2 - band:.1f}" width="{2 * band:.1f}" height="{HEIGHT}"/>'
        f'<path class="zero" d="M{WIDTH / 2:g} 0V{HEIGHT}"/>'
        f'<path class="interval" d="M{low} {middle:g}H{high}"/>{dots}'
        f'<path class="mean" d="M{x(comparison.effect)} 3V{HEIGHT - 3}"/></svg>'
    )
