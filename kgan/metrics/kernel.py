"""The kernel distance: the squared maximum mean discrepancy under a cubic kernel (Binkowski et al. 2018)."""

import math

import numpy as np

from kgan.metrics import checks
from kgan.metrics.blocks import blocks


def kernel_distance(
    real: np.ndarray, fake: np.ndarray, subsets: int | None = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Unbiased estimate of MMD^2 with k(x, y) = (x.y / d + 1)^3: the KID where features are Inception's.

    Binkowski et al. 2018, section 4; the estimate is that of section 2.1, in which pairs of an example with itself are
    left out. Being unbiased, it falls below 0 where the sets are alike, and figures from sets of different sizes
    compare. The subsets are those of torch-fidelity (whose `rng_seed` is `seed` and whose input 1 is `real`), without
    replacement within a subset. Two float32 sets of 50,000 x 2,048 take 1.8 GiB beyond them, mostly float64 copies.

    Args:
        real: features `[n, d]`, finite, n at least 2.
        fake: features `[m, d]`, finite, m at least 2.
        subsets: how many pairs of random subsets to average over; None takes all rows of both sets at once.
        subset_size: rows of a subset, at least 2; unused where subsets is None.
        seed: decides the subsets; at least 0.

    Returns:
        The mean over the subsets and their standard deviation (divided by `subsets`, as in torch-fidelity), which says
        how subsets vary and is no error of the mean; without subsets it is NaN.

    Raises:
        InputError: one row, a set below subset_size, different numbers of columns, NaN or infinity.
    """
    real, fake = checks.pair(("real", "fake"), real, fake, rows=(2, 2))
    if subsets is None:
        return _unbiased(real, fake), math.nan
    checks.whole("subsets", subsets, 1)
    smaller = min(len(real), len(fake))
    checks.whole("subset_size", subset_size, 2, smaller, " (the smaller set), or subsets=None")
    checks.seed(seed)
    random = np.random.RandomState(seed)  # NumPy keeps its numbers the same for ever
    estimates = []
    for _ in range(subsets):
        some_real = real[random.choice(len(real), subset_size, replace=False)]
        some_fake = fake[random.choice(len(fake), subset_size, replace=False)]
        estimates.append(_unbiased(some_real, some_fake))
    return float(np.mean(estimates)), float(np.std(estimates))


def _unbiased(real: np.ndarray, fake: np.ndarray) -> float:
    return float(_mean_within(real) + _mean_within(fake) - 2.0 * _mean_between(real, fake))


def _mean_between(a: np.ndarray, b: np.ndarray) -> float:
    total = sum(_kernel(a[rows], b).sum() for rows in blocks(len(a), 8 * len(b)))
    return total / (len(a) * len(b))


def _mean_within(a: np.ndarray) -> float:
    """The mean of k(a_i, a_j) over i != j."""
    total = 0.0
    for rows in blocks(len(a), 8 * len(a)):
        kernel = _kernel(a[rows], a[rows.start :])  # k is symmetric: what lies left of the block was counted above it
        square = kernel[:, : len(kernel)]
        total += 2.0 * kernel.sum() - square.sum() - np.trace(square)
    return total / (len(a) * (len(a) - 1))


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    inner = a @ b.T
    inner /= a.shape[1]
    inner += 1.0
    cube = inner * inner
    cube *= inner
    return cube
