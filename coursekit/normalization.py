"""Normalization: AlexNet's local response normalization, batch normalization, and the networks to compare them in."""

import functools

import keras
import numpy as np
from keras import layers, ops

from coursekit import cost_rules, multiplications, pretrained, receptive_field, require


@keras.saving.register_keras_serializable("coursekit")
class LocalResponseNormalization(layers.Layer):
    """Divide every value by how strongly its neighbors respond: ``x / (bias + alpha * sum(squares)) ** beta``.

    Nothing is learned: the layer has no weights. The sum takes the value itself in, and its neighbors on both sides. It
    is taken in float32 at least: the square of 256 overflows float16.

    The input x is (batch, ..., channels) of any rank from 2 across channels, (batch, height, width, channels) across
    pixels, or has its channels at axis 1 where ``data_format`` is ``"channels_first"``. All sizes but the number of
    channels may be unknown. The output has the same shape.

    The names are those of ``tf.nn.local_response_normalization``, whose defaults are others. As there and in the paper,
    ``alpha`` multiplies the sum. ``torch.nn.LocalResponseNorm(size, alpha, beta, k)`` divides it by the size of the
    window: its ``size`` is ``2 * depth_radius + 1``, its ``alpha`` ours times ``size``, its ``k`` our bias, and the
    channels come first.

    Args:
        depth_radius: int from 0, how many neighbors there are on each side.
        bias: float greater than 0, what is added to the sum.
        alpha: float from 0, what the sum of the squares is multiplied by.
        beta: float from 0, the exponent.
        across: ``"channels"``, AlexNet's layer: the ``depth_radius`` channels before and after, at the same pixel;
            fewer at the first and the last channel. Or ``"pixels"``: a square window of ``2 * depth_radius + 1`` pixels
            a side in the same feature map, with zeros around the border.
        data_format: ``"channels_last"`` or ``"channels_first"``; by default Keras's own.
        **layer_options: as for ``keras.layers.Layer``.

    Raises:
        ValueError: for a parameter out of range, another rank or an unknown number of channels.

    Source: Krizhevsky et al. 2012, section 3.3, with its constants as defaults. They were made for activations of raw
    pixels from 0 to 255: where those stay near 1, the layer does little but divide by ``bias ** beta``.

    >>> layer = LocalResponseNormalization(depth_radius=1, bias=1.0, alpha=1.0, beta=0.5)
    >>> ops.convert_to_numpy(layer(np.array([[2.0, 2.0, 4.0]]))).round(2)
    array([[0.67, 0.4 , 0.87]], dtype=float32)
    """

    def __init__(
        self, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75, across="channels", data_format=None, **layer_options
    ):
        super().__init__(**layer_options)
        if not require.is_finite(bias) or bias <= 0:
            raise ValueError(f"bias is {bias!r}; it must be greater than 0, or a silent neighborhood divides by zero.")
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not require.is_finite(value) or value < 0:
                raise ValueError(f"{name} is {value!r}; it must be a number from 0, which switches the neighbors off.")
        require.choice("across", across, ("channels", "pixels"))
        require.choice("data_format", data_format, (None, "channels_last", "channels_first"))
        self.depth_radius = require.whole("depth_radius", depth_radius, smallest=0)
        self.bias = bias
        self.alpha = alpha
        self.beta = beta
        self.across = across
        self.data_format = data_format or keras.config.image_data_format()
        self.channel_axis = -1 if self.data_format == "channels_last" else 1
        self.supports_masking = True  # which passes a mask on: what a value becomes does not hang on it
        self.input_spec = layers.InputSpec(min_ndim=2) if across == "channels" else layers.InputSpec(ndim=4)

    def build(self, input_shape):
        if input_shape[self.channel_axis] is None:
            raise ValueError(f"{self.name} got inputs of shape {input_shape}; the number of channels must be known.")

    def call(self, x):
        x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
        sum_of_neighbors = self._sum_over_channels if self.across == "channels" else self._sum_over_pixels
        sqr_sum = sum_of_neighbors(ops.square(x))
        return ops.cast(x * _inverse_power(self.bias + self.alpha * sqr_sum, self.beta), self.compute_dtype)

    def _sum_over_channels(self, squares):
        """Multiply by a matrix with a band of ones: much faster than adding up slices, forward and backward."""
        channels = np.arange(squares.shape[self.channel_axis])
        band = np.abs(channels[:, None] - channels) <= self.depth_radius
        sums = ops.tensordot(squares, ops.cast(band, squares.dtype), axes=[[self.channel_axis], [0]])
        return ops.moveaxis(sums, -1, self.channel_axis)

    def _sum_over_pixels(self, squares):
        """The average over a window, zeros around the border included, times the number of pixels in it."""
        side = 2 * self.depth_radius + 1
        padding = [[0, 0], [0, 0], [0, 0], [0, 0]]
        for axis in (1, 2) if self.data_format == "channels_last" else (2, 3):
            padding[axis] = [self.depth_radius, self.depth_radius]
        padded = ops.pad(squares, padding)
        return side**2 * ops.average_pool(padded, side, strides=1, padding="valid", data_format=self.data_format)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        names = ("depth_radius", "bias", "alpha", "beta", "across", "data_format")
        return super().get_config() | {name: getattr(self, name) for name in names}


