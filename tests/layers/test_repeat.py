import keras
import numpy as np

from kgan.layers.repeat import Repeat


def test_each_pixel_becomes_four():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    np.testing.assert_array_equal(Repeat()(x), x.repeat(2, axis=1).repeat(2, axis=2))


def test_sizes_may_be_unknown():
    assert Repeat()(keras.Input((None, 7, 2))).shape == (None, None, 14, 2)
