"""Fitting, repeating over seeds, and gradients: what every experiment of the course does."""

import itertools
import json
import math
import os
import pathlib
import weakref

import keras
import numpy as np
from scipy import special
from tqdm.auto import tqdm

from coursekit import records, require, runtime

# A step of a small model is mostly overhead: of Python between two of them, and of handing over work between threads.
STEPS_PER_EXECUTION = 25
# A model that is called directly keeps what each layer answers until the last one has: so much memory, in float32.
NUMBERS_AT_ONCE = 2**24
# The state of every optimizer as it was compiled: not always zero, think of a loss scale or a learning rate.
_optimizer_starts = weakref.WeakKeyDictionary()


def compile_classifier(model, learning_rate=1e-3, optimizer=None):
    """Compile a model that returns logits: Adam, cross-entropy with integer labels, accuracy.

    learning_rate: float or a ``keras.optimizers.schedules.LearningRateSchedule``, for Adam. optimizer: a
    ``keras.optimizers.Optimizer`` to use instead. Returns the model.
    """
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return _compile(model, learning_rate, optimizer, loss, ["accuracy"])


def compile_regressor(model, learning_rate=1e-3, optimizer=None):
    """Compile a model that returns numbers: Adam, mean squared error. Otherwise as ``compile_classifier``."""
    return _compile(model, learning_rate, optimizer, keras.losses.MeanSquaredError(), [])


def _compile(model, learning_rate, optimizer, loss, metrics):
    model.compile(optimizer or keras.optimizers.Adam(learning_rate), loss, metrics=metrics, **compile_options())
    if model.built:
        remember_start(model)
    return model


def compile_options():
    """What ``keras.Model.compile`` is given so that a small model trains fast, a dict."""
    # On a CPU, TensorFlow's XLA compiles a small model for longer than it trains it. JAX cannot do without.
    jit_compile = False if keras.backend.backend() == "tensorflow" else "auto"
    return {"jit_compile": jit_compile, "steps_per_execution": STEPS_PER_EXECUTION}


def remember_start(model):
    """Keep the state of a compiled model's optimizer, to which ``restart`` goes back."""
    model.optimizer.build(model.trainable_variables)
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

    x: (images, ...). y: (images, ...), or None for a model that learns from images alone. seed: int, or a tuple of
    them, decides the order of the images, on every backend alike, and what layers such as dropout draw.
    images_per_epoch: int; every epoch repeats, or cuts, the training set to so many, so that runs on training sets of
    different size take equally many steps.
    validation_data: pair of images and labels, measured after every epoch. callbacks: list of
    ``keras.callbacks.Callback``, as for ``model.fit``.
    progress: function called with the fraction done, every so many steps, instead of the bar.
    description: the label of the bar. A fit that has one keeps its weights where ``COURSEKIT_RESUME`` names a folder,
    as ``sweep`` does; the next run loads them and returns an empty history.
    Returns the history, a dict from ``"loss"``, ``"accuracy"``, ``"val_loss"`` ... to float64 (epochs,).
    Raises ValueError where there are no images, or not as many labels, or values among them that the model cannot learn
    from: NaN, or labels that are no classes of a classifier.
    """
    require.whole("batch_size", batch_size)
    _require_examples(model, x, y)
    if validation_data is not None:
        _require_examples(model, *validation_data)
    kept = resume_path(f"{description}.weights.h5") if description else None
    if kept and kept.is_file():
        model.load_weights(kept)
        return {}
    _seed_layers(model, seed)
    images_per_epoch = images_per_epoch or len(x)
    if isinstance(model, CustomStep):
        model.check_data(x, batch_size, images_per_epoch)
    steps_per_epoch = -(-images_per_epoch // batch_size)
    total = epochs * steps_per_epoch
    history, given = {}, _OneTraining(list(callbacks), model=model)
    with bar(total=total, desc=description, unit="step", disable=progress is not None) as shown:
        report = (lambda done: progress(done / total)) if progress else (lambda done: shown.update(done - shown.n))
        for epoch, rows in zip(range(epochs), _orders(len(x), images_per_epoch, seed), strict=False):
            of_epoch = model.fit(
                **_batches(x[rows], None if y is None else y[rows], batch_size),
                initial_epoch=epoch,
                epochs=epoch + 1,
                shuffle=False,
                validation_data=validation_data,
                callbacks=[_Progress(report, steps_per_epoch), given],
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
    """Require at least one image, no NaN, and a label for each; those of a classifier have to be its classes."""
    if y is None and len(x) == 0:
        raise ValueError("There are no images; training needs at least one.")
    if y is not None and (len(x) == 0 or len(x) != len(y)):
        raise ValueError(
            f"There are {len(x)} images and {len(y)} labels; training needs as many of both, at least one."
        )
    if isinstance(model, CustomStep):
        return  # it looks at its data itself
    for name, values in (("images", np.asarray(x)), ("labels", np.asarray(y))):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"The {name} hold NaN or infinite values; leave those examples out.")
    loss, logits = getattr(model, "loss", None), getattr(model, "output_shape", None)
    if isinstance(loss, keras.losses.SparseCategoricalCrossentropy) and isinstance(logits, tuple):
        _require_classes(np.asarray(y), logits)


def _require_classes(y, logits):
    """Require integer labels for logits of such a shape."""
    if y.ndim == len(logits) and y.shape[-1] > 1:
        raise ValueError(
            f"The labels have shape {y.shape}; a classifier wants one whole number for each image: argmax(-1) of them."
        )
    if (y != np.round(y)).any():
        raise ValueError("Some labels are fractions; a classifier wants whole numbers.")
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
    """The variables in which a model's random numbers have got so far, a list."""
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]


