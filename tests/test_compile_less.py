"""What the tests draw on JAX, to compile less, is what JAX draws."""

import compile_less
import jax
import numpy as np
import pytest


@pytest.mark.parametrize("shape", [(), (1,), (17,), (3, 3, 5, 7), (1000, 3), (0, 2)])
@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize(
    ("draw", "arguments"), [(jax.random.uniform, ()), (jax.random.normal, ()), (jax.random.truncated_normal, (-2, 2))]
)
def test_numbers_cut_from_a_longer_draw_are_the_same(draw, arguments, traced, shape):
    key = jax.random.PRNGKey(3)

    def cut(key):
        return compile_less.of_few_lengths(draw)(key, *arguments, shape=shape)

    drawn = (jax.jit(cut) if traced else cut)(key)
    assert isinstance(drawn, jax.Array) and drawn.shape == shape
    np.testing.assert_array_equal(drawn, draw(key, *arguments, shape=shape))
