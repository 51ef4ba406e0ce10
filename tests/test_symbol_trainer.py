"""What chapter 1 opens with: its features are Keras's, and symbols are drawn by mouse, by touch and by keyboard."""

import keras
import make_symbol_network
import numpy as np
import pytest
from conftest import numpy
from playwright.sync_api import expect

from coursekit import pretrained
from coursekit.widgets import SymbolTrainer, base

# The page computes the same beside every backend.
pytestmark = pytest.mark.only_on("tensorflow")

DONE = "After 60 of 60 steps"


@pytest.fixture
def trainer(open_page):
    """A page with the widget, once all three have learned the example."""
    page = open_page(SymbolTrainer().html())
    settle(page, 10)
    return page


def settle(page, drawings):
    expect(page.get_by_role("status")).to_contain_text(f"{DONE} on {drawings} drawings", timeout=60_000)


def shares(page):
    return [int(meter.get_attribute("aria-valuenow")) for meter in page.get_by_role("meter").all()]


# What it computes


DRAWINGS = """async ([weights, count]) => {
  const { pretrained, rasterize, shaken } = await import("./symbol_trainer.js");
  const { randomizer } = await import("./nn.js");
  const random = randomizer(3);
  const drawing = [[[7, 22], [14, 6], [21, 22]], [[9, 16], [19, 16]], [[4, 4]]];
  const images = [...Array(count)].map(() => rasterize(shaken(drawing, random), 1.1));
  const steps = pretrained(weights);
  let step;
  do step = steps.next(); while (!step.done);
  const features = step.value.forward(Float64Array.from(images.flatMap((image) => [...image]))).y;
  return [images.map((image) => [...image]), [...features]];
}"""


def test_the_features_are_those_of_keras(open_page):
    page = open_page()
    network = make_symbol_network.network()
    network.set_weights(pretrained.shipped(make_symbol_network.NAME))
    images, features = page.evaluate(DRAWINGS, [SymbolTrainer().weights, 20])
    images = np.reshape(images, (20, 28, 28, 1)).astype("float32")
    assert 0 <= images.min() < images.max() == 1
    expected = numpy(keras.Model(network.input, network.get_layer("features").output)(images))
    assert expected.std() > 0.1
    np.testing.assert_allclose(np.reshape(features, expected.shape), expected, atol=1e-4)


def naive_image(strokes, pen):
    """Ink by the distance of every pixel from every piece of every line."""
    y, x = np.mgrid[:28, :28] + 0.5
    nearest = np.full((28, 28), np.inf)
    for stroke in strokes:
        for (ax, ay), (bx, by) in zip([stroke[0], *stroke], stroke, strict=False):
            length = (bx - ax) ** 2 + (by - ay) ** 2
            along = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / (length or 1), 0, 1)
            nearest = np.minimum(nearest, np.hypot(ax + along * (bx - ax) - x, ay + along * (by - ay) - y))
    return np.clip(pen + 0.5 - nearest, 0, 1)


def test_ink_is_where_a_line_is_near(open_page):
    page = open_page()
    for seed in range(10):
        random = np.random.default_rng(seed)
        strokes = [random.uniform(-3, 31, (random.integers(1, 5), 2)).tolist() for _ in range(random.integers(1, 4))]
        pen = random.uniform(0.5, 2)
        call = f"import('./symbol_trainer.js').then((m) => [...m.rasterize({strokes}, {pen})])"
        np.testing.assert_allclose(page.evaluate(call), naive_image(strokes, pen).ravel(), atol=1e-9)


LEARN = """async ([weights, seed]) => {
  const { learning, rasterize, shaken, shakyCopies } = await import("./symbol_trainer.js");
  const { randomizer } = await import("./nn.js");
  const random = randomizer(9);
  const drawings = (strokes) => [1, 2, 3].map(() => shaken(strokes, random));
  const symbols = [drawings([[[7, 7], [21, 21]]]), drawings([[[21, 7], [7, 21]]]), drawings([[[14, 5], [14, 23]]])];
  const copies = [...Array(200).keys()].map(shakyCopies(symbols, randomizer(seed + 1)));
  const said = [...learning(symbols, weights, seed)].filter((value) => value);
  const text = (strokes, pen) => String(rasterize(strokes, pen));
  const trained = symbols.flat().map((strokes) => text(strokes, 1.1));
  const known = copies.filter(({ strokes, pen }) => trained.includes(text(strokes, pen)));
  return [said, copies.map(({ label }) => label), known.length];
}"""


