"""The test of the tests: whatever breaks a chapter's claims must make its replay fail.

A whole chapter takes minutes, so a test replays only what some of its cells need: as they are, and again with each of
the bugs, which an extra cell puts into the package and another one takes out.
"""

import copy
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections import Counter
from xml.etree import ElementTree

import nbformat
import notebooks
import numpy as np
import pytest
import test_notebooks
from conftest import ROOT
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

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
    TRANSFER: {"images_per_run": "64", "source_epochs": "0", "seeds": "3", "rates": "(1e-3, 2e-3)"},
    NORMALIZATION: {"images_per_run": "64"},
    GANS: {"blob_steps": "10"},
    INCEPTION: {"images_per_run": "64"},
    RESNETS: {},
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
from types import SimpleNamespace


class Backwards(layers.Concatenate):
    def call(self, branches):
        return super().call(branches[::-1])


layers = SimpleNamespace(**vars(layers) | {"Concatenate": Backwards})
"""
REDUCTIONS_THAT_REDUCE_NOTHING = """
def inception_module(x, *, reduce_3x3, reduce_5x5, _narrow=inception_module, **others):
    return _narrow(x, reduce_3x3=x.shape[-1], reduce_5x5=x.shape[-1], **others)


KINDS = KINDS | {"reduced": inception_module}
"""


SHORTCUTS_WITH_WEIGHTS = """
def _identity(x, filters, strides, name):
    if x.shape[-1] != filters:
        return _conv(x, filters, 1, strides, bias=True, name=f"{name}_0_conv")
    return layers.MaxPooling2D(1, strides, name=f"{name}_0_pool")(x)
"""
SHORTCUTS_THAT_BROADCAST = """
_pre_activation_unit = residual_unit


def residual_unit(x, filters, strides=1, *, shortcut="zero_padding", **options):
    return _pre_activation_unit(x, filters, strides, shortcut=shortcut, **options)


def _identity(x, filters, strides, name):
    return x
"""
SHORTCUTS_BEHIND_THE_ACTIVATION = """
_pre_activation_unit = residual_unit


def residual_unit(x, filters, strides=1, *, name=None, **options):
    return _pre_activation_unit(layers.ReLU()(x), filters, strides, name=name, **options)
"""


# Shorter runs are another experiment than the one on record, whose numbers these cells do well with.
READ = """
from coursekit import experiments

experiments._Kept._is_of = lambda kept, line: True
experiments._make_again = lambda *_: None
"""
# The cells around those that a bug is to break.
BREAK = """
from coursekit import {module} as _broken

