"""Against Keras' own layers, which take the same weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.layers.image_convolution import FromImage, SmoothToImage, ToImage

PAIRS = {
    "from": (FromImage, keras.layers.Conv2D, (2, 12, 8, 3), 5),
    "to": (ToImage, keras.layers.Conv2DTranspose, (2, 6, 4, 5), 3),
    "smooth": (SmoothToImage, keras.layers.Conv2D, (2, 13, 9, 5), 3),
}
HALVES = {"strides": 2, "padding": "same"}
FITTING = {"from": HALVES, "to": HALVES, "smooth": {}}


def make(kind: str, side: int, **options):
    own, of_keras, shape, filters = PAIRS[kind]
    options = {**FITTING[kind], "bias_initializer": "random_normal", **options}
    pair = [layer(filters, side, dtype="float64", **options) for layer in (own, of_keras)]
    for layer in pair:
        layer.build(shape)
    pair[1].set_weights(pair[0].get_weights())
    return pair, tf.constant(np.random.default_rng(0).normal(size=shape))


def differentiated(layer, x, training: bool = False) -> list[np.ndarray]:
    """Outputs, gradients, and those of a gradient penalty (of the norm of the gradient for the inputs)."""
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = layer(x, training=training)
            loss = tf.reduce_sum(tf.sin(y))
        gradient = inner.gradient(loss, x)
        penalty = tf.reduce_sum(gradient**3)
    return [y, gradient, *outer.gradient(loss, layer.weights), *outer.gradient(penalty, [x, *layer.weights])]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("kind", "side"), [("from", 4), ("from", 5), ("to", 4), ("to", 5), ("smooth", 2), ("smooth", 6)]
)
def test_all_is_as_with_keras_layer(kind, side, training):
    (ours, theirs), x = make(kind, side)
    for one, other in zip(differentiated(ours, x, training), differentiated(theirs, x), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", PAIRS)
def test_without_bias_and_with_activation(kind):
    pair, x = make(kind, 4, use_bias=False, activation="tanh")
    np.testing.assert_allclose(*(layer(x) for layer in pair), rtol=1e-9)


@pytest.mark.parametrize("kind", PAIRS)
def test_gives_the_same_with_xla(kind):
    (layer, _), x = make(kind, 4)
    compiled = tf.function(lambda x: differentiated(layer, x, training=True), jit_compile=True)
    for plain, xla in zip(differentiated(layer, x), compiled(x), strict=True):
        np.testing.assert_allclose(plain, xla, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", PAIRS)
def test_survives_serialisation(kind):
    (layer, _), x = make(kind, 4)
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x), layer(x))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *((kind, options) for kind in ("from", "to") for options in ({"kernel_size": 3}, {"strides": 1})),
        *((kind, {"padding": "valid"}) for kind in ("from", "to")),
        *(("smooth", options) for options in ({"strides": 2}, {"padding": "same"})),
    ],
)
def test_what_it_cannot_compute_is_named(kind, options):
    own, _, shape, filters = PAIRS[kind]
    options = {"kernel_size": 5, "name": "edge", **FITTING[kind], **options}
    with pytest.raises(ValueError, match=r"edge: got .*, expected .*strides"):
        own(filters, **options)(np.zeros(shape, "float32"))


@pytest.mark.parametrize("kind", ["from", "smooth"])
def test_odd_sides_are_refused(kind):
    own, _, (rows, height, width, channels), filters = PAIRS[kind]
    layer = own(filters, 4, **FITTING[kind], name="edge")
    with pytest.raises(ValueError, match=r"edge: got an image of the sides .*, expected even ones"):
        layer(np.zeros((rows, height + 1, width, channels), "float32"))


@pytest.mark.parametrize("training", [False, True])
def test_only_a_training_has_gradients_of_its_own(training):
    """Whoever loads an exported model that has them is warned."""
    (layer, _), x = make("to", 5)
    graph = tf.function(lambda x: layer(x, training=training)).get_concrete_function(x).graph.as_graph_def()
    assert any("_gradient_op_type" in node.attr for node in graph.node) == training
