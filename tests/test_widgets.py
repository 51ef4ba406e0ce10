"""The widgets: what they refuse, what they leave in a notebook, and how they work on a static page in a browser."""

import doctest
import json
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path

import ipywidgets
import numpy as np
import pytest
from accessibility import violations
from conftest import ROOT
from IPython.display import Image
from keras import ops
from playwright.sync_api import expect
from test_gan_widgets import latent_explorer
from test_resnet_widgets import runs

from coursekit import normalization
from coursekit.widgets import (
    BatchExplorer,
    BottleneckExplorer,
    DepthExplorer,
    GanPlayground,
    InceptionDesigner,
    Interrupted,
    LrnExplorer,
    PathExplorer,
    Quiz,
    SymbolTrainer,
    TransferExplorer,
    YourTurn,
    base,
    quiz,
)
from coursekit.widgets.transfer_explorer import checked

HOSTILE = "</script></div>'\"&<img src=x onerror=\"window.hacked = 'yes'\"> \\u003c 5 < 6"


def results(seed=0, frozen=(0, 1, 2, 3, 4, 5, 6), labels=(2, 5, 10, 50), seeds=3):
    shape = (len(frozen), len(labels), seeds)
    test, train = np.random.default_rng(seed).uniform(0.5, 1, (2, *shape))
    return {"frozen": list(frozen), "labels": list(labels), "test": test, "train": train}


# What they refuse, and what they leave in a notebook


def test_docstrings():
    for name in (
        "base",
        "gan_explorers",
        "inception_explorers",
        "normalization_explorers",
        "quiz",
        "resnet_explorers",
        "symbol_trainer",
        "transfer_explorer",
        "your_turn",
    ):
        assert doctest.testmod(import_module(f"coursekit.widgets.{name}")).failed == 0


def test_every_question_of_the_course_is_well_formed():
    quizzes = quiz.load_quizzes()
    assert [Quiz(key).key for key in quizzes] == list(quizzes)


WRONG = {"text": "a", "explanation": "b"}
RIGHT = WRONG | {"correct": True}


def bad_quiz(**change):
    return {"bad": {"question": "?", "choices": [RIGHT, WRONG]} | change}


@pytest.mark.parametrize(
    ("quizzes", "message"),
    [
        ({"good": {}}, "There is no quiz 'bad'; quizzes.toml has good."),
        (bad_quiz(question=""), "Quiz 'bad' has no question."),
        (bad_quiz(choices=[WRONG]), "Quiz 'bad' has 1 choices and needs at least two."),
        (bad_quiz(choices=[RIGHT, {"text": "c"}]), "Choice 2 of quiz 'bad' has no explanation."),
        (bad_quiz(choices=[WRONG, WRONG]), "Quiz 'bad' marks 0 choices as correct and must mark exactly one."),
        (bad_quiz(choices=[RIGHT, RIGHT]), "Quiz 'bad' marks 2 choices as correct and must mark exactly one."),
    ],
)
def test_a_bad_question_gets_one_sentence(quizzes, message):
    with pytest.raises(ValueError, match=message):
        quiz.checked("bad", quizzes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frozen": [0, 2, 1, 3, 4, 5, 6]}, "frozen must be two or more increasing whole numbers"),
        ({"labels": [2]}, "labels must be two or more increasing whole numbers"),
        ({"test": np.ones((7, 3, 3))}, r"test has shape \(7, 3, 3\), not \(7, 4\) and seeds"),
        ({"train": np.full((7, 4, 3), 98.0)}, "train holds a value that is no accuracy between 0 and 1"),
        ({"train": np.full((7, 4, 3), np.nan)}, "train holds a value that is no accuracy between 0 and 1"),
    ],
)
def test_bad_results_get_one_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        TransferExplorer({"digits": results() | change})


def test_missing_results_get_one_sentence():
    with pytest.raises(ValueError, match="There are no results to explore"):
        TransferExplorer({})
    with pytest.raises(ValueError, match="The results of 'digits' lack labels, test, train"):
        TransferExplorer({"digits": {"frozen": [0, 1]}})


def image(alt):
    return Image(b"a picture", format="png", alt=alt)


def panel(run=lambda progress, **settings: settings, **controls):
    return YourTurn(run, lambda runs: image("Curves."), **(controls or {"labels": (2, 5), "frozen_layers": range(7)}))


