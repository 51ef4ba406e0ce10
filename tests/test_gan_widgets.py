"""The two figures of chapter 3: what they compute against coursekit and Keras, and how they are operated."""

import base64
import json
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import ROOT
from keras import layers, ops
from playwright.sync_api import expect

from coursekit import gan
from coursekit.gradients import value_and_grad
from coursekit.widgets import GanPlayground, LatentExplorer


def latent_explorer(shape=(28, 28, 1), latent_dim=5, filters=(6, 4)):
    """A generator that has learned nothing, but whose every number has a value of its own."""
    keras.utils.set_random_seed(0)
    generator = gan.generator(latent_dim, shape, filters=filters)
    random = np.random.default_rng(0)
    generator.set_weights([random.uniform(0.1, 0.4, weights.shape) for weights in generator.get_weights()])
    return LatentExplorer(generator, random.normal(size=latent_dim), random.normal(size=latent_dim))


# The playground


def leaky_mlp(outputs, random):
    hidden = [layer for _ in range(2) for layer in (layers.Dense(32), layers.LeakyReLU(0.2))]
    model = keras.Sequential([keras.Input((2,)), *hidden, layers.Dense(outputs)])
    model.set_weights([random.normal(size=weights.shape) / 3 for weights in model.get_weights()])
    return model


def flat(arrays):
    """One row, from a list of Keras's tensors or of the playground's arrays."""
    return np.concatenate([np.ravel(ops.convert_to_numpy(part)) for part in arrays])


def as_script(model):
    return flat(model.get_weights()).tolist()


NETWORK = """
  const { load, randomizer } = await import("./nn.js");
  const { discriminatorGradients, game, generatorGradients, network } = await import("./gan_playground.js");
  const filled = (outputs, numbers) => {
    const net = network([2, 32, 32, outputs], randomizer(0));
    load(net, Float64Array.from(numbers));
    return net;
  };
  const plain = (arrays) => arrays.map((values) => [...values]);
"""

GRADIENTS = f"""async ([g, d, real, noise, loss]) => {{{NETWORK}
  const [G, D, x, z] = [filled(2, g), filled(1, d), Float64Array.from(real.flat()), Float64Array.from(noise.flat())];
  const one = discriminatorGradients(D, x, G.forward(z).y);
  const two = generatorGradients(G, D, z, loss);
  return [one.loss, plain(one.gradients), one.right, two.loss, plain(two.gradients)];
}}"""


STEPS = f"""async ([g, d, steps]) => {{{NETWORK}
  const play = game();
  load(play.g, Float64Array.from(g));
  load(play.d, Float64Array.from(d));
  const batches = [];
  for (const source of ["real", "noiseFor"]) {{
    const draw = play[source];
    play[source] = (n) => batches[batches.push(draw(n)) - 1];
  }}
  for (let i = 0; i < steps; i += 1) play.step();
  return [plain(batches), plain(play.g.weights), plain(play.d.weights), play.moved];
}}"""


def test_playground_takes_the_steps_of_keras(open_page):
    """Both parts, with Adam as in DCGAN; on the batches that the page has drawn."""
    page = open_page(GanPlayground().html())
    random = np.random.default_rng(0)
    g, d = leaky_mlp(2, random), leaky_mlp(1, random)
    optimizers = {network: keras.optimizers.Adam(0.003, beta_1=0.5) for network in (g, d)}
    batches, g_weights, d_weights, moved = page.evaluate(STEPS, [as_script(g), as_script(d), 10])
    batches = np.reshape(batches, (10, 3, 64, 2)).astype("float32")

    def step(network, loss):
        before, variables = flat(network.weights), network.trainable_variables
        optimizers[network].apply(value_and_grad(loss, variables)[1], variables)
        return np.linalg.norm(flat(network.weights) - before)

    for noise, real, more_noise in batches:
        fake = ops.stop_gradient(g(noise))
        in_d = step(d, lambda: gan.discriminator_loss(d(real), d(fake)))  # noqa: B023 (called at once)
        in_g = step(g, lambda: gan.generator_loss(d(g(more_noise)), "non_saturating"))  # noqa: B023
    np.testing.assert_allclose(flat(g_weights), flat(g.weights), atol=3e-4)
    np.testing.assert_allclose(flat(d_weights), flat(d.weights), atol=3e-4)
    assert moved == {"d": pytest.approx(in_d, rel=1e-2), "g": pytest.approx(in_g, rel=1e-2)}


