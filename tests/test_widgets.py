"""The widgets: what they refuse, what they leave in a notebook, and how they work on a static page in a browser."""

import base64
import doctest
import json
import shutil
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path

import ipywidgets
import keras
import numpy as np
import offline
import pytest
from axe_core_python.sync_playwright import Axe
from conftest import ROOT, serve
from IPython.display import Image
from keras import layers, ops
from playwright.sync_api import expect

from coursekit import gan, normalization, training
from coursekit.widgets import (
    BatchExplorer,
    GanPlayground,
    Interrupted,
    LatentExplorer,
    LrnExplorer,
    Quiz,
    TransferExplorer,
    YourTurn,
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
    for name in ("base", "gan_explorers", "normalization_explorers", "quiz", "transfer_explorer", "your_turn"):
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
    gans = [GanPlayground(), latent_explorer()]
    return [Quiz("transfer-scarce-freeze"), *explorers, *gans, panel()]


def latent_explorer(shape=(28, 28, 1), latent_dim=5, filters=(6, 4)):
    """A generator that has learned nothing, but whose every number has a value of its own."""
    keras.utils.set_random_seed(0)
    generator = gan.generator(latent_dim, shape, filters)
    random = np.random.default_rng(0)
    generator.set_weights([random.uniform(0.1, 0.4, weights.shape) for weights in generator.get_weights()])
    return LatentExplorer(generator, random.normal(size=latent_dim), random.normal(size=latent_dim))


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


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens a static page of widgets; in the end no page may have logged an error or asked another host."""
    for file in (ROOT / "coursekit" / "widgets").glob("*.*s"):
        shutil.copy(file, tmp_path)
    server = serve(tmp_path)
    address = f"http://127.0.0.1:{server.server_port}"
    errors, contexts = [], []

    def open_page(*widgets, theme="light", **options):
        (tmp_path / "widgets.js").write_text(offline.widgets_script())
        (tmp_path / "index.html").write_text(
            f'<!doctype html><html lang="en" data-theme="{theme}"><title>Widgets</title><link rel="icon" href="data:,">'
            '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="widgets.css">'
            "<style>[data-theme=dark] { --pst-color-text-base: #ced6dd; --pst-color-text-muted: #9ca4af;"
            " --pst-color-background: #14181e; background: #14181e; }</style>"
            f'<script defer src="widgets.js"></script><main><h1>Widgets</h1>{"".join(widgets)}</main>'
        )
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: message.type == "error" and errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: request.url.startswith((address, "data:")) or errors.append(request.url))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    server.shutdown()
    assert errors == []


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
    expect(status).to_contain_text("★ Best n for 2 labels a class: 1 (test 85.0 %).")
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


def leaky_mlp(outputs, random):
    hidden = [layer for _ in range(2) for layer in (layers.Dense(32), layers.LeakyReLU(0.2))]
    model = keras.Sequential([keras.Input((2,)), *hidden, layers.Dense(outputs)])
    model.set_weights([random.normal(size=weights.shape) / 3 for weights in model.get_weights()])
    return model


def as_script(model):
    """The weights of a network in the playground's form."""
    weights = [weights.ravel().tolist() for weights in model.get_weights()]
    return [{"w": w, "b": b} for w, b in zip(weights[::2], weights[1::2], strict=True)]


def flat(gradients):
    """One row, from Keras's list of tensors or the playground's list of layers."""
    if isinstance(gradients[0], dict):
        gradients = [layer[part] for layer in gradients for part in "wb"]
    return np.concatenate([np.ravel(ops.convert_to_numpy(part)) for part in gradients])


GRADIENTS = """async ([g, d, real, noise, loss]) => {
  const { answer, discriminatorGradients, generatorGradients } = await import("./gan_playground.js");
  const typed = (net) => net.map(({ w, b }) => ({ w: Float64Array.from(w), b: Float64Array.from(b) }));
  const plain = (net) => net.map(({ w, b }) => ({ w: [...w], b: [...b] }));
  const [G, D, x, z] = [typed(g), typed(d), Float64Array.from(real.flat()), Float64Array.from(noise.flat())];
  const one = discriminatorGradients(D, x, answer(G, z, noise.length));
  const two = generatorGradients(G, D, z, loss);
  return [one.loss, plain(one.gradients), one.right, two.loss, plain(two.gradients)];
}"""


ADAM = """async ([weights, gradients, rate]) => {
  const { adam, emptyMemory } = await import("./gan_playground.js");
  const typed = (values) => ({ w: Float64Array.from(values), b: new Float64Array(1) });
  const net = [typed(weights)];
  const memory = emptyMemory(net);
  const moved = gradients.map((gradient) => adam(net, [typed(gradient)], memory, rate));
  return [[...net[0].w], moved.at(-1)];
}"""


def test_playground_has_the_adam_of_keras(open_page):
    page = open_page(GanPlayground().html())
    random = np.random.default_rng(0)
    weights, gradients = random.normal(size=6), random.normal(size=(20, 6))
    variable, optimizer = keras.Variable(weights), keras.optimizers.Adam(0.01, beta_1=0.5)
    for gradient in gradients:
        before = ops.convert_to_numpy(variable).copy()
        optimizer.apply([ops.convert_to_tensor(gradient, "float32")], [variable])
    after = ops.convert_to_numpy(variable)
    said, moved = page.evaluate(ADAM, [weights.tolist(), gradients.tolist(), 0.01])
    np.testing.assert_allclose(said, after, atol=1e-5)
    assert moved == pytest.approx(np.linalg.norm(after - before), abs=1e-5)


def test_a_blob_is_covered_by_a_tenth_of_its_share(open_page):
    page = open_page(GanPlayground().html())
    for near, expected in ((4, 1), (5, 2)):  # of a hundred points, half are the even share of two blobs
        points = [[0, 0]] * (100 - near) + [[3, 0.39]] * (near - 1) + [[3, 0]]
        call = f"import('./gan_playground.js').then((m) => m.covered([[0, 0], [3, 0]], {np.ravel(points).tolist()}))"
        assert page.evaluate(call) == expected
    far = f"import('./gan_playground.js').then((m) => m.covered([[0, 0]], {[0.3, 0.3] * 50}))"
    assert page.evaluate(far) == 0


@pytest.mark.parametrize("loss", gan.LOSSES)
def test_playground_has_the_losses_and_gradients_of_coursekit(open_page, loss):
    page = open_page(GanPlayground().html())
    for seed in range(5):
        random = np.random.default_rng(seed)
        g, d = leaky_mlp(2, random), leaky_mlp(1, random)
        real, noise = random.normal(size=(2, 64, 2)).astype("float32")
        arguments = [as_script(g), as_script(d), real.tolist(), noise.tolist(), loss.replace("_", "-")]
        d_loss, d_gradients, right, g_loss, g_gradients = page.evaluate(GRADIENTS, arguments)

        fake = ops.stop_gradient(g(noise))
        wanted, expected = training.value_and_grad(
            lambda: gan.discriminator_loss(d(real), d(fake)),  # noqa: B023 (called at once)
            d.trainable_variables,
        )
        np.testing.assert_allclose(d_loss, float(wanted), rtol=1e-5)
        np.testing.assert_allclose(flat(d_gradients), flat(expected), rtol=1e-3, atol=1e-5)
        assert right == pytest.approx(
            [np.mean(ops.convert_to_numpy(d(real)) > 0), np.mean(ops.convert_to_numpy(d(fake)) < 0)]
        )
        wanted, expected = training.value_and_grad(
            lambda: gan.generator_loss(d(g(noise)), loss),  # noqa: B023
            g.trainable_variables,
        )
        np.testing.assert_allclose(g_loss, float(wanted), rtol=1e-5)
        np.testing.assert_allclose(flat(g_gradients), flat(expected), rtol=1e-3, atol=1e-5)


PARTS = """async (part) => {
  const { game } = await import("./gan_playground.js");
  const play = game({ seed: 1 });
  const numbers = (net) => net.flatMap(({ w, b }) => [...w, ...b]);
  const before = { d: numbers(play.d), g: numbers(play.g) };
  for (let i = 0; i < 5; i += 1) play[part]();
  return ["d", "g"].map((who) => numbers(play[who]).filter((value, i) => value !== before[who][i]).length);
}"""


def test_in_the_playground_too_only_one_network_moves(open_page):
    page = open_page(GanPlayground().html())
    in_d, in_g = page.evaluate(PARTS, "part1")
    assert (in_d > 1000, in_g) == (True, 0)
    in_d, in_g = page.evaluate(PARTS, "part2")
    assert (in_d, in_g > 1000) == (0, True)


COVERAGE = """async (rates) => {
  const { answer, covered, game } = await import("./gan_playground.js");
  const blobs = [...Array(8)].map((_, i) => [2 * Math.cos(Math.PI * i / 4), 2 * Math.sin(Math.PI * i / 4)]);
  const play = game({ seed: 0 });
  Object.assign(play.rates, rates);
  for (let i = 0; i < 3000; i += 1) play.step();
  return covered(blobs, answer(play.g, play.noiseFor(1000), 1000));
}"""


def test_the_playground_learns_and_collapses(open_page):
    page = open_page(GanPlayground().html())
    assert page.evaluate(COVERAGE, {}) >= 7
    assert page.evaluate(COVERAGE, {"d": 0.0003, "g": 0.01}) <= 2


def test_playground_one_part_at_a_time_by_keyboard(open_page):
    page = open_page(GanPlayground().html())
    says, table = page.get_by_role("status"), page.get_by_role("table")
    expect(says).to_contain_text("Nothing has been trained")
    page.get_by_role("button", name="Part 1").press("Enter")
    expect(says).to_contain_text("The discriminator has trained 1 time, the generator 0.")
    expect(table.get_by_role("row", name="part 1").get_by_role("cell").last).to_have_text("0")
    page.get_by_role("button", name="Part 2").press("Space")
    expect(says).to_contain_text("The discriminator has trained 1 time, the generator 1.")
    expect(table.get_by_role("row", name="part 2").get_by_role("cell").first).to_have_text("0")
    expect(table.get_by_role("row", name="part 2").get_by_role("cell").last).not_to_have_text("0")
    rate = page.get_by_role("slider", name="Generator's learning rate")
    rate.press("End")
    expect(rate).to_have_attribute("aria-valuetext", "0.01")
    page.get_by_role("combobox", name="Real points").select_option("a ring")
    expect(says).to_contain_text("Nothing has been trained")
    expect(says).not_to_contain_text("blobs")
    expect(rate).to_have_attribute("aria-valuetext", "0.01")  # the settings stay


def test_playground_runs_and_pauses(open_page):
    page = open_page(GanPlayground().html())
    page.get_by_role("button", name="Run").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("of 8 blobs")
    page.get_by_role("button", name="Pause").press("Enter")
    said = page.get_by_role("status").inner_text()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.get_by_role("status").inner_text() == said
    page.get_by_role("button", name="Provoke mode collapse").click()
    expect(page.get_by_role("slider", name="Discriminator's")).to_have_attribute("aria-valuetext", "0.0003")
    expect(page.get_by_role("status")).to_contain_text("Nothing has been trained")


def test_playground_on_points_drawn_by_hand_or_by_keyboard(open_page):
    page = open_page(GanPlayground().html())
    expect(page.get_by_role("button", name="Erase")).to_be_hidden()
    page.get_by_role("combobox", name="Real points").select_option("drawn by you")
    says, field = page.get_by_role("status"), page.get_by_role("application")
    expect(says).to_contain_text("Draw some real points first.")
    page.get_by_role("button", name="Run").click()
    expect(says).to_contain_text("Draw some real points first.")
    field.press("ArrowRight")
    field.press("Space")
    expect(says).to_contain_text("Nothing has been trained")
    field.hover(position={"x": 50, "y": 60})
    page.mouse.down()
    page.mouse.move(300, 500)
    page.mouse.up()
    page.get_by_role("button", name="Part 1").click()
    expect(says).to_contain_text("has trained 1 time")
    page.get_by_role("button", name="Erase").click()
    expect(says).to_contain_text("Draw some real points first.")


GENERATE = """async ([blocks, noise]) => {
  const { decode, generate } = await import("./latent_explorer.js");
  const decoded = decode(blocks);
  return noise.map((z) => [...generate(decoded, z)]);
}"""


@pytest.mark.parametrize(("shape", "filters"), [((28, 28, 1), (6, 4)), ((16, 16, 3), (4,)), ((8, 8, 1), (5, 4, 3))])
def test_latent_explorer_makes_the_images_of_keras(open_page, shape, filters):
    explorer = latent_explorer(shape, 5, filters)
    page = open_page(explorer.html())
    noise = np.random.default_rng(1).normal(size=(10, 5)).astype("float32")
    made = page.evaluate(GENERATE, [explorer.blocks, noise.tolist()])
    generator = explorer._generator
    for layer in generator.layers:  # the page has the kernels in half precision
        if hasattr(layer, "kernel"):
            layer.kernel.assign(ops.convert_to_numpy(layer.kernel).astype("float16"))
    expected = ops.convert_to_numpy(generator(noise))
    assert expected.std() > 0.05
    np.testing.assert_allclose(np.reshape(made, expected.shape), expected, atol=1e-5)
    # and against the generator as it was trained
    exact = latent_explorer(shape, 5, filters)._generator(noise)
    np.testing.assert_allclose(np.reshape(made, expected.shape), ops.convert_to_numpy(exact), atol=1e-2)


def test_halves_are_those_of_numpy(open_page):
    page = open_page(latent_explorer().html())
    some = np.array([0, -0.0, 1, -2.5, 65504, 6e-8, -3e-5, 0.1, 1 / 3], "float16")
    text = json.dumps(base64.b64encode(some.tobytes()).decode())
    said = page.evaluate(f"import('./latent_explorer.js').then((m) => [...m.halves({text})])")
    np.testing.assert_array_equal(said, some)
    np.testing.assert_array_equal(np.signbit(said), np.signbit(some))


def test_latent_explorer_by_keyboard(open_page):
    page = open_page(latent_explorer().html())
    picture = page.get_by_role("img", name="The generated picture")

    def pixels():
        return picture.evaluate("(canvas) => canvas.toDataURL()")

    start = pixels()
    first = page.get_by_role("slider", name="z1", exact=False).first
    first.press("End")
    expect(first).to_have_attribute("aria-valuetext", "3.0")
    assert pixels() != start
    way = page.get_by_role("slider", name="On the way from A to B")
    for key in ("End", "Home"):
        way.press(key)
    assert pixels() == start
    way.press("End")
    assert pixels() == page.get_by_role("img", name="100 % of the way").evaluate("(canvas) => canvas.toDataURL()")
    page.get_by_role("button", name="New noise").press("Enter")
    new = pixels()
    page.get_by_role("button", name="Keep as B").press("Enter")
    assert new == page.get_by_role("img", name="100 % of the way").evaluate("(canvas) => canvas.toDataURL()")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LatentExplorer(gan.generator(4, (8, 4, 1), (3,)), [0] * 4, [0] * 4), "shows square images"),
        (lambda: LatentExplorer(gan.generator(4, (8, 8, 2), (3,)), [0] * 4, [0] * 4), "1 or 3 channels"),
        (lambda: LatentExplorer(gan.generator(4, (8, 8, 1), (3,)), [0] * 4, [0] * 3), "must be noise of 4 numbers"),
        (lambda: LatentExplorer(of_other_layers(), [0] * 4, [0] * 4), "this one has other layers"),
        *[
            (lambda name=name, value=value: LatentExplorer(changed(name, value), [0] * 4, [0] * 4), "has other layers")
            for name, value in {"activation": "tanh", "strides": 1, "slope": 0.2, "bias": True, "kernel": 3}.items()
        ],
    ],
)
def test_latent_explorer_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def changed(name, value):
    """A generator as ours, but for one option."""
    options = {"activation": "sigmoid", "strides": 2, "slope": 0.0, "bias": False, "kernel": 4} | {name: value}
    small = [layers.Dense(12, use_bias=options["bias"]), layers.Reshape((2, 2, 3)), layers.BatchNormalization()]
    small += [layers.ReLU(negative_slope=options["slope"])]
    last = layers.Conv2DTranspose(1, options["kernel"], options["strides"], "same", activation=options["activation"])
    return keras.Sequential([keras.Input((4,)), *small, last])


