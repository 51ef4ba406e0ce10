"""The course's logo in its color: three layers, a tick on the last, and a point, in a square of 64."""

from functools import cache
from html import escape

from course import tint

# Places (left, top, right, bottom), and how much of the color each layer has; the rest is white.
LAYERS = (((4, 12, 40, 48), 0.4), ((12, 8, 48, 44), 0.75), ((20, 4, 56, 40), 1))
TICK, POINT = ((28, 22), (36, 31), (50, 14)), (34, 50, 42, 58)
SIZE, CORNER, STROKE, ORANGE = 64, 5, 5, "#e6843c"


def svg(title, color):
    """The logo as a file: book/_static/logo.svg, which `make repository` writes."""
    layers = "".join(
        f'  <rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" rx="{CORNER}" '
        f'fill="{tint(color, share)}"/>\n'
        for (left, top, right, bottom), share in LAYERS
    )
    left, top, right, bottom = POINT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" role="img" '
        f'aria-label="{escape(title)}">\n'
        f'{layers}  <path d="M{"L".join(f"{x} {y}" for x, y in TICK)}" fill="none" stroke="#fff" '
        f'stroke-width="{STROKE}" stroke-linecap="round" stroke-linejoin="round"/>\n'
        f'  <circle cx="{(left + right) / 2:g}" cy="{(top + bottom) / 2:g}" r="{(right - left) / 2:g}" '
        f'fill="{ORANGE}"/>\n</svg>\n'
    )


@cache
def draw(size, color):
    """The logo as a square image, drawn four times as large first, for smooth edges."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (4 * size, 4 * size), "#ffffff")
    pen = ImageDraw.Draw(image)
    unit = 4 * size / SIZE
    for place, share in LAYERS:
        pen.rounded_rectangle([unit * each for each in place], CORNER * unit, fill=tint(color, share))
    pen.line([(unit * x, unit * y) for x, y in TICK], "#ffffff", round(STROKE * unit), joint="curve")
    pen.ellipse([unit * each for each in POINT], fill=ORANGE)
    return image.resize((size, size), Image.Resampling.LANCZOS)
