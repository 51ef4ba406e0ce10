"""Measure what must stay fast: `make bench`. Each number stands beside a peer's, measured in the same run.

Seconds differ from machine to machine; the ratio to the peer hardly does.
"""

import itertools
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from urllib.parse import quote

import nbformat
import needs
import weight
from rich.console import Console
from rich.table import Table

from coursekit.runtime import silent_stderr

ROOT = Path(__file__).parents[1]
REPEATS = 5
TURNS = 20
# What AlexNet's first two convolutions and GoogLeNet's first give to the normalization or to the layer after it.
LRN_SHAPES = ((64, 27, 27, 96), (32, 56, 56, 64))


def seconds(*command):
    start = time.perf_counter()
    subprocess.run([str(part) for part in command], check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - start


def fastest(*command):
    """Return the shortest of several runs: what else the machine does only ever adds."""
    return min(seconds(*command) for _ in range(REPEATS))


def imports():
    """Importing the package loads neither Keras nor NumPy; an empty Python is taken off both sides."""
    empty = fastest(sys.executable, "-c", "")
    ours = fastest(sys.executable, "-c", "import coursekit") - empty
    yield "import coursekit", ours, "import numpy", fastest(sys.executable, "-c", "import numpy") - empty


def site():
    """The site warm, as after editing nothing, against an import of the build system alone."""
    with tempfile.TemporaryDirectory() as folder:
        build = (sys.executable, "tools/book.py", folder)
        fresh = seconds(*build)
        peer = fastest(sys.executable, "-c", "import jupyter_book.sphinx")
        yield "site, from nothing", fresh, "import jupyter_book", peer
        yield "site, nothing changed", fastest(*build), "import jupyter_book", peer


def lrn():
    """Local response normalization against TensorFlow's own op, compiled as in a fit, with and without XLA.

    Wanted: a ratio of at most 1.10 forward, 0.67 forward and backward, and 0.77 forward and backward with XLA.
    """
    for shape in LRN_SHAPES:
        for xla in (False, True):
            for backward in (False, True):
                calls = [lrn_call(who, shape, xla, backward) for who in ("ours", "tf.nn")]
                ours, theirs = fastest_in_turns(*calls)
                what = f"LRN {shape} forward{' and backward' * backward}{', XLA' * xla}"
                yield what, 1000 * ours, "tf.nn", 1000 * theirs


def lrn_memory():
    """What forward and backward need at their peak, over their input and upstream gradient. Linux only.

    Each has a process of its own, so that it reuses nothing that the other has left. The op saves only input and output
    for its gradient; ours also saves what its square roots gave.
    """
    for shape in LRN_SHAPES if sys.platform == "linux" else ():
        for xla in (False, True):
            peaks = []
            for who in ("ours", "tf.nn"):
                with multiprocessing.get_context("spawn").Pool(1) as fresh:
                    peaks.append(fresh.apply(lrn_peak, (who, shape, xla)))
            yield f"LRN {shape} peak memory{', XLA' * xla}", peaks[0], "tf.nn", peaks[1]


def inception():
    """A training step of modules and of the small GoogLeNet against the design of "Dive into Deep Learning", per image.

    Wanted: a ratio of at most 1.05. (One convolution in place of the three of one pixel that read the same input saves
    one to five percent of a module, and costs its readability.)
    """
    import keras

    from coursekit import inception

    peer = "the same, d2l's design"
    for name, shape in {"3a": (28, 28, 192), "4a": (14, 14, 480), "5a": (7, 7, 832)}.items():
        x, filters = keras.Input(shape), inception.MODULES[name]
        modules = inception.inception_module(x, **filters), peer_module(filters)(x)
        models = [keras.Sequential([keras.Model(x, y), *peer_head()]) for y in modules]
        ours, theirs = training_steps(models, shape, batch=16)
        yield f"Inception module {name}, training step per image", ours, peer, theirs
    shape = (32, 32, 3)
    filters = {name: inception.scale_filters(widths, 0.25) for name, widths in inception.MODULES.items()}
    models = [inception.small_googlenet(shape, normalization=None), peer_googlenet(shape, filters)]
    ours, theirs = training_steps(models, shape, batch=64)
    yield "small GoogLeNet, training step per image", ours, peer, theirs


def resnet():
    """A training step of the large residual network against Keras's own, and of the small one against the design of
    Keras's example, per image.

    Wanted: a ratio of at most 1.0, give or take what two runs of the same differ by.
    """
    import keras

    from coursekit import resnet

    shape = (96, 96, 3)
    published = keras.applications.ResNet50V2(weights=None, input_shape=shape, classes=10, classifier_activation=None)
    ours, theirs = training_steps([resnet.resnet_v2(shape, 10, depth=50), published], shape, batch=16)
    yield "ResNet50V2, training step per image", ours, "keras.applications", theirs
    shape = (32, 32, 3)
    small = resnet.resnet(shape, depth=20, unit="post_activation", shortcut="projection", weight_decay=2e-4)
    ours, theirs = training_steps([small, peer_resnet20(shape)], shape, batch=64)
    yield "ResNet-20, training step per image", ours, "the same, Keras's example", theirs


def peer_resnet20(shape):
    """ResNet-20 as Keras's example for CIFAR-10 designs its version 1; the code is ours."""
    import keras
    from keras import layers

    def conv(x, filters, size=3, strides=1):
        decay = keras.regularizers.L2(1e-4)
        return layers.Conv2D(filters, size, strides, "same", kernel_initializer="he_normal", kernel_regularizer=decay)(
            x
        )

    def layer(x, filters, strides=1):
        return layers.BatchNormalization()(conv(x, filters, strides=strides))

    x = inputs = keras.Input(shape)
    x = layers.Activation("relu")(layer(x, 16))
    for filters in (16, 32, 64):
        for unit in range(3):
            strides = 2 if filters > 16 and unit == 0 else 1
            y = layer(layers.Activation("relu")(layer(x, filters, strides)), filters)
            around = conv(x, filters, 1, strides) if strides > 1 else x
            x = layers.Activation("relu")(layers.Add()([around, y]))
    logits = layers.Dense(10, kernel_initializer="he_normal")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, logits)


