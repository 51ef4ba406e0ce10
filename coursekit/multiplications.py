"""What each kind of layer multiplies: the first half of each rule behind ``cost``.

The functions take a layer, its inputs and its outputs, two lists of ``Traced``, whose shapes have the batch.
"""

import math

from coursekit.receptive_field import spatial


def size(weight):
    """How many numbers a weight has.

    Args:
        weight: what has a shape.

    Returns:
        An int.

    >>> layer = layers.Dense(3)
    >>> layer.build((None, 4))
    >>> size(layer.kernel)
    12
    """
    return math.prod(weight.shape)


def kernels(layer):
    """How many numbers the kernels of a layer have, all together.

    Args:
        layer: built layer; its kernels are the weights whose names end in ``kernel``.

    Returns:
        An int.

    >>> layer = layers.Dense(3)
    >>> layer.build((None, 4))
    >>> kernels(layer)
    12
    """
    return sum(size(weight) for weight in layer.weights if weight.name.endswith("kernel"))


def positions(layer, shape):
    """How many positions a tensor has for a layer: those of height and width, in all examples.

    Args:
        layer: as for ``spatial``.
        shape: of the tensor, with the batch.

    Returns:
        An int.

    >>> positions(layers.Conv2D(8, 3), (2, 5, 5, 8))
    50
    """
    return shape[0] * math.prod(shape[axis] for axis in spatial(layer, len(shape)))


def none(layer, inputs, outputs):
    """No multiplications.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        0.

    >>> none(layers.ReLU(), [], [])
    0
    """
    return 0


def inside(layer, inputs, outputs):
    """Nothing but what the layers multiply that this one calls, which are counted by themselves.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        0.

    >>> inside(layers.ReLU(), [], [])
    0
    """
    return 0


def at_every_output(layer, inputs, outputs):
    """Every weight of the kernels multiplies once at every position of the output.

    Grouped, dilated, separable and depthwise convolutions are no exception: it is their kernels that are smaller.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications.

    >>> layer = layers.Conv2D(8, 3)
    >>> layer.build((1, 9, 9, 4))
    >>> at_every_output(layer, [Traced((1, 9, 9, 4))], [Traced((1, 7, 7, 8))])
    14112
    """
    return positions(layer, outputs[0].shape) * kernels(layer)


def at_every_input(layer, inputs, outputs):
    """A transposed convolution spreads every value of the input over its kernel.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications.

    >>> layer = layers.Conv2DTranspose(8, 2, 2)
    >>> layer.build((1, 4, 4, 3))
    >>> at_every_input(layer, [Traced((1, 4, 4, 3))], [Traced((1, 8, 8, 8))])
    1536
    """
    return positions(layer, inputs[0].shape) * kernels(layer)


def at_every_step(layer, inputs, outputs):
    """The kernels of a recurrent layer multiply once at every step. The gates' products of single values do not count.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications.

    >>> layer = layers.SimpleRNN(3)
    >>> layer.build((1, 5, 4))
    >>> at_every_step(layer, [Traced((1, 5, 4))], [Traced((1, 3))])
    105
    """
    return math.prod(inputs[0].shape[:2]) * kernels(layer.cell)


def einsum(operation, inputs, outputs):
    """The multiplications of ``keras.ops.einsum`` of two tensors.

    Args:
        operation: the operation, which has the equation as ``subscripts``.
        inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications; or None, for another number of tensors or with a constant.

    >>> from types import SimpleNamespace
    >>> einsum(SimpleNamespace(subscripts="ab,bc->ac"), [Traced((2, 3)), Traced((3, 4))], [Traced((2, 4))])
    24
    """
    return _summed(operation.subscripts, [traced.shape for traced in inputs], outputs[0].shape)


def einsum_dense(layer, inputs, outputs):
    """The multiplications of an ``EinsumDense``, whose kernel is the second tensor of its equation.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications.

    >>> layer = layers.EinsumDense("ab,bc->ac", 4)
    >>> layer.build((2, 3))
    >>> einsum_dense(layer, [Traced((2, 3))], [Traced((2, 4))])
    24
    """
    return _summed(layer.equation, [inputs[0].shape, layer.kernel.shape], outputs[0].shape)


