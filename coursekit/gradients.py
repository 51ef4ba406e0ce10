"""Gradients and training steps, alike on every backend, with a branch for each of them."""

import itertools

import keras


def value_and_grad(function, variables, *, keep=(), read=()):
    """Differentiate a scalar with respect to variables, on whichever backend runs. The variables stay as they are.

    Args:
        function: callable without arguments that computes a scalar tensor from the variables, or a pair of it and
            further tensors.
        variables: list of ``keras.Variable``.
        keep: variables to which the function's assignments are kept, the moving averages of batch norm for instance;
            all others are dropped.
        read: inside a ``CustomStep``, all variables of the model, which on JAX are not to be had otherwise.

    Returns:
        What the function returns and the list of gradients, backend tensors. None for a variable that the scalar does
        not depend on becomes zeros.

    Raises:
        ValueError: where the function returns no scalar, the scalar is a whole number, or variables are no list or
            named twice.

    >>> x = keras.Variable([1.0, 2.0])
    >>> value, (gradient,) = value_and_grad(lambda: keras.ops.sum(x**2), [x])
    >>> keras.ops.convert_to_numpy(gradient).tolist()
    [2.0, 4.0]
    """
    for name, some in (("variables", variables), ("keep", keep), ("read", read)):
        if not isinstance(some, (list, tuple)):  # JAX would go through a single variable for ever
            raise ValueError(f"{name} is a {type(some).__name__}; give a list of variables.")
    if len({id(variable) for variable in variables}) != len(variables):
        raise ValueError("A variable is named twice; its gradient would be shared between the two.")
    constants = [(variable, keras.ops.convert_to_tensor(variable.value)) for variable in (*read, *keep)]

    def stateless(values):
        # Later entries replace earlier ones: the differentiated variables are among those to read.
        with keras.StatelessScope(state_mapping=[*constants, *zip(variables, values, strict=True)]) as scope:
            result = function()
        scalar = result[0] if isinstance(result, tuple) else result
        if not keras.ops.is_tensor(scalar):
            raise ValueError(f"The function returns {scalar!r}; a gradient needs a tensor computed from variables.")
        if scalar.shape != ():
            shape = tuple(scalar.shape)
            raise ValueError(f"The function returns shape {shape}; a gradient needs a scalar: average it.")
        if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(scalar.dtype)):
            raise ValueError(f"The function returns {scalar.dtype}, which has no gradient; compute a float.")
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
        """What Keras calls for every batch.

        Args:
            arguments: the batch; on JAX, the values of all variables before it.

        Returns:
            What ``step`` returns; on JAX, also the values of all variables.
        """
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
