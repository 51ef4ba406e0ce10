"""Trained weights: those that come with the package, a file of one's own, and those of the same network in PyTorch."""

import os
import pathlib
import pickle
from collections import OrderedDict
from collections.abc import Mapping

import h5py
import numpy as np

from coursekit import _keras, data

FOLDER = pathlib.Path(__file__).parent / "assets"
# What comes with the package, each file in half precision and known by its SHA-256. LICENSE says what it was made from.
SHIPPED = {
    "classifier-cifar10": "0a874b3ba2c9a87ae9ca9aedc94b30351004ed039477854231b78990894004f9",
    "classifier-digits": "2da3efc1309e551e5ecf572c0e94387b3c78622033edc06a5b8050af6d291816",
    "resnet20-cifar10": "3bbe5e5b0793fcc3f5be0d543a46dbd418d1e6dbf242d7a8b2a1941f040372c7",
    "symbols-digits": "090a29cb6622617eed0dccec7c37824ca993a14f4f7b260687e9853f9b8820e6",
}


def load(model, weights, known=None):
    """Give a new model the weights that its builder was asked for.

    Args:
        model: functional model.
        weights: None, for those that it has; a name in ``known``; or the path of a file of ``save_weights``.
        known: dict from a name to a function that returns the arrays, in the order of ``model.weights``.

    Returns:
        The model.

    Raises:
        FileNotFoundError: for a name that is not known and no path of a file.
        ValueError: for weights of another network, or what is neither; the model then stays as it was.
    """
    known = known or {}
    if weights is None:
        return model
    names = "".join(f", {name!r}" for name in known)
    sentence = f"it must be None{names}, or the path of a .weights.h5 file."
    if not isinstance(weights, (str, os.PathLike)):
        raise ValueError(f"weights is {type(weights).__name__}; {sentence}")
    if weights in known:
        return assign(model, known[weights](), repr(weights))
    if not pathlib.Path(weights).is_file():
        raise FileNotFoundError(f"weights is {weights!r}; {sentence}")
    if not str(weights).endswith(".weights.h5"):
        raise ValueError(f"weights is {str(weights)!r}; {sentence}")
    before = model.get_weights()
    try:
        if _number_in(weights) != len(before):
            raise ValueError("Keras would load the part of them that fits.")
        model.load_weights(weights)
    except (ValueError, OSError, RuntimeError, KeyError) as error:  # the last two come from a damaged file
        model.set_weights(before)
        raise ValueError(f"{str(weights)!r} does not hold the weights of {model.name}.") from error
    return model


def _number_in(path):
    """How many weights a file has, beside those of an optimizer."""
    found = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return len([name for name in found if not name.startswith("optimizer/")])


def assign(model, arrays, source):
    """Give a model arrays as weights, if they fit.

    Args:
        model: built model.
        arrays: list of arrays, in the order of ``model.weights``.
        source: str, what the message of a ValueError calls them.

    Returns:
        The model.

    Raises:
        ValueError: for weights of another network; the model then stays as it was.

    >>> import keras
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> assign(model, [np.ones((2, 1)), np.zeros(1)], "of ones").count_params()
    3
    """
    shapes = [tuple(array.shape) for array in arrays]
    wanted = [tuple(variable.shape) for variable in model.weights]
    if shapes != wanted:
        wrong = [f"{one} where it has {other}" for one, other in zip(shapes, wanted, strict=False) if one != other]
        how = f"one of shape {wrong[0]}" if wrong else f"{len(shapes)} where it has {len(wanted)}"
        raise ValueError(f"The weights {source} are those of another network than {model.name}: {how}.")
    model.set_weights(arrays)
    return model


def shipped(name):
    """The arrays of a file that comes with the package, float32, a list.

    Args:
        name: a key of ``SHIPPED``.

    Returns:
        A list of float32 arrays, in the order of the model's weights.

    Raises:
        ValueError: for a file that is not the one that was made.

    >>> len(shipped("classifier-digits"))
    32
    """
    path = FOLDER / f"{name}.npz"
    if not path.is_file() or data.sha256(path) != SHIPPED[name]:
        raise ValueError(f"{path.name} is not the file that was recorded; install coursekit again.")
    with np.load(path, allow_pickle=False) as arrays:
        return [arrays[str(number)].astype("float32") for number in range(len(arrays))]


def imagenet_classes():
    """The names of the 1000 classes of ImageNet, in the order in which networks answer them.

    Returns:
        A tuple of str, the first of each class's names in WordNet, made different where two classes share it.

    Source: Russakovsky et al. 2015, section 3.1.

    >>> imagenet_classes()[281:283]
    ('tabby', 'tiger cat')
    """
    return tuple((FOLDER / "imagenet-classes.txt").read_text("utf-8").splitlines())


