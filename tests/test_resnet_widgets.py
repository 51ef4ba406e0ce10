"""The two figures of chapter 5: what they say against NumPy and a network, and how they are operated."""

import itertools
import json

import numpy as np
import pytest
from playwright.sync_api import expect

from coursekit.widgets import DepthExplorer, PathExplorer


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


def run(units, seed=0, **changes):
    random = np.random.default_rng(seed)
    numbers = {
        "loss": random.uniform(0.01, 2.3, (5, 3)),
        "test": random.uniform(0.1, 1, 3),
        "gradients": 10 ** random.uniform(-4, 1, units),
        "without": random.uniform(0.1, 1, units),
    }
    return numbers | changes


def runs():
    """Of plain and residual networks with 3, 9 and 27 units; a plain one lets some not be taken out."""
    results = {
        depth: {"plain": run(units, units), "residual": run(units, 99 + units)} for depth, units in DEPTHS.items()
    }
    for units, result in zip(DEPTHS.values(), results.values(), strict=True):
        result["plain"]["without"][[units // 3, 2 * units // 3]] = np.nan
    return results


DEPTHS = {8: 3, 20: 9, 56: 27}


def test_the_depth_explorer_says_what_numpy_says(open_page):
    results = runs()
    page = open_page(DepthExplorer(results).html())
    shown = DepthExplorer(results).results
    for depth, units in DEPTHS.items():
        for unit in (-1, 0, units // 3, units - 1):
            call = f"m.summary({json.dumps(shown[str(depth)])}, {unit})"
            said = page.evaluate(f"import('./depth_explorer.js').then((m) => {call})")
            for kind, numbers in results[depth].items():
                last = numbers["gradients"]
                wanted = {
                    "loss": numbers["loss"][-1].mean(),
                    "test": numbers["test"].mean(),
                    "bottom": last[0] / last[-1],
                    "without": np.nan if unit < 0 else numbers["without"][unit],
                }
                found = {name: np.nan if value is None else value for name, value in said[kind].items()}
                assert found == pytest.approx(wanted, rel=1e-2, nan_ok=True)


def test_the_depth_explorer_by_keyboard(open_page):
    results = runs()
    page = open_page(DepthExplorer(results).html())
    says, unit = page.get_by_role("status"), page.get_by_role("slider", name="Deleted unit")
    expect(says).to_contain_text("56 layers: training loss plain ")
    page.get_by_role("slider", name="Depth").press("Home")
    expect(says).to_contain_text("8 layers: training loss plain ")
    expect(unit).to_have_attribute("aria-valuetext", "none")
    unit.press("ArrowRight")
    expect(unit).to_have_attribute("aria-valuetext", "1 of 3")
    kept = [f"{100 * results[8][kind]['without'][0]:.1f}\u00a0%" for kind in ("plain", "residual")]
    expect(says).to_contain_text(f"Without unit 1, test accuracy: plain {kept[0]}, residual {kept[1]}.")
    unit.press("ArrowRight")
    expect(says).to_contain_text("Without unit 2, test accuracy: plain cannot be taken out, residual ")
    page.get_by_role("slider", name="Depth").press("ArrowRight")
    expect(unit).to_have_attribute("aria-valuetext", "none")
    expect(page.get_by_role("table").get_by_role("row")).to_have_count(7)


@pytest.mark.parametrize(
    ("results", "sentence"),
    [
        ({}, "There are no results to explore."),
        ({8: {"plain": run(3)}, 20: {"residual": run(9)}}, "Every depth needs the same kinds of networks."),
        ({8: {"plain": {"loss": [[1]]}}}, "The results of plain, 8 layers lack gradients, test, without."),
        ({8: {"plain": run(3), "residual": run(4)}}, "At depth 8, the networks differ in their number of units."),
        ({8: {"plain": run(3, loss=[1, 2])}}, "The results of plain, 8 layers have loss"),
        ({8: {"plain": run(3, without=[0.5])}}, "The results of plain, 8 layers have loss"),
        ({8: {"plain": run(3, test=[])}}, "The results of plain, 8 layers are empty."),
        ({8: {"plain": run(3, test=[1.5])}}, "The results of plain, 8 layers hold an accuracy outside"),
        ({8: {"plain": run(3, gradients=[1, 0, 1])}}, "The results of plain, 8 layers hold an accuracy outside"),
        ({8: {"plain": run(3, loss=[[np.nan]])}}, "The results of plain, 8 layers hold an accuracy outside"),
    ],
)
def test_results_that_do_not_fit_get_one_sentence(results, sentence):
    with pytest.raises(ValueError, match="^" + sentence):
        DepthExplorer(results)
