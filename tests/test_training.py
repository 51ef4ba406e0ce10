"""Compiling, fitting, restarting and evaluating, on whichever backend runs."""

import itertools

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import at_most
from hypothesis import given
from hypothesis import strategies as st
from keras import layers, ops
from numpy.testing import assert_allclose, assert_array_equal

from coursekit import training

CLASSES = 3


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    for variable in ("COURSEKIT_RESUME", "COURSEKIT_PROFILE", "COURSEKIT_SWEEPS"):
        monkeypatch.delenv(variable, raising=False)


def images(number=12):
    random = np.random.default_rng(0)
    return random.random((number, 4, 4, 1), "float32"), np.arange(number) % CLASSES


def compiled():
    hidden = [layers.Flatten(), layers.Dense(4, use_bias=False), layers.BatchNormalization()]
    model = keras.Sequential([keras.Input((4, 4, 1)), *hidden, layers.Dense(CLASSES)])
    return training.compile_classifier(model, learning_rate=0.05)


@pytest.fixture(scope="module")
def classifier():
    """A compiled classifier and its first weights: one for all tests, because compiling takes longer than fitting."""
    model = compiled()
    return model, model.get_weights()


def fit(classifier, **options):
    """Fit the classifier from its first weights."""
    model, weights = classifier
    training.restart(model, weights)
    return training.fit(model, *images(), **{"epochs": 2, "seed": 0, "batch_size": 4} | options)


def flat(weights):
    return np.concatenate([weight.ravel() for weight in weights])


# Fitting


def test_history(classifier):
    model, _ = classifier
    history = fit(classifier, epochs=3, validation_data=images())
    assert history.keys() == {"loss", "accuracy", "val_loss", "val_accuracy"}
    for numbers in history.values():
        assert (numbers.shape, numbers.dtype) == ((3,), np.float64)
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_accuracy"][-1] == pytest.approx(training.accuracy(model, *images()))


def test_the_seed_decides(classifier):
    model, _ = classifier
    first = fit(classifier, seed=0)["loss"], flat(model.get_weights())
    again = fit(classifier, seed=0)["loss"], flat(model.get_weights())
    other = fit(classifier, seed=1)["loss"], flat(model.get_weights())
    assert_array_equal(first[0], again[0])
    assert_array_equal(first[1], again[1])
    assert np.any(first[0] != other[0]) and np.any(first[1] != other[1])


def test_restart_is_a_freshly_compiled_model(classifier):
    model, weights = classifier
    fit(classifier, epochs=3, seed=5)  # leaves momenta and a step count behind
    history = fit(classifier, epochs=4)
    fresh = compiled()
    fresh.set_weights(weights)
    expected = training.fit(fresh, *images(), epochs=4, seed=0, batch_size=4)
    assert_allclose(history["loss"], expected["loss"], rtol=1e-4)
    assert_allclose(flat(model.get_weights()), flat(fresh.get_weights()), atol=1e-3)


@pytest.mark.parametrize("optimizer", [keras.optimizers.Nadam, keras.optimizers.Adagrad])
def test_restart_of_an_optimizer_that_does_not_start_at_zero(optimizer):
    x = images()[0].reshape(12, -1)
    model = keras.Sequential([keras.Input((16,)), layers.Dense(1)])
    weights = model.get_weights()
    training.compile_regressor(model, optimizer=optimizer(0.05))
    losses = []
    for _ in range(2):
        training.restart(model, weights)
        losses.append(training.fit(model, x, x.sum(1), epochs=4, seed=0, batch_size=12)["loss"])
    assert_allclose(losses[1], losses[0], rtol=1e-4)


def test_restart_refuses_a_model_that_it_does_not_know():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)], name="stranger")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"stranger cannot be restarted; compile it with training\.compile_"):
            training.restart(model, model.get_weights())
        model.compile("adam", "mse")


def test_a_model_that_is_built_by_its_first_fit_restarts():
    model = training.compile_classifier(keras.Sequential([layers.Flatten(), layers.Dense(CLASSES)]), 0.05)
    with pytest.raises(ValueError, match="has no weights to restart from; build it, or fit it once, first"):
        training.restart(model, [])
    keras.utils.set_random_seed(0)
    x, y = images()
    first = training.fit(model, x, y, epochs=0, seed=0), model.get_weights()
    runs = []
    for _ in range(2):
        training.restart(model, first[1])
        runs.append(training.fit(model, x, y, epochs=2, seed=0)["loss"])
    assert_array_equal(*runs)


def test_restart_keeps_the_learning_rate(classifier):
    model, weights = classifier
    training.restart(model, weights)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)


