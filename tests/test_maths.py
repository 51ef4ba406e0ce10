"""Formulas as MathML: what the reader sees, what the TeX was, and a font that knows how to lay them out."""

import io
from xml.etree import ElementTree

import light
import maths
import pytest
from fontTools.ttLib import TTFont
from hypothesis import given
from hypothesis import strategies as st

LETTERS = st.sampled_from([r"\theta", r"\beta", "x", "W", "2", "10"])


def both(parts):
    pairs = st.tuples(parts, parts)
    return st.one_of(
        pairs.map(lambda pair: "{} + {}".format(*pair)),
        pairs.map(lambda pair: r"\frac{{{}}}{{{}}}".format(*pair)),
        pairs.map(lambda pair: "{{{}}}_{{{}}}".format(*pair)),
        parts.map(lambda part: rf"\sqrt{{{part}}}"),
        parts.map(lambda part: rf"\left( {part} \right)"),
    )


@given(st.recursive(LETTERS, both, max_leaves=8), st.sampled_from(["inline", "block"]))
def test_a_formula_shows_its_letters_and_keeps_its_tex(tex, display):
    formula = ElementTree.fromstring(maths.mathml(tex, display))
    assert formula.tag == "math" and formula.get("display") == display
    (semantics,) = formula
    *shown, annotation = semantics
    assert annotation.text == tex and annotation.get("encoding") == "application/x-tex"
    text = "".join("".join(part.itertext()) for part in shown)
    assert text.count("θ") == tex.count(r"\theta") and text.count("x") == tex.count("x")
    tags = [part.tag for part in formula.iter()]
    for command, tag in ((r"\frac", "mfrac"), (r"\sqrt", "msqrt"), ("_", "msub")):
        assert tags.count(tag) == tex.count(command)


def test_signs_of_html_are_no_tags():
    assert "<mo>&lt;</mo>" in maths.mathml("a < b", "inline")


@pytest.mark.parametrize(
    ("tex", "sentence"),
    [(r"\nosuch + 1", r"\nosuch is unknown in the formula \nosuch + 1"), ("x^1^2", "x^1^2 is no formula: ")],
)
def test_what_is_no_formula_is_a_warning(tex, sentence, monkeypatch):
    said = []
    monkeypatch.setattr(maths.log, "warning", lambda form, *values, location: said.append(form % values))
    maths.mathml(tex, "inline")
    (warning,) = said
    assert warning.startswith(sentence)


def test_the_font_is_cut_down_and_still_lays_out_formulas():
    font = TTFont(io.BytesIO(light.cut_font(maths.FONT, {ord("("), *maths.DRAWN})))
    assert {0x28, *maths.DRAWN} <= font.getBestCmap().keys() and len(font.getBestCmap()) < 150
    variants = font["MATH"].table.MathVariants.VertGlyphCoverage.glyphs
    assert {font.getBestCmap()[code] for code in (0x28, 0x221A)} <= set(variants)
