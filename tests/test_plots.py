"""Figures: alternative text, the same bytes every time, what is drawn, and what they refuse to draw."""

import itertools
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from coursekit import plots

TEXT = {"alt": "Two rising curves.", "xlabel": "labels a class", "ylabel": "accuracy"}
SERIES = {"frozen": [[0.5, 0.6], [0.7, 0.8], [0.8, 0.9]], "scratch": [0.3, 0.5, 0.9]}


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn, kept before they are closed."""
    figures = []
    show = plots.show
    monkeypatch.setattr(plots, "show", lambda figure, alt: figures.append(figure) or show(figure, alt))
    return figures


def grid(channels=3, images=3):
    return np.random.default_rng(0).random((images, 4, 4, channels), "float32")


MEANS = " Means at 1, 2, 3: frozen: 0.55, 0.75, 0.85; scratch: 0.3, 0.5, 0.9."


@pytest.mark.parametrize(
    ("draw", "means"),
    [
        (lambda alt: plots.curves([1, 2, 3], SERIES, **TEXT | {"alt": alt}), MEANS),
        (lambda alt: plots.image_grid(grid(), alt=alt), ""),
    ],
)
def test_alternative_text(draw, means):
    before = plt.get_fignums()
    data, metadata = draw("Two rising curves.")._repr_mimebundle_()
    assert list(data) == ["image/png", plots.SVG] if means else ["image/png"]
    assert metadata["image/png"]["alt"] == f"Two rising curves.{means}"
    assert plt.get_fignums() == before
    for empty in ("", " \n"):
        with pytest.raises(ValueError, match="alt is empty; say in a sentence what the figure shows"):
            draw(empty)
    plt.close("all")


def test_lines_of_a_table(drawn):
    rows = [(rate, kind, seed) for rate in (0.1, 0.2) for kind in "ab" for seed in range(2)]
    runs = pd.DataFrame(rows, columns=["rate", "kind", "seed"])
    runs["test"] = [rate + (kind == "b") + seed / 10 for rate, kind, seed in rows]
    alt = plots.lines(runs, x="rate", y="test", by="kind", label="kind {}", alt="Rising.", ylabel="accuracy").alt
    assert alt == "Rising. Means at 0.1, 0.2: kind a: 0.15, 0.25; kind b: 1.15, 1.25."
    (axes,) = drawn[0].axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("rate", "accuracy")
    assert_allclose([line.get_ydata() for line in axes.lines], [[0.15, 0.25], [1.15, 1.25]])
    with pytest.raises(ValueError, match="There is no run with"):
        plots.lines(runs[~((runs.kind == "a") & (runs.rate == 0.2))], x="rate", y="test", by="kind", alt="A hole.")


def test_long_curves_are_spoken_at_ten_points():
    alt = plots.curves(range(100), {"line": np.arange(100.0)}, **TEXT).alt
    assert alt.endswith("Means at 0, 11, 22, 33, 44, 55, 66, 77, 88, 99: line: 0, 11, 22, 33, 44, 55, 66, 77, 88, 99.")


def test_the_same_figure_is_the_same_file():
    one, other = (plots.curves([1, 2, 3], SERIES, **TEXT) for _ in range(2))
    first, second = one.data, other.data
    assert (first, one.svg) == (second, other.svg)
    assert first != plots.curves([1, 2, 3], SERIES, **TEXT | {"xlabel": "epochs"}).data
    assert b"matplotlib" not in first.lower()
    assert plots.image_grid(grid(), alt="Noise.").data == plots.image_grid(grid(), alt="Noise.").data


def test_the_site_can_write_in_its_own_colors():
    with plots.style():
        figure, axes = plt.subplots()
        axes.text(0, 0, "on paper", bbox={"fc": "white"})
        axes.plot([0, 1], "k--")
        axes.annotate("", (0, 1), (1, 0), arrowprops={"arrowstyle": "-|>"})
        axes.text(0, 1, "on a color", bbox={"fc": "#fdd0a2"})
        axes.set(xlabel="x", ylabel="y", title="letters")
        axes.legend([])
    svg = plots.show(figure, "Two boxes.").svg
    written = {text: style for style, text in re.findall(r'<text style="([^"]*)"[^>]*>([^<]*)</text>', svg)}
    assert plots.INK not in written.pop("on a color")
    assert "#000000" not in svg
    assert len(written) >= 9
    assert all(f"fill: {plots.INK}" in style for style in written.values())


def test_what_is_no_drawing_of_lines_has_its_png_alone(monkeypatch):
    figure, axes = plt.subplots()
    axes.imshow(np.zeros((2, 2)))
    assert plots.show(figure, "Black squares.").svg == ""
    monkeypatch.setattr(plots, "LARGEST_SVG", 1000)
    assert plots.curves([1, 2, 3], SERIES, **TEXT).svg == ""


def test_the_style_stays_inside():
    before = dict(plt.rcParams)
    plots.curves([1, 2, 3], SERIES, **TEXT)
    assert dict(plt.rcParams) == before
    with plots.style():
        assert dict(plt.rcParams) != before


@pytest.mark.parametrize(("categorical", "positions"), [(False, [2, 5, 50]), (True, [0, 1, 2])])
def test_curves_draw_mean_and_deviation(drawn, categorical, positions):
    plots.curves([2, 5, 50], SERIES, **TEXT, title="Few labels", categorical=categorical, ylim=(0, 1))
    (axes,) = drawn[0].axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("labels a class", "accuracy")
    assert axes.get_title(loc="left") == "Few labels"
    assert axes.get_ylim() == (0, 1)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["frozen", "scratch"]
    if categorical:
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["2", "5", "50"]

    frozen, scratch = axes.lines
    assert_array_equal(frozen.get_xdata(), positions)
    assert_allclose(frozen.get_ydata(), [0.55, 0.75, 0.85])
    assert_allclose(scratch.get_ydata(), [0.3, 0.5, 0.9])
    assert frozen.get_marker() != scratch.get_marker()  # color is not the only difference

    deviation = 0.1 / np.sqrt(2)
    band, no_band = (collection.get_paths()[0].vertices[:, 1] for collection in axes.collections)
    assert_allclose([band.min(), band.max()], [0.55 - deviation, 0.85 + deviation])
    assert_allclose([no_band.min(), no_band.max()], [0.3, 0.9])


def test_whole_numbers_have_whole_ticks(drawn):
    for x in ([1, 2, 3], range(1, 4), [0.1, 0.2, 0.3]):
        plots.curves(x, {"one": [0.1, 0.2, 0.3]}, **TEXT)
    whole, also, parts = ([tick % 1 == 0 for tick in figure.axes[0].get_xticks()] for figure in drawn)
    assert all(whole) and all(also) and not all(parts)


def test_no_two_curves_look_alike(drawn):
    plots.curves([1, 2], {str(number): [0.1, 0.2] for number in range(9)}, **TEXT)
    (axes,) = drawn[0].axes
    looks = {(line.get_color(), line.get_marker()) for line in axes.lines}
    assert len(looks) == 9


@pytest.mark.parametrize(
    ("series", "sentence"),
    [
        ({"frozen": [0.5, 0.6]}, r"frozen has shape \(2,\) for 3 points; it needs one row a point"),
        ({"frozen": [1, 2, 3], "tuned": [[0.5, 0.6, 0.7]]}, r"tuned has shape \(1, 3\) for 3 points"),
        ({"frozen": []}, r"frozen has shape \(0,\)"),
        ({"frozen": 0.5}, r"frozen has shape \(\)"),
        ({}, "There is no series to draw"),
    ],
)
def test_curves_refuse(series, sentence):
    with pytest.raises(ValueError, match=sentence):
        plots.curves([1, 2, 3], series, **TEXT)
    assert not plt.get_fignums()  # no figure is left open


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("images", "columns"), [(1, 1), (3, 2), (4, 2), (3, 10)])
def test_image_grid(drawn, channels, images, columns):
    titles = [f"image {i}" for i in range(images)]
    plots.image_grid(grid(channels, images), alt="Noise.", titles=titles, columns=columns)
    axes = drawn[0].axes
    assert len(axes) == columns * -(-images // columns)
    for i, axis in enumerate(axes):
        assert not axis.axison
        if i >= images:
            assert not axis.images
            continue
        (image,) = axis.images
        assert_array_equal(image.get_array(), grid(channels, images)[i].squeeze())
        assert image.get_clim() == (0, 1)  # a dark image stays dark
        assert axis.get_title() == titles[i]


def test_titles_may_be_an_array(drawn):
    plots.image_grid(grid(images=2), alt="Noise.", titles=np.array([5, 7]))
    assert [axis.get_title() for axis in drawn[0].axes[:2]] == ["5", "7"]


@pytest.mark.parametrize(
    ("images", "titles", "sentence"),
    [
        (0, None, "There is no image to draw"),
        (0, [], "There is no image to draw"),
        (2, ["one"], "There are 2 images and 1 titles"),
        (2, [], "There are 2 images and 0 titles"),
    ],
)
def test_image_grid_refuses(images, titles, sentence):
    with pytest.raises(ValueError, match=sentence):
        plots.image_grid(grid(images=images), alt="Noise.", titles=titles)


@pytest.mark.parametrize("shape", [(2, 5, 5, 2), (2, 5), (2,), (1, 2, 5, 5, 3)])
def test_image_grid_refuses_what_are_no_images(shape):
    with pytest.raises(ValueError, match=r"it must be \(height, width\), or \(height, width, 1 or 3\)"):
        plots.image_grid(np.zeros(shape), alt="Noise.")


def test_images_of_one_pixel_are_images(drawn):
    plots.image_grid(np.ones((3, 1, 1, 1)), alt="White.")
    assert [axis.images[0].get_array().shape for axis in drawn[0].axes[:3]] == [(1, 1)] * 3


def test_images_may_have_sizes_of_their_own(drawn):
    plots.image_grid([np.ones((1, 2)), np.ones((3, 3, 1)), np.ones((2, 1, 3))], alt="White.")
    assert [axis.images[0].get_array().shape for axis in drawn[0].axes[:3]] == [(1, 2), (3, 3), (2, 1, 3)]


def test_dots_are_where_the_numbers_are():
    rows = {"plain": [0.7, 0.8, 0.9], "residual": [0.5, 0.5, 0.8]}
    (axes,) = plots.dots(rows.values(), list(rows), "accuracy").axes
    dots, bars = axes.lines[::2], axes.lines[1::2]
    assert len(dots) == len(bars) == 2
    for k, (numbers, dot, bar) in enumerate(zip(rows.values(), dots, bars, strict=True)):
        assert_array_equal(dot.get_xdata(), numbers)
        assert set(dot.get_ydata()) == {-k}
        assert (bar.get_xdata()[0], bar.get_ydata()[0]) == (np.mean(numbers), -k)
    assert [text.get_text() for text in axes.get_yticklabels()] == list(rows)
    with pytest.raises(ValueError, match="There are 1 rows and 2 names"):
        plots.dots([[1.0]], ["a", "b"], "accuracy")


@pytest.mark.parametrize("image", [np.full((4, 4), 255, "uint8"), np.full((4, 4, 3), -1.0), np.full((4, 4, 1), 1.1)])
def test_image_grid_refuses_what_would_be_drawn_all_white_or_black(image):
    with pytest.raises(ValueError, match=r"An image lies in \[.*\]; rescale it to \[0, 1\]"):
        plots.image_grid([image], alt="Noise.")


def test_images_may_be_lists_or_have_holes(drawn):
    plots.image_grid([[[0.0, 1.0], [np.nan, 0.0]]], alt="Squares.")
    assert drawn[0].axes[0].images[0].get_array().shape == (2, 2)


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (lambda: plots.curves([], {"a": []}, alt="A.", xlabel="x", ylabel="y"), "There is no point to draw"),
        (lambda: plots.curves([1], [[1]], alt="A.", xlabel="x", ylabel="y"), "There is no series to draw"),
        (lambda: plots.curves([1], {"a": [1]}, alt=None, xlabel="x", ylabel="y"), "alt is empty"),
        (lambda: plots.image_grid(np.ones((2, 4, 4)), alt="A.", columns=0), "columns is 0; it must be a whole number"),
        (lambda: plots.dots([[1.0]], "a", "x"), "give one name a row"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(draw, said):
    with pytest.raises(ValueError, match=said):
        draw()


@pytest.mark.parametrize("titles", [["bulletproof vest 12%\nsuit", "triceratops 22%", "jeep"], ["8", "", "9"]])
def test_titles_stand_side_by_side(drawn, titles):
    plots.image_grid(np.zeros((3, 8, 8)), titles=titles, columns=3, alt="Three.")
    figure = drawn[0]
    figure.canvas.draw()
    boxes = [axes.title.get_window_extent() for axes in figure.axes]
    assert boxes[0].x0 >= 0 and boxes[-1].x1 <= figure.bbox.x1 and max(box.y1 for box in boxes) <= figure.bbox.y1
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes) if left.width and right.width)