@pytest.mark.parametrize("trained_before", [False, True])
def test_restart_with_another_learning_rate(classifier, trained_before):
    model, weights = classifier
    if trained_before:
        fit(classifier)
    training.restart(model, weights, learning_rate=0.0)
    training.fit(model, *images(), epochs=1, seed=0)
    assert_array_equal(model.layers[1].get_weights()[0], weights[0])
    fit(classifier)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)
    assert np.any(model.layers[1].get_weights()[0] != weights[0])


@pytest.mark.only_on("tensorflow", "jax")  # PyTorch takes one step at a time
@pytest.mark.parametrize(("steps_per_execution", "done"), [(1, [1, 2, 3, 4, 5, 6]), (2, [2, 3, 5, 6]), (25, [3, 6])])
def test_progress_counts_steps_and_ends_with_one(steps_per_execution, done, monkeypatch):
    monkeypatch.setattr(training, "STEPS_PER_EXECUTION", steps_per_execution)
    reported = []
    training.fit(compiled(), *images(), epochs=2, seed=0, batch_size=4, progress=reported.append)
    assert_allclose(reported, np.array(done) / 6)


@pytest.mark.parametrize("steps_per_execution", [1, 2, 25])
def test_steps_at_a_time_change_nothing(steps_per_execution, classifier, monkeypatch):
    expected = fit(classifier, batch_size=5)
    monkeypatch.setattr(training, "STEPS_PER_EXECUTION", steps_per_execution)
    model = compiled()
    model.set_weights(classifier[1])
    history = training.fit(model, *images(), epochs=2, seed=0, batch_size=5)
    assert_allclose(history["loss"], expected["loss"], rtol=1e-5)


@pytest.mark.parametrize("number", [3, 8, 12])
def test_images_per_epoch_decides_the_steps(classifier, number):
    model, weights = classifier
    training.restart(model, weights)
    options = {"epochs": 2, "seed": 0, "batch_size": 4, "images_per_epoch": 12}
    training.fit(model, *images(number), **options)
    assert int(model.optimizer.iterations) == 2 * 12 // 4


@given(number=st.integers(1, 20), images_per_epoch=st.integers(1, 50), seed=st.integers(0, 2**32 - 1))
def test_every_epoch_repeats_the_images_evenly(number, images_per_epoch, seed):
    for rows in itertools.islice(training._orders(number, images_per_epoch, seed), 2):
        assert len(rows) == images_per_epoch
        times = np.bincount(rows, minlength=number)
        assert len(times) == number and times.max() - times.min() <= 1


def test_every_pass_within_an_epoch_has_an_order_of_its_own():
    (rows,) = itertools.islice(training._orders(10, 40, seed=0), 1)
    passes = [tuple(rows[start : start + 10]) for start in range(0, 40, 10)]
    assert len(set(passes)) == 4 and all(sorted(one) == list(range(10)) for one in passes)


def test_images_keep_their_labels():
    """Every label follows from its image, so that the loss of a model that knows how is next to nothing."""
    x = np.random.default_rng(0).normal(size=(50, 1)).astype("float32")
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    training.compile_regressor(model, learning_rate=0.0)
    model.set_weights([np.array([[3.0]]), np.array([1.0])])
    history = training.fit(model, x, 3 * x + 1, epochs=2, seed=0, batch_size=8, images_per_epoch=70)
    assert_allclose(history["loss"], 0, atol=1e-9)


def orders(seed):
    return [tuple(rows) for rows in itertools.islice(training._orders(100, 10, seed), 2)]


def test_the_seed_decides_the_images_of_every_epoch():
    assert orders(seed=0) == orders(seed=0)
    assert len({*orders(seed=0), *orders(seed=1)}) == 4


def test_the_seed_decides_what_dropout_drops():
    hidden = [layers.Dropout(0.5), keras.Sequential([layers.Dropout(0.5), layers.Dense(4)])]
    model = keras.Sequential([keras.Input((16,)), *hidden, layers.Dropout(0.5), layers.Dense(CLASSES)])
    training.compile_classifier(model, learning_rate=0.05)
    weights, (x, y) = model.get_weights(), images()
    states = [variable for variable in model.variables if "seed_generator_state" in variable.path]

    def run(seed):
        training.restart(model, weights)
        loss = training.fit(model, x.reshape(12, 16), y, epochs=2, seed=seed, batch_size=12)["loss"]
        return loss.tolist(), [ops.convert_to_numpy(state).tolist() for state in states]

    assert len(states) == 3
    first, other = run(0), run(1)
    assert first == run(0)
    assert first[0] != other[0]
    own = [tuple(state) for _, of_run in (first, other) for state in of_run]
    assert len(set(own)) == 6


