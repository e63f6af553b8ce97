"""What makes LSGAN that system: least squares of scores, worked out in float64 NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.variants.base import Player
from kgan.variants.lsgan import LSGAN

SHAPE = (8, 8, 1)


def test_a_step_is_equation_9():
    keras.utils.set_random_seed(0)
    model = LSGAN(SHAPE, latent_dim=3, width=4)
    latents, images = keras.Input((3,)), keras.Input(SHAPE)
    pictures = keras.layers.Reshape(SHAPE)(keras.layers.Dense(64, use_bias=False)(latents))
    model.generator = keras.Model(latents, pictures)
    model.discriminator = keras.Model(images, keras.layers.Dense(1)(keras.layers.Flatten()(images)))
    model.players = tuple(Player(p.name, (getattr(model, p.name),)) for p in model.players)
    model.compile({"discriminator": keras.optimizers.SGD(0.05), "generator": keras.optimizers.SGD(0.3)})
    data = np.random.default_rng(0).uniform(-1, 1, (4, *SHAPE)).astype("float32")
    v = np.asarray(model.generator.trainable_variables[0].value, "float64")
    w, b = (np.asarray(x.value, "float64") for x in model.discriminator.trainable_variables)

    real, z = data.reshape(4, 64).astype("float64"), np.array(model.sample_prior("latents", 4), "float64")
    fake = z @ v
    on_real, on_fake = real @ w + b, fake @ w + b
    slopes = 2 * (on_real - 1) / 4, 2 * on_fake / 4  # of E[(D(x) - 1)^2] + E[D(G(z))^2]
    d_gradient = [real.T @ slopes[0] + fake.T @ slopes[1], (slopes[0] + slopes[1]).sum(axis=0)]
    expected = {
        "discriminator_loss": ((on_real - 1) ** 2).mean() + (on_fake**2).mean(),
        "real_score": on_real.mean(),
        "fake_score": on_fake.mean(),
        "discriminator_gradient_norm": np.sqrt(sum((g**2).sum() for g in d_gradient)),
    }
    w, b = w - 0.05 * d_gradient[0], b - 0.05 * d_gradient[1]
    again = fake @ w + b  # the same pictures, judged by the discriminator that has moved
    g_gradient = z.T @ (2 * (again - 1) / 4 @ w.T)
    expected |= {
        "generator_loss": ((again - 1) ** 2).mean(),
        "generator_gradient_norm": np.linalg.norm(g_gradient),
        "finite": 1.0,
    }
    logs = model.train_step(tf.constant(data))
    assert {name: float(log) for name, log in logs.items()} == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(model.discriminator.trainable_variables[0], w, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.generator.trainable_variables[0], v - 0.3 * g_gradient, rtol=1e-4, atol=1e-6)


def test_scores_are_no_probabilities():
    model = LSGAN((16, 16, 1), width=4)
    assert model.discriminator.layers[-1].name == "logits" and model.discriminator.layers[-1].activation.__name__ == (
        "linear"
    )