def displays():
    explorers = [TransferExplorer({"digits": results()}), LrnExplorer(), BatchExplorer([1, 2, 3, 10])]
    explorers += [GanPlayground(), latent_explorer(), BottleneckExplorer(), InceptionDesigner()]
    explorers += [PathExplorer(6), DepthExplorer(runs()), SymbolTrainer()]
    return [Quiz("transfer-scarce-freeze"), *explorers, panel()]


def html_of(widget):
    bundle = widget._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "application/vnd.jupyter.widget-view+json" in data
    return data["text/plain"], data["text/html"]


def test_a_display_is_the_same_every_time():
    for one, other in zip(displays(), displays(), strict=True):
        assert html_of(one) == html_of(other)
        assert " id=" not in html_of(one)[1]
        assert "0x" not in html_of(one)[0]


IMPORTS = """
import sys
import coursekit
assert "anywidget" not in sys.modules
import coursekit.widgets
assert "keras" not in sys.modules
"""


def test_widgets_are_imported_only_when_asked_for_and_without_keras():
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, cwd=ROOT)


# The panel, without a browser: test_jupyterlab.py operates it in one


def run_to_end(panel, stop=False):
    """Press Run, perhaps Stop, and wait until Run can be pressed again; returns what the panel says then."""
    idle = threading.Event()
    panel._run_button.observe(lambda change: change["new"] or idle.set(), "disabled")
    panel._run_button.click()
    if stop:
        panel._stop_button.click()
    assert idle.wait(10)
    assert panel._stop_button.disabled
    return panel._status.value


@pytest.fixture(params=["jupyter", "colab"])
def host(request, monkeypatch):
    if request.param == "colab":
        monkeypatch.setitem(sys.modules, "google.colab", object())
    return request.param


def test_a_run_gets_the_settings_and_is_drawn_over_the_others(host):
    drawn, fractions = [], (0.25, 0.5, 1.0)

    def run(progress, labels, rate):
        for fraction in fractions:
            progress(fraction)
        return labels * rate

    def draw(runs):
        drawn.append(list(runs))
        return image(f'{len(runs)} "runs"')

    panel = YourTurn(run, draw, labels=(2, 5), rate=ipywidgets.FloatText(0.5))
    assert drawn == [[]]
    assert "Finished" in run_to_end(panel)
    panel._controls["labels"].value = 5
    assert "Ready to run with labels 5, rate 0.5." in panel._status.value
    assert "Finished" in run_to_end(panel)
    one, two = ({"labels": 2, "rate": 0.5}, 1.0), ({"labels": 5, "rate": 0.5}, 2.5)
    assert drawn == [[], [one], [one, two]]
    assert 'alt="2 &quot;runs&quot;"' in panel._figure.value


def test_a_run_that_fails_says_why_and_can_be_run_again(host):
    def fail(progress, **settings):
        raise RuntimeError("no <memory> left\nand pages of details")

    assert "The run failed: RuntimeError: no &lt;memory&gt; left</span>" in run_to_end(panel(fail))


def test_stop_ends_a_run_between_two_steps():
    def endless(progress, **settings):
        while True:
            progress(0.5)

    assert "Stopped" in run_to_end(panel(endless), stop=True)


def test_colab_is_stopped_by_interrupting_the_kernel(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", object())

    def interrupted(progress, **settings):
        raise KeyboardInterrupt

    assert "Stopped at 0 %" in run_to_end(panel(interrupted))


def test_interrupted_is_an_exception_of_its_own():
    assert issubclass(Interrupted, Exception)


@pytest.mark.parametrize("choices", ["adam", 3, (1,), None])
def test_a_bad_control_gets_one_sentence(choices):
    with pytest.raises(ValueError, match="The control 'rate' needs two or more values to choose from, or an ipywidget"):
        panel(rate=choices)


def test_a_panel_without_controls_gets_one_sentence():
    with pytest.raises(ValueError, match="The panel needs at least one control"):
        YourTurn(run=None, draw=None)


def test_a_draw_without_an_image_gets_one_sentence():
    with pytest.raises(ValueError, match="draw must return an image"):
        YourTurn(run=None, draw=lambda runs: None, rate=(0.1, 1))


# On a static page


def test_quiz_by_mouse(open_page):
    page = open_page(Quiz("transfer-scarce-freeze").html())
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("status")).to_have_text("Choose an answer first.")
    page.get_by_role("radio", name="Frozen is best").check()
    expect(page.get_by_role("status")).to_be_empty()
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("status")).to_contain_text("✗ Not quite. This is the usual advice.")
    page.get_by_role("radio", name="Frozen and fine-tuned are close").check()
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("status")).to_contain_text("✓ Correct. What matters most is to start")
    page.get_by_text("Why not the others?").click()
    expect(page.get_by_text("All three fit the training images")).to_be_visible()