def training_steps(models, shape, batch):
    """Milliseconds an image, for each of the models."""
    import keras
    import numpy as np

    images = np.random.default_rng(0).normal(size=(batch, *shape)).astype("float32")
    labels = np.arange(batch) % 10
    for model in models:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-5), loss, jit_compile=False)
        model.train_on_batch(images, labels)  # compiles
    steps = [partial(model.train_on_batch, images, labels) for model in models]
    return [1000 * seconds / batch for seconds in fastest_in_turns(*steps, turns=8)]


def peer_module(filters):
    """The module as the TensorFlow edition of Zhang et al. 2023, section 8.4, designs it: a model that owns its layers.
    The code is ours.
    """
    import keras
    from keras import layers

    def conv(name, size):
        return layers.Conv2D(filters[name], size, padding="same", activation="relu")

    class Inception(keras.Model):
        def __init__(self):
            super().__init__()
            self.one = conv("conv_1x1", 1)
            self.before_three, self.three = conv("reduce_3x3", 1), conv("conv_3x3", 3)
            self.before_five, self.five = conv("reduce_5x5", 1), conv("conv_5x5", 5)
            self.pool, self.behind_pool = layers.MaxPool2D(3, 1, padding="same"), conv("pool_proj", 1)

        def call(self, x):
            threes, fives = self.three(self.before_three(x)), self.five(self.before_five(x))
            return layers.Concatenate()([self.one(x), threes, fives, self.behind_pool(self.pool(x))])

    return Inception()


def peer_head():
    from keras import layers

    return [layers.GlobalAveragePooling2D(), layers.Dropout(0.4), layers.Dense(10)]


def peer_googlenet(shape, modules):
    import keras
    from keras import layers

    def pool():
        return layers.MaxPool2D(3, 2, padding="same")

    stack = [layers.Conv2D(16, 3, padding="same", activation="relu"), pool()]
    stack += [layers.Conv2D(48, 3, padding="same", activation="relu")]
    for name, filters in modules.items():
        stack += [pool()] * (name in ("4a", "5a")) + [peer_module(filters)]
    return keras.Sequential([keras.Input(shape), *stack, *peer_head()])


