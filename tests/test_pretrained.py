"""Trained weights: what is shipped is what is loaded, a changed file is refused, and PyTorch's mean the same here."""

import keras
import numpy as np
import pytest
import ship
from conftest import numpy

from coursekit import pretrained


def dense():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])


def shipped(model, monkeypatch):
    """Ship a model's weights as "some", and know them by their checksum."""
    monkeypatch.setitem(pretrained.SHIPPED, "some", ship.save(model, "some"))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "FOLDER", tmp_path)
    return tmp_path


def test_what_is_shipped_is_loaded(monkeypatch):
    model = dense()
    before = model.get_weights()
    shipped(model, monkeypatch)
    for saved, read, original in zip(model.get_weights(), pretrained.shipped("some"), before, strict=True):
        np.testing.assert_array_equal(read, saved)
        np.testing.assert_allclose(read, original, rtol=1e-3)


def test_a_changed_file_is_refused(folder, monkeypatch):
    shipped(dense(), monkeypatch)
    content = (folder / "some.npz").read_bytes()
    (folder / "some.npz").write_bytes(content[:-1] + b"x")
    with pytest.raises(ValueError, match=r"some\.npz is not the file that was recorded; install coursekit again"):
        pretrained.shipped("some")


@pytest.mark.parametrize("value", [1e5, 65520, np.nan, -np.inf])
def test_what_half_precision_cannot_hold_is_refused_and_nothing_changes(folder, value):
    ship.save(dense(), "some")
    before = (folder / "some.npz").read_bytes()
    model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
    model.layers[0].moving_variance.assign([1 / 3, value, 1])
    old = model.get_weights()
    with pytest.raises(ValueError, match=r"moving_variance reaches .*, but half precision ends at 65504"):
        ship.save(model, "some")
    assert (folder / "some.npz").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["some.npz"]
    for now, then in zip(model.get_weights(), old, strict=True):
        np.testing.assert_array_equal(now, then)


def test_the_largest_of_half_precision_is_kept():
    model = dense()
    model.layers[0].bias.assign([65504, -65504, 65519, 0])
    ship.save(model, "some")
    assert keras.ops.convert_to_numpy(model.layers[0].bias).tolist() == [65504, -65504, 65504, 0]


def test_an_interrupted_save_leaves_the_old_file(folder, monkeypatch):
    shipped(dense(), monkeypatch)

    def interrupted(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ship.save(dense(), "some")
    assert len(pretrained.shipped("some")) == 2


# Files and PyTorch


def test_a_file_of_weights_is_loaded(folder):
    model = dense()
    model.save_weights(folder / "own.weights.h5")
    loaded = pretrained.load(dense(), folder / "own.weights.h5")
    for read, written in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(read, written)


def test_a_file_of_another_network_is_refused_and_the_model_stays(folder):
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2)])
    other.save_weights(folder / "other.weights.h5")
    (folder / "text.weights.h5").write_text("no weights")
    for name in ("other", "text"):
        model = dense()
        before = model.get_weights()
        with pytest.raises(ValueError, match=rf"{name}\.weights\.h5' does not hold the weights of sequ") as caught:
            pretrained.load(model, folder / f"{name}.weights.h5")
        assert "\n" not in str(caught.value)
        for now, then in zip(model.get_weights(), before, strict=True):
            np.testing.assert_array_equal(now, then)


def test_a_name_that_is_neither_known_nor_a_file_is_refused():
    with pytest.raises(FileNotFoundError, match=r"weights is 'x'; it must be None, 'a', or the path of a \.weights"):
        pretrained.load(dense(), "x", {"a": list})


def linear_network():
    x = inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(3, (1, 2))(x)
    x = keras.layers.BatchNormalization(epsilon=1e-5)(x)
    return keras.Model(inputs, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x)))


