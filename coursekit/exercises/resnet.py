"""The questions of the exercise on residual networks."""

import numpy as np

from coursekit.exercises.question import Contest, Question, fitting, share_of


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
    kinds = [[4, 4, 1], [4, 8, 1], [3, 6, 2], [1, 6, 1], [8, 4, 2], [4, 4, 2]]
    return {"shapes": [kinds[place] for place in random.permutation(6)], "seed": int(random.integers(2**31))}


def call_unit(answer, shapes, seed):
    """Of units of several channels, filters and strides: the shape and the parameters, and what they make of maps where
    weights of one shape have the same values.
    """
    import keras

    found = {}
    for channels, filters, strides in shapes:
        x = keras.Input((6, 6, channels))
        model = keras.Model(x, answer(x, filters, strides))
        for weight in model.weights:
            shape = tuple(weight.shape)
            values_of_shape = np.random.default_rng([seed, *shape]).uniform(0.2, 1, shape)
            weight.assign(values_of_shape * (0.2 if len(shape) > 1 else 1))
        maps = np.random.default_rng(seed).normal(size=(2, 6, 6, channels)).astype("float32")
        found[f"{channels} channels, {filters} filters, strides {strides}"] = {
            "shape": model.output_shape[1:],
            "parameters": model.count_params(),
            "output": model(maps, training=False),
        }
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
    """Errors of a shallow and a deep network by seed. The seeds differ much, and the networks by a known number of
    standard errors: clearly more than four or clearly less, but not always so clearly that any rule would do.
    """
    seeds = int(random.integers(3, 8))

    def pair(low, high):
        shallow, difference = random.uniform(low, high, seeds), random.normal(size=seeds)
        difference -= difference.mean()
        standard_error = difference.std(ddof=1) / np.sqrt(seeds)
        mean = random.choice([-12, -4.5, -3.6, -1, 1, 3.6, 4.5, 12]) * standard_error
        return shallow, shallow + 0.01 * (difference + mean)

    train, test = pair(0.2, 0.4), pair(0.4, 0.6)
    return {"shallow_train": train[0], "shallow_test": test[0], "deep_train": train[1], "deep_test": test[1]}


def depth_and_width(random):
    return {"units": int(random.integers(1, 60)), "width": int(random.choice([64, 128]))}


# Errors of the power of two that get no points, and all of them.
WORST, BEST = 0.8, 0.12


def growth(scales, randoms):
    """Send vectors through residual networks with those scales, and see by what power of two their variance grew."""
    errors = []
    for random, (_, scale) in zip(randoms, fitting([0.0] * len(scales), scales), strict=True):
        sizes = depth_and_width(random)
        x = random.normal(size=(256, sizes["width"]))
        before = x.var()
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(sizes["units"]):
                matrix = random.normal(size=(sizes["width"], sizes["width"])) * np.sqrt(2 / sizes["width"])
                x = x + scale * np.maximum(x, 0) @ matrix
            power = np.log2(x.var() / before)
        errors.append(np.clip(power - 1, -100, 100) if np.isfinite(power) else 100)
    error = np.abs(errors).mean()
    side = "large" if np.mean(errors) > 0 else "small"
    sentence = (
        f"The power of two is off by {error:.2f} on average, too {side} for the most part; {WORST:g} or more gives no "
        f"points, {BEST:g} all."
    )
    return share_of(error, WORST, BEST), sentence


QUESTIONS = (
    Question(
        id="residual-unit",
        function="residual_unit",
        title="a residual unit",
        points=15,
        inputs=unit,
        hint="Print the shape after each step, and compare each step with the text: which array is it, which epsilon?",
        rtol=1e-3,
        atol=1e-4,
    ),
    Question(
        id="projection",
        function="unit",
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
        function="paths",
        title="paths by length",
        points=10,
        inputs=paths,
        cases=8,
        hint="A path of length k goes through k of the units: how many choices are there?",
    ),
    Question(
        id="chain",
        function="gradients",
        title="the gradient on its way down",
        points=15,
        inputs=chain,
        cases=8,
        hint="Write one unit on paper: if y = M x, the gradient with respect to x is Mᵀ times that with respect to y.",
    ),
    Question(
        id="stochastic-depth",
        function="unit_with_stochastic_depth",
        title="stochastic depth",
        points=15,
        inputs=stochastic,
        cases=24,
        hint="Use `kept` as it is given. On average over such draws, training should add as much as inference does.",
    ),
    Question(
        id="diagnosis",
        function="diagnosis",
        title="degradation or overfitting",
        points=15,
        inputs=networks,
        cases=80,
        hint="Take the differences deep - shallow, seed by seed, and write the rule for one of them first.",
    ),
    Contest(
        id="scale",
        function="scale",
        title="a network that starts well at every depth",
        points=10,
        inputs=depth_and_width,
        cases=12,
        score=growth,
    ),
)