STEP = """async (steps) => {
  const { game } = await import(MODULE);
  const play = game();
  const start = performance.now();
  for (let i = 0; i < steps; i += 1) play.step();
  return (performance.now() - start) / steps;
}"""
PICTURE = """async ([blocks, noise]) => {
  const { decode, generate } = await import(MODULE);
  const decoded = decode(blocks);
  const start = performance.now();
  for (const each of noise) generate(decoded, each);
  return (performance.now() - start) / noise.length;
}"""


def gan_in_the_page():
    """Chapter 3's two figures in Chromium, against Keras in this process.

    Wanted: at most 16.7 ms a training step, which is 60 a second, and 50 ms a picture.
    """
    import keras
    import numpy as np

    from coursekit import gan, training
    from coursekit.widgets import LatentExplorer

    explorer = LatentExplorer(gan.generator(16), np.ones(16), -np.ones(16))
    noise = np.random.default_rng(0).normal(size=(TURNS, 16)).astype("float32")

    def network(outputs):
        hidden = [layer for _ in range(2) for layer in (keras.layers.Dense(32), keras.layers.LeakyReLU(0.2))]
        return keras.Sequential([keras.Input((2,)), *hidden, keras.layers.Dense(outputs)])

    model = gan.GAN(network(2), network(1))
    model.compile(keras.optimizers.Adam(3e-3, 0.5), keras.optimizers.Adam(3e-3, 0.5))
    points = np.random.default_rng(0).normal(size=(64 * 1000, 2)).astype("float32")
    fit = partial(training.fit, model, points, epochs=1, seed=0, batch_size=64, progress=lambda done: None)
    fit()  # compiles

    (in_keras,) = fastest_in_turns(fit, turns=3)  # a thousand steps, so that seconds are milliseconds a step
    step = in_chromium("gan_playground", STEP, 2000)
    yield "GAN of points, a step in the page", step, "the same in Keras", in_keras
    (in_keras,) = fastest_in_turns(lambda: explorer._generator(noise[:1], training=False))
    picture = in_chromium("latent_explorer", PICTURE, [explorer.blocks, noise.tolist()])
    yield "a digit in the page", picture, "the same in Keras", 1000 * in_keras


def in_chromium(name, script, argument):
    """What a script of the page returns, with the widget's module in place of MODULE."""
    from playwright.sync_api import sync_playwright

    from coursekit.widgets.base import module

    source = json.dumps(f"data:text/javascript;charset=utf-8,{quote(module(name))}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=needs.chromium(), args=needs.CHROMIUM_FLAGS)
        return browser.new_page().evaluate(script.replace("MODULE", source), argument)


CLASS = 400
# Otter's part in the comparison: is there an answer? It is less than what our grader asks of it.
OTTER_TEST = """OK_FORMAT = False
from otter.test_files import test_case
name = "{name}"
points = 10

@test_case(points=10)
def there_is_an_answer(env):
    assert callable(env["{function}"])
"""


def grading():
    """The NumPy exercise: our grader, in its sandbox, against ``otter run``, which has none.

    Wanted: a ratio of at most 0.07 for one submission after another, and a class of 400, one in twenty of which is
    hostile, in 240 s on two cores.
    """
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        solved, mistakes, blank = notebooks_of("02-normalization")
        theirs = otter_seconds(folder / "otter", solved)
        few = our_grader_seconds(folder / "few", [solved] * 20, "--jobs", 1)
        yield "a submission, one at a time", few, "otter run", theirs
        honest = itertools.cycle([solved, [*solved, *mistakes[:1]], [*solved, *mistakes], blank])
        hostile = itertools.cycle([*solved, attack] for attack in attacks())
        everybody = [next(honest if number % 20 else hostile) for number in range(CLASS)]
        yield (
            f"a submission of a class of {CLASS}, all cores",
            our_grader_seconds(folder / "class", everybody),
            "otter run",
            theirs,
        )
        check_points(folder / "class.csv", everybody, solved, mistakes, blank)


def notebooks_of(name):
    """The cells of an exercise when solved, cells that hand in typical mistakes, and the cells as students get them."""
    from coursekit.grading import submissions

    master, student = (
        nbformat.read(ROOT / path / f"{name}.ipynb", as_version=4) for path in ("exercises", "book/exercises")
    )
    solved = submissions.code(master, "mistake", "not-graded")
    mistakes = [source for number, source in submissions.code(master, "not-graded") if [number, source] not in solved]
    # The message of a mistake is what a student's check does not have.
    handed_in = [
        re.sub(r"check\.mistake\(", "(lambda name, answer, message: check(name, answer))(", one) for one in mistakes
    ]
    return (
        [source for _, source in solved],
        handed_in,
        [source for _, source in submissions.code(student, "not-graded")],
    )


def attacks():
    """What hostile students hand in after their answers."""
    sys.path += [str(ROOT / "tests"), str(ROOT / "book" / "_ext")]
    from test_grading import NUISANCES

    return NUISANCES.values()


def check_points(table, everybody, solved, mistakes, blank):
    """Stop where an honest point is lost, by a hostile notebook or otherwise."""
    import pandas

    points = pandas.read_csv(table).set_index("student")["points"]
    for number, cells in enumerate(everybody):
        expected = 0 if cells == blank else None if mistakes[0] in cells else 100
        if expected is not None and points[f"student{number}"] != expected:
            raise SystemExit(f"student{number} has {points[f'student{number}']} points, and not {expected}.")


def write_notebook(cells, path):
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells = list(map(nbformat.v4.new_code_cell, cells))
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)


