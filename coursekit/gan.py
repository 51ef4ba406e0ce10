"""Generative adversarial networks: the two networks, and the training step in two parts.

Throughout, the discriminator answers one *logit* an image: positive for "real", negative for "fake". Its probability of
"real" is the sigmoid of it.
"""

import functools
import math

import keras
import numpy as np
from keras import layers, ops

from coursekit import _keras, pretrained, require, training
from coursekit.gradients import CustomStep, value_and_grad

# What the generator starts from, by name: functions of a shape and a seed. All have mean 0 and variance 1, so that
# only their form differs. Another is one line: gan.NOISES["coin"] = lambda shape, seed: ...
NOISES = {
    "normal": lambda shape, seed: keras.random.normal(shape, seed=seed),
    "uniform": lambda shape, seed: keras.random.uniform(shape, -math.sqrt(3), math.sqrt(3), seed=seed),
}
_BUILT_IN = dict(NOISES)
LOSSES = ("non_saturating", "minimax")
BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}


def generator(latent_dim, image_shape=(28, 28, 1), *, filters=(64, 32), weights=None, name=None):
    """DCGAN generator: a dense layer to a small map, then transposed convolutions that double it up to the image.

    Args:
        latent_dim: int, how many random numbers an image starts from.
        image_shape: (height, width, channels); every entry of ``filters`` halves height and width on the way down to
            the small map, which must come out even.
        filters: ints, the channels of the small map, then those of every transposed convolution but the last, which
            makes the image.
        weights: None, or path of a file of ``save_weights``.
        name: str, of the model; the names of all layers begin with it.

    Returns:
        Functional model from noise (batch, latent_dim) to images (batch, height, width, channels) in [0, 1], with
        layers named ``dense1``, ``map1``, ``norm1``, ``relu1``, ``conv2``, ``norm2``, ``relu2``, ... ``images``.

    Raises:
        ValueError: for a shape that cannot be halved so often, a number out of range, or weights of another network.
        FileNotFoundError: for weights that are no file.

    Source: Radford et al. 2016, section 3: no pooling, no dense layer on top, batch norm everywhere but at the output,
    ReLU, weights from a normal distribution of standard deviation 0.02. They scale images to [-1, 1] and end in tanh.
    The images of this course lie in [0, 1], so ours ends in the sigmoid, which is the same curve in that range.

    >>> generator(16).output.shape
    (None, 28, 28, 1)
    """
    image_shape, filters = _require_sizes(image_shape, filters)
    latent_dim = require.whole("latent_dim", latent_dim)
    prefix = f"{name}_" if name else ""
    height, width = (side // 2 ** len(filters) for side in image_shape[:2])

    def upsample(x, channels, layer_name, **options):
        options |= {"kernel_initializer": _normal(), "name": f"{prefix}{layer_name}"}
        return layers.Conv2DTranspose(channels, 4, 2, "same", **options)(x)

    def norm_relu(x, number):
        x = layers.BatchNormalization(**BATCH_NORM, name=f"{prefix}norm{number}")(x)
        return layers.ReLU(name=f"{prefix}relu{number}")(x)

    x = inputs = keras.Input((latent_dim,))
    size = height * width * filters[0]
    x = layers.Dense(size, use_bias=False, kernel_initializer=_normal(), name=f"{prefix}dense1")(x)
    x = norm_relu(layers.Reshape((height, width, filters[0]), name=f"{prefix}map1")(x), 1)
    for number, channels in enumerate(filters[1:], start=2):
        x = norm_relu(upsample(x, channels, f"conv{number}", use_bias=False), number)
    images = upsample(x, image_shape[-1], "images", activation="sigmoid")
    return pretrained.load(keras.Model(inputs, images, name=name or "generator"), weights)


def discriminator(image_shape=(28, 28, 1), *, filters=(16, 32), weights=None, name=None):
    """DCGAN discriminator: strided convolutions that halve the image, then one logit.

    Args:
        image_shape: (height, width, channels), as for ``generator``.
        filters: ints, the filters of each convolution, from the image on: as for ``generator``, the other way round.
        weights, name: as for ``generator``.

    Returns:
        Functional model from images in [0, 1] (batch, height, width, channels) to logits (batch, 1), with layers named
        ``rescale``, ``conv1``, ``relu1``, ``conv2``, ``norm2``, ``relu2``, ... ``features``, ``logits``.

    Raises:
        ValueError: as ``generator`` does.
        FileNotFoundError: for weights that are no file.

    Source: Radford et al. 2016, section 3: strides in place of pooling, leaky ReLU with slope 0.2, batch norm
    everywhere but at the input. The images are first brought to [-1, 1].

    >>> discriminator((32, 32, 3)).output.shape
    (None, 1)
    """
    image_shape, filters = _require_sizes(image_shape, filters)
    prefix = f"{name}_" if name else ""
    inputs = keras.Input(image_shape)
    x = layers.Rescaling(2.0, offset=-1.0, name=f"{prefix}rescale")(inputs)
    for number, channels in enumerate(filters, start=1):
        options = {"kernel_initializer": _normal(), "name": f"{prefix}conv{number}"}
        x = layers.Conv2D(channels, 4, 2, "same", use_bias=False, **options)(x)
        if number > 1:
            x = layers.BatchNormalization(**BATCH_NORM, name=f"{prefix}norm{number}")(x)
        x = layers.LeakyReLU(0.2, name=f"{prefix}relu{number}")(x)
    x = layers.Flatten(name=f"{prefix}features")(x)
    logits = layers.Dense(1, kernel_initializer=_normal(), name=f"{prefix}logits")(x)
    return pretrained.load(keras.Model(inputs, logits, name=name or "discriminator"), weights)


def _normal():
    return keras.initializers.RandomNormal(stddev=0.02)


def discriminator_loss(on_real, on_fake, label_smoothing=0.0):
    """Cross-entropy of the discriminator's two answers: -log p(real) - log(1 - p(fake)), each averaged.

    Args:
        on_real, on_fake: logits (batch, 1).
        label_smoothing: as for ``GAN.compile``.

    Returns:
        A scalar tensor; log 4 where the discriminator knows nothing and answers 0.

    >>> round(float(discriminator_loss(ops.zeros((4, 1)), ops.zeros((4, 1)))), 4)
    1.3863
    """
    on_real, on_fake = map(_at_least_float32, (on_real, on_fake))
    real_as_real, real_as_fake, fake_as_fake = (
        -ops.mean(ops.log_sigmoid(logits)) for logits in (on_real, -on_real, -on_fake)
    )
    return (1 - label_smoothing) * real_as_real + label_smoothing * real_as_fake + fake_as_fake


def generator_loss(on_fake, loss="non_saturating"):
    """The generator's loss: -log p of its fakes, or log(1 - p) for ``"minimax"``.

    Args:
        on_fake: logits (batch, 1), the discriminator's answers to fakes.
        loss: a name in ``LOSSES``.

    Returns:
        A scalar tensor.

    >>> [round(float(generator_loss(ops.zeros((4, 1)), loss)), 4) for loss in LOSSES]
    [0.6931, -0.6931]
    """
    require.choice("loss", loss, LOSSES)
    on_fake = _at_least_float32(on_fake)
    return -ops.mean(ops.log_sigmoid(on_fake)) if loss == "non_saturating" else ops.mean(ops.log_sigmoid(-on_fake))


def _at_least_float32(logits):
    """Logits in float32 at least. One that float16 could not hold becomes the largest that it can, 65504."""
    logits = ops.convert_to_tensor(logits)
    dtype = keras.backend.standardize_dtype(logits.dtype)
    if dtype in ("float32", "float64"):
        return logits
    logits = ops.cast(logits, "float32")
    return ops.clip(logits, -65504.0, 65504.0) if dtype == "float16" else logits


@keras.saving.register_keras_serializable("coursekit")
class GAN(CustomStep, keras.Model):
    """A generator and a discriminator, trained against each other.

    It saves and loads as every Keras model does. The file names its noise; one of your own must be known where the file
    is loaded, so ``save`` takes it only if its function is registered with ``keras.saving``.

    Args:
        generator: built model from noise (batch, latent_dim) to data (batch, ...).
        discriminator: built model from data (batch, ...) to logits (batch, 1).
        noise: a name in ``NOISES``.
        discriminator_steps: int k; every step trains the discriminator k times, each on its own part of the batch of
            real data, and then the generator once.
        seed: int, for the noise of the training.
        **options: as for ``keras.Model``.

    Raises:
        ValueError: for models that do not fit together, an unknown noise, or a number out of range.

    Source: Goodfellow et al. 2014, algorithm 1.

    >>> gan = GAN(generator(16), discriminator(), seed=0)
    >>> gan.compile(keras.optimizers.Adam(2e-4, 0.5), keras.optimizers.Adam(2e-4, 0.5))
    >>> history = gan.fit(np.random.default_rng(0).random((64, 28, 28, 1)), epochs=1, verbose=0).history
    >>> sorted(history)
    ['d_loss', 'fake_accuracy', 'g_loss', 'real_accuracy']
    """

    def __init__(self, generator, discriminator, noise="normal", discriminator_steps=1, seed=0, **options):
        super().__init__(**options)
        _require_pair(generator, discriminator)
        _require_noise(noise)
        self.generator = generator
        self.discriminator = discriminator
        self.noise = noise
        self.seed = _python_seed(seed)
        self.discriminator_steps = require.whole("discriminator_steps", discriminator_steps)
        self.latent_dim = generator.input_shape[-1]
        self.noise_seed = keras.random.SeedGenerator(self.seed)
        self.trackers = [keras.metrics.Mean(name) for name in ("d_loss", "g_loss", "real_accuracy", "fake_accuracy")]
        self.reach = _reach(generator)  # for a look at the data before a fit
        self.built = True

    def compile(self, d_optimizer, g_optimizer, loss="non_saturating", label_smoothing=0.0, **options):
        """Choose how both networks learn.

        Where a network computes in float16, both optimizers scale their loss, as those of other Keras models do.

        Args:
            d_optimizer, g_optimizer: two ``keras.optimizers.Optimizer``, the discriminator's and the generator's.
            loss: the generator's, by name. ``"minimax"`` lowers log(1 - p), where p is the discriminator's probability
                that a fake is real; ``"non_saturating"`` lowers -log(p), which has the same optimum and a stronger
                gradient while the discriminator wins (Goodfellow et al. 2014, section 3).
            label_smoothing: float from 0 to less than 0.5; the discriminator aims at 1 - label_smoothing for real data
                (Salimans et al. 2016, section 3.4).
            **options: as for ``keras.Model.compile``.

        Raises:
            ValueError: for an unknown loss, a smoothing out of range, or one optimizer for both.
        """
        require.choice("loss", loss, LOSSES)
        if not require.is_finite(label_smoothing) or not 0 <= label_smoothing < 0.5:
            raise ValueError(f"label_smoothing is {label_smoothing}; it must be from 0 to less than 0.5.")
        d_optimizer, g_optimizer = map(keras.optimizers.get, (d_optimizer, g_optimizer))
        if d_optimizer is g_optimizer:
            raise ValueError("Both networks have the same optimizer; each needs one of its own, for its own moments.")
        if self.in_half_precision():
            d_optimizer, g_optimizer = map(_with_loss_scale, (d_optimizer, g_optimizer))
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer
        self.loss_name, self.label_smoothing = loss, float(label_smoothing)
        self.compiled_for = tuple(map(id, self.trainable_variables))
        pairs = (g_optimizer, self.generator), (d_optimizer, self.discriminator)
        both = _Both({optimizer: set(map(id, network.trainable_variables)) for optimizer, network in pairs})
        super().compile(optimizer=both, auto_scale_loss=False, **training.compile_options() | options)
        training.remember_start(self)

    def in_half_precision(self):
        """Whether any layer of the two networks computes in float16, which ends at 65504."""
        return any(map(_in_half_precision, (self.generator, self.discriminator)))

    @property
    def metrics(self):
        return self.trackers

    def call(self, noise, training=False):
        """The generator's output: what a GAN is for once it is trained."""
        return self.generator(noise, training=training)

    def step(self, batch):
        """Part 1, ``discriminator_steps`` times, then part 2.

        Args:
            batch: (batch, ...) of real data, alone or first in a tuple.

        Returns:
            The averages of the four numbers to watch, a dict of tensors by their names in the history of ``fit``.

        Raises:
            ValueError: for a batch with fewer examples than ``discriminator_steps``, or as ``require_trainable`` does.
        """
        real = ops.cast(keras.utils.unpack_x_y_sample_weight(batch)[0], "float32")
        size = ops.shape(real)[0] // self.discriminator_steps
        if isinstance(size, int) and size == 0:
            raise ValueError(
                f"A batch of {real.shape[0]} is too small for {self.discriminator_steps} discriminator steps."
            )
        for part in range(self.discriminator_steps):
            logs = self.discriminator_step(real[part * size : (part + 1) * size])
        logs |= self.generator_step(size)
        for tracker in self.trackers:
            tracker.update_state(logs[tracker.name])
        return {tracker.name: tracker.result() for tracker in self.trackers}

    def discriminator_step(self, real):
        """Part 1: train the discriminator on real data and as many fakes. Nothing of the generator changes.

        The fakes are normalized with their own statistics, as in part 2, but do not enter the generator's moving
        averages: an idle network learns nothing, these included.

        Args:
            real: (batch, ...).

        Returns:
            A dict of tensors, ``d_loss``, ``real_accuracy`` and ``fake_accuracy``.

        Raises:
            ValueError: as ``require_trainable`` does.
        """
        self.require_trainable("discriminator")
        noise = self.draw_noise(ops.shape(real)[0])
        # It drops what batch norm assigns. On JAX, values from outside of a step have to be handed in.
        with keras.StatelessScope(state_mapping=[(variable, variable.value) for variable in self.variables]):
            fake = self.generator(noise, training=True)

        def loss():
            on_real, on_fake = (self.discriminator(images, training=True) for images in (real, fake))
            return discriminator_loss(on_real, on_fake, self.label_smoothing), on_real, on_fake

        d_loss, on_real, on_fake = self._minimize(loss, self.discriminator, self.d_optimizer)
        return {"d_loss": d_loss, "real_accuracy": _accuracy(on_real > 0), "fake_accuracy": _accuracy(on_fake < 0)}

    def generator_step(self, size):
        """Part 2: train the generator to make fresh fakes pass for real. Nothing of the discriminator changes.

        The gradient passes through the discriminator, in whose own weights and moving averages it leaves no trace.

        Args:
            size: int, how many fakes.

        Returns:
            A dict of one tensor, ``g_loss``.

        Raises:
            ValueError: as ``require_trainable`` does, and for a size that is no whole number from 1.
        """
        self.require_trainable("generator")
        noise = self.draw_noise(size)

        def loss():
            on_fake = self.discriminator(self.generator(noise, training=True), training=True)
            return (generator_loss(on_fake, self.loss_name),)

        (g_loss,) = self._minimize(loss, self.generator, self.g_optimizer)
        return {"g_loss": g_loss}

    def draw_noise(self, size):
        """The next noise of the training.

        Args:
            size: int, how many examples; a scalar tensor in a dataset of batches of any size.

        Returns:
            Tensor (size, latent_dim).

        Raises:
            ValueError: for a size that is no whole number from 1.
        """
        if not ops.is_tensor(size):  # as it is in a dataset of batches of any size
            size = require.whole("size", size)
        return NOISES[self.noise]((size, self.latent_dim), self.noise_seed)

    def _minimize(self, loss, network, optimizer):
        """Take one step down the loss. loss: function to a tuple that begins with a scalar; returned is that tuple."""

        def scaled():
            values = loss()
            return optimizer.scale_loss(values[0]), values

        # What the scale is, on JAX, has to be read like the rest.
        is_scaling = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        read = [*self.variables, *(optimizer.variables if is_scaling else ())]
        variables = network.trainable_variables
        (_, values), gradients = value_and_grad(scaled, variables, keep=network.non_trainable_variables, read=read)
        _apply(optimizer, gradients, variables)
        return values

    def generate(self, count, seed=0):
        """Images from the generator as it is, in inference, on noise from a seed of their own.

        Args:
            count: int, how many, 0 for none.
            seed: int, for the noise.

        Returns:
            float32 (count, ...).

        Raises:
            ValueError: for a count or a seed that is no such number.

        >>> GAN(generator(16), discriminator()).generate(3).shape
        (3, 28, 28, 1)
        """
        count = require.whole("count", count, smallest=0)
        noise = NOISES[self.noise]((max(count, 1), self.latent_dim), _python_seed(seed))
        return training.outputs(self.generator, noise)[:count].astype("float32")

    def fit(self, x, **options):
        """Train on real data, as ``keras.Model.fit`` does, after a look at whether it can work.

        Args:
            x: (examples, ...), or a ``tf.data.Dataset`` of batches, of which the first is looked at.
            **options: as for ``keras.Model.fit``, without labels and validation data.

        Returns:
            The ``History`` of ``d_loss``, ``g_loss`` and the discriminator's ``real_accuracy`` and ``fake_accuracy``.

        Raises:
            ValueError: for an x of another kind, data of another shape or range than the generator's output, too few of
                them, or options that mean nothing to a GAN: labels and validation data.
        """
        for name in ("y", "sample_weight", "validation_data", "validation_split"):
            if options.get(name) is not None:
                raise ValueError(f"A GAN is trained on data alone; leave {name} out.")
        if options.get("batch_size") is not None:
            options["batch_size"] = require.whole("batch_size", options["batch_size"])
        if getattr(x, "shape", ()):
            self.check_data(x, options.get("batch_size") or 32, len(x))
        elif hasattr(x, "element_spec"):
            first = next(iter(x), None)
            self.check_data([] if first is None else keras.utils.unpack_x_y_sample_weight(first)[0], None, None)
        else:
            raise ValueError(
                f"x is a {type(x).__name__}; give an array (examples, ...) or a tf.data.Dataset of batches."
            )
        return super().fit(x, **options)

    def evaluate(self, *arguments, **options):
        """A GAN has nothing to evaluate: it raises ValueError, which says so."""
        raise ValueError(
            "A GAN has no loss to evaluate; measure what it generates, with frechet_distance for instance."
        )

    def check_data(self, x, batch_size, examples):
        """Refuse, before anything trains, what could not work or would train on nonsense.

        Args:
            x: (examples, ...).
            batch_size, examples: int, how many make a batch and how many an epoch; None where unknown.

        Raises:
            ValueError: for no examples; data of another shape or range than the generator's output, or not finite; a
                batch with fewer examples than ``discriminator_steps``; data on which float16 overflows; or noise of
                another shape than was asked for.
        """
        if len(x) == 0:
            raise ValueError("There are no examples; training needs at least one batch of them.")
        made = self.generator.output_shape[1:]
        if tuple(x.shape[1:]) != made:
            raise ValueError(f"The data have shape {tuple(x.shape[1:])}, but the generator makes {made}.")
        left = len(x) if batch_size is None else examples % batch_size or batch_size
        if left < self.discriminator_steps:
            raise ValueError(
                f"{self.discriminator_steps} discriminator steps need as many examples in every batch, but one has "
                f"{left}; choose another batch_size."
            )
        self._check_range(*require.limits("data", ops.convert_to_numpy(x)))
        if self.in_half_precision():
            self._check_half_precision(ops.convert_to_numpy(x))
        drawn = tuple(NOISES[self.noise]((2, self.latent_dim), 0).shape)
        if drawn != (2, self.latent_dim):
            raise ValueError(f"The noise {self.noise!r} has shape {drawn} where (2, {self.latent_dim}) was asked for.")

    def _check_range(self, low, high):
        lowest, highest = self.reach
        slack = 1e-3 * (high - low)
        if low < lowest - slack or high > highest + slack:
            raise ValueError(
                f"The data lie in [{low:g}, {high:g}], but the generator only reaches [{lowest:g}, {highest:g}]; "
                "rescale the data or change the generator's last activation."
            )
        if math.isfinite(highest) and lowest < -slack <= 0 <= low:
            raise ValueError(
                f"The data lie in [{low:g}, {high:g}], but the generator's outputs in [{lowest:g}, {highest:g}]; "
                "the discriminator would tell them apart by that. Rescale the data or change the last activation."
            )

    def _check_half_precision(self, values):
        """Refuse data on which the very first step would overflow: looked at are those with the largest values."""
        sizes = np.abs(values.astype("float32")).reshape(len(values), -1).max(1)
        with keras.StatelessScope():  # drops what batch norm would learn from it
            answers = self.discriminator(ops.cast(values[sizes.argsort()[-32:]], "float32"), training=True)
        if not np.isfinite(ops.convert_to_numpy(ops.cast(answers, "float32"))).all():
            raise ValueError(
                f"The data reach {sizes.max():g}, for which the discriminator's answer is not finite in float16; "
                "rescale the data, or make the networks in float32 or mixed_bfloat16."
            )

    def make_train_function(self, force=False):
        # Keras calls it before every fit and every single batch, and goes on with the function that it already has.
        self.require_trainable("generator", "discriminator")
        return super().make_train_function(force)

    def require_trainable(self, *names):
        """Refuse to train networks of those names if they are frozen, or have changed since they were compiled.

        Args:
            *names: ``"generator"``, ``"discriminator"``, or both.

        Raises:
            ValueError: for such a network, or a GAN that is not compiled.
        """
        if not self.compiled:
            raise ValueError("The GAN has no optimizers yet; compile it first.")
        for name in names:
            if not getattr(self, name).trainable_variables:
                raise ValueError(
                    f"The {name} is frozen and would learn nothing; set its trainable to True: while one network "
                    "trains, a GAN leaves the other alone by itself."
                )
        if tuple(map(id, self.trainable_variables)) != self.compiled_for:
            raise ValueError("Layers were frozen or thawed since the GAN was compiled; compile it again.")

    def save(self, *arguments, **options):
        """Write the GAN to a file, as ``keras.Model.save`` does.

        Args:
            *arguments: as for ``keras.Model.save``.
            **options: as for ``keras.Model.save``.

        Raises:
            ValueError: for a noise that it cannot keep.
        """
        self.get_config()  # raises before Keras opens the file, which empties the one that was there
        return super().save(*arguments, **options)

    def get_config(self):
        return super().get_config() | {
            "generator": keras.saving.serialize_keras_object(self.generator),
            "discriminator": keras.saving.serialize_keras_object(self.discriminator),
            "noise": self.noise,
            **_noise_config(self.noise),
            "discriminator_steps": self.discriminator_steps,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if "noise_function" in config:
            _restore_noise(config["noise"], config.pop("noise_function"))
        networks = {
            name: keras.saving.deserialize_keras_object(config[name]) for name in ("generator", "discriminator")
        }
        return cls(**config | networks)

    def get_compile_config(self):
        if not self.compiled:
            return {}
        return {
            "d_optimizer": keras.saving.serialize_keras_object(self.d_optimizer),
            "g_optimizer": keras.saving.serialize_keras_object(self.g_optimizer),
            "loss": self.loss_name,
            "label_smoothing": self.label_smoothing,
            "steps_per_execution": self.steps_per_execution,
        }

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))

    def save_own_variables(self, store):
        # Keras saves the weights of layers and optimizers, but not where its random numbers have got to.
        for number, state in enumerate(training.random_states(self)):
            store[f"random_state_{number}"] = ops.convert_to_numpy(state)

    def load_own_variables(self, store):
        for number, state in enumerate(training.random_states(self)):
            # Backends keep it in different types; in the narrowest, PyTorch's int32, the same bits stand for the seed.
            state.assign(np.asarray(store[f"random_state_{number}"]).astype("uint32").astype(state.dtype))


