"""The test of the tests: whatever breaks a chapter's claims must make its replay fail.

A whole chapter takes minutes, so a test replays only what one of its cells needs, with a copy of the package.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from xml.etree import ElementTree

import nbformat
import notebooks
import pytest
import test_notebooks
from conftest import ROOT
from nbformat.v4 import new_code_cell, new_notebook, new_output

from coursekit import claims, records

ACCURACY = "transfer-plentiful-finetune"

TRANSFER = "book/01-transfer-learning.ipynb"
FROZEN = "claim-frozen"
UNFROZEN = "bug-unfreeze-solved"

NORMALIZATION = "book/02-normalization.ipynb"
FORMULA = "claim-formula"
TWINS = "claim-matches"

GANS = "book/03-gans.ipynb"
SIX_STEPS = "claim-six-steps"
PART_1 = "claim-part1-only-d"

INCEPTION = "book/04-inception.ipynb"
COUNT = "claim-direct"
PARALLEL = "claim-parallel"
REDUCTION = "claim-reduction"

RESNETS = "book/05-resnets.ipynb"
TWINS_COUNTED = "claim-same"
CHANNELS = "claim-projection"
RESIDUAL = "claim-residual"

# What these cells say does not depend on how long anything trains.
SHORTEST = {
    TRANSFER: {"images_per_run": "64", "source_epochs": "0"},
    NORMALIZATION: {"images_per_run": "64"},
    GANS: {"blob_steps": "10"},
    INCEPTION: {"images_per_run": "64"},
    RESNETS: {"again": "()"},
}

# Each gives the chapter's module a classic bug.
FREEZE_FORGETS_BATCH_NORM = """
def freeze(model, n):
    model.trainable = True
    for layer in kernel_layers(model)[:n]:
        layer.trainable = False
    return model
"""
UNFREEZE_TOP_UNFREEZES_NOTHING = """
def unfreeze_top(model, n):
    return freeze(model, len(kernel_layers(model)))
"""
ALPHA_IS_DIVIDED_BY_THE_WINDOW = """
class LocalResponseNormalization(LocalResponseNormalization):
    def __init__(self, depth_radius=2, bias=2.0, alpha=1e-4, **options):
        super().__init__(depth_radius, bias, alpha / (2 * depth_radius + 1), **options)
"""
MOMENTUM_THE_WRONG_WAY_ROUND = """
class BatchNormalization(BatchNormalization):
    def __init__(self, momentum=0.99, **options):
        super().__init__(momentum=1 - momentum, **options)
"""

IDLE_GENERATOR_MOVES_ITS_AVERAGES = """
class GAN(GAN):
    def discriminator_step(self, real):
        self.generator(self.draw_noise(len(real)), training=True)
        return super().discriminator_step(real)
"""
GENERATOR_WANTS_TO_BE_CAUGHT = """
def generator_loss(on_fake, loss="non_saturating"):
    return -ops.mean(ops.log_sigmoid(-on_fake))
"""

FLOPS_FOR_MULTIPLICATIONS = """
_macs = macs


def macs(model, input_shape=None):
    return 2 * _macs(model, input_shape)
"""
BRANCHES_IN_ANOTHER_ORDER = """
class Backwards(layers.Concatenate):
    def call(self, branches):
        return super().call(branches[::-1])


layers.Concatenate = Backwards
"""
REDUCTIONS_THAT_REDUCE_NOTHING = """
def inception_module(x, *, reduce_3x3, reduce_5x5, _narrow=inception_module, **others):
    return _narrow(x, reduce_3x3=x.shape[-1], reduce_5x5=x.shape[-1], **others)


KINDS["reduced"] = inception_module
"""


SHORTCUTS_WITH_WEIGHTS = """
def _around(x, filters, strides, shortcut, project, name):
    return project() if x.shape[-1] != filters else layers.MaxPooling2D(1, strides, name=f"{name}_0_pool")(x)