def from_pytorch(model, state):
    """Give a model the weights of the same network in PyTorch, layer by layer in order.

    PyTorch keeps kernels as (out, in, height, width) and dense weights as (out, in), and flattens maps channel by
    channel; names do not matter, the order does. A network whose shortcuts have weights lists them elsewhere than ours:
    reorder ``state`` then.

    Args:
        model: functional model of convolutions, depthwise ones among them, dense layers and batch norms.
        state: dict from names to arrays, in order: ``{name: tensor.numpy() for name, tensor in
            module.state_dict().items()}``, what ``np.load`` returns of a ``.npz`` file of it, or ``read_pytorch``.

    Returns:
        The model.

    Raises:
        ValueError: for weights of another network; the model then stays as it was.

    >>> import keras
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 5, use_bias=False)])
    >>> from_pytorch(model, {"conv.weight": np.ones((4, 3, 5, 5))}).get_weights()[0].shape
    (5, 5, 3, 4)
    """
    return assign(model, convert_pytorch(model, state), "of PyTorch")


def convert_pytorch(model, state):
    """The weights of a network in PyTorch as those of the same network here, without giving them to it.

    Args:
        model, state: as for ``from_pytorch``.

    Returns:
        A list of arrays, in the order of ``model.weights``.

    Raises:
        ValueError: for what is no dict.

    >>> import keras
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, use_bias=False)])
    >>> [array.shape for array in convert_pytorch(model, {"fc.weight": np.ones((4, 3))})]
    [(3, 4)]
    """
    if not isinstance(state, Mapping):
        raise ValueError(f"state is {type(state).__name__}; give a dict from names to arrays, as state_dict() does.")
    counters = "num_batches_tracked"  # of PyTorch's batch norm, for a moving average that Keras does not have
    arrays = [np.asarray(state[name]) for name in state if not name.endswith(counters)]
    depthwise = _depthwise(model)
    for position, weight in enumerate(model.weights[: len(arrays)]):
        if id(weight) in depthwise and arrays[position].ndim > 2:  # (out, 1, ...) there, one of each channel here
            multiplier, shape = weight.shape[-1], arrays[position].shape
            arrays[position] = arrays[position].reshape(-1, multiplier, *shape[2:]).swapaxes(0, 1)
        maps = _flattened(model, weight)
        if maps and arrays[position].shape == (weight.shape[1], weight.shape[0]):
            height, width, channels = maps
            by_channel = arrays[position].reshape(-1, channels, height, width)
            arrays[position] = np.moveaxis(by_channel, 1, 3).reshape(arrays[position].shape)
    return [array.transpose(_AXES.get(array.ndim, range(array.ndim))) for array in arrays]


_AXES = {5: (2, 3, 4, 1, 0), 4: (2, 3, 1, 0), 3: (2, 1, 0), 2: (1, 0)}


def _depthwise(model):
    """The ids of the kernels of a model's depthwise convolutions."""
    from keras import layers

    kinds = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
    return {id(one.kernel) for one in _keras.all_layers(model) if isinstance(one, kinds) and one.built}


def _flattened(model, weight):
    """(height, width, channels) of the maps whose flat values are what a weight is the dense kernel for, or None."""
    from keras import layers

    every = [one for one in _keras.all_layers(model) if isinstance(one, layers.Dense) and one.built]
    dense = [one for one in every if one.kernel is weight]
    parents = _keras.parents(dense[0]) if dense else []
    while len(parents) == 1 and isinstance(parents[0], (layers.Dropout, layers.Activation, layers.ReLU)):
        parents = _keras.parents(parents[0])
    if len(parents) == 1 and isinstance(parents[0], layers.Flatten) and len(parents[0].input.shape) == 4:
        return tuple(parents[0].input.shape[1:])
    return None


def read_pytorch(path):
    """Read a state dict that PyTorch saved in the form it had before version 1.6, without PyTorch.

    A pickle may call whatever it likes. Of this one nothing but dicts, numbers and tensors is made.

    Args:
        path: str or path of the file.

    Returns:
        A dict from names to arrays, float32 or int64, in the file's order.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: for a file of another form, a damaged one, or one that holds anything else.
    """
    with open(path, "rb") as file:
        try:
            _, _, _ = (_Unpickler(file).load() for _ in range(3))  # a magic number, a version, and sizes in C
            unpickler = _Unpickler(file)
            state = unpickler.load()
            for key in _Unpickler(file).load():
                storage = unpickler.storages[key]
                (size,) = np.frombuffer(file.read(8), "<i8")
                storage[:] = np.frombuffer(file.read(size * storage.itemsize), storage.dtype)
            return dict(state)
        except Exception as error:  # a damaged pickle fails in any way
            raise ValueError(f"{path} cannot be read as a state dict of PyTorch's older form ({error}).") from error


class _Unpickler(pickle.Unpickler):
    """Makes tensors as views of storages, which the file holds behind the pickle."""

    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name):
        known = {
            "collections.OrderedDict": OrderedDict,
            "torch.FloatStorage": np.dtype("<f4"),
            "torch.LongStorage": np.dtype("<i8"),
            "torch._utils._rebuild_tensor_v2": _tensor,
        }
        if f"{module}.{name}" not in known:
            raise pickle.UnpicklingError(f"it wants to call {module}.{name}")
        return known[f"{module}.{name}"]

    def persistent_load(self, pid):
        _, dtype, key, _, size, _ = pid
        return self.storages.setdefault(key, np.empty(size, dtype))


def _tensor(storage, offset, shape, strides, *_):
    size = storage.itemsize
    return np.ndarray(shape, storage.dtype, storage, offset * size, [stride * size for stride in strides])
