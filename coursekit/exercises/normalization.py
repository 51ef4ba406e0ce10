"""The questions of the exercise on normalization."""

import numpy as np

from coursekit.exercises.question import Contest, Question, fitting, share_of


def maps(random, channels=None):
    """Feature maps (batch, height, width, channels) of another shape each time, with another mean in each channel."""
    shape = (*random.integers(2, 6, 3), channels or random.integers(2, 6))
    return random.normal(random.normal(0, 2, shape[-1]), random.uniform(0.5, 3, shape[-1]), shape)


def of_channels(random, channels):
    return {
        "gamma": random.uniform(0.5, 2, channels),
        "beta": random.normal(size=channels),
        "mean": random.normal(size=channels),
        "variance": random.uniform(0.2, 3, channels),
    }


def bn_forward(random):
    x = maps(random)
    rest = {"momentum": random.uniform(0.6, 0.95), "epsilon": 10 ** random.uniform(-3, -1)}
    return {"x": x, **of_channels(random, x.shape[-1]), **rest}


def bn_fold(random):
    size, into, out = random.choice([1, 3, 5]), *random.integers(2, 6, 2)
    convolution = {"kernel": random.normal(size=(size, size, into, out)), "bias": random.normal(size=out)}
    return {**convolution, **of_channels(random, out), "epsilon": 10 ** random.uniform(-3, -1)}


def lrn(random):
    x = maps(random, channels=random.integers(4, 12))
    numbers = {"bias": random.uniform(1, 3), "alpha": random.uniform(0.01, 0.5), "beta": random.uniform(0.4, 1)}
    return {"x": x, "radius": int(random.integers(1, 4)), **numbers}


def batches(random):
    images = int(random.integers(9, 20))
    x, y = random.random((images, 2, 2, 1)), random.integers(0, 10, images)
    return {"x": x, "y": y, "order": random.permutation(images), "batch_size": int(random.integers(3, 6))}


def verdict(random):
    seeds = int(random.integers(3, 7))
    before = random.uniform(0.6, 0.9, seeds)
    difference = random.normal(size=seeds)
    difference -= difference.mean()
    # In standard errors: clearly more than the margin, clearly less, and on both sides of zero.
    mean = random.choice([-8, -4.5, -3.5, -1, 1, 3.5, 4.5, 8])
    difference += mean * difference.std(ddof=1) / np.sqrt(seeds)
    return {"before": before, "after": before + 0.02 * difference}


def drift(random):
    """Means of a network's batches while it learns: an array (steps, channels), and the true ones in the end."""
    steps, channels = random.integers(250, 400), random.integers(4, 9)
    start, end = random.normal(0, 3, (2, channels))
    pace = random.uniform(60, 250, channels)
    true = end + (start - end) * np.exp(-np.arange(steps)[:, None] / pace)
    return true + random.normal(0, random.uniform(0.3, 1), true.shape), true[-1]


# Root mean squared errors that get no points, and all of them.
WORST, BEST = 0.2, 0.105


def last_mean(estimates, randoms):
    """Compare estimates with the true means in the end."""
    truths = [drift(random)[1] for random in randoms]
    error = np.sqrt(np.mean([np.mean((one - true) ** 2) for true, one in fitting(truths, estimates)]))
    return share_of(error, WORST, BEST), f"The error is {error:.3f}; {WORST} or more gives no points, {BEST} all."


QUESTIONS = (
    Question(
        id="bn-statistics",
        function="channel_statistics",
        title="mean and variance of every channel",
        points=10,
        inputs=lambda random: {"x": maps(random)},
        hint="Batch norm of a convolution has one mean for each channel: over all images and all pixels.",
    ),
    Question(
        id="bn-training",
        function="batch_norm",
        title="batch norm in training",
        points=20,
        inputs=bn_forward,
        hint="Compare your steps with the formulas above, one after the other.",
    ),
    Question(
        id="bn-fold",
        function="fold",
        title="a batch norm folded into the convolution before it",
        points=15,
        inputs=bn_fold,
        hint="Write the convolution, then batch norm in inference, and collect what multiplies the input.",
    ),
    Question(
        id="lrn",
        function="local_response_normalization",
        title="local response normalization",
        points=15,
        inputs=lrn,
        hint="Write one channel with its neighbors on paper; at the edge there are fewer of them.",
    ),
    Question(
        id="epoch-batches",
        function="epoch_batches",
        title="the batches of an epoch",
        points=15,
        inputs=batches,
        hint="Which images are in the first batch, and which labels?",
    ),
    Question(
        id="verdict",
        function="verdict",
        title="a verdict from several seeds",
        points=15,
        inputs=verdict,
        cases=60,
        hint="Take the differences seed by seed, their mean, and its standard error: std(ddof=1) over the root of n.",
    ),
    Contest(
        id="last-mean",
        function="last_means",
        title="better averages",
        points=10,
        inputs=lambda random: {"means": drift(random)[0]},
        cases=60,
        score=last_mean,
    ),
)
