"""Inception: convolutions of several sizes side by side, and GoogLeNet, which is nine times that.

Source: Szegedy et al. 2015, "Going deeper with convolutions".
"""

import functools
import warnings

import keras
from keras import layers, ops

from coursekit import cost_rules, multiplications, pretrained, receptive_field, require
from coursekit.normalization import LocalResponseNormalization

# The filters of GoogLeNet's modules, by name: the stage and a letter. Source: table 1.
MODULES = {
    "3a": dict(conv_1x1=64, reduce_3x3=96, conv_3x3=128, reduce_5x5=16, conv_5x5=32, pool_proj=32),
    "3b": dict(conv_1x1=128, reduce_3x3=128, conv_3x3=192, reduce_5x5=32, conv_5x5=96, pool_proj=64),
    "4a": dict(conv_1x1=192, reduce_3x3=96, conv_3x3=208, reduce_5x5=16, conv_5x5=48, pool_proj=64),
    "4b": dict(conv_1x1=160, reduce_3x3=112, conv_3x3=224, reduce_5x5=24, conv_5x5=64, pool_proj=64),
    "4c": dict(conv_1x1=128, reduce_3x3=128, conv_3x3=256, reduce_5x5=24, conv_5x5=64, pool_proj=64),
    "4d": dict(conv_1x1=112, reduce_3x3=144, conv_3x3=288, reduce_5x5=32, conv_5x5=64, pool_proj=64),
    "4e": dict(conv_1x1=256, reduce_3x3=160, conv_3x3=320, reduce_5x5=32, conv_5x5=128, pool_proj=128),
    "5a": dict(conv_1x1=256, reduce_3x3=160, conv_3x3=320, reduce_5x5=32, conv_5x5=128, pool_proj=128),
    "5b": dict(conv_1x1=384, reduce_3x3=192, conv_3x3=384, reduce_5x5=48, conv_5x5=128, pool_proj=128),
}
AUXILIARY_AFTER = ("4a", "4d")
AUXILIARY_WEIGHT = 0.3


def inception_module(x, *, conv_1x1, reduce_3x3, conv_3x3, reduce_5x5, conv_5x5, pool_proj, normalize=None, name=None):
    """Inception module with dimension reductions: four branches side by side, concatenated along the channels.

    Args:
        x: (batch, height, width, channels).
        conv_1x1, conv_3x3, conv_5x5: int, the filters of each size.
        reduce_3x3, reduce_5x5: int, the 1x1 filters before the larger ones.
        pool_proj: int, the 1x1 filters after the max-pooling.
        normalize: function of ``name=`` to a layer, put between every convolution and its ReLU; by default none.
        name: str; the layers' names begin with it; by default with ``inception_1``, ``inception_2``, ...

    Returns:
        (batch, height, width, conv_1x1 + conv_3x3 + conv_5x5 + pool_proj).

    Raises:
        ValueError: for an x of another rank, or filters that are no whole numbers above 0.

    Source: figure 2(b) and section 4.

    >>> x = keras.Input((28, 28, 192))
    >>> inception_module(x, conv_1x1=64, reduce_3x3=96, conv_3x3=128, reduce_5x5=16, conv_5x5=32, pool_proj=32).shape
    (None, 28, 28, 256)
    """
    require.maps(x)
    name = name or f"inception_{keras.backend.get_uid('inception')}"
    conv = functools.partial(_conv, normalize=normalize)
    branch_1x1 = conv(x, conv_1x1, 1, name=f"{name}_conv_1x1")
    branch_3x3 = conv(x, reduce_3x3, 1, name=f"{name}_reduce_3x3")
    branch_3x3 = conv(branch_3x3, conv_3x3, 3, name=f"{name}_conv_3x3")
    branch_5x5 = conv(x, reduce_5x5, 1, name=f"{name}_reduce_5x5")
    branch_5x5 = conv(branch_5x5, conv_5x5, 5, name=f"{name}_conv_5x5")
    branch_pool = layers.MaxPooling2D(3, 1, "same", name=f"{name}_pool")(x)
    branch_pool = conv(branch_pool, pool_proj, 1, name=f"{name}_pool_proj")
    return layers.Concatenate(name=name)([branch_1x1, branch_3x3, branch_5x5, branch_pool])


