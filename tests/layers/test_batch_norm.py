import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.layers.batch_norm import BatchNorm

EPSILON = 1e-5


def layer(at_test: str, channels: int = 3) -> BatchNorm:
    keras.utils.set_random_seed(0)
    norm = BatchNorm(at_test, keras.initializers.RandomNormal(1.0, 0.02))
    norm.build((None, None, None, channels))
    norm.shift.assign(np.linspace(-1.0, 1.0, channels))
    return norm


def batch(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3.0, 2.0, (rows, 5, 4, 3)).astype("float32")


def reference(norm: BatchNorm, x: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    scale, shift = (np.asarray(v.value, "float64") for v in (norm.scale, norm.shift))
    return (x.astype("float64") - mean) / np.sqrt(variance + EPSILON) * scale + shift


@pytest.mark.parametrize("at_test", ["instance", "moving"])
@pytest.mark.parametrize("rows", [1, 4])
def test_in_training_by_the_statistics_of_the_batch(at_test, rows):
    norm, x = layer(at_test), batch(rows)
    expected = reference(norm, x, x.mean((0, 1, 2), "float64"), x.astype("float64").var((0, 1, 2)))
    np.testing.assert_allclose(norm(x, training=True), expected, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 4])
def test_at_test_by_the_statistics_of_each_image(rows):
    norm, x = layer("instance"), batch(rows)
    expected = reference(
        norm, x, x.mean((1, 2), "float64", keepdims=True), x.astype("float64").var((1, 2), keepdims=True)
    )
    np.testing.assert_allclose(norm(x), expected, atol=1e-5)
    assert norm.non_trainable_variables == []


def test_a_batch_of_one_is_the_same_in_training_and_at_test():
    norm, x = layer("instance"), batch(1)
    np.testing.assert_array_equal(norm(x), norm(x, training=True))


def test_at_test_by_moving_statistics():
    norm = layer("moving")
    mean, variance = np.zeros(3), np.ones(3)
    for seed in range(5):
        x = batch(4, seed)
        norm(x, training=True)
        mean = 0.9 * mean + 0.1 * x.mean((0, 1, 2))
        variance = 0.9 * variance + 0.1 * x.var((0, 1, 2)) * (80 / 79)  # of a population, as the field does it
    np.testing.assert_allclose(norm.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(norm.variance, variance, rtol=1e-5)
    x = batch(2, 9)
    np.testing.assert_allclose(norm(x), reference(norm, x, mean, variance), atol=1e-4)


def test_survives_serialisation():
    norm = keras.layers.deserialize(keras.layers.serialize(layer("moving")))
    assert (norm.at_test, norm.epsilon) == ("moving", EPSILON)


def test_statistics_are_float32_in_bfloat16():
    norm = BatchNorm("instance", dtype="mixed_bfloat16")
    x = tf.cast(np.random.default_rng(0).normal(100.0, 1.0, (2, 32, 32, 1)), tf.bfloat16)
    y = norm(x)
    assert y.dtype == tf.bfloat16 and norm.scale.dtype == "float32"
    wide = np.asarray(tf.cast(x, tf.float32), "float64")
    expected = reference(norm, wide, wide.mean((1, 2), keepdims=True), wide.var((1, 2), keepdims=True))
    np.testing.assert_allclose(tf.cast(y, tf.float32), expected, atol=0.02)
