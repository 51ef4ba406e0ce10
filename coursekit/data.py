"""Image data sets, two embedded and four downloaded, all in the same form.

Run ``python -m coursekit.data cifar10 FOLDER`` on a computer with internet to make the file that a classroom without
it needs; then set ``COURSEKIT_DATA=FOLDER`` there.
"""

import argparse
import hashlib
import io
import os
import pathlib
import zipfile
from dataclasses import dataclass, replace

import numpy as np

from coursekit import require

CLASS_NAMES = {
    "digits": tuple("0123456789"),
    "clipart": ("mammals", "birds", "bugs", "fruit", "desserts", "drinks", "vehicles", "buildings"),
    "mnist": tuple("0123456789"),
    "fashion_mnist": ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "ants_bees": ("ants", "bees"),
}
IMAGE_SHAPES = {
    "digits": (28, 28, 1),
    "clipart": (96, 96, 3),
    "mnist": (28, 28, 1),
    "fashion_mnist": (28, 28, 1),
    "cifar10": (32, 32, 3),
    "ants_bees": (224, 224, 3),
}
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
ASSETS = pathlib.Path(__file__).parent / "assets"
# The files that come with the package, by their SHA-256. LICENSE says where their images are from.
EMBEDDED = {
    "digits": "ac92502227d451d09e12e9fc07925c5825e8e070c36ea3a1819eec435104e182",
    "clipart": "1b38007e4a7b191cfe2db02bbd974424199049d5d982bd4fa3a4520dea7df11a",
}
ANTS_BEES = "https://download.pytorch.org/tutorial/hymenoptera_data.zip"


@dataclass(frozen=True, eq=False)  # == between arrays has no one answer
class Dataset:
    """Images and labels, split for training and testing.

    Args:
        name: str, as for ``load``.
        class_names: tuple of str.
        x_train, x_test: float32 (images, height, width, channels) in [0, 1].
        y_train, y_test: int64 (images,), indices into ``class_names``.
    """

    name: str
    class_names: tuple
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    def __repr__(self):
        shape = "x".join(map(str, self.x_train.shape[1:]))
        return (
            f"Dataset({self.name!r}: {len(self.x_train)} training and {len(self.x_test)} test images of {shape}, "
            f"classes {', '.join(self.class_names)})"
        )


def load(name):
    """Load a data set by name: a key of ``CLASS_NAMES``.

    Two are part of the package. ``"digits"`` are 5,000 of the 70,000 images of MNIST (LeCun et al. 1998), 400 a class
    for training and 100 for testing. ``"clipart"`` are drawings of the Open Clip Art Library in eight classes, 24 to 64
    a class for training and 16 to 43 for testing. Those that are alike, a drawing and its outline for instance, are on
    one side, and come first among the training images: ``hold_out`` leaves nothing that is like what it takes.

    The others come from ``$COURSEKIT_DATA/<name>.npz`` where that variable is set, else they are downloaded once:
    ``"mnist"``, ``"fashion_mnist"`` and ``"cifar10"`` through ``keras.datasets``, and ``"ants_bees"``, photographs of
    ants and of bees, about 120 a class for training and 75 for testing, from PyTorch's tutorial on transfer learning
    (Chilamkurthy 2017), cropped to a square about the center.

    Args:
        name: str.

    Returns:
        A ``Dataset``.

    Raises:
        ValueError: for an unknown name or a corrupt file.
        FileNotFoundError: where a data set is neither on the computer nor to be downloaded.

    >>> load("digits")
    Dataset('digits': 4000 training and 1000 test images of 28x28x1, classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    """
    if name not in list(CLASS_NAMES):
        raise ValueError(f"There is no data set {name!r}; choose one of {', '.join(CLASS_NAMES)}.")
    folder = os.environ.get("COURSEKIT_DATA")
    if name in EMBEDDED:
        arrays = _read_embedded(name)
    elif folder:
        arrays = _read_from_folder(pathlib.Path(folder).expanduser(), name)
    else:
        arrays = _download(name)
    return _dataset(name, arrays)


