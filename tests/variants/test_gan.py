"""What makes the GAN of 2014 that system: Algorithm 1, worked out in float64 NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.errors import InputError
from kgan.variants.gan import GAN

SHAPE = (8, 8, 1)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def linear_gan(**arguments) -> GAN:
    """The algorithm on networks simple enough for NumPy: G(z) = tanh-free linear map, D(x) = w.x + b."""
    model = GAN(SHAPE, latent_dim=3, width=5, **arguments)
    latents, images = keras.Input((3,)), keras.Input(SHAPE)
    pictures = keras.layers.Reshape(SHAPE)(keras.layers.Dense(64, use_bias=False)(latents))
    model.generator = keras.Model(latents, pictures, name="generator")
    model.discriminator = keras.Model(
        images, keras.layers.Dense(1)(keras.layers.Flatten()(images)), name="discriminator"
    )
    model.players = tuple(type(p)(p.name, (getattr(model, p.name),)) for p in model.players)
    model.compile({"discriminator": keras.optimizers.SGD(0.5), "generator": keras.optimizers.SGD(0.3)})
    return model


@pytest.mark.parametrize("loss", ["non-saturating", "minimax"])
@pytest.mark.parametrize("k", [1, 2])
def test_a_step_is_algorithm_1(k, loss):
    keras.utils.set_random_seed(0)
    model = linear_gan(k=k, generator_loss=loss)
    data = np.random.default_rng(0).uniform(-1, 1, (4 * k, *SHAPE)).astype("float32")
    v = np.asarray(model.generator.trainable_variables[0].value, "float64")
    w, b = (np.asarray(x.value, "float64") for x in model.discriminator.trainable_variables)

    def value(real_d, fake_d):
        return -np.log(real_d).mean() - np.log(1 - fake_d).mean()

    for i in range(k):  # ascend E[log D(x)] + E[log(1 - D(G(z)))]
        real = data[4 * i : 4 * i + 4].reshape(4, 64).astype("float64")
        fake = np.array(model.sample_prior(f"latents_{i}", 4), "float64") @ v
        up, down = 1 - sigmoid(real @ w + b), -sigmoid(fake @ w + b)
        d_gradient = [-(real.T @ up + fake.T @ down) / 4, -(up + down).mean(axis=0)]
        w = w + 0.5 * (real.T @ up + fake.T @ down) / 4
        b = b + 0.5 * (up + down).mean(axis=0)
    z = np.array(model.sample_prior("latents", 4), "float64")
    d = sigmoid(z @ v @ w + b)
    # d/dv of -log D for the non-saturating loss, of log(1 - D) for minimax
    slope = -(1 - d) if loss == "non-saturating" else -d
    g_gradient = z.T @ (slope @ w.T) / 4
    v = v - 0.3 * g_gradient

    logs = model.train_step(tf.constant(data))
    expected = {
        "discriminator_loss": value(1 - up, -down),
        "generator_loss": -np.log(d).mean() if loss == "non-saturating" else np.log(1 - d).mean(),
        "p_real": (1 - up).mean(),
        "p_fake": (-down).mean(),
        "discriminator_gradient_norm": np.sqrt(sum((g**2).sum() for g in d_gradient)),
        "generator_gradient_norm": np.linalg.norm(g_gradient),
    }
    assert {name: float(log) for name, log in logs.items()} == pytest.approx(expected | {"finite": 1.0}, rel=1e-4)
    np.testing.assert_allclose(model.discriminator.trainable_variables[0], w, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.generator.trainable_variables[0], v, rtol=1e-4, atol=1e-6)
    assert int(model.step) == 1


def test_the_discriminator_trains_with_dropout():
    losses = []
    for rate in (None, 0.0):
        keras.utils.set_random_seed(0)
        model = GAN(SHAPE, latent_dim=4, width=50)
        model.compile()
        for v in model.discriminator.trainable_variables:
            v.assign(v * 100)  # else all logits are nearly 0
        for layer in model.discriminator.layers:
            if rate is not None and layer.name.startswith("drop"):
                layer.rate = rate
        data = np.random.default_rng(0).integers(0, 256, (8, *SHAPE), dtype=np.uint8)
        logs = model.train_step(tf.constant(data))
        losses.append([float(logs["discriminator_loss"]), float(logs["generator_loss"])])
    assert (np.abs(np.subtract(*losses)) > 1e-3).all()


def test_each_use_of_latents_draws_others():
    model = GAN(SHAPE, latent_dim=4, width=5, k=2)
    draws = [model.sample_prior(stream, 3).numpy() for stream in ("latents_0", "latents_1", "latents")]
    assert len({draw.tobytes() for draw in draws}) == 3
    assert max(np.abs(draw).max() for draw in draws) <= 3**0.5
    model.step.assign_add(1)
    assert not np.array_equal(model.sample_prior("latents", 3), draws[2])


def test_optimizers_are_those_of_the_experiments():
    model = GAN(SHAPE, width=5)
    model.compile()
    generator, discriminator = model.optimizers["generator"], model.optimizers["discriminator"]
    np.testing.assert_allclose(generator._learning_rate(0), 0.1)
    np.testing.assert_allclose(discriminator._learning_rate(0), 0.05)
    assert (generator.momentum, generator.final_momentum, generator.momentum_steps) == (0.5, 0.7, 250 * 500)


def test_k_batches_make_a_step():
    model = GAN(SHAPE, width=5, k=3)
    with pytest.raises(InputError, match="got batches of 7, expected a multiple of 3"):
        model.fit(tf.data.Dataset.from_tensors(np.zeros((7, *SHAPE), "uint8")), verbose=0)


def test_unknown_losses_have_near_misses():
    with pytest.raises(InputError, match="Did you mean 'minimax'"):
        GAN(SHAPE, generator_loss="minmax")
