"""Copies: samples that lie nearer to a training image, or to each other, than images that nobody has copied do."""

from typing import NamedTuple

import numpy as np

from kgan.metrics import checks
from kgan.metrics.blocks import blocks, centred, squared_distances

_LEAST = 100  # held-out images, of which the nearest is the limit; fewer have none of 1 %
_SHARE = 0.01  # of what is no copy, so much at most is called one


class Memorisation(NamedTuple):
    """What `memorisation` found.

    Attributes:
        memorised: the share of samples that lie at least as near to a training image as the nearest of 100 held-out
            images does. Of a generator that copies nothing, 0.01.
        duplicates: the share of samples that lie nearer to another sample than 99 of 100 training images do to
            another one among as many. Of one that repeats nothing, 0.01.
        nearest: int64 `[n]`, the training image next to each sample.
        distances: float64 `[n]`, how far away it is.
        threshold: the distance below which a sample counts as memorised.
    """

    memorised: float
    duplicates: float
    nearest: np.ndarray
    distances: np.ndarray
    threshold: float


def memorisation(train: np.ndarray, held_out: np.ndarray, samples: np.ndarray, seed: int = 0) -> Memorisation:
    """How many samples are copies, by Euclidean distances in a feature space, calibrated on held-out images.

    That copying shows where samples lie nearer to the training set than fresh data do is the idea of Meehan et al.
    2020 ("A Non-Parametric Test to Detect Data-Copying in Generative Models", section 3).

    Args:
        train: features `[n, d]` of the training images, finite, n at least 100.
        held_out: features `[m, d]` of images of the same kind that were not trained on, m at least 100.
        samples: features `[k, d]`, k at least 100.
        seed: of the choice of as many training images as there are samples, or the reverse.

    Raises:
        InputError: too few rows, different numbers of columns, NaN or infinity.
    """
    checks.seed(seed)
    checks.pair(("train", "held_out"), train, held_out, rows=(_LEAST, _LEAST))
    checks.pair(("train", "samples"), train, samples, rows=(_LEAST, _LEAST))
    threshold = _limit(_nearest(held_out, train)[1])
    nearest, distances = _nearest(samples, train)
    # As many of each: the more there are, the nearer they lie.
    count, random = min(len(train), len(samples)), np.random.RandomState(seed)
    one, other = (rows[random.choice(len(rows), count, replace=False)] for rows in (train, samples))
    apart = _limit(_nearest(one, one, itself=False)[1])
    among = _nearest(other, other, itself=False)[1]
    return Memorisation(
        float(np.mean(distances <= threshold)), float(np.mean(among <= apart)), nearest, distances, float(threshold)
    )


def _limit(distances: np.ndarray) -> float:
    """The distance that one more of the same kind is below, or at, with a probability of 1 % at most."""
    return float(np.sort(distances)[int(_SHARE * (len(distances) + 1)) - 1])


def _nearest(rows: np.ndarray, others: np.ndarray, itself: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The index of the nearest of `others` to each row, and its distance; of the same set, without the row itself."""
    a, b = centred(np.asarray(rows, np.float64), np.asarray(others, np.float64))
    index = np.empty(len(a), np.int64)
    for some in blocks(len(a), 8 * len(b)):
        distances = squared_distances(a[some], b)
        if not itself:
            own = np.arange(some.start, some.stop)
            distances[own - some.start, own] = np.inf
        index[some] = distances.argmin(axis=1)
    return index, np.sqrt(((a - b[index]) ** 2).sum(axis=1))  # by subtraction: of a copy it is 0 and no rounding error
