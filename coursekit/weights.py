"""Trained weights that come with the package: in half precision, each file known by its checksum."""

import pathlib

import numpy as np

from coursekit import data

FOLDER = pathlib.Path(__file__).parent / "assets"


def save(model, name):
    """Round a model's weights to half precision, in place, and write them to the package.

    Returns the file's checksum, which ``load`` wants to see. Raises ValueError for a weight that half precision cannot
    hold; then the model and the file stay as they were.
    """
    halves = [_half(variable) for variable in model.weights]
    path = FOLDER / f"{name}.npz"
    partial = path.with_suffix(".part")
    with open(partial, "wb") as file:
        np.savez_compressed(file, **{str(number): half for number, half in enumerate(halves)})
    partial.replace(path)
    model.set_weights(halves)
    return data.sha256(path)


def _half(variable):
    values = variable.numpy()
    peak = float(np.abs(values).max(initial=0))
    if not peak < 65520:  # from here on, rounding gives infinity; and NaN
        raise ValueError(
            f"The weight {variable.path} reaches {peak:g}, but half precision ends at 65504; train a model again whose "
            "weights stay finite and below."
        )
    return values.astype("float16")


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
