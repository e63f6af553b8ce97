"""What makes WGAN-GP that system: Algorithm 1 with its penalty, worked out in float64 NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.errors import InputError
from kgan.variants.base import Player
from kgan.variants.wgan_gp import WGANGP

SHAPE = (8, 8, 1)


@pytest.mark.parametrize("penalty", ["two-sided", "one-sided"])
@pytest.mark.parametrize("scale", [0.05, 1.0])  # of the critic: a gradient's norm below and above 1
def test_a_step_is_algorithm_1(penalty, scale):
    """On networks simple enough for NumPy: G(z) = z V, D(x) = x w, whose gradient by x is w everywhere."""
    keras.utils.set_random_seed(0)
    model = WGANGP(SHAPE, network="dcgan", latent_dim=3, width=4, n_critic=2, penalty=penalty)
    latents, images = keras.Input((3,)), keras.Input(SHAPE)
    pictures = keras.layers.Reshape(SHAPE)(keras.layers.Dense(64, use_bias=False)(latents))
    model.generator = keras.Model(latents, pictures)
    model.critic = keras.Model(images, keras.layers.Dense(1, use_bias=False)(keras.layers.Flatten()(images)))
    model.players = tuple(Player(p.name, (getattr(model, p.name),), p.updates_per_step) for p in model.players)
    model.compile({"critic": keras.optimizers.SGD(0.01), "generator": keras.optimizers.SGD(0.3)})
    (v,), (w,) = model.generator.trainable_variables, model.critic.trainable_variables
    w.assign(w * (scale / np.linalg.norm(w)))
    v, w = np.asarray(v, "float64"), np.asarray(w, "float64")
    data = np.random.default_rng(0).uniform(-1, 1, (8, *SHAPE)).astype("float32")

    for i in range(2):
        real = data[4 * i : 4 * i + 4].reshape(4, 64).astype("float64")
        fake = np.array(model.sample_prior(f"latents_{i}", 4), "float64") @ v
        norm = np.linalg.norm(w)
        excess = norm - 1 if penalty == "two-sided" else max(0.0, norm - 1)
        estimate = (real @ w).mean() - (fake @ w).mean()
        gradient = (fake.mean(axis=0) - real.mean(axis=0))[:, None] + 10 * 2 * excess * w / norm
        expected = {
            "wasserstein": estimate,
            "gradient_penalty": excess**2,
            "input_gradient_norm": norm,
            "critic_loss": -estimate + 10 * excess**2,
            "critic_gradient_norm": np.linalg.norm(gradient),
        }
        w = w - 0.01 * gradient
    z = np.array(model.sample_prior("latents", 4), "float64")
    g_gradient = -z.mean(axis=0)[:, None] @ w.T
    expected |= {
        "generator_loss": -(z @ v @ w).mean(),
        "generator_gradient_norm": np.linalg.norm(g_gradient),
        "finite": 1.0,
    }
    logs = {name: float(log) for name, log in model.train_step(tf.constant(data)).items()}
    assert logs == pytest.approx(expected, rel=1e-4, abs=1e-6)
    np.testing.assert_allclose(model.critic.trainable_variables[0], w, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.generator.trainable_variables[0], v - 0.3 * g_gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("network", ["resnet", "dcgan"])
def test_the_critic_has_no_batch_norm_and_no_bias_at_its_output(network):
    critic = WGANGP((16, 16, 1), network=network, width=8).critic
    assert not [layer for layer in critic.layers if "BatchNorm" in type(layer).__name__]
    assert critic.layers[-1].use_bias is False


def test_the_recipe_is_that_of_the_paper():
    model = WGANGP((16, 16, 1), width=8)
    assert model.schedule == "constant"
    model.compile()
    assert (model.n_critic, model.lambda_gp, model.batch_size, model.penalty) == (5, 10.0, 64, "two-sided")
    for optimizer in model.optimizers.values():
        assert (optimizer.beta_1, optimizer.beta_2) == (0.0, 0.9)
        assert float(optimizer.learning_rate) == np.float32(1e-4)


@pytest.mark.parametrize("arguments", [{"n_critic": 0}, {"lambda_gp": 0.0}, {"beta_2": 1.0}, {"penalty": "r1"}])
def test_what_cannot_be_is_named(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(InputError, match=f"{name}: got {value!r}"):
        WGANGP(SHAPE, width=8, **arguments)
