"""Train the networks of chapter 5 on all of CIFAR-10, and keep what comes out in the package.

    python tools/train_cifar10.py weights           # ResNet-20: coursekit/assets/resnet20-cifar10.npz and its record
    python tools/train_cifar10.py precision         # ResNet-20 in float32 and in --policy: a record of both curves
    python tools/train_cifar10.py table             # depth 20 to 110, plain and residual: the record of the table

CIFAR-10 is loaded as in the course: from ``$COURSEKIT_DATA/cifar10.npz``, or downloaded. The committed results were
made from JPEG copies of its images. Where ``COURSEKIT_RESUME`` names a folder, a run keeps its state there after each
epoch, and an interrupted one goes on with the epoch that it was in. Finished runs of the table are on record at once.

The images stay on the device, and a layer shifts and flips them, so that the host has nothing to do but to count. The
recipe begins with that of He et al. 2016a, section 4.2: batches of 128, momentum 0.9, learning rate 0.1, shifts by up
to four pixels, flips. It differs in the schedule, which fits few epochs (the rate rises in the first tenth of the
steps, and falls along a cosine to 0); in the units, which are those of He et al. 2016b, with batch norm and ReLU
before the convolutions; in Nesterov's form of momentum; in a weight decay of 5e-4, where the paper has 1e-4; in
training on all 50,000 images, where the paper keeps 5,000 for validation; and in pixels from 0 to 1, without their
mean subtracted. The loss on record is what is minimized: cross-entropy and the penalty of the weight decay together.
"""

import argparse
import os
import time

import keras
import numpy as np
import ship
from keras import layers, ops

from coursekit import data, experiments, records, resnet, training

DEPTHS = (20, 32, 56, 110)
KINDS = {"plain": resnet.plain, "residual": resnet.resnet}
BATCH = 128
LEARNING_RATE = 0.1
WEIGHT_DECAY = 5e-4
SEEDS = range(3)


class Augmented(layers.Layer):
    """Images by their rows in the data set, each shifted by up to some pixels in both directions, and half of them
    flipped. Outside of an image all is 0.

    images: uint8 (images, height, width, channels). Maps int (batch,) to (batch, height, width, channels), in [0, 1].
    """

    def __init__(self, images, shift=4):
        super().__init__()
        self.height, self.width = images.shape[1:3]
        self.shift = shift
        padded = np.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
        pixels = padded.reshape(-1, images.shape[-1])
        self.pixels = self.add_weight(pixels.shape, dtype="uint8", initializer="zeros", trainable=False, name="pixels")
        self.pixels.assign(pixels)
        self.random = keras.random.SeedGenerator(0)

    def call(self, rows):
        def draw(choices):
            return keras.random.randint((ops.shape(rows)[0], 1, 1), 0, choices, seed=self.random)

        down, right, flipped = draw(2 * self.shift + 1), draw(2 * self.shift + 1), draw(2)
        y = down + ops.arange(self.height)[:, None]
        x = ops.arange(self.width)
        x = right + ops.where(flipped == 1, self.width - 1 - x, x)
        row = ops.reshape(ops.cast(rows, "int32"), (-1, 1, 1))
        place = (row * (self.height + 2 * self.shift) + y) * (self.width + 2 * self.shift) + x
        return ops.cast(ops.take(self.pixels, place, axis=0), self.compute_dtype) / 255


def train(network, dataset, epochs, seed, name):
    """Train a network. Returns training loss and test accuracy by epoch, two lists, and the seconds of an epoch."""
    images = np.round(dataset.x_train * 255).astype("uint8")
    rows = keras.Input((), dtype="int32")
    learner = keras.Model(rows, network(Augmented(images)(rows)))
    steps = epochs * -(-len(images) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=LEARNING_RATE, warmup_steps=steps // 10
    )
    training.compile_classifier(learner, optimizer=keras.optimizers.SGD(rate, momentum=0.9, nesterov=True))
    state = _State(f"{name}, {epochs} epochs", network.variables + learner.optimizer.variables)
    history = state.load()
    with experiments.bar(total=epochs, initial=len(history), desc=name, unit="epoch") as shown:
        for number in range(len(history), epochs):
            start = time.perf_counter()
            of_epoch = training.fit(
                learner,
                np.arange(len(images)),
                dataset.y_train,
                epochs=1,
                seed=(seed, number),
                batch_size=BATCH,
                progress=lambda share: shown.update(number + share - shown.n),  # noqa: B023 (called at once)
            )
            seconds = time.perf_counter() - start
            test = training.accuracy(network, dataset.x_test, dataset.y_test)
            history.append((of_epoch["loss"][0], test, seconds))
            state.save(history)
    loss, test, seconds = map(list, zip(*history, strict=True))
    return loss, test, float(np.median(seconds))


