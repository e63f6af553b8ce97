import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.networks import cyclegan


def test_the_paper_has_as_many_weights():
    network = cyclegan.generator(3, blocks=9)
    ends = 2 * 49 * 3 * 64 + 3
    samplings = 2 * 9 * (64 * 128 + 128 * 256)
    assert network.count_params() == ends + samplings + 9 * 2 * 9 * 256 * 256


@pytest.mark.parametrize("upsample", ["transpose", "resize"])
@pytest.mark.parametrize("shape", [(8, 8), (12, 40)])
def test_any_size_that_the_stride_divides(upsample, shape):
    network = cyclegan.generator(1, width=4, blocks=2, upsample=upsample)
    images = network(tf.random.stateless_uniform((2, *shape, 1), [1, 2], -1.0, 1.0))
    assert images.shape == (2, *shape, 1) and images.dtype == tf.float32
    assert np.abs(images).max() <= 1.0 and np.std(images) > 0


def test_repeated_pixels_leave_no_checkerboard():
    """On a plain picture every pixel far from the border is the same; a transposed convolution makes a pattern."""
    spreads = {}
    for upsample in ("transpose", "resize"):
        keras.utils.set_random_seed(0)
        network = cyclegan.generator(1, width=4, blocks=1, upsample=upsample)
        stripes = keras.Model(network.input, network.get_layer("up_1").output)
        grown = stripes(tf.ones((1, 64, 64, 1)) * tf.linspace(-1.0, 1.0, 64)[:, None, None])
        rows = grown.numpy()[0, :, 24:40]
        spreads[upsample] = np.abs(rows[:, 1:] - rows[:, :-1]).max()
    assert spreads["resize"] < 1e-4 < spreads["transpose"]


def test_in_bfloat16_the_images_are_float32():
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        network = cyclegan.generator(3, width=4, blocks=1)
    finally:
        keras.config.set_dtype_policy(policy)
    assert network.output.dtype == "float32" and network.get_layer("in").compute_dtype == "bfloat16"
