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
