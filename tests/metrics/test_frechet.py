import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kgan.errors import InputError
from kgan.metrics import feature_statistics, frechet_distance, frechet_distance_from_statistics
from tests.metrics import recipes

# torch-fidelity 0.4.0 (fid_statistics_to_metric), pytorch-fid 0.3.0 (calculate_frechet_distance) and clean-fid 0.1.35
# (frechet_distance) agree to 14 digits; by tests/metrics/references.py
WIDE = 67.22640851553
SINGULAR = 142.54724998995


def orthogonal(seed: int, size: int) -> np.ndarray:
    return scipy.stats.ortho_group.rvs(size, random_state=seed)


def spread(seed: int, size: int, power: float) -> np.ndarray:
    """A covariance with the eigenvalues 1, 2^-power, 3^-power ..."""
    turn = orthogonal(seed, size)
    return (turn * np.arange(1.0, size + 1) ** -power) @ turn.T


@pytest.mark.parametrize(("sets", "value"), [(recipes.wide(), WIDE), (recipes.singular(), SINGULAR)])
def test_agrees_with_the_reference_implementations(sets, value):
    assert frechet_distance(*sets) == pytest.approx(value, rel=1e-6)


def test_of_one_dimension_is_a_difference_of_means_and_deviations():
    a, b = np.array([[1.0], [2.0], [6.0]]), np.array([[-1.0], [1.0]])
    expected = 3.0**2 + (np.sqrt(7.0) - np.sqrt(2.0)) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("power", [0, 1, 2, 4])
def test_of_covariances_that_commute_is_known(power):
    first = spread(1, 64, power)
    mean = np.full(64, 0.5)
    expected = 64 * 0.25 + (2.0 - 1.0) ** 2 * np.trace(first)
    assert frechet_distance_from_statistics(mean, 4.0 * first, 0.0 * mean, first) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("power", [1, 2, 4])
def test_of_a_gaussian_and_its_optimal_transport_is_known(power):
    # x -> T x with T symmetric and positive is the optimal map: the distance is E|x - T x|^2 = tr((I - T) S (I - T)).
    first, turn = spread(2, 64, power), orthogonal(3, 64)
    transport = (turn * np.exp(0.3 * np.random.default_rng(0).normal(size=64))) @ turn.T
    rest = np.eye(64) - transport
    found = frechet_distance_from_statistics(np.zeros(64), first, np.zeros(64), transport @ first @ transport)
    assert found == pytest.approx(np.trace(rest @ first @ rest), rel=1e-9)


@pytest.mark.parametrize("sets", [recipes.wide(), recipes.singular()])
def test_between_identical_sets_is_nothing(sets):
    for features in sets:
        assert frechet_distance(features, features.copy()) < 1e-12 * features.shape[1]


def test_with_fewer_rows_than_columns_keeps_its_digits():
    # tr (S1 S2)^(1/2) is the nuclear norm of the cross product of the centred rows: no covariance, no root.
    real, fake = recipes.singular()
    a, b = ((x - x.mean(axis=0)) / np.sqrt(len(x) - 1) for x in (real, fake))
    means = np.sum((real.mean(axis=0) - fake.mean(axis=0)) ** 2)
    expected = means + np.sum(a**2) + np.sum(b**2) - 2 * np.linalg.svd(a @ b.T, compute_uv=False).sum()
    assert frechet_distance(real, fake) == pytest.approx(expected, rel=1e-12)


def test_of_sets_without_spread_is_the_distance_of_their_means():
    assert frechet_distance(np.full((5, 3), 2.0), np.full((4, 3), 1.0)) == pytest.approx(3.0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(2, 12), st.integers(1, 8))
@example(1, 6, 2, 4)  # two rows have a covariance whose eigenvalues 0 come out at 5 eps
def test_is_symmetric_not_negative_and_unmoved_by_isometries(seed, rows, others, columns):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(rows, columns)), 3.0 + random.normal(size=(others, columns))
    value = frechet_distance(a, b)
    assert value >= 0.0
    assert frechet_distance(b, a) == pytest.approx(value, rel=1e-9)
    turn = np.linalg.qr(random.normal(size=(columns, columns)))[0]
    assert frechet_distance(a @ turn + 5.0, b @ turn + 5.0) == pytest.approx(value, rel=1e-9)
    assert frechet_distance(a[::-1], random.permutation(b)) == pytest.approx(value, rel=1e-9)
    assert frechet_distance(10.0 * a, 10.0 * b) == pytest.approx(100.0 * value, rel=1e-9)


def test_statistics_are_those_of_numpy_whatever_the_block(small_blocks):
    features = recipes.wide()[0]
    for size in (1, 10_000, 2**28):
        small_blocks(size)
        mean, covariance = feature_statistics(features.astype(np.float32))
        np.testing.assert_allclose(mean, features.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(covariance, np.cov(features, rowvar=False), atol=1e-5)
    np.testing.assert_allclose(feature_statistics(features)[1], np.cov(features, rowvar=False), atol=1e-14)


def test_takes_statistics_saved_as_float32():
    real, fake = recipes.wide()
    saved = [x.astype(np.float32) for features in (real, fake) for x in feature_statistics(features)]
    assert frechet_distance_from_statistics(*saved) == pytest.approx(WIDE, rel=1e-4)


GOOD = np.ones((4, 2)) + np.eye(4, 2)


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (GOOD, GOOD[:1], "fake: got 1 row, expected at least 2"),
        (GOOD, GOOD[:, :1], "fake: got 1 columns, expected 2 as in real"),
        (GOOD[0], GOOD, r"real: got the shape \(2,\), expected \[n, d\]"),
        (GOOD, np.full((3, 2), np.nan), r"fake: got nan at \(0, 0\), expected finite numbers"),
        (np.where(GOOD == 2, np.inf, GOOD), GOOD, "real: got inf at"),
        (GOOD[:0], GOOD, r"real: got the shape \(0, 2\)"),
        (GOOD.astype(str), GOOD, "real: got an array of <U"),
    ],
)
def test_refuses_what_has_no_distance(real, fake, message):
    with pytest.raises(InputError, match=message):
        frechet_distance(real, fake)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(2), np.eye(2), np.zeros(3), np.eye(3)), "mu2: got 3 numbers, expected 2"),
        ((np.zeros(2), np.eye(3), np.zeros(2), np.eye(2)), r"sigma1: got the shape \(3, 3\), expected \(2, 2\)"),
        ((np.zeros(2), np.eye(2), np.zeros(2), [[1, 0.5], [0, 1]]), "sigma2: got entries that differ by 0.5"),
        ((np.zeros(2), np.eye(2), np.zeros(2), np.diag([1, -1])), "sigma2: got the eigenvalue -1"),
        ((np.zeros(2), np.eye(2) * np.nan, np.zeros(2), np.eye(2)), "sigma1: got nan"),
    ],
)
def test_refuses_what_is_no_gaussian(arguments, message):
    with pytest.raises(InputError, match=message):
        frechet_distance_from_statistics(*arguments)


def test_refuses_one_row_for_statistics():
    with pytest.raises(InputError, match="features: got 1 row"):
        feature_statistics(np.ones((1, 3)))
