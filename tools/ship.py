"""Write trained weights into the package, where ``coursekit.pretrained`` finds them."""

import numpy as np

from coursekit import data, pretrained


def save(model, name):
    """Round a model's weights to half precision, in place, and write them to coursekit/assets.

    Returns the file's checksum, which belongs into ``pretrained.SHIPPED``. Raises ValueError for a weight that half
    precision cannot hold; then the model and the file stay as they were.
    """
    halves = [_half(variable) for variable in model.weights]
    path = pretrained.FOLDER / f"{name}.npz"
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
