"""The tool that trains on CIFAR-10: what its layer makes of images, and that an interrupted run ends as a whole one."""

import functools

import keras
import numpy as np
import pytest
import train_cifar10
from conftest import numpy
from hypothesis import given
from hypothesis import strategies as st

from coursekit import data, resnet, training


def windows(image, shift):
    """Every window of the padded image, and its mirror image."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((shift, shift), (shift, shift), (0, 0)))
    offsets = np.ndindex(2 * shift + 1, 2 * shift + 1)
    cut = [padded[down : down + height, right : right + width] for down, right in offsets]
    return cut + [
        np.pad(image[:, ::-1], ((shift, shift), (shift, shift), (0, 0)))[d : d + height, r : r + width]
        for d, r in np.ndindex(2 * shift + 1, 2 * shift + 1)
    ]


@given(height=st.integers(1, 6), width=st.integers(1, 6), shift=st.integers(0, 3), seed=st.integers(0, 1000))
def test_every_image_is_a_window_of_itself_or_of_its_mirror_image(height, width, shift, seed):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (5, height, width, 3), dtype="uint8")
    layer = train_cifar10.Augmented(images, shift)
    rows = random.integers(0, 5, 7)
    for row, out in zip(rows, numpy(layer(rows)), strict=True):
        assert any(np.allclose(out, window / 255, atol=1e-6) for window in windows(images[row], shift))


def test_all_windows_occur_equally_often():
    image = np.arange(1, 10, dtype="uint8").reshape(1, 3, 3, 1)
    outs = numpy(train_cifar10.Augmented(image, 1)(np.zeros(3600, int)))
    counts = [np.isclose(outs, window / 255).all((1, 2, 3)).sum() for window in windows(image[0], 1)]
    assert sum(counts) == 3600
    assert min(counts) > 130 and max(counts) < 270  # 200 expected, with a standard deviation of 14


@pytest.fixture
def tiny():
    random = np.random.default_rng(0)
    x, y = random.random((300, 8, 8, 3), dtype="float32"), random.integers(0, 10, 300)
    return data.Dataset("cifar10", data.CLASS_NAMES["cifar10"], x, y, x[:50], y[:50])


def trained(dataset, epochs):
    keras.utils.set_random_seed(0)
    network = resnet.resnet((8, 8, 3), depth=8, filters=2, weight_decay=1e-4)
    return network, train_cifar10.train(network, dataset, epochs, 0, "tiny")


def test_an_interrupted_run_ends_as_a_whole_one(tiny, tmp_path, monkeypatch):
    whole, (loss, test, _) = trained(tiny, 3)
    monkeypatch.setenv("COURSEKIT_RESUME", str(tmp_path))
    fit, calls = training.fit, []

    def interrupted(*arguments, **options):
        calls.append(options["seed"])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit(*arguments, **options)

    monkeypatch.setattr(training, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(tiny, 3)
    resumed, (loss_again, test_again, _) = trained(tiny, 3)
    assert calls == [(0, 0), (0, 1), (0, 1), (0, 2)]
    np.testing.assert_allclose(loss_again, loss, rtol=1e-5)
    assert test_again == test
    for one, other in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".npz"]


@pytest.mark.only_on("tensorflow")  # it is computed without a backend
def test_the_rate_rises_and_falls_to_nothing(tiny):
    rates = []

    class Rates(keras.optimizers.SGD):
        def __init__(self, rate, **options):
            rates.extend(float(rate(step)) for step in range(31))
            super().__init__(rate, **options)

    original, keras.optimizers.SGD = keras.optimizers.SGD, Rates
    try:
        trained(tiny, 10)
    finally:
        keras.optimizers.SGD = original
    assert np.argmax(rates) == 3 and rates[3] == pytest.approx(train_cifar10.LEARNING_RATE)
    assert rates[0] == 0 and rates[30] == pytest.approx(0, abs=1e-8)


def test_no_epoch_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["train_cifar10.py", "weights", "--epochs", "0"])
    with pytest.raises(SystemExit, match="2"):
        train_cifar10.main()
    assert "--epochs is 0; give 1 or more." in capsys.readouterr().err


@pytest.mark.only_on("tensorflow", "torch")  # for what JAX makes of half precision, every layer has its tests
def test_two_precisions_are_compared_from_the_same_start(tiny, monkeypatch):
    small = functools.partial(resnet.resnet, input_shape=(8, 8, 3), filters=2)
    monkeypatch.setattr(data, "load", lambda name: tiny)
    monkeypatch.setattr(resnet, "resnet", lambda **options: small(**options | {"depth": 8}))
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        curves = train_cifar10.make_precision(2)["by policy"]
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert curves.keys() == {"float32", "mixed_bfloat16"}
    whole, rounded = (curves[policy]["loss"] for policy in curves)
    assert whole != rounded
    np.testing.assert_allclose(whole, rounded, rtol=0.05)