def test_latent_explorer_takes_the_generator_that_the_changed_ones_differ_from():
    assert len(LatentExplorer(changed("kernel", 4), [0] * 4, [0] * 4).blocks) == 2


def of_other_layers():
    small = [layers.Dense(16), layers.Reshape((4, 4, 1)), layers.UpSampling2D()]
    return keras.Sequential([keras.Input((4,)), *small])


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
    expect(page.get_by_role("table", name="digits")).to_contain_text("best n")
    expect(page.get_by_role("note")).to_contain_text("Run this chapter in Jupyter, Binder or Colab to use this panel")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1000])
def test_no_accessibility_violation_and_no_sideways_scroll(open_page, theme, width):
    widgets = [html_of(widget)[1] for widget in displays()]
    page = open_page(*widgets, theme=theme, viewport={"width": width, "height": 800})
    page.get_by_role("radio", name="Frozen and fine-tuned are close").check()  # the fallback has the text, and no radio
    page.get_by_role("button", name="Check").click()
    page.get_by_text("Why not the others?").click()
    found = Axe().run(page)
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_module_gets_the_model_that_anywidget_gives(open_page, monkeypatch):
    probe = (
        "export default { render({ model, el }) {"
        "  model.on('change:n', () => { el.textContent = `n is ${model.get('n')}`; });"
        "  el.onclick = () => { model.set('n', model.get('n') + 1); model.save_changes(); };"
        "  el.textContent = 'drawn'; } };"
    )
    monkeypatch.setattr(offline, "modules", lambda: {"probe": probe})
    page = open_page("""<div class="coursekit-widget" data-widget="probe" data-state='{"n": 1}'>before</div>""")
    page.get_by_text("drawn").click()
    expect(page.get_by_text("n is 2")).to_be_visible()


def test_scripts_stay_small():
    for script in Path(ROOT / "coursekit" / "widgets").glob("*.js"):
        assert script.stat().st_size < (40_000 if script.stem == "gan_playground" else 12_000)
