"""In a real JupyterLab: the panel trains and is stopped, the quiz is a live widget, and a card has its style."""

import json
import os
import re
import subprocess
import sys
import threading

import nbformat
import pytest
from conftest import ROOT
from playwright.sync_api import expect

PANEL = """
import coursekit
coursekit.setup()
import keras, numpy as np
from coursekit import plots
from coursekit.widgets import Quiz, YourTurn

images = np.random.default_rng(0).normal(size=(512, 20)).astype("float32")
classes = (images.sum(axis=1) > 0).astype("int32")

def run(progress, epochs, learning_rate):
    model = keras.Sequential([keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=["accuracy"])
    tell = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: progress((epoch + 1) / epochs))
    return model.fit(images, classes, epochs=epochs, verbose=0, callbacks=[tell]).history["accuracy"]

def draw(runs):
    series = {"recorded": [0.5, 0.7, 0.8]} | {f"yours {settings}": accuracy for settings, accuracy in runs}
    return plots.curves([1, 2, 3], series, alt=f"Accuracy: recorded, {runs}", xlabel="epochs", ylabel="accuracy")

YourTurn(run, draw, epochs=(1, 3, 2_000), learning_rate=(0.001, 0.01))
"""


CARD = """
from coursekit import claims, records

claims.check("gan-no-copies", *claims.comparisons_of(records.read("gan-no-copies", "quick")))
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Address of a JupyterLab that knows no password, no settings of ours, and one notebook."""
    home = tmp_path_factory.mktemp("lab")
    cells = [nbformat.v4.new_code_cell(source) for source in (PANEL, 'Quiz("transfer-batchnorm-trap")', CARD)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), home / "chapter.ipynb")
    notifications = home / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    notifications.parent.mkdir(parents=True)
    notifications.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    environment = os.environ | {name: str(home / name) for name in folders} | {"PYTHONPATH": str(ROOT)}
    environment.pop("PYTEST_VERSION")  # since somebody watches
    environment |= {f"JUPYTERLAB_{name.upper()}_DIR": str(home / name) for name in ("settings", "workspaces")}
    options = ("--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", "--IdentityProvider.token=")
    command = [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={home}"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        address = next(line.split()[-1] for line in server.stderr if "http://127.0.0.1" in line)
        threading.Thread(target=server.stderr.read, daemon=True).start()  # a full pipe would block the server
        yield address
        server.terminate()


def test_panel_and_quiz_work_in_jupyterlab(lab, browser):
    page = browser.new_page(viewport={"width": 1200, "height": 1100})
    page.set_default_timeout(60_000)
    page.goto(f"{lab}/tree/chapter.ipynb")
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

    # The panel runs what was chosen and draws it: by mouse.
    run = page.locator("button", has_text="Run").and_(page.locator(".jupyter-button"))
    stop = page.locator("button", has_text="Stop").and_(page.locator(".jupyter-button"))
    page.get_by_role("button", name="3", exact=True).click()
    expect(page.get_by_text("Ready to run with epochs 3, learning rate 0.001.")).to_be_visible()
    run.click()
    expect(page.get_by_text("Finished in")).to_be_visible(timeout=30_000)
    expect(page.get_by_alt_text("Accuracy: recorded, [({'epochs': 3, 'learning_rate': 0.001}")).to_be_visible()

    # It is stopped in the middle of training, from the keyboard, and can run again.
    page.get_by_role("button", name="2000", exact=True).press("Enter")
    expect(page.get_by_text("Ready to run with epochs 2000")).to_be_visible()
    run.press("Enter")
    expect(page.get_by_text("s left")).to_be_visible(timeout=30_000)
    expect(run).to_be_disabled()
    stop.press("Enter")
    expect(page.get_by_text("nothing was drawn")).to_be_visible(timeout=30_000)
    expect(run).to_be_enabled()

    # What was measured stands in a card, with its own style and the record of the photographs.
    card = page.locator(".claim-card")
    expect(card.locator(".verdict").first).to_have_css("border-top-left-radius", re.compile("^1[0-9]"))
    expect(card.get_by_text("This run")).to_be_visible()
    expect(card.get_by_text("Photographs · full profile")).to_be_visible()
    expect(card.locator("circle")).to_have_count(5 + 3)

    # The quiz is the live widget, not its HTML; JupyterLab leaves it the arrow keys.
    page.get_by_role("radio").first.focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".coursekit-widget").get_by_text("✓ Correct.")).to_be_visible()
    page.close()
