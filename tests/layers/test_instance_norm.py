import numpy as np
import pytest
import tensorflow as tf

from kgan.layers.instance_norm import InstanceNorm


def reference(x: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    x = x.astype("float64")
    mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon)


@pytest.mark.parametrize("rows", [1, 3])
def test_each_image_by_its_own_statistics(rows):
    x = (np.random.default_rng(0).normal(3.0, 5.0, (rows, 6, 5, 4)) * [1, 1e-3, 10, 0]).astype("float32")
    np.testing.assert_allclose(InstanceNorm()(x), reference(x), atol=2e-5)
    np.testing.assert_allclose(tf.function(InstanceNorm(), jit_compile=True)(x), reference(x), atol=2e-5)


def test_one_image_is_the_same_alone_and_in_a_batch():
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 2)).astype("float32")
    np.testing.assert_allclose(InstanceNorm()(x)[1:2], InstanceNorm()(x[1:2]), atol=1e-6)


@pytest.mark.parametrize("rows", [1, 2])
def test_the_gradient_goes_through_the_statistics(rows):
    rng = np.random.default_rng(1)
    x, weights = rng.normal(size=(rows, 3, 3, 2)), rng.normal(size=(rows, 3, 3, 2))
    variable = tf.Variable(x.astype("float32"))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(InstanceNorm()(variable) * weights.astype("float32"))
    gradient = tape.gradient(loss, variable).numpy()
    step = 1e-5
    for index in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[index] = step
        difference = (reference(x + moved) - reference(x - moved)) / (2 * step)
        assert gradient[index] == pytest.approx((difference * weights).sum(), abs=1e-3)


def test_statistics_are_float32_in_bfloat16():
    x = tf.cast(np.random.default_rng(0).normal(100.0, 1.0, (2, 32, 32, 1)), tf.bfloat16)
    y = InstanceNorm(dtype="mixed_bfloat16")(x)
    assert y.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(y, tf.float32), reference(x.numpy().astype("float32")), atol=0.02)
