"""How far two discrete distributions are apart, such as the shares of classes among examples and samples."""

import numpy as np

from kgan.errors import InputError
from kgan.metrics import checks


def kl_divergence(p: np.ndarray, q: np.ndarray) -> float:
    """KL(p || q) = sum_i p_i log(p_i / q_i), as `scipy.stats.entropy(p, q)`.

    Args:
        p: probabilities or counts `[n]`, none below 0, not all 0; each of the two is divided by its sum.
        q: probabilities or counts `[n]` of the same outcomes.

    Returns:
        Nats, at least 0; infinite where q leaves out an outcome that p has.

    Raises:
        InputError: a number below 0, all 0, different lengths, NaN or infinity.
    """
    p, q = _distributions(p, q)
    return _divergence(p, q)


def jensen_shannon_divergence(p: np.ndarray, q: np.ndarray) -> float:
    """(KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2 (Goodfellow et al. 2014, section 4.1; Lin 1991, eq. 4.1).

    The square of `scipy.spatial.distance.jensenshannon(p, q)`, which gives the metric, its root.

    Args:
        p: probabilities or counts `[n]`, none below 0, not all 0; each of the two is divided by its sum.
        q: probabilities or counts `[n]` of the same outcomes.

    Returns:
        Nats, from 0 to log 2, which is reached where p and q share no outcome.

    Raises:
        InputError: a number below 0, all 0, different lengths, NaN or infinity.
    """
    p, q = _distributions(p, q)
    middle = (p + q) / 2.0
    return (_divergence(p, middle) + _divergence(q, middle)) / 2.0


def _distributions(p: np.ndarray, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p, q = _distribution("p", p), _distribution("q", q)
    if p.shape != q.shape:
        raise InputError(f"q: got {len(q)} numbers, expected {len(p)} as in p")
    return p, q


def _distribution(name: str, values: np.ndarray) -> np.ndarray:
    values = checks.array(name, values, "n")
    if values.min() < 0.0:
        raise InputError(f"{name}: got {values.min():g}, expected numbers of at least 0")
    if not values.any():
        raise InputError(f"{name}: got only 0, expected probabilities or counts")
    return (
        values / values.max() / (values / values.max()).sum()
    )  # by the largest first: a sum of huge counts overflows


def _divergence(p: np.ndarray, q: np.ndarray) -> float:
    present = p > 0.0
    with np.errstate(divide="ignore"):
        total = np.sum(p[present] * (np.log(p[present]) - np.log(q[present])))
    return max(0.0, float(total))  # rounding leaves some -1e-16 where the two are equal