class _Both(keras.optimizers.MultiOptimizer):
    """Holds the state of both optimizers, for saving, for restarting and for JAX. Each is applied by itself.

    Unlike Keras's own it takes those that scale their loss. owners: dict from an optimizer to its variables' ids.
    """

    def __init__(self, owners):
        super().__init__(lambda variable: None)
        self.owners = owners

    def build(self, variables):
        for optimizer, own in self._shares(variables):
            if own and not optimizer.built:
                optimizer.build(own)
        keras.optimizers.Optimizer.build(self, variables)

    @property
    def variables(self):
        return super().variables + [variable for optimizer in self.owners for variable in optimizer.variables]

    def finalize_variable_values(self, variables):
        for optimizer, own in self._shares(variables):
            optimizer.finalize_variable_values(own)

    def _shares(self, variables):
        return [(one, [variable for variable in variables if id(variable) in ids]) for one, ids in self.owners.items()]


def _with_loss_scale(optimizer):
    is_scaling = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return optimizer if is_scaling else keras.optimizers.LossScaleOptimizer(optimizer)


def _apply(optimizer, gradients, variables):
    """Let an optimizer change variables. One that scales its loss skips gradients that are not finite."""
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer) or keras.backend.backend() != "jax":
        return optimizer.apply(gradients, variables)
    # There, what is assigned inside of a branch is lost; this returns it.
    values, state = ([variable.value for variable in some] for some in (variables, optimizer.variables))
    new_values, new_state = optimizer.stateless_apply(state, gradients, values)
    for variable, value in zip([*variables, *optimizer.variables], [*new_values, *new_state], strict=True):
        variable.assign(value)