def test_a_named_fit_is_kept_for_an_interrupted_run(classifier, tmp_path, monkeypatch):
    model, _ = classifier
    monkeypatch.setenv("COURSEKIT_RESUME", str(tmp_path))
    assert len(fit(classifier, description="source")["loss"]) == 2
    trained = flat(model.get_weights())
    assert fit(classifier, description="source") == {}
    assert_array_equal(flat(model.get_weights()), trained)
    assert fit(classifier, description="other, longer", epochs=3)["loss"].shape == (3,)
    monkeypatch.delenv("COURSEKIT_RESUME")
    assert len(fit(classifier, description="source")["loss"]) == 2
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith("unfinished")]


@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, 2), (0, 2)])
def test_fit_refuses(x, y):
    with pytest.raises(ValueError, match=f"There are {x} images and {y} labels; training needs as many of both"):
        training.fit(None, np.zeros(x), np.zeros(y), epochs=1, seed=0)


ONE_HOT = np.eye(CLASSES)[images()[1]]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (images()[1] + 1, "The labels go from 1 to 3; a model of 3 classes wants 0 to 2"),
        (images()[1] - 1, "The labels go from -1 to 1; a model of 3 classes wants 0 to 2"),
        (images()[1] + 0.5, "Some labels are fractions; a classifier wants whole numbers"),
        (images()[1] * np.nan, "The labels hold NaN or infinite values; leave those examples out"),
        (ONE_HOT, r"The labels have shape \(12, 3\); a classifier wants one whole number for each image"),
    ],
)
def test_labels_that_are_no_classes_are_refused(classifier, labels, said):
    model, _ = classifier
    x, y = images()
    with pytest.raises(ValueError, match=said):
        training.fit(model, x, labels, epochs=1, seed=0)
    with pytest.raises(ValueError, match=said):
        training.fit(model, x, y, epochs=1, seed=0, validation_data=(x, labels))


@pytest.mark.parametrize("labels", [images()[1].astype("float32"), images()[1].astype("uint8")])
def test_labels_may_be_any_whole_numbers(classifier, labels):
    model, _ = classifier
    expected = fit(classifier)
    training.restart(*classifier)
    history = training.fit(model, images()[0], labels, epochs=2, seed=0, batch_size=4)
    assert_allclose(history["loss"], expected["loss"], rtol=1e-6)


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_images_with_holes_are_refused(classifier, hole):
    model, _ = classifier
    x, y = images()
    x[3, 2, 1] = hole
    with pytest.raises(ValueError, match="The images hold NaN or infinite values; leave those examples out"):
        training.fit(model, x, y, epochs=1, seed=0)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, None])
def test_a_batch_has_images(classifier, batch_size):
    with pytest.raises(ValueError, match=f"batch_size is {batch_size!r}; it must be a whole number from 1"):
        fit(classifier, batch_size=batch_size)


class Events(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(epoch)

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(sorted(logs))

    def on_train_end(self, logs=None):
        self.seen.append("end")


def test_callbacks_see_one_training(classifier):
    events = Events()
    fit(classifier, epochs=2, callbacks=[events])
    assert events.seen == ["begin", 0, ["accuracy", "loss"], 1, ["accuracy", "loss"], "end"]
    assert events.model is classifier[0]


def test_a_callback_may_stop_the_training(classifier):
    # Two epochs without a lower loss, counted over the calls of model.fit that one training takes.
    stop = keras.callbacks.EarlyStopping("loss", min_delta=100.0, patience=2)
    assert len(fit(classifier, epochs=9, callbacks=[stop])["loss"]) == 3
    assert stop.stopped_epoch == 2


def test_a_callback_may_set_the_learning_rate(classifier):
    rates = []
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(float(classifier[0].optimizer.learning_rate))
    )
    fit(classifier, epochs=3, callbacks=[schedule, note])
    assert_allclose(rates, [0.1, 0.05, 0.1 / 3], rtol=1e-6)


def test_no_images_have_no_outputs(classifier):
    assert training.outputs(classifier[0], images()[0][:0]).shape == (0, CLASSES)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (12, 11)])
def test_accuracy_wants_a_label_for_each_image(classifier, x, y):
    with pytest.raises(ValueError, match=rf"There are {x} images and labels of shape \({y},\); accuracy wants one"):
        training.accuracy(classifier[0], images()[0][:x], images()[1][:y])


