"""Trained weights: what is shipped is what is loaded, a changed file is refused, and PyTorch's mean the same here."""

import pickle
import sys
import types
from collections import OrderedDict

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


@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_kernels_of_pytorch(multiplier):
    """PyTorch's definition: filter number c * multiplier + m is the m-th that sees channel c."""
    layer = keras.layers.DepthwiseConv2D((2, 3), depth_multiplier=multiplier, use_bias=False)
    model = keras.Sequential([keras.Input((2, 3, 5)), layer])
    random = np.random.default_rng(0)
    weight, x = random.normal(size=(5 * multiplier, 1, 2, 3)), random.normal(size=(1, 2, 3, 5)).astype("float32")
    pretrained.from_pytorch(model, {"weight": weight})
    expected = [np.sum(weight[k, 0] * x[0, :, :, k // multiplier]) for k in range(5 * multiplier)]
    np.testing.assert_allclose(numpy(model(x))[0, 0, 0], expected, rtol=1e-4, atol=1e-5)


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


# PyTorch's files without PyTorch: those who write them here are stand-ins by the names that a file holds


class Tensor:
    def __init__(self, array, storage=None, offset=0):
        self.array, self.storage, self.offset = array, array if storage is None else storage, offset

    def __reduce__(self):
        strides = tuple(stride // self.array.itemsize for stride in self.array.strides)
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        return rebuild, (Storage(self.storage), self.offset, self.array.shape, strides, False, OrderedDict())


class Storage:
    def __init__(self, array):
        self.values = array.ravel("K")
        self.key = str(id(array))


class Pickler(pickle.Pickler):
    def persistent_id(self, thing):
        if isinstance(thing, Storage):
            self.storages = getattr(self, "storages", {}) | {thing.key: thing.values}
            kind = {"f": "FloatStorage", "i": "LongStorage"}[thing.values.dtype.kind]
            return ("storage", getattr(sys.modules["torch"], kind), thing.key, "cpu", thing.values.size, None)


@pytest.fixture
def torch_save(monkeypatch):
    """Writes a state dict as PyTorch did before version 1.6."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})
    torch.LongStorage = type("LongStorage", (), {"__module__": "torch"})
    exec("def _rebuild_tensor_v2(*_): pass", vars(utils))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    def save(state, path):
        with open(path, "wb") as file:
            for head in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
                pickle.dump(head, file, protocol=2)
            pickler = Pickler(file, protocol=2)
            pickler.dump(state)
            storages = getattr(pickler, "storages", {})
            pickle.dump(sorted(storages), file, protocol=2)
            for key in sorted(storages):
                file.write(np.int64(storages[key].size).tobytes() + storages[key].tobytes())

    return save


@pytest.mark.only_on("tensorflow")  # PyTorch's own writes the file that test_efficientnet.py reads
def test_a_state_dict_of_pytorch_is_read_without_it(folder, torch_save):
    random = np.random.default_rng(0)
    plain = random.normal(size=(3, 4)).astype("float32")
    channels_last = random.normal(size=(2, 3, 4, 5)).astype("float32").transpose(0, 3, 1, 2)
    whole = np.arange(12, dtype="float32")
    state = OrderedDict(b=plain, a=channels_last, number=np.array(7, "int64"))
    tensors = OrderedDict((name, Tensor(array)) for name, array in state.items())
    tensors["part"] = Tensor(whole[4:10].reshape(2, 3), whole, 4)
    torch_save(tensors, folder / "state.pth")
    read = pretrained.read_pytorch(folder / "state.pth")
    assert list(read) == ["b", "a", "number", "part"]
    for name, array in (state | {"part": whole[4:10].reshape(2, 3)}).items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a file of weights was run",))


@pytest.mark.only_on("tensorflow")
def test_no_file_of_pytorch_runs_anything(folder, torch_save):
    torch_save({"a": Bomb()}, folder / "inside.pth")
    (folder / "first.pth").write_bytes(pickle.dumps(Bomb()))
    for name in ("inside", "first"):
        with pytest.raises(ValueError, match=rf"{name}\.pth cannot be read as a state dict .*it wants to call _pytest"):
            pretrained.read_pytorch(folder / f"{name}.pth")


@pytest.mark.only_on("tensorflow")
def test_a_tensor_cannot_reach_beyond_its_storage(folder, torch_save):
    torch_save({"a": Tensor(np.ones((3, 4), "float32"), np.ones(11, "float32"))}, folder / "far.pth")
    with pytest.raises(ValueError, match=r"far\.pth cannot be read"):
        pretrained.read_pytorch(folder / "far.pth")


@pytest.mark.only_on("tensorflow")
def test_a_damaged_file_of_pytorch_is_refused(folder, torch_save):
    torch_save({"a": Tensor(np.ones((3, 4), "float32"))}, folder / "state.pth")
    whole = (folder / "state.pth").read_bytes()
    for length in range(0, len(whole), 7):
        (folder / "cut.pth").write_bytes(whole[:length])
        with pytest.raises(
            ValueError, match=r"cut\.pth cannot be read as a state dict of PyTorch's older form"
        ) as caught:
            pretrained.read_pytorch(folder / "cut.pth")
        assert "\n" not in str(caught.value)
    with pytest.raises(FileNotFoundError):
        pretrained.read_pytorch(folder / "none.pth")


@pytest.mark.only_on("tensorflow")  # a text
def test_the_words_of_imagenet(monkeypatch):
    monkeypatch.undo()  # the folder is the package's own
    names = pretrained.imagenet_classes()
    assert len(names) == len({name.lower() for name in names}) == 1000
    assert [names[c] for c in (0, 207, 285, 652, 967, 999)] == [
        "tench",
        "golden retriever",
        "Egyptian cat",
        "military uniform",
        "espresso",
        "toilet tissue",
    ]
