"""Whose course it is: title, authors and color stand in pyproject.toml, beside the repository's address."""

import re
import tomllib
from html import escape
from types import SimpleNamespace

from repository_address import PYPROJECT
from sphinx.errors import SphinxError

CONTRAST = 4.5  # of text on its background, at least, as WCAG 2 asks


class CourseError(SphinxError):
    category = "pyproject.toml"


def read():
    """Title, authors' names, color, and what a fork is adapted from; a `CourseError` for what cannot be used."""
    written = tomllib.loads(PYPROJECT.read_text("utf-8"))
    of_course, authors = written["tool"]["course"], [author["name"] for author in written["project"]["authors"]]
    title, color = of_course["title"], of_course["color"]
    for name in (title, *authors):
        if not name.strip() or re.search(r'["\\\n]', name):
            raise CourseError(
                f"{name!r} is no name for a course or an author: it is empty, or has a quote or backslash."
            )
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        raise CourseError(f"The color is {color!r}; it must be six hexadecimal digits after a #.")
    if contrast_to_white(color) < CONTRAST:
        contrast = f"{contrast_to_white(color):.1f}"
        raise CourseError(f"The color {color} has a contrast of {contrast} to white; links need {CONTRAST} at least.")
    return SimpleNamespace(title=title, authors=authors, color=color, adapted_from=of_course.get("adapted-from", ""))


def channels(color):
    return [int(color[at : at + 2], 16) for at in (1, 3, 5)]


def contrast_to_white(color):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (x / 255 for x in channels(color))]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)


def tint(color, share):
    """The color mixed with white, of which the rest is."""
    return "#" + "".join(f"{round(share * channel + (1 - share) * 255):02x}" for channel in channels(color))


def configure(app, config):
    course = read()
    config.html_title = config.project = course.title
    config.author = ", ".join(course.authors)
    config.html_theme_options["logo"] = {"text": course.title}
    config.html_context["accent"] = {"light": course.color, "dark": tint(course.color, 0.4)}
    if course.adapted_from:
        source = re.sub(r"https://[^\s,]+", r'<a href="\g<0>">\g<0></a>', escape(course.adapted_from))
        config.html_theme_options["extra_footer"] = f"<p>Adapted from {source} (CC BY 4.0).</p>"


def fill_in(app, document, source):
    """Write the title where a page says `{{ course }}`."""
    if "{{ course }}" in source[0]:
        app.env.note_dependency(str(PYPROJECT))
        source[0] = source[0].replace("{{ course }}", read().title)


def setup(app):
    app.connect("config-inited", configure)
    app.connect("source-read", fill_in)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