def _accuracy(is_right):
    return ops.mean(ops.cast(is_right, "float32"))


def _require_sizes(image_shape, filters):
    """Both as tuples of Python's integers, which Keras insists on, once they fit together."""
    require.channels_last()
    shape, filters = (tuple(sizes) if np.ndim(sizes) == 1 else (sizes,) for sizes in (image_shape, filters))
    if len(shape) != 3 or not all(require.is_whole(n) and n > 0 for n in shape):
        raise ValueError(f"image_shape is {image_shape!r}; it must be (height, width, channels).")
    if not filters:
        raise ValueError("filters is empty; give the number of channels of at least one layer.")
    filters = tuple(require.whole("filters", number) for number in filters)
    factor = 2 ** len(filters)
    if shape[0] % factor or shape[1] % factor:
        raise ValueError(
            f"Images of {shape[0]}x{shape[1]} cannot be halved {len(filters)} times, once for each entry "
            f"of filters; make both sides multiples of {factor}, or give fewer filters."
        )
    return tuple(map(int, shape)), filters


def _require_pair(generator, discriminator):
    for name, model in (("generator", generator), ("discriminator", discriminator)):
        if not isinstance(model, keras.Model) or not model.built:
            raise ValueError(f"The {name} is no built Keras model; make it with keras.Model(inputs, outputs).")
        shapes = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
        if not all(isinstance(shape, tuple) for shape in shapes):
            raise ValueError(
                f"The {name} must have one input and one output; make it with keras.Model(inputs, outputs)."
            )
    if len(generator.input_shape) != 2:
        raise ValueError(f"The generator takes {generator.input_shape}; it must take noise, (batch, latent_dim).")
    made, judged = generator.output_shape[1:], discriminator.input_shape[1:]
    if len(made) != len(judged) or any(b not in (a, None) for a, b in zip(made, judged, strict=True)):
        raise ValueError(f"The generator makes {made}, but the discriminator judges {judged}; make them alike.")
    if discriminator.output_shape[1:] != (1,):
        raise ValueError(f"The discriminator answers {discriminator.output_shape[1:]}; it must answer one logit, (1,).")
    if any(map(math.isfinite, _reach(discriminator))):
        raise ValueError(
            "The discriminator's last activation is bounded; it must answer a logit: leave the activation out."
        )


