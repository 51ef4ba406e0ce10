"""What a network costs: multiplications, parameters and memory, layer by layer, of any Keras model.

Counted are the multiplications of one example's forward pass in which a weight or two activations meet: convolutions,
dense and recurrent layers, attention. This is what papers call multiply-adds, and half of what profilers call FLOPs.
Where a filter reaches over the edge of the image, multiplications with the zeros there count, as in papers. Biases,
activations, normalization, pooling and other work on single values do not count.
"""

import dataclasses
import functools
import html
import inspect
import io
import math
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
from keras import layers, ops

from coursekit import _keras, multiplications, receptive_field, require
from coursekit.cost_rules import CONTAINERS, RULES, Rule, activated, find, register
from coursekit.multiplications import inside
from coursekit.receptive_field import WHOLE, Span, Traced

__all__ = [
    "CONTAINERS",
    "RULES",
    "WHOLE",
    "Row",
    "Rule",
    "Summary",
    "Traced",
    "inside",
    "macs",
    "parameters",
    "register",
    "summary",
    "undrawn",
]

_COLUMNS = ("layer", "type", "output shape", "multiplications (MACs)", "parameters", "activations", "receptive field")


def macs(model, input_shape=None):
    """How many multiplications a model needs for one example, an int.

    Warns of a layer with code of its own around other layers, whose multiplications are not seen.

    Args:
        model, input_shape: as for ``summary``.

    Returns:
        An int, the MACs.

    Raises:
        ValueError: as ``summary`` does, and for a layer that has no rule; ``register`` gives it one.

    >>> macs(keras.Sequential([keras.Input((28, 28, 192)), layers.Conv2D(32, 5, padding="same")]))
    120422400
    """
    counted = summary(model, input_shape)
    if counted.unknown:
        raise ValueError(
            f"{model.name} has layers that cost does not know: {', '.join(counted.unknown)}; cost.summary counts the "
            "others, and cost.register teaches it one."
        )
    for note in counted.notes:
        warnings.warn(note, stacklevel=2)
    return counted.macs


def parameters(model):
    """How many numbers a built model has as weights, an int; weights that layers share count once.

    Args:
        model: built Keras model or layer.

    Returns:
        An int.

    Raises:
        ValueError: for what is no Keras model, or not built.

    >>> parameters(keras.Sequential([keras.Input((28, 28, 192)), layers.Conv2D(32, 5)]))
    153632
    """
    _require_built(model)
    return sum(map(multiplications.size, model.weights))


def summary(model, input_shape=None):
    """Count a model layer by layer: multiplications, parameters, output shape, memory, receptive field.

    The model is followed through one symbolic call in inference: nothing is computed and no weight changes.

    Args:
        model: functional, sequential, nested, or subclassed and built.
        input_shape: without the batch, (height, width, channels) for instance, or a list or dict of shapes; only for a
            model that does not say it.

    Returns:
        A ``Summary``.

    Raises:
        ValueError: for what is no Keras model, whose input has no known shape, or which cannot be called on it, and for
            a rule that fails.

    >>> bottleneck = [layers.Conv2D(16, 1), layers.Conv2D(32, 5, padding="same")]
    >>> model = keras.Sequential([keras.Input((28, 28, 192)), *bottleneck])
    >>> [row.macs for row in summary(model).rows]
    [2408448, 10035200]
    """
    _require_built(model)
    trace, inputs = _Trace(model), _inputs(model, input_shape)
    try:
        trace.compute_output_spec(inputs)
    except Exception as error:
        if trace.broken_rule:
            raise ValueError(f"The rule that cost has for {trace.broken_rule} fails.") from error
        shapes = ", ".join(str(tuple(tensor.shape)[1:]) for tensor in keras.tree.flatten(inputs))
        raise ValueError(f"{model.name} cannot be called on one example of shape {shapes}.") from error
    return Summary(model.name, (*trace.rows, *trace.rows_of_the_rest()), tuple(trace.containers))


def undrawn(build):
    """Make a function that builds models leave out drawing their weights: what is only counted needs none.

    AlexNet takes a hundredth of the time and none of its 250 MB. Such a model has shapes and counts; it is not for
    computing.

    Args:
        build: function to models.

    Returns:
        A function of the same arguments.

    >>> parameters(undrawn(keras.applications.VGG16)(weights=None))
    138357544
    """

    # A StatelessScope puts the drawing off, to the end of the next one that is not told to leave it. Keras keeps what
    # it has put off by thread, so that in a thread of its own it comes to no end, and is forgotten.
    def in_scope(*arguments, **options):
        with keras.StatelessScope(initialize_variables=False):
            return build(*arguments, **options)

    @functools.wraps(build)
    def in_thread(*arguments, **options):
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(in_scope, *arguments, **options).result()

    return in_thread


