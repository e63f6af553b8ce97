import keras
import numpy as np

from kgan.layers.reflection_padding import ReflectionPadding


def test_pixels_are_mirrored_at_the_border():
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype("float32")
    np.testing.assert_array_equal(ReflectionPadding(3)(x), np.pad(x, [(0, 0), (3, 3), (3, 3), (0, 0)], "reflect"))


def test_sizes_may_be_unknown():
    inputs = keras.Input((None, 7, 2))
    assert ReflectionPadding(2)(inputs).shape == (None, None, 11, 2)
