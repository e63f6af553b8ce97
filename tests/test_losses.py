import functools

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
    (
        losses.discriminator_least_squares,
        (REAL, FAKE),
        ((REAL - 1) ** 2).mean() + (FAKE**2).mean(),
        (2 * (REAL - 1) / 64, 2 * FAKE / 64),
    ),
    (losses.generator_least_squares, (FAKE,), ((FAKE - 1) ** 2).mean(), (2 * (FAKE - 1) / 64,)),
    (
        losses.critic_wasserstein,
        (REAL, FAKE),
        FAKE.mean() - REAL.mean(),
        (np.full((64, 1), -1 / 64), np.full((64, 1), 1 / 64)),
    ),
    (losses.generator_wasserstein, (FAKE,), -FAKE.mean(), (np.full((64, 1), -1 / 64),)),
    (
        losses.discriminator_hinge,
        (REAL, FAKE),
        np.maximum(0, 1 - REAL).mean() + np.maximum(0, 1 + FAKE).mean(),
        (np.where(REAL < 1, -1 / 64, 0), np.where(FAKE > -1, 1 / 64, 0)),
    ),
    (losses.generator_hinge, (FAKE,), -FAKE.mean(), (np.full((64, 1), -1 / 64),)),
    (
        functools.partial(losses.discriminator_minimax, smoothing=0.1),
        (REAL, FAKE),
        -(0.9 * np.log(sigmoid(REAL)) + 0.1 * np.log(1 - sigmoid(REAL))).mean() - np.log(1 - sigmoid(FAKE)).mean(),
        ((sigmoid(REAL) - 0.9) / 64, sigmoid(FAKE) / 64),
    ),
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


def test_a_smoothed_target_is_where_the_loss_is_least():
    # Salimans et al. 2016, section 3.4: the best D says alpha p_data / (p_data + p_model), here alpha alone.
    logits = tf.constant(np.linspace(0.0, 5.0, 501), tf.float32)
    far = tf.constant([-1e4])
    values = [losses.discriminator_minimax(logit[None], far, smoothing=0.1).numpy() for logit in logits]
    assert sigmoid(logits[int(np.argmin(values))].numpy()) == pytest.approx(0.9, abs=1e-3)