def test_a_blob_is_covered_by_a_tenth_of_its_share(open_page):
    page = open_page(GanPlayground().html())
    for near, expected in ((4, 1), (5, 2)):  # of a hundred points, half are the even share of two blobs
        points = [[0, 0]] * (100 - near) + [[3, 0.39]] * (near - 1) + [[3, 0]]
        call = f"import('./gan_playground.js').then((m) => m.covered([[0, 0], [3, 0]], {np.ravel(points).tolist()}))"
        assert page.evaluate(call) == expected
    far = f"import('./gan_playground.js').then((m) => m.covered([[0, 0]], {[0.3, 0.3] * 50}))"
    assert page.evaluate(far) == 0


@pytest.mark.parametrize("loss", gan.LOSSES)
def test_playground_has_the_losses_and_gradients_of_coursekit(open_page, loss):
    page = open_page(GanPlayground().html())
    for seed in range(5):
        random = np.random.default_rng(seed)
        g, d = leaky_mlp(2, random), leaky_mlp(1, random)
        real, noise = random.normal(size=(2, 64, 2)).astype("float32")
        arguments = [as_script(g), as_script(d), real.tolist(), noise.tolist(), loss.replace("_", "-")]
        d_loss, d_gradients, right, g_loss, g_gradients = page.evaluate(GRADIENTS, arguments)

        fake = ops.stop_gradient(g(noise))
        wanted, expected = value_and_grad(
            lambda: gan.discriminator_loss(d(real), d(fake)),  # noqa: B023 (called at once)
            d.trainable_variables,
        )
        np.testing.assert_allclose(d_loss, float(wanted), rtol=1e-5)
        np.testing.assert_allclose(flat(d_gradients), flat(expected), rtol=1e-3, atol=1e-5)
        assert right == pytest.approx(
            [np.mean(ops.convert_to_numpy(d(real)) > 0), np.mean(ops.convert_to_numpy(d(fake)) < 0)]
        )
        wanted, expected = value_and_grad(
            lambda: gan.generator_loss(d(g(noise)), loss),  # noqa: B023
            g.trainable_variables,
        )
        np.testing.assert_allclose(g_loss, float(wanted), rtol=1e-5)
        np.testing.assert_allclose(flat(g_gradients), flat(expected), rtol=1e-3, atol=1e-5)


PARTS = """async (part) => {
  const { game } = await import("./gan_playground.js");
  const play = game({ seed: 1 });
  const numbers = (net) => net.weights.flatMap((values) => [...values]);
  const before = { d: numbers(play.d), g: numbers(play.g) };
  for (let i = 0; i < 5; i += 1) play[part]();
  return ["d", "g"].map((who) => numbers(play[who]).filter((value, i) => value !== before[who][i]).length);
}"""


def test_in_the_playground_too_only_one_network_moves(open_page):
    page = open_page(GanPlayground().html())
    in_d, in_g = page.evaluate(PARTS, "part1")
    assert (in_d > 1000, in_g) == (True, 0)
    in_d, in_g = page.evaluate(PARTS, "part2")
    assert (in_d, in_g > 1000) == (0, True)


COVERAGE = """async (rates) => {
  const { covered, game } = await import("./gan_playground.js");
  const blobs = [...Array(8)].map((_, i) => [2 * Math.cos(Math.PI * i / 4), 2 * Math.sin(Math.PI * i / 4)]);
  const play = game({ seed: 0 });
  Object.assign(play.rates, rates);
  for (let i = 0; i < 3000; i += 1) play.step();
  return covered(blobs, play.g.forward(play.noiseFor(1000)).y);
}"""


def test_the_playground_learns_and_collapses(open_page):
    page = open_page(GanPlayground().html())
    assert page.evaluate(COVERAGE, {}) >= 7
    assert page.evaluate(COVERAGE, {"d": 0.0003, "g": 0.01}) <= 2


