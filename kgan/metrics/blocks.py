"""Large matrices between two sets of rows, a block at a time, so that the whole of none is ever held."""

from collections.abc import Iterator

import numpy as np

BLOCK_BYTES = 2**26  # of one block; a function holds a few at once, besides float64 copies. Larger ones are no faster.


def blocks(count: int, row_bytes: int) -> Iterator[slice]:
    """Yields slices that cover `count` rows, each of at most BLOCK_BYTES (but at least one row)."""
    rows = max(1, BLOCK_BYTES // row_bytes)
    for start in range(0, count, rows):
        yield slice(start, min(start + rows, count))


def centred(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Moves both sets by the mean of the first, so that `squared_distances` loses the least."""
    origin = a.mean(axis=0)
    return a - origin, b - origin


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """||a_i - b_j||^2 by one matrix product.

    It cancels: a value is off by some 1e-15 of ||a_i||^2 + ||b_j||^2, so the origin should lie among the rows.

    Args:
        a: float64 `[n, d]`.
        b: float64 `[m, d]`.

    Returns:
        float64 `[n, m]`, none below 0.
    """
    distances = a @ b.T
    distances *= -2.0
    distances += np.einsum("nd,nd->n", a, a)[:, None]
    distances += np.einsum("md,md->m", b, b)
    return np.maximum(distances, 0.0, out=distances)
