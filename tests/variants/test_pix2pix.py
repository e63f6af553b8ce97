import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan import losses
from kgan.errors import InputError
from kgan.noise import Noise
from kgan.variants.pix2pix import Pix2Pix

SHAPE = (16, 16, 3)


def make(**arguments) -> Pix2Pix:
    keras.utils.set_random_seed(1)
    model = Pix2Pix(SHAPE, **{"width": 4, "patch": 16, **arguments})
    model.compile({p.name: keras.optimizers.SGD(0.01) for p in model.players}, jit_compile=False)
    return model


def images(rows: int = 2) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.random.default_rng(0).integers(0, 256, (2, rows, *SHAPE), dtype=np.uint8)
    return a, b


def floats(rows: int = 2) -> tuple[tf.Tensor, tf.Tensor]:
    return tuple(tf.constant(x.astype("float32") / 127.5 - 1) for x in images(rows))


def paint(model: Pix2Pix, x: tf.Tensor) -> tf.Tensor:
    """As the first step of a training does, dropout included."""
    with model.noise.scope("generator", 0):
        return model.generator(x, training=True)


def judge(model: Pix2Pix, x, y) -> tf.Tensor:
    return model.discriminator(tf.concat([x, y], -1), training=True)


@pytest.mark.parametrize("direction", ["a-to-b", "b-to-a"])
def test_the_losses_are_those_of_the_paper(direction):
    """Section 2.3: D's, halved, by the networks as they were; then G's (eq. 4) by the discriminator that has moved."""
    model = make(direction=direction)
    model.optimizers["discriminator"].learning_rate = 1.0  # far enough for the loss to tell whether it has moved
    a, b = floats()
    x, y = (a, b) if direction == "a-to-b" else (b, a)
    fake = paint(model, x).numpy()
    real_logits, fake_logits = (judge(model, x, z).numpy().astype("float64") for z in (y, fake))
    logs = {name: float(value) for name, value in model.train_step(images()).items()}
    expected = 0.5 * (np.log1p(np.exp(-real_logits)).mean() + np.log1p(np.exp(fake_logits)).mean())
    assert logs["discriminator_loss"] == pytest.approx(expected, rel=1e-5)
    moved = judge(model, x, fake).numpy().astype("float64")
    assert logs["generator_loss"] == pytest.approx(np.log1p(np.exp(-moved)).mean(), rel=1e-5)
    assert logs["generator_loss"] != pytest.approx(np.log1p(np.exp(-fake_logits)).mean(), rel=1e-3)
    assert logs["l1_loss"] == pytest.approx(np.abs(y - fake).mean(), rel=1e-5)


def test_the_generator_moves_down_the_gradient_of_equation_4():
    model, twin = make(), make()
    x, y = floats()
    logs = model.train_step(images())
    twin.discriminator.set_weights(model.discriminator.get_weights())
    with tf.GradientTape() as tape:
        fake = paint(twin, x)
        loss = losses.generator_non_saturating(judge(twin, x, fake)) + 100 * tf.reduce_mean(tf.abs(y - fake))
    gradients = tape.gradient(loss, twin.generator.trainable_variables)
    norm = np.sqrt(sum(float(tf.reduce_sum(g**2)) for g in gradients))
    assert float(logs["generator_gradient_norm"]) == pytest.approx(norm, rel=1e-4)
    for v, w, g in zip(
        model.generator.trainable_variables, twin.generator.trainable_variables, gradients, strict=True
    ):
        np.testing.assert_allclose(v, w - 0.01 * g, rtol=1e-4, atol=1e-6, err_msg=v.path)


def test_the_discriminator_sees_the_input():
    model = make()
    a, b = floats()
    assert np.abs(judge(model, a, b) - judge(model, -a, b)).max() > 1e-3


def test_a_picture_has_a_translation_for_each_seed():
    model = make(width=16)
    a, _ = images()
    first, again, other = (model.translate(a, "a_to_b", seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(model.translate(a[1:], "a_to_b"), first[1:])


def test_the_translation_is_that_of_training_but_for_the_noise():
    """With a batch of one; the noise of a step and that of seeds differ."""
    model = make()
    x, _ = floats(1)
    with Noise(0).scope("translate", tf.constant([3])):
        expected = model.generator(x, training=True)
    np.testing.assert_array_equal(model.translated("a_to_b", x, tf.constant([3])), expected)


@pytest.mark.parametrize(("direction", "name"), [("a-to-b", "a_to_b"), ("b-to-a", "b_to_a")])
def test_panels_are_input_translated_target(direction, name):
    model = make(direction=direction)
    a, b = floats()
    x, y = (a, b) if direction == "a-to-b" else (b, a)
    ((found, (first, second, third)),) = model.panels(a, b).items()
    assert found == name == model.pyfunc_signature
    np.testing.assert_array_equal(first, x)
    np.testing.assert_array_equal(second, model.translated(name, x, tf.constant([0, 0])))
    np.testing.assert_array_equal(third, y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"direction": "up"}, "direction: got 'up', expected"),
        ({"patch": 70}, "patch: got 70 for images of 16x16, expected 16 or smaller"),
        ({"norm_at_test": "none"}, "norm_at_test: got 'none'"),
        ({"lambda_l1": -1.0}, r"lambda_l1: got -1\.0, expected 0 or more"),
        ({"width": 0}, "width: got 0"),
    ],
)
def test_arguments_that_are_not_allowed(arguments, message):
    with pytest.raises(InputError, match=message):
        Pix2Pix(SHAPE, **{"patch": 16, **arguments})