def _summed(equation, shapes, answer):
    """Every value of the answer is a sum over the indices that it has not.

    None for a constant, which is none of the inputs, so that its shape is not known; and for more than two tensors,
    whose order the equation leaves open.
    """
    operands, arrow, left = equation.replace(" ", "").partition("->")
    terms = operands.split(",")
    if not len(terms) == len(shapes) == 2:
        return None
    lengths = {}
    for indices, shape in zip(terms, shapes, strict=True):
        before, _, after = indices.partition("...")
        lengths |= zip(before, shape, strict=False)
        lengths |= zip(reversed(after), reversed(shape), strict=False)
    kept = left if arrow else [index for index in lengths if operands.count(index) == 1]
    return math.prod(answer) * math.prod(lengths[index] for index in lengths if index not in kept)


def dot(layer, inputs, outputs):
    """The multiplications of a ``Dot``: every value of the output is a sum along the axis that the layer names.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications.

    >>> dot(layers.Dot(1), [Traced((2, 5)), Traced((2, 5))], [Traced((2, 1))])
    10
    """
    axis = layer.axes if isinstance(layer.axes, int) else layer.axes[0]
    return math.prod(outputs[0].shape) * inputs[0].shape[axis]


def matrices(layer, inputs, outputs):
    """The multiplications of two tensors; a constant is none, and where it stands is not known.

    Args:
        layer, inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications; or None, for other than two tensors.

    >>> matrices(None, [Traced((1, 2, 3)), Traced((1, 3, 4))], [Traced((1, 2, 4))])
    24
    """
    return math.prod(outputs[0].shape) * inputs[0].shape[-1] if len(inputs) == 2 else None


def attention(layer, inputs, outputs):
    """Projections, then every position of the query with every one of the value, to compare and to add up.

    Args:
        layer: a ``MultiHeadAttention``.
        inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications; or None, for a query of another rank than (batch, positions, features).

    >>> layer = layers.MultiHeadAttention(num_heads=2, key_dim=4)
    >>> layer.build((1, 3, 8), (1, 5, 8))
    >>> attention(layer, [Traced((1, 3, 8)), Traced((1, 5, 8))], [Traced((1, 3, 8))])
    1264
    """
    if len(inputs[0].shape) != 3:
        return None
    (batch, queries, _), (_, values, _) = inputs[0].shape, inputs[1].shape
    key, value = layer.key_dense.kernel, layer.value_dense.kernel
    of_values = size(key) + size(value)
    projections = queries * (kernels(layer) - of_values) + values * of_values
    return batch * (projections + queries * values * layer.num_heads * (key.shape[-1] + value.shape[-1]))


def scores(layer, inputs, outputs):
    """Every position of the query with every one of the value, to compare and to add up.

    There are no projections, and a score of ``"concat"`` adds instead of multiplying.

    Args:
        layer: an ``Attention``.
        inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications.

    >>> scores(layers.Attention(), [Traced((1, 3, 4)), Traced((1, 5, 4))], [Traced((1, 3, 4))])
    120
    """
    return _attended(inputs, compared=layer.score_mode == "dot")


def additive_scores(layer, inputs, outputs):
    """As ``scores``; to compare, a vector of weights multiplies each sum of a query and a key.

    Args:
        layer: an ``AdditiveAttention``.
        inputs, outputs: as for ``Rule``.

    Returns:
        An int, multiplications.

    >>> additive_scores(layers.AdditiveAttention(), [Traced((1, 3, 4)), Traced((1, 5, 4))], [Traced((1, 3, 4))])
    120
    """
    return _attended(inputs, compared=layer.use_scale)


def _attended(inputs, compared):
    (*batch, queries, width), (*_, values, depth) = inputs[0].shape, inputs[1].shape
    return math.prod(batch) * queries * values * (width * compared + depth)