def save(name, folder):
    """Write data set ``name`` to ``folder/<name>.npz``, with its SHA-256 beside it, for computers without internet.

    A file that was there stays until the new one is complete.

    Args:
        name: as for ``load``.
        folder: str or path; made where there is none.

    Returns:
        The file's path.

    Raises:
        ValueError: as ``load`` does.
        FileNotFoundError: as ``load`` does.
    """
    if name not in list(CLASS_NAMES):
        raise ValueError(f"There is no data set {name!r}; choose one of {', '.join(CLASS_NAMES)}.")
    arrays = _read_embedded(name) if name in EMBEDDED else _download(name)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    target, unfinished = folder / f"{name}.npz", folder / f".{name}.unfinished.npz"
    np.savez_compressed(unfinished, **arrays)
    beside = target.with_suffix(".npz.sha256")
    unfinished_beside = unfinished.with_suffix(".npz.sha256")
    unfinished_beside.write_text(f"{sha256(unfinished)}  {target.name}\n", "utf-8")
    beside.unlink(missing_ok=True)  # between the two renames there is a file without a hash, never one with a wrong one
    unfinished.replace(target)
    unfinished_beside.replace(beside)
    return target


def select_classes(dataset, classes):
    """Keep only some classes, renumbered from 0 in the order given.

    Args:
        dataset: ``Dataset``.
        classes: class indices or names, each once.

    Returns:
        A ``Dataset``.

    Raises:
        ValueError: for a class that the data set does not have, one named twice, or none.

    >>> select_classes(load("digits"), [7, 1]).class_names
    ('7', '1')
    """
    classes = require.listed("classes", classes)
    classes = [dataset.class_names.index(c) if c in dataset.class_names else c for c in classes]
    if not classes:
        raise ValueError(f"No class is named; choose some of {dataset.class_names}.")
    unknown = [c for c in classes if not require.is_whole(c) or c not in range(len(dataset.class_names))]
    if unknown:
        raise ValueError(f"{dataset.name} has no class {unknown[0]!r}; its classes are {dataset.class_names}.")
    if len(set(classes)) != len(classes):
        raise ValueError(f"Each class may be named once only; these were {classes}.")

    def keep(x, y):
        rows = np.isin(y, classes)
        renumber = np.zeros(len(dataset.class_names), "int64")
        renumber[classes] = np.arange(len(classes))
        return x[rows], renumber[y[rows]]

    x_train, y_train = keep(dataset.x_train, dataset.y_train)
    x_test, y_test = keep(dataset.x_test, dataset.y_test)
    names = tuple(dataset.class_names[c] for c in classes)
    return Dataset(dataset.name, names, x_train, y_train, x_test, y_test)


def few_shot(dataset, labels_per_class, seed):
    """Draw a small training set with the same number of labels for every class; the test set stays whole.

    Args:
        dataset: ``Dataset``.
        labels_per_class: int, at least 1.
        seed: int; the same seed draws the same images, and a larger draw contains the smaller one.

    Returns:
        A ``Dataset`` whose training images are in random order.

    Raises:
        ValueError: where a class has fewer labels than asked for, or for a number that is not whole or below 1.

    >>> few_shot(load("digits"), 5, seed=0).x_train.shape
    (50, 28, 28, 1)
    """
    random = np.random.default_rng(seed)
    rows = []
    for index, class_name in enumerate(dataset.class_names):
        of_class = np.flatnonzero(dataset.y_train == index)
        if not require.is_whole(labels_per_class) or not 1 <= labels_per_class <= len(of_class):
            raise ValueError(
                f"labels_per_class is {labels_per_class}; {dataset.name} has 1 to {len(of_class)} training images "
                f"of class {class_name!r}."
            )
        rows.append(random.permutation(of_class)[:labels_per_class])
    rows = random.permutation(np.concatenate(rows))
    return replace(dataset, x_train=dataset.x_train[rows], y_train=dataset.y_train[rows])


def hold_out(dataset, images_per_class):
    """Set training images aside, to choose settings on: the last so many of every class.

    Args:
        dataset: ``Dataset``.
        images_per_class: int, at least 1.

    Returns:
        A ``Dataset`` without them, and a pair of them, images and labels.

    Raises:
        ValueError: where a class would have none left, or for a number that is not whole or below 1.

    >>> rest, (images, labels) = hold_out(load("digits"), 100)
    >>> len(rest.x_train), len(images)
    (3000, 1000)
    """
    aside = np.zeros(len(dataset.y_train), bool)
    for index, class_name in enumerate(dataset.class_names):
        of_class = np.flatnonzero(dataset.y_train == index)
        if not require.is_whole(images_per_class) or not 1 <= images_per_class < len(of_class):
            raise ValueError(
                f"images_per_class is {images_per_class}; of class {class_name!r}, {dataset.name} has {len(of_class)} "
                f"training images, and at least one must stay."
            )
        aside[of_class[-images_per_class:]] = True
    rest = replace(dataset, x_train=dataset.x_train[~aside], y_train=dataset.y_train[~aside])
    return rest, (dataset.x_train[aside], dataset.y_train[aside])


