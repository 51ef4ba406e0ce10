"""The two figures of chapter 4: what they count against coursekit.cost, and how they are operated."""

import keras
import numpy as np
import pytest
from keras import layers
from playwright.sync_api import expect

from coursekit import cost, inception
from coursekit.widgets import BottleneckExplorer, InceptionDesigner


def counted(layer_or_model):
    return [(row.macs, row.parameters) for row in cost.summary(layer_or_model).rows if row.parameters]


def test_the_bottleneck_costs_what_coursekit_counts(open_page):
    page = open_page(BottleneckExplorer().html())
    random = np.random.default_rng(0)
    for _ in range(20):
        side, length = int(random.integers(1, 60)), int(random.integers(1, 12))
        channels, filters, bottleneck = random.integers(1, 300, 3).tolist()
        chosen = dict(side=side, length=length, channels=channels, filters=filters, bottleneck=bottleneck)
        said = page.evaluate(f"import('./bottleneck_explorer.js').then((m) => m.costs({chosen}))")
        image = keras.Input((side, side, channels))
        narrow = layers.Conv2D(bottleneck, 1)
        last = [layers.Conv2D(filters, length, padding="same") for _ in range(2)]
        direct = cost.undrawn(lambda: keras.Model(image, last[0](image)))()  # noqa: B023 (called at once)
        through = cost.undrawn(lambda: keras.Model(image, last[1](narrow(image))))()  # noqa: B023
        wanted = dict(zip(("direct", "reduction", "rest"), counted(direct) + counted(through), strict=True))
        assert {name: (of["multiplications"], of["parameters"]) for name, of in said.items()} == wanted


def test_the_bottleneck_by_keyboard(open_page):
    page = open_page(BottleneckExplorer().html())
    says, table = page.get_by_role("status"), page.get_by_role("table")
    expect(says).to_contain_text("120,422,400 multiplications, 9.68 times as many")
    expect(table.get_by_role("row", name="together")).to_contain_text("12,443,648")
    page.get_by_role("slider", name="1×1 filters").press("ArrowRight")
    expect(table.get_by_role("row", name="1×1 28")).to_contain_text("28 × 28 × 192 × 1 × 1 × 32")
    page.get_by_role("slider", name="1×1 filters").press("End")
    expect(says).to_contain_text("no more than through the bottleneck")
    page.get_by_role("slider", name="Filter size").press("Home")
    expect(table.get_by_role("row", name="directly")).to_contain_text("28 × 28 × 192 × 1 × 1 × 32")


@pytest.mark.parametrize("reduced", [True, False])
def test_the_designed_module_costs_what_coursekit_counts(open_page, reduced):
    page = open_page(InceptionDesigner().html())
    random = np.random.default_rng(0)
    for _ in range(20):
        shape = random.integers(1, 60, 3).tolist()
        filters = dict(zip(inception.MODULES["3a"], random.integers(1, 300, 6).tolist(), strict=True))
        call = f"m.module({shape}, {filters}, {str(reduced).lower()})"
        said = page.evaluate(f"import('./inception_designer.js').then((m) => {call})")
        image = keras.Input(shape)
        kind = "reduced" if reduced else "naive"
        module, sizes = inception.KINDS[kind], inception.scale_filters(filters, 1, kind)
        model = cost.undrawn(lambda: keras.Model(image, module(image, **sizes, name="inception")))()  # noqa: B023 (called at once)
        convolutions = {row.layer.removeprefix("inception_"): row for row in cost.summary(model).rows}
        for one in said["convolutions"]:
            row = convolutions[one["name"]]
            assert (one["multiplications"], one["parameters"]) == (row.macs, row.parameters)
        assert len(said["convolutions"]) == (6 if reduced else 3)
        assert sum(said["given"]) == model.output.shape[-1]


def test_the_designer_by_keyboard(open_page):
    page = open_page(InceptionDesigner().html())
    says, table = page.get_by_role("status"), page.get_by_role("table")
    expect(says).to_contain_text(
        "85.4 % of the budget. The output is 28×28×256: 64 + 128 + 32 + 32 channels, from 192."
    )
    page.get_by_role("slider", name="3×3", exact=True).press("End")
    expect(says).to_contain_text("of the budget: too much. The output is 28×28×512")
    page.get_by_role("slider", name="3×3", exact=True).press("Home")
    page.get_by_role("checkbox", name="with dimension reductions").press("Space")
    expect(says).to_contain_text("64 + 8 + 32 + 192 channels")
    expect(page.get_by_role("slider", name="1×1 behind pooling")).to_be_disabled()
    expect(table.get_by_role("row")).to_have_count(5)
    page.get_by_role("checkbox", name="with dimension reductions").press("Space")
    expect(table.get_by_role("row", name="1×1 behind pooling")).to_be_visible()


def test_the_designer_begins_where_it_is_told(open_page):
    page = open_page(InceptionDesigner(shape=(14, 14, 480), budget=100_000_000).html())
    expect(page.get_by_text("Design a module for 14×14×480 within 100,000,000 multiplications")).to_be_visible()


@pytest.mark.parametrize("options", [{"shape": (28, 28)}, {"shape": (28, 28, 0)}, {"budget": 0}, {"budget": 1.5e8}])
def test_bad_settings_get_one_sentence(options):
    with pytest.raises(ValueError, match=r"give \(height, width, channels\) and a number"):
        InceptionDesigner(**options)
