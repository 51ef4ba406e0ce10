"""Measures of generated images: how far they lie from real ones, how varied they are, and whether they are copies."""

import functools
import math

import keras
import numpy as np
from keras import layers

from coursekit import data, pretrained, require, training

# The data sets for which a classifier comes with the package.
CLASSIFIERS = ("digits", "cifar10")


def classifier(name):
    """The fixed classifier that images of a data set are measured with, trained once by ``tools/make_classifiers.py``.

    Args:
        name: ``"digits"`` or ``"cifar10"``.

    Returns:
        Functional model, one of the caller's own, from images in [0, 1] (batch, height, width, channels) to a pair,
        both float32. The pair is features (batch, 64), what its last layer looks at, and logits (batch, 10).

    Raises:
        ValueError: for another name, or a file that is not the one that was made.

    >>> [output.shape for output in classifier("digits").outputs]
    [(None, 64), (None, 10)]
    """
    require.choice("name", name, CLASSIFIERS)
    model = classifier_network(data.IMAGE_SHAPES[name])
    model.set_weights(pretrained.shipped(f"classifier-{name}"))
    return model


_shared_classifier = functools.cache(classifier)  # for ``classify`` alone, since a model can be changed


def classifier_network(image_shape):
    """The network behind ``classifier``: three blocks of two convolutions, then 64 features and ten logits.

    It computes in float32 whatever the policy is: a measure must not hang on that.

    Args:
        image_shape: (height, width, channels), at least 8 pixels a side.

    Returns:
        Functional model from images (batch, height, width, channels) to a pair, features (batch, 64) and logits (batch,
        10).

    Raises:
        ValueError: for another shape, or where Keras is set to have the channels first.

    >>> classifier_network((32, 32, 3)).count_params()
    73402
    """
    image_shape, _ = require.images(image_shape, 10, smallest=8, any_size=True)
    x = inputs = keras.Input(image_shape, dtype="float32")
    for number in (16, 32, 64):
        for _ in range(2):
            x = layers.Conv2D(number, 3, padding="same", use_bias=False, dtype="float32")(x)
            x = layers.BatchNormalization(momentum=0.9, dtype="float32")(x)
            x = layers.ReLU(dtype="float32")(x)
        x = layers.MaxPooling2D(dtype="float32")(x)
    features = layers.GlobalAveragePooling2D(name="features", dtype="float32")(x)
    return keras.Model(inputs, [features, layers.Dense(10, name="logits", dtype="float32")(features)])


def classify(images, name):
    """Features and classes of images, by the classifier of that name.

    Args:
        images: (images, height, width, channels) in [0, 1].
        name: as for ``classifier``.

    Returns:
        Features, float32 (images, 64), and classes, int64 (images,).

    Raises:
        ValueError: for images of another shape or range, or with a value that is not finite.

    >>> features, classes = classify(np.zeros((3, 28, 28, 1)), "digits")
    >>> features.shape, classes.shape
    ((3, 64), (3,))
    """
    require.choice("name", name, CLASSIFIERS)
    network, images = _shared_classifier(name), np.asarray(images)
    shape = data.IMAGE_SHAPES[name]
    if images.shape[1:] != shape:
        wanted = ", ".join(map(str, shape))
        raise ValueError(f"The images have shape {images.shape}; the classifier of {name} takes (images, {wanted}).")
    if len(images) == 0:
        return np.zeros((0, 64), "float32"), np.zeros(0, "int64")
    low, high = require.limits("images", images)
    if low < -1e-3 or high > 1 + 1e-3:
        raise ValueError(
            f"The images lie in [{low:g}, {high:g}], but the classifier knows those in [0, 1]; rescale them."
        )
    features, logits = training.outputs(network, images)
    return features, logits.argmax(-1).astype("int64")


def frechet_distance(features, others):
    """Squared Fréchet distance between two sets of features, each taken for a normal distribution.

    It is smaller the more examples there are: compare only what was computed from equally many.

    Args:
        features, others: (examples, dimensions).

    Returns:
        A float, 0 for equal means and covariances.

    Raises:
        ValueError: for sets of different dimensions, with fewer than two examples, or with a value that is not finite.

    Source: Heusel et al. 2017, section 3, who take the features of Inception v3 and call it FID.

    >>> x = np.random.default_rng(0).normal(size=(1000, 3))
    >>> round(frechet_distance(x, x + 2), 6)
    12.0
    """
    features, others = (np.asarray(one, "float64") for one in (features, others))
    if features.ndim != 2 or others.ndim != 2 or features.shape[1] != others.shape[1] or features.shape[1] == 0:
        raise ValueError(f"The features have shapes {features.shape} and {others.shape}; both need (examples, n).")
    if len(features) < 2 or len(others) < 2:
        raise ValueError("A covariance needs at least two examples.")
    if not np.isfinite(features).all() or not np.isfinite(others).all():
        raise ValueError("The features hold a value that is not finite.")
    difference = features.mean(0) - others.mean(0)
    one, other = (np.atleast_2d(np.cov(part, rowvar=False)) for part in (features, others))
    # The trace of sqrtm(one @ other), from eigenvalues of symmetric matrices, which stay real.
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    both = np.sqrt(np.linalg.eigvalsh(root @ other @ root).clip(0)).sum()
    return float(difference @ difference + np.trace(one) + np.trace(other) - 2 * both)


