"""Gradients: batch norm in training mode against central differences in float64, and what assignments leave behind."""

import keras
import numpy as np
import pytest
from conftest import at_most
from hypothesis import given
from hypothesis import strategies as st
from keras import layers, ops
from numpy.testing import assert_allclose, assert_array_equal

from coursekit.gradients import value_and_grad

BATCH, INPUTS, UNITS, EPSILON = 6, 3, 2, 1e-3


def flat(weights):
    return np.concatenate([weight.ravel() for weight in weights])


def normalized_loss(x, targets, kernel, gamma, beta):
    z = x @ kernel
    normalized = (z - z.mean(0)) / np.sqrt(z.var(0) + EPSILON)
    return np.mean((gamma * normalized + beta - targets) ** 2)


def central_differences(function, values, step=1e-5):
    gradients = []
    for index, value in enumerate(values):
        gradient = np.zeros_like(value)
        for position in np.ndindex(value.shape):
            shift = np.zeros_like(value)
            shift[position] = step
            above, below = ([*values[:index], value + s, *values[index + 1 :]] for s in (shift, -shift))
            gradient[position] = (function(*above) - function(*below)) / (2 * step)
        gradients.append(gradient)
    return gradients


@at_most(10)
@given(seed=st.integers(0, 2**32 - 1))
def test_gradients_through_batch_norm(seed):
    random = np.random.default_rng(seed)
    shapes = [(BATCH, INPUTS), (BATCH, UNITS), (INPUTS, UNITS), (UNITS,), (UNITS,)]
    x, targets, *values = [random.normal(size=shape).astype("float32").astype("float64") for shape in shapes]
    dense = layers.Dense(UNITS, use_bias=False)
    norm = layers.BatchNormalization(momentum=0.5, epsilon=EPSILON)
    model = keras.Sequential([keras.Input((INPUTS,)), dense, norm])
    variables = [dense.kernel, norm.gamma, norm.beta]
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    before = flat(model.get_weights())

    def loss():
        errors = ops.subtract(model(x.astype("float32"), training=True), targets.astype("float32"))
        return ops.mean(errors**2)

    value, gradients = value_and_grad(loss, variables)
    assert float(value) == pytest.approx(normalized_loss(x, targets, *values), rel=1e-4)
    expected = central_differences(lambda *values: normalized_loss(x, targets, *values), values)
    for gradient, wanted in zip(gradients, expected, strict=True):
        # float32 on one side; batch norm divides by the spread of a few numbers, which can be small
        assert_allclose(ops.convert_to_numpy(gradient), wanted, rtol=2e-3, atol=2e-3 * max(1, np.abs(wanted).max()))
    assert_array_equal(flat(model.get_weights()), before)  # moving statistics included


def test_a_variable_without_influence_has_no_gradient():
    used, unused = keras.Variable([1.0, 2.0]), keras.Variable([[3.0]])
    _, (gradient, zeros) = value_and_grad(lambda: ops.sum(used**3), [used, unused])
    assert_allclose(ops.convert_to_numpy(gradient), [3, 12])
    assert_array_equal(ops.convert_to_numpy(zeros), [[0]])


def test_what_the_function_assigns_is_dropped():
    variable, counter = keras.Variable(2.0), keras.Variable(0.0, trainable=False)

    def function():
        counter.assign_add(1.0)
        return variable * 3.0

    _, (gradient,) = value_and_grad(function, [variable])
    assert (float(gradient), float(counter), float(variable)) == (3, 0, 2)


def test_what_is_to_be_kept_is_kept():
    variable, counter, other = (keras.Variable(value, trainable=value == 2) for value in (2.0, 0.0, 0.0))

    def function():
        counter.assign_add(1.0)
        other.assign_add(1.0)
        return variable * 3.0, counter + 5.0

    (value, extra), (gradient,) = value_and_grad(function, [variable], keep=[counter])
    assert (float(value), float(extra), float(gradient)) == (6, 6, 3)
    assert (float(counter), float(other), float(variable)) == (1, 0, 2)


def test_a_gradient_needs_a_scalar():
    variable = keras.Variable([1.0, 2.0])
    with pytest.raises(ValueError, match=r"The function returns shape \(2,\); a gradient needs a scalar: average it\."):
        value_and_grad(lambda: variable * 2, [variable])


def test_a_gradient_needs_a_tensor():
    with pytest.raises(
        ValueError, match=r"The function returns 3\.0; a gradient needs a tensor computed from variables"
    ):
        value_and_grad(lambda: 3.0, [keras.Variable(1.0)])


def test_variables_are_a_list():
    variable = keras.Variable([1.0, 2.0])
    for options in ({"variables": variable}, {"variables": [variable], "keep": variable}):
        with pytest.raises(ValueError, match="is a Variable; give a list of variables"):
            value_and_grad(lambda: ops.sum(variable), **options)


def test_a_whole_number_has_no_gradient():
    variable = keras.Variable([1.0, 2.0])
    with pytest.raises(ValueError, match=r"The function returns .*int32.*, which has no gradient; compute a float"):
        value_and_grad(lambda: ops.cast(ops.sum(variable), "int32"), [variable])


def test_a_variable_has_one_gradient():
    variable = keras.Variable([1.0, 2.0])
    with pytest.raises(ValueError, match="A variable is named twice"):
        value_and_grad(lambda: ops.sum(variable), [variable, variable])