def downsample(dataset, factor):
    """Make images smaller by averaging squares of ``factor`` by ``factor`` pixels.

    Args:
        dataset: ``Dataset``.
        factor: int that divides height and width.

    Returns:
        A ``Dataset``.

    Raises:
        ValueError: where it does not.

    >>> downsample(load("digits"), 2).x_test.shape
    (1000, 14, 14, 1)
    """
    height, width, channels = dataset.x_train.shape[1:]
    if not require.is_whole(factor) or factor < 1 or height % factor or width % factor:
        raise ValueError(f"factor is {factor}; it must divide the {height}x{width} pixels of {dataset.name}.")

    def average(x):
        return x.reshape(-1, height // factor, factor, width // factor, factor, channels).mean((2, 4))

    return replace(dataset, x_train=average(dataset.x_train), x_test=average(dataset.x_test))


# What keras.utils.image_dataset_from_directory reads, by the endings of names and by what is in the files; and what it
# passes over, although it is a picture, too.
PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
FORMATS = ("BMP", "GIF", "JPEG", "PNG")
PASSED_OVER = (".avif", ".heic", ".heif", ".jfif", ".tif", ".tiff", ".webp")


def check_pictures(folder):
    """Count one's own pictures, which lie in a folder for each class, and open each of them.

    ``keras.utils.image_dataset_from_directory`` reads such a folder, but a damaged file stops it in the middle of a
    training, and what it cannot read it passes over in silence.

    Args:
        folder: str or path, of the folder that has the classes' folders.

    Returns:
        A dict from the name of a class to the number of its pictures, at least two, in order of the names.

    Raises:
        FileNotFoundError: where there is no such folder.
        ValueError: for fewer than two classes, a class of fewer than two pictures, a file that is no picture, and one
            of a format that Keras does not read.

    >>> import tempfile
    >>> from PIL import Image
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("cats/1.png", "cats/2.png", "dogs/1.png", "dogs/2.png"):
    ...     (folder / name).parent.mkdir(exist_ok=True)
    ...     Image.new("RGB", (32, 32)).save(folder / name)
    >>> check_pictures(folder)
    {'cats': 2, 'dogs': 2}
    """
    from PIL import Image  # not for who has no pictures

    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; give the one that has a folder for each class.")
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(classes) < 2:
        raise ValueError(f"There must be a folder for each class in {folder}, at least two; there are {len(classes)}.")
    counts = {}
    for path in classes:
        files = sorted(file for file in path.rglob("*") if file.is_file())
        if other := [file for file in files if file.suffix.lower() in PASSED_OVER]:
            raise ValueError(f"Keras does not read {other[0].suffix} ({other[0]}); save such pictures as .jpg or .png.")
        of_class = [file for file in files if file.suffix.lower() in PICTURES]
        if len(of_class) < 2:
            raise ValueError(
                f"The class {path.name!r} has too few pictures ({', '.join(PICTURES)}), {len(of_class)}; give it at "
                f"least two, to train on and to test on, or move its folder away."
            )
        for file in of_class:
            try:
                with Image.open(file, formats=FORMATS) as image:
                    image.load()  # all of it: what is cut off only shows at the end
            except Exception as error:  # every format has its own
                raise ValueError(f"{file} is no picture that can be read ({error}); move it away.") from None
        counts[path.name] = len(of_class)
    return counts


def _dataset(name, arrays):
    def images(x):
        return x.reshape(-1, *IMAGE_SHAPES[name]).astype("float32") / 255

    def labels(y):
        return y.reshape(-1).astype("int64")

    return Dataset(
        name,
        CLASS_NAMES[name],
        images(arrays["x_train"]),
        labels(arrays["y_train"]),
        images(arrays["x_test"]),
        labels(arrays["y_test"]),
    )


def _read_from_folder(folder, name):
    path = folder / f"{name}.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"COURSEKIT_DATA is {folder}, but there is no {path.name} in it; make it on a computer with internet: "
            f"python -m coursekit.data {name} FOLDER."
        )
    beside = path.with_suffix(".npz.sha256")
    return _read(path, name, (beside.read_text("utf-8").split() or ["(none)"])[0] if beside.is_file() else None)