def test_weights_of_pytorch_mean_the_same():
    """PyTorch's definitions: out[o] = sum over i, h, w of weight[o, i, h, w] x[i, h, w], and weight @ x + bias."""
    random = np.random.default_rng(0)
    shapes = {"conv.weight": (3, 2, 1, 2), "conv.bias": 3, "bn.weight": 3, "bn.bias": 3, "bn.running_mean": 3}
    state = {name: random.normal(size=shape) for name, shape in shapes.items()}
    state |= {"bn.running_var": random.uniform(1, 2, 3), "bn.num_batches_tracked": np.array(7)}
    state |= {"fc.weight": random.normal(size=(4, 3)), "fc.bias": random.normal(size=4)}
    x = random.normal(size=(2, 6, 6, 2))
    windows = np.stack([x[:, :, :-1], x[:, :, 1:]], -1)
    maps = np.einsum("nhwik,oik->nhwo", windows, state["conv.weight"][:, :, 0]) + state["conv.bias"]
    maps = (maps - state["bn.running_mean"]) / np.sqrt(state["bn.running_var"] + 1e-5)
    maps = maps * state["bn.weight"] + state["bn.bias"]
    expected = maps.mean((1, 2)) @ state["fc.weight"].T + state["fc.bias"]
    model = pretrained.from_pytorch(linear_network(), state)
    np.testing.assert_allclose(numpy(model(x.astype("float32"))), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"x": np.ones((4, 3, 1))}, "5 where it has 4"), ({"a": np.ones((3, 5))}, r"\(5, 3\) where it has \(3, 4\)")],
)
def test_weights_of_another_network_in_pytorch_are_refused(change, said):
    state = {"a": np.ones((4, 3)), "b": np.ones(4), "c": np.ones((2, 4)), "d": np.ones(2)} | change
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=f"The weights of PyTorch are those of another network than .*{said}"):
        pretrained.from_pytorch(model, state)


@pytest.mark.parametrize("layer", [keras.layers.Conv1D, keras.layers.Conv3D])
def test_kernels_of_pytorch_of_any_rank(layer):
    rank = int(layer.__name__[4])
    state = {"weight": np.arange(3 * 3 * 3**rank).reshape(3, 3, *[3] * rank)}
    model = keras.Sequential([keras.Input((*[4] * rank, 3)), layer(3, 3, use_bias=False)])
    (kernel,) = pretrained.from_pytorch(model, state).get_weights()
    np.testing.assert_array_equal(np.moveaxis(kernel, (-1, -2), (0, 1)), state["weight"])


def test_pytorch_flattens_channel_by_channel():
    random = np.random.default_rng(0)
    stack = [keras.layers.Flatten(), keras.layers.Dropout(0.5), keras.layers.Dense(4, use_bias=False)]
    model = keras.Sequential([keras.Input((2, 3, 5)), *stack])
    weight, x = random.normal(size=(4, 30)), random.normal(size=(2, 2, 3, 5)).astype("float32")
    expected = x.transpose(0, 3, 1, 2).reshape(2, 30) @ weight.T
    pretrained.from_pytorch(model, {"fc.weight": weight})
    np.testing.assert_allclose(numpy(model(x)), expected, rtol=1e-4, atol=1e-5)


def test_a_damaged_file_is_refused(folder):
    dense().save_weights(folder / "some.weights.h5")
    whole = (folder / "some.weights.h5").read_bytes()
    for start in range(96, 2400, 48):
        (folder / "bad.weights.h5").write_bytes(whole[:start] + b"\xff" * 48 + whole[start + 48 :])
        try:
            pretrained.load(dense(), folder / "bad.weights.h5")
        except ValueError as error:
            assert "does not hold the weights" in str(error)


@pytest.mark.parametrize("weights", [3, True, [np.ones((3, 4))], np.ones(3)])
def test_weights_are_none_or_a_path(weights):
    with pytest.raises(ValueError, match=r"weights is \w+; it must be None, or the path of a \.weights\.h5 file"):
        pretrained.load(dense(), weights)


def test_a_file_of_another_name_is_told_so(folder):
    dense().save_weights(folder / "some.weights.h5")
    (folder / "some.weights.h5").rename(folder / "some.h5")
    with pytest.raises(ValueError, match=r"some\.h5'; it must be None, or the path of a \.weights\.h5 file"):
        pretrained.load(dense(), folder / "some.h5")


@pytest.mark.parametrize("state", [None, [np.ones((4, 3))], "resnet20.th"])
def test_the_state_of_pytorch_is_a_dict(state):
    with pytest.raises(ValueError, match="give a dict from names to arrays"):
        pretrained.from_pytorch(dense(), state)