def naive_inception_module(x, *, conv_1x1, conv_3x3, conv_5x5, normalize=None, name=None):
    """Inception module without reductions: three convolutions and a max-pooling of x itself, concatenated.

    Args:
        x, conv_1x1, conv_3x3, conv_5x5, normalize, name: as for ``inception_module``.

    Returns:
        (batch, height, width, conv_1x1 + conv_3x3 + conv_5x5 + channels). The pooling keeps all channels, so that the
        output has more than the input.

    Raises:
        ValueError: as ``inception_module`` does.

    Source: figure 2(a).

    >>> naive_inception_module(keras.Input((28, 28, 192)), conv_1x1=64, conv_3x3=128, conv_5x5=32).shape
    (None, 28, 28, 416)
    """
    require.maps(x)
    name = name or f"inception_{keras.backend.get_uid('inception')}"
    conv = functools.partial(_conv, normalize=normalize)
    branch_1x1 = conv(x, conv_1x1, 1, name=f"{name}_conv_1x1")
    branch_3x3 = conv(x, conv_3x3, 3, name=f"{name}_conv_3x3")
    branch_5x5 = conv(x, conv_5x5, 5, name=f"{name}_conv_5x5")
    branch_pool = layers.MaxPooling2D(3, 1, "same", name=f"{name}_pool")(x)
    return layers.Concatenate(name=name)([branch_1x1, branch_3x3, branch_5x5, branch_pool])


def stacked_module(x, *, conv_1x1, conv_3x3, conv_5x5, normalize=None, name=None):
    """The same filters as in ``naive_inception_module``, one after the other: what Inception is to be better than.

    Args:
        x, conv_1x1, conv_3x3, conv_5x5, normalize: as for ``inception_module``.
        name: str; the layers' names begin with it; by default with ``stack_1``, ``stack_2``, ...

    Returns:
        (batch, height, width, conv_5x5).

    Raises:
        ValueError: as ``inception_module`` does.

    >>> stacked_module(keras.Input((28, 28, 192)), conv_1x1=64, conv_3x3=128, conv_5x5=32).shape
    (None, 28, 28, 32)
    """
    require.maps(x)
    name = name or f"stack_{keras.backend.get_uid('stack')}"
    conv = functools.partial(_conv, normalize=normalize)
    x = conv(x, conv_1x1, 1, name=f"{name}_conv_1x1")
    x = conv(x, conv_3x3, 3, name=f"{name}_conv_3x3")
    x = conv(x, conv_5x5, 5, name=f"{name}_conv_5x5")
    return layers.MaxPooling2D(3, 1, "same", name=name)(x)


def _conv(x, filters, size, *, name, strides=1, normalize=None):
    filters = require.whole(name, filters)
    if normalize is None:
        return layers.Conv2D(filters, size, strides, "same", activation="relu", name=name)(x)
    require.layer_class("normalize", normalize)
    x = layers.Conv2D(filters, size, strides, "same", name=name)(x)
    return layers.ReLU(name=f"{name}_relu")(normalize(name=f"{name}_norm")(x))


KINDS = {"reduced": inception_module, "naive": naive_inception_module, "stacked": stacked_module}


