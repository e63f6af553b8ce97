import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgan.errors import InputError
from kgan.metrics import jensen_shannon_divergence, kl_divergence
from tests.metrics import recipes

# scipy 1.17.1, stats.entropy(p, q) and spatial.distance.jensenshannon(p, q) ** 2; by tests/metrics/references.py
KL = 0.4171503751253808
JENSEN_SHANNON = 0.11854130144019948

COUNTS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8).filter(
    lambda pairs: all(map(any, zip(*pairs, strict=True)))
)


def test_agree_with_the_reference_implementations():
    p, q = recipes.distributions()
    assert kl_divergence(p, q) == pytest.approx(KL, rel=1e-6)
    assert jensen_shannon_divergence(p, q) == pytest.approx(JENSEN_SHANNON, rel=1e-6)


def test_of_two_coins_are_known():
    assert kl_divergence([0.5, 0.5], [0.25, 0.75]) == pytest.approx(0.5 * np.log(4 / 3))
    assert kl_divergence([1, 0], [1, 3]) == pytest.approx(np.log(4))
    assert jensen_shannon_divergence([1, 0], [1, 1]) == pytest.approx(0.75 * np.log(4 / 3))


def test_of_gaussians_on_a_fine_grid_is_their_closed_form():
    x = np.linspace(-30, 30, 20_001)
    p, q = np.exp(-0.5 * (x - 1.0) ** 2), np.exp(-0.5 * (x / 2.0) ** 2)
    assert kl_divergence(p, q) == pytest.approx(np.log(2.0) + (1.0 + 1.0) / 8.0 - 0.5, rel=1e-9)


def test_of_distributions_without_a_common_outcome_are_at_their_ends():
    assert kl_divergence([1.0, 0.0], [0.0, 1.0]) == math.inf
    assert jensen_shannon_divergence([1.0, 0.0], [0.0, 1.0]) == pytest.approx(np.log(2.0))


@settings(max_examples=50, deadline=None)
@given(COUNTS, st.floats(1e-300, 1e300))
def test_are_divergences(pairs, factor):
    p, q = np.array(pairs, float).T
    middle = jensen_shannon_divergence(p, q)
    assert 0.0 <= middle <= np.log(2.0) + 1e-12
    assert jensen_shannon_divergence(q, p) == pytest.approx(middle, abs=1e-12)
    assert kl_divergence(p, q) >= 0.0
    assert kl_divergence(p, factor * p) == pytest.approx(0.0, abs=1e-12)
    assert jensen_shannon_divergence(p, p) == 0.0
    assert kl_divergence(p[::-1], q[::-1]) == pytest.approx(kl_divergence(p, q), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("divergence", [kl_divergence, jensen_shannon_divergence])
@pytest.mark.parametrize(
    ("p", "q", "message"),
    [
        ([0.5, 0.5], [1.0], "q: got 1 numbers, expected 2 as in p"),
        ([0.5, -0.5], [1.0, 1.0], "p: got -0.5, expected numbers of at least 0"),
        ([0.0, 0.0], [1.0, 1.0], "p: got only 0"),
        ([1.0, 1.0], [1.0, math.nan], "q: got nan"),
        ([], [], r"p: got the shape \(0,\)"),
    ],
)
def test_refuse_what_is_no_distribution(divergence, p, q, message):
    with pytest.raises(InputError, match=message):
        divergence(p, q)
