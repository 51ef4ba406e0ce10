"""The questions of the exercise on residual networks."""

import numpy as np

from coursekit.checks.question import Contest, Question, fitting, share_of


def unit(random):
    channels = int(random.integers(2, 5))

    def norm():
        draws = random.uniform(0.5, 1.5, (4, channels))  # gamma, beta, mean, variance
        return (draws * [[1], [1], [random.choice([-1, 1])], [1]]).astype("float32")

    def kernel():
        return (random.normal(size=(3, 3, channels, channels)) / 3).astype("float32")

    x = random.normal(size=(2, 5, 5, channels)).astype("float32")
    return {"x": x, "norm_1": norm(), "kernel_1": kernel(), "norm_2": norm(), "kernel_2": kernel()}


def shapes(random):
    kinds = [[4, 4, 1], [4, 8, 1], [3, 6, 2], [1, 6, 1], [8, 4, 2]]
    return {"shapes": [kinds[place] for place in random.permutation(5)], "seed": int(random.integers(2**31))}


def call_unit(answer, shapes, seed):
    """Of units of several channels, filters and strides: the shape and the parameters, and what they make of maps where
    weights of one shape have the same values.
    """
    import keras

    found = []
    for channels, filters, strides in shapes:
        x = keras.Input((6, 6, channels))
        model = keras.Model(x, answer(x, filters, strides))
        for weight in model.weights:
            shape = tuple(weight.shape)
            values_of_shape = np.random.default_rng([seed, *shape]).uniform(0.2, 1, shape)
            weight.assign(values_of_shape * (0.2 if len(shape) > 1 else 1))
        maps = np.random.default_rng(seed).normal(size=(2, 6, 6, channels)).astype("float32")
        found.append([model.output_shape[1:], model.count_params(), model(maps, training=False)])
    return found


def paths(random):
    units = int(random.integers(3, 12))
    return {"units": units, "deleted": int(random.integers(0, units))}


def chain(random):
    units, size = random.integers(2, 6, 2)
    return {
        "matrices": [random.normal(size=(size, size)) for _ in range(units)],
        "gradient": random.normal(size=size),
        "shortcut": bool(random.random() < 0.5),
    }


def stochastic(random):
    batch = int(random.integers(2, 5))
    shape = (batch, *random.integers(2, 4, 2), int(random.integers(1, 4)))
    return {
        "x": random.normal(size=shape),
        "residual": random.normal(size=shape),
        "kept": random.random(batch) < 0.6,
        "drop_rate": random.uniform(0.1, 0.7),
        "training": bool(random.random() < 0.6),
    }


def networks(random):
    """Errors of a shallow and a deep network by seed, such that one of the answers is clearly right."""
    seeds = int(random.integers(3, 8))
    kind = random.integers(4)
    train = {0: 0.15, 1: -0.1, 2: 0.0, 3: -0.1}[int(kind)]
    test = {0: 0.1, 1: 0.1, 2: 0.0, 3: -0.1}[int(kind)]

    def errors(low, high):
        return random.uniform(low, high) + random.normal(0, 0.004, seeds)

    shallow = errors(0.2, 0.3), errors(0.3, 0.4)
    deep = shallow[0] + train + random.normal(0, 0.006, seeds), shallow[1] + test + random.normal(0, 0.006, seeds)
    return {"shallow_train": shallow[0], "shallow_test": shallow[1], "deep_train": deep[0], "deep_test": deep[1]}


def depth_and_width(random):
    return {"units": int(random.integers(1, 60)), "width": int(random.choice([64, 128]))}


# Errors of the power of two that get no points, and all of them.
WORST, BEST = 0.8, 0.12


def growth(scales, seed):
    """Send vectors through residual networks with those scales, and see by what power of two their variance grew."""
    errors = []
    for number, (_, scale) in enumerate(fitting([0.0] * len(scales), scales)):
        random = np.random.default_rng([seed, number])
        sizes = depth_and_width(random)
        x = random.normal(size=(256, sizes["width"]))
        before = x.var()
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(sizes["units"]):
                matrix = random.normal(size=(sizes["width"], sizes["width"])) * np.sqrt(2 / sizes["width"])
                x = x + scale * np.maximum(x, 0) @ matrix
            power = np.log2(x.var() / before)
        errors.append(min(abs(power - 1), 100) if np.isfinite(power) else 100)
    error = np.mean(errors)
    sentence = f"The power of two is off by {error:.2f} on average; {WORST:g} or more gives no points, {BEST:g} all."
    return share_of(error, WORST, BEST), sentence


QUESTIONS = (
    Question(
        id="residual-unit",
        title="a residual unit",
        points=15,
        inputs=unit,
        hint="Norm, ReLU, convolution; the same again; then add what came in.",
        rtol=1e-3,
        atol=1e-4,
    ),
    Question(
        id="projection",
        title="a unit that changes the shape",
        points=20,
        inputs=shapes,
        call=call_unit,
        cases=2,
        hint="Print the shapes on both sides of the addition, also for a single channel.",
        rtol=1e-3,
        atol=1e-4,
    ),
    Question(
        id="paths",
        title="paths by length",
        points=10,
        inputs=paths,
        cases=8,
        hint="A path of length k goes through k of the units: how many choices are there?",
    ),
    Question(
        id="chain",
        title="the gradient on its way down",
        points=15,
        inputs=chain,
        cases=8,
        hint="If y = M x, the gradient with respect to x is the transpose of M times that with respect to y.",
    ),
    Question(
        id="stochastic-depth",
        title="stochastic depth",
        points=15,
        inputs=stochastic,
        cases=8,
        hint="On average over the draws, training should add as much as inference does.",
    ),
    Question(
        id="diagnosis",
        title="degradation or overfitting",
        points=15,
        inputs=networks,
        cases=12,
        hint="Look at the training error first.",
    ),
    Contest(
        id="scale",
        title="a network that starts well at every depth",
        points=10,
        inputs=depth_and_width,
        cases=12,
        score=growth,
    ),
)
