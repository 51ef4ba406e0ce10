"""Trained weights that come with the package: in half precision, each file known by its checksum."""

import pathlib

import numpy as np

from coursekit import data

FOLDER = pathlib.Path(__file__).parent / "assets"


def save(model, name):
    """Round a model's weights to half precision, in place, and write them to the package.

    Returns the file's checksum, which ``load`` wants to see.
    """
    model.set_weights([weight.astype("float16") for weight in model.get_weights()])
    arrays = {str(number): weight.astype("float16") for number, weight in enumerate(model.get_weights())}
    np.savez_compressed(FOLDER / f"{name}.npz", **arrays)
    return data.sha256(FOLDER / f"{name}.npz")


def load(model, name, sha256):
    """Give a model the weights of that name, and return it.

    Raises ValueError for a file that is not the one that was made.
    """
    path = FOLDER / f"{name}.npz"
    if not path.is_file() or data.sha256(path) != sha256:
        raise ValueError(f"{path.name} is not the file that was recorded; install coursekit again.")
    with np.load(path, allow_pickle=False) as arrays:
        model.set_weights([arrays[str(number)].astype("float32") for number in range(len(arrays))])
    return model
