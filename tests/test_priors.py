import numpy as np
import pytest
import tensorflow as tf

from kgan.errors import InputError
from kgan.priors import Uniform


def test_uniform_covers_its_box_and_no_more():
    numbers = tf.constant([[0.0, 0.25, 0.5, 1 - 2.0**-24]])
    np.testing.assert_allclose(Uniform(4, 2.0).sample(numbers), [[-2.0, -1.0, 0.0, 2.0]], atol=1e-6)
    np.testing.assert_allclose(Uniform(4, 2.0).sample(numbers, 0.5), [[-1.0, -0.5, 0.0, 1.0]], atol=1e-6)


@pytest.mark.parametrize("truncation", [0.0, -1.0, 1.5, float("nan")])
def test_refuses_truncations_that_are_none(truncation):
    with pytest.raises(InputError, match="truncation: got"):
        Uniform(2).check_truncation(truncation)


def test_walks_straight():
    a, b = tf.constant([[0.0, 1.0]]), tf.constant([[1.0, -1.0]])
    np.testing.assert_allclose(Uniform(2).interpolate(a, b, 0.25), [[0.25, 0.5]])