def outputs(model, x, batch_size=None):
    """What a model answers in inference, batch by batch: an array (examples, ...), or as many as it has outputs.

    It calls the model directly: for a few hundred images, ``model.predict`` takes longer to prepare than to compute.
    batch_size: int, by default at most 500, and so many that what all layers answer takes no more than 64 MB.
    """
    batch_size = batch_size or min(500, max(1, NUMBERS_AT_ONCE // max(1, _numbers(model))))
    starts = range(0, max(1, len(x)), batch_size)  # where there are no examples, the answer is empty and has its shape
    parts = [model(x[start : start + batch_size], training=False) for start in starts]
    parts = [keras.tree.map_structure(keras.ops.convert_to_numpy, part) for part in parts]
    return keras.tree.map_structure(lambda *of_parts: np.concatenate(of_parts), *parts)


def _numbers(model):
    """How many numbers the layers of a model answer for one example, all of them together, as far as they tell."""
    if hasattr(model, "layers"):
        return sum(map(_numbers, model.layers))
    answers = keras.tree.flatten(getattr(model, "output", ()))
    return sum(math.prod(size or 1 for size in answer.shape[1:]) for answer in answers)


def accuracy(model, x, y, batch_size=None):
    """Share of images that a model of logits puts into their class, a float. batch_size: as for ``outputs``.

    Raises ValueError where there are no images, or not one label for each.
    """
    if len(x) == 0 or len(x) != np.size(y):
        raise ValueError(
            f"There are {len(x)} images and labels of shape {np.shape(y)}; accuracy wants one whole number for each "
            "image, at least one."
        )
    predicted = outputs(model, x, batch_size).argmax(-1)
    return float((predicted == np.reshape(y, -1)).mean())


def restart(model, weights, learning_rate=None):
    """Give a model new weights and make its optimizer forget: a fresh run without compiling again.

    model: compiled by ``compile_classifier`` or ``compile_regressor``, or a ``gan.GAN``; ValueError for any other.
    weights: list of arrays, as ``model.get_weights()`` returns them. learning_rate: float, for this run; by default the
    compiled one. (A GAN has two optimizers; set theirs.)
    """
    if getattr(model, "optimizer", None) not in _optimizer_starts:
        raise ValueError(f"{model.name} cannot be restarted; compile it with training.compile_classifier first.")
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


class _Progress(keras.callbacks.Callback):
    """Calls a function with the number of steps done in all epochs so far."""

    def __init__(self, function, steps_per_epoch):
        super().__init__()
        self.function, self.steps_per_epoch = function, steps_per_epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.before = epoch * self.steps_per_epoch

    def on_train_batch_end(self, batch, logs=None):
        # Keras counts from 0, and past the end of an epoch that STEPS_PER_EXECUTION does not divide.
        self.function(self.before + min(batch + 1, self.steps_per_epoch))


def bar(iterable=None, disable=False, **options):
    """A ``tqdm`` bar, silent where notebooks are executed without anybody watching."""
    unwatched = "PYTEST_VERSION" in os.environ or "COURSEKIT_RECORD" in os.environ
    return tqdm(iterable, leave=False, delay=2, disable=disable or unwatched, **options)


def sweep(run, *choices, seeds, name):
    """Run an experiment for every combination of choices and every seed, with a progress bar.

    run: function of one value from each of ``choices``, then ``seed=``, to a dict of numbers. choices: iterables.
    Returns a dict from the combination (a tuple, or the value itself where there is one iterable) to a dict from the
    number's name to float64 (seeds,). Raises ValueError where a number's name is no string.

    Where the environment variable ``COURSEKIT_RESUME`` names a folder, every result is kept there as it comes, and an
    interrupted sweep of that ``name`` goes on where it stopped. Empty the folder whenever code or settings change.

    >>> sweep(lambda n, seed: {"square": n**2 + seed}, (2, 3), seeds=range(3), name="squares")[3]["square"]
    array([ 9., 10., 11.])
    """
    kept = _Results(name)
    results = {}
    jobs = list(itertools.product(*choices, seeds))
    for *combination, seed in bar(jobs, desc=name, unit="run"):
        numbers = kept.get([*combination, seed], lambda: run(*combination, seed=seed))  # noqa: B023 (called at once)
        key = combination[0] if len(choices) == 1 else tuple(combination)
        results.setdefault(key, []).append(numbers)
    return {
        key: {number: np.array([one[number] for one in of_seeds], "float64") for number in of_seeds[0]}
        for key, of_seeds in results.items()
    }


def recorded_sweep(run, *choices, seeds, name, again):
    """A sweep that takes too long for every replay: read from the record ``name``, but for a few runs made again.

    run, choices, seeds: as for ``sweep``, and so is what returns. again: a list of combinations, each as it is a key of
    the result. Their runs with the first seed are made again and take the place of the recorded ones. Prints one line,
    and another for every number that is further from the recorded mean than chance allows.
    Where ``COURSEKIT_SWEEPS`` is set, the whole sweep runs, as it has to for whoever changes the experiment, and
    ``make notebooks`` records it.
    Raises ValueError where the record lacks a combination or has other seeds.
    """
    if os.environ.get("COURSEKIT_SWEEPS"):
        results = sweep(run, *choices, seeds=seeds, name=name)
        kept = [[repr(key), numbers] for key, numbers in results.items()]
        records.write(name, {"seeds": list(seeds), "results": kept})
    else:
        results = _recorded(name, choices, seeds, again)
    drifts = []
    for key in again:
        numbers = run(*(key if len(choices) > 1 else [key]), seed=seeds[0])
        if numbers.keys() != results[key].keys():
            raise ValueError(
                f"The record of {name} has other numbers than a run; set COURSEKIT_SWEEPS=1 to make all runs."
            )
        for number, value in numbers.items():
            recorded = results[key][number]
            # Where every seed takes another course on another processor, a run made again is a new draw: it may be as
            # far from a few others as chance allows once in 10,000 numbers.
            deviations = special.stdtrit(len(recorded) - 1, 1 - 0.5e-4) * np.sqrt(1 + 1 / len(recorded))
            width = deviations * recorded.std(ddof=1)
            if not abs(value - recorded.mean()) <= max(width, 1e-3 * abs(recorded.mean())):  # NaN, too
                drifts.append(
                    f"{name}, {key}, {number}: {value:.3g} now, {recorded.mean():.3g} ± {width:.2g} on record."
                )
            recorded[0] = value
    total = len(results) * len(seeds)
    print(f"recorded · {total} runs, of which {len(again)} were made again")
    for drift in drifts:
        print(f"drifted · {drift}")
    return results


def _recorded(name, choices, seeds, again):
    record = records.read(name) or {"seeds": list(seeds), "results": []}
    by_key = dict(record["results"])
    wanted = list(itertools.product(*choices)) if len(choices) > 1 else list(choices[0])
    missing = [key for key in (*wanted, *again) if repr(key) not in by_key]
    if missing or record["seeds"] != list(seeds):
        lacks = f"{missing[0]!r}" if missing else f"seeds {list(seeds)}"
        raise ValueError(
            f"The record of {name} lacks {lacks}; set COURSEKIT_SWEEPS=1 to make all runs, which takes long."
        )
    return {
        key: {number: np.array(values, "float64") for number, values in by_key[repr(key)].items()} for key in wanted
    }


class _Results:
    """Results of a sweep by key; on disk too, one JSON line each, where ``COURSEKIT_RESUME`` says so."""

    def __init__(self, name):
        self.path = resume_path(f"{name}.jsonl")
        text = self.path.read_text("utf-8") if self.path and self.path.is_file() else ""
        whole = text[: text.rfind("\n") + 1]  # whoever was interrupted in the middle of a line runs that one again
        if whole != text:
            self.path.write_text(whole, "utf-8")
        self.results = {json.dumps(key): value for key, value in map(json.loads, whole.splitlines())}

    def get(self, key, compute):
        name = json.dumps(key, default=lambda number: number.item())
        if name not in self.results:
            numbers = compute()
            if not all(isinstance(number, str) for number in numbers):
                # JSON has no other names: an interrupted sweep would go on with different ones.
                raise ValueError(f"A run of a sweep returns the names {[*numbers]}; make all of them strings.")
            self.results[name] = numbers
            if self.path:
                line = json.dumps([key, self.results[name]], default=lambda number: number.item())
                with open(self.path, "a", encoding="utf-8") as file:
                    file.write(line + "\n")
        return self.results[name]


def resume_path(file_name):
    """Path of a file that an interrupted run leaves behind for the next, or None where nothing is to be kept."""
    folder = os.environ.get("COURSEKIT_RESUME")
    if not folder:
        return None
    path = pathlib.Path(folder, runtime.profile(), file_name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def value_and_grad(function, variables, *, keep=(), read=()):
    """Differentiate a scalar with respect to variables, on whichever backend runs. The variables stay as they are.

    function: callable without arguments that computes a scalar tensor from the variables, or a pair of it and further
    tensors. variables: list of ``keras.Variable``. keep: variables to which the function's assignments are kept, the
    moving averages of batch norm for instance; all others are dropped. read: inside a ``CustomStep``, all variables of
    the model, which on JAX are not to be had otherwise.
    Returns what the function returns and the list of gradients, backend tensors; None for a variable that the scalar
    does not depend on becomes zeros. Raises ValueError where the function returns no scalar.

    >>> x = keras.Variable([1.0, 2.0])
    >>> value, (gradient,) = value_and_grad(lambda: keras.ops.sum(x**2), [x])
    >>> keras.ops.convert_to_numpy(gradient).tolist()
    [2.0, 4.0]
    """
    constants = [(variable, keras.ops.convert_to_tensor(variable.value)) for variable in (*read, *keep)]

    def stateless(values):
        # Later entries replace earlier ones: the differentiated variables are among those to read.
        with keras.StatelessScope(state_mapping=[*constants, *zip(variables, values, strict=True)]) as scope:
            result = function()
        scalar = result[0] if isinstance(result, tuple) else result
        if scalar.shape != ():
            shape = tuple(scalar.shape)
            raise ValueError(f"The function returns shape {shape}; a gradient needs a scalar: average it.")
        return scalar, (result, [scope.get_current_value(variable) for variable in keep])

    values = [keras.ops.convert_to_tensor(variable.value) for variable in variables]
    result, kept, gradients = _differentiate(stateless, values)
    for variable, value in zip(keep, kept, strict=True):
        variable.assign(value)
    return result, gradients


def _differentiate(stateless, values):
    """Return what the function returns beside its scalar, two things, and the gradients of the scalar."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(values)
            scalar, rest = stateless(values)
        gradients = tape.gradient(scalar, values, unconnected_gradients="zero")
        return *rest, [tf.convert_to_tensor(gradient) for gradient in gradients]
    if backend == "jax":
        import jax

        (_, rest), gradients = jax.value_and_grad(stateless, has_aux=True)(values)
        return *rest, gradients
    import torch

    values = [value.detach().requires_grad_() for value in values]
    scalar, (result, kept) = stateless(values)
    gradients = torch.autograd.grad(scalar, values, allow_unused=True)
    result, kept = keras.tree.map_structure(lambda tensor: tensor.detach(), (result, kept))
    return result, kept, [torch.zeros_like(v) if g is None else g for v, g in zip(values, gradients, strict=True)]


class CustomStep:
    """Mixin for a ``keras.Model`` whose training step is more than one loss and one optimizer, on every backend alike.

    The subclass writes ``step(data)``: it assigns to its variables, and returns a dict of numbers to show. ``fit`` and
    ``train_on_batch`` call it through ``train_step``, which on JAX turns the assignments into values that it returns.
    It also writes ``check_data(x, batch_size, examples)``, which raises ValueError for data that it cannot learn from.
    """

    def train_step(self, *arguments):
        if keras.backend.backend() != "jax":
            return self.step(*arguments)
        values, batch = arguments
        groups = (
            self.trainable_variables,
            self.non_trainable_variables,
            self.optimizer.variables,
            self.metrics_variables,
        )
        mapping = zip(itertools.chain(*groups), itertools.chain(*values), strict=True)
        with keras.StatelessScope(state_mapping=list(mapping)) as scope:
            logs = self.step(batch)
        return logs, tuple([scope.get_current_value(variable) for variable in group] for group in groups)
