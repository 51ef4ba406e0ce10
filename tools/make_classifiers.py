"""Make coursekit/assets/classifier-*.npz, the classifiers whose features measure the generated images of chapter 3.

    python tools/make_classifiers.py digits cifar10

CIFAR-10 is loaded as in the course: from ``$COURSEKIT_DATA/cifar10.npz``, or downloaded. The committed one was made
from JPEG copies of its images. Every network trains on the training images, shifted by up to two pixels, and never sees
a test image; the weights are kept in half precision.
"""

import sys

import keras
import numpy as np
import ship

from coursekit import data, experiments, metrics, training

EPOCHS = {"digits": 30, "cifar10": 20}
BATCH = 64


def shifted(images, random):
    """Every image moved by up to two pixels in both directions, each on its own."""
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    height, width = images.shape[1:3]
    down, right = random.integers(0, 5, (2, len(images)))
    return np.stack([image[d : d + height, r : r + width] for image, d, r in zip(padded, down, right, strict=True)])


def make(name):
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    loaded = data.load(name)
    network = metrics.classifier_network(data.IMAGE_SHAPES[name])
    classifier = keras.Model(network.input, network.output[1])
    steps = EPOCHS[name] * -(-len(loaded.x_train) // BATCH)
    training.compile_classifier(classifier, keras.optimizers.schedules.CosineDecay(3e-3, steps))
    for epoch in experiments.bar(range(EPOCHS[name]), desc=name, unit="epoch"):
        images = shifted(loaded.x_train, random)
        training.fit(
            classifier, images, loaded.y_train, epochs=1, seed=epoch, batch_size=BATCH, progress=lambda _: None
        )
    sha256 = ship.save(network, f"classifier-{name}")
    accuracy = training.accuracy(classifier, loaded.x_test, loaded.y_test)
    print(f"classifier-{name}: test accuracy {accuracy:.4f}, SHA-256 {sha256}")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        make(name)
