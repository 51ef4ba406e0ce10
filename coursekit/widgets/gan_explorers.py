"""Chapter 3's figures to operate: a GAN that trains in the page, and a trained generator whose noise can be moved."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import traitlets

from coursekit.widgets.base import FOLDER, Widget, module


class GanPlayground(Widget):
    """A GAN of points in the plane, trained by JavaScript: one part at a time, or running.

    The reader chooses or draws the real points, chooses noise, loss and learning rates, and sees the real and the fake
    points, what the discriminator thinks of every place, where the generator puts the square of noise, and both losses.

    Args:
        seed: int, for the first weights.

    >>> GanPlayground()
    GanPlayground()
    """

    _name = "gan_playground"
    _esm = module(_name)
    seed = traitlets.Int().tag(sync=True, state=True)

    def __init__(self, seed=0):
        super().__init__(seed=seed)

    def __repr__(self):
        return "GanPlayground()"

    def fallback(self):
        """The HTML for readers without JavaScript."""
        picture = base64.b64encode((FOLDER / "gan_playground.png").read_bytes()).decode()
        return (
            "<p><strong>Explore.</strong> With JavaScript, this is a GAN that trains in the page. The picture shows it "
            "after about a thousand steps: real points in eight blobs, the fakes, what the discriminator thinks of "
            "every place, and the square of noise as the generator bends it.</p>"
            f'<img src="data:image/png;base64,{picture}" alt="Eight blobs of real points on a circle, with fakes on '
            'most of them; a bent grid connects the blobs." width="300">'
        )


class LatentExplorer(Widget):
    """A trained generator in the page: move each number of the noise, or walk from one picture to another.

    The kernels are sent in half precision: what the page shows is the generator with its kernels rounded to it.

    Args:
        generator: a model as ``coursekit.gan.generator`` makes it, for square images, gray or in color.
        start, end: noise (latent_dim,), rounded to tenths from -3 to 3.

    Raises:
        ValueError: for another kind of model or size of the noise.
    """

    _name = "latent_explorer"
    _esm = module(_name)
    blocks = traitlets.List().tag(sync=True, state=True)
    start = traitlets.List().tag(sync=True, state=True)
    end = traitlets.List().tag(sync=True, state=True)

    def __init__(self, generator, start, end):
        latent_dim, shape = generator.input_shape[-1], generator.output_shape[1:]
        if len(shape) != 3 or shape[0] != shape[1] or shape[2] not in (1, 3):
            raise ValueError(f"The generator makes {shape}; the explorer shows square images of 1 or 3 channels.")
        ends = [np.clip(np.round(np.asarray(noise, "float64"), 1), -3, 3) + 0.0 for noise in (start, end)]
        if any(noise.shape != (latent_dim,) for noise in ends):
            raise ValueError(f"start and end must be noise of {latent_dim} numbers each.")
        self._walk = np.linspace(*ends, 10)
        self._generator = generator
        super().__init__(blocks=blocks(generator), start=ends[0].tolist(), end=ends[1].tolist())

    def __repr__(self):
        return f"LatentExplorer({len(self.start)} numbers)"

    def fallback(self):
        """The HTML for readers without JavaScript."""
        from coursekit import training

        images = np.hstack(training.outputs(self._generator, self._walk.astype("float32")))
        buffer = io.BytesIO()
        plt.imsave(buffer, images.squeeze(), cmap="gray", vmin=0, vmax=1, metadata={"Software": None})
        picture = base64.b64encode(buffer.getvalue()).decode()
        return (
            "<p><strong>Explore.</strong> With JavaScript, this is a generator to operate: a slider for each number of "
            "its noise. The pictures lie on the way from one noise to another.</p>"
            f'<img src="data:image/png;base64,{picture}" alt="Ten generated pictures; each changes a little into the '
            'next." width="560">'
        )


# What decides, in each kind of layer, how the page has to compute it.
OPTIONS = {
    "Dense": ("activation", "use_bias"),
    "Conv2DTranspose": ("kernel_size", "strides", "padding", "activation", "use_bias"),
    "BatchNormalization": ("scale", "center"),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "Reshape": ("target_shape",),
}


def blocks(generator):
    """The generator as a list of linear maps, each with a scale and a shift a channel, in the form that the page reads.

    Raises ValueError for a model that is not built as ``coursekit.gan.generator`` builds it.
    """
    layers = [layer for layer in generator.layers if type(layer).__name__ != "InputLayer"]
    if outline(layers) != outline(twin(generator).layers[1:]):
        raise ValueError(
            "The page knows only generators as coursekit.gan.generator makes them; this one has other layers."
        )
    found = []
    for layer in layers:
        kind = type(layer).__name__
        if kind in ("Dense", "Conv2DTranspose"):
            found.append(linear(layer, kind))
        elif kind == "BatchNormalization":
            normalize(found[-1], layer)
    return [{name: packed(name, value) for name, value in block.items()} for block in found]


def outline(layers):
    """The kinds of the layers, each with the options that matter."""
    kinds = [(type(layer).__name__, layer.get_config()) for layer in layers]
    return [(kind, *(config[option] for option in OPTIONS.get(kind, ()))) for kind, config in kinds]


def twin(generator):
    """What ``coursekit.gan.generator`` makes for the same noise, images and filters."""
    from coursekit import cost, gan

    filters = [layer.kernel.shape[-1] for layer in generator.layers if type(layer).__name__ == "Conv2DTranspose"]
    build = cost.undrawn(gan.generator)
    return build(generator.input_shape[-1], generator.output_shape[1:], filters=filters or (1,))


def linear(layer, kind):
    kernel = np.asarray(layer.kernel)
    outputs = kernel.shape[-1] if kind == "Dense" else kernel.shape[-2]
    bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(outputs)  # the last one's
    block = {"kernel": kernel, "scale": np.ones(outputs), "shift": bias, "inputs": kernel.shape[-1], "outputs": outputs}
    if kind == "Dense":
        return block | {"inputs": kernel.shape[0]}
    return block | {"width": kernel.shape[0], "size": layer.input.shape[1]}


def normalize(block, layer):
    """Batch norm in inference is a scale and a shift a channel."""
    scale = np.asarray(layer.gamma) / np.sqrt(np.asarray(layer.moving_variance) + layer.epsilon)
    block |= {"scale": scale, "shift": np.asarray(layer.beta) - np.asarray(layer.moving_mean) * scale}


def packed(name, value):
    if isinstance(value, int):
        return value
    kind = {"kernel": "<f2", "scale": "<f4", "shift": "<f4"}[name]
    return base64.b64encode(np.ascontiguousarray(value, kind).tobytes()).decode()
