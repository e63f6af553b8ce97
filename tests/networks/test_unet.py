import itertools

import numpy as np
import pytest
import tensorflow as tf

from kgan.errors import InputError
from kgan.networks import unet
from kgan.noise import Noise


def paint(network, images, seeds=None) -> np.ndarray:
    with Noise(0).scope("test", tf.constant(seeds or [0] * len(images))):
        return network(images).numpy()


def test_the_paper_has_as_many_weights():
    """C64-C128-C256-C512-C512-C512-C512-C512, then CD512-CD512-CD512-C512-C256-C128-C64 on twice the channels."""
    down = [3, 64, 128, 256, 512, 512, 512, 512, 512]
    up = [(512, 512), (1024, 512), (1024, 512), (1024, 512), (1024, 256), (512, 128), (256, 64), (128, 3)]
    kernels = sum(a * b for a, b in itertools.pairwise(down)) + sum(a * b for a, b in up)
    norms = 2 * (sum(down[2:8]) + sum(b for _, b in up[:-1]))
    biases = 64 + 512 + 3  # where no norm follows
    assert unet.generator(3).count_params() == 16 * kernels + norms + biases


def test_the_first_three_layers_of_the_decoder_drop():
    network = unet.generator(3, width=2)
    assert [layer.name for layer in network.layers if "dropout" in layer.name] == [
        f"up_{i}_dropout" for i in (6, 5, 4)
    ]
    assert [x.name for x in network.layers if "norm" in x.name and "down" in x.name] == [
        f"down_{i}_norm" for i in range(1, 7)
    ]


@pytest.mark.parametrize("shape", [(16, 16), (32, 48)])
def test_any_size_that_the_stride_divides(shape):
    images = tf.random.stateless_uniform((2, *shape, 1), [1, 2], -1.0, 1.0)
    painted = paint(unet.generator(1, width=2, levels=4), images)
    assert painted.shape == (2, *shape, 1) and painted.dtype == np.float32
    assert np.abs(painted).max() <= 1.0 and painted.std() > 0


def test_at_test_each_row_drops_by_its_own_seed():
    network = unet.generator(1, width=4, levels=4)
    images = tf.repeat(tf.random.stateless_uniform((1, 32, 32, 1), [1, 2], -1.0, 1.0), 3, axis=0)
    painted = paint(network, images, [5, 6, 5])
    np.testing.assert_allclose(painted[0], painted[2], atol=1e-6)
    assert np.abs(painted[0] - painted[1]).max() > 1e-4
    np.testing.assert_allclose(paint(network, images[:1], [6])[0], painted[1], atol=1e-5)


def test_how_far_a_pixel_sees():
    """By the gradient of a pixel's row, over a network that is linear but for the norms, which do not count."""
    levels, side = 3, 64
    network = unet.generator(1, width=2, levels=levels, norm_at_test="moving")
    x = tf.random.stateless_uniform((1, side, side, 1), [1, 2], -1.0, 1.0)
    seen = set()
    for row in range(24, 40):
        with tf.GradientTape() as tape, Noise(0).scope("test", tf.constant([0])):
            tape.watch(x)
            y = tf.reduce_sum(network(x)[0, row])
        rows = np.nonzero(np.abs(tape.gradient(y, x)).sum((0, 2, 3)))[0]
        seen |= {abs(int(r) - row) for r in rows}
    assert max(seen) == unet.reach(levels)


@pytest.mark.parametrize(
    ("shape", "levels"), [((256, 256), 8), ((128, 128), 7), ((96, 96), 5), ((8, 8), 3), ((64, 32), 5), ((40, 40), 3)]
)
def test_how_often_sides_are_halved(shape, levels):
    assert unet.levels((*shape, 3)) == levels


def test_sides_that_cannot_be_halved_often_enough():
    with pytest.raises(InputError, match="image_shape: 200x200 can be halved 3 times only; expected multiples of 32"):
        unet.levels((200, 200, 3))
