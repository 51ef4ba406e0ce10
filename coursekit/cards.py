"""Cards: what came of a claim, as HTML, with each seed as a dot, for notebooks and for the site.

A dot is a seed's paired difference, the bar the 99 % interval of their mean, and the gray band holds the differences
that do not matter.
"""

import html
import math
import pathlib
import statistics

import numpy as np

STYLE = pathlib.Path(__file__).parent / "assets" / "cards.css"
WIDTH, HEIGHT, MARGIN = 240, 26, 6  # of a picture, in its own units
LINE = 9  # of an interval among others
FURTHEST = 50  # differences that matter: where their figure ends
SPACE, MINUS = "\N{NO-BREAK SPACE}", "\N{MINUS SIGN}"
# How a row relates its two sides.
SIGNS = {
    "equal": {"holds": "=", "fails": "≠"},
    "every": {"holds": ">"},
    "greater": {"holds": ">", "reversed": "<", "no difference": "≈"},
    "same": {"holds": "≈", "differs": "≠"},
}


def card(claim, verdict, data_sets, ledger="", experiment=""):
    """Draw what came of a claim.

    Args:
        claim: ``claims.Claim``.
        verdict: str, the joint one.
        data_sets: dict from a title to the verdict on that data set and the list of ``claims.Comparison``.
        ledger: str, the address of the ledger; without one, there is no link.
        experiment: str, the address of the claim's place in its chapter, likewise.

    Returns:
        str, HTML; its look is in ``STYLE``.

    >>> from coursekit import claims
    >>> digits = "confirmed", [claims.every(a=[2], b=[1])]
    >>> "confirmed" in card(claims.load()["transfer-sweep-n"], "confirmed", {"Digits": digits})
    True
    """
    name = f"<code>{claim.id}</code>"
    if ledger:
        name = f'<a href="{ledger}#{claim.id}">{name}</a>'
    if experiment:
        name = f'{name} · <a href="{experiment}">how it was measured</a>'
    return "\n".join(
        [
            '<div class="claim-card">',
            f"<div class=claim-head><p class=statement>“{_sentence(claim)}”</p>{stamp(verdict)}</div>",
            f"<p>lecture: {html.escape(claim.lecture)} · {name}</p>",
            *(_data_set(title, own, comparisons, verdict) for title, (own, comparisons) in data_sets.items()),
            f"<p>{html.escape(claim.reason)}</p>" if claim.reason else "",
            "</div>",
        ]
    )


def forest(of_claims, ledger=""):
    """Draw what came of many claims: a line for each interval, on one scale, experiments apart from checks.

    The scale counts differences that matter: the gray band ends at one of them to either side. Beyond it the scale
    is nearly that of logarithms, so that large differences find a place, too.

    Args:
        of_claims: list of (``claims.Claim``, joint verdict, data sets as for ``card``).
        ledger: str, the address of the ledger; without one, there are no links.

    Returns:
        str, HTML; its look is in ``STYLE``.

    >>> from coursekit import claims
    >>> digits = "confirmed", [claims.every(a=[2], b=[1])]
    >>> "Checks" in forest([(claims.load()["conv1x1-per-pixel"], "confirmed", {"Digits": digits})])
    True
    """
    experiments, checks = [], []
    for claim, verdict, data_sets in of_claims:
        measured = [[one for one in comparisons if one.quantity] for _, comparisons in data_sets.values()]
        measured = [comparisons for comparisons in measured if comparisons]
        said = f'<a href="{ledger}#{claim.id}">{_sentence(claim)}</a>' if ledger else _sentence(claim)
        row = f"<tr><td>{stamp(verdict)}</td><th scope=row>{said}</th><td>{_intervals(measured)}</td></tr>"
        (experiments if measured else checks).append(row)
    kinds = {"Experiments": experiments, "Checks: counts, identities, mechanisms": checks}
    body = [f"<tr><th scope=rowgroup colspan=3>{kind}</th></tr>{''.join(rows)}" for kind, rows in kinds.items() if rows]
    return f'<table class="claim-forest"><tbody>{"</tbody><tbody>".join(body)}</tbody></table>'


def _sentence(claim):
    return html.escape(claim.statement[0].upper() + claim.statement[1:])


def _intervals(data_sets):
    """Intervals below each other, in differences that matter, for those who see; a gap is between data sets."""

    def x(difference):
        share = math.asinh(difference) / math.asinh(FURTHEST)
        return round(WIDTH / 2 + (WIDTH / 2 - MARGIN) * min(1, max(-1, share)), 1)

    lines, height = [], 0
    for comparisons in data_sets:
        height += LINE / 2 if height else 0
        for one in comparisons:
            low, mean, high = (x(value / one.quantity.band) for value in (one.interval[0], one.effect, one.interval[1]))
            promised = (one.relation, one.outcome) == ("same", "no difference")
            y, outcome = height + LINE / 2, "holds" if promised else one.outcome.replace(" ", "-")
            lines.append(f'<path class="interval {outcome}" d="M{low} {y}H{high}"/>')
            lines.append(f'<circle class="{outcome}" cx="{mean}" cy="{y}" r="3"/>')
            height += LINE
    return _on_band(x(-1), x(1), height, "".join(lines)) if lines else ""


