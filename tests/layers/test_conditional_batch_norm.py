import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.layers.conditional_batch_norm import ConditionalBatchNorm

LABELS = np.array([0, 2, 2, 1, 0], "int32")
EPSILON = 1e-5


def layer(dtype: str | None = None) -> ConditionalBatchNorm:
    norm = ConditionalBatchNorm(3, dtype=dtype, name="norm")
    norm([batch(), LABELS])
    return norm


def lively(dtype: str | None = None) -> ConditionalBatchNorm:
    norm = layer(dtype)
    norm.scale.assign(np.random.default_rng(1).normal(1.0, 0.5, (3, 2)))
    norm.shift.assign(np.random.default_rng(2).normal(0.0, 0.5, (3, 2)))
    return norm


def batch(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3.0, 2.0, (5, 4, 6, 2)).astype("float32")


def reference(norm: ConditionalBatchNorm, x: np.ndarray, mean, variance) -> np.ndarray:
    scale, shift = (np.asarray(v.value, "float64")[LABELS][:, None, None] for v in (norm.scale, norm.shift))
    return (x.astype("float64") - mean) / np.sqrt(variance + EPSILON) * scale + shift


def statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = x.astype("float64")
    return x.mean((0, 1, 2)), x.var((0, 1, 2))


@pytest.mark.parametrize("jit", [False, True])
def test_in_training_by_the_batch_and_the_class(jit):
    norm, x = lively(), batch()
    call = tf.function(lambda x: norm([x, LABELS], training=True), jit_compile=jit)
    np.testing.assert_allclose(call(x), reference(norm, x, *statistics(x)), atol=1e-5)


def test_at_inference_by_moving_averages():
    norm, mean, variance = lively(), np.zeros(2), np.ones(2)
    for seed in range(4):
        norm([batch(seed), LABELS], training=True)
        own_mean, own_variance = statistics(batch(seed))
        mean = 0.9 * mean + 0.1 * own_mean
        variance = 0.9 * variance + 0.1 * own_variance * (120 / 119)  # of a population, as the field does it
    np.testing.assert_allclose(norm.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(norm.variance, variance, rtol=1e-5)
    np.testing.assert_allclose(norm([batch(9), LABELS]), reference(norm, batch(9), mean, variance), atol=1e-5)


def test_all_classes_begin_as_plain_batch_norm():
    plain = keras.layers.BatchNormalization(epsilon=EPSILON)
    np.testing.assert_allclose(
        layer()([batch(), LABELS], training=True), plain(batch(), training=True), rtol=1e-5, atol=1e-5
    )


def test_gradients_of_a_class_are_those_of_its_images():
    norm, x = lively(), batch()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(norm([x, LABELS], training=True) ** 2)
    by_scale, by_shift = tape.gradient(loss, [norm.scale.value, norm.shift.value])
    y = reference(norm, x, *statistics(x))
    mean, variance = statistics(x)
    hat = (x - mean) / np.sqrt(variance + EPSILON)
    for label in range(3):
        mine = label == LABELS
        np.testing.assert_allclose(by_scale[label], (2 * y * hat)[mine].sum((0, 1, 2)), rtol=1e-4)
        np.testing.assert_allclose(by_shift[label], (2 * y)[mine].sum((0, 1, 2)), rtol=1e-4)


def test_statistics_are_float32_in_bfloat16():
    norm = lively("mixed_bfloat16")
    x = tf.cast(batch() * 0.1 + 30.0, tf.bfloat16)
    wide = np.asarray(tf.cast(x, tf.float32), "float64")
    y = norm([x, LABELS], training=True)
    assert y.dtype == tf.bfloat16 and {v.dtype for v in norm.variables} == {"float32"}
    np.testing.assert_allclose(tf.cast(y, tf.float32), reference(norm, wide, *statistics(wide)), atol=0.05)
    np.testing.assert_allclose(norm.mean, 0.1 * statistics(wide)[0], rtol=1e-4)


def test_in_a_model_that_is_saved(tmp_path):
    images, labels = keras.Input((4, 6, 2)), keras.Input((), dtype="int32")
    norm = ConditionalBatchNorm(3, name="norm")
    model = keras.Model([images, labels], norm([images, labels]))
    norm.scale.assign(np.arange(6.0).reshape(3, 2))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again([batch(), LABELS]), model([batch(), LABELS]))
    assert [v.path for v in model.non_trainable_variables] == ["norm/mean", "norm/variance"]