def googlenet(input_shape=(224, 224, 3), num_classes=1000, *, auxiliary=False, weights=None, name=None):
    """GoogLeNet: three convolutions, nine Inception modules, global average pooling, one dense layer.

    Layers are called ``conv1``, ``pool1``, ``norm1``, ``conv2_reduce``, ``conv2``, ``norm2``, ``pool2``,
    ``inception_3a``, ... ``pool5``, ``dropout``, ``logits``.

    Args:
        input_shape: (height, width, channels), at least 33 pixels a side, or None for a side of any size; with
            auxiliary classifiers at least 65, and known.
        num_classes: int, how many logits the network answers.
        auxiliary: bool, with the two small classifiers that help to train the early layers.
        weights: None, or path of a file of ``save_weights``.
        name: str, of the model; the names of all layers begin with it.

    Returns:
        Functional model, 6,998,552 parameters with the defaults; with auxiliary classifiers a ``WithAuxiliaryHeads``,
        13,378,280. Both answer logits (batch, num_classes).

    Raises:
        ValueError: for an image too small, a number out of range, or weights of another network.
        FileNotFoundError: for weights that are no file.

    Source: table 1, section 5 for the auxiliary classifiers. The local response normalization, which the table leaves
    out, stands where figure 3 has it. Its constants are not given there; these are AlexNet's.

    >>> googlenet().get_layer("inception_5b").output.shape
    (None, 7, 7, 1024)
    """
    smallest = 65 if auxiliary else 33
    input_shape, num_classes = require.images(input_shape, num_classes, smallest, any_size=not auxiliary)
    prefix = f"{name}_" if name else ""
    x = inputs = keras.Input(input_shape)
    x = _conv(x, 64, 7, strides=2, name=f"{prefix}conv1")
    x = LocalResponseNormalization(name=f"{prefix}norm1")(_pool(x, f"{prefix}pool1"))
    x = _conv(x, 64, 1, name=f"{prefix}conv2_reduce")
    x = _conv(x, 192, 3, name=f"{prefix}conv2")
    x = _pool(LocalResponseNormalization(name=f"{prefix}norm2")(x), f"{prefix}pool2")
    options = dict(num_classes=num_classes, module=inception_module, auxiliary=auxiliary, prefix=prefix)
    outputs = _modules_and_heads(x, MODULES, **options)
    return pretrained.load(_classifier(inputs, outputs, name or "googlenet"), weights)


def small_googlenet(
    input_shape=(32, 32, 3),
    num_classes=10,
    *,
    width_multiplier=0.25,
    kind="reduced",
    normalization="batch",
    modules=tuple(MODULES),
    auxiliary=False,
    dropout=0.4,
    weights=None,
    name=None,
):
    """A GoogLeNet for small images: strides and filters of the first layers fit them, every width is a share of its.

    Args:
        input_shape: (height, width, channels), or None for a side of any size where there are no auxiliary classifiers;
            32 pixels become 16, 8 and 4 in the three stages of modules. At least 8 pixels a side, with auxiliary
            classifiers 25.
        num_classes, auxiliary, weights, name: as for ``googlenet``.
        width_multiplier: float greater than 0, at most 1, how many of the paper's filters every convolution has.
        kind: a name in ``KINDS``, the modules: ``"reduced"``, ``"naive"``, or ``"stacked"``.
        normalization: ``"batch"`` after every convolution, ``"lrn"`` where the paper has it, or None.
        modules: names in ``MODULES``, in their order.
        dropout: float, the share of the features that the last layer does not see in training.

    Returns:
        As ``googlenet`` does.

    Raises:
        ValueError: for an image too small, an unknown name, a number out of range, or weights of another network.
        FileNotFoundError: for weights that are no file.

    >>> model = small_googlenet((28, 28, 1), width_multiplier=0.125, modules=("3a", "4a", "5a"))
    >>> model.get_layer("inception_5a").output.shape
    (None, 4, 4, 104)
    """
    smallest = 25 if auxiliary else 8
    input_shape, num_classes = require.images(input_shape, num_classes, smallest, any_size=not auxiliary)
    require.choice("kind", kind, KINDS)
    require.choice("normalization", normalization, ("batch", "lrn", None))
    _require_modules(modules, auxiliary)
    if not require.is_finite(width_multiplier) or not 0 < width_multiplier <= 1:
        raise ValueError(
            f"width_multiplier is {width_multiplier!r}; it must be greater than 0 and at most 1, which is the paper's."
        )
    require.rate("dropout", dropout)
    normalize = functools.partial(layers.BatchNormalization, momentum=0.9) if normalization == "batch" else None
    response_norm = LocalResponseNormalization if normalization == "lrn" else layers.Identity
    module = functools.partial(KINDS[kind], normalize=normalize)
    filters_by_module = {key: scale_filters(MODULES[key], width_multiplier, kind) for key in modules}
    conv1, conv2 = (_scaled(filters, width_multiplier) for filters in (64, 192))

    prefix = f"{name}_" if name else ""
    x = inputs = keras.Input(input_shape)
    x = _conv(x, conv1, 3, name=f"{prefix}conv1", normalize=normalize)
    x = response_norm(name=f"{prefix}norm1")(_pool(x, f"{prefix}pool1"))
    x = _conv(x, conv2, 3, name=f"{prefix}conv2", normalize=normalize)
    x = response_norm(name=f"{prefix}norm2")(x)
    outputs = _modules_and_heads(
        x,
        filters_by_module,
        num_classes=num_classes,
        module=module,
        auxiliary=auxiliary,
        prefix=prefix,
        dropout=dropout,
        width_multiplier=width_multiplier,
    )
    return pretrained.load(_classifier(inputs, outputs, name or "small_googlenet"), weights)