def _on_band(left, right, height, drawn):
    """A picture for those who see, on the band of differences that do not matter, which lies about zero."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" aria-hidden="true">'
        f'<rect class="band" x="{left}" width="{round(right - left, 1)}" height="{height}"/>'
        f'<path class="zero" d="M{WIDTH // 2} 0V{height}"/>{drawn}</svg>'
    )


def stamp(verdict):
    """Write a verdict in its color.

    Args:
        verdict: str.

    Returns:
        str, HTML.

    >>> stamp("confirmed in part")
    '<strong class="verdict confirmed-in-part">confirmed in part</strong>'
    """
    return f'<strong class="verdict {verdict.replace(" ", "-")}">{verdict}</strong>'


def _data_set(title, own, comparisons, joint):
    said = f" {stamp(own)}" if own != joint else ""
    # One scale for all comparisons of a quantity, so that their pictures can be compared.
    reach = {}
    for one in filter(lambda one: one.quantity, comparisons):
        furthest = np.abs([*one.interval, *one.differences, 1.5 * one.quantity.band]).max()
        reach[one.quantity.name] = max(furthest, reach.get(one.quantity.name, 0))
    # Checks that came out alike, to every digit shown, are one row.
    rows = dict.fromkeys(_row(one, reach[one.quantity.name] if one.quantity else 0) for one in comparisons)
    return f"<div class=data-set>{html.escape(title)}{said}</div>\n<table>{''.join(rows)}</table>"


def _row(comparison, reach):
    sides, result = html.escape(relation(comparison)), _result(comparison)
    if not comparison.quantity:
        return f"<tr><th scope=row colspan=2>{sides}</th><td>{result}</td></tr>"
    return f"<tr><th scope=row>{sides}</th><td>{_picture(comparison, reach)}</td><td>{result}</td></tr>"


def relation(comparison):
    """Write how two series relate: a formula where the comparison came out as one, and both of them where not.

    Args:
        comparison: ``claims.Comparison``.

    Returns:
        str.

    >>> from coursekit import claims
    >>> relation(claims.equal(within=0.1, channels=[3.0], lecture=3))
    'channels 3 = lecture 3 (within 0.1)'
    """
    left, right = (_side(name, series, comparison.is_log) for name, series in comparison.values.items())
    sign = SIGNS[comparison.relation].get(comparison.outcome)
    within = f" (within {comparison.within:g})" if comparison.within else ""
    return f"{left} {sign} {right}{within}" if sign else f"{left}, {right}{within}"


def _side(name, series, is_log):
    """One side of a comparison. A series of zeros called `nothing` only says what the other is compared with."""
    written = mean(series, is_log)
    return written if (name, written) == ("nothing", "0") else f"{name.replace('_', ' ')} {written}"


def mean(series, is_log=False):
    """Write numbers as mean ± standard deviation, to two digits of the latter, and equal ones as one.

    Args:
        series: numbers, at least one.
        is_log: bool; write the geometric mean ×/÷ the factor that one standard deviation of the logarithms is.

    Returns:
        str.

    >>> mean([0.84, 0.85, 0.86]).replace("\\xa0", " ")
    '0.850 ± 0.010'
    """
    series = [float(number) for number in series]
    if len(set(series)) == 1:
        return f"{series[0]:,.0f}" if series[0] == round(series[0]) else f"{series[0]:.6g}"
    if is_log:
        factor = math.exp(statistics.stdev(map(math.log, series)))
        return f"{statistics.geometric_mean(series):.3g}{SPACE}×/÷{SPACE}{factor:.3g}"
    spread = statistics.stdev(series)
    decimals = max(0, 1 - math.floor(math.log10(spread)))
    if decimals > 5:
        return f"{statistics.mean(series):.2g}{SPACE}±{SPACE}{spread:.2g}"
    return f"{statistics.mean(series):,.{decimals}f}{SPACE}±{SPACE}{spread:,.{decimals}f}"


def _result(comparison):
    if not comparison.quantity:
        return f"<b>{comparison.outcome}</b>"
    low, high = (_difference(end, comparison.is_log) for end in comparison.interval)
    return (
        f"<b>{_difference(comparison.effect, comparison.is_log)}</b> {comparison.in_words}<br>"
        f"<small>99 %: {low} to {high} · {len(comparison.differences)} seeds</small>"
    )


def _difference(difference, is_log):
    return f"×{SPACE}{math.exp(difference):.3g}" if is_log else f"{difference:+.2g}".replace("-", MINUS)


def _picture(comparison, reach):
    """Dots, interval and band, for those who see; the numbers beside it are the rest's."""

    def x(difference):
        return round(WIDTH / 2 + (WIDTH / 2 - MARGIN) * difference / reach, 1)

    low, high = map(x, comparison.interval)
    middle, band = HEIGHT // 2, comparison.quantity.band
    dots = "".join(f'<circle cx="{x(one)}" cy="{middle}" r="3.5"/>' for one in comparison.differences)
    mean = f'<path class="mean" d="M{x(comparison.effect)} 3V{HEIGHT - 3}"/>'
    return _on_band(x(-band), x(band), HEIGHT, f'<path class="interval" d="M{low} {middle}H{high}"/>{dots}{mean}')
