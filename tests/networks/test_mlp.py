import numpy as np

from kgan.networks import mlp
from kgan.noise import Noise


def test_the_generator_of_the_mnist_experiment():
    generator = mlp.generator((28, 28, 1), 100)
    assert generator.count_params() == 100 * 1200 + 1200 + 1200 * 1200 + 1200 + 1200 * 784 + 784
    images = generator(np.random.default_rng(0).uniform(-2, 2, (3, 100)).astype("float32")).numpy()
    assert images.shape == (3, 28, 28, 1)
    assert images.min() >= -1 and images.max() <= 1


def test_the_discriminator_of_the_mnist_experiment():
    discriminator = mlp.maxout_discriminator((28, 28, 1))
    assert discriminator.count_params() == 784 * 1200 + 1200 + 240 * 1200 + 1200 + 240 + 1
    assert discriminator(np.zeros((2, 28, 28, 1), "float32")).shape == (2, 1)


def test_layers_of_a_network_start_from_different_weights():
    generator = mlp.generator((8, 8, 1), 10, 10)
    assert not np.array_equal(generator.get_layer("h0").kernel, generator.get_layer("h1").kernel)


def test_dropout_rates_of_the_discriminator():
    discriminator = mlp.maxout_discriminator((16, 16, 1))
    rates = [layer.rate for layer in discriminator.layers if layer.name.startswith("drop")]
    assert rates == [0.2, 0.5, 0.5]
    images = np.ones((4, 16, 16, 1), "float32")
    with Noise(0).scope("a", 0):
        first = discriminator(images, training=True)
    with Noise(0).scope("b", 0):
        second = discriminator(images, training=True)
    assert not np.array_equal(first, second)
