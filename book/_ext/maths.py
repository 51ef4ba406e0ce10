"""Formulas that the browser lays out itself: MathML, made from TeX when the site is built, and a font for them.

No script has to come, read and measure them, and a screen reader reads them as formulas. Each keeps its TeX as an
annotation, for the search and for who copies it. The font is STIX Two Math, cut down to what the pages show.
"""

import html
import re
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import light
from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

log = logging.getLogger(__name__)

FONT = files("ziamath.fonts") / "STIXTwoMath-Regular.ttf"
FORMULA, TAG = re.compile(r"<math.*?</math>", re.DOTALL), re.compile(r"<[^>]*>")
# What stands in no formula and is drawn: the sign of a root, and the letters for a variable of one letter.
DRAWN = {0x221A, 0x210E, *range(0x1D434, 0x1D455), *range(0x1D456, 0x1D468), *range(0x1D6E2, 0x1D71C)}
TIGHT = {"|", "\u2016", "/"}  # have no space around them in TeX


def mathml(tex, display, location=None):
    r"""The MathML of a formula.

    >>> mathml(r"\gamma^2", "inline").partition("<annotation")[0]
    '<math display="inline"><semantics><mrow><msup><mi>γ</mi><mn>2</mn></msup></mrow>'
    """
    try:
        formula = ElementTree.fromstring(convert(tex, xmlns="", display=display))
    except Exception as error:  # of one of its many kinds
        log.warning("%s is no formula: %r", tex, error, location=location)
        formula = ElementTree.Element("math", display=display)
    unknown = [part.text for part in formula.iter() if part.tag != "mtext" and "\\" in (part.text or "")]
    if unknown:
        log.warning("%s is unknown in the formula %s", ", ".join(unknown), tex, location=location)
    for operator in formula.iter("mo"):
        if operator.text in TIGHT:
            operator.attrib |= {"lspace": "0", "rspace": "0"}
    semantics = ElementTree.Element("semantics")
    semantics.extend(formula)
    ElementTree.SubElement(semantics, "annotation", encoding="application/x-tex").text = tex
    formula[:] = [semantics]
    return ElementTree.tostring(formula, "unicode")


def visit_math(self, node):
    formula = mathml(node.astext(), "inline", node)
    self.body.append(f"{self.starttag(node, 'span', '', CLASS='math notranslate')}{formula}</span>")
    raise nodes.SkipNode


def visit_math_block(self, node):
    formula = mathml(node.astext(), "block", node)
    self.body.append(self.starttag(node, "div", CLASS="math notranslate") + formula)
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def write_font(app, error):
    """Write the font with the characters of all formulas, where `maths.css` asks for it."""
    if error:
        return
    pages = [page.read_text("utf-8") for page in Path(app.outdir).rglob("*.html")]
    formulas = (html.unescape(TAG.sub("", formula)) for page in pages for formula in FORMULA.findall(page))
    shown = {ord(letter) for formula in formulas for letter in formula}
    (Path(app.outdir) / "_static" / "maths.woff").write_bytes(light.cut_font(FONT, shown | DRAWN))


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("build-finished", write_font)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