def test_a_seed_decides_everything_and_no_copy_is_trained_on(open_page):
    page = open_page()
    one, again, other = (page.evaluate(LEARN, [SymbolTrainer().weights, seed]) for seed in (0, 0, 1))
    assert one == again
    said, labels, trained_on = one
    assert said != other[0]
    assert [each["step"] for each in said] == [15, 30, 45, 60]
    assert {(each["drawings"], each["guessing"]) for each in said} == {(9, 1 / 3)}
    assert min(said[-1]["shares"]) > 0.6
    assert np.bincount(labels).tolist() == [67, 67, 66]
    assert trained_on == 0


# How it is operated


def test_it_begins_with_an_example_and_then_rests(open_page):
    page = open_page(SymbolTrainer().html())
    page.evaluate(
        "() => { window.frames_asked = 0; const ask = window.requestAnimationFrame;"
        "window.requestAnimationFrame = (turn) => { window.frames_asked += 1; return ask(turn); }; }"
    )
    settle(page, 10)
    expect(page.get_by_role("status")).to_contain_text("Guessing, dotted, gets 50")
    assert min(shares(page)) > 60
    asked = page.evaluate("window.frames_asked")
    page.evaluate("new Promise((done) => setTimeout(done, 300))")
    assert page.evaluate("window.frames_asked") == asked > 0


def test_it_waits_until_it_is_seen(open_page):
    page = open_page("<div style='height: 5000px'></div>", SymbolTrainer().html())
    page.evaluate("new Promise((done) => setTimeout(done, 300))")
    expect(page.get_by_role("status")).to_have_text("Training …")
    page.get_by_role("status").scroll_into_view_if_needed()
    settle(page, 10)


def test_symbols_drawn_by_mouse(trainer):
    before = shares(trainer)
    trainer.get_by_role("button", name="Add a symbol").click()
    pad = trainer.get_by_role("application", name="Symbol C, examples: 0")
    for wobble in range(2):
        box = pad.bounding_box()
        trainer.mouse.move(box["x"] + 30 + wobble, box["y"] + 30)
        trainer.mouse.down()
        trainer.mouse.move(box["x"] + 60, box["y"] + 90, steps=5)
        trainer.mouse.move(box["x"] + 90, box["y"] + 30, steps=5)
        trainer.mouse.up()
        trainer.get_by_role("button", name="Add example to C").click()
        pad = trainer.get_by_role("application", name=f"Symbol C, examples: {wobble + 1}")
        expect(pad).to_be_visible()
    settle(trainer, 12)
    expect(trainer.get_by_role("status")).to_contain_text("Guessing, dotted, gets 33")
    assert shares(trainer) != before
    trainer.get_by_role("button", name="Add a symbol").click()
    expect(trainer.get_by_role("button", name="Add a symbol")).to_be_hidden()  # four are enough


def test_symbols_drawn_by_touch(open_page):
    page = open_page(SymbolTrainer().html(), has_touch=True, viewport={"width": 390, "height": 800})
    settle(page, 10)
    page.get_by_role("button", name="Start again").click()
    session = page.context.new_cdp_session(page)
    for name, points in (("A", [(30, 30), (80, 80), (110, 120)]), ("B", [(110, 30), (60, 80), (30, 120)])):
        pad = page.get_by_role("application", name=f"Symbol {name}, examples: 0")
        pad.scroll_into_view_if_needed()
        box = pad.bounding_box()
        for position, (x, y) in enumerate(points):
            kind = "touchMove" if position else "touchStart"
            touch = {"x": box["x"] + x, "y": box["y"] + y}
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [touch]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        assert pad.locator("polyline").get_attribute("points").count(",") >= len(points)
        page.get_by_role("button", name=f"Add example to {name}").click()
        expect(page.get_by_role("application", name=f"Symbol {name}, examples: 1")).to_be_visible()
    settle(page, 2)


