import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgan.errors import InputError
from kgan.metrics import inception_score
from tests.metrics import recipes

# torch-fidelity 0.4.0, isc_features_to_metric(splits, shuffle=False); by tests/metrics/references.py
WHOLE = 3.903576825146736, 0.0
PARTS = 3.83452358212834, 0.32958852568327207


@pytest.mark.parametrize(("splits", "values"), [(1, WHOLE), (recipes.SPLITS, PARTS)])
def test_agrees_with_the_reference_implementation(splits, values):
    assert inception_score(recipes.logits(), splits) == pytest.approx(values, rel=1e-6)


def test_runs_from_1_to_the_number_of_classes():
    sure = 2000.0 * np.eye(5)[np.arange(100) % 5]
    assert inception_score(sure) == pytest.approx((5.0, 0.0))
    assert inception_score(np.zeros((100, 5))) == pytest.approx((1.0, 0.0))
    assert inception_score(sure[:1].repeat(100, axis=0)) == pytest.approx((1.0, 0.0))


def test_of_one_sample_is_1():
    assert inception_score(recipes.logits()[:1], splits=1) == pytest.approx((1.0, 0.0))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-1e4, 1e4), st.integers(1, 30), st.integers(1, 6))
def test_ignores_the_order_and_a_constant_added_to_the_logits(seed, constant, rows, classes):
    random = np.random.default_rng(seed)
    logits = 4.0 * random.normal(size=(rows, classes))
    score, _ = inception_score(logits, splits=1)
    assert 1.0 - 1e-12 <= score <= classes + 1e-12
    changed = random.permutation(logits)[:, random.permutation(classes)] + constant
    assert inception_score(changed, splits=1)[0] == pytest.approx(score, rel=1e-9)


@pytest.mark.parametrize(
    ("logits", "splits", "message"),
    [
        (np.zeros((9, 3)), 10, r"splits: got 10, expected a whole number from 1 to 9 \(the number of rows\)"),
        (np.zeros((9, 3)), 0, "splits: got 0"),
        (np.zeros(9), 1, r"logits: got the shape \(9,\)"),
        (np.full((9, 3), np.nan), 1, "logits: got nan"),
        (np.log([[1.0, 0.0]] * 9, where=[True, False], out=np.full((9, 2), -np.inf)), 1, "logits: got -inf"),
    ],
)
def test_refuses_what_has_no_score(logits, splits, message):
    with pytest.raises(InputError, match=message):
        inception_score(logits, splits)