def _require_noise(noise):
    if not isinstance(noise, str) or noise not in NOISES:
        raise ValueError(
            f"noise is {noise!r}; it must be one of {', '.join(map(repr, NOISES))}, or be added to NOISES."
        )


def _noise_config(noise):
    """What a file has to know of a noise beside its name: nothing if it comes with the course."""
    function = NOISES[noise]
    if function is _BUILT_IN.get(noise):
        return {}
    if keras.saving.get_registered_object(keras.saving.get_registered_name(function)) is not function:
        raise ValueError(
            f"The noise {noise!r} is a function that a file cannot keep; define it under "
            "@keras.saving.register_keras_serializable(), there and where the file is loaded, or use save_weights."
        )
    return {"noise_function": keras.saving.serialize_keras_object(function)}


def _restore_noise(noise, config):
    function = keras.saving.deserialize_keras_object(config)
    if NOISES.setdefault(noise, function) is not function:
        raise ValueError(
            f"NOISES[{noise!r}] is another function than {function.__name__}, which the file names; set it to that one."
        )


def _python_seed(seed):
    """A seed as Keras takes it: a Python integer, or None, or something that has a state."""
    if require.is_whole(seed):
        return int(seed)
    if seed is not None and not isinstance(seed, keras.random.SeedGenerator):
        raise ValueError(f"seed is {seed!r}; it must be a whole number.")
    return seed