def test_accuracy_wants_whole_numbers(classifier):
    with pytest.raises(
        ValueError, match=r"There are 12 images and labels of shape \(12, 3\); accuracy wants one whole"
    ):
        training.accuracy(classifier[0], images()[0], ONE_HOT)


def test_a_given_optimizer_and_a_schedule_are_used():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    model = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    assert training.compile_classifier(model, schedule).optimizer._learning_rate is schedule
    sgd = keras.optimizers.SGD()
    assert training.compile_regressor(model, optimizer=sgd).optimizer is sgd


def test_regressor_fits_numbers():
    x = np.random.default_rng(0).normal(size=(16, 2)).astype("float32")
    y = x @ [[1.0], [-2.0]]
    model = training.compile_regressor(keras.Sequential([keras.Input((2,)), layers.Dense(1)]), learning_rate=0.3)
    history = training.fit(model, x, y, epochs=20, seed=0, batch_size=16)
    assert history.keys() == {"loss"}
    assert history["loss"][-1] < 0.1 * history["loss"][0]


@at_most(20)
@given(number=st.integers(1, 12), batch_size=st.integers(1, 13), seed=st.integers(0, 1000))
def test_accuracy_equals_numpy(number, batch_size, seed):
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(number, 2)).astype("float32"), random.integers(0, CLASSES, number)
    weights = random.normal(size=(2, CLASSES)).astype("float32")
    correct = [int(np.argmax(image @ weights)) == label for image, label in zip(x, y, strict=True)]
    accuracy = training.accuracy(lambda x, training: ops.convert_to_tensor(x @ weights), x, y, batch_size)
    assert isinstance(accuracy, float)
    assert accuracy == pytest.approx(sum(correct) / number)


def test_a_model_is_called_on_so_many_examples_that_what_its_layers_answer_stays_small(monkeypatch):
    monkeypatch.setattr(training, "NUMBERS_AT_ONCE", 100)
    block = keras.Sequential([keras.Input((3,)), layers.Dense(20), layers.Dense(3)])
    model = keras.Sequential([keras.Input((3,)), block, layers.Dense(2)])
    x, seen = np.random.default_rng(0).normal(size=(10, 3)).astype("float32"), []

    def watched(images, training):
        seen.append(len(images))
        return model(images)

    def answers(of):
        seen.clear()
        return training.outputs(of, x)

    watched.layers = model.layers  # 20, 3 and 2 numbers an example
    np.testing.assert_allclose(answers(watched), ops.convert_to_numpy(model(x)), rtol=1e-5)
    assert seen == [4, 4, 2]
    watched.layers = [layers.Dense(200_000)]  # larger than all there may be; it has not been called and says nothing
    answers(watched)
    assert seen == [10]
    watched.layers = [keras.Sequential([keras.Input((3,)), layers.Dense(200)])]
    answers(watched)
    assert seen == [1] * 10


def test_rows_of_a_table_are_counted_from_the_top():
    """A series that was shuffled keeps the names of its rows; Keras goes by their places, and so does fit."""
    model = training.compile_regressor(keras.Sequential([keras.Input((1,)), layers.Dense(1)]), learning_rate=0.0)
    model.set_weights([np.array([[1.0]]), np.array([0.0])])
    y = pd.Series(np.arange(6.0), index=[5, 4, 3, 2, 1, 0])
    x = pd.DataFrame({"x": y.to_numpy()}, index=y.index)
    assert_allclose(training.fit(model, x, y, epochs=1, seed=0)["loss"], 0, atol=1e-9)


def test_lists_and_tensors_are_arrays_too(classifier):
    expected, (x, y) = fit(classifier), images()
    for make in (np.ndarray.tolist, ops.convert_to_tensor):
        training.restart(*classifier)
        history = training.fit(classifier[0], make(x), make(y), epochs=2, seed=0, batch_size=4)
        assert_allclose(history["loss"], expected["loss"], rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "y", "validation", "said"),
    [
        (images()[0], None, None, "There are no labels; a classifier wants one whole number for each image"),
        (images()[0], ["cat"] * 12, None, "The labels are no array of real numbers, but list"),
        ((image for image in images()[0]), images()[1], None, "The images are no array of real numbers, but generator"),
        (*images(), (*images(), np.ones(12)), "validation_data is no pair; give images and labels"),
        (*images(), images()[0], "validation_data is no pair; give images and labels"),
    ],
)
def test_what_is_no_array_is_refused(classifier, x, y, validation, said):
    with pytest.raises(ValueError, match=said):
        training.fit(classifier[0], x, y, epochs=1, seed=0, validation_data=validation)


