"""GANs: the training step against one written out in NumPy, who is idle when, saving, and measures against SciPy's."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import ROOT, numpy
from hypothesis import given
from hypothesis import strategies as st
from keras import layers, ops
from numpy.testing import assert_allclose, assert_array_equal

from coursekit import gan, metrics, training

LATENT, HIDDEN, WIDTH = 3, 5, 2


def dense(inputs, outputs, hidden=HIDDEN, extra=()):
    """A network of two dense layers, the smallest that has something between input and output."""
    first = layers.Dense(hidden, "tanh", bias_initializer="normal")
    return keras.Sequential([keras.Input((inputs,)), first, *extra, layers.Dense(outputs)])


def small_gan(seed=0, extra=(), **options):
    keras.utils.set_random_seed(seed)
    return gan.GAN(dense(LATENT, WIDTH), dense(WIDTH, 1, extra=extra), seed=seed, **options)


def compiled(model, loss="non_saturating", rate=0.1, **options):
    model.compile(keras.optimizers.SGD(rate), keras.optimizers.SGD(rate), loss, jit_compile=False, **options)
    return model


def dcgan(seed=0, shape=(8, 8, 1), **options):
    keras.utils.set_random_seed(seed)
    networks = gan.generator(4, shape, filters=(4, 3)), gan.discriminator(shape, filters=(3, 4))
    model = gan.GAN(*networks, seed=seed, **options)
    model.compile(keras.optimizers.Adam(1e-3, 0.5), keras.optimizers.Adam(1e-3, 0.5))
    return model


def images(count, shape=(8, 8, 1), seed=0):
    some = np.random.default_rng(seed).random((count, *shape)).astype("float32")
    return (some - some.min()) / (some.max() - some.min())


def points(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, WIDTH)).astype("float32")


def state(network):
    """All that a network knows: weights and moving averages."""
    return [numpy(variable) for variable in network.variables if variable.name != "seed_generator_state"]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture
def fixed_noise(monkeypatch):
    """Noise that is the same on every backend: the same numbers whenever it is drawn."""
    monkeypatch.setitem(gan.NOISES, "fixed", lambda shape, seed: noise_table()[: shape[0], : shape[1]])
    return "fixed"


def noise_table():
    return ops.convert_to_tensor(np.random.default_rng(5).normal(size=(64, 8)).astype("float32"))


# The networks


@pytest.mark.parametrize(("shape", "filters"), [((28, 28, 1), (8, 4)), ((32, 32, 3), (8, 6, 4)), ((8, 4, 2), (3,))])
def test_networks_of_every_size(shape, filters):
    made = gan.generator(7, shape, filters=filters)(keras.random.normal((2, 7)))
    assert made.shape == (2, *shape)
    assert 0 <= numpy(made).min() <= numpy(made).max() <= 1
    assert gan.discriminator(shape, filters=filters[::-1])(made).shape == (2, 1)


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def test_networks_follow_the_rules_of_dcgan():
    made, judging = gan.generator(16), gan.discriminator()
    assert kinds(made) == [
        *("InputLayer", "Dense", "Reshape", "BatchNormalization", "ReLU"),
        *("Conv2DTranspose", "BatchNormalization", "ReLU", "Conv2DTranspose"),
    ]
    assert kinds(judging) == [
        *("InputLayer", "Rescaling", "Conv2D", "LeakyReLU", "Conv2D", "BatchNormalization", "LeakyReLU"),
        *("Flatten", "Dense"),
    ]
    slopes = [layer.negative_slope for layer in judging.layers if isinstance(layer, layers.LeakyReLU)]
    assert slopes == pytest.approx([0.2, 0.2])
    kernels = [numpy(layer.kernel) for layer in [*made.layers, *judging.layers] if hasattr(layer, "kernel")]
    assert np.std(np.concatenate([kernel.ravel() for kernel in kernels])) == pytest.approx(0.02, rel=0.05)
    assert [layer.output.shape[1:] for layer in judging.layers if isinstance(layer, layers.Conv2D)] == [
        (14, 14, 16),
        (7, 7, 32),
    ]


def test_the_discriminator_sees_images_between_minus_one_and_one():
    model = gan.discriminator((4, 4, 1), filters=(3,))
    gray = np.array([0, 0.5, 1], "float32").reshape(3, 1, 1, 1) * np.ones((4, 4, 1), "float32")
    scaled = keras.Model(model.input, model.layers[1].output)(gray)
    assert_allclose(numpy(scaled)[:, 0, 0, 0], [-1, 0, 1])


# The losses


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.asarray(logits, "float64")))


logits = st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=6).map(
    lambda some: np.array(some, "float32")[:, None]
)


@given(logits, logits, st.floats(0, 0.4))
def test_losses_are_the_formulas(on_real, on_fake, smoothing):
    real, fake = sigmoid(on_real), sigmoid(on_fake)
    target = 1 - smoothing
    expected = -np.mean(target * np.log(real) + (1 - target) * np.log(1 - real)) - np.mean(np.log(1 - fake))
    assert_allclose(numpy(gan.discriminator_loss(on_real, on_fake, smoothing)), expected, rtol=2e-4, atol=1e-5)
    assert_allclose(numpy(gan.generator_loss(on_fake)), -np.mean(np.log(fake)), rtol=2e-4, atol=1e-5)
    assert_allclose(numpy(gan.generator_loss(on_fake, "minimax")), np.mean(np.log(1 - fake)), rtol=2e-3, atol=1e-5)


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="loss is 'wasserstein'; it must be one of 'non_saturating', 'minimax'"):
        gan.generator_loss(np.zeros((2, 1), "float32"), "wasserstein")


def test_losses_stay_finite_where_the_discriminator_is_certain():
    certain = np.array([[200.0]], "float32")
    assert numpy(gan.discriminator_loss(-certain, certain)) == pytest.approx(400)
    assert numpy(gan.generator_loss(-certain)) == pytest.approx(200)
    assert abs(numpy(gan.generator_loss(-certain, "minimax"))) < 1e-6


# The step, against one in NumPy


def forward(weights, x):
    w1, b1, w2, b2 = weights
    hidden = np.tanh(x @ w1 + b1)
    return hidden, hidden @ w2 + b2


def backward(weights, x, hidden, upstream):
    """Gradients of the weights, then of x."""
    w1, _, w2, _ = weights
    inner = (upstream @ w2.T) * (1 - hidden**2)
    return [x.T @ inner, inner.sum(0), hidden.T @ upstream, upstream.sum(0)], inner @ w1.T


def reference_step(d, g, real, noise, rate, loss, smoothing=0.0):
    """One step of both parts by gradient descent; returns the new weights and both losses."""
    size = len(real)
    _, fake = forward(g, noise)
    d_loss, total = 0.0, [np.zeros_like(weights) for weights in d]
    for x, target in ((real, 1 - smoothing), (fake, 0.0)):
        hidden, answer = forward(d, x)
        p = sigmoid(answer)
        d_loss -= np.mean(target * np.log(p) + (1 - target) * np.log(1 - p))
        total = [sum(pair) for pair in zip(total, backward(d, x, hidden, (p - target) / size)[0], strict=True)]
    d = [weights - rate * gradient for weights, gradient in zip(d, total, strict=True)]

    hidden_g, fake = forward(g, noise)
    hidden_d, answer = forward(d, fake)
    p = sigmoid(answer)
    g_loss = -np.mean(np.log(p)) if loss == "non_saturating" else np.mean(np.log(1 - p))
    upstream = (p - 1 if loss == "non_saturating" else -p) / size
    on_fake = backward(d, fake, hidden_d, upstream)[1]
    gradients = backward(g, noise, hidden_g, on_fake)[0]
    return d, [weights - rate * gradient for weights, gradient in zip(g, gradients, strict=True)], d_loss, g_loss


@pytest.mark.parametrize("loss", gan.LOSSES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_step_is_the_one_written_out(fixed_noise, loss, smoothing):
    model = compiled(small_gan(noise=fixed_noise), loss, label_smoothing=smoothing)
    d, g = state(model.discriminator), state(model.generator)
    noise = numpy(noise_table())[:16, :LATENT]
    for step in range(3):
        real = points(16, step)
        logs = model.train_on_batch(real, return_dict=True)
        d, g, *losses = reference_step(d, g, real, noise, 0.1, loss, smoothing)
        assert_allclose([logs["d_loss"], logs["g_loss"]], losses, rtol=1e-4)
    for ours, expected in zip(state(model.discriminator) + state(model.generator), d + g, strict=True):
        assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


def test_accuracies_are_those_of_the_answers(fixed_noise):
    model = compiled(small_gan(noise=fixed_noise))
    real, fake = points(64), model.generator(noise_table()[:64, :LATENT])
    on_real, on_fake = (numpy(model.discriminator(x)) for x in (real, fake))
    logs = model.discriminator_step(real)
    assert_allclose(numpy(logs["real_accuracy"]), np.mean(on_real > 0), rtol=1e-6)
    assert_allclose(numpy(logs["fake_accuracy"]), np.mean(on_fake < 0), rtol=1e-6)


def test_several_discriminator_steps_each_get_their_own_part_of_the_batch():
    real = points(12)
    model, by_hand = (compiled(small_gan(discriminator_steps=k)) for k in (3, 1))
    model.train_on_batch(real)
    for part in np.split(real, 3):
        by_hand.discriminator_step(part)
    by_hand.generator_step(4)
    for ours, expected in zip(state(model), state(by_hand), strict=True):
        assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


# Who is idle when


@pytest.mark.parametrize("make", [dcgan, lambda: compiled(small_gan(extra=[layers.Dropout(0.5)]))])
def test_the_idle_network_is_bit_identical(make):
    model = make()
    real = images(16) if model.latent_dim == 4 else points(16)
    for _ in range(3):
        d, g = state(model.discriminator), state(model.generator)
        model.discriminator_step(real)
        assert same(state(model.generator), g)
        assert not any(np.array_equal(a, b) for a, b in zip(state(model.discriminator), d, strict=True))
        d = state(model.discriminator)
        model.generator_step(16)
        assert same(state(model.discriminator), d)
        assert not any(np.array_equal(a, b) for a, b in zip(state(model.generator), g, strict=True))


def test_a_generator_with_learning_rate_zero_keeps_its_weights_in_fit():
    model = dcgan()
    model.compile(keras.optimizers.Adam(1e-3), keras.optimizers.SGD(0.0))
    trainable = [numpy(variable) for variable in model.generator.trainable_variables]
    model.fit(images(64), epochs=2, verbose=0)
    assert same([numpy(variable) for variable in model.generator.trainable_variables], trainable)


def averages(network):
    return [numpy(variable) for variable in network.non_trainable_variables if "moving" in variable.path]


def test_batch_norm_averages_move_with_the_part_that_trains(fixed_noise):
    model = dcgan(noise=fixed_noise)
    real, noise = images(16), noise_table()[:16, :4]
    with keras.StatelessScope():
        fake = model.generator(noise, training=True)
    twin = dcgan(noise=fixed_noise)
    for batch in (real, fake):
        twin.discriminator(batch, training=True)
    model.discriminator_step(real)
    for ours, expected in zip(averages(model.discriminator), averages(twin.discriminator), strict=True):
        assert_allclose(ours, expected, rtol=1e-5, atol=1e-7)
    twin.generator(noise, training=True)
    model.generator_step(16)
    for ours, expected in zip(averages(model.generator), averages(twin.generator), strict=True):
        assert_allclose(ours, expected, rtol=1e-5, atol=1e-7)


def test_dropout_draws_anew_in_every_step(fixed_noise):
    model = compiled(small_gan(extra=[layers.Dropout(0.5)], noise=fixed_noise), rate=0.0)
    losses = [float(model.discriminator_step(points(16))["d_loss"]) for _ in range(3)]
    assert len(set(losses)) == 3


def test_both_networks_judge_and_make_in_training_mode(fixed_noise):
    model = dcgan(noise=fixed_noise)
    model.compile(keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.0))
    real, noise = images(16), noise_table()[:16, :4]
    with keras.StatelessScope():
        fake = model.generator(noise, training=True)
        on_real, on_fake = (model.discriminator(x, training=True) for x in (real, fake))
    d_loss, g_loss = gan.discriminator_loss(on_real, on_fake), gan.generator_loss(on_fake)
    assert_allclose(numpy(model.discriminator_step(real)["d_loss"]), numpy(d_loss), rtol=1e-5)
    assert_allclose(numpy(model.generator_step(16)["g_loss"]), numpy(g_loss), rtol=1e-5)


def test_what_is_generated_comes_from_inference():
    model = dcgan()
    model.fit(images(64), epochs=1, verbose=0)
    noise = gan.NOISES["normal"]((5, 4), 7)
    for made in (model.generate(5, seed=7), model.predict(noise, verbose=0)):
        assert_allclose(made, numpy(model.generator(noise, training=False)), rtol=1e-4, atol=1e-6)


# Noise


@pytest.mark.parametrize("name", sorted(gan.NOISES))
def test_every_noise_has_mean_zero_and_variance_one(name):
    drawn = numpy(gan.NOISES[name]((200_000,), 0))
    assert abs(drawn.mean()) < 0.01
    assert drawn.var() == pytest.approx(1, abs=0.01)


def test_noise_of_ones_own_is_a_line(monkeypatch):
    monkeypatch.setitem(gan.NOISES, "coin", lambda shape, seed: ops.sign(keras.random.normal(shape, seed=seed)))
    model = compiled(small_gan(noise="coin"))
    assert set(np.unique(numpy(model.draw_noise(50)))) == {-1, 1}
    model.fit(points(64), epochs=1, verbose=0)


def test_noise_comes_from_the_seed_and_never_twice():
    one, same_seed, other = (small_gan(), small_gan(), gan.GAN(dense(LATENT, WIDTH), dense(WIDTH, 1), seed=1))
    first, second = numpy(one.draw_noise(4)), numpy(one.draw_noise(4))
    assert_array_equal(first, numpy(same_seed.draw_noise(4)))
    assert not np.allclose(first, second)
    assert not np.allclose(first, numpy(other.draw_noise(4)))


def test_looking_at_images_does_not_change_the_training():
    one, other = (compiled(small_gan()) for _ in range(2))
    made = one.generate(700, seed=3)
    assert made.shape == (700, WIDTH)
    assert_array_equal(made, one.generate(700, seed=3))
    assert not np.array_equal(made, one.generate(700, seed=4))
    for model in (one, other):
        model.fit(points(64), epochs=1, shuffle=False, verbose=0)
    assert same(state(one), state(other))


# Frozen networks


@pytest.mark.parametrize("name", ["generator", "discriminator"])
@pytest.mark.parametrize("recompiled", [False, True])
def test_a_frozen_network_is_refused(name, recompiled):
    model = compiled(small_gan())
    model.train_on_batch(points(8))
    getattr(model, name).trainable = False
    if recompiled:
        compiled(model)
    part = model.generator_step if name == "generator" else model.discriminator_step
    for train in (model.fit, model.train_on_batch, lambda x: part(8 if name == "generator" else x)):
        with pytest.raises(
            ValueError, match=f"The {name} is frozen and would learn nothing; set its trainable to True"
        ):
            train(points(8))
    getattr(model, name).trainable = True
    if recompiled:
        with pytest.raises(
            ValueError, match="Layers were frozen or thawed since the GAN was compiled; compile it again"
        ):
            model.fit(points(8), verbose=0)
        compiled(model)
    before = state(getattr(model, name))
    model.train_on_batch(points(8))
    assert not same(state(getattr(model, name)), before)


def test_a_layer_frozen_before_compiling_stays_and_afterwards_is_refused():
    model = small_gan()
    model.generator.layers[0].trainable = False
    compiled(model)
    frozen, free = (state(layer) for layer in model.generator.layers)
    model.fit(points(32), verbose=0)
    assert same(state(model.generator.layers[0]), frozen)
    assert not same(state(model.generator.layers[1]), free)
    model.discriminator.layers[0].trainable = False
    with pytest.raises(ValueError, match="compile it again"):
        model.fit(points(32), verbose=0)


def test_a_gan_that_is_not_compiled_says_so():
    with pytest.raises(ValueError, match="The GAN has no optimizers yet; compile it first"):
        small_gan().generator_step(4)


# Half precision


@pytest.mark.parametrize("name", ["mixed_float16", "mixed_bfloat16"])
def test_a_gan_trains_in_mixed_precision(policy, name):
    policy(name)
    model = dcgan()
    assert [layer.compute_dtype for layer in model.generator.layers[1:]] == [name.removeprefix("mixed_")] * 8
    before = state(model.discriminator) + state(model.generator)
    for step in range(4):  # in the first, what one logit's bias gets from real and fake data cancels
        logs = model.train_on_batch(images(16, seed=step), return_dict=True)
    assert np.isfinite([*logs.values()]).all()
    assert logs["d_loss"] == pytest.approx(np.log(4), abs=0.2)
    after = state(model.discriminator) + state(model.generator)
    assert np.isfinite(np.concatenate([values.ravel() for values in after])).all()
    assert not any(np.array_equal(old, new) for old, new in zip(before, after, strict=True))
    assert model.generate(2).dtype == "float32"


def twins(policy, **options):
    """The same GAN in float32 and in mixed_float16."""
    pair = []
    for name in ("float32", "mixed_float16"):
        policy(name)
        pair.append(compiled(small_gan(), **options))
    return pair


def test_gradients_too_small_for_float16_arrive(policy, fixed_noise):
    moves = []
    for model in twins(policy, loss="minimax", rate=1e7):
        bias = model.discriminator.layers[-1].bias
        bias.assign(bias - 19)  # certain of every fake: the gradient at its answer is 1e-9, and 6e-8 is the smallest
        before = state(model.generator)
        model.draw_noise = lambda size: noise_table()[:size, :LATENT]
        model.generator_step(16)
        moves.append([new - old for old, new in zip(before, state(model.generator), strict=True)])
    for in_single, in_half in zip(*moves, strict=True):
        assert np.abs(in_single).max() > 1e-4
        assert_allclose(in_half, in_single, rtol=0.1, atol=0.02 * np.abs(in_single).max())


def test_gradients_too_large_for_float16_are_skipped_until_the_scale_fits(policy):
    policy("mixed_float16")
    model = compiled(small_gan())
    model.d_optimizer.dynamic_scale.assign(2.0**40)
    start = state(model.discriminator)
    logs = model.train_on_batch(points(16), return_dict=True)
    assert same(state(model.discriminator), start)
    assert float(numpy(model.d_optimizer.dynamic_scale)) == 2.0**39
    assert np.isfinite([*logs.values()]).all()
    for step in range(30):
        model.train_on_batch(points(16, step))
    assert not same(state(model.discriminator), start)
    assert np.isfinite(np.concatenate([values.ravel() for values in state(model)])).all()
    assert 2.0**10 < float(numpy(model.d_optimizer.dynamic_scale)) < 2.0**30
    assert float(numpy(model.g_optimizer.dynamic_scale)) == 2.0**15


def test_the_scale_of_the_loss_is_saved_and_restarted(policy, tmp_path):
    policy("mixed_float16")
    model = compiled(small_gan())
    start = model.get_weights()
    model.g_optimizer.dynamic_scale.assign(512.0)
    model.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert [float(numpy(one.dynamic_scale)) for one in (loaded.d_optimizer, loaded.g_optimizer)] == [2.0**15, 512]
    for each in (model, loaded):
        each.generator_step(16)
    assert same(state(model), state(loaded))
    training.restart(model, start)
    assert float(numpy(model.g_optimizer.dynamic_scale)) == 2.0**15


def test_data_too_large_for_float16_are_refused_and_in_bfloat16_not(policy):
    far = 1e6 * points(8)
    for name in ("float32", "mixed_bfloat16"):
        policy(name)
        compiled(small_gan()).check_data(far, 8, 8)
    policy("mixed_float16")
    compiled(small_gan()).check_data(points(8), 8, 8)
    with pytest.raises(
        ValueError, match=r"The data reach .*e\+06, for which the discriminator's answer is not finite in"
    ):
        compiled(small_gan()).fit(far, verbose=0)


def test_losses_of_answers_in_half_precision_are_finite_and_single():
    answers = np.array([[np.inf], [-np.inf], [70.0], [0.1]], "float16")
    losses = [
        gan.discriminator_loss(answers, answers),
        gan.generator_loss(answers),
        gan.generator_loss(answers, "minimax"),
    ]
    assert [keras.backend.standardize_dtype(loss.dtype) for loss in losses] == ["float32"] * 3
    assert np.isfinite([numpy(loss) for loss in losses]).all()
    assert numpy(gan.generator_loss(answers)) == pytest.approx(
        (65504 + np.log1p(np.exp(-float(np.float16(0.1))))) / 4, rel=1e-6
    )
    in_bfloat16 = ops.cast(np.array([[300.0], [1.0]]), "bfloat16")
    assert numpy(gan.generator_loss(-in_bfloat16)) == pytest.approx((300 + np.log1p(np.e)) / 2, rel=1e-6)


# Fitting, saving, going on


def test_fit_is_reproducible_and_reports_the_four_numbers():
    histories = [training.fit(dcgan(), images(96), epochs=2, seed=4, batch_size=16) for _ in range(2)]
    assert set(histories[0]) == {"d_loss", "g_loss", "real_accuracy", "fake_accuracy"}
    for name, values in histories[0].items():
        assert values.shape == (2,)
        assert_array_equal(values, histories[1][name])


def test_a_history_is_the_mean_over_the_batches(fixed_noise):
    one, other = (compiled(small_gan(noise=fixed_noise)) for _ in range(2))
    of_fit = one.fit(points(48), batch_size=16, epochs=1, shuffle=False, verbose=0).history
    of_batches = [other.train_on_batch(part, return_dict=True) for part in np.split(points(48), 3)]
    for name, (value,) in of_fit.items():
        assert value == pytest.approx(np.mean([logs[name] for logs in of_batches]), rel=1e-5)


def test_a_gan_can_be_saved_before_it_is_compiled(tmp_path):
    model = small_gan()
    model.save(tmp_path / "gan.keras")
    assert_array_equal(keras.saving.load_model(tmp_path / "gan.keras").generate(5), model.generate(5))


def test_restart_forgets_the_first_run():
    model = dcgan()
    start = model.get_weights()
    ends = []
    for _ in range(2):
        training.restart(model, start)
        training.fit(model, images(64), epochs=2, seed=0)
        ends.append(state(model))
    assert same(*ends)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_a_loaded_gan_goes_on_as_the_saved_one_would(tmp_path, suffix):
    def make():
        model = small_gan(extra=[layers.Dropout(0.5, seed=1)], noise="uniform", discriminator_steps=2)
        model.compile(keras.optimizers.Adam(0.01), keras.optimizers.RMSprop(0.02), "minimax", label_smoothing=0.1)
        return model

    model = make()
    model.fit(points(96), epochs=2, shuffle=False, verbose=0)
    path = tmp_path / f"gan{suffix}"
    if suffix == ".keras":
        model.save(path)
        loaded = keras.saving.load_model(path)
    else:
        model.save_weights(path)
        loaded = make()
        loaded.load_weights(path)
    assert (loaded.noise, loaded.discriminator_steps, loaded.loss_name, loaded.label_smoothing) == (
        *("uniform", 2, "minimax", 0.1),
    )
    assert_array_equal(loaded.generate(5), model.generate(5))
    for each in (model, loaded):
        each.fit(points(96), epochs=2, shuffle=False, verbose=0)
    assert same(state(model), state(loaded))


# Saving where the noise is one's own

COIN = """
import keras
from coursekit import gan

