"""Make coursekit/assets/symbols-digits.npz, whose features are what the symbol trainer of chapter 1 freezes.

    python tools/make_symbol_network.py

The network is the one that the widget trains from scratch in the page (``network`` in symbol_trainer.js), with ten
outputs. It trains on the training images of the digits that come with the package, shifted by up to two pixels; the
weights are kept in half precision.
"""

import keras
import numpy as np
import ship
from keras import layers
from make_classifiers import shifted

from coursekit import data, experiments, training

NAME = "symbols-digits"
FILTERS = (8, 16, 32)
EPOCHS = 40
BATCH = 64


def network():
    """Three convolutions of stride 2, each with batch norm and ReLU; the maps as one vector of features; ten logits."""
    x = inputs = keras.Input((28, 28, 1))
    for filters in FILTERS:
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    features = layers.Flatten(name="features")(x)
    return keras.Model(inputs, layers.Dense(10, name="logits")(features))


def main():
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    digits = data.load("digits")
    model = network()
    steps = EPOCHS * -(-len(digits.x_train) // BATCH)
    training.compile_classifier(model, keras.optimizers.schedules.CosineDecay(1e-2, steps))
    for epoch in experiments.bar(range(EPOCHS), desc=NAME, unit="epoch"):
        images = shifted(digits.x_train, random)
        training.fit(model, images, digits.y_train, epochs=1, seed=epoch, batch_size=BATCH, progress=lambda _: None)
    sha256 = ship.save(model, NAME)
    print(f"{NAME}: test accuracy {training.accuracy(model, digits.x_test, digits.y_test):.4f}, SHA-256 {sha256}")


if __name__ == "__main__":
    main()
