import numpy as np
import pytest
import tensorflow as tf

from kgan import losses

REAL = np.random.default_rng(0).normal(scale=3, size=(64, 1))
FAKE = np.random.default_rng(1).normal(scale=3, size=(64, 1))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


CASES = [
    # loss, its arguments, its value and its gradients by the formulas of the paper in float64
    (
        losses.discriminator_minimax,
        (REAL, FAKE),
        -np.log(sigmoid(REAL)).mean() - np.log(1 - sigmoid(FAKE)).mean(),
        (-(1 - sigmoid(REAL)) / 64, sigmoid(FAKE) / 64),
    ),
    (losses.generator_minimax, (FAKE,), np.log(1 - sigmoid(FAKE)).mean(), (-sigmoid(FAKE) / 64,)),
    (losses.generator_non_saturating, (FAKE,), -np.log(sigmoid(FAKE)).mean(), (-(1 - sigmoid(FAKE)) / 64,)),
]


@pytest.mark.parametrize(("loss", "arguments", "value", "gradients"), CASES)
def test_value_and_gradient(loss, arguments, value, gradients):
    logits = [tf.constant(a, tf.float32) for a in arguments]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        result = loss(*logits)
    np.testing.assert_allclose(result, value, rtol=1e-5)
    for found, expected in zip(tape.gradient(result, logits), gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize(("loss", "arguments"), [case[:2] for case in CASES])
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_finite_for_huge_logits(loss, arguments, size):
    logits = [tf.fill([4, 1], size) for _ in arguments]
    with tf.GradientTape() as tape:
        tape.watch(logits)
        result = loss(*logits)
    assert np.isfinite(result)
    assert all(np.isfinite(g).all() for g in tape.gradient(result, logits))


def test_equilibrium_is_minus_log_4():
    # Theorem 1: at p_g = p_data, D = 1/2 and V = -log 4.
    zeros = tf.zeros((8, 1))
    np.testing.assert_allclose(losses.discriminator_minimax(zeros, zeros), np.log(4), rtol=1e-6)
