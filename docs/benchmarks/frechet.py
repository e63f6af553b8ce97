"""The Fréchet distance by kgan beside scipy.linalg.sqrtm: CPU time and error, where the distance is known exactly.

    python docs/benchmarks/frechet.py [--dimensions 2048]

Of a Gaussian N(0, S) and its image under x -> T x, T symmetric and positive, the squared distance is
tr((I - T) S (I - T)). The eigenvalues of S fall as 1, 2^-p, 3^-p ...: those of real features fall, too. Of covariances
of fewer rows than columns, tr (S1 S2)^(1/2) is the nuclear norm of the cross product of the centred rows; and between
a set and itself the distance is 0. Errors are relative to tr S1 + tr S2, from which the distance is what remains. What
counts is process CPU time on one thread: wall time moves with the neighbours of a shared machine, and threads that
wait for one another count as busy.
"""

import argparse
import os
import time
import warnings
from collections.abc import Callable, Iterator

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import scipy.linalg

from kgan import metrics


def by_square_root(mu1: np.ndarray, sigma1: np.ndarray, mu2: np.ndarray, sigma2: np.ndarray) -> float:
    """The formula as it is usually written."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "Matrix is singular"
        root = scipy.linalg.sqrtm(sigma1 @ sigma2)
    return float(np.sum((mu1 - mu2) ** 2) + np.trace(sigma1 + sigma2 - 2.0 * root.real))


def timed(function: Callable[..., float], *arguments: np.ndarray) -> tuple[float, float]:
    """The value and the CPU seconds."""
    start = time.process_time()
    value = function(*arguments)
    return value, time.process_time() - start


def turn(random: np.random.Generator, dimensions: int) -> np.ndarray:
    return np.linalg.qr(random.normal(size=(dimensions, dimensions)))[0]


def cases(dimensions: int) -> Iterator[tuple[str, np.ndarray, np.ndarray, float]]:
    """Yields a name, two covariances and their distance."""
    random = np.random.default_rng(0)
    for power in (1, 2, 3):
        axes, others = turn(random, dimensions), turn(random, dimensions)
        sigma = (axes * np.arange(1.0, dimensions + 1) ** -power) @ axes.T
        transport = (others * np.exp(0.3 * random.normal(size=dimensions))) @ others.T
        rest = np.eye(dimensions) - transport
        image = transport @ sigma @ transport
        yield f"full rank, eigenvalues i^-{power}", sigma, (image + image.T) / 2, float(np.trace(rest @ sigma @ rest))
    a, b = (random.normal(size=(rows, dimensions)) for rows in (dimensions // 4, dimensions // 3))
    a, b = ((rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1) for rows in (a, b))
    distance = np.sum(a**2) + np.sum(b**2) - 2.0 * scipy.linalg.svdvals(a @ b.T).sum()
    yield "d/4 rows against d/3 rows", a.T @ a, b.T @ b, float(distance)
    yield "d/4 rows against themselves", a.T @ a, a.T @ a, 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dimensions", type=int, default=2048)
    dimensions = parser.parse_args().dimensions
    zeros = np.zeros(dimensions)
    print(f"{dimensions} dimensions, scipy {scipy.__version__}")
    for name, first, second, exact in cases(dimensions):
        scale = np.trace(first) + np.trace(second)
        for what, function in {
            "kgan": metrics.frechet_distance_from_statistics,
            "scipy.linalg.sqrtm": by_square_root,
        }.items():
            value, seconds = timed(function, zeros, first, zeros, second)
            print(
                f"{name:30s} {what:20s} {seconds:6.1f} CPU seconds, error {abs(value - exact) / scale:.1e}", flush=True
            )


if __name__ == "__main__":
    main()
