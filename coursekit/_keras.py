"""What the package takes from Keras beyond what Keras promises: to be looked at when a new Keras breaks something."""

import contextlib
import functools
import inspect
import threading


def comes_from(thing, part=""):
    """Whether the class of a layer or an operation is Keras's own, and in that part of it, "ops" for instance."""
    return f"{type(thing).__module__}.".startswith(f"keras.src.{part}".rstrip(".") + ".")


def is_functional(layer):
    """Whether a layer is a model that does nothing but call its layers."""
    return type(layer).call.__module__.startswith("keras.src.models")


def origin(tensor):
    """The layer or operation that a symbolic tensor comes from."""
    return tensor._keras_history.operation


def parents(operation):
    """Those from which a layer or operation took its inputs when it was first called; none where it is in no graph."""
    return [parent.operation for node in operation._inbound_nodes[:1] for parent in node.parent_nodes]


def calls(operation):
    """The calls of a layer or operation in the graphs that it is in, a list of nodes."""
    return list(operation._inbound_nodes)


def all_layers(layer):
    """A layer, and all that are inside of it at any depth."""
    return list(layer._flatten_layers())


def assign_optimizers(optimizer, function):
    """Let a ``MultiOptimizer`` ask a function for the optimizer of each variable."""
    optimizer._optimizer_map = function


@functools.cache
def applications():
    """The functions of ``keras.applications`` that make a network, by their names."""
    import keras  # not for what needs no network, and it takes seconds

    functions = inspect.getmembers(keras.applications, inspect.isfunction)
    return {name: make for name, make in functions if "include_top" in inspect.signature(make).parameters}


def preprocess_input(network):
    """The function that stands beside a network of ``keras.applications`` and prepares its pixels, from 0 to 255."""
    return inspect.getmodule(applications()[network]).preprocess_input


@contextlib.contextmanager
def followed(cls, follow):
    """Call ``follow(original, self, ...)`` in place of the ``__call__`` of a class, for which Keras has no hooks.

    Only in this thread: others call layers as ever.
    """
    original, thread = cls.__call__, threading.get_ident()

    def call(self, *args, **kwargs):
        here = threading.get_ident() == thread
        return follow(original, self, *args, **kwargs) if here else original(self, *args, **kwargs)

    cls.__call__ = call
    try:
        yield
    finally:
        cls.__call__ = original
