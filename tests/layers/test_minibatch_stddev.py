import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.layers.minibatch_stddev import MinibatchStddev


def batch(rows: int) -> np.ndarray:
    return np.random.default_rng(0).normal(1.0, 2.0, (rows, 3, 5, 2)).astype("float32")


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(("rows", "group"), [(8, 4), (4, 4), (7, 4), (6, 4), (3, 4), (1, 4), (5, 1), (6, 6)])
def test_mean_deviation_within_each_group(rows, group, jit):
    x = batch(rows)
    y = tf.function(MinibatchStddev(group), jit_compile=jit)(x).numpy()
    assert y.shape == (rows, 3, 5, 3)
    np.testing.assert_array_equal(y[..., :2], x)
    for start in range(0, rows, group):
        own = x[start : start + group].astype("float64")
        expected = np.sqrt(own.var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(y[start : start + group, ..., 2], expected, rtol=1e-5)


def test_batches_of_any_size_in_one_graph():
    layer = MinibatchStddev(4)
    call = tf.function(layer, input_signature=[tf.TensorSpec([None, 3, 5, 2])])
    for rows in (1, 4, 6):
        np.testing.assert_allclose(call(batch(rows)), layer(batch(rows)), rtol=1e-6)
    assert layer(keras.Input((3, 5, 2))).shape == (None, 3, 5, 3)


def test_images_that_are_all_the_same_have_a_finite_gradient():
    x = tf.ones((4, 3, 5, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = MinibatchStddev()(x)
    np.testing.assert_allclose(y[..., 2], 1e-4, rtol=1e-3)
    assert np.isfinite(tape.gradient(y, x)).all()


def test_float32_inside_bfloat16_and_serialisation():
    layer = keras.layers.deserialize(keras.layers.serialize(MinibatchStddev(3, dtype="mixed_bfloat16")))
    assert layer.group == 3
    x = tf.cast(batch(6) * 0.05 + 10.0, tf.bfloat16)
    y = layer(x)
    assert y.dtype == tf.bfloat16
    wide = np.asarray(tf.cast(x, tf.float32), "float64")[:3]
    np.testing.assert_allclose(tf.cast(y, tf.float32)[0, 0, 0, 2], np.sqrt(wide.var(axis=0) + 1e-8).mean(), rtol=1e-2)
