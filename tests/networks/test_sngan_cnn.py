import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan import losses
from kgan.layers.spectral_normalization import SpectralNormalization, advance
from kgan.networks import sngan_cnn


@pytest.mark.parametrize(("size", "start"), [(32, 4), (48, 6)])
def test_as_many_parameters_as_table_3(size, start):
    generator = sngan_cnn.generator((size, size, 3))
    kernels = 16 * (512 * 256 + 256 * 128 + 128 * 64)
    norms = 4 * (256 + 128 + 64)
    assert generator.count_params() == 129 * start**2 * 512 + kernels + norms + 9 * 64 * 3 + 3
    discriminator = sngan_cnn.discriminator((size, size, 3))
    threes = 9 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    fours = 16 * (64 * 64 + 128 * 128 + 256 * 256)
    biases = 2 * (64 + 128 + 256) + 512
    vectors = biases + 1
    assert discriminator.count_params() == threes + fours + biases + start**2 * 512 + 1 + vectors


@pytest.mark.parametrize("size", [8, 12, 16, 28, 32, 48, 64, 100])
def test_shapes(size):
    generator = sngan_cnn.generator((size, size, 1), width=2, latent_dim=5)
    images = generator(np.zeros((2, 5), "float32"))
    assert images.shape == (2, size, size, 1) and np.abs(images).max() <= 1
    assert sngan_cnn.discriminator((size, size, 1), width=2)(images).shape == (2, 1)


def test_the_maps_of_table_3():
    discriminator = sngan_cnn.discriminator((32, 32, 3))
    shapes = [layer.output.shape[1:] for layer in discriminator.layers if isinstance(layer, keras.layers.LeakyReLU)]
    assert shapes == [
        (32, 32, 64),
        (16, 16, 64),
        (16, 16, 128),
        (8, 8, 128),
        (8, 8, 256),
        (4, 4, 256),
        (4, 4, 512),
    ]
    weighty = [layer for layer in discriminator.layers if layer.trainable_variables]
    assert len(weighty) == 8 and all(isinstance(layer, SpectralNormalization) for layer in weighty)
    slopes = {layer.negative_slope for layer in discriminator.layers if isinstance(layer, keras.layers.LeakyReLU)}
    assert slopes == {0.1}
    generator = sngan_cnn.generator((32, 32, 3))
    shapes = [layer.output.shape[1:] for layer in generator.layers if isinstance(layer, keras.layers.ReLU)]
    assert shapes == [(8, 8, 256), (16, 16, 128), (32, 32, 64)]


def test_outputs_are_float32_in_bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        generator, discriminator = sngan_cnn.generator((16, 16, 1), 4, 6), sngan_cnn.discriminator((16, 16, 1), 4)
    finally:
        keras.config.set_dtype_policy("float32")
    images = generator(np.zeros((2, 6), "float32"))
    assert images.dtype == discriminator(images).dtype == tf.float32
    assert discriminator.get_layer("keep_1_leaky").output.dtype == "bfloat16"


def test_every_weight_has_a_gradient():
    keras.utils.set_random_seed(0)
    generator, discriminator = sngan_cnn.generator((16, 16, 1), 4, 6), sngan_cnn.discriminator((16, 16, 1), 4)
    weights = discriminator.trainable_variables + generator.trainable_variables
    real = tf.random.stateless_uniform((6, 16, 16, 1), (0, 1), -1.0, 1.0)
    latents = tf.random.stateless_normal((6, 6), (0, 2))

    advance(discriminator)
    with tf.GradientTape() as tape:
        fake_logits = discriminator(generator(latents, training=True))
        loss = losses.discriminator_minimax(discriminator(real), fake_logits, smoothing=0.1)
    for v, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        assert np.linalg.norm(gradient) > 0, v.path
