"""The figure of chapter 5 that unrolls a network: its paths against a network, and how it is operated."""

import itertools
import json

import numpy as np
import pytest
from playwright.sync_api import expect

from coursekit.widgets import PathExplorer


def test_the_paths_that_are_left_add_up_to_the_network(open_page):
    """Of linear units: what a network answers without some of them is the sum over the paths that avoid these."""
    page = open_page(PathExplorer().html())
    random = np.random.default_rng(0)
    for n in range(1, 7):
        deleted = (random.random(n) < 0.3).tolist()
        residuals = random.normal(size=(n, 4, 4))
        x = whole = random.normal(size=4)
        for residual, gone in zip(residuals, deleted, strict=True):
            whole = whole if gone else whole + residual @ whole
        paths = page.evaluate(f"import('./path_explorer.js').then((m) => m.paths({json.dumps(deleted)}))")
        assert sorted(path["through"] for path in paths) == sorted(
            map(list, itertools.product([False, True], repeat=n))
        )
        added = np.zeros(4)
        for path in filter(lambda path: path["left"], paths):
            assert path["length"] == sum(path["through"])
            answer = x
            for residual, one in zip(residuals, path["through"], strict=True):
                answer = residual @ answer if one else answer
            added += answer
        np.testing.assert_allclose(added, whole)


def test_the_paths_by_keyboard(open_page):
    page = open_page(PathExplorer().html())
    says, table = page.get_by_role("status"), page.get_by_role("table")
    expect(says).to_have_text("3 units: 8 paths from the input to the output.")
    page.get_by_role("checkbox", name="delete unit 2").press("Space")
    expect(says).to_contain_text("Without unit 2, 4 of them are left.")
    expect(table.get_by_role("row", name="paths")).to_have_text("paths1331")
    expect(table.get_by_role("row", name="left")).to_have_text("left1210")
    expect(page.get_by_role("checkbox")).to_have_count(3)
    page.get_by_role("slider", name="Units").press("Home")
    expect(says).to_have_text("1 unit: 2 paths from the input to the output.")
    page.get_by_role("slider", name="Units").press("End")
    expect(says).to_contain_text("6 units: 64 paths from the input to the output.Without unit 2, 32 of them")
    for unit in (1, 3, 4, 5, 6):
        page.get_by_role("checkbox", name=f"delete unit {unit}").press("Space")
    expect(says).to_contain_text("Without units 1, 2, 3, 4, 5, 6, 1 of them is left.")


@pytest.mark.parametrize("units", [0, 7, 2.5, "3"])
def test_a_bad_number_of_units_gets_one_sentence(units):
    with pytest.raises(ValueError, match="it must be a whole number from 1 to 6"):
        PathExplorer(units)
