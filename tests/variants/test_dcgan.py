"""What makes DCGAN that system: its optimizer and orders of update; its networks are in tests/networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.errors import InputError
from kgan.variants.base import dtype_policy
from kgan.variants.dcgan import DCGAN

SHAPE = (8, 8, 1)


def linear_networks() -> dict[str, keras.Model]:
    latents, images = keras.Input((3,)), keras.Input(SHAPE)
    pictures = keras.layers.Reshape(SHAPE)(keras.layers.Dense(64, use_bias=False)(latents))
    logits = keras.layers.Dense(1, use_bias=False)(keras.layers.Flatten()(images))
    return {
        "generator": keras.Model(latents, pictures, name="generator"),
        "discriminator": keras.Model(images, logits, name="discriminator"),
    }


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_the_generator_sees_the_new_discriminator_only_when_alternating(update):
    keras.utils.set_random_seed(0)
    model = DCGAN(SHAPE, latent_dim=3, update=update, **linear_networks())
    model.compile({"discriminator": keras.optimizers.SGD(0.5), "generator": keras.optimizers.SGD(0.3)})
    data = np.random.default_rng(0).uniform(-1, 1, (4, *SHAPE)).astype("float32")
    v, w = (np.asarray(m.trainable_variables[0].value, "float64") for m in (model.generator, model.discriminator))
    z, real = np.array(model.sample_prior("latents", 4), "float64"), data.reshape(4, 64).astype("float64")
    new_w = w + 0.5 * (real.T @ (1 - sigmoid(real @ w)) - (z @ v).T @ sigmoid(z @ v @ w)) / 4
    judge = new_w if update == "alternating" else w
    new_v = v + 0.3 * z.T @ ((1 - sigmoid(z @ v @ judge)) @ judge.T) / 4

    logs = model.train_step(tf.constant(data))
    fake_d, real_d, judged = sigmoid(z @ v @ w), sigmoid(real @ w), sigmoid(z @ v @ judge)
    expected = {
        "discriminator_loss": -np.log(real_d).mean() - np.log(1 - fake_d).mean(),
        "generator_loss": -np.log(judged).mean(),
        "p_real": real_d.mean(),
        "p_fake": fake_d.mean(),
        "discriminator_gradient_norm": np.linalg.norm(new_w - w) / 0.5,
        "generator_gradient_norm": np.linalg.norm(new_v - v) / 0.3,
    }
    assert {name: float(log) for name, log in logs.items()} == pytest.approx(expected | {"finite": 1.0}, rel=1e-4)
    np.testing.assert_allclose(model.discriminator.trainable_variables[0], new_w, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.generator.trainable_variables[0], new_v, rtol=1e-4, atol=1e-6)


def test_targets_are_smoothed_and_images_noised_as_asked():
    """Noise that fades over 2 steps, at the second of them, on real and generated images; each has its own."""
    keras.utils.set_random_seed(0)
    options = {"label_smoothing": 0.1, "instance_noise": 0.6, "instance_noise_steps": 2}
    model = DCGAN(SHAPE, latent_dim=3, **options, **linear_networks())
    model.compile({"discriminator": keras.optimizers.SGD(0.5), "generator": keras.optimizers.SGD(0.3)})
    model.step.assign(1)
    data = np.random.default_rng(0).uniform(-1, 1, (4, *SHAPE)).astype("float32")
    v, w = (np.asarray(m.trainable_variables[0].value, "float64") for m in (model.generator, model.discriminator))
    z = np.array(model.sample_prior("latents", 4), "float64")

    def noised(images, stream):
        noise = np.asarray(model.noise.normal(f"noise on {stream}", 1, (4, *SHAPE)), "float64")
        return images + 0.3 * noise.reshape(4, 64)

    real, fake = noised(data.reshape(4, 64), "real"), noised(z @ v, "fake")
    real_d, fake_d = sigmoid(real @ w), sigmoid(fake @ w)
    new_w = w + 0.5 * (real.T @ (0.9 - real_d) - fake.T @ fake_d) / 4
    logs = model.train_step(tf.constant(data))
    expected = -(0.9 * np.log(real_d) + 0.1 * np.log(1 - real_d)).mean() - np.log(1 - fake_d).mean()
    assert float(logs["discriminator_loss"]) == pytest.approx(expected, rel=1e-4)
    judged = sigmoid(noised(z @ v, "fake again") @ new_w)
    assert float(logs["generator_loss"]) == pytest.approx(-np.log(judged).mean(), rel=1e-4)
    np.testing.assert_allclose(model.discriminator.trainable_variables[0], new_w, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "arguments", [{"label_smoothing": 1.0}, {"instance_noise": -0.1}, {"instance_noise_steps": 0}]
)
def test_what_cannot_be_is_named(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(InputError, match=f"{name}: got {value}"):
        DCGAN(SHAPE, **arguments)


def test_adam_of_section_4():
    model = DCGAN(SHAPE, width=2)
    model.compile()
    for optimizer in model.optimizers.values():
        assert isinstance(optimizer, keras.optimizers.Adam)
        np.testing.assert_allclose([optimizer.learning_rate, optimizer.beta_1], [0.0002, 0.5], rtol=1e-6)
    assert np.abs(model.sample_prior("latents", 1000)).max() <= 1


def test_own_networks_are_saved_with_the_model(tmp_path):
    model = DCGAN(SHAPE, latent_dim=3, **linear_networks())
    model.save(tmp_path / "own.keras")
    again = keras.saving.load_model(tmp_path / "own.keras")
    assert again.generator.count_params() == 3 * 64
    np.testing.assert_array_equal(again.generate(3), model.generate(3))


def test_refuses_what_is_not_square():
    with pytest.raises(InputError, match="expected a square"):
        DCGAN((8, 12, 1))


def test_unknown_orders_have_near_misses():
    with pytest.raises(InputError, match="Did you mean 'simultaneous'"):
        DCGAN(SHAPE, update="simultanous")


def test_a_saved_model_keeps_its_precision(tmp_path):
    with dtype_policy("mixed_bfloat16"):
        model = DCGAN((8, 8, 1), width=4)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.generator.layers[1].compute_dtype == "bfloat16" and keras.config.dtype_policy().name == "float32"
    np.testing.assert_array_equal(again.generate(2), model.generate(2))