def test_playground_one_part_at_a_time_by_keyboard(open_page):
    page = open_page(GanPlayground().html())
    says, table = page.get_by_role("status"), page.get_by_role("table")
    expect(says).to_contain_text("Nothing has been trained")
    page.get_by_role("button", name="Part 1").press("Enter")
    expect(says).to_contain_text("The discriminator has trained 1 time, the generator 0.")
    expect(table.get_by_role("row", name="part 1").get_by_role("cell").last).to_have_text("0")
    page.get_by_role("button", name="Part 2").press("Space")
    expect(says).to_contain_text("The discriminator has trained 1 time, the generator 1.")
    expect(table.get_by_role("row", name="part 2").get_by_role("cell").first).to_have_text("0")
    expect(table.get_by_role("row", name="part 2").get_by_role("cell").last).not_to_have_text("0")
    rate = page.get_by_role("slider", name="Generator's learning rate")
    rate.press("End")
    expect(rate).to_have_attribute("aria-valuetext", "0.01")
    page.get_by_role("combobox", name="Real points").select_option("a ring")
    expect(says).to_contain_text("Nothing has been trained")
    expect(says).not_to_contain_text("blobs")
    expect(rate).to_have_attribute("aria-valuetext", "0.01")  # the settings stay


def test_playground_runs_and_pauses(open_page):
    page = open_page(GanPlayground().html())
    page.get_by_role("button", name="Run").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("of 8 blobs")
    page.get_by_role("button", name="Pause").press("Enter")
    said = page.get_by_role("status").inner_text()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.get_by_role("status").inner_text() == said
    page.get_by_role("button", name="Provoke mode collapse").click()
    expect(page.get_by_role("slider", name="Discriminator's")).to_have_attribute("aria-valuetext", "0.0003")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()  # it trains at once
    expect(page.get_by_role("status")).to_contain_text(
        re.compile(r"trained [1-9]\d\d+ times.*The fakes cover [0-2] of 8 blobs"), timeout=60_000
    )
    page.get_by_role("button", name="Pause").press("Enter")


def test_playground_on_points_drawn_by_hand_or_by_keyboard(open_page):
    page = open_page(GanPlayground().html())
    expect(page.get_by_role("button", name="Erase")).to_be_hidden()
    page.get_by_role("combobox", name="Real points").select_option("drawn by you")
    says, field = page.get_by_role("status"), page.get_by_role("application")
    expect(says).to_contain_text("Draw some real points first.")
    page.get_by_role("button", name="Run").click()
    expect(says).to_contain_text("Draw some real points first.")
    field.press("ArrowRight")
    field.press("Space")
    expect(says).to_contain_text("Nothing has been trained")
    field.hover(position={"x": 50, "y": 60})
    page.mouse.down()
    page.mouse.move(300, 500)
    page.mouse.up()
    page.get_by_role("button", name="Part 1").click()
    expect(says).to_contain_text("has trained 1 time")
    page.get_by_role("button", name="Erase").click()
    expect(says).to_contain_text("Draw some real points first.")


# The latent explorer


GENERATE = """async ([blocks, noise]) => {
  const { decode, generate } = await import("./latent_explorer.js");
  const decoded = decode(blocks);
  return noise.map((z) => [...generate(decoded, z)]);
}"""


@pytest.mark.parametrize(("shape", "filters"), [((28, 28, 1), (6, 4)), ((16, 16, 3), (4,)), ((8, 8, 1), (5, 4, 3))])
def test_latent_explorer_makes_the_images_of_keras(open_page, shape, filters):
    explorer = latent_explorer(shape, 5, filters)
    page = open_page(explorer.html())
    noise = np.random.default_rng(1).normal(size=(10, 5)).astype("float32")
    made = page.evaluate(GENERATE, [explorer.blocks, noise.tolist()])
    generator = explorer._generator
    for layer in generator.layers:  # the page has the kernels in half precision
        if hasattr(layer, "kernel"):
            layer.kernel.assign(ops.convert_to_numpy(layer.kernel).astype("float16"))
    expected = ops.convert_to_numpy(generator(noise))
    assert expected.std() > 0.05
    np.testing.assert_allclose(np.reshape(made, expected.shape), expected, atol=1e-5)
    # and against the generator as it was trained
    exact = latent_explorer(shape, 5, filters)._generator(noise)
    np.testing.assert_allclose(np.reshape(made, expected.shape), ops.convert_to_numpy(exact), atol=1e-2)


def test_halves_are_those_of_numpy(open_page):
    page = open_page(latent_explorer().html())
    some = np.array([0, -0.0, 1, -2.5, 65504, 6e-8, -3e-5, 0.1, 1 / 3], "float16")
    text = json.dumps(base64.b64encode(some.tobytes()).decode())
    said = page.evaluate(f"import('./nn.js').then((m) => [...m.halves({text})])")
    np.testing.assert_array_equal(said, some)
    np.testing.assert_array_equal(np.signbit(said), np.signbit(some))


