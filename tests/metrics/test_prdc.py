import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgan.errors import InputError
from kgan.metrics import density_coverage, precision_recall
from tests.metrics import recipes

# by tests/metrics/references.py: precision and recall by torch-fidelity 0.4.0 (prc_features_to_metric, float32 shares)
# and prdc 0.2 (compute_prdc), which agree; density and coverage by prdc 0.2
PRECISION_RECALL = {3: (256 / 300, 232 / 400), 5: (281 / 300, 271 / 400)}
DENSITY_COVERAGE = {3: (1.3622222222222222, 0.8275), 5: (1.4146666666666667, 0.955)}


def naive(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Precision and recall, density and coverage, from distances by subtraction."""

    def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return ((a[:, None] - b) ** 2).sum(axis=2)

    real_radii, fake_radii = (np.sort(distances(x, x), axis=1)[:, min(k, len(x) - 1)] for x in (real, fake))
    between = distances(fake, real)
    precision = (between <= real_radii).any(axis=1).mean()
    recall = (between <= fake_radii[:, None]).any(axis=0).mean()
    inside = between < real_radii
    return (precision, recall), (inside.sum() / k / len(fake), inside.any(axis=0).mean())


@pytest.mark.parametrize("k", [3, 5])
def test_agrees_with_the_reference_implementations(k):
    assert precision_recall(*recipes.near(), k=k) == pytest.approx(PRECISION_RECALL[k], rel=1e-6)
    assert density_coverage(*recipes.near(), k=k) == pytest.approx(DENSITY_COVERAGE[k], rel=1e-6)


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("k", [1, 5])
def test_of_a_set_and_itself_is_1(k, offset):
    features = recipes.near()[0] + offset
    shuffled = np.random.default_rng(0).permutation(features)
    assert precision_recall(features, shuffled, k) == (1.0, 1.0)
    assert density_coverage(features, shuffled, k) == (1.0, 1.0)


def test_of_sets_far_apart_is_0():
    real, fake = recipes.near()
    assert precision_recall(real, fake + 100.0) == (0.0, 0.0)
    assert density_coverage(real, fake + 100.0) == (0.0, 0.0)


def test_tells_collapse_from_bad_samples():
    real = recipes.near()[0]
    collapsed = np.repeat(real[:1], 50, axis=0)
    precision, recall = precision_recall(real, collapsed)
    assert precision == 1.0
    assert recall == 1 / len(real)  # the balls of copies have no width: they hold the example copied, and no other
    _, coverage = density_coverage(real, collapsed)
    assert coverage < 0.2
    noisy = np.concatenate([real, real + 100.0])
    assert precision_recall(real, noisy) == (0.5, 1.0)


def test_copies_of_one_point_are_within_balls_with_a_surface_only():
    copies = np.full((6, 2), 0.1)
    assert precision_recall(copies, copies, k=3) == (1.0, 1.0)
    assert density_coverage(copies, copies, k=3) == (0.0, 0.0)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(4, 12), st.integers(4, 12), st.integers(1, 3))
def test_decides_ties_as_subtraction_does(seed, k, rows, others, columns):
    random = np.random.default_rng(seed)
    real, fake = (random.integers(0, 4, (count, columns)).astype(float) for count in (rows, others))  # ties abound
    expected = naive(real, fake, k)
    assert precision_recall(real, fake, k) == pytest.approx(expected[0])
    assert density_coverage(real, fake, k) == pytest.approx(expected[1])
    moved = random.permutation(real)[:, ::-1] + 64.0, random.permutation(fake)[:, ::-1] + 64.0
    assert precision_recall(*moved, k) == pytest.approx(expected[0])
    assert precision_recall(fake, real, k) == pytest.approx(expected[0][::-1])


def test_does_not_depend_on_the_block(small_blocks):
    features = recipes.near()[0]
    pairs = [recipes.near(), (features, features.copy())]
    whole = [(precision_recall(*pair), density_coverage(*pair)) for pair in pairs]
    for size in (1, 8 * 400 * 7):
        small_blocks(size)
        assert [(precision_recall(*pair), density_coverage(*pair)) for pair in pairs] == whole


def test_one_sample_has_a_density_and_no_precision():
    real = recipes.near()[0]
    assert density_coverage(real, real[:1])[1] > 0.0
    with pytest.raises(InputError, match="fake: got 1 row, expected at least 4"):
        precision_recall(real, real[:1])


@pytest.mark.parametrize("metric", [precision_recall, density_coverage])
@pytest.mark.parametrize(
    ("real", "fake", "k", "message"),
    [
        (np.ones((3, 2)), np.ones((9, 2)), 3, "real: got 3 rows, expected at least 4"),
        (np.ones((9, 2)), np.ones((9, 3)), 3, "fake: got 3 columns, expected 2"),
        (np.ones((9, 2)), np.full((9, 2), np.nan), 3, "fake: got nan"),
        (np.ones((9, 2)), np.ones((9, 2)), 0, "k: got 0, expected a whole number of at least 1"),
    ],
)
def test_refuses_sets_without_neighbourhoods(metric, real, fake, k, message):
    with pytest.raises(InputError, match=message):
        metric(real, fake, k)
