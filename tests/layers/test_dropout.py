import keras
import numpy as np
import tensorflow as tf

from kgan.layers.dropout import Dropout
from kgan.noise import Noise


def masks(rate: float = 0.3, stream: str = "a", step: int = 0, name: str = "drop", jit: bool = False) -> np.ndarray:
    layer, noise = Dropout(rate, name=name), Noise(0)

    def call(x, step):
        with noise.scope(stream, step):
            return layer(x, training=True)

    return tf.function(call, jit_compile=jit)(tf.ones((200, 50)), tf.constant(step)).numpy()


def test_keeps_the_mean_and_drops_the_rate():
    out = masks()
    assert set(np.unique(out)) == {0.0, np.float32(1 / 0.7)}
    assert abs((out == 0).mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / out.size)


def test_the_mask_is_a_function_of_stream_step_and_layer():
    np.testing.assert_array_equal(masks(), masks())
    np.testing.assert_array_equal(masks(), masks(jit=True))
    for other in (masks(stream="b"), masks(step=1), masks(name="other")):
        assert (masks() != other).mean() > 0.3


def test_does_nothing_at_inference_and_survives_serialisation():
    layer = keras.layers.deserialize(keras.layers.serialize(Dropout(0.4, name="drop")))
    assert (layer.rate, layer.name) == (0.4, "drop")
    x = tf.random.stateless_normal((3, 4), (0, 0))
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer(x, training=False), x)


def test_at_test_where_it_is_noise():
    layer = keras.layers.deserialize(keras.layers.serialize(Dropout(0.5, at_test=True, name="drop")))
    for options in ({}, {"training": False}, {"training": True}):
        with Noise(0).scope("a", 0):
            assert 0.3 < (layer(tf.ones((20, 50)), **options).numpy() == 0).mean() < 0.7
