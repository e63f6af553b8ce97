"""Against Keras' own layers, which take the same weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.layers.image_convolution import FromImage, ToImage

PAIRS = {
    "from": (FromImage, keras.layers.Conv2D, (2, 12, 8, 3), 5),
    "to": (ToImage, keras.layers.Conv2DTranspose, (2, 6, 4, 5), 3),
}


def make(kind: str, side: int, **options):
    own, of_keras, shape, filters = PAIRS[kind]
    options = {"strides": 2, "padding": "same", "bias_initializer": "random_normal", **options}
    pair = [layer(filters, side, dtype="float64", **options) for layer in (own, of_keras)]
    for layer in pair:
        layer.build(shape)
    pair[1].set_weights(pair[0].get_weights())
    return pair, tf.constant(np.random.default_rng(0).normal(size=shape))


def differentiated(layer, x) -> list[np.ndarray]:
    """Outputs, gradients, and those of a gradient penalty (of the norm of the gradient for the inputs)."""
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = layer(x)
            loss = tf.reduce_sum(tf.sin(y))
        gradient = inner.gradient(loss, x)
        penalty = tf.reduce_sum(gradient**3)
    return [y, gradient, *outer.gradient(loss, layer.weights), *outer.gradient(penalty, [x, *layer.weights])]


@pytest.mark.parametrize("side", [4, 5])
@pytest.mark.parametrize("kind", PAIRS)
def test_all_is_as_with_keras_layer(kind, side):
    pair, x = make(kind, side)
    for ours, theirs in zip(*(differentiated(layer, x) for layer in pair), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", PAIRS)
def test_without_bias_and_with_activation(kind):
    pair, x = make(kind, 5, use_bias=False, activation="tanh")
    np.testing.assert_allclose(*(layer(x) for layer in pair), rtol=1e-9)


@pytest.mark.parametrize("kind", PAIRS)
def test_gives_the_same_with_xla(kind):
    (layer, _), x = make(kind, 5)
    compiled = tf.function(lambda x: differentiated(layer, x), jit_compile=True)
    for plain, xla in zip(differentiated(layer, x), compiled(x), strict=True):
        np.testing.assert_allclose(plain, xla, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", PAIRS)
def test_survives_serialisation(kind):
    (layer, _), x = make(kind, 4)
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x), layer(x))


@pytest.mark.parametrize("options", [{"kernel_size": 3}, {"strides": 1}, {"padding": "valid"}])
@pytest.mark.parametrize("kind", PAIRS)
def test_what_it_cannot_compute_is_named(kind, options):
    own, _, shape, filters = PAIRS[kind]
    options = {"kernel_size": 5, "strides": 2, "padding": "same", "name": "edge", **options}
    with pytest.raises(ValueError, match=r"edge: got kernel .* expected a kernel of 4 or 5"):
        own(filters, **options)(np.zeros(shape, "float32"))
