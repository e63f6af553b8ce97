"""What makes WGAN that system: Algorithm 1, worked out in float64 NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.errors import InputError
from kgan.variants.base import Player
from kgan.variants.wgan import WGAN

SHAPE = (8, 8, 1)


def linear_wgan(**arguments) -> WGAN:
    """The algorithm on networks simple enough for NumPy: G(z) = z V, f(x) = x w."""
    model = WGAN(SHAPE, latent_dim=3, width=4, **arguments)
    latents, images = keras.Input((3,)), keras.Input(SHAPE)
    pictures = keras.layers.Reshape(SHAPE)(keras.layers.Dense(64, use_bias=False)(latents))
    model.generator = keras.Model(latents, pictures, name="generator")
    scores = keras.layers.Dense(1, use_bias=False)(keras.layers.Flatten()(images))
    model.critic = keras.Model(images, scores, name="critic")
    model.players = tuple(Player(p.name, (getattr(model, p.name),), p.updates_per_step) for p in model.players)
    model.compile({"critic": keras.optimizers.SGD(0.5), "generator": keras.optimizers.SGD(0.3)})
    return model


@pytest.mark.parametrize("n_critic", [1, 3])
def test_a_step_is_algorithm_1(n_critic):
    keras.utils.set_random_seed(0)
    model = linear_wgan(n_critic=n_critic, clip=0.1)
    data = np.random.default_rng(0).uniform(-1, 1, (4 * n_critic, *SHAPE)).astype("float32")
    (v,), (w,) = (
        [np.asarray(x.value, "float64") for x in network.trainable_variables]
        for network in (model.generator, model.critic)
    )

    clipped = 0
    for i in range(n_critic):  # ascend E[f(x)] - E[f(G(z))], then clip
        real = data[4 * i : 4 * i + 4].reshape(4, 64).astype("float64")
        fake = np.array(model.sample_prior(f"latents_{i}", 4), "float64") @ v
        estimate = (real @ w).mean() - (fake @ w).mean()
        gradient = (real.mean(axis=0) - fake.mean(axis=0))[:, None]
        w = w + 0.5 * gradient
        clipped += (np.abs(w) > 0.1).sum()
        w = np.clip(w, -0.1, 0.1)
    assert clipped
    z = np.array(model.sample_prior("latents", 4), "float64")
    g_gradient = -z.mean(axis=0)[:, None] @ w.T
    expected = {
        "critic_loss": -estimate,
        "generator_loss": -(z @ v @ w).mean(),
        "wasserstein": estimate,
        "critic_gradient_norm": np.linalg.norm(gradient),
        "generator_gradient_norm": np.linalg.norm(g_gradient),
    }
    logs = model.train_step(tf.constant(data))
    assert {name: float(log) for name, log in logs.items()} == pytest.approx(expected | {"finite": 1.0}, rel=1e-4)
    np.testing.assert_allclose(model.critic.trainable_variables[0], w, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.generator.trainable_variables[0], v - 0.3 * g_gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_weights_lie_within_the_bound_after_every_step(jit):
    keras.utils.set_random_seed(0)
    model = WGAN((16, 16, 1), width=8, n_critic=2)
    model.compile(jit_compile=jit)
    data = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 1), dtype=np.uint8)
    for _ in range(3):
        model.train_on_batch(data)
        largest = [float(tf.reduce_max(tf.abs(v))) for v in model.critic.trainable_variables]
        assert max(largest) <= np.float32(0.01) and min(largest) > 0


def test_the_recipe_is_that_of_the_paper():
    model = WGAN((16, 16, 1), width=8)
    model.compile()
    assert (model.n_critic, model.clip, model.batch_size) == (5, 0.01, 64)
    for optimizer in model.optimizers.values():
        assert type(optimizer) is keras.optimizers.RMSprop and float(optimizer.learning_rate) == np.float32(5e-5)
    v = keras.Variable([0.0, 0.0])  # the first step is 1 / sqrt(1 - rho) learning rates, however small the gradient
    keras.optimizers.RMSprop.from_config(optimizer.get_config()).apply([np.array([1e-6, -1.0], "float32")], [v])
    np.testing.assert_allclose(v, [-5e-4, 5e-4], rtol=1e-2)
    (output,) = model.critic.get_layer("logits").weights
    assert output.path.endswith("kernel")


@pytest.mark.parametrize("arguments", [{"n_critic": 0}, {"clip": 0.0}, {"learning_rate": -1.0}])
def test_what_cannot_be_is_named(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(InputError, match=f"{name}: got {value}"):
        WGAN(SHAPE, **arguments)


@pytest.mark.parametrize(("count", "batch_size", "shown"), [(64, None, 32), (64, 10, 10), (12, 9, 9)])
def test_arrays_that_do_not_make_whole_steps(count, batch_size, shown):
    images = np.zeros((count, *SHAPE), np.uint8)
    with pytest.raises(InputError, match=f"batch_size: got {shown} for {count} images, expected a multiple of 5"):
        WGAN(SHAPE, width=8).fit(images, batch_size=batch_size)
