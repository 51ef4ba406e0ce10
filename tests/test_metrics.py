"""Measures of generated images: against SciPy's, a loop in float64, and digits that are known."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from coursekit import data, metrics


def images(count, shape=(8, 8, 1), seed=0):
    return np.random.default_rng(seed).random((count, *shape)).astype("float32")


@given(st.integers(0, 1000), st.integers(1, 8), st.integers(2, 40), st.floats(0.01, 100))
def test_frechet_distance_is_the_formula_with_scipys_square_root(seed, dimensions, examples, scale):
    random = np.random.default_rng(seed)
    one, other = (
        scale * random.normal(size=(examples, dimensions)) @ random.normal(size=(dimensions,) * 2) for _ in "ab"
    )
    covariances = [np.atleast_2d(np.cov(part, rowvar=False)) for part in (one, other)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = ((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(sum(covariances) - 2 * root)
    size = np.trace(sum(covariances))
    # SciPy's root of a product of singular matrices is good to half of the digits only.
    assert_allclose(metrics.frechet_distance(one, other), expected, rtol=1e-6, atol=1e-5 * size)
    assert metrics.frechet_distance(one, other) == pytest.approx(metrics.frechet_distance(other, one), abs=1e-6 * size)
    assert metrics.frechet_distance(one, one) == pytest.approx(0, abs=1e-6 * size)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [(((9, 2), (9, 3)), "both need"), (((9,), (9,)), "both need"), (((1, 2), (9, 2)), "at least two examples")],
)
def test_frechet_distance_refuses_in_one_sentence(shapes, message):
    with pytest.raises(ValueError, match=message):
        metrics.frechet_distance(*map(np.ones, shapes))


def test_coverage_of_one_class_and_of_all():
    assert metrics.class_coverage([3] * 50) == (1, 0.0)
    assert metrics.class_coverage(np.arange(1000) % 10) == (10, pytest.approx(np.log2(10)))
    rare = [0] * 995 + [1] * 5  # half a percent is less than a tenth of a tenth
    assert metrics.class_coverage(rare)[0] == 1
    assert metrics.class_coverage([0] * 990 + [1] * 10)[0] == 2


def brute_force(some, known):
    """Index and distance of the nearest, the first of equals, in float64."""
    some, known = (np.reshape(part, (len(part), -1)).astype("float64") for part in (some, known))
    squares = [((image - known) ** 2).mean(1) for image in some]
    return [row.argmin() for row in squares], [np.sqrt(row.min()) for row in squares]


@given(
    st.integers(0, 1000),
    *[st.integers(1, 6)] * 2,
    st.sampled_from([0, 1, 1e3, -1e6]),
    st.sampled_from([1e-30, 1e-7, 1, 255, 1e22]),
    st.sampled_from(["float32", "float64", "uint8"]),
)
def test_nearest_is_the_loop_in_float64_and_finds_every_copy(seed, count, known, offset, scale, dtype):
    with np.errstate(invalid="ignore"):  # uint8 of anything
        training_images = (offset + scale * images(known, (3, 2, 1), seed)).astype(dtype)
        fresh = (offset + scale * images(count, (3, 2, 1), seed + 1)).astype(dtype)
    some = np.concatenate([fresh, training_images])
    index, distance = metrics.nearest_neighbors(some, training_images)
    expected = brute_force(some, training_images)
    assert_array_equal(index, expected[0])
    assert_array_equal(distance, expected[1])
    assert_array_equal(distance[count:], 0)
    assert (index.dtype, distance.dtype) == ("int64", "float64")


def test_nearest_is_the_loop_for_many_that_float32_cannot_tell_apart():
    known = 1 + 1e-9 * images(2500, (2, 1, 1))[..., :1].astype("float64")
    some = known[[2400, 1700, 3]]
    index, distance = metrics.nearest_neighbors(some, known)
    assert_array_equal(index, [2400, 1700, 3])
    assert_array_equal(distance, 0)


def test_nearest_leaves_few_to_look_at_twice():
    digits = data.load("digits").x_train
    flat = digits.reshape(len(digits), -1)
    assert max(map(len, metrics._near(flat[:200] + np.float32(0.1), flat))) < 10


def test_nearest_finds_what_was_copied():
    digits = data.load("digits").x_train
    index, distance = metrics.nearest_neighbors(digits[[5, 77, 3999]], digits)
    assert index.tolist() == [5, 77, 3999]
    assert_array_equal(distance, 0)


@pytest.mark.parametrize("name", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_classifying_does_not_hang_on_the_policy(policy, name):
    some = images(5, (28, 28, 1))
    expected = metrics.classify(some, "digits")
    metrics._shared_classifier.cache_clear()
    policy(name)
    for _ in range(2):
        features, classes = metrics.classify(some, "digits")
        assert (features.dtype, classes.dtype) == ("float32", "int64")
        assert_array_equal(features, expected[0])
        assert_array_equal(classes, expected[1])
        policy("float32")


def test_nobody_changes_the_classifier_of_others():
    expected, _ = metrics.classify(images(2, (28, 28, 1)), "digits")
    mine = metrics.classifier("digits")
    mine.set_weights([0 * weights for weights in mine.get_weights()])
    assert_array_equal(metrics.classify(images(2, (28, 28, 1)), "digits")[0], expected)
    assert np.abs(metrics.classifier("digits").get_weights()[0]).max() > 0


def test_the_classifier_of_digits_knows_digits():
    digits = data.load("digits")
    features, classes = metrics.classify(digits.x_test, "digits")
    assert features.shape == (1000, 64)
    assert np.mean(classes == digits.y_test) > 0.985
    others, _ = metrics.classify(digits.x_train[::4], "digits")
    noise, _ = metrics.classify(np.random.default_rng(0).random((1000, 28, 28, 1)), "digits")
    assert metrics.frechet_distance(others, features) < 2
    assert metrics.frechet_distance(noise, features) > 50


@pytest.mark.parametrize("name", sorted(metrics.CLASSIFIERS))
def test_every_classifier_is_the_recorded_file(name):
    features, answers = metrics.classifier(name)(np.zeros((2, *data.IMAGE_SHAPES[name]), "float32"))
    assert (features.shape, answers.shape) == ((2, 64), (2, 10))


def test_an_unknown_classifier_is_refused():
    with pytest.raises(ValueError, match="name is 'cats'; it must be one of 'digits', 'cifar10'"):
        metrics.classifier("cats")


def digits_of(dtype, value):
    return np.full((2, 28, 28, 1), value, dtype)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.class_coverage([]), "classes must be numbers from 0 to 9, at least one"),
        (lambda: metrics.class_coverage([10]), "classes must be numbers from 0 to 9, at least one"),
        (lambda: metrics.nearest_neighbors(images(2), images(2, (4, 8, 2))), "they must be of one kind"),
        (lambda: metrics.frechet_distance(np.full((3, 2), np.nan), np.ones((3, 2))), "a value that is not finite"),
        (lambda: metrics.class_coverage(np.zeros(0, int)), "classes must be numbers from 0 to 9, at least one"),
        (lambda: metrics.class_coverage([0.5]), "classes must be numbers from 0 to 9, at least one"),
        (lambda: metrics.class_coverage([[1]]), "classes must be numbers from 0 to 9, at least one"),
        (lambda: metrics.class_coverage([0], 0), "num_classes is 0; it must be a whole number from 1"),
        (
            lambda: metrics.nearest_neighbors(images(2)[:0], images(2)),
            "There are no images: their shape is (0, 8, 8, 1)",
        ),
        (lambda: metrics.nearest_neighbors(images(2), images(2)[:0]), "There are no training images"),
        (
            lambda: metrics.nearest_neighbors(np.nan * images(8), images(2)),
            "The images hold a value that is not finite",
        ),
        (
            lambda: metrics.nearest_neighbors(images(2), np.inf * images(8)),
            "The training images hold a value that is not finite",
        ),
        (
            lambda: metrics.nearest_neighbors(np.ones((8, 8, 8, 1), "uint8"), images(2)),
            "The images are uint8, the training images float",
        ),
        (lambda: metrics.frechet_distance(np.ones((3, 0)), np.ones((3, 0))), "both need (examples, n)"),
        (
            lambda: metrics.classify(images(8), "digits"),
            "The images have shape (8, 8, 8, 1); the classifier of digits takes",
        ),
        (
            lambda: metrics.classify(digits_of("uint8", 255), "digits"),
            "The images lie in [255, 255], but the classifier knows",
        ),
        (
            lambda: metrics.classify(digits_of("float32", np.nan), "digits"),
            "The images hold a value that is not finite",
        ),
        (
            lambda: metrics.classify(digits_of("float32", -1), "digits"),
            "The images lie in [-1, -1], but the classifier knows",
        ),
    ],
)
def test_what_cannot_work_gets_one_sentence(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_none_and_one_are_numbers_too():
    ones = np.ones((2, 28, 28, 1), "uint8")
    features, classes = metrics.classify(ones[:0], "digits")
    assert (features.shape, classes.shape) == ((0, 64), (0,))
    assert (features.dtype, classes.dtype) == ("float32", "int64")
    assert_array_equal(metrics.classify(ones, "digits")[0], metrics.classify(ones.astype("float32"), "digits")[0])
    assert metrics.nearest_neighbors(images(1), images(1))[0].tolist() == [0]