"""
SHORTCUTS_THAT_BROADCAST = """
def _around(x, filters, strides, shortcut, project, name):
    return x
"""
SHORTCUTS_BEHIND_THE_ACTIVATION = """
_pre_activation_unit = residual_unit


def residual_unit(x, filters, strides=1, *, name=None, **options):
    return _pre_activation_unit(layers.ReLU()(x), filters, strides, name=name, **options)
"""


class Copy:
    """A copy of the package, to be broken, and the cells of a chapter that some of its cells need."""

    def __init__(self, folder, chapter, *cell_ids):
        shutil.copytree(ROOT / "coursekit", folder / "coursekit", ignore=shutil.ignore_patterns("__pycache__"))
        self.folder = folder
        self.notebook = nbformat.read(ROOT / chapter, as_version=4)
        self.notebook.cells = notebooks.needed_cells(notebooks.code_cells(self.notebook), cell_ids)
        for settings in (cell for cell in self.notebook.cells if cell.id == "settings"):
            for name, value in SHORTEST[chapter].items():
                settings.source, found = re.subn(rf"\b{name}=(\d+|\([^)]*\))", f"{name}={value}", settings.source)
                assert found, f"the settings cell has no {name}"
        if chapter != TRANSFER:  # what is on record is read, and nothing of it made again
            for cell in self.notebook.cells:
                cell.source = re.sub(r"^(    again ?= ?).*?(,?)$", r"\1[]\2", cell.source, flags=re.MULTILINE)

    def break_module(self, name, code):
        with open(self.folder / "coursekit" / f"{name}.py", "a") as file:
            file.write(code)

    def replay(self):
        """Run nbval on the cells. Returns the number of cells that failed."""
        return replay(self.notebook, self.folder)


def replay(notebook, package=ROOT):
    """Run nbval on a notebook, with the package of a folder. Returns the number of cells that failed."""
    with tempfile.TemporaryDirectory() as folder:
        path, report = pathlib.Path(folder, "part.ipynb"), pathlib.Path(folder, "report.xml")
        nbformat.write(notebook, path)
        command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600"]
        command += ["--rootdir", folder, "-p", "no:cacheprovider", f"--junit-xml={report}", path]
        environment = os.environ | {"PYTHONPATH": str(package)}
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
        suite = ElementTree.parse(report).find("testsuite")
        assert int(suite.get("tests")) == len(notebook.cells) and suite.get("errors") == "0", done.stdout
        return int(suite.get("failures"))


# The cells that the bugs below break.
AS_COMMITTED = {
    TRANSFER: (FROZEN, UNFROZEN),
    NORMALIZATION: (FORMULA, TWINS),
    GANS: (SIX_STEPS, PART_1),
    INCEPTION: (COUNT, PARALLEL, REDUCTION),
    RESNETS: (TWINS_COUNTED, CHANNELS, RESIDUAL),
}
# What a reader's click does in the panel "your turn".
PANELS = {
    TRANSFER: 'draw([({"labels": 2}, your_run(lambda done: None, frozen=1, labels=2, learning_rate=2e-3))])',
    NORMALIZATION: 'draw([({"network": "BN before"}, your_run(lambda done: None, "BN before", 5, 1e-2))])',
    GANS: 'draw([({"noise": "normal"}, your_run(lambda done: None, "normal", 3e-3, 3e-3))])',
    INCEPTION: 'draw([({"kind": "stacked"}, your_run(lambda done: None, "stacked", 1, 1e-2))])',
    RESNETS: 'draw([({"kind": "residual"}, your_run(lambda done: None, "residual", 8, 1e-2, passes=1))])',
}


@pytest.mark.replay
@pytest.mark.parametrize("chapter", AS_COMMITTED)
def test_as_committed_they_pass_and_the_panel_trains_and_draws(tmp_path, chapter):
    copy = Copy(tmp_path, chapter, *AS_COMMITTED[chapter], "your-turn")
    copy.notebook.cells.append(new_code_cell(PANELS[chapter], execution_count=1))
    assert copy.replay() == 0


BUGS = {
    "a freeze that forgets batch norm": (TRANSFER, FROZEN, "transfer", FREEZE_FORGETS_BATCH_NORM, 1),
    "an unfreeze_top that unfreezes nothing": (TRANSFER, UNFROZEN, "transfer", UNFREEZE_TOP_UNFREEZES_NOTHING, 1),
    # Two cells fail: the assertion beside the loop, and the claim.
    "an alpha divided by the window": (NORMALIZATION, FORMULA, "normalization", ALPHA_IS_DIVIDED_BY_THE_WINDOW, 2),
    "a momentum the wrong way round": (NORMALIZATION, TWINS, "normalization", MOMENTUM_THE_WRONG_WAY_ROUND, 1),
    "an idle generator that moves its averages": (GANS, PART_1, "gan", IDLE_GENERATOR_MOVES_ITS_AVERAGES, 1),
    "a generator that wants to be caught": (GANS, SIX_STEPS, "gan", GENERATOR_WANTS_TO_BE_CAUGHT, 1),
    "FLOPs for multiplications": (INCEPTION, COUNT, "cost", FLOPS_FOR_MULTIPLICATIONS, 1),
    "branches in another order": (INCEPTION, PARALLEL, "inception", BRANCHES_IN_ANOTHER_ORDER, 1),
    "reductions that reduce nothing": (INCEPTION, REDUCTION, "inception", REDUCTIONS_THAT_REDUCE_NOTHING, 1),
    "shortcuts with weights": (RESNETS, TWINS_COUNTED, "resnet", SHORTCUTS_WITH_WEIGHTS, 1),
    "shortcuts that broadcast": (RESNETS, CHANNELS, "resnet", SHORTCUTS_THAT_BROADCAST, 1),
    "shortcuts behind the activation": (RESNETS, RESIDUAL, "resnet", SHORTCUTS_BEHIND_THE_ACTIVATION, 1),
}


@pytest.mark.replay
@pytest.mark.parametrize(("chapter", "cell", "module", "code", "failures"), BUGS.values(), ids=BUGS)
def test_a_bug_is_caught(tmp_path, chapter, cell, module, code, failures):
    copy = Copy(tmp_path, chapter, cell)
    copy.break_module(module, code)
    assert copy.replay() == failures


def one_claim(stored_verdict, points):
    """A notebook that checks one claim with its recorded numbers, all of them lower by so many points."""
    recorded = records.read(ACCURACY, "quick")["conditions"][0]["values"]
    lower = {name: [number - points / 100 for number in series] for name, series in recorded.items()}
    cell = new_code_cell(
        f'from coursekit import claims\n\nclaims.check("{ACCURACY}", claims.greater(**{lower}))',
        metadata={"tags": ["nbval-check-output"]},
        execution_count=1,
        outputs=[new_output("stream", text=f"{stored_verdict} · {ACCURACY} · {claims.load()[ACCURACY].statement}\n")],
    )
    return new_notebook(cells=[cell], metadata=notebooks.NOTEBOOK_METADATA)


@pytest.mark.replay
def test_a_changed_output_is_caught():
    assert replay(one_claim("confirmed", points=0)) == 0
    assert replay(one_claim("refuted", points=0)) == 1


@pytest.mark.replay
def test_an_accuracy_that_fell_by_five_points_behind_the_same_verdict_is_caught():
    assert replay(one_claim("confirmed", points=5)) == 1


def test_a_cell_without_execution_count_is_caught():
    notebook = nbformat.read(ROOT / TRANSFER, as_version=4)
    test_notebooks.test_every_cell_was_executed_in_order(notebook)
    notebooks.code_cells(notebook)[-1].execution_count = None
    with pytest.raises(AssertionError):
        test_notebooks.test_every_cell_was_executed_in_order(notebook)