def test_quiz_by_keyboard(open_page):
    page = open_page(Quiz("transfer-batchnorm-trap").html(), Quiz("transfer-scarce-freeze").html())
    expect(page.get_by_role("radio")).to_have_count(3 + 3)
    for key in ("Tab", "ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    first, second = page.get_by_role("status").all()
    expect(first).to_contain_text("✓ Correct. So the features")
    for key in ("Tab", "Tab", "Tab", "Space", "Tab", "Space"):  # past the button and "Why not the others?"
        page.keyboard.press(key)
    expect(second).to_contain_text("✗ Not quite. This is the usual advice.")
    expect(first).to_contain_text("✓ Correct.")  # two quizzes on a page keep apart


def test_quiz_has_a_legend_and_shows_no_answer_before_checking(open_page):
    key = "transfer-batchnorm-trap"
    page = open_page(Quiz(key).html())
    expect(page.get_by_role("group", name="All kernels of the old network")).to_be_visible()
    text = page.locator("main").inner_text()
    assert "moving statistics all follow" in text
    assert not any(choice["explanation"][:30] in text for choice in quiz.load_quizzes()[key]["choices"])


def test_explorer_by_keyboard(open_page):
    digits, cifar10 = results(1), results(2, frozen=(0, 4, 9), labels=(10, 100))
    page = open_page(TransferExplorer({"digits": digits, "cifar10": cifar10}).html())
    status = page.get_by_role("status")
    frozen, labels = page.get_by_role("slider", name="Frozen layers"), page.get_by_role("slider", name="Labels a class")
    expect(labels).to_be_visible()
    for key in ("Tab", "Tab", "ArrowRight", "ArrowRight", "Tab", "End"):
        page.keyboard.press(key)
    expect(frozen).to_have_attribute("aria-valuetext", "2 of 6")
    expect(labels).to_have_attribute("aria-valuetext", "50")
    expect(status).to_contain_text("digits, 50 labels a class, bottom 2 of 6 layers frozen")
    expect(page.get_by_role("list", name="The network")).to_contain_text("❄ 2 layers: frozen")
    # Switching to a smaller grid keeps the choice inside it.
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("End")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowDown")
    expect(status).to_contain_text("cifar10, 100 labels a class, bottom 9 of 9 layers frozen")
    expect(page.get_by_role("list", name="The network")).not_to_contain_text("fine-tuned")


def test_explorer_by_mouse(open_page):
    page = open_page(TransferExplorer({"digits": results(3)}).html())
    page.get_by_role("row", name="10", exact=False).get_by_role("cell").nth(4).click()
    expect(page.get_by_role("status")).to_contain_text("digits, 10 labels a class, bottom 4 of 6 layers frozen")
    expect(page.locator("td[aria-current]")).to_have_count(1)
    page.get_by_role("slider", name="Frozen layers").click(position={"x": 2, "y": 10})
    expect(page.get_by_role("status")).to_contain_text("bottom 0 of 6 layers frozen")
    expect(page.get_by_role("list", name="The network")).not_to_contain_text("❄")
    expect(page.get_by_role("combobox")).to_have_count(0)  # one data set needs no menu


def test_explorer_computes_what_numpy_computes(open_page):
    page = open_page(TransferExplorer({"digits": results()}).html())
    for seed in range(20):
        rng = np.random.default_rng(seed)
        frozen, labels = np.arange(rng.integers(2, 9)), np.arange(1, rng.integers(3, 7))
        result = checked("random", results(seed, frozen, labels, seeds=rng.integers(1, 6)))
        test, train = (np.array(result[part]) for part in ("test", "train"))
        for j in range(len(labels)):
            call = f"import('./transfer_explorer.js').then(({{ summary }}) => summary({json.dumps(result)}, {j}))"
            said = page.evaluate(call)
            means, best = test[:, j].mean(axis=1), said["best"]
            np.testing.assert_allclose(said["test"], means)
            np.testing.assert_allclose(said["train"], train[:, j].mean(axis=1))
            np.testing.assert_array_equal([said["low"], said["high"]], [test[:, j].min(axis=1), test[:, j].max(axis=1)])
            assert means[best] == pytest.approx(means.max())
            close = means >= test[best, j].min()
            assert set(said["close"]) == set(np.flatnonzero(close)) - {best}


def test_explorer_says_the_numbers(open_page):
    result = {"frozen": [0, 1, 2], "labels": [2, 5], "train": np.ones((3, 2, 2))}
    result["test"] = [[[0.6, 0.7], [0.5, 0.5]], [[0.8, 0.9], [0.7, 0.7]], [[0.82, 0.84], [0.1, 0.1]]]
    page = open_page(TransferExplorer({"digits": result}).html())
    status = page.get_by_role("status")
    expect(status).to_contain_text("test 65.0 % (seeds 60.0 % to 70.0 %), train 100.0 %, gap 35.0 %.")
    expect(status).to_contain_text("★ Highest mean for 2 labels a class: n = 1 (test 85.0 %).")
    expect(status).to_contain_text("Not clearly worse, being above its worst seed: n = 2.")
    page.get_by_role("slider", name="Labels").press("ArrowRight")
    expect(status).to_contain_text("1 (test 70.0 %). Every other n is below its worst seed.")


def test_lrn_explorer_computes_what_the_layer_computes(open_page):
    page = open_page(LrnExplorer().html())
    random = np.random.default_rng(0)
    for _ in range(20):
        values = (random.normal(size=random.integers(1, 20)) * 10 ** random.uniform(-1, 2)).tolist()
        chosen = {"bias": random.uniform(0.5, 4), "alpha": 10 ** random.uniform(-4, 0), "beta": random.uniform(0, 1)}
        radius = int(random.integers(0, 6))
        call = f"import('./lrn_explorer.js').then(m => m.lrn({values}, {json.dumps(chosen | {'radius': radius})}))"
        layer = normalization.LocalResponseNormalization(depth_radius=radius, **chosen)
        expected = ops.convert_to_numpy(layer(np.array([values], "float32")))[0]
        np.testing.assert_allclose(page.evaluate(call), expected, rtol=2e-5, atol=1e-6)


def test_lrn_explorer_draws_before_and_after_on_one_scale(open_page):
    page = open_page(LrnExplorer().html())
    for key in ("Home", "End"):
        page.get_by_role("slider", name="Excited neuron").press(key)
        page.get_by_role("slider", name="Bias").press(key)
        heights = page.locator("svg rect").evaluate_all("(all) => all.map((bar) => +bar.getAttribute('height'))")
        numbers = page.get_by_role("cell").all_inner_texts()
        # Equal distances are equal ratios, in both rows alike.
        slope, _ = np.polyfit(np.log10([float(number) for number in numbers]), heights, 1)
        fitted = slope * np.log10([float(number) for number in numbers])
        np.testing.assert_allclose(heights - np.mean(heights), fitted - np.mean(fitted), atol=0.3)


def test_lrn_explorer_by_keyboard(open_page):
    page = open_page(LrnExplorer().html())
    says, excited = page.get_by_role("status"), page.get_by_role("slider", name="Excited neuron")
    # 10 / (2 + 1e-4 * (100 + 4)) ** 0.75, and with a silent window 1 / (2 + 1e-4 * 5) ** 0.75 out of reach
    expect(says).to_contain_text("answers 10 before and 5.92 after")
    expect(says).to_contain_text("in the same window: 10 times as strong before, 10 times after")
    expect(says).to_contain_text("out of reach: 10 times as strong before, 9.96 times after")
    for key in ("Tab", "End"):
        page.keyboard.press(key)
    expect(excited).to_have_attribute("aria-valuetext", "1000")
    expect(says).to_contain_text("answers 1000 before and 31.2 after")
    page.get_by_role("slider", name="Depth radius").press("Home")
    expect(says).not_to_contain_text("in the same window")


def test_batch_explorer_computes_what_the_layer_computes(open_page):
    page = open_page(BatchExplorer([1, 2, 3, 10]).html())
    random = np.random.default_rng(0)
    for _ in range(10):
        layer = normalization.BatchNormalization(momentum=0.9, epsilon=0.001)
        batches = random.normal(3, 5, size=(3, random.integers(2, 9)))
        call = (
            "import('./batch_explorer.js').then(m => { let moving = {mean: 0, variance: 1};"
            f"const outputs = {batches.tolist()}.map(batch => {{ const own = m.statistics(batch);"
            "moving = m.moved(moving, own); return m.normalized(batch, own); });"
            f"return [outputs, m.normalized({batches[0].tolist()}, moving)]; }})"
        )
        training, inference = page.evaluate(call)
        for batch, output in zip(batches, training, strict=True):
            expected = ops.convert_to_numpy(layer(batch[:, None].astype("float32"), training=True))[:, 0]
            np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)
        expected = ops.convert_to_numpy(layer(batches[0][:, None].astype("float32"), training=False))[:, 0]
        np.testing.assert_allclose(inference, expected, rtol=1e-4, atol=1e-5)