def _read_embedded(name):
    return _read(ASSETS / f"{name}.npz", name, EMBEDDED[name])


def _read(path, name, expected):
    """Read the four arrays of a file, and refuse a file that is not what it should be."""
    if expected is not None and sha256(path) != expected:
        raise ValueError(f"{path} is corrupt: its SHA-256 is not the expected {expected[:12]}…; copy the file again.")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {array: file[array] for array in ARRAYS}
        for half in ("train", "test"):
            if arrays[f"x_{half}"].ndim == 1:
                arrays[f"x_{half}"] = _tiles(arrays[f"x_{half}"], len(arrays[f"y_{half}"]), IMAGE_SHAPES[name])
    except Exception as error:  # a damaged file fails in any layer: zip, zlib, NumPy's header, Python's tokenizer
        raise ValueError(
            f"{path} cannot be read as {name} ({error}); make it again: python -m coursekit.data {name} FOLDER."
        ) from error
    for half in ("train", "test"):
        x, y = arrays[f"x_{half}"], arrays[f"y_{half}"]
        fits = x.dtype == np.uint8 and (*x.shape[1:], 1)[:3] == IMAGE_SHAPES[name] and len(x) == y.size > 0
        if not fits or not np.isin(y, range(len(CLASS_NAMES[name]))).all():
            raise ValueError(
                f"{path} does not hold {name}: x_{half} must be uint8 images of {IMAGE_SHAPES[name]} and y_{half} "
                f"their labels from 0 to {len(CLASS_NAMES[name]) - 1}."
            )
    return arrays


def _tiles(file, number, shape):
    """The images in the bytes of a picture file: the first so many squares of the picture, row by row."""
    from PIL import Image  # not for what has none of these

    height, width, channels = shape
    picture = np.asarray(Image.open(io.BytesIO(file.tobytes())).convert("RGB"))
    rows = picture.reshape(-1, height, picture.shape[1] // width, width, channels)
    return rows.swapaxes(1, 2).reshape(-1, *shape)[:number]


def _download(name):
    import keras

    try:
        if name == "ants_bees":
            loaded = keras.utils.get_file(origin=ANTS_BEES)
        else:
            loaded = getattr(keras.datasets, name).load_data()
    except Exception as error:  # keras raises a bare Exception where the network is missing
        raise FileNotFoundError(
            f"{name} is not on this computer and could not be downloaded ({error}); connect to the internet, or set "
            f"COURSEKIT_DATA to a folder with {name}.npz in it."
        ) from error
    if name == "ants_bees":
        return _photographs(loaded)
    (x_train, y_train), (x_test, y_test) = loaded
    return dict(zip(ARRAYS, (x_train, y_train, x_test, y_test), strict=True))


def _photographs(path):
    """The arrays of the archive of ants_bees: JPEG files in folders train and val, and there in one for each class."""
    from PIL import Image, ImageOps

    height, width, _ = IMAGE_SHAPES["ants_bees"]
    halves, class_names = {"train": "train", "val": "test"}, CLASS_NAMES["ants_bees"]
    lists = {array: [] for array in ARRAYS}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in sorted(name for name in archive.namelist() if name.endswith(".jpg")):
                half, class_name = member.split("/")[-3:-1]
                with archive.open(member) as file:
                    picture = ImageOps.fit(Image.open(file).convert("RGB"), (width, height))
                lists[f"x_{halves[half]}"].append(np.asarray(picture))
                lists[f"y_{halves[half]}"].append(class_names.index(class_name))
        if not all(lists.values()):
            raise ValueError("no photographs in it")
        return {array: np.array(values, "uint8") for array, values in lists.items()}
    except Exception as error:  # a damaged archive fails in any layer
        raise ValueError(f"{path} cannot be read as ants_bees ({error}); delete it, and load it again.") from error


def sha256(path):
    """The checksum of a file, a str of hexadecimal digits.

    Args:
        path: str or path.

    Returns:
        A str of 64 digits.

    >>> sha256(ASSETS / "digits.npz") == EMBEDDED["digits"]
    True
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main():
    """Save a data set as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m coursekit.data", description="Save a data set for offline use.")
    parser.add_argument("name", choices=CLASS_NAMES)
    parser.add_argument("folder")
    arguments = parser.parse_args()
    try:
        print(save(arguments.name, arguments.folder))
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