def scale_filters(filters, share, kind="reduced"):
    """The filters of a module, reduced to a share, but none to nothing.

    Args:
        filters: a value of ``MODULES``.
        share: float, of the filters.
        kind: a name in ``KINDS``; but for ``"reduced"``, only the three sizes are left.

    Returns:
        A dict as in ``MODULES``, from the module's parameters to int.

    Raises:
        ValueError: for another kind, or a share that is not greater than 0.

    >>> scale_filters(MODULES["3a"], 1 / 8, "naive")
    {'conv_1x1': 8, 'conv_3x3': 16, 'conv_5x5': 4}
    """
    require.choice("kind", kind, KINDS)
    if not require.is_finite(share) or share <= 0:
        raise ValueError(f"share is {share!r}; it must be greater than 0.")
    kept = filters if kind == "reduced" else ("conv_1x1", "conv_3x3", "conv_5x5")
    return {name: _scaled(filters[name], share) for name in kept}


def _require_modules(modules, auxiliary):
    if not modules:
        raise ValueError("modules is empty; name at least one.")
    for name in modules:
        require.choice("modules", name, MODULES)
    if list(modules) != sorted(set(modules)):
        raise ValueError(f"modules is {modules!r}; name every module once, in the paper's order.")
    if auxiliary and not set(modules) & set(AUXILIARY_AFTER):
        raise ValueError(f"An auxiliary classifier needs one of the modules {', '.join(AUXILIARY_AFTER)}.")


def _scaled(filters, share):
    return round(filters * share) or 1


def _pool(x, name):
    return layers.MaxPooling2D(3, 2, "same", name=name)(x)


def _modules_and_heads(x, modules, *, num_classes, module, auxiliary, prefix, dropout=0.4, width_multiplier=1.0):
    """The modules, a max-pooling where the next stage begins; the logits on top, and of the auxiliary classifiers."""
    heads = []
    stage = next(iter(modules))[0]
    for name, filters in modules.items():
        if name[0] != stage:  # the pooling has the name of the stage that ends
            x = _pool(x, f"{prefix}pool{stage}")
            stage = name[0]
        x = module(x, **filters, name=f"{prefix}inception_{name}")
        if auxiliary and name in AUXILIARY_AFTER:
            heads.append(_auxiliary_classifier(x, num_classes, width_multiplier, f"{prefix}auxiliary_{name}"))
    x = layers.GlobalAveragePooling2D(name=f"{prefix}pool5")(x)
    x = layers.Dropout(dropout, name=f"{prefix}dropout")(x)
    return [layers.Dense(num_classes, name=f"{prefix}logits")(x), *heads]