_as_it_was = dict(vars(_broken))
exec({code!r}, vars(_broken))
"""
MEND = """
vars(_broken).clear()
vars(_broken).update(_as_it_was)
"""


def cells_of(chapter):
    """A function from ids to copies of the cells of a chapter that are needed to run those of these ids, soon done."""
    cells = notebooks.code_cells(nbformat.read(ROOT / chapter, as_version=4))
    for settings in (cell for cell in cells if cell.id == "settings"):
        for name, value in SHORTEST[chapter].items():
            settings.source, found = re.subn(rf"\b{name}=(\d+|\([^)]*\))", f"{name}={value}", settings.source)
            assert found, f"the settings cell has no {name}"
    if chapter == TRANSFER:  # where the bugs show in the runs, all are made
        for cell in cells:
            cell.source = re.sub(r",\s*again=\{[^}]*\}", "", cell.source)
    return lambda *cell_ids: copy.deepcopy(notebooks.needed_cells(cells, cell_ids))


def failures(cells):
    """Run nbval on some cells. Returns the places of those that failed."""
    with tempfile.TemporaryDirectory() as folder:
        path, report = pathlib.Path(folder, "part.ipynb"), pathlib.Path(folder, "report.xml")
        nbformat.write(new_notebook(cells=cells, metadata=notebooks.NOTEBOOK_METADATA), path)
        command = [sys.executable, "-m", "pytest", "-p", "tools.sockets", "--nbval-lax", "--nbval-current-env"]
        command += ["--nbval-cell-timeout=600"]
        command += ["--rootdir", folder, "-p", "no:cacheprovider", f"--junit-xml={report}", path]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
        suite = ElementTree.parse(report).find("testsuite")
        assert int(suite.get("tests")) == len(cells) and suite.get("errors") == "0", done.stdout
        return [place for place, cell in enumerate(suite.iter("testcase")) if cell.find("failure") is not None]


# What a reader's click does in the panel "your turn".
PANELS = {
    TRANSFER: 'draw([({"labels": 2}, your_run(lambda done: None, frozen=1, labels=2, learning_rate=2e-3))])',
    NORMALIZATION: 'draw([({"network": "BN before"}, your_run(lambda done: None, "BN before", 5, 1e-2))])',
    GANS: 'draw([({"noise": "normal"}, your_run(lambda done: None, "normal", 3e-3, 3e-3))])',
    INCEPTION: 'draw([({"kind": "stacked"}, your_run(lambda done: None, "stacked", 1, 1e-2))])',
    RESNETS: 'draw([({"kind": "residual"}, your_run(lambda done: None, "residual", 8, 1e-2, epochs=1))])',
}

# By chapter, the bugs: the cell that catches it, the module, the code, and how many cells fail. Of two, one is the
# assertion beside the code from scratch.
BUGS = {
    TRANSFER: {
        "a freeze that forgets batch norm": (FROZEN, "transfer", FREEZE_FORGETS_BATCH_NORM, 1),
        "an unfreeze_top that unfreezes nothing": (UNFROZEN, "transfer", UNFREEZE_TOP_UNFREEZES_NOTHING, 1),
    },
    NORMALIZATION: {
        "an alpha divided by the window": (FORMULA, "normalization", ALPHA_IS_DIVIDED_BY_THE_WINDOW, 2),
        "a momentum the wrong way round": (TWINS, "normalization", MOMENTUM_THE_WRONG_WAY_ROUND, 1),
    },
    GANS: {
        "an idle generator that moves its averages": (PART_1, "gan", IDLE_GENERATOR_MOVES_ITS_AVERAGES, 1),
        "a generator that wants to be caught": (SIX_STEPS, "gan", GENERATOR_WANTS_TO_BE_CAUGHT, 1),
    },
    INCEPTION: {
        "FLOPs for multiplications": (COUNT, "cost", FLOPS_FOR_MULTIPLICATIONS, 1),
        "branches in another order": (PARALLEL, "inception", BRANCHES_IN_ANOTHER_ORDER, 2),
        "reductions that reduce nothing": (REDUCTION, "inception", REDUCTIONS_THAT_REDUCE_NOTHING, 1),
    },
    RESNETS: {
        "shortcuts with weights": (TWINS_COUNTED, "resnet", SHORTCUTS_WITH_WEIGHTS, 1),
        "shortcuts that broadcast": (CHANNELS, "resnet", SHORTCUTS_THAT_BROADCAST, 1),
        "shortcuts behind the activation": (RESIDUAL, "resnet", SHORTCUTS_BEHIND_THE_ACTIVATION, 1),
    },
}


@pytest.mark.replay
def test_chapter_1_learns_pictures_of_ones_own(tmp_path):
    """In color, gray and see-through, small and large: the recipe runs to its end."""
    random = np.random.default_rng(0)
    for number, mode in enumerate(["RGB", "L", "RGBA", "RGB"] * 4):
        side = 20 + 40 * number
        pixels = random.integers(0, 256, (side, side, 4), "uint8")
        path = tmp_path / ("noise" if number % 2 else "black") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels * np.uint8(number % 2), "RGBA").convert(mode).save(path)
    needed = cells_of(TRANSFER)("own-use")
    (folder,) = [cell for cell in needed if cell.id == "own-folder"]
    folder.source = folder.source.replace("pictures = None  #", f"pictures = {str(tmp_path)!r}  #")
    folder.source += "\nassert set(data.check_pictures(pictures)) == {'black', 'noise'}"
    for cell in needed:
        cell.source = re.sub(r"\bepochs=\d+", "epochs=1", cell.source)
    assert failures(needed) == []


def code_cell(source):
    return new_code_cell(source, execution_count=1)


@pytest.mark.replay
@pytest.mark.parametrize("chapter", BUGS)
def test_a_bug_is_caught_and_nothing_else_is(chapter):
    needed = cells_of(chapter)
    parts = {"as committed, and the panel": [*needed(*(cell for cell, *_ in BUGS[chapter].values()), "your-turn")]}
    parts["as committed, and the panel"].insert(0, code_cell(READ))
    parts["as committed, and the panel"].append(code_cell(PANELS[chapter]))
    for bug, (cell, module, code, _) in BUGS[chapter].items():
        parts[bug] = [code_cell(BREAK.format(module=module, code=code)), *needed(cell), code_cell(MEND)]
    of_cells = [(part, cell) for part, cells in parts.items() for cell in cells]
    for number, (_, cell) in enumerate(of_cells):
        cell.id = f"cell-{number}"
    failed = Counter(of_cells[place][0] for place in failures([cell for _, cell in of_cells]))
    assert failed == {bug: number for bug, (*_, number) in BUGS[chapter].items()}


def one_claim(stored_verdict, points):
    """A cell that checks one claim with its recorded numbers, all of them lower by so many points."""
    recorded = records.read(ACCURACY, "quick")["comparisons"][0]["values"]
    lower = {name: [number - points / 100 for number in series] for name, series in recorded.items()}
    cell = new_code_cell(
        f'from coursekit import claims\n\nclaims.check("{ACCURACY}", claims.greater("accuracy", **{lower}))',
        metadata={"tags": ["nbval-check-output"]},
        execution_count=1,
        outputs=[new_output("stream", text=f"{stored_verdict} · {ACCURACY} · {claims.load()[ACCURACY].statement}\n")],
    )
    return cell


@pytest.mark.replay
def test_another_verdict_is_caught_and_an_accuracy_that_fell_behind_the_same_verdict():
    cells = [one_claim("confirmed", points=0), one_claim("refuted", points=0), one_claim("confirmed", points=5)]
    assert failures(cells) == [1, 2]


def test_a_cell_without_execution_count_is_caught():
    notebook = nbformat.read(ROOT / TRANSFER, as_version=4)
    test_notebooks.test_every_cell_was_executed_in_order(notebook)
    notebooks.code_cells(notebook)[-1].execution_count = None
    with pytest.raises(AssertionError):
        test_notebooks.test_every_cell_was_executed_in_order(notebook)
