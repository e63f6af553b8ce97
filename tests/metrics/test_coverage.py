import numpy as np
import pytest

from kgan.errors import InputError
from kgan.metrics import class_coverage, kl_divergence


def test_counts_the_classes():
    covered, counts = class_coverage(np.array([3, 1, 3, 3], np.uint8), classes=5)
    assert covered == 2
    np.testing.assert_array_equal(counts, [0, 1, 0, 3, 0])
    assert kl_divergence(counts, np.ones(5)) > 0.0


def test_one_sample_covers_one_class():
    assert class_coverage([0], classes=1)[0] == 1


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([0, 5], 5, "labels: got labels from 0 to 5, expected 0 to 4"),
        ([-1, 0], 5, "labels: got labels from -1 to 0, expected 0 to 4"),
        (
            np.zeros((4, 5)),
            5,
            r"labels: got float64 \(4, 5\), expected whole numbers \[n\] \(of logits, their argmax\)",
        ),
        ([], 5, "labels: got float64"),
        ([0], 0, "classes: got 0"),
    ],
)
def test_refuses_what_is_no_label(labels, classes, message):
    with pytest.raises(InputError, match=message):
        class_coverage(labels, classes)