def test_batch_explorer_by_keyboard(open_page):
    page = open_page(BatchExplorer([1, 3]).html())
    says = page.get_by_role("status")
    expect(says).to_contain_text("own statistics: mean 2.00, standard deviation 1.00.")
    expect(says).to_contain_text("after 0 steps: mean 0.00, standard deviation 1.00.")
    page.keyboard.press("Tab")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect(says).to_contain_text("All examples are equal, so every output is 0.")
    page.get_by_role("button", name="One training step").press("Enter")
    expect(says).to_contain_text("after 1 step: mean 0.30, standard deviation 0.95.")
    expect(page.get_by_role("row", name="training")).to_contain_text("0.00")


@pytest.mark.parametrize("values", [[1], [1] * 9, [0.25, 1], [1, 16]])
def test_batch_explorer_refuses(values):
    with pytest.raises(ValueError, match=r"values is .*; give 2 to 8 multiples of 0\.5 from -5 to 15"):
        BatchExplorer(values)


def test_hostile_text_stays_text(open_page, monkeypatch):
    choices = [{"text": f"{HOSTILE} {i}", "correct": i == 0, "explanation": f"`{HOSTILE}` is code"} for i in range(3)]
    monkeypatch.setattr(quiz, "load_quizzes", lambda: {"hostile": {"question": HOSTILE, "choices": choices}})
    widgets = [Quiz("hostile").html(), TransferExplorer({HOSTILE: results()}).html()]
    page = open_page(*widgets)
    expect(page.locator("legend")).to_contain_text(HOSTILE)
    page.get_by_role("radio").first.check()
    page.get_by_role("button", name="Check").click()
    expect(page.get_by_role("status").first).to_contain_text(f"✓ Correct. {HOSTILE} is code")
    expect(page.get_by_role("status").last).to_contain_text(HOSTILE)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    without_scripts = open_page(*widgets, java_script_enabled=False)
    expect(without_scripts.locator("caption")).to_contain_text(HOSTILE)
    assert without_scripts.locator("img").count() == 0


