import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgan.errors import InputError
from kgan.metrics import kernel_distance
from tests.metrics import recipes

# by tests/metrics/references.py
SUBSETS = (
    1.016802342523735,
    0.10025582738214454,
)  # torch-fidelity 0.4.0, kid_features_to_metric, recipes.KERNEL_SUBSETS
CUT = 1.0297156932320246  # torch-fidelity 0.4.0 and clean-fid 0.1.35 (kernel_distance), one subset of all 500 rows
FULL = 1.034760966591803  # scikit-learn 1.9.1, polynomial_kernel in the formula of the paper: 600 against 500 rows


def naive(x: np.ndarray, y: np.ndarray) -> float:
    """The estimate, a pair at a time."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return (a @ b / len(a) + 1.0) ** 3

    within = [[k(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j] for z in (x, y)]
    return sum(map(np.mean, within)) - 2.0 * np.mean([k(a, b) for a in x for b in y])


def test_agrees_with_the_reference_implementations():
    real, fake = recipes.wide()
    assert kernel_distance(real, fake, **recipes.KERNEL_SUBSETS) == pytest.approx(SUBSETS, rel=1e-6)
    assert kernel_distance(real[:500], fake, subsets=1, subset_size=500)[0] == pytest.approx(CUT, rel=1e-6)
    assert kernel_distance(real[:500], fake, subsets=None)[0] == pytest.approx(CUT, rel=1e-6)
    assert kernel_distance(real, fake, subsets=None)[0] == pytest.approx(FULL, rel=1e-6)


def test_full_estimate_has_no_spread():
    assert math.isnan(kernel_distance(*recipes.singular(), subsets=None)[1])


def test_does_not_depend_on_the_block(small_blocks):
    whole = kernel_distance(*recipes.wide(), subsets=None)[0]
    for size in (1, 8 * 600 * 7):
        small_blocks(size)
        assert kernel_distance(*recipes.wide(), subsets=None)[0] == pytest.approx(whole, rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.integers(2, 7), st.integers(1, 4))
def test_is_the_formula_symmetric_and_unmoved_by_turns(seed, rows, others, columns):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(rows, columns)), 1.0 + random.normal(size=(others, columns))
    value = kernel_distance(a, b, subsets=None)[0]
    assert value == pytest.approx(naive(a, b), rel=1e-9, abs=1e-9)
    assert kernel_distance(b, a, subsets=None)[0] == pytest.approx(value, rel=1e-9, abs=1e-9)
    turn = np.linalg.qr(random.normal(size=(columns, columns)))[0]
    assert kernel_distance(a @ turn, b @ turn, subsets=None)[0] == pytest.approx(value, rel=1e-9, abs=1e-9)


def test_averages_to_0_over_sets_of_one_distribution():
    random = np.random.default_rng(0)
    values = [kernel_distance(*random.normal(size=(2, 20, 4)), subsets=None)[0] for _ in range(400)]
    assert min(values) < 0.0
    assert abs(np.mean(values)) < 3.0 * np.std(values) / np.sqrt(len(values))


def test_subsets_of_all_rows_are_all_alike():
    real, fake = recipes.singular()
    mean, spread = kernel_distance(real[:30], fake, subsets=5, subset_size=30)
    assert mean == pytest.approx(kernel_distance(real[:30], fake, subsets=None)[0], rel=1e-12)
    assert spread == pytest.approx(0.0, abs=1e-12)


def test_seed_decides_the_subsets():
    first, again, other = (
        kernel_distance(*recipes.wide(), subsets=3, subset_size=50, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"subset_size: got 1000, expected a whole number from 2 to 30 \(the smaller set\), or subsets=None"),
        ({"subset_size": 1}, "subset_size: got 1"),
        ({"subsets": 0}, "subsets: got 0"),
        ({"subset_size": 10, "seed": -1}, "seed: got -1"),
    ],
)
def test_refuses_subsets_that_are_none(options, message):
    with pytest.raises(InputError, match=message):
        kernel_distance(*recipes.singular(), **options)


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        (np.ones((3, 2)), np.ones((1, 2)), "fake: got 1 row, expected at least 2"),
        (np.ones((3, 2)), np.ones((3, 4)), "fake: got 4 columns, expected 2"),
        (np.full((3, 2), np.nan), np.ones((3, 2)), "real: got nan"),
    ],
)
def test_refuses_sets_without_a_distance(real, fake, message):
    with pytest.raises(InputError, match=message):
        kernel_distance(real, fake, subsets=None)