def test_layers_that_were_frozen_since_have_to_be_compiled():
    model = compiled()
    training.fit(model, *images(), epochs=1, seed=0)
    model.layers[1].trainable = False
    with pytest.raises(ValueError, match="were frozen or thawed since it was compiled; compile it again"):
        training.fit(model, *images(), epochs=1, seed=0)
    before = training.compile_classifier(model).layers[1].get_weights()
    training.fit(model, *images(), epochs=1, seed=0)
    assert_array_equal(model.layers[1].get_weights(), before)


def test_no_images_have_no_outputs_behind_a_convolution():
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(2, 3), layers.BatchNormalization()])
    assert training.outputs(model, images()[0][:0]).shape == (0, 2, 2, 2)
    with pytest.raises(ValueError, match="batch_size is -1; it must be a whole number from 1"):
        training.outputs(model, images()[0], batch_size=-1)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["cat"] * 12, "The labels are no array of real numbers"),
        (images()[1] + 1, "The labels go from 1 to 3; a model of 3 classes wants 0 to 2"),
        (images()[1] + 0.5, "Some labels are fractions"),
    ],
)
def test_accuracy_wants_labels_that_are_classes(classifier, labels, said):
    with pytest.raises(ValueError, match=said):
        training.accuracy(classifier[0], images()[0], labels)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": -1}, "epochs is -1; it must be a whole number from 0"),
        ({"epochs": 2.5}, "epochs is 2.5; it must be a whole number from 0"),
        ({"images_per_epoch": 0}, "images_per_epoch is 0; it must be a whole number from 1"),
        ({"seed": 0.5}, "seed is 0.5; it must be a whole number from 0, or a tuple of them"),
        ({"seed": -1}, "seed is -1; it must be a whole number from 0"),
    ],
)
def test_numbers_that_fit_cannot_use_are_refused(classifier, options, said):
    with pytest.raises(ValueError, match=said):
        fit(classifier, **options)


def test_callbacks_may_be_one_or_none(classifier):
    class Counts(keras.callbacks.Callback):
        epochs = 0

        def on_epoch_end(self, epoch, logs=None):
            self.epochs += 1

    counts = Counts()
    fit(classifier, callbacks=counts)
    fit(classifier, callbacks=None)
    assert counts.epochs == 2


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", keras.losses.sparse_categorical_crossentropy])
def test_labels_are_checked_whatever_the_loss_is_called(loss):
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(CLASSES, "softmax")])
    model.compile("sgd", loss)
    with pytest.raises(ValueError, match="The labels go from 0 to 5; a model of 3 classes wants 0 to 2"):
        training.fit(model, images()[0], np.arange(12) % 6, epochs=1, seed=0)


@pytest.mark.parametrize(
    "top",
    [
        lambda: [layers.Dense(3, "softmax", name="top")],
        lambda: [layers.Dense(1, "sigmoid", name="top")],
        lambda: [layers.Dense(3), layers.Softmax(name="top")],
        lambda: [layers.Dense(3), layers.Activation("softmax", dtype="float32", name="top")],
        lambda: [keras.Sequential([keras.Input((4,)), layers.Dense(3, "softmax", name="top")])],
    ],
)
def test_probabilities_are_no_logits(top):
    model = keras.Sequential([keras.Input((4,)), *top()], name="net")
    with pytest.raises(ValueError, match="net ends in probabilities, by top; compile_classifier takes logits"):
        training.compile_classifier(model)


def test_a_class_that_the_loss_ignores_is_no_mistake(classifier):
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(CLASSES)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1))
    x, y = images()
    assert np.isfinite(training.fit(model, x, np.where(y == 1, -1, y), epochs=1, seed=0)["loss"]).all()


def test_labels_in_a_column_are_labels_in_a_row(classifier):
    expected, (x, y) = fit(classifier), images()
    training.restart(*classifier)
    assert_array_equal(
        training.fit(classifier[0], x, y[:, None], epochs=2, seed=0, batch_size=4)["loss"], expected["loss"]
    )


@pytest.mark.parametrize(("units", "shape"), [(1, (12, 3)), (4, (12,))])
def test_a_regression_wants_as_many_numbers_as_it_answers(units, shape):
    model = training.compile_regressor(keras.Sequential([keras.Input((2,)), layers.Dense(units)]))
    with pytest.raises(ValueError, match=r"The labels have shape .*, and the model answers \(images, \.\.\.\)"):
        training.fit(model, np.ones((12, 2)), np.ones(shape), epochs=1, seed=0)
