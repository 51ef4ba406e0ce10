"""Fixtures shared by the whole suite: the built site on localhost, and a browser."""

import functools
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import compile_less
import filelock
import hypothesis
import needs
import numpy as np
import offline
import pytest
from playwright.sync_api import expect, sync_playwright
from weight import serve

ROOT = Path(__file__).parents[1]

# What takes long begins first, so that short files are left for whichever worker has nothing else to do in the end.
LONG = (
    *("02-normalization.ipynb", "03-gans.ipynb"),
    *("test_grading.py", "test_grading_class.py", "test_replay_catches.py", "test_site.py", "test_transfer.py"),
)

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
# For tests of what a network is made of, which Keras keeps the same on every backend, and JAX compiles for long.
of_structure = pytest.mark.only_on("tensorflow", "torch")

# How long an example takes is no property of the code. JAX compiles in each that has new shapes.
EXAMPLES = 8 if BACKEND == "jax" else 100
hypothesis.settings.register_profile("course", deadline=None, max_examples=EXAMPLES)
hypothesis.settings.load_profile("course")

# How long a page takes is no property of the code, either: a busy machine may need more than the five seconds that
# Playwright waits for what is expected.
expect.set_options(timeout=30_000)

if BACKEND == "jax":
    compile_less.begin()
if BACKEND == "torch":
    import torch

    # It hands over the numbers of no tensor that might get a gradient. Tests compare numbers.
    _with_gradient = torch.Tensor.__array__
    torch.Tensor.__array__ = lambda tensor, dtype=None, copy=None: _with_gradient(tensor.detach(), dtype)


def at_most(number, **options):
    """For a property whose examples take long: so many of them, or as few as JAX takes of any."""
    return hypothesis.settings(max_examples=min(number, EXAMPLES), **options)


def numpy(tensor):
    """A tensor of whichever backend runs, as float64."""
    from keras import ops  # not for every test, and it takes seconds

    return np.asarray(ops.convert_to_numpy(tensor), "float64")


def pytest_collection_modifyitems(config, items):
    """Mark what needs the built site or a browser, and what needs Keras; put first what takes long."""
    left_out = [item for item in items if any(BACKEND not in only.args for only in item.iter_markers("only_on"))]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
    for item in items:
        if {"site", "browser"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("site")
        if hasattr(item, "module") and reaches_keras(item.module.__name__):
            item.add_marker("keras")
    items.sort(key=lambda item: item.path.name not in LONG)


@functools.cache
def reaches_keras(name):
    """Whether a module imports Keras, anywhere in its text, or takes something from one of the package that does."""
    known, todo = set(), {name}
    while todo:
        known |= todo
        texts = [inspect.getsource(sys.modules[module]) for module in todo]
        if any(re.search(r"^ *(import|from) keras\b", text, re.MULTILINE) for text in texts):
            return True
        todo = {one for module in todo for one in taken_from(module) if one.startswith("coursekit.")} - known
    return False


def taken_from(name):
    """The modules that a module takes something from. Its own submodules are attributes of a package, used or not."""
    values = vars(sys.modules[name]).values()
    names = {str(getattr(value, "__module__", None) or getattr(value, "__name__", "")) for value in values}
    return {other for other in names if not other.startswith(f"{name}.")}


@pytest.fixture
def policy():
    """Sets the dtype policy by name, for one test."""
    import keras

    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


def lay_out(page):
    """Give a page its reader's first sign, and wait until all of it is laid out."""
    page.evaluate("dispatchEvent(new Event('wheel'))")
    page.wait_for_function("!document.documentElement.hasAttribute('data-piecemeal')")


def go_to(element):
    """Go to an element of a page, once the page is laid out: a widget is drawn when the reader comes near."""
    lay_out(element.page)
    element.scroll_into_view_if_needed()


def draw_widgets(page):
    """Lay a page out, go to each widget, and back to the top."""
    lay_out(page)
    for widget in page.locator(".coursekit-widget[data-widget]").all():
        go_to(widget)
        widget.locator("[class^=ck-]").first.wait_for()
    page.evaluate("scrollTo(0, 0)")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site, built from scratch as `make book` builds it: `.html` is its folder, `.url` its address."""
    own = tmp_path_factory.getbasetemp()
    build = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "site"  # one for all workers
    html = build / "_build" / "html"
    # Under `make test` the variables of the outer make would reach the inner one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    with filelock.FileLock(f"{build}.lock"):
        if not (build / "made").exists():
            command = ["make", "-C", ROOT, "book", f"BUILD={build}"]
            made = subprocess.run(command, env=environment, capture_output=True, text=True)
            if made.returncode:
                pytest.fail(f"The site does not build:\n{made.stdout}{made.stderr}", pytrace=False)
            (build / "made").touch()
    server = serve(html)
    yield SimpleNamespace(html=html, url=f"http://127.0.0.1:{server.server_port}")
    server.shutdown()


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; the test that asks for it fails where there is none, since a skipped one looks passed."""
    try:
        needs.ensure("chromium")
    except needs.Missing as sentence:
        pytest.fail(str(sentence), pytrace=False)
    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=needs.chromium(), args=needs.CHROMIUM_FLAGS)
        yield instance
        instance.close()


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
            " --pst-color-background: #14181e; background: #14181e; color: #ced6dd; }</style>"
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
