import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan import penalties

ROWS, INPUTS, HIDDEN = 6, 5, 7
RANDOM = np.random.default_rng(0)
POINTS = RANDOM.normal(size=(ROWS, INPUTS))
FIRST = RANDOM.normal(size=(INPUTS, HIDDEN)) / 2
LAST = RANDOM.normal(size=(HIDDEN, 1)) / 2

FORMULAS = {
    penalties.two_sided: lambda norms: ((norms - 1) ** 2).mean(),
    penalties.one_sided: lambda norms: (np.maximum(0, norms - 1) ** 2).mean(),
    penalties.r1: lambda norms: (norms**2).mean() / 2,
}


def norms_of_gradients(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Of D(x) = tanh(x first) last, in float64."""
    slopes = (1 - np.tanh(POINTS @ first) ** 2) * last[:, 0]
    return np.linalg.norm(slopes @ first.T, axis=1)


def finite_differences(function, point: np.ndarray, step: float = 1e-6) -> np.ndarray:
    result = np.empty_like(point)
    for index in np.ndindex(point.shape):
        shift = np.zeros_like(point)
        shift[index] = step
        result[index] = (function(point + shift) - function(point - shift)) / (2 * step)
    return result


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("penalty", FORMULAS)
def test_value_and_gradient_by_finite_differences(penalty, jit):
    first, last = (tf.Variable(w, dtype=tf.float32) for w in (FIRST, LAST))

    @tf.function(jit_compile=jit)
    def run():
        with tf.GradientTape() as tape:
            value, norm = penalty(lambda x: tf.tanh(x @ first) @ last, tf.constant(POINTS, tf.float32))
        return value, norm, tape.gradient(value, [first, last])

    value, norm, gradients = run()
    formula = FORMULAS[penalty]
    norms = norms_of_gradients(FIRST, LAST)
    assert (norms < 1).any() and (norms > 1).any()
    np.testing.assert_allclose(value, formula(norms), rtol=1e-5)
    np.testing.assert_allclose(norm, norms.mean(), rtol=1e-5)
    by_first = finite_differences(lambda w: formula(norms_of_gradients(w, LAST)), FIRST)
    by_last = finite_differences(lambda w: formula(norms_of_gradients(FIRST, w)), LAST)
    for found, expected in zip(gradients, (by_first, by_last), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("length", [0.5, 3.0])
def test_closed_forms_of_a_linear_critic(length):
    images = tf.random.stateless_normal((4, 2, 3, 1), (0, 0))
    slope = tf.fill([6, 1], tf.constant(length / np.sqrt(6), tf.float32))
    results = [p(lambda x: tf.reshape(x, [-1, 6]) @ slope + 5.0, images) for p in FORMULAS]
    values, norms = zip(*results, strict=True)
    np.testing.assert_allclose(norms, length, rtol=1e-6)
    np.testing.assert_allclose(values, [(length - 1) ** 2, max(0, length - 1) ** 2, length**2 / 2], rtol=1e-5)


@pytest.mark.parametrize("penalty", FORMULAS)
@pytest.mark.parametrize("scale", [0.0, 1e-30])
def test_no_gradient_at_all_gives_finite_ones(penalty, scale):
    weights = tf.Variable(tf.fill([5, 1], scale))
    with tf.GradientTape() as tape:
        value, norm = penalty(lambda x: x @ weights, tf.ones((3, 5)))
    assert np.isfinite([value, norm]).all()
    assert np.isfinite(tape.gradient(value, weights)).all()


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("penalty", FORMULAS)
def test_a_bfloat16_critic_has_float32_norms(penalty, jit):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(16, 3, 2, "same", activation="leaky_relu", dtype="mixed_bfloat16")(inputs)
    x = keras.layers.Flatten()(x)
    critic = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, dtype="float32")(x))
    critic.layers[-1].kernel.assign(critic.layers[-1].kernel * 10.0)
    images = tf.random.stateless_normal((4, 8, 8, 1), (0, 0))

    @tf.function(jit_compile=jit)
    def run():
        with tf.GradientTape() as tape:
            value, norm = penalty(critic, images)
        return value, norm, tape.gradient(value, critic.trainable_variables[0])

    value, norm, gradient = run()
    assert value.dtype == norm.dtype == tf.float32
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = critic(images)
    norms = np.linalg.norm(tape.gradient(logits, images).numpy().reshape(4, -1).astype("float64"), axis=1)
    np.testing.assert_allclose(value, FORMULAS[penalty](norms), rtol=1e-2)
    np.testing.assert_allclose(norm, norms.mean(), rtol=1e-2)
    assert np.linalg.norm(gradient) > 0


def test_points_lie_between_real_and_fake():
    real, fake = tf.ones((3, 2, 2, 1)), -tf.ones((3, 2, 2, 1))
    epsilon = tf.reshape([0.0, 0.25, 1.0], [3, 1, 1, 1])
    np.testing.assert_array_equal(penalties.between(real, fake, epsilon)[:, 0, 0, 0], [-1.0, -0.5, 1.0])
