import numpy as np
import pytest

from kgan.errors import InputError
from kgan.features import Features, compute, pixels


def numbers(values: list, logits: list | None = None) -> Features:
    outputs = np.array(values, np.float32), None if logits is None else np.array(logits, np.float32)
    return Features("numbers", "", "none", lambda images: tuple(o if o is None else o[: len(images)] for o in outputs))


def test_compute_joins_batches_of_any_size(images):
    batch = images(7, 4, 4, 1)
    rows, logits = compute(pixels(), iter([batch[:4], batch[4:6], batch[6:]]))
    np.testing.assert_array_equal(rows, pixels().extract(batch)[0])
    assert logits is None


def test_compute_joins_logits(images):
    _, logits = compute(numbers([[1], [2]], [[3], [4]]), [images(2, 4, 4, 1), images(1, 4, 4, 1)])
    np.testing.assert_array_equal(logits, [[3], [4], [3]])


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (numbers([[1.0, np.nan]]), "features by numbers: got nan, expected finite numbers"),
        (numbers([[1.0]], [[np.inf]]), "logits by numbers: got inf, expected finite numbers"),
    ],
)
def test_compute_refuses_what_is_not_finite(images, features, said):
    with pytest.raises(InputError) as caught:
        compute(features, [images(1, 4, 4, 1)])
    assert str(caught.value) == said


def test_compute_needs_a_batch():
    with pytest.raises(InputError, match=r"^batches: got none"):
        compute(pixels(), [])
