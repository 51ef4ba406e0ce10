"""What makes the tests fast on JAX, where XLA's compiling takes most of the time: less of it, to the same numbers."""

import math
import os
import tempfile

import numpy as np

# Numbers that take longer to draw than to compile for.
LONGEST = 2**20

# What was compiled once is read the next time, by another network of the same shapes and by processes that tests start.
COMPILED = tempfile.TemporaryDirectory(prefix="compiled-", ignore_cleanup_errors=True)


def begin():
    # Here and in processes that tests start. What XLA optimizes is not what is tested.
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    import jax

    for name in ("uniform", "normal", "truncated_normal"):
        setattr(jax.random, name, of_few_lengths(getattr(jax.random, name)))


def of_few_lengths(draw):
    """A generator of JAX that cuts every shape from one of few lengths, instead of being compiled for each.

    What it draws at a place depends on the key and the place alone, so that the numbers stay the same.
    """
    import jax

    def drawn(key, *arguments, shape=(), **options):
        size = math.prod(shape)
        if size > LONGEST:
            return draw(key, *arguments, shape=shape, **options)
        longer = draw(key, *arguments, shape=(1 << size.bit_length(),), **options)
        kept = longer if isinstance(longer, jax.core.Tracer) else np.asarray(longer)
        return jax.numpy.asarray(kept[:size].reshape(shape))

    return drawn