def _auxiliary_classifier(x, num_classes, width_multiplier, name):
    x = layers.AveragePooling2D(5, 3, name=f"{name}_pool")(x)
    x = _conv(x, _scaled(128, width_multiplier), 1, name=f"{name}_conv")
    x = layers.Flatten(name=f"{name}_flatten")(x)
    x = layers.Dense(_scaled(1024, width_multiplier), activation="relu", name=f"{name}_dense")(x)
    x = layers.Dropout(0.7, name=f"{name}_dropout")(x)
    return layers.Dense(num_classes, name=name)(x)


def _classifier(inputs, outputs, name):
    if len(outputs) == 1:
        return keras.Model(inputs, outputs[0], name=name)
    return WithAuxiliaryHeads(keras.Model(inputs, outputs, name="heads"), name=name)


@keras.saving.register_keras_serializable("coursekit")
class WithAuxiliaryHeads(keras.Model):
    """A classifier that trains with further heads, and answers without them.

    ``compile`` it with one loss and ``fit`` it on one y, as any other: in training, the loss of every further head
    counts 0.3 times as much. Metrics, ``evaluate`` and ``predict`` are the classifier's alone. As a functional model,
    it is the classifier: its layers, and what is cut out of it, have no heads. ``network`` has them, and ``classifier``
    is a plain functional model without them, on the same weights: what you ship, and what ``keras.models.clone_model``
    makes.

    Warns where it is called in training but by its own ``fit``: as a part of another model, its heads learn nothing.

    Args:
        network: functional model from x to a list of logits, the classifier's first.
        **options: as for ``keras.Model``.

    Raises:
        ValueError: for a network that is not functional, or has a single output.

    Source: Szegedy et al. 2015, section 5.

    >>> x = keras.Input((4,))
    >>> model = WithAuxiliaryHeads(keras.Model(x, [layers.Dense(3)(layers.Dense(2)(x)), layers.Dense(3)(x)]))
    >>> model.compile("sgd", "sparse_categorical_crossentropy")
    >>> tuple(model(ops.ones((5, 4))).shape)
    (5, 3)
    """

    def __init__(self, network, **options):
        if len(getattr(network, "outputs", None) or ()) < 2:
            raise ValueError(
                f"{network!r} is no functional model with several outputs; auxiliary heads are further ones."
            )
        super().__init__(network.input, network.outputs[0], **options)
        self.network = network
        self.fits_heads = False  # whether it is called by its own fit, which a call cannot tell from another model's

    @functools.cached_property
    def classifier(self):
        """A plain functional model without the further heads, on the same weights."""
        return keras.Model(self.input, self.outputs[0], name="classifier")

    def train_step(self, *arguments, **options):
        self.fits_heads = True
        try:
            return super().train_step(*arguments, **options)
        finally:
            self.fits_heads = False

    def call(self, x, training=False, mask=None):
        if training and self.fits_heads:
            return self.network(x, training=True)
        if training:
            warnings.warn(
                f"{self.name} is not trained by its own fit, so its auxiliary heads learn nothing; put what comes "
                "before it into its network, or build it with auxiliary=False.",
                stacklevel=2,
            )
        return super().call(x, training, mask)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        logits, *auxiliary_logits = keras.tree.flatten(y_pred)
        loss = super().compute_loss(x, y, logits, sample_weight, training)
        penalties = sum(map(ops.sum, self.losses))  # what regularizers add is in every loss, and counts once
        for head in auxiliary_logits:
            auxiliary_loss = super().compute_loss(x, y, head, sample_weight, training) - penalties
            loss += AUXILIARY_WEIGHT * auxiliary_loss
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, keras.tree.flatten(y_pred)[0], sample_weight)

    def get_config(self):
        return super().get_config() | {"network": keras.saving.serialize_keras_object(self.network)}

    @classmethod
    def from_config(cls, config):
        return cls(**config | {"network": keras.saving.deserialize_keras_object(config["network"])})


cost_rules.register(WithAuxiliaryHeads, cost_rules.Rule(multiplications.inside, receptive_field.unknown))