def our_grader_seconds(folder, everybody, *options):
    """Seconds a submission, the start of the grader and its solution included."""
    folder.mkdir()
    for number, cells in enumerate(everybody):
        write_notebook(cells, folder / f"student{number}.ipynb")
    command = [sys.executable, "-m", "coursekit.grading", folder, "--out", folder.with_suffix(".csv")]
    return seconds(*command, *options) / len(everybody)


def otter_seconds(folder, cells):
    """Seconds a submission of otter-grader 7, in an environment of its own, on the cells that answer."""
    (folder / "tests").mkdir(parents=True)
    answers = [source for source in cells if source.startswith("def ")]
    for source in answers:
        function = source.removeprefix("def ").partition("(")[0]
        (folder / "tests" / f"{function}.py").write_text(OTTER_TEST.format(name=function, function=function))
    write_notebook(["import numpy as np", *answers], folder / "student.ipynb")
    bin = folder / "environment" / "bin"
    uv = sys.executable, "-m", "uv"
    seconds(*uv, "venv", "--python", sys.executable, bin.parent)
    seconds(*uv, "pip", "install", "--python", bin / "python", "otter-grader~=7.0", "ipykernel", "numpy")
    zipped = folder / "autograder.zip"
    seconds(bin / "otter", "generate", "-t", folder / "tests", "-o", zipped, "--no-environment", "--lang", "python")
    return fastest(bin / "otter", "run", "--no-logo", "-a", zipped, "-o", folder, folder / "student.ipynb")


