"""The Inception score: how sure a classifier is of each sample, and how many classes all of them use."""

import itertools

import numpy as np

from kgan.metrics import checks


def inception_score(logits: np.ndarray, splits: int = 10) -> tuple[float, float]:
    """exp(E_x KL(p(y|x) || p(y))) of each split, p(y) the mean of p(y|x) over it (Salimans et al. 2016, section 4).

    The splits are consecutive rows, as in the authors' code: split i ends before row (i + 1) n // splits. Shuffle
    samples that are sorted by class before; torch-fidelity does so for any, unless told not to.

    Args:
        logits: `[n, classes]`, finite, before the softmax, n at least `splits`. The logarithms of probabilities do.
        splits: in how many parts to score the samples. The score grows with the size of a part.

    Returns:
        The mean over the splits, from 1 to the number of classes, and their standard deviation (divided by `splits`).

    Raises:
        InputError: fewer rows than splits, NaN or infinity.
    """
    logits = checks.array("logits", logits, "n, classes")
    checks.whole("splits", splits, 1, len(logits), " (the number of rows)")
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    ends = [i * len(logits) // splits for i in range(splits + 1)]
    scores = [_score(log_p[start:end]) for start, end in itertools.pairwise(ends)]
    return float(np.mean(scores)), float(np.std(scores))


def _score(log_p: np.ndarray) -> float:
    p = np.exp(log_p)
    marginal = p.mean(axis=0)
    # A class that is 0 for all samples in float64 adds nothing; 1 stands in for it below the logarithm.
    log_marginal = np.log(np.where(marginal > 0.0, marginal, 1.0))
    return float(np.exp(np.sum(p * (log_p - log_marginal), axis=1).mean()))