def test_symbols_drawn_by_keyboard(trainer):
    trainer.get_by_role("button", name="Start again").press("Enter")
    expect(trainer.get_by_role("status")).to_have_text(
        "Two symbols need an example each before anybody can learn them."
    )
    trainer.get_by_role("button", name="Add example to A").press("Enter")  # nothing is drawn: it leads to the pad
    expect(trainer.get_by_role("application", name="Symbol A")).to_be_focused()
    for name, way in (("A", "ArrowRight"), ("B", "ArrowDown")):
        pad = trainer.get_by_role("application", name=f"Symbol {name}")
        pad.focus()
        for key in ("Space", way, way, way, way):
            trainer.keyboard.press(key)
        expect(pad).to_have_attribute("aria-label", f"Symbol {name}, examples: 0, pen down")
        trainer.keyboard.press("Space")
        expect(pad).to_have_attribute("aria-label", f"Symbol {name}, examples: 0, pen up")
        trainer.keyboard.press("Enter")
        expect(pad).to_have_attribute("aria-label", f"Symbol {name}, examples: 1, pen up")
    settle(trainer, 2)
    assert min(shares(trainer)) > 80  # a bar that lies, and one that stands
    trainer.keyboard.press("Delete")
    expect(trainer.get_by_role("status")).to_contain_text("Two symbols need an example each")
    assert shares(trainer) == [0, 0, 0]


def test_what_is_drawn_is_erased_before_an_example_goes(trainer):
    pad = trainer.get_by_role("application", name="Symbol B")
    pad.click(position={"x": 30, "y": 30})
    trainer.get_by_role("button", name="Erase drawing").click()
    expect(pad).to_have_attribute("aria-label", "Symbol B, examples: 5")
    trainer.get_by_role("button", name="Remove last").click()
    expect(pad).to_have_attribute("aria-label", "Symbol B, examples: 4")
    settle(trainer, 9)


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_who_wants_no_motion_sees_the_result(open_page, motion):
    page = open_page("<div style='height: 5000px'></div>", SymbolTrainer().html(), reduced_motion=motion)
    page.evaluate(
        "() => { window.said = []; const says = document.querySelector('[role=status]');"
        "new MutationObserver(() => window.said.push(says.textContent)).observe(says, { childList: true }); }"
    )
    page.get_by_role("status").scroll_into_view_if_needed()
    settle(page, 10)
    steps = [words.split()[1] for words in page.evaluate("window.said")]
    assert steps == (["60"] if motion == "reduce" else ["15", "30", "45", "60"])


def test_only_what_the_reader_has_asked_for_is_announced(trainer):
    status = trainer.get_by_role("status")
    expect(status).to_have_attribute("aria-live", "off")
    trainer.get_by_role("button", name="Remove last").click()
    settle(trainer, 9)
    expect(status).to_have_attribute("aria-live", "polite")


def test_without_javascript_it_says_what_it_is(open_page):
    page = open_page(SymbolTrainer().html(), java_script_enabled=False)
    expect(page.get_by_text("With JavaScript, you draw two symbols of your own here")).to_be_visible()


def test_a_page_gets_few_bytes():
    assert len(SymbolTrainer().html()) + len(base.module("symbol_trainer")) < 60_000


def test_the_first_drawing_of_a_symbol_takes_the_place_of_the_example(trainer):
    for number in (1, 2):
        pad = trainer.get_by_role("application", name="Symbol A")
        pad.click(position={"x": 30, "y": 30})
        trainer.get_by_role("button", name="Add example to A").click()
        expect(pad).to_have_attribute("aria-label", f"Symbol A, examples: {number}")
    expect(trainer.get_by_role("application", name="Symbol B, examples: 5")).to_be_visible()
    settle(trainer, 7)
    expect(trainer.get_by_text("2 for A, 5 of ours for B.")).to_be_visible()
