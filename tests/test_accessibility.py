"""The test of the tests for accessibility: what nobody can read is found, and a broken rule is said."""

import pytest
from accessibility import violations

GOOD = '<p style="color: #333; background: #fff">Read me.</p>'
# On a page beside text that is as it should be.
BAD = {
    "gray on white": '<p style="color: #bbb">Read me.</p>',
    "the second of its sort, the first of which is hidden": (
        '<p style="color: #bbb" hidden>Read me.</p><p style="color: #bbb">Read me.</p>'
    ),
    "a good color on a box around it": '<div style="background: #222"><p style="color: #333">Read me.</p></div>',
    "a good color, nearly invisible": '<p style="color: #333; opacity: 0.3">Read me.</p>',
    "colors that are mixed": (
        '<p style="color: color-mix(in srgb, white 60%, black); background: color-mix(in srgb, white 90%, black)">'
        "Read me.</p>"
    ),
}


@pytest.fixture
def show(open_page):
    def show(text):
        page = open_page()
        page.set_content(
            f'<!doctype html><html lang="en"><title>Text</title><main><h1>Text</h1>{GOOD}{text}</main></html>'
        )
        return page

    return show


def test_what_can_be_read_is_no_violation(show):
    assert violations(show(GOOD)) == []


@pytest.mark.parametrize("name", BAD)
def test_what_nobody_can_read_is_found(show, name):
    ((rule, element),) = violations(show(BAD[name]))
    assert rule == "color-contrast" and "Read me." in element


def test_a_rule_that_breaks_is_said(show):
    page = show(GOOD)
    page.evaluate("Range.prototype.getClientRects = () => { throw new Error('broken'); }; 0")
    with pytest.raises(AssertionError, match="color-contrast"):
        violations(page)