def _inverse_power(x, beta):
    """Compute ``x ** -beta`` for positive x. The general power takes twice as long as either of these."""
    if beta == 0.75:
        root = ops.rsqrt(x)
        return root * ops.sqrt(root)
    return ops.exp(-beta * ops.log(x))


def _field(layer, inputs, outputs):
    if layer.across == "channels":
        return receptive_field.union(layer, inputs, outputs)
    side, radius = 2 * layer.depth_radius + 1, layer.depth_radius
    return receptive_field.slid(inputs[0].field, [side, side], [1, 1], [radius, radius])


cost_rules.register(LocalResponseNormalization, cost_rules.Rule(multiplications.none, _field))


@keras.saving.register_keras_serializable("coursekit")
class BatchNormalization(layers.Layer):
    """Give every feature mean 0 and variance 1 over the batch, then a learned scale and shift.

    In training the mean and the (biased) variance are those of the batch, over all axes but ``axis`` and without what a
    mask leaves out (its shape is that of x but for the last axis); the moving averages follow as
    ``moving = momentum * moving + (1 - momentum) * batch``. In inference, or with ``trainable = False``, the moving
    averages take their place, and keep still. PyTorch counts momentum the other way round: its 0.1 is 0.9 here. Its
    moving variance is also the unbiased one, like the paper's; this layer's is biased, as Keras's.

    The input x may have any rank; the size of ``axis``, the features, must be known. The output has the same shape.
    float16 and bfloat16 are computed in float32. The weights, in order: gamma, beta, moving mean, moving variance,
    (features,) each.

    A single value per feature, as in a batch of one vector, is its own mean: in training the output is beta whatever
    the input, no gradient reaches the input or gamma, and the moving variance decays towards 0. Keras does the same up
    to rounding, without a warning; PyTorch raises an error.

    Args:
        axis: int, the axis of the features.
        momentum: float from 0, which keeps the last batch, to 1; the share of the moving averages that a step keeps.
        epsilon: float from 0, what is added to the variance.
        **layer_options: as for ``keras.layers.Layer``.

    Raises:
        ValueError: for a parameter out of range, an axis that x does not have or whose size is unknown.

    Source: Ioffe and Szegedy 2015, algorithms 1 and 2; for convolutions section 3.2.

    >>> layer = BatchNormalization(epsilon=0.0)
    >>> ops.convert_to_numpy(layer(np.array([[1.0, 20.0], [3.0, 60.0]]), training=True)).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """

    def __init__(self, axis=-1, momentum=0.99, epsilon=1e-3, **layer_options):
        super().__init__(**layer_options)
        if not require.is_finite(momentum) or not 0 <= momentum <= 1:
            raise ValueError(f"momentum is {momentum!r}; it must be from 0, which keeps the last batch, to 1.")
        if not require.is_finite(epsilon) or epsilon < 0:
            raise ValueError(f"epsilon is {epsilon!r}; it must be a number from 0, better a little more.")
        if not require.is_whole(axis):
            raise ValueError(f"axis is {axis!r}; it must be one whole number, -1 for the last axis.")
        self.momentum = momentum
        self.epsilon = epsilon
        self.axis = int(axis)
        self.supports_masking = True

    def build(self, input_shape):
        rank = len(input_shape)
        if not -rank <= self.axis < rank or input_shape[self.axis] is None:
            raise ValueError(f"{self.name} got inputs of shape {input_shape}; axis {self.axis} must have a known size.")
        features = input_shape[self.axis]
        add = functools.partial(self.add_weight, shape=(features,), autocast=False)
        self.gamma = add(name="gamma", initializer="ones")
        self.beta = add(name="beta", initializer="zeros")
        self.moving_mean = add(name="moving_mean", initializer="zeros", trainable=False)
        self.moving_variance = add(name="moving_variance", initializer="ones", trainable=False)
        self.input_spec = layers.InputSpec(ndim=rank, axes={self.axis: features})

    def call(self, x, training=False, mask=None):
        x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
        if training and self.trainable:
            mean, variance = self._moments(x, mask)
            for moving, of_batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(self.momentum * ops.cast(moving, x.dtype) + (1 - self.momentum) * of_batch)
        else:
            mean, variance = self.moving_mean, self.moving_variance
        mean, variance, gamma, beta = (self._aligned(one, x) for one in (mean, variance, self.gamma, self.beta))
        y = (x - mean) * (gamma * ops.rsqrt(variance + self.epsilon)) + beta
        return ops.cast(y, self.compute_dtype)

    def _moments(self, x, mask):
        """Mean and variance of each feature over the batch, without what is masked."""
        average = self._average(x, mask)
        mean = average(x)
        # The variance does not change with the mean it is taken around: its gradient there is zero.
        centered = x - self._aligned(ops.stop_gradient(mean), x)
        return mean, average(ops.square(centered))

    def _average(self, x, mask):
        """How the values of each feature are averaged: over all axes but its own, and over no masked ones."""
        rank = len(x.shape)
        other_axes = [axis for axis in range(rank) if axis != self.axis % rank]
        if mask is None:
            return lambda values: ops.mean(values, other_axes)
        sides = zip(mask.shape, x.shape, strict=False)
        if len(mask.shape) != rank - 1 or any(None not in (one, other) and one != other for one, other in sides):
            raise ValueError(f"The mask has shape {mask.shape}; for x of shape {x.shape}, it is {x.shape[:-1]}.")
        seen = ops.broadcast_to(ops.expand_dims(ops.cast(mask, "bool"), -1), ops.shape(x))
        number = ops.maximum(ops.sum(ops.cast(seen, x.dtype), other_axes), 1)
        return lambda values: ops.sum(ops.where(seen, values, 0), other_axes) / number

    def _aligned(self, of_feature, x):
        """Give a vector of features the rank and dtype of x, itself along the axis of the features."""
        shape = [1] * len(x.shape)
        shape[self.axis] = -1
        return ops.cast(ops.reshape(of_feature, shape), x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        names = ("axis", "momentum", "epsilon")
        return super().get_config() | {name: getattr(self, name) for name in names}


cost_rules.register(BatchNormalization, cost_rules.pointwise)

# In the one or two hundred steps of a small experiment, moving averages with Keras's 0.99 do not arrive.
NORMALIZATIONS = {"lrn": LocalResponseNormalization, "batch": functools.partial(BatchNormalization, momentum=0.9)}


def alexnet(input_shape=(227, 227, 3), num_classes=1000, *, normalization="lrn", groups=2, weights=None, name=None):
    """AlexNet: five convolutions, three dense layers, and the normalization after the first two activations.

    The paper splits the network over two graphics cards, and conv2, conv4 and conv5 see only the channels on their own
    card. ``groups=2`` does that by grouped convolutions: 60,965,224 parameters, the paper's "60 million". With
    ``groups=1`` each convolution sees all channels: 62,378,344.

    Args:
        input_shape: (height, width, channels), at least 67 pixels a side; the paper says 224, but its layers fit
            together only with 227.
        num_classes: int, how many logits the network answers.
        normalization: ``"lrn"``, the paper's; ``"batch"``, batch norm in the same two places; None; or a function of
            ``name=`` that returns a layer.
        groups: 1 or 2, the groups of conv2, conv4 and conv5.
        weights: None, or path of a file of ``save_weights``.
        name: str, of the model; the names of all layers begin with it.

    Returns:
        Functional model from images to logits (batch, num_classes), with layers named ``conv1``, ``act1``, ``norm1``,
        ``pool1``, ... ``features``, ``fc6``, ``act6``, ``dropout6``, ... ``logits``.

    Raises:
        ValueError: for an unknown normalization, an image too small, a number out of range, or weights of another
            network.
        FileNotFoundError: for weights that are no file.

    Source: Krizhevsky et al. 2012, section 3.5 and figure 2; dropout section 4.2. Layers start as Keras's do, not from
    the constants of section 5.

    >>> alexnet(normalization=None, groups=1).get_layer("conv2").output.shape
    (None, 27, 27, 256)
    """
    input_shape, num_classes = require.images(input_shape, num_classes, smallest=67)
    require.choice("groups", groups, (1, 2))
    prefix = f"{name}_" if name else ""
    normalize = _normalization(normalization, prefix)

    def conv(x, number, filters, size, **options):
        x = layers.Conv2D(filters, size, name=f"{prefix}conv{number}", **options)(x)
        return layers.ReLU(name=f"{prefix}act{number}")(x)

    def pool(x, number):
        return layers.MaxPooling2D(3, 2, name=f"{prefix}pool{number}")(x)

    def dense(x, number):
        x = layers.ReLU(name=f"{prefix}act{number}")(layers.Dense(4096, name=f"{prefix}fc{number}")(x))
        return layers.Dropout(0.5, name=f"{prefix}dropout{number}")(x)

    x = inputs = keras.Input(input_shape)
    x = conv(x, 1, 96, 11, strides=4)
    x = pool(normalize(x, 1), 1)
    x = conv(x, 2, 256, 5, padding="same", groups=groups)
    x = pool(normalize(x, 2), 2)
    x = conv(x, 3, 384, 3, padding="same")
    x = conv(x, 4, 384, 3, padding="same", groups=groups)
    x = conv(x, 5, 256, 3, padding="same", groups=groups)
    x = pool(x, 5)
    x = layers.Flatten(name=f"{prefix}features")(x)
    x = dense(dense(x, 6), 7)
    logits = layers.Dense(num_classes, name=f"{prefix}logits")(x)
    return pretrained.load(keras.Model(inputs, logits, name=name or "alexnet"), weights)


def small_alexnet(
    input_shape=(32, 32, 3),
    num_classes=10,
    *,
    normalization="lrn",
    filters=(32, 32, 64),
    kernel_size=5,
    where="after",
    activation="relu",
    normalized_layers=None,
    dropout=0.0,
    weights=None,
    name=None,
):
    """A small AlexNet for small images: convolution, activation, normalization and pooling, once for each filter.

    Args:
        input_shape: (height, width, channels); every pooling halves the image, rounded up.
        num_classes: int, how many logits the network answers.
        normalization: ``"lrn"``, ``"batch"``, None, or a function of ``name=`` that returns a layer,
            ``functools.partial(LocalResponseNormalization, alpha=0.01)`` for instance.
        filters: ints, the filters of each convolution.
        kernel_size: int, pixels a side of every convolution's window.
        where: the normalization comes ``"before"`` or ``"after"`` the activation.
        activation: name or function.
        normalized_layers: the numbers of the convolutions to normalize, from 1; by default all of them.
        dropout: float, the share of the features that the last layer does not see in training.
        weights, name: as for ``alexnet``.

    Returns:
        Functional model from images to logits (batch, num_classes), with layers named ``conv1``, ``act1``, ``norm1``,
        ``pool1``, ... ``features``, ``dropout``, ``logits``. Without normalization or dropout, the layer is not there.

    Raises:
        ValueError: for an unknown name, a number out of range, or weights of another network.
        FileNotFoundError: for weights that are no file.

    Source: the four-layer network of Krizhevsky et al. 2012, section 3.3, is in this family.

    >>> model = small_alexnet((28, 28, 1), 10, filters=(8, 16), where="before", normalized_layers=[1])
    >>> [layer.name for layer in model.layers][1:]
    ['conv1', 'norm1', 'act1', 'pool1', 'conv2', 'act2', 'pool2', 'features', 'logits']
    """
    input_shape, num_classes = require.images(input_shape, num_classes)
    require.choice("where", where, ("before", "after"))
    numbers = require.listed("filters", filters)
    if len(numbers) == 0 or not all(require.is_whole(number) and number > 0 for number in numbers):
        raise ValueError(f"filters is {filters!r}; it must be whole numbers greater than 0, one for each convolution.")
    filters = [int(number) for number in numbers]
    kernel_size = require.whole("kernel_size", kernel_size)
    require.rate("dropout", dropout)
    all_layers = range(1, len(filters) + 1)
    if normalized_layers is None:
        normalized_layers = all_layers
    normalized = set(require.listed("normalized_layers", normalized_layers))
    if not normalized <= set(all_layers):
        raise ValueError(
            f"normalized_layers is {sorted(normalized)}; there are only the convolutions 1 to {len(filters)}."
        )
    prefix = f"{name}_" if name else ""
    normalize = _normalization(normalization, prefix)

    x = inputs = keras.Input(input_shape)
    for number, channels in enumerate(filters, start=1):
        x = layers.Conv2D(channels, kernel_size, padding="same", name=f"{prefix}conv{number}")(x)
        if where == "before" and number in normalized:
            x = normalize(x, number)
        x = layers.Activation(activation, name=f"{prefix}act{number}")(x)
        if where == "after" and number in normalized:
            x = normalize(x, number)
        x = layers.MaxPooling2D(3, 2, padding="same", name=f"{prefix}pool{number}")(x)
    x = layers.Flatten(name=f"{prefix}features")(x)
    if dropout:
        x = layers.Dropout(dropout, name=f"{prefix}dropout")(x)
    logits = layers.Dense(num_classes, name=f"{prefix}logits")(x)
    return pretrained.load(keras.Model(inputs, logits, name=name or "small_alexnet"), weights)


def _normalization(kind, prefix):
    """Return a function of a tensor and the number of its layer that normalizes the tensor, or does nothing."""
    if hasattr(kind, "call"):
        require.layer_class("normalization", kind)
    elif not callable(kind):
        require.choice("normalization", kind, (*NORMALIZATIONS, None))
    make = NORMALIZATIONS.get(kind, kind)
    return lambda x, number: make(name=f"{prefix}norm{number}")(x) if make else x
