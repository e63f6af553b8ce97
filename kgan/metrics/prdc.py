"""Fidelity and diversity apart: how the samples lie within balls around the examples, and the reverse.

The ball of a point reaches to its k-th nearest neighbour in its own set, itself not counted. A large matrix product
gives the distances; the few that it cannot tell from a radius are taken once more by subtraction, so that ties, as
between identical sets, are decided exactly and independently of the block.
"""

from typing import NamedTuple

import numpy as np

from kgan.metrics import checks
from kgan.metrics.blocks import blocks, centred, squared_distances

_TIE = 1e-12  # relative to the squared norms: a bound on the rounding errors of `squared_distances`
_TIES_AT_ONCE = 4096


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> tuple[float, float]:
    """The share of samples within a ball of a real example, and of real examples within a ball of a sample.

    Kynkäänniemi et al. 2019, eq. 1 and 2. A ball has its surface, as in the paper, the authors' code and
    torch-fidelity; the package `prdc` leaves it out. Two sets of 50,000 x 2,048 take 3.2 GiB or less beyond them.

    Args:
        real: features `[n, d]`, finite, n above k.
        fake: features `[m, d]`, finite, m above k.
        k: which neighbour a ball reaches to; the paper takes 3.

    Returns:
        Precision and recall, each from 0 to 1.

    Raises:
        InputError: no more than k rows, different numbers of columns, NaN or infinity.
    """
    real, fake = _points(real, fake, k, fake_rows=k + 1)
    real_radii, fake_radii = _squared_radii(real, k), _squared_radii(fake, k)
    precise, recalled = np.zeros(len(fake.given), bool), np.zeros(len(real.given), bool)
    for rows in blocks(len(precise), 8 * len(recalled)):
        distances = squared_distances(fake.centred[rows], real.centred)
        _settle(distances, real_radii[None, :], fake, rows, real)
        _settle(distances, fake_radii[rows, None], fake, rows, real)
        precise[rows] = (distances <= real_radii).any(axis=1)
        recalled |= (distances <= fake_radii[rows, None]).any(axis=0)
    return float(precise.mean()), float(recalled.mean())


def density_coverage(real: np.ndarray, fake: np.ndarray, k: int = 5) -> tuple[float, float]:
    """How many balls of real examples a sample lies in, over k, and the share of balls that hold any sample.

    Naeem et al. 2020, section 3.2. A ball is without its surface, as in the authors' package `prdc`; so the density of
    a set beside itself is 1. Two sets of 50,000 x 2,048 take 3.2 GiB or less beyond them.

    Args:
        real: features `[n, d]`, finite, n above k.
        fake: features `[m, d]`, finite, m at least 1.
        k: which neighbour a ball reaches to; the paper takes 5.

    Returns:
        Density, at least 0 and above 1 where samples crowd among real examples, and coverage, from 0 to 1.

    Raises:
        InputError: no more than k real rows, different numbers of columns, NaN or infinity.
    """
    real, fake = _points(real, fake, k, fake_rows=1)
    radii = _squared_radii(real, k)
    hits, covered = 0, np.zeros(len(real.given), bool)
    for rows in blocks(len(fake.given), 8 * len(covered)):
        distances = squared_distances(fake.centred[rows], real.centred)
        _settle(distances, radii[None, :], fake, rows, real)
        inside = distances < radii
        hits += np.count_nonzero(inside)
        covered |= inside.any(axis=0)
    return float(hits / (k * len(fake.given))), float(covered.mean())


class _Points(NamedTuple):
    """A set twice: as it came, for exact differences (moved points lose ties), and moved, for a matrix product."""

    given: np.ndarray
    centred: np.ndarray


def _points(real: np.ndarray, fake: np.ndarray, k: int, fake_rows: int) -> tuple[_Points, _Points]:
    checks.whole("k", k, 1)
    moved = centred(*checks.pair(("real", "fake"), real, fake, rows=(k + 1, fake_rows)))
    return _Points(np.asarray(real), moved[0]), _Points(np.asarray(fake), moved[1])


def _squared_radii(points: _Points, k: int) -> np.ndarray:
    """The squared distance of each point to its k-th nearest neighbour among the others, `[n]`."""
    radii = np.empty(len(points.given))
    for rows in blocks(len(radii), 8 * len(radii)):
        distances = squared_distances(points.centred[rows], points.centred)
        own = np.arange(rows.start, rows.stop)
        distances[own - rows.start, own] = np.inf
        nearest = np.argpartition(distances, k - 1, axis=1)[:, k - 1]
        radii[rows] = _exact(points.given[rows], points.given[nearest])
    return radii


def _settle(distances: np.ndarray, squared_radii: np.ndarray, a: _Points, rows: slice, b: _Points) -> None:
    """Replaces in place squared distances of a[rows] and b that cannot be told from the radii by exact ones."""
    error = _TIE * sum(np.einsum("nd,nd->n", points, points).max() for points in (a.centred[rows], b.centred))
    i, j = np.nonzero(np.abs(distances - squared_radii) <= error)
    for start in range(0, len(i), _TIES_AT_ONCE):
        some = slice(start, start + _TIES_AT_ONCE)
        distances[i[some], j[some]] = _exact(a.given[rows][i[some]], b.given[j[some]])


def _exact(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """||a_i - b_i||^2, the same number for a pair wherever and in whichever order it comes."""
    return ((a.astype(np.float64) - b) ** 2).sum(axis=1)
