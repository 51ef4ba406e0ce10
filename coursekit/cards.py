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
STRIP = 12  # of the seeds of one comparison, in a row of a list
FURTHEST = 50  # differences that matter: where their figure ends
SPACE, MINUS = "\N{NO-BREAK SPACE}", "\N{MINUS SIGN}"
# How a row relates its two sides.
SIGNS = {
    "equal": {"holds": "=", "fails": "≠"},
    "every": {"holds": ">"},
    "greater": {"holds": ">", "reversed": "<", "no difference": "≈"},
    "same": {"holds": "≈", "differs": "≠"},
}


def card(claim, verdict, data_sets, ledger="", links=None):
    """Draw what came of a claim.

    Args:
        claim: ``claims.Claim``.
        verdict: str, the joint one.
        data_sets: dict from a title to the verdict on that data set and the list of ``claims.Comparison``.
        ledger: str, the address of the ledger; without one, there is no link.
        links: dict from text to address: further links.

    Returns:
        str, HTML; its look is in ``STYLE``.

    >>> from coursekit import claims
    >>> digits = "confirmed", [claims.every(a=[2], b=[1])]
    >>> "confirmed" in card(claims.load()["transfer-sweep-n"], "confirmed", {"Digits": digits})
    True
    """
    head = f"<div class=claim-head><p class=statement>“{_sentence(claim)}”</p>{stamp(verdict)}</div>"
    return f'<div class="claim-card">\n{head}\n{numbers(claim, verdict, data_sets, ledger, links)}\n</div>'


def numbers(claim, verdict, data_sets, ledger="", links=None):
    """Draw what a card has below its statement.

    Args:
        claim, verdict, data_sets, ledger, links: as for ``card``.

    Returns:
        str, HTML, for an element of the class ``claim-card``.

    >>> from coursekit import claims
    >>> digits = "confirmed", [claims.every(a=[2], b=[1])]
    >>> "a 2 &gt; b 1" in numbers(claims.load()["transfer-sweep-n"], "confirmed", {"Digits": digits})
    True
    """
    name = f"<code>{claim.id}</code>"
    if ledger:
        name = f'<a href="{ledger}#{claim.id}">{name}</a>'
    for says, address in (links or {}).items():
        name = f'{name} · <a href="{html.escape(address)}">{says}</a>'
    return "\n".join(
        [
            f"<p>lecture: {html.escape(claim.lecture)} · {name}</p>",
            *(_data_set(title, own, comparisons, verdict) for title, (own, comparisons) in data_sets.items()),
            f"<p>{html.escape(claim.reason)}</p>" if claim.reason else "",
        ]
    )


def row(claim, verdict, data_sets):
    """Draw a claim as the row of a list: statement, verdict, and what each data set says of it.

    That is a picture of the comparison on which the verdict hangs, and a mark where it is a check.

    Args:
        claim, verdict, data_sets: as for ``card``.

    Returns:
        str, HTML of phrases, which a ``summary`` may have.

    >>> from coursekit import claims
    >>> digits = "confirmed", [claims.every(a=[2], b=[1])]
    >>> "✓ check" in row(claims.load()["conv1x1-per-pixel"], "confirmed", {"Digits": digits})
    True
    """
    # Checks come out alike on all data, and some experiments have one run for both profiles: they are shown once.
    strips = dict.fromkeys(_strip(deciding(comparisons)) for _, comparisons in data_sets.values())
    return f"<span class=statement>{_sentence(claim)}</span>{stamp(verdict)}<span class=strips>{''.join(strips)}</span>"


def deciding(comparisons):
    """Return the comparison on which the verdict on a data set hangs.

    What refutes comes before what is undecided, and that before what holds; an experiment comes before a check; and
    the smallest difference, in units of what matters, before larger ones. Where no difference is promised it is the
    largest.

    Args:
        comparisons: list of ``claims.Comparison``, at least one.

    Returns:
        A ``claims.Comparison``.

    >>> from coursekit import claims
    >>> deciding([claims.every(a=[2], b=[1]), claims.every(a=[1], b=[2])]).outcome
    'fails'
    """

    def key(one):
        rank = {"holds": 2, "undecided": 1}.get(one.outcome, 0)
        if not one.quantity:
            return rank, True, 0
        return rank, False, size(one) * (-1 if one.relation == "same" else 1)

    return min(comparisons, key=key)


def size(comparison):
    """Return how large the mean difference of an experiment is, in units of what matters.

    Args:
        comparison: ``claims.Comparison`` of a quantity.

    Returns:
        Float.

    >>> from coursekit import claims
    >>> size(claims.greater("accuracy", a=[0.5, 0.5, 0.5], b=0.25))
    25.0
    """
    return abs(comparison.effect) / comparison.quantity.band


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
    lines, height = [], 0
    for comparisons in data_sets:
        height += LINE / 2 if height else 0
        for one in comparisons:
            y, outcome = height + LINE / 2, _as_class(one.outcome)
            lines.append(_interval(one, y, outcome))
            lines.append(f'<circle class="{outcome}" cx="{_x(one, one.effect)}" cy="{y}" r="3"/>')
            height += LINE
    return _on_common_scale(height, "".join(lines)) if lines else ""


def _strip(one):
    """One comparison in a row of a list: its seeds on its interval, on the scale of all; a mark for a check."""
    if not one.quantity:
        return f"<span class={one.outcome}>{'✓' if one.outcome == 'holds' else '✗'} check</span>"
    dots = "".join(f'<circle cx="{_x(one, seed)}" cy="{STRIP // 2}" r="2"/>' for seed in one.differences)
    mean = f'<path class="mean" d="M{_x(one, one.effect)} 1V{STRIP - 1}"/>'
    drawn = f'<g class="{_as_class(one.outcome)}">{_interval(one, STRIP // 2)}{dots}{mean}</g>'
    return _on_common_scale(STRIP, drawn)


def _interval(one, y, outcome=""):
    low, high = (_x(one, end) for end in one.interval)
    return f'<path class="{f"interval {outcome}".strip()}" d="M{low} {y}H{high}"/>'


def _x(one, difference):
    """Where a difference lies on the scale of all experiments."""
    return _on_scale(difference / one.quantity.band)


def _on_scale(differences_that_matter):
    share = math.asinh(differences_that_matter) / math.asinh(FURTHEST)
    return round(WIDTH / 2 + (WIDTH / 2 - MARGIN) * min(1, max(-1, share)), 1)


def _on_common_scale(height, drawn):
    return _on_band(_on_scale(-1), _on_scale(1), height, drawn)


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
    return f'<strong class="verdict {_as_class(verdict)}">{verdict}</strong>'


def _as_class(words):
    return words.replace(" ", "-")


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
    mean_difference, interval = effect(comparison)
    return (
        f"<b>{mean_difference}</b> {comparison.in_words}<br>"
        f"<small>99 %: {interval} · {len(comparison.differences)} seeds</small>"
    )


def effect(comparison):
    """Write the mean difference of an experiment and its interval, as factors where ratios are compared.

    Args:
        comparison: ``claims.Comparison`` of a quantity.

    Returns:
        A pair of str.

    >>> from coursekit import claims
    >>> effect(claims.greater("accuracy", a=[0.5, 0.5, 0.5], b=0.25))
    ('+0.25', '+0.25 to +0.25')
    """
    low, high = (_difference(end, comparison.is_log) for end in comparison.interval)
    return _difference(comparison.effect, comparison.is_log), f"{low} to {high}"


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
