import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from kgan.errors import InputError
from kgan.priors import Normal, Uniform


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


def test_normal_is_the_inverse_of_the_distribution_function():
    numbers = np.arange(0, 2**24, 2**10, dtype=np.float64) / 2**24
    found = Normal(1).sample(tf.constant(numbers[:, None], tf.float32)).numpy()[:, 0]
    np.testing.assert_allclose(found, scipy.stats.norm.ppf(numbers + 2.0**-25), rtol=1e-5, atol=1e-6)


def test_normal_is_finite_at_its_ends():
    ends = Normal(2).sample(tf.constant([[0.0, 1 - 2.0**-24]])).numpy()[0]
    np.testing.assert_allclose(ends, np.array([-1, 1]) * -scipy.stats.norm.ppf(2.0**-25), rtol=1e-5)


@pytest.mark.parametrize("threshold", [0.5, 2.0])
def test_a_truncated_normal_is_that_of_scipy(threshold):
    numbers = np.linspace(0, 1 - 2.0**-24, 1001).astype(np.float32)
    share = scipy.stats.norm.cdf(threshold) - scipy.stats.norm.cdf(-threshold)
    found = Normal(1).sample(tf.constant(numbers[:, None]), share).numpy()[:, 0]
    expected = scipy.stats.truncnorm.ppf(numbers.astype(np.float64) + 2.0**-25, -threshold, threshold)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(found).max() <= threshold


def test_normal_walks_on_the_sphere():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3, 50)).astype(np.float32)
    for t in (0.0, 0.3, 1.0):
        found = Normal(50).interpolate(tf.constant(a), tf.constant(b), t).numpy()
        lengths = [np.linalg.norm(x, axis=1) for x in (a, b, found)]
        np.testing.assert_allclose(lengths[2], (1 - t) * lengths[0] + t * lengths[1], rtol=1e-5)
        angles = [
            np.arccos((x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1))
            for x, y in ((a, b), (a, found))
        ]
        np.testing.assert_allclose(angles[1], t * angles[0], atol=2e-3)
    np.testing.assert_allclose(Normal(50).interpolate(tf.constant(a), tf.constant(b), 1.0), b, rtol=1e-4, atol=1e-5)


def test_normal_stays_where_there_is_no_way_to_go():
    a = tf.constant([[3.0, 4.0]])
    np.testing.assert_allclose(Normal(2).interpolate(a, a, 0.4), a, rtol=1e-6)
    assert np.isfinite(Normal(2).interpolate(a, -a, 0.4)).all()