def class_coverage(classes, num_classes=10):
    """How many classes occur, and how evenly: a pair of int and float.

    Args:
        classes: int (examples,).
        num_classes: int, how many classes there are.

    Returns:
        The number of classes with at least a tenth of their even share, an int, and the entropy of the classes'
        frequencies in bits, a float, which is log2(num_classes) where all are equally frequent.

    Raises:
        ValueError: for no classes, or one out of range.

    >>> class_coverage([0, 1, 2, 3] * 5, num_classes=4)
    (4, 2.0)
    """
    require.whole("num_classes", num_classes)
    classes = np.asarray(classes)
    whole = classes.ndim == 1 and classes.size > 0 and classes.dtype.kind in "iu"
    if not whole or classes.min() < 0 or classes.max() >= num_classes:
        raise ValueError(f"classes must be numbers from 0 to {num_classes - 1}, at least one.")
    shares = np.bincount(classes, minlength=num_classes) / len(classes)
    present = shares[shares > 0]
    return int((shares >= 0.1 / num_classes).sum()), float(-(present * np.log2(present)).sum()) + 0.0


def nearest_neighbors(images, training_images):
    """The training image nearest to each image: its index, int64 (images,), and its distance, float64 (images,).

    The distance is the root of the mean squared difference of the pixels. A generator that has learned its training
    images by heart comes nearer to them than new images do.

    Args:
        images, training_images: (images, height, width, channels).

    Returns:
        The pair of indices and distances. Where several are equally near, it is the first.

    Raises:
        ValueError: for no images, images of different shapes, or scales, or a value that is not finite.

    >>> training_images = np.stack([np.zeros((2, 2, 1)), np.full((2, 2, 1), 0.5)])
    >>> index, distance = nearest_neighbors(np.ones((1, 2, 2, 1)), training_images)
    >>> index.tolist(), distance.tolist()
    ([1], [0.5])
    """
    flat, known = _require_alike(np.asarray(images), np.asarray(training_images))
    index, distance = np.empty(len(flat), "int64"), np.empty(len(flat))
    for position, few in enumerate(_near(flat, known)):
        image, best = flat[position].astype("float64"), np.inf
        for part in np.split(few, range(1000, len(few), 1000)):  # seldom more than one
            squares = ((image - known[part]) ** 2).mean(1)
            if squares.min() < best:
                best, index[position] = squares.min(), part[squares.argmin()]
        distance[position] = math.sqrt(best)
    return index, distance


def _require_alike(images, training_images):
    """Two sets of images, flat, once they can be compared."""
    for name, some in (("images", images), ("training images", training_images)):
        if some.ndim == 0 or some.size == 0:
            raise ValueError(f"There are no {name}: their shape is {some.shape}.")
        require.limits(name, some)
    if images.shape[1:] != training_images.shape[1:]:
        raise ValueError(
            f"The images have shapes {images.shape} and {training_images.shape}; they must be of one kind."
        )
    whole = [some.dtype.kind in "iu" for some in (images, training_images)]
    if whole[0] != whole[1]:
        raise ValueError(
            f"The images are {images.dtype}, the training images {training_images.dtype}; bring both to one scale."
        )
    return (np.reshape(some, (len(some), -1)) for some in (images, training_images))


def _near(flat, known):
    """Yield, for every row, the indices of all that may be nearest, as far as float32 can tell.

    In ``|a|^2 + |b|^2 - 2ab``, which is fast, almost all cancels for near ones. A sum of n products is wrong by at most
    about n times the precision, relative to the lengths (Higham 2002, section 3.1).
    """
    precision = (known.shape[1] + 8) * np.finfo("float32").eps
    tiny = known.shape[1] * np.finfo("float32").tiny
    with np.errstate(over="ignore", invalid="ignore"):  # where it overflows, all may be nearest
        known = known.astype("float32", copy=False)
        squares = (known**2).sum(1)
        for start in range(0, len(flat), 100):
            some = flat[start : start + 100].astype("float32")
            lengths = np.sqrt((some**2).sum(1, keepdims=True)) + np.sqrt(squares)
            error = precision * lengths**2 + tiny
            distances = squares - 2 * some @ known.T
            farthest = np.fmin.reduce(distances + error, axis=1, keepdims=True)
            for row in ~(distances - error > farthest):
                yield np.flatnonzero(row)
