"""The questions of the exercise on Inception modules and 1x1 convolutions."""

import math

import numpy as np

from coursekit.exercises.question import Contest, Question


def convolution(random):
    height, width = random.integers(5, 30, 2)
    channels, filters = random.integers(1, 65, 2)
    sizes = {"size": int(random.choice([1, 3, 5, 7])), "strides": int(random.integers(1, 4))}
    return {"height": int(height), "width": int(width), "channels": int(channels), "filters": int(filters), **sizes}


def pointwise(random):
    into, out = random.integers(2, 6, 2)
    kernel = {"kernel": random.normal(size=(1, 1, into, out)), "bias": random.normal(size=out)}
    return {"x": random.normal(size=(*random.integers(2, 5, 3), into)), **kernel}


def module(random):
    into = int(random.integers(5, 7))

    def kernel(size, into, out):
        return random.normal(size=(size, size, into, out)) / np.sqrt(into)

    reduce_3x3, reduce_5x5, conv_1x1, conv_3x3, conv_5x5, pool = (int(n) for n in random.integers(1, 4, 6))
    kernels = {
        "conv_1x1": kernel(1, into, conv_1x1),
        "reduce_3x3": kernel(1, into, reduce_3x3),
        "conv_3x3": kernel(3, reduce_3x3, conv_3x3),
        "reduce_5x5": kernel(1, into, reduce_5x5),
        "conv_5x5": kernel(5, reduce_5x5, conv_5x5),
        "pool": kernel(1, into, pool),
    }
    return {"x": random.normal(size=(2, 6, 6, into)).astype("float32"), "kernels": kernels}


def call_module(answer, x, kernels):
    return answer(x, {name: kernel.astype("float32") for name, kernel in kernels.items()})


def stack(random):
    count = random.integers(2, 6)
    return {"layers": [[int(random.choice([1, 2, 3, 5])), int(random.integers(1, 3))] for _ in range(count)]}


def budget(random):
    height, width = (int(n) for n in random.integers(7, 30, 2))
    channels, filters = (int(n) for n in random.integers(16, 257, 2))
    size = int(random.choice([3, 5]))
    direct = height * width * size**2 * channels * filters
    sizes = {"height": height, "width": width, "channels": channels, "filters": filters, "size": size}
    for_each = height * width * (channels + size**2 * filters)
    kinds = {
        "anything": int(direct * random.uniform(0.02, 0.6)),
        "exactly some": for_each * int(random.integers(2, channels)),
        "not even one": int(for_each * random.uniform(0.5, 1)),
        "more than before": int(for_each * channels * random.uniform(1.1, 2)),
    }
    return {**sizes, "budget": kinds[str(random.choice(list(kinds)))]}


def head(random):
    height, width = (int(n) for n in random.integers(2, 15, 2))
    return {
        "height": height,
        "width": width,
        "channels": int(random.integers(8, 1025)),
        "classes": int(random.integers(2, 1001)),
    }


MOST = 2_000_000  # multiplications
# Numbers in the maps of all convolutions. No design of use comes near, and one of many times as many would be trained
# for minutes, with gigabytes of memory, since a number takes more time than a multiplication.
MOST_NUMBERS = 150_000
# Test accuracies that get no points, and all of them.
WORST, BEST = 0.75, 0.9