class _State:
    """How far a run has got: all variables and the history, in one file where ``COURSEKIT_RESUME`` says so."""

    def __init__(self, name, variables):
        self.path, self.variables = experiments.resume_path(f"{name}.npz"), variables

    def save(self, history):
        if self.path:
            unfinished = self.path.with_name(f"unfinished {self.path.name}")
            values = [ops.convert_to_numpy(variable) for variable in self.variables]
            np.savez(unfinished, *values, history=history)
            unfinished.replace(self.path)

    def load(self):
        if not self.path or not self.path.is_file():
            return []
        with np.load(self.path, allow_pickle=False) as arrays:
            for number, variable in enumerate(self.variables):
                variable.assign(arrays[f"arr_{number}"])
            return [tuple(of_epoch) for of_epoch in arrays["history"].tolist()]


def make_weights(epochs):
    """ResNet-20, its record, and its weights in the package."""
    keras.utils.set_random_seed(0)
    dataset = data.load("cifar10")
    network = resnet.resnet(depth=20, weight_decay=WEIGHT_DECAY)
    loss, test, seconds = train(network, dataset, epochs, 0, "resnet20")
    keras.mixed_precision.set_global_policy("float32")
    shipped = resnet.resnet(depth=20)
    shipped.set_weights(network.get_weights())
    sha256 = ship.save(shipped, "resnet20-cifar10")
    accuracy = training.accuracy(shipped, dataset.x_test, dataset.y_test)
    print(f"resnet20-cifar10: test accuracy {accuracy:.4f}, SHA-256 {sha256}")
    without = {
        unit: training.accuracy(resnet.delete_units(shipped, unit), dataset.x_test, dataset.y_test)
        for unit in resnet.unit_names(shipped)
    }
    of_training = training.accuracy(shipped, dataset.x_train, dataset.y_train)
    measured = {"accuracy": accuracy, "training accuracy": of_training, "without": without}
    return {"loss": loss, "test": test, "seconds an epoch": seconds} | measured


def make_precision(epochs):
    """Does it matter in what ResNet-20 computes? Curves in float32 and in the chosen policy, from the same start."""
    dataset, chosen = data.load("cifar10"), keras.mixed_precision.dtype_policy().name
    results = {}
    for policy in ("float32", chosen):
        keras.mixed_precision.set_global_policy(policy)
        keras.utils.set_random_seed(0)
        network = resnet.resnet(depth=20, weight_decay=WEIGHT_DECAY)
        loss, test, seconds = train(network, dataset, epochs, 0, f"resnet20 {policy}")
        results[policy] = {"loss": loss, "test": test, "seconds an epoch": seconds}
    return {"by policy": results}


def make_table(epochs):
    """The family of the paper's table 6, plain and residual: curves, test accuracies and norms of kernels by seed."""
    dataset, policy = data.load("cifar10"), keras.mixed_precision.dtype_policy().name

    def run(depth, kind, seed):
        keras.mixed_precision.set_global_policy(policy)  # said here, since it is a part of the experiment
        keras.utils.set_random_seed(seed)
        network = KINDS[kind](depth=depth, weight_decay=WEIGHT_DECAY)
        loss, test, seconds = train(network, dataset, epochs, seed, f"{kind} {depth} seed {seed}")
        convolutions = [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]  # from the first
        norms = [float(np.linalg.norm(ops.convert_to_numpy(layer.kernel))) for layer in convolutions]
        return {"loss": loss, "test": test, "seconds an epoch": seconds, "norms": norms}

    runs = experiments.sweep(run, depth=DEPTHS, kind=KINDS, seeds=SEEDS, name="resnet-table", again=[])
    by_network = runs.drop(columns="seed").groupby(["kind", "depth"], sort=False)
    return {"networks": {f"{kind} {depth}": of_network.to_dict("list") for (kind, depth), of_network in by_network}}


MAKE = {
    "weights": (make_weights, "resnet20"),
    "precision": (make_precision, "resnet20-precision"),
    "table": (make_table, "resnet-table"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=MAKE)
    parser.add_argument("--epochs", type=int, default=30, help="over the training images")
    parser.add_argument("--policy", default="float32", help="what Keras computes in, mixed_bfloat16 for instance")
    arguments = parser.parse_args()
    if arguments.epochs < 1:
        parser.error(f"--epochs is {arguments.epochs}; give 1 or more.")
    os.environ |= {"COURSEKIT_PROFILE": "full", "COURSEKIT_RECORD": "1"}
    keras.mixed_precision.set_global_policy(arguments.policy)
    make, name = MAKE[arguments.what]
    recipe = {"epochs": arguments.epochs, "policy": arguments.policy, "rate": LEARNING_RATE, "decay": WEIGHT_DECAY}
    records.write(name, recipe | make(arguments.epochs))


if __name__ == "__main__":
    main()