def lrn_call(who, shape, xla, backward):
    """A function without arguments that computes one of the two, or its gradient, in a compiled graph."""
    import tensorflow as tf

    from coursekit.normalization import LocalResponseNormalization

    tf.get_logger().setLevel("ERROR")  # it warns of many compiled functions, which is what a comparison is
    x, upstream = (tf.random.stateless_normal(shape, (0, seed)) for seed in range(2))
    op = {
        "ours": LocalResponseNormalization(2, 2.0, 1e-4, 0.75),
        "tf.nn": lambda x: tf.nn.local_response_normalization(x, 2, 2.0, 1e-4, 0.75),
    }[who]

    def gradient(x, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = op(x)
        return tape.gradient(y, x, upstream)

    call = tf.function(gradient if backward else lambda x, _: op(x), jit_compile=xla)
    return lambda: call(x, upstream).numpy()


def lrn_peak(who, shape, xla):
    """Megabytes; the call compiles before, on a small input."""
    lrn_call(who, (1, 4, 4, shape[-1]), xla, backward=True)()
    call = lrn_call(who, shape, xla, backward=True)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is what is in use now
    before = peak_memory()
    call()
    return peak_memory() - before


def peak_memory():
    """Megabytes that this process has had at most since its peak was reset."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1e3


def fastest_in_turns(*functions, turns=TURNS):
    """Return the shortest time of each, taken in turns, so that all meet the same machine."""
    times = []
    for _ in range(turns):
        times.append([])
        for function in functions:
            start = time.perf_counter()
            function()
            times[-1].append(time.perf_counter() - start)
    return [min(of_one) for of_one in zip(*times, strict=True)]


LIGHTHOUSE = ("npx", "--yes", "lighthouse@12.2.3", "--quiet", "--output=json", "--chrome-flags=--headless --no-sandbox")


# How many times slower than the machine the phone is that Lighthouse means, by Lighthouse's index of the machine: the
# calculator that its documentation of throttling names. Without it, four times, which is right for an index of 1533.
SLOWDOWN = {150: 1, 800: 2, 1300: 3, 1533: 4, 2000: 6}


def pages():
    """What the pages of the site weigh, how far they jump, and what Lighthouse says of some as a phone shows them.

    Wanted: at most 350 KiB, 900 for a chapter, and a layout shift of .02; of Lighthouse 90 for performance, 80 for a
    chapter, and 100 for the rest. Of three runs, that in the middle by performance counts.
    """
    from playwright.sync_api import sync_playwright

    table = Table("page", "KiB", "requests", *(f"shift at {width}" for width in weight.SCREENS), "Lighthouse")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        seconds(sys.executable, "tools/book.py", folder)
        html = Path(folder) / "_build" / "html"
        url = f"http://127.0.0.1:{weight.serve(html).server_port}"
        slowdown = calibrated(f"{url}/index.html") if shutil.which("npx") else None
        browser = playwright.chromium.launch(executable_path=needs.chromium(), args=needs.CHROMIUM_FLAGS)
        for page in sorted(set(html.glob("*.html")) - {html / "404.html"}):  # whose files have the public address
            measured = [weight.weigh(browser, html, url, page.stem, width) for width in weight.SCREENS]
            shifts = (f"{each.shift:.3f}" for each in measured)
            judged = slowdown and (page.stem in ("index", "claims") or page.stem[0].isdigit())
            runs = [lighthouse(f"{url}/{page.name}", slowdown)[0] for _ in range(3)] if judged else [[]]
            scores = " ".join(map(str, sorted(runs)[len(runs) // 2]))
            table.add_row(page.stem, f"{measured[0].kib:.0f}", str(measured[0].requests), *shifts, scores)
    table.caption = f"Lighthouse slows this machine {slowdown:.1f} times." if slowdown else "Lighthouse needs npx."
    return table


def calibrated(url):
    """How many times slower than this machine the phone is."""
    import numpy as np

    indices = [lighthouse(url, slowdown=4)[1] for _ in range(3)]
    return np.interp(np.median(indices), list(SLOWDOWN), list(SLOWDOWN.values()))


def lighthouse(url, slowdown):
    """The scores of a page (performance, accessibility, best practices, search), and an index of the machine."""
    environment = os.environ | {"CHROME_PATH": str(needs.chromium())}
    command = [*LIGHTHOUSE, f"--throttling.cpuSlowdownMultiplier={slowdown}", url]
    for _ in range(5):  # a headless Chromium sometimes paints nothing
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
        scores = [category["score"] for category in found["categories"].values()]
        if None not in scores:
            return [round(100 * score) for score in scores], found["environment"]["benchmarkIndex"]
    sys.exit(f"Lighthouse cannot judge {url}: {found['audits']['first-contentful-paint'].get('errorMessage')}")


def main():
    Console().print(pages())
    table = Table("what", "unit", "ours", "peer", "its", "ratio")
    for measurements, unit in (
        (imports, "s"),
        (site, "s"),
        (lrn, "ms"),
        (lrn_memory, "MB"),
        (gan_in_the_page, "ms"),
        (inception, "ms"),
        (resnet, "ms"),
        (grading, "s"),
    ):
        with silent_stderr():  # TensorFlow's logs of its start and of XLA
            rows = list(measurements())
        for what, ours, peer, theirs in rows:
            table.add_row(what, unit, f"{ours:.3g}", peer, f"{theirs:.3g}", f"{ours / theirs:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
