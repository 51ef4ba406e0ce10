"""Compiling, fitting, restarting and evaluating a model: what every experiment of the course does."""

import math
import weakref

import keras
import numpy as np

from coursekit import require
from coursekit.experiments import bar, resume_path
from coursekit.gradients import CustomStep

# A step of a small model is mostly overhead: of Python between two of them, and of handing over work between threads.
STEPS_PER_EXECUTION = 25
# A model that is called directly keeps what each layer answers until the last one has: so much memory, in float32.
NUMBERS_AT_ONCE = 2**24
# The state of every optimizer as it was compiled: not always zero, think of a loss scale or a learning rate.
_optimizer_starts = weakref.WeakKeyDictionary()
# The ids of the weights that every optimizer was built for.
_optimizer_weights = weakref.WeakKeyDictionary()


def compile_classifier(model, learning_rate=1e-3, optimizer=None):
    """Compile a model that returns logits: Adam, cross-entropy with integer labels, accuracy.

    Args:
        model: Keras model.
        learning_rate: float or a ``keras.optimizers.schedules.LearningRateSchedule``, for Adam.
        optimizer: a ``keras.optimizers.Optimizer`` to use instead.

    Returns:
        The model.

    Raises:
        ValueError: for a model that ends in probabilities.

    >>> compile_classifier(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])).loss.name
    'sparse_categorical_crossentropy'
    """
    _require_logits(model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return _compile(model, learning_rate, optimizer, loss, ["accuracy"])


def compile_regressor(model, learning_rate=1e-3, optimizer=None):
    """Compile a model that returns numbers: Adam, mean squared error.

    Args:
        model, learning_rate, optimizer: as for ``compile_classifier``.

    Returns:
        The model.

    >>> compile_regressor(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])).loss.name
    'mean_squared_error'
    """
    return _compile(model, learning_rate, optimizer, keras.losses.MeanSquaredError(), [])


def _require_logits(model):
    last = model
    while getattr(last, "layers", None):
        last = last.layers[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", "")
    if isinstance(last, keras.layers.Softmax) or activation in ("softmax", "sigmoid"):
        raise ValueError(
            f"{model.name} ends in probabilities, by {last.name}; compile_classifier takes logits, so leave that "
            "activation out."
        )


def _compile(model, learning_rate, optimizer, loss, metrics):
    model.compile(optimizer or keras.optimizers.Adam(learning_rate), loss, metrics=metrics, **compile_options())
    _optimizer_starts[model.optimizer] = None  # until it is known
    if model.built:
        remember_start(model)
    return model


def compile_options():
    """What ``keras.Model.compile`` is given so that a small model trains fast, a dict.

    Returns:
        A dict of ``jit_compile`` and ``steps_per_execution``.

    >>> sorted(compile_options())
    ['jit_compile', 'steps_per_execution']
    """
    # On a CPU, TensorFlow's XLA compiles a small model for longer than it trains it. JAX cannot do without.
    jit_compile = False if keras.backend.backend() == "tensorflow" else "auto"
    steps = 1 if keras.backend.backend() == "torch" else STEPS_PER_EXECUTION  # more than one, Keras refuses there
    return {"jit_compile": jit_compile, "steps_per_execution": steps}


def remember_start(model):
    """Keep the state of a compiled model's optimizer, to which ``restart`` goes back.

    Args:
        model: compiled Keras model, built.
    """
    model.optimizer.build(model.trainable_variables)
    _optimizer_weights[model.optimizer] = set(map(id, model.trainable_variables))
    _optimizer_starts[model.optimizer] = [
        keras.ops.convert_to_numpy(variable).copy() for variable in model.optimizer.variables
    ]


def fit(
    model,
    x,
    y=None,
    *,
    epochs,
    seed,
    batch_size=32,
    images_per_epoch=None,
    validation_data=None,
    callbacks=(),
    progress=None,
    description=None,
):
    """Fit a compiled model, with a progress bar where it takes longer than a moment.

    A fit that has a ``description`` keeps its weights where the environment variable ``COURSEKIT_RESUME`` names a
    folder, as ``sweep`` does; the next run loads them and returns an empty history.

    Args:
        model: compiled Keras model.
        x: (images, ...), an array, or what NumPy makes one of: a list, a tensor, a table of pandas.
        y: (images, ...), likewise; or None for a model that learns from images alone.
        epochs: int.
        seed: int, or a tuple of them, decides the order of the images, on every backend alike, and what layers such as
            dropout draw.
        batch_size: int, images a step.
        images_per_epoch: int; every epoch repeats, or cuts, the training set to so many, so that runs on training sets
            of different size take equally many steps. By default as many as there are.
        validation_data: pair of images and labels, measured after every epoch.
        callbacks: list of ``keras.callbacks.Callback``, as for ``model.fit``.
        progress: function called with the fraction done, every so many steps, instead of the bar.
        description: str, the label of the bar.

    Returns:
        The history, a dict from ``"loss"``, ``"accuracy"``, ``"val_loss"`` ... to float64 (epochs,).

    Raises:
        ValueError: where there are no images, or not as many labels, or values among them that the model cannot learn
            from: NaN, labels that are no classes of a classifier, or of another shape than what is to answer them; and
            where layers were frozen or thawed since the
            model was compiled.
    """
    batch_size, epochs = require.whole("batch_size", batch_size), require.whole("epochs", epochs, smallest=0)
    _require_seed(seed)
    x, y = _require_examples(model, x, y)
    images_per_epoch = len(x) if images_per_epoch is None else require.whole("images_per_epoch", images_per_epoch)
    if validation_data is not None:
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
            raise ValueError("validation_data is no pair; give images and labels.")
        validation_data = _require_examples(model, *validation_data)
    kept = resume_path(f"{description}.weights.h5") if description else None
    if kept and kept.is_file():
        model.load_weights(kept)
        return {}
    if not model.built:
        model(x[:1])
    if model.compiled and _optimizer_starts.get(model.optimizer, ()) is None:
        remember_start(model)
    compiled_for = _optimizer_weights.get(model.optimizer) if model.compiled else None
    if compiled_for not in (None, set(map(id, model.trainable_variables))):
        raise ValueError(f"Layers of {model.name} were frozen or thawed since it was compiled; compile it again.")
    _seed_layers(model, seed)
    if isinstance(model, CustomStep):
        model.check_data(x, batch_size, images_per_epoch)
    steps_per_epoch = -(-images_per_epoch // batch_size)
    total = epochs * steps_per_epoch
    history, given = {}, _OneTraining(keras.tree.flatten(callbacks or ()), model=model)
    with bar(total=total, desc=description, unit="step", disable=progress is not None) as shown:
        report = (lambda done: progress(done / total)) if progress else (lambda done: shown.update(done - shown.n))
        for epoch, rows in zip(range(epochs), _orders(len(x), images_per_epoch, seed), strict=False):
            of_epoch = model.fit(
                **_batches(x[rows], None if y is None else y[rows], batch_size),
                initial_epoch=epoch,
                epochs=epoch + 1,
                shuffle=False,
                validation_data=validation_data,
                callbacks=[_Epoch(report, steps_per_epoch, seed), given],
                verbose=0,
            )
            for name, values in of_epoch.history.items():
                history.setdefault(name, []).extend(values)
            if model.stop_training:
                break
    given.end()
    if kept:
        unfinished = kept.with_name(f"unfinished {kept.name}")
        model.save_weights(unfinished)
        unfinished.replace(kept)
    return {name: np.array(values, "float64") for name, values in history.items()}


def _require_examples(model, x, y):
    """Require at least one image, no NaN, and a label for each; those of a classifier have to be its classes.

    Returns both as arrays: rows of a table, for instance, would go by their labels, not by their places.
    """
    x, y = _array("images", x), None if y is None else _array("labels", y)
    if y is None and len(x) == 0:
        raise ValueError("There are no images; training needs at least one.")
    if y is not None and (len(x) == 0 or len(x) != len(y)):
        raise ValueError(
            f"There are {len(x)} images and {len(y)} labels; training needs as many of both, at least one."
        )
    if isinstance(model, CustomStep):
        return x, y  # it looks at its data itself
    for name, values in (("images", x), ("labels", y)):
        if values is not None and values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"The {name} hold NaN or infinite values; leave those examples out.")
    loss, answers = getattr(model, "loss", None), getattr(model, "output_shape", None)
    if _is(loss, "sparse_categorical_crossentropy") and isinstance(answers, tuple):
        if y is None:
            raise ValueError("There are no labels; a classifier wants one whole number for each image.")
        _require_classes(y if getattr(loss, "ignore_class", None) is None else y[y != loss.ignore_class], answers)
        y = y.reshape(len(y)) if y.shape == (len(y), 1) and len(answers) == 2 else y
    if _is(loss, "mean_squared_error") and isinstance(answers, tuple) and y is not None:
        columns = (1,) if y.ndim == 1 else y.shape[1:]
        if None not in answers[1:] and columns != answers[1:]:  # Keras would broadcast one to the other
            raise ValueError(f"The labels have shape {y.shape}, and the model answers (images, ...) {answers[1:]}.")
    return x, y


def _is(loss, name):
    """Whether a loss, an object, a function or a name, is Keras's of such a name."""
    of_keras = keras.losses.get(name)
    return loss in (name, of_keras) or isinstance(loss, _LOSSES[name])


_LOSSES = {
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "mean_squared_error": keras.losses.MeanSquaredError,
}


def _require_seed(seed):
    try:
        np.random.SeedSequence(seed)
    except (TypeError, ValueError):
        raise ValueError(f"seed is {seed!r}; it must be a whole number from 0, or a tuple of them.") from None


def _array(name, values):
    """Values as an array of numbers."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):  # a list of rows of different lengths, for instance
        array = np.asarray(None)
    if array.ndim == 0 or array.dtype.kind in "OSUcMm":
        raise ValueError(f"The {name} are no array of real numbers, but {type(values).__name__}; make one of them.")
    return array


def _require_classes(y, logits):
    """Require integer labels for logits of such a shape."""
    if y.ndim == len(logits) and y.shape[-1] > 1:
        raise ValueError(
            f"The labels have shape {y.shape}; a classifier wants one whole number for each image: argmax(-1) of them."
        )
    if (y != np.round(y)).any():
        raise ValueError("Some labels are fractions; a classifier wants whole numbers.")
    if y.size == 0:
        return
    lowest, highest, classes = y.min(), y.max(), logits[-1]
    if lowest < 0 or highest >= classes:
        raise ValueError(
            f"The labels go from {lowest:g} to {highest:g}; a model of {classes} classes wants 0 to {classes - 1}."
        )


def _orders(images, images_per_epoch, seed):
    """Yield the rows of one epoch after the other: every image equally often, give or take once, each time in an order
    of its own.
    """
    random = np.random.default_rng(seed)
    times = -(-images_per_epoch // images)
    while True:
        yield np.concatenate([random.permutation(images) for _ in range(times)])[:images_per_epoch]


def _batches(x, y, batch_size):
    """Return what ``model.fit`` trains on. For arrays, Keras sets up a ``tf.data`` pipeline that tunes itself in ever
    longer intervals, and at the end waits for the current one: for small models, up to half of the time of the fit.
    """
    if keras.backend.backend() != "tensorflow":
        return {"x": x, "y": y, "batch_size": batch_size}
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    slices = tf.data.Dataset.from_tensor_slices(x if y is None else (x, y))
    return {"x": slices.batch(batch_size).with_options(options)}


def _seed_layers(model, seed):
    """Set what dropout and its like draw next. (Seeding the whole backend instead makes TensorFlow forget what it has
    compiled, which costs a third of a second a run.)
    """
    states = random_states(model)
    for state, own_seed in zip(states, np.random.SeedSequence(seed).generate_state(len(states)), strict=True):
        # As uint32 first: PyTorch keeps the same bits in an int32.
        state.assign(np.array([own_seed, 0], "uint32").astype(state.dtype))


def random_states(model):
    """The variables in which a model's random numbers have got so far, a list.

    Args:
        model: Keras model.

    Returns:
        A list of ``keras.Variable``, one for each seed generator.

    >>> len(random_states(keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5)])))
    1
    """
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]


def outputs(model, x, batch_size=None):
    """What a model answers in inference, batch by batch.

    It calls the model directly: for a few hundred images, ``model.predict`` takes longer to prepare than to compute.

    Args:
        model: Keras model.
        x: (examples, ...).
        batch_size: int, by default at most 500, and so many that what all layers answer takes no more than 64 MB.

    Returns:
        An array (examples, ...), or as many as the model has outputs.

    >>> outputs(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]), np.zeros((5, 4))).shape
    (5, 3)
    """
    batch_size = batch_size or min(500, max(1, NUMBERS_AT_ONCE // max(1, _numbers(model))))
    require.whole("batch_size", batch_size)
    if len(x) == 0:  # the answer is empty and has its shape; on TensorFlow, convolutions have none for no images
        one = outputs(model, np.zeros((1, *np.shape(x)[1:]), np.asarray(x).dtype))
        return keras.tree.map_structure(lambda array: array[:0], one)
    parts = [model(x[start : start + batch_size], training=False) for start in range(0, len(x), batch_size)]
    parts = [keras.tree.map_structure(keras.ops.convert_to_numpy, part) for part in parts]
    return keras.tree.map_structure(lambda *of_parts: np.concatenate(of_parts), *parts)


def _numbers(model):
    """How many numbers the layers of a model answer for one example, all of them together, as far as they tell."""
    if hasattr(model, "layers"):
        return sum(map(_numbers, model.layers))
    answers = keras.tree.flatten(getattr(model, "output", ()))
    return sum(math.prod(size or 1 for size in answer.shape[1:]) for answer in answers)


def accuracy(model, x, y, batch_size=None):
    """Share of images that a model of logits puts into their class, a float.

    Args:
        model: Keras model that answers logits (images, classes).
        x: (images, ...).
        y: whole numbers (images,).
        batch_size: as for ``outputs``.

    Returns:
        A float from 0 to 1.

    Raises:
        ValueError: where there are no images, not one label for each, or labels that are no classes of the model.

    >>> accuracy(keras.Sequential([keras.Input((2,)), keras.layers.Identity()]), np.eye(2), [0, 0])
    0.5
    """
    if len(x) == 0 or len(x) != np.size(y):
        raise ValueError(
            f"There are {len(x)} images and labels of shape {np.shape(y)}; accuracy wants one whole number for each "
            "image, at least one."
        )
    logits, y = outputs(model, x, batch_size), _array("labels", np.reshape(y, -1))
    _require_classes(y, logits.shape)
    return float((logits.argmax(-1) == y).mean())


def restart(model, weights, learning_rate=None):
    """Give a model new weights and make its optimizer forget: a fresh run without compiling again.

    Args:
        model: compiled by ``compile_classifier`` or ``compile_regressor``, or a ``gan.GAN``.
        weights: list of arrays, as ``model.get_weights()`` returns them.
        learning_rate: float, for this run; by default the compiled one. (A GAN has two optimizers; set theirs.)

    Raises:
        ValueError: for any other model, one that is not built yet, or one rate for a model that has several.

    >>> model = compile_regressor(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]))
    >>> restart(model, model.get_weights(), learning_rate=0.5)
    >>> float(model.optimizer.learning_rate)
    0.5
    """
    if getattr(model, "optimizer", None) not in _optimizer_starts:
        raise ValueError(f"{model.name} cannot be restarted; compile it with training.compile_classifier first.")
    if _optimizer_starts[model.optimizer] is None:
        raise ValueError(f"{model.name} has no weights to restart from; build it, or fit it once, first.")
    if learning_rate is not None and isinstance(model.optimizer, keras.optimizers.MultiOptimizer):
        raise ValueError(f"{model.name} has a learning rate for each of its layers; compile it again with others.")
    model.set_weights(weights)
    for variable, start in zip(model.optimizer.variables, _optimizer_starts[model.optimizer], strict=True):
        variable.assign(start)
    if learning_rate is not None:
        model.optimizer.learning_rate = learning_rate


class _OneTraining(keras.callbacks.CallbackList):
    """Callbacks of a training that takes several calls of ``model.fit``: it begins with the first and ends once."""

    begun = False

    def on_train_begin(self, logs=None):
        if not self.begun:
            super().on_train_begin(logs)
        self.begun = True

    def on_train_end(self, logs=None):
        self.logs = logs

    def end(self):
        if self.begun:
            super().on_train_end(self.logs)


class _Epoch(keras.callbacks.Callback):
    """Calls a function with the number of steps done in all epochs so far, and seeds PyTorch's dropout."""

    def __init__(self, function, steps_per_epoch, seed):
        super().__init__()
        self.function, self.steps_per_epoch, self.seed = function, steps_per_epoch, seed

    def on_epoch_begin(self, epoch, logs=None):
        self.before = epoch * self.steps_per_epoch
        if keras.backend.backend() == "torch":  # where dropout draws from the backend's numbers, not from its own seed
            import torch

            numbers = np.random.SeedSequence(keras.tree.flatten([self.seed, epoch]))
            torch.manual_seed(int(numbers.generate_state(1)[0]))

    def on_train_batch_end(self, batch, logs=None):
        # Keras counts from 0, and past the end of an epoch that STEPS_PER_EXECUTION does not divide.
        self.function(self.before + min(batch + 1, self.steps_per_epoch))