@keras.saving.register_keras_serializable("tests")
def coin(shape, seed):
    return keras.ops.sign(keras.random.normal(shape, seed=seed))
"""
LOAD = """
import sys
import numpy as np
import coin
from coursekit import gan
model = coin.keras.saving.load_model("gan.keras")
again = gan.GAN(model.generator, model.discriminator, noise="coin")  # loading has made it known
before = model.generate(5)
again.set_weights([0 * weights for weights in again.get_weights()])
again.load_weights("gan.weights.h5")
np.savez("made.npz", before, again.generate(5), model.draw_noise(4))
"""


def registered_coin():
    names = {}
    exec(COIN, names)
    return names["coin"]


def test_a_registered_noise_is_loaded_in_another_process(tmp_path, monkeypatch):
    monkeypatch.setitem(gan.NOISES, "coin", registered_coin())
    model = compiled(small_gan(noise="coin"))
    model.draw_noise(4)
    model.save(tmp_path / "gan.keras")
    model.save_weights(tmp_path / "gan.weights.h5")
    (tmp_path / "coin.py").write_text(COIN)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    subprocess.run([sys.executable, "-c", LOAD], check=True, cwd=tmp_path, env=environment)
    with np.load(tmp_path / "made.npz") as made:
        for there in (made["arr_0"], made["arr_1"]):
            assert_allclose(there, model.generate(5), rtol=1e-5, atol=1e-6)
        assert_array_equal(made["arr_2"], model.draw_noise(4))


def test_a_noise_that_a_file_cannot_keep_is_refused_and_the_old_file_stays(tmp_path, monkeypatch):
    path = tmp_path / "gan.keras"
    small_gan().save(path)
    before = path.read_bytes()
    monkeypatch.setitem(gan.NOISES, "coin", lambda shape, seed: ops.sign(keras.random.normal(shape, seed=seed)))
    monkeypatch.setitem(gan.NOISES, "normal", lambda shape, seed: ops.zeros(shape))  # not the one of the course
    for name in ("coin", "normal"):
        model = small_gan(noise=name)
        with pytest.raises(
            ValueError, match=rf"The noise '{name}' is a function that a file cannot keep; define it under"
        ):
            model.save(path)
        model.save_weights(tmp_path / "gan.weights.h5")
    assert path.read_bytes() == before


def test_a_noise_of_the_same_name_is_not_taken_for_the_saved_one(tmp_path, monkeypatch):
    monkeypatch.setitem(gan.NOISES, "coin", registered_coin())
    small_gan(noise="coin").save(tmp_path / "gan.keras")
    monkeypatch.setitem(gan.NOISES, "coin", lambda shape, seed: ops.ones(shape))
    with pytest.raises(ValueError, match=r"NOISES\['coin'\] is another function than coin, which the file names"):
        keras.saving.load_model(tmp_path / "gan.keras")


class Interrupted(Exception):
    pass


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise Interrupted


def test_an_interrupted_training_goes_on_where_it_was(tmp_path):
    def fit(model, *callbacks):
        model.fit(images(64), epochs=4, shuffle=False, verbose=0, callbacks=[*callbacks])
        return state(model)

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    with pytest.raises(Interrupted):
        fit(dcgan(), backup(), Interrupt())
    assert same(fit(dcgan(), backup()), fit(dcgan()))


def test_fit_takes_a_dataset_of_batches():
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensor_slices(points(64)).batch(16)
    one, other = (compiled(small_gan()) for _ in range(2))
    one.fit(batches, epochs=1, verbose=0)
    other.fit(points(64), batch_size=16, epochs=1, shuffle=False, verbose=0)
    # Compiled for batches of any size and of 16: not to the last bit the same.
    for from_dataset, from_array in zip(state(one), state(other), strict=True):
        assert_allclose(from_dataset, from_array, rtol=1e-4, atol=1e-6)


def test_a_small_gan_learns_where_the_data_are():
    model = small_gan()
    model.compile(keras.optimizers.Adam(5e-3, 0.5), keras.optimizers.Adam(5e-3, 0.5))
    far = np.array([4.0, -3.0])
    before = np.linalg.norm(model.generate(1000).mean(0) - far)
    training.fit(model, points(1000) + far.astype("float32"), epochs=12, seed=0)
    assert np.linalg.norm(model.generate(1000).mean(0) - far) < 0.3 * before


# The same on another backend

ELSEWHERE = """
import sys
import numpy as np
import test_gan
losses, gradients = test_gan.losses_and_gradients(np.load(sys.argv[1]))
np.savez(sys.argv[2], *losses, *gradients)
"""


def losses_and_gradients(weights):
    """Both losses of a DCGAN, and their gradients: of the discriminator's weights, of the generator's through it.

    Gradient descent at rate 1 moves every weight by its gradient.
    """
    model = dcgan()
    model.compile(keras.optimizers.SGD(1.0), keras.optimizers.SGD(1.0))
    model.draw_noise = lambda size: noise_table()[:size, :4]
    model.set_weights([weights[name] for name in weights])
    before = [numpy(variable) for variable in model.trainable_variables]
    logs = model.train_on_batch(images(16), return_dict=True)
    after = [numpy(variable) for variable in model.trainable_variables]
    return [logs["d_loss"], logs["g_loss"]], [old - new for old, new in zip(before, after, strict=True)]


@pytest.mark.only_on("tensorflow")  # a test of both
def test_tensorflow_and_jax_have_the_same_losses_and_gradients(tmp_path):
    random = np.random.default_rng(0)
    weights = [value + 0.2 * random.random(value.shape).astype("float32") for value in dcgan().get_weights()]
    np.savez(tmp_path / "weights.npz", *weights)
    subprocess.run(
        [sys.executable, "-c", ELSEWHERE, tmp_path / "weights.npz", tmp_path / "there.npz"],
        check=True,
        cwd=ROOT / "tests",
        env=os.environ | {"KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    losses, gradients = losses_and_gradients(np.load(tmp_path / "weights.npz"))
    there = np.load(tmp_path / "there.npz")
    for here, elsewhere in zip([*losses, *gradients], (there[name] for name in there), strict=True):
        assert_allclose(here, elsewhere, rtol=1e-3, atol=1e-6)
        assert np.abs(elsewhere).max() > 1e-4


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gan.generator(0), "latent_dim is 0; it must be a whole number from 1"),
        (lambda: gan.generator(4, (28, 28)), "image_shape is (28, 28); it must be (height, width, channels)"),
        (lambda: gan.generator(4, (30, 30, 1)), "Images of 30x30 cannot be halved 2 times"),
        (lambda: gan.discriminator((28, 28, 1), filters=()), "filters is empty"),
        (
            lambda: gan.discriminator((28, 28, 1), filters=(8, 8, 8)),
            "make both sides multiples of 8, or give fewer filters",
        ),
        (lambda: gan.GAN(dense(3, 2), dense(3, 1)), "The generator makes (2,), but the discriminator judges (3,)"),
        (lambda: gan.GAN(dense(3, 2), dense(2, 2)), "The discriminator answers (2,); it must answer one logit"),
        (lambda: gan.GAN(gan.discriminator(), dense(2, 1)), "it must take noise, (batch, latent_dim)"),
        (lambda: gan.GAN("generator", dense(2, 1)), "The generator is no built Keras model"),
        (lambda: gan.GAN(of_two_inputs(), dense(2, 1)), "The generator must have one input and one output"),
        (lambda: gan.GAN(dense(3, 2), with_sigmoid()), "it must answer a logit: leave the activation out"),
        (lambda: small_gan().fit([[1.0, 2.0]]), "x is a list; give an array (examples, ...) or a tf.data.Dataset"),
        (lambda: small_gan().fit(iter([points(4)])), "x is a list_iterator; give an array"),
        (lambda: small_gan().fit(points(4), validation_data=points(4)), "leave validation_data out"),
        (lambda: small_gan().evaluate(points(4)), "A GAN has no loss to evaluate"),
        (
            lambda: compiled(small_gan(discriminator_steps=3)).train_on_batch(points(2)),
            "A batch of 2 is too small for 3",
        ),
        (lambda: gan.GAN(keras.Sequential([layers.Dense(2)]), dense(2, 1)), "The generator is no built Keras model"),
        (
            lambda: small_gan(noise="pink"),
            "noise is 'pink'; it must be one of 'normal', 'uniform', or be added",
        ),
        (lambda: small_gan(discriminator_steps=0), "discriminator_steps is 0; it must be a whole number from 1"),
        (lambda: compiled(small_gan(), loss="wasserstein"), "loss is 'wasserstein'; it must be one of"),
        (lambda: compiled(small_gan(), label_smoothing=0.5), "label_smoothing is 0.5; it must be from 0"),
        (lambda: compiled(small_gan(), label_smoothing="a"), "label_smoothing is a; it must be from 0"),
        (lambda: gan.generator(4, (8, 8, 1), filters=(4, 0)), "filters is 0; it must be a whole number from 1"),
        (lambda: gan.generator(4, (8, 8, True)), "image_shape is (8, 8, True); it must be"),
        (lambda: gan.GAN(dense(3, 2), dense(2, 1), seed=1.5), "seed is 1.5; it must be a whole number"),
        (lambda: small_gan(noise=np.ones(3)), "it must be one of 'normal', 'uniform', or be added"),
        (lambda: small_gan().generate(-1), "count is -1; it must be a whole number from 0"),
        (lambda: small_gan().generate(2, "x"), "seed is 'x'; it must be a whole number"),
        (lambda: compiled(small_gan()).generator_step(0), "size is 0; it must be a whole number from 1"),
        (lambda: compiled(small_gan()).generator_step(2.5), "size is 2.5; it must be a whole number from 1"),
        (lambda: compiled(small_gan()).discriminator_step(points(0)), "size is 0; it must be a whole number from 1"),
        (lambda: compiled(small_gan()).fit(points(4), batch_size=0), "batch_size is 0; it must be a whole number from"),
        (lambda: small_gan().fit(np.float32(3)), "x is a float32; give an array (examples, ...)"),
        (lambda: small_gan().fit(points(4).astype(str)), "The data are of type <U32; give real numbers"),
        (lambda: small_gan().fit(points(4).astype(complex)), "The data are of type complex128; give real numbers"),
    ],
)
def test_what_cannot_work_gets_one_sentence(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_integers_of_numpy_are_integers(tmp_path):
    one, two, four, eight = map(np.int64, (1, 2, 4, 8))
    networks = (
        gan.generator(four, np.array([8, 8, 1]), filters=np.array([4, 3])),
        gan.discriminator((eight, eight, one), filters=[two]),
    )
    assert (networks[0].output_shape, networks[1].input_shape) == ((None, 8, 8, 1),) * 2
    model = gan.GAN(dense(LATENT, WIDTH), dense(WIDTH, 1), discriminator_steps=two, seed=four)
    model.compile("adam", "adam", label_smoothing=np.float32(0.1), jit_compile=False)
    model.fit(points(8), batch_size=four, verbose=0)
    model.generator_step(two)
    assert_array_equal(model.generate(two, seed=four), model.generate(2, seed=4))
    model.save(tmp_path / "gan.keras")
    assert_array_equal(keras.saving.load_model(tmp_path / "gan.keras").generate(two), model.generate(2))
    assert metrics.class_coverage(np.zeros(3, "uint8"), two) == (1, 0.0)


def test_none_and_one_are_numbers_too():
    model = compiled(small_gan())
    assert (model.generate(0).shape, model.generate(0).dtype) == ((0, WIDTH), "float32")
    assert np.isfinite([*model.fit(points(1), verbose=0).history.values()]).all()


def of_two_inputs():
    noise, label = keras.Input((3,)), keras.Input((1,))
    return keras.Model([noise, label], layers.Dense(2)(layers.Concatenate()([noise, label])))


def with_sigmoid():
    return keras.Sequential([keras.Input((2,)), layers.Dense(1, activation="sigmoid")])


def test_a_discriminator_of_images_of_any_size_fits():
    anything = keras.Input((None, None, 1))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(anything))
    gan.GAN(gan.generator(4, (8, 8, 1), filters=(3,)), keras.Model(anything, layers.Dense(1)(pooled)))


@pytest.mark.parametrize("fit", [training.fit, lambda model, x, **options: model.fit(x)])
def test_the_whole_of_the_data_is_looked_at(fit):
    late = points(64)
    late[40] = np.nan
    with pytest.raises(ValueError, match="The data hold a value that is not finite"):
        fit(compiled(small_gan()), late, epochs=1, seed=0)
    model = compiled(small_gan(discriminator_steps=2))
    with pytest.raises(ValueError, match="2 discriminator steps need as many examples in every batch, but one has 1"):
        fit(model, points(33), epochs=1, seed=0)


def test_a_noise_of_the_wrong_shape_is_refused(monkeypatch):
    monkeypatch.setitem(gan.NOISES, "narrow", lambda shape, seed: keras.random.normal((shape[0], 1), seed=seed))
    with pytest.raises(ValueError, match=r"The noise 'narrow' has shape \(2, 1\) where \(2, 3\) was asked for"):
        compiled(small_gan(noise="narrow")).fit(points(8))


@pytest.mark.parametrize("activation", ["silu", "softsign", "tanh", None, "sigmoid"])
def test_data_within_reach_of_the_activation_are_taken(activation):
    made = keras.Sequential([keras.Input((3,)), layers.Dense(2, activation=activation)])
    low, high = {"silu": (-0.2, 5), "softsign": (-1, 1), "tanh": (-1, 1), None: (-9, 9), "sigmoid": (0.3, 0.9)}[
        activation
    ]
    gan.GAN(made, dense(2, 1)).check_data(np.linspace(low, high, 8).reshape(4, 2), 4, 4)


def of_ops(function, activation=None):
    inputs = keras.Input((3,))
    return keras.Model(inputs, function(layers.Dense(2, activation=activation)(inputs)))


def of_layers(*more):
    return keras.Sequential([keras.Input((3,)), layers.Dense(2), *more])


def of_two_branches():
    inputs = keras.Input((3,))
    return keras.Model(inputs, layers.Dense(2, activation="tanh")(inputs) + layers.Dense(2)(inputs))


@keras.saving.register_keras_serializable("tests")
class Inner(layers.Layer):
    """Has an activation, but not in the end."""

    def __init__(self):
        super().__init__()
        self.activation, self.dense = keras.activations.tanh, layers.Dense(2)

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(self.activation(x))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: of_ops(lambda x: (x + 1) / 2, "tanh"), (0, 1)),
        (lambda: of_ops(lambda x: 255 * ops.sigmoid(x)), (0, 255)),
        (lambda: of_ops(ops.exp), (0, np.inf)),
        (lambda: of_layers(layers.Activation("tanh"), layers.Rescaling(0.5, 0.5)), (0, 1)),
        (lambda: of_layers(layers.Rescaling(1 / 127.5)), (-np.inf, np.inf)),
        (lambda: of_layers(layers.Softmax()), (0, 1)),
        (lambda: of_layers(layers.ReLU(6)), (0, 6)),
        (lambda: of_layers(layers.BatchNormalization()), (-np.inf, np.inf)),
        (of_two_branches, (-np.inf, np.inf)),
        (lambda: keras.Sequential([keras.Input((2,)), Inner()]), (-np.inf, np.inf)),
        (lambda: keras.Sequential([keras.Input((2,)), layers.Activation("tanh")]), (-np.inf, np.inf)),
    ],
)
def test_what_a_generator_reaches_is_measured(make, expected):
    assert gan._reach(make()) == pytest.approx(expected, abs=1e-5)


def test_a_range_made_by_ops_is_taken_and_data_outside_of_it_refused():
    model = compiled(gan.GAN(of_ops(lambda x: (x + 1) / 2, "tanh"), dense(2, 1)))
    model.fit(images(8, (2,)), verbose=0)
    with pytest.raises(ValueError, match=r"The data lie in \[-1, 1\], but the generator only reaches \[0, 1\]"):
        model.fit(2 * images(8, (2,)) - 1, verbose=0)


def test_a_probability_by_ops_is_no_logit_and_a_mean_of_logits_is_one():
    with pytest.raises(ValueError, match="it must answer a logit"):
        gan.GAN(dense(3, 2), keras.Sequential([keras.Input((2,)), layers.Dense(1), layers.Activation("sigmoid")]))
    patches = keras.Input((8, 8, 1))
    answer = layers.GlobalAveragePooling2D()(layers.Conv2D(1, 3)(patches))
    gan.GAN(gan.generator(4, (8, 8, 1), filters=(3,)), keras.Model(patches, answer))


def test_one_optimizer_for_both_is_refused():
    optimizer = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="Both networks have the same optimizer"):
        small_gan().compile(optimizer, optimizer)


def bright(scale):
    return scale * images(8)


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (images(1)[:0], "There are no examples"),
        (images(8, (8, 8, 3)), "The data have shape (8, 8, 3), but the generator makes (8, 8, 1)"),
        (images(8)[..., 0], "The data have shape (8, 8), but the generator makes (8, 8, 1)"),
        (bright(255), "The data lie in [0, 255], but the generator only reaches [0, 1]"),
        (bright(2) - 1, "The data lie in [-1, 1], but the generator only reaches [0, 1]"),
        (bright(np.nan), "The data hold a value that is not finite"),
    ],
)
def test_data_that_do_not_fit_get_one_sentence_before_training(examples, message):
    model = dcgan()
    before = state(model)
    with pytest.raises(ValueError) as caught:
        model.fit(examples, epochs=1, verbose=0)
    assert message in str(caught.value)
    assert same(state(model), before)


def test_a_generator_that_ends_in_tanh_refuses_data_from_zero_to_one():
    made = keras.Sequential([keras.Input((4,)), layers.Dense(64, activation="tanh"), layers.Reshape((8, 8, 1))])
    model = compiled(gan.GAN(made, gan.discriminator((8, 8, 1))))
    with pytest.raises(ValueError, match=r"The data lie in \[0, 1\], but the generator's outputs in \[-1, 1\]"):
        model.fit(images(8), verbose=0)
    model.fit(2 * images(8) - 1, verbose=0)


def test_too_small_a_last_batch_is_refused():
    model = compiled(small_gan(discriminator_steps=3))
    with pytest.raises(ValueError, match="3 discriminator steps need as many examples in every batch, but one has 2"):
        model.fit(points(34), batch_size=16, verbose=0)


def test_an_empty_dataset_is_refused():
    import tensorflow as tf

    with pytest.raises(ValueError, match="There are no examples"):
        compiled(small_gan()).fit(tf.data.Dataset.from_tensor_slices(points(1)[:0]).batch(4))


def test_losses_of_lists_and_whole_numbers():
    assert float(gan.discriminator_loss([[0]], np.array([[0]]))) == pytest.approx(np.log(4), rel=1e-6)
    assert float(gan.generator_loss([[0]])) == pytest.approx(np.log(2), rel=1e-6)
