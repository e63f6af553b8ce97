import numpy as np
import pytest

from kgan.metrics.blocks import blocks, centred, squared_distances


@pytest.mark.parametrize(
    ("count", "size", "starts"), [(7, 24, [0, 3, 6]), (6, 24, [0, 3]), (2, 1, [0, 1]), (0, 8, [])]
)
def test_blocks_cover_the_rows_once(small_blocks, count, size, starts):
    small_blocks(size)
    found = list(blocks(count, row_bytes=8))
    assert [rows.start for rows in found] == starts
    assert [index for rows in found for index in range(count)[rows]] == list(range(count))


def test_distances_are_those_by_subtraction():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(9, 5)), random.normal(size=(7, 5))
    expected = ((a[:, None] - b) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared_distances(a, b), expected, rtol=1e-12)
    np.testing.assert_allclose(squared_distances(*centred(a + 1e8, b + 1e8)), expected, rtol=1e-6)
    assert squared_distances(a, a).min() >= 0.0
