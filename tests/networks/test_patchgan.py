import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.networks import patchgan


def receptive_field(kernels: list[tuple[int, int]]) -> int:
    """Of convolutions (kernel, stride), from the last to the first."""
    field = 1
    for kernel, stride in reversed(kernels):
        field = (field - 1) * stride + kernel
    return field


@pytest.mark.parametrize(("patch", "side"), [(1, 256), (16, 126), (70, 30), (286, 6)])
def test_one_logit_for_each_patch(patch, side):
    network = patchgan.discriminator((256, 256, 3), width=2, patch=patch)
    assert network.output_shape == (None, side, side, 1)
    assert network.output.dtype == "float32"
    convolutions = [(x.kernel_size[0], x.strides[0]) for x in network.layers if hasattr(x, "kernel_size")]
    assert receptive_field(convolutions) == patch


def test_a_pixel_changes_the_logits_of_its_patches_alone():
    network = patchgan.discriminator((128, 128, 3), width=4, norm=_Nothing)
    x = tf.zeros((1, 128, 128, 3))
    pixel = tf.tensor_scatter_nd_update(x, [[0, 64, 64, 0]], [1.0])
    rows = np.nonzero(np.abs(network(pixel) - network(x)).max((0, 2, 3)) > 0)[0]
    # Logit i covers the 70 pixels from 8 i - 23 on.
    assert set(rows) <= {i for i in range(14) if 8 * i - 23 <= 64 < 8 * i - 23 + 70} and len(rows) >= 7


class _Nothing(keras.layers.Identity):
    """No norm: it would carry a change to all pixels."""


def test_the_paper_has_as_many_weights():
    network = patchgan.discriminator((256, 256, 3))
    kernels = [3 * 64, 64 * 128, 128 * 256, 256 * 512, 512]
    assert network.count_params() == 16 * sum(kernels) + 64 + 1
