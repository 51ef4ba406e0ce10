"""The questions of the exercise on generative adversarial networks."""

import numpy as np

from coursekit.exercises.question import Contest, Question, fitting, share_of

LATENT, PIXELS, HIDDEN = 3, 5, 4


def logits(random):
    size = random.choice([2, 2000])  # those of a discriminator that is very sure are large
    real, fake = random.integers(3, 8, 2)
    return {"real": size * random.normal(size=real), "fake": size * random.normal(size=fake)}


def weights_of_a_pair(random):
    def dense(into, out):
        return [random.normal(size=(into, out)), random.normal(size=out)]

    return {
        "generator": dense(LATENT, HIDDEN) + dense(HIDDEN, PIXELS),
        "discriminator": dense(PIXELS, HIDDEN) + dense(HIDDEN, 1),
        "noise": random.normal(size=(int(random.integers(3, 8)), LATENT)),
    }


def call_step(answer, generator, discriminator, noise):
    """All weights after a step of the generator, and whether the discriminator may learn afterwards."""
    import keras
    from keras import layers

    def network(inputs, outputs, weights):
        model = keras.Sequential(
            [keras.Input((inputs,)), layers.Dense(HIDDEN, activation="tanh"), layers.Dense(outputs)]
        )
        model.set_weights(weights)
        return model

    pair = network(LATENT, PIXELS, generator), network(PIXELS, 1, discriminator)
    answer(*pair, noise)
    learns = len(pair[1].trainable_weights) == len(discriminator)
    return {"generator": pair[0].weights, "discriminator": pair[1].weights, "discriminator learns": learns}


def upsample(random):
    length, into, out, size = random.integers(2, 6, 4)
    kernel = random.normal(size=(size, into, out))
    return {"x": random.normal(size=(length, into)), "kernel": kernel, "strides": int(random.integers(1, 4))}


def variety(random):
    num_classes = int(random.integers(4, 12))
    shares = random.dirichlet(np.full(num_classes, 0.4))
    # Of 203 images a tenth of the even share is never a whole number: no rounding decides whether a class counts.
    return {"classes": random.choice(num_classes, 203, p=shares), "num_classes": num_classes}


def feature_pair(random):
    size = random.integers(1, 6)
    one, other = random.integers(5, 20, 2)
    scale, shift = random.uniform(0.5, 2, size), random.normal(size=size)
    return {"features": random.normal(size=(one, size)), "others": shift + scale * random.normal(size=(other, size))}


def points(random):
    """Draws from a mixture of normal distributions, noise, and as many draws from the same mixture to compare with."""
    kinds = random.integers(2, 5)
    means, widths = random.normal(0, 3, kinds), random.uniform(0.2, 0.8, kinds)
    shares = random.dirichlet(np.full(kinds, 3.0))

    def draw(count):
        kind = random.choice(kinds, count, p=shares)
        return random.normal(means[kind], widths[kind])

    return {"examples": draw(200), "noise": random.normal(size=500)}, draw(5000)


# Mean distances between quantiles that get no points, and all of them.
WORST, BEST = 0.5, 0.2


def sampler(made, randoms):
    """Compare what a generator made of noise, growing with it, with the distribution that its examples came from."""
    levels = np.linspace(0.005, 0.995, 100)
    distances = []
    for number, (random, (_, one)) in enumerate(
        zip(randoms, fitting([np.zeros(500)] * len(made), made), strict=True), 1
    ):
        arguments, true = points(random)
        if (np.diff(one[np.argsort(arguments["noise"])]) < 0).any():
            raise ValueError(f"In case {number}, a larger noise number gives a smaller number.")
        distances.append(np.abs(np.quantile(one, levels) - np.quantile(true, levels)).mean())
    distance = np.mean(distances)
    return share_of(
        distance, WORST, BEST
    ), f"The distance is {distance:.3f}; {WORST} or more gives no points, {BEST} all."


QUESTIONS = (
    Question(
        id="gan-losses",
        function="losses",
        title="the losses of both networks",
        points=15,
        inputs=logits,
        cases=16,
        hint="Compute the three means one by one, and look at the signs. np.logaddexp(0, x) is log(1 + exp(x)).",
    ),
    Question(
        id="gan-noise",
        function="uniform_noise",
        title="noise of variance 1",
        points=10,
        inputs=lambda random: {"u": random.random((4, 3))},
        hint="Which interval around 0 has variance 1? A uniform distribution of width b has variance b² / 12.",
    ),
    Question(
        id="gan-step",
        function="generator_step",
        title="a step that moves the generator alone",
        points=20,
        inputs=weights_of_a_pair,
        call=call_step,
        hint="Compare the weights of both networks before and after.",
        rtol=1e-3,
    ),
    Question(
        id="gan-upsample",
        function="transposed_convolution",
        title="a transposed convolution",
        points=15,
        inputs=upsample,
        cases=6,
        hint="Each input puts a copy of the kernel, scaled, into the output; where copies overlap, they add up.",
    ),
    Question(
        id="gan-variety",
        function="variety",
        title="mode collapse, measured",
        points=15,
        inputs=variety,
        cases=20,
        hint="Print the share of each class. For the entropy, all that occur count; np.bincount counts them.",
    ),
    Question(
        id="gan-frechet",
        function="frechet_distance",
        title="a distance between distributions",
        points=15,
        inputs=feature_pair,
        hint="Each feature adds two squares: of the difference of the means, and of that of the standard deviations.",
    ),
    Contest(
        id="gan-sampler",
        function="generate",
        title="a generator without a discriminator",
        points=10,
        inputs=lambda random: points(random)[0],
        cases=80,
        score=sampler,
    ),
)
