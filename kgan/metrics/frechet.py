"""The Fréchet distance between two feature sets, each taken for a Gaussian (Heusel et al. 2017, section 2, eq. 6)."""

import numpy as np
import scipy.linalg

from kgan.errors import InputError
from kgan.metrics import checks
from kgan.metrics.blocks import blocks

_NOISE = 1e-5  # of the largest entry: statistics that were saved as float32 are that far from symmetric or definite


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """||mu_r - mu_f||^2 + tr(S_r + S_f - 2 (S_r S_f)^(1/2)): the FID where the features are Inception's.

    The squared distance, as everywhere. Covariances are unbiased (divided by n - 1), as in the authors' code,
    pytorch-fid and torch-fidelity. Fewer rows than columns are well for the arithmetic; but the fewer the rows, the
    larger the value for the same two distributions (Binkowski et al. 2018, section 4): compare only sets of one size.
    Two float32 sets of 50,000 x 2,048 take 1.9 GiB beyond them, most of it their float64 copies.

    Args:
        real: features `[n, d]`, finite, n at least 2.
        fake: features `[m, d]`, finite, m at least 2.

    Returns:
        At least 0; in squared units of the features.

    Raises:
        InputError: one row, different numbers of columns, NaN or infinity.
    """
    real, fake = checks.pair(("real", "fake"), real, fake, rows=(2, 2))
    return frechet_distance_from_statistics(*feature_statistics(real), *feature_statistics(fake))


def feature_statistics(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the Fréchet distance needs to know of a feature set, to be kept for the next comparison.

    Args:
        features: `[n, d]`, finite, n at least 2.

    Returns:
        The mean, float64 `[d]`, and the unbiased covariance, float64 `[d, d]`.

    Raises:
        InputError: one row, NaN or infinity.
    """
    features = checks.array("features", features, "n, d")
    if len(features) < 2:
        raise InputError("features: got 1 row, expected at least 2: one row has no covariance")
    mean = features.mean(axis=0)
    scatter = np.zeros((len(mean), len(mean)))
    for rows in blocks(len(features), features[0].nbytes):
        centred = features[rows] - mean
        scatter += centred.T @ centred
    return mean, scatter / (len(features) - 1)


def frechet_distance_from_statistics(
    mu1: np.ndarray, sigma1: np.ndarray, mu2: np.ndarray, sigma2: np.ndarray
) -> float:
    """The squared Fréchet distance of two Gaussians (Dowson and Landau 1982; Heusel et al. 2017, eq. 6).

    With symmetric eigenvalues, S = A A^T where A has a column per eigenvalue that is not 0. The eigenvalues of S1 S2
    are the squares of the singular values of A1^T A2, so tr (S1 S2)^(1/2) is the sum of these. No root is taken of
    the rounding error of an eigenvalue 0, which is what costs `scipy.linalg.sqrtm` half of its digits for singular S.

    Args:
        mu1: mean `[d]`.
        sigma1: covariance `[d, d]`, symmetric, no eigenvalue below 0; it may be singular.
        mu2: mean `[d]`.
        sigma2: covariance `[d, d]`.

    Returns:
        At least 0; in squared units of the features.

    Raises:
        InputError: shapes that do not fit, NaN or infinity, a matrix that is no covariance.
    """
    mu1, sigma1 = _gaussian("mu1", mu1, "sigma1", sigma1)
    mu2, sigma2 = _gaussian("mu2", mu2, "sigma2", sigma2)
    if mu1.shape != mu2.shape:
        raise InputError(f"mu2: got {len(mu2)} numbers, expected {len(mu1)} as in mu1")
    cross = _factor("sigma1", sigma1).T @ _factor("sigma2", sigma2)
    trace_of_root = scipy.linalg.svdvals(cross).sum() if cross.size else 0.0
    distance = np.sum((mu1 - mu2) ** 2) + np.trace(sigma1) + np.trace(sigma2) - 2.0 * trace_of_root
    return max(0.0, float(distance))  # rounding leaves some -1e-16 of the traces where the two are equal


def _gaussian(mu_name: str, mu: np.ndarray, sigma_name: str, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mu, sigma = checks.array(mu_name, mu, "d"), checks.array(sigma_name, sigma, "d, d")
    if sigma.shape != (len(mu), len(mu)):
        raise InputError(f"{sigma_name}: got the shape {sigma.shape}, expected {(len(mu), len(mu))} as by {mu_name}")
    asymmetry = np.abs(sigma - sigma.T).max()
    if asymmetry > _NOISE * np.abs(sigma).max():
        raise InputError(
            f"{sigma_name}: got entries that differ by {asymmetry:.3g} from their mirror images, expected a covariance"
        )
    return mu, (sigma + sigma.T) / 2.0


def _factor(name: str, sigma: np.ndarray) -> np.ndarray:
    """A with A A^T = sigma, `[d, rank]`."""
    eigenvalues, vectors = scipy.linalg.eigh(sigma)
    if eigenvalues[0] < -_NOISE * np.abs(eigenvalues).max():
        raise InputError(
            f"{name}: got the eigenvalue {eigenvalues[0]:.3g}, expected a covariance, which has none below 0"
        )
    # As numpy.linalg.matrix_rank takes it, but for small matrices, whose eigenvalues 0 come out at some 5 eps as well.
    noise = max(32, len(sigma)) * np.finfo(np.float64).eps * eigenvalues[-1]
    kept = eigenvalues > noise
    return vectors[:, kept] * np.sqrt(eigenvalues[kept])