@dataclasses.dataclass(frozen=True)
class Row:
    """One call of one layer.

    A layer that is called again has a row each time, with its parameters in the first.

    Args:
        layer: str, its name, after those of the layers around it, with slashes in between.
        type: str, the name of its class; ``"not called"`` or ``"not seen"`` for weights that no call has used.
        output_shape: without the batch; a list of shapes where there are several outputs.
        macs: int, multiplications; None for a layer that is not known.
        parameters: int.
        activation_bytes: int, of the output for one example, which training keeps for the backward pass; what a layer
            keeps inside, such as the scores of an attention, is not in it.
        receptive_field: along each axis of the input, how many pixels lie from the first to the last on which the
            values at one place depend, far from the borders; the most that there are, where places differ, as in an
            enlarged image; ``WHOLE``; or None where that is not known.
    """

    layer: str
    type: str
    output_shape: tuple
    macs: int | None
    parameters: int
    activation_bytes: int
    receptive_field: tuple | None


@dataclasses.dataclass(frozen=True)
class Summary:
    """What ``summary`` returns: rows and totals.

    It shows as a table in a notebook and in a terminal.

    Args:
        model: str, its name.
        rows: tuple of ``Row``, in the order of the calls.
        containers: tuple of str, types of layers with own code around other layers; what that code multiplies by itself
            is not seen.
    """

    model: str
    rows: tuple
    containers: tuple

    @property
    def macs(self):
        """Of all layers that are known, for one example, an int."""
        return sum(row.macs or 0 for row in self.rows)

    @property
    def parameters(self):
        """Of all layers, an int."""
        return sum(row.parameters for row in self.rows)

    @property
    def activation_bytes(self):
        """Of all outputs together, for one example, an int."""
        return sum(row.activation_bytes for row in self.rows)

    @property
    def unknown(self):
        """The layers that have no rule, a list of str; ``register`` gives them one."""
        return [f"{row.layer} ({row.type})" for row in self.rows if row.macs is None]

    def to_dataframe(self):
        """The rows as a ``pandas.DataFrame``, a column for each field of ``Row``."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=[field.name for field in dataclasses.fields(Row)])

    def _repr_html_(self):
        caption = f"<caption>Cost of {html.escape(self.model)}, one example</caption>"
        head = f"<thead>{_html_row('th', _COLUMNS)}</thead>"
        body = "".join(_html_row("td", cells) for cells in self._cells())
        table = f'<table class="dataframe">{caption}{head}<tbody>{body}</tbody></table>'
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f'<div style="overflow-x: auto" tabindex="0">{table}{notes}</div>'

    def __rich__(self):
        from rich.console import Group
        from rich.markup import escape
        from rich.table import Table

        table = Table(title=escape(f"Cost of {self.model}, one example"))
        for column in _COLUMNS:
            table.add_column(column, justify="left" if column in ("layer", "type") else "right")
        for row in self._cells():
            table.add_row(*map(escape, row))
        return Group(table, *map(escape, self.notes))

    def __str__(self):
        from rich.console import Console

        console = Console(file=io.StringIO(), width=160)
        console.print(self)
        return console.file.getvalue()

    def _cells(self):
        for row in self.rows:
            yield (
                row.layer,
                row.type,
                _shown_shape(row.output_shape),
                "?" if row.macs is None else f"{row.macs:,}",
                f"{row.parameters:,}",
                _shown_bytes(row.activation_bytes),
                _shown_field(row.receptive_field),
            )
        least = "at least " if self.unknown else ""
        total = (f"{least}{self.macs:,}", f"{self.parameters:,}", _shown_bytes(self.activation_bytes))
        yield ("total", "", "", *total, "")

    @property
    def notes(self):
        """What has not been counted, a list of sentences."""
        notes = []
        if self.unknown:
            notes.append(f"Not counted, because cost does not know them: {', '.join(self.unknown)}.")
        if self.containers:
            notes.append(
                f"Counted are the layers inside {', '.join(self.containers)}, once for each call; what its own code "
                "multiplies between them is not."
            )
        return notes


def _html_row(tag, cells):
    """Names stand to the left, numbers to the right."""
    sides = ("left" if number < 2 else "right" for number in range(len(cells)))
    marked = (
        f'<{tag} style="text-align: {side}; padding: 0.2em 0.6em">{html.escape(cell)}</{tag}>'
        for side, cell in zip(sides, cells, strict=True)
    )
    return f"<tr>{''.join(marked)}</tr>"


def _shown_shape(shape):
    if isinstance(shape, list):
        return ", ".join(map(_shown_shape, shape))
    return "×".join(map(str, shape)) or "1"


def _shown_bytes(number):
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"


def _shown_field(field):
    if field is None:
        return "?"
    if not field:
        return "–"
    sizes = ["all" if size == WHOLE else str(size) for size in field]
    return sizes[0] if len(set(sizes)) == 1 else "×".join(sizes)


class _Trace(keras.Operation):
    """Follows a model through one call of it, with tensors that have a shape and no values.

    For as long as this takes, the ``__call__`` of layers and operations is replaced.
    """

    def __init__(self, model):
        super().__init__()
        self.model = model
        self.broken_rule = None

    def call(self, inputs):
        self.rows = []
        self.containers = {}  # types of layers with code of their own around others, in order
        self.counted = set()  # ids of weights
        self.unseen = set()  # ids of weights that such a layer may have used by itself
        self.stack = []  # the layers that are being called, outermost first, and their inputs
        self.quiet = False  # inside a layer that has a rule
        self.fields = {}  # id of a tensor: the tensor, so that no other gets its id, and its receptive field
        self.batch = None
        for tensor in _tensors(inputs):
            self.batch = self.batch or tensor.shape[0]
            axes = receptive_field.image_axes(_data_format(self.model), len(tensor.shape))
            self.fields[id(tensor)] = tensor, tuple(Span(axis=axis) for axis in axes)
        with (
            _LOCK,
            _keras.followed(layers.Layer, self._follow),
            _keras.followed(keras.Operation, self._follow_operation),
        ):
            self.model(inputs, training=False)
        del self.fields

    def _follow_operation(self, original, operation, *args, **kwargs):
        """Every layer is an operation, too, and has been followed as a layer."""
        follow = original if isinstance(operation, layers.Layer) else functools.partial(self._follow, original)
        return follow(operation, *args, **kwargs)

    def _follow(self, original, layer, *args, **kwargs):
        if self.quiet:
            return original(layer, *args, **kwargs)
        rule = find(layer)
        inputs = [Traced(tuple(x.shape), self._field(x)) for x in _tensors(_in_order(layer, args, kwargs))]
        rows_before = len(self.rows)
        self.stack.append((layer, inputs))
        name = "/".join(each.name for each, _ in self.stack[1:]) or layer.name
        self.quiet = rule is not None
        try:
            result = original(layer, *args, **kwargs)
        finally:
            self.quiet = False
            self.stack.pop()
        if rule is None and (len(self.rows) > rows_before or _only_calls_layers(layer)):
            self._leave_container(name, layer, inputs, _tensors(result))
        else:
            self._add(name, layer, rule, getattr(layer, "weights", []), inputs, _tensors(result))
        return result

    def _field(self, tensor):
        if id(tensor) in self.fields:
            return self.fields[id(tensor)][1]
        # What a functional model is given, it may cast to the type of its input.
        layer, inputs = self.stack[-1]
        fields = {traced.field for traced in inputs}
        return fields.pop() if _keras.is_functional(layer) and len(fields) == 1 else None

    def _leave_container(self, name, layer, inputs, outputs):
        """The layers of which this one consists have been counted; its own code and weights have not."""
        field = CONTAINERS.get(type(layer), receptive_field.unknown)(layer, inputs, [])
        for x in outputs:
            self.fields.setdefault(id(x), (x, field))
        if not _only_calls_layers(layer):
            self.containers[type(layer).__name__] = None
            self.unseen |= {id(weight) for weight in layer.weights}
            own = _own_weights(layer)
            if own:
                self._add(name, layer, None, own, [], [])

    def _add(self, name, layer, rule, weights, inputs, tensors):
        outputs = [Traced(tuple(x.shape)) for x in tensors]
        multiplied, field = self._apply(rule, layer, inputs, outputs) if rule else (None, None)
        field = activated(layer, field, outputs)
        self.fields |= {id(x): (x, field) for x in tensors}
        weights = [weight for weight in weights if id(weight) not in self.counted]
        self.counted |= {id(weight) for weight in weights}
        shapes = [shape[1:] if shape[:1] == (self.batch,) else shape for shape, _ in outputs]
        self.rows.append(
            Row(
                layer=name,
                type=type(layer).__name__,
                output_shape=shapes[0] if len(shapes) == 1 else shapes,
                macs=multiplied if multiplied is None else multiplied // self.batch,
                parameters=sum(map(multiplications.size, weights)),
                activation_bytes=sum(math.prod(x.shape) * _bytes(x) for x in tensors) // self.batch,
                receptive_field=field and tuple(span.size for span in field),
            )
        )

    def _apply(self, rule, *arguments):
        self.broken_rule = type(arguments[0]).__name__
        answers = [each(*arguments) for each in rule]
        self.broken_rule = None
        return answers

    def rows_of_the_rest(self):
        """A row for every layer whose weights no call has used, such as a head that only training needs. Where a layer
        with code of its own may have used them in another way, what they cost is not known.
        """
        left = {}
        for weight in self.model.weights:
            if id(weight) not in self.counted:
                unseen = id(weight) in self.unseen
                left.setdefault((weight.path.rpartition("/")[0], unseen), []).append(weight)
        for (path, unseen), weights in left.items():
            size = sum(map(multiplications.size, weights))
            yield Row(path, "not seen" if unseen else "not called", (), None if unseen else 0, size, 0, None)


# Two summaries at once would each put back what the other has replaced.
_LOCK = threading.RLock()


def _in_order(layer, args, kwargs):
    """The arguments in the order in which ``call`` names them; keywords may come in any."""
    try:
        return list(inspect.signature(layer.call).bind(*args, **kwargs).arguments.values())
    except TypeError:  # an argument that only Keras itself takes
        return [args, kwargs]


def _only_calls_layers(layer):
    around = isinstance(layer, layers.TimeDistributed) and _only_calls_layers(layer.layer)
    return around or _keras.is_functional(layer) or type(layer) in CONTAINERS


def _data_format(model):
    """Of the windows in a model, or, where these have none or several, what Keras is set to. A window that wants height
    and width at other axes than these finds no field there.
    """
    windows = [layer for layer in _keras.all_layers(model) if hasattr(layer, "strides")]
    formats = {layer.data_format for layer in windows if hasattr(layer, "data_format")}
    return formats.pop() if len(formats) == 1 else keras.config.image_data_format()


def _own_weights(layer):
    inside = [each for each in _keras.all_layers(layer) if each is not layer]
    of_others = {id(weight) for each in inside for weight in each.weights}
    return [weight for weight in layer.weights if id(weight) not in of_others]


def _tensors(nested):
    return [each for each in keras.tree.flatten(nested) if ops.is_tensor(each)]


def _bytes(tensor):
    name = keras.backend.standardize_dtype(tensor.dtype)
    return 2 if name == "bfloat16" else 0 if name == "string" else np.dtype(name).itemsize


def _require_built(model):
    if not isinstance(model, layers.Layer):
        raise ValueError(f"{model!r} is no Keras model or layer.")
    if not model.built:
        raise ValueError(f"{model.name} is not built; build it, or call it once, so that its layers have weights.")


def _inputs(model, input_shape):
    """Symbolic tensors, one example each, in the structure that the model takes as its one argument."""
    declared = getattr(model, "inputs", None)  # of a functional or sequential model
    if input_shape is not None:
        inputs = _mapped(input_shape, lambda shape: keras.KerasTensor((1, *shape), declared and declared[0].dtype))
    elif declared:
        nested = declared[0] if isinstance(model, keras.Sequential) else model.input
        inputs = keras.tree.map_structure(lambda x: keras.KerasTensor((x.shape[0] or 1, *x.shape[1:]), x.dtype), nested)
    else:
        shape = (model.get_build_config() or {}).get("input_shape")
        inputs = shape and _mapped(shape, lambda shape: keras.KerasTensor((1, *shape[1:])))
    if inputs is None or any(None in tensor.shape for tensor in keras.tree.flatten(inputs)):
        raise ValueError(
            f"{model.name} does not say the size of its input; pass input_shape, (height, width, channels) for images."
        )
    return inputs


def _mapped(shapes, function):
    if isinstance(shapes, dict):
        return {name: _mapped(shape, function) for name, shape in shapes.items()}
    if not isinstance(shapes, (list, tuple)):
        raise ValueError(f"input_shape has {shapes!r}; give (height, width, channels), or a list or dict of shapes.")
    if any(isinstance(size, (list, tuple, dict)) for size in shapes):
        return [_mapped(shape, function) for shape in shapes]
    if not all(size is None or (require.is_whole(size) and size > 0) for size in shapes):
        raise ValueError(f"input_shape has {shapes!r}; a size is a whole number greater than 0.")
    return function(tuple(size if size is None else int(size) for size in shapes))