def test_without_javascript_there_is_the_question_and_a_table(open_page):
    page = open_page(*(html_of(widget)[1] for widget in displays()), java_script_enabled=False)
    expect(page.get_by_text("What matters most is to start")).to_be_hidden()
    page.get_by_text("Frozen and fine-tuned are close").click()
    expect(page.get_by_text("What matters most is to start")).to_be_visible()
    expect(page.get_by_role("table", name="digits")).to_contain_text("n of the highest mean")
    expect(page.get_by_role("note")).to_contain_text("Run this chapter in Jupyter, Binder or Colab to use this panel")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1000])
def test_no_accessibility_violation_and_no_sideways_scroll(open_page, theme, width):
    widgets = [html_of(widget)[1] for widget in displays()]
    page = open_page(*widgets, theme=theme, viewport={"width": width, "height": 800})
    page.get_by_role("radio", name="Frozen and fine-tuned are close").check()  # the fallback has the text, and no radio
    page.get_by_role("button", name="Check").click()
    page.get_by_text("Why not the others?").click()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_module_gets_the_model_that_anywidget_gives(open_page, monkeypatch, tmp_path):
    probe = (
        'import { html } from "./dom.js";\n'
        "export default { render({ model, el }) {"
        "  model.on('change:n', () => { el.textContent = `n is ${model.get('n')}`; });"
        "  el.onclick = () => { model.set('n', model.get('n') + 1); model.save_changes(); };"
        "  el.textContent = 'drawn'; } };"
    )
    folder = tmp_path / "widgets"
    folder.mkdir()
    for library in base.LIBRARIES:
        (folder / f"{library}.js").write_text(base.source(library))
    (folder / "probe.js").write_text(probe)
    monkeypatch.setattr(base, "FOLDER", folder)
    page = open_page("""<div class="coursekit-widget" data-widget="probe" data-state='{"n": 1}'>before</div>""")
    page.get_by_text("drawn").click()
    expect(page.get_by_text("n is 2")).to_be_visible()


def test_scripts_stay_small():
    for script in Path(ROOT / "coursekit" / "widgets").glob("*.js"):
        limits = {"gan_playground": 20_000, "nn": 14_000, "symbol_trainer": 20_000}
        assert script.stat().st_size < limits.get(script.stem, 12_000)