def _in_half_precision(model):
    return any(
        _in_half_precision(layer) if isinstance(layer, keras.Model) else layer.compute_dtype == "float16"
        for layer in model.layers
    )


def _reach(model):
    """The smallest and the largest number that a model can answer, infinite where there is no end or it is not known.

    It is measured: what follows the last layer with weights, which may put out anything, is shown numbers up to a
    hundred, then up to ten thousand. What has still grown in between has no end.
    """
    last = next((layer for layer in reversed(model.layers) if layer.weights), None)
    try:
        rest = _after(last, model)
    except (AttributeError, ValueError):  # no layers that could be told apart, or the answer hangs on others, too
        return -math.inf, math.inf
    # What a layer of one's own calls its activation may be anywhere in it.
    activation = getattr(last, "activation", None) if _keras.comes_from(last) else None
    (low, high), (lowest, highest) = (
        _range_up_to(limit, last.output.shape[1:], lambda x: rest(activation(x) if activation else x))
        for limit in (100, 10_000)
    )
    grown = 0.05 * (highest - lowest)
    return (-math.inf if low - lowest > grown else lowest), (math.inf if highest - high > grown else highest)


def _after(last, model):
    """What a model does with the output of one of its layers, a function."""
    if isinstance(model, keras.Sequential):
        following = model.layers[model.layers.index(last) + 1 :]
        return lambda x: functools.reduce(lambda x, layer: layer(x), following, x)
    return (lambda x: x) if last.output is model.output else keras.Model(last.output, model.output)


def _range_up_to(limit, shape, function):
    """The smallest and the largest of a function's answers to maps of one number each, and of mixed ones."""
    far = np.geomspace(4, limit, 16)
    grid = np.concatenate([-far, np.linspace(-4, 4, 81), far]).astype("float32")
    shape = [size or 4 for size in shape]
    alike = grid.reshape(-1, *[1] * len(shape)) * np.ones(shape, "float32")
    mixed = np.random.default_rng(0).choice(grid, (8, *shape))
    answers = ops.convert_to_numpy(function(ops.convert_to_tensor(np.concatenate([alike, mixed]))))
    return float(answers.min()), float(answers.max())
