"""The questions of the exercise on transfer learning."""

import numpy as np

from coursekit.exercises.question import Contest, Question, fitting

FILTERS = (3, 4, 5)
CLASSES = 4
IMAGES = 4


def network(weights):
    """A small trained network: three convolutions with batch norm, an average over all pixels, and a head."""
    import keras
    from keras import layers

    x = inputs = keras.Input((6, 6, 2))
    for number, filters in enumerate(FILTERS, start=1):
        x = layers.Conv2D(filters, 3, padding="same", name=f"conv{number}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"bn{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    model = keras.Model(inputs, layers.Dense(CLASSES, name="head")(x))
    model.set_weights(weights)
    return model


def trained(random):
    """Weights of the network, and images for it."""
    weights, into = [], 2
    for filters in FILTERS:
        weights += [random.normal(size=(3, 3, into, filters)) / 3, random.normal(size=filters)]
        weights += [random.uniform(0.5, 1.5, filters), random.normal(size=filters)]
        weights += [random.normal(size=filters), random.uniform(0.5, 2, filters)]
        into = filters
    weights += [random.normal(size=(into, CLASSES)), random.normal(size=CLASSES)]
    return {"weights": weights, "x": random.normal(size=(IMAGES, 6, 6, 2))}


def features(random):
    names = [f"relu{number}" for number in random.permutation(3)[: random.integers(1, 4)] + 1]
    return {**trained(random), "layer_names": names}


def call_features(answer, weights, x, layer_names):
    return answer(network(weights), layer_names, x)


def fine_tune(random):
    return {**trained(random), "y": random.integers(0, CLASSES, IMAGES), "n": int(random.integers(0, 4))}


def call_fine_tune(answer, weights, x, y, n):
    """The weights after one step of training a model that was frozen before."""
    import keras

    model = network(weights)
    model.trainable = False
    answer(model, n)
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    if model.trainable_weights:  # else Keras only warns
        model.train_on_batch(x, y)
    return {f"{layer.name} {weight.name}": weight for layer in model.layers for weight in layer.weights}


def new_head(random):
    units = int(random.integers(2, 7))
    head = {"kernel": random.normal(size=(FILTERS[-1], units)), "bias": random.normal(size=units)}
    return {**trained(random), "units": units, **head}


def call_new_head(answer, weights, x, units, kernel, bias):
    """What the new model answers once its head has certain weights, and the old model afterwards."""
    old = network(weights)
    new = answer(old, units)
    head = new.layers[-1] if hasattr(new, "layers") else None
    shape = tuple(getattr(head, "kernel", np.empty(())).shape)
    found = {"shape of the last kernel": shape, "new model": None}
    if shape == kernel.shape:
        head.set_weights([kernel, bias])
        found["new model"] = new(x, training=False)
    return found | {"old model": old(x, training=False)}


def adam(random):
    shapes = [tuple(random.integers(1, 4, 2)) for _ in range(random.integers(2, 5))]

    def of_shapes(draw):
        return [draw(shape) for shape in shapes]

    return {
        "weights": of_shapes(lambda shape: random.normal(size=shape)),
        "gradients": of_shapes(lambda shape: random.normal(size=shape)),
        "means": of_shapes(lambda shape: random.normal(size=shape) / 3),
        # Small beside what a gradient adds, so that it shows whether they are moved.
        "squares": of_shapes(lambda shape: 10 ** random.uniform(-6, -3, shape)),
        "step": int(random.integers(1, 20)),
        "rates": [float(rate) for rate in 10 ** random.uniform(-4, -1, len(shapes))],
    }


def few_shot(random):
    y = random.permutation(np.repeat(np.arange(random.integers(3, 7)), random.integers(5, 9)))
    return {"y": y, "labels": int(random.integers(1, 5)), "order": random.permutation(len(y))}


def choose(random):
    rates, seeds = random.integers(3, 6, 2)
    shape = (rates, seeds)
    good = random.uniform(0.5, 0.8, (rates, 1))
    validation = good + random.normal(0, 0.05, shape)
    validation[np.argmax(np.median(validation, axis=1)), 0] -= 0.4  # a run that failed: a median does not see it
    return {
        "validation": validation,
        "test": good + random.normal(0, 0.05, (rates, 1)) + random.normal(0, 0.05, shape),
    }


def clusters(random):
    """Feature vectors of five classes, three with labels each and sixty without, and the labels of those.

    Most of what varies within a class says nothing about it.
    """
    classes, size = 5, 12
    means = random.normal(size=(classes, size))
    mixing = random.normal(size=(size, size)) * np.geomspace(3, 0.2, size)[:, None] / np.sqrt(size)

    def vectors(count):
        labels = np.repeat(np.arange(classes), count)
        return means[labels] + random.normal(size=(len(labels), size)) @ mixing, labels

    (x, y), (others, truth) = vectors(3), vectors(60)
    order = random.permutation(len(others))
    return {"x": x, "y": y, "others": others[order]}, truth[order]


WORST, BEST = 0.72, 0.95


def few_labels(predictions, randoms):
    """Compare predicted classes with the true ones."""
    truths = [clusters(random)[1] for random in randoms]
    accuracy = np.mean([np.mean(predicted == truth) for truth, predicted in fitting(truths, predictions)])
    share = (accuracy - WORST) / (BEST - WORST)
    return float(np.clip(share, 0, 1)), f"The accuracy is {accuracy:.3f}; {WORST} gives no points, {BEST} all."


QUESTIONS = (
    Question(
        id="tap",
        function="features",
        title="features from several layers",
        points=10,
        inputs=features,
        call=call_features,
        cases=12,
        hint="The result is a list with an array for each name, in the order of the names.",
        rtol=1e-3,
        atol=1e-4,
    ),
    Question(
        id="head",
        function="with_new_head",
        title="a new head",
        points=15,
        inputs=new_head,
        call=call_new_head,
        hint="The new layer reads what the old head has read, and returns logits.",
        rtol=1e-3,
        atol=1e-4,
    ),
    Question(
        id="fine-tune",
        function="fine_tune",
        title="fine-tuning that does what it says",
        points=20,
        inputs=fine_tune,
        call=call_fine_tune,
        cases=5,
        hint="Compare all weights before and after a step: which should have moved, and which have?",
        rtol=1e-3,
        atol=1e-4,
    ),
    Question(
        id="layerwise",
        function="adam_step",
        title="a learning rate for every layer, with Adam",
        points=20,
        inputs=adam,
        hint="Compute m and v of one layer first, then its step, and compare each with the formula.",
    ),
    Question(
        id="few-shot",
        function="few_shot",
        title="a small training set",
        points=10,
        inputs=few_shot,
        hint="Go through the images in the given order, and keep those whose class is not full yet.",
    ),
    Question(
        id="choose",
        function="choose",
        title="a learning rate chosen, and what to report",
        points=15,
        inputs=choose,
        cases=20,
        hint="Average over the seeds of each rate first; both arrays have a row for each rate.",
    ),
    Contest(
        id="few-labels",
        function="classify",
        title="the most from few labels",
        points=10,
        inputs=lambda random: clusters(random)[0],
        cases=40,
        score=few_labels,
    ),
)
