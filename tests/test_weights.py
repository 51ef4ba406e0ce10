"""Trained weights of the package: what is saved is what is loaded, and a changed file is refused."""

import keras
import numpy as np
import pytest

from coursekit import weights


def dense():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    return tmp_path


def test_what_is_saved_is_loaded():
    model = dense()
    before = model.get_weights()
    loaded = weights.load(dense(), "some", weights.save(model, "some"))
    for saved, read, original in zip(model.get_weights(), loaded.get_weights(), before, strict=True):
        np.testing.assert_array_equal(read, saved)
        np.testing.assert_allclose(read, original, rtol=1e-3)


def test_a_changed_file_is_refused(folder):
    sha256 = weights.save(dense(), "some")
    content = (folder / "some.npz").read_bytes()
    (folder / "some.npz").write_bytes(content[:-1] + b"x")
    with pytest.raises(ValueError, match=r"some\.npz is not the file that was recorded; install coursekit again"):
        weights.load(dense(), "some", sha256)


@pytest.mark.parametrize("value", [1e5, 65520, np.nan, -np.inf])
def test_what_half_precision_cannot_hold_is_refused_and_nothing_changes(folder, value):
    weights.save(dense(), "some")
    before = (folder / "some.npz").read_bytes()
    model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
    model.layers[0].moving_variance.assign([1 / 3, value, 1])
    old = model.get_weights()
    with pytest.raises(ValueError, match=r"moving_variance reaches .*, but half precision ends at 65504"):
        weights.save(model, "some")
    assert (folder / "some.npz").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["some.npz"]
    for now, then in zip(model.get_weights(), old, strict=True):
        np.testing.assert_array_equal(now, then)


def test_the_largest_of_half_precision_is_kept():
    model = dense()
    model.layers[0].bias.assign([65504, -65504, 65519, 0])
    weights.save(model, "some")
    assert keras.ops.convert_to_numpy(model.layers[0].bias).tolist() == [65504, -65504, 65504, 0]


def test_an_interrupted_save_leaves_the_old_file(folder, monkeypatch):
    sha256 = weights.save(dense(), "some")

    def interrupted(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        weights.save(dense(), "some")
    weights.load(dense(), "some", sha256)