# In each of which one picture of the strip is drawn.
FRAMES = (
    "(count) => new Promise((done) => { const next = () => (count-- ? requestAnimationFrame(next) : done()); next(); })"
)


def test_latent_explorer_by_keyboard(open_page):
    page = open_page(latent_explorer().html())
    picture = page.get_by_role("img", name="The generated picture")

    def pixels():
        return picture.evaluate("(canvas) => canvas.toDataURL()")

    start = pixels()
    first = page.get_by_role("slider", name="z1", exact=False).first
    first.press("End")
    expect(first).to_have_attribute("aria-valuetext", "3.0")
    assert pixels() != start
    way = page.get_by_role("slider", name="On the way from A to B")
    for key in ("End", "Home"):
        way.press(key)
    assert pixels() == start
    way.press("End")
    page.evaluate(FRAMES, 10)
    assert pixels() == page.get_by_role("img", name="100 % of the way").evaluate("(canvas) => canvas.toDataURL()")
    strip = [page.get_by_role("img", name=f"{percent} % of the way") for percent in (17, 50, 100)]
    old = [picture.evaluate("(canvas) => canvas.toDataURL()") for picture in strip]
    page.get_by_role("button", name="New noise").press("Enter")
    page.evaluate(FRAMES, 10)
    assert all(
        picture.evaluate("(canvas) => canvas.toDataURL()") != one for picture, one in zip(strip, old, strict=True)
    )
    first.press("Home")
    new = pixels()
    page.get_by_role("button", name="Keep as B").press("Enter")
    page.evaluate(FRAMES, 10)
    assert new == page.get_by_role("img", name="100 % of the way").evaluate("(canvas) => canvas.toDataURL()")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LatentExplorer(gan.generator(4, (8, 4, 1), filters=(3,)), [0] * 4, [0] * 4), "shows square images"),
        (lambda: LatentExplorer(gan.generator(4, (8, 8, 2), filters=(3,)), [0] * 4, [0] * 4), "1 or 3 channels"),
        (
            lambda: LatentExplorer(gan.generator(4, (8, 8, 1), filters=(3,)), [0] * 4, [0] * 3),
            "must be noise of 4 numbers",
        ),
        (lambda: LatentExplorer(of_other_layers(), [0] * 4, [0] * 4), "this one has other layers"),
        *[
            (lambda name=name, value=value: LatentExplorer(changed(name, value), [0] * 4, [0] * 4), "has other layers")
            for name, value in {"activation": "tanh", "strides": 1, "slope": 0.2, "bias": True, "kernel": 3}.items()
        ],
    ],
)
def test_latent_explorer_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def changed(name, value):
    """A generator as ours, but for one option."""
    options = {"activation": "sigmoid", "strides": 2, "slope": 0.0, "bias": False, "kernel": 4} | {name: value}
    small = [layers.Dense(12, use_bias=options["bias"]), layers.Reshape((2, 2, 3)), layers.BatchNormalization()]
    small += [layers.ReLU(negative_slope=options["slope"])]
    last = layers.Conv2DTranspose(1, options["kernel"], options["strides"], "same", activation=options["activation"])
    return keras.Sequential([keras.Input((4,)), *small, last])


def test_latent_explorer_takes_the_generator_that_the_changed_ones_differ_from():
    assert len(LatentExplorer(changed("kernel", 4), [0] * 4, [0] * 4).blocks) == 2


def of_other_layers():
    small = [layers.Dense(16), layers.Reshape((4, 4, 1)), layers.UpSampling2D()]
    return keras.Sequential([keras.Input((4,)), *small])


@pytest.mark.site
def test_the_bench_times_both_figures_in_the_page():
    """In a process of its own: here a browser runs already."""
    code = (
        "import bench; from coursekit import gan; from coursekit.widgets.gan_explorers import blocks; "
        "print(bench.in_chromium('gan_playground', bench.STEP, 3)); "
        "made = blocks(gan.generator(2, (8, 8, 1), filters=(4, 4))); "
        "print(bench.in_chromium('latent_explorer', bench.PICTURE, [made, [[0, 1]]]))"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tools'}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert [float(line) >= 0 for line in done.stdout.splitlines()] == [True, True], done.stderr