def built(design):
    """The network of a design, a list of layers. Raises ValueError for what is none, or has too many multiplications or
    numbers, before there are as many weights.
    """
    import keras
    from keras import layers

    needed = numbers = 0

    def conv(x, filters, size):
        nonlocal needed, numbers
        needed += math.prod(x.shape[1:]) * filters * size**2
        numbers += math.prod(x.shape[1:3]) * filters
        if needed > MOST:
            raise ValueError(f"Up to layer {number}, it needs {needed:,} multiplications; {MOST:,} are allowed.")
        if numbers > MOST_NUMBERS:
            raise ValueError(f"Up to layer {number}, its maps have {numbers:,} numbers; {MOST_NUMBERS:,} are allowed.")
        x = layers.Conv2D(filters, size, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))

    if not isinstance(design, list) or not 1 <= len(design) <= 12:
        raise ValueError("The design must be a list of 1 to 12 layers.")
    x = inputs = keras.Input((14, 14, 1))
    for number, layer in enumerate(design, start=1):
        kind = layer[0] if isinstance(layer, list) and layer and isinstance(layer[0], str) else None
        whole = kind is not None and all(type(value) is int and 0 < value <= 512 for value in layer[1:])
        if kind == "conv" and whole and len(layer) == 3 and layer[2] <= 7:
            x = conv(x, *layer[1:])
        elif kind == "inception" and whole and len(layer) == 5:
            first, reduce_3x3, conv_3x3, pool = layer[1:]

            pooled = layers.MaxPooling2D(3, 1, "same")(x)
            x = layers.concatenate(
                [conv(x, first, 1), conv(conv(x, reduce_3x3, 1), conv_3x3, 3), conv(pooled, pool, 1)]
            )
        elif kind == "pool" and len(layer) == 1 and min(x.shape[1:3]) > 1:
            x = layers.MaxPooling2D(2)(x)
        else:
            raise ValueError(
                f'Layer {number} is {repr(layer)[:80]}; it must be ["conv", filters, size], ["inception", conv_1x1, '
                'reduce_3x3, conv_3x3, pool], or, where the maps have more than one pixel, ["pool"]. Numbers of '
                "filters go up to 512, sizes to 7."
            )
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def under_budget(designs, randoms):
    """Train a design's network for a few steps, twice, and look at its accuracy on test images.

    The rate falls to zero: at a constant one, the same design ended anywhere from .79 to .94, by its seed alone.
    """
    from coursekit import runtime

    runtime.load_backend(seed=0)  # in silence, so before whatever imports Keras
    import keras

    from coursekit import cost, data, training

    design = designs[0]
    needed = cost.macs(built(design))
    if needed > MOST:
        raise ValueError(f"The network needs {needed:,} multiplications; {MOST:,} are allowed.")
    digits = data.downsample(data.load("digits"), 2)
    steps = 2 * -(-len(digits.x_train) // 64)
    reached = []
    for seed in randoms[0].integers(2**31, size=2).tolist():
        keras.utils.set_random_seed(seed)
        model = training.compile_classifier(built(design), keras.optimizers.schedules.CosineDecay(1e-2, steps))
        training.fit(
            model, digits.x_train, digits.y_train, epochs=2, batch_size=64, seed=seed, progress=lambda done: None
        )
        reached.append(training.accuracy(model, digits.x_test, digits.y_test))
    accuracy = float(np.mean(reached))
    share = np.clip((accuracy - WORST) / (BEST - WORST), 0, 1)
    sentence = f"{needed:,} multiplications, test accuracy {accuracy:.3f}; {WORST} gives no points, {BEST} all."
    return float(share), sentence


QUESTIONS = (
    Question(
        id="conv-cost",
        function="multiplications",
        title="the multiplications of a convolution",
        points=10,
        inputs=convolution,
        cases=10,
        hint="Every number of the output takes size · size · channels multiplications. How many numbers are there?",
    ),
    Question(
        id="pointwise",
        function="pointwise",
        title="a 1x1 convolution",
        points=10,
        inputs=pointwise,
        hint="At each pixel, the vector of channels is multiplied by one and the same matrix.",
    ),
    Question(
        id="module",
        function="inception_module",
        title="an Inception module",
        points=20,
        inputs=module,
        call=call_module,
        hint="Compare one branch at a time: its channels stand together. Does a ReLU follow every convolution?",
        rtol=1e-3,
        atol=1e-4,
    ),
    Question(
        id="receptive-field",
        function="receptive_field",
        title="the receptive field",
        points=15,
        inputs=stack,
        cases=10,
        hint="Follow the list on paper. How far apart on the image are two neighbors in the input of each layer?",
    ),
    Question(
        id="budget",
        function="widest_bottleneck",
        title="a bottleneck that fits",
        points=20,
        inputs=budget,
        cases=20,
        hint="Check your result: count the multiplications with that number of channels, and with one more.",
    ),
    Question(
        id="last-layers",
        function="parameters_of_the_last_layer",
        title="an average in place of a large layer",
        points=10,
        inputs=head,
        cases=6,
        hint="A dense layer has a weight for each pair of an input and an output, and a bias for each output.",
    ),
    Contest(
        id="two-millions",
        function="design",
        title="two million multiplications",
        points=15,
        inputs=lambda random: {},
        cases=1,
        score=under_budget,
    ),
)
