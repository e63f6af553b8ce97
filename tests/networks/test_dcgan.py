import keras
import numpy as np
import pytest

from kgan.layers.batch_norm import BatchNorm
from kgan.networks import dcgan

SIZES = range(8, 257, 4)


def test_the_paper_s_sizes():
    assert dcgan.sides(64) == [64, 32, 16, 8, 4]
    assert dcgan.sides(28) == [28, 14, 7]
    assert dcgan.sides(100) == [100, 50, 25, 13, 7]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [8, 28, 36, 64, 100])
def test_shapes(size, channels):
    generator = dcgan.generator((size, size, channels), latent_dim=5, width=4)
    images = generator(np.zeros((2, 5), "float32"))
    assert images.shape == (2, size, size, channels)
    assert dcgan.discriminator((size, size, channels), width=4)(images).shape == (2, 1)


def test_every_allowed_size_has_an_output_of_that_size():
    for size in SIZES:
        assert dcgan.generator((size, size, 1), 4, 1).output_shape == (None, size, size, 1)


def test_the_guidelines_of_section_3():
    generator, discriminator = dcgan.generator((64, 64, 3)), dcgan.discriminator((64, 64, 3))
    kinds = [type(layer) for layer in generator.layers + discriminator.layers]
    assert not any("Pooling" in kind.__name__ for kind in kinds)
    assert kinds.count(keras.layers.Dense) == 2  # the projection and the logit: no hidden dense layer
    assert all(
        layer.strides == (2, 2) for layer in generator.layers + discriminator.layers if hasattr(layer, "strides")
    )
    # figure 1: 4x4x1024, 8x8x512, 16x16x256, 32x32x128
    shapes = [layer.output.shape[1:] for layer in generator.layers if "relu" in layer.name]
    assert shapes == [(4, 4, 1024), (8, 8, 512), (16, 16, 256), (32, 32, 128)]
    # batch norm on all layers but the output of G and the input of D
    assert sum(kind is BatchNorm for kind in kinds) == 4 + 3
    assert generator.layers[-1].activation is keras.activations.tanh
    slopes = {layer.negative_slope for layer in discriminator.layers if isinstance(layer, keras.layers.LeakyReLU)}
    assert slopes == {0.2}


def test_initial_weights_and_their_seed():
    keras.utils.set_random_seed(0)
    kernel = np.asarray(dcgan.generator((64, 64, 3), width=16).get_layer("up_16").kernel)
    assert abs(kernel.mean()) < 1e-3
    assert abs(kernel.std() - 0.02) < 1e-3
    keras.utils.set_random_seed(0)
    np.testing.assert_array_equal(kernel, dcgan.generator((64, 64, 3), width=16).get_layer("up_16").kernel)
