"""The log-likelihood of data under a Parzen window of samples (Goodfellow et al. 2014, section 5 and table 1)."""

from collections.abc import Sequence

import numpy as np

from kgan.errors import InputError, require_positive
from kgan.metrics import checks
from kgan.metrics.blocks import blocks, centred, squared_distances


def parzen_log_likelihood(samples: np.ndarray, data: np.ndarray, sigma: float) -> tuple[float, float]:
    """The mean over the data of log(1/n sum_i N(x; sample_i, sigma^2 I)), and its standard error.

    As in the authors' `parzen_ll.py` (github.com/goodfeli/adversarial): the 2014 table takes 10,000 samples, images in
    [0, 1] flattened, the test set as data and a sigma from `choose_sigma`. Figures compare only on one scale: twice as
    wide data costs d log 2. Two sets of 50,000 x 2,048 take 3.2 GiB or less beyond them.

    Args:
        samples: `[n, d]`, finite, what the generator made.
        data: `[m, d]`, finite, held-out examples.
        sigma: the standard deviation of the window, above 0, in units of the data.

    Returns:
        Nats per example and the standard error, the standard deviation over the data (divided by m) over sqrt(m).

    Raises:
        InputError: sigma not above 0 or infinite, different numbers of columns, NaN or infinity.
    """
    samples, data = centred(*checks.pair(("samples", "data"), samples, data, rows=(1, 1)))
    densities = _log_densities(samples, data, [_width("sigma", sigma)])[0]
    return float(densities.mean()), float(densities.std() / np.sqrt(len(data)))


def choose_sigma(samples: np.ndarray, validation: np.ndarray, sigmas: Sequence[float] | None = None) -> float:
    """The width under which the validation data is likeliest.

    Args:
        samples: `[n, d]`, finite, what the generator made.
        validation: `[m, d]`, finite, held-out examples other than those of the figure. The authors take the first
            1,000 of the last 10,000 training images.
        sigmas: the widths to try, each above 0, in units of the data; by default the authors', 10 from 0.1 to 1 in
            equal ratios. An answer at an end of them asks for more beyond it.

    Returns:
        One of the sigmas, the first of the best.

    Raises:
        InputError: no sigma, one not above 0 or infinite, different numbers of columns, NaN or infinity.
    """
    samples, validation = centred(*checks.pair(("samples", "validation"), samples, validation, rows=(1, 1)))
    widths = [_width("sigmas", sigma) for sigma in (np.logspace(-1, 0, 10) if sigmas is None else sigmas)]
    if not widths:
        raise InputError("sigmas: got none, expected at least one number above 0")
    return widths[int(_log_densities(samples, validation, widths).mean(axis=1).argmax())]


def _width(name: str, sigma: float) -> float:
    require_positive(**{name: sigma})
    if not np.isfinite(sigma):
        raise InputError(f"{name}: got {sigma}, expected a finite number above 0")
    return float(sigma)


def _log_densities(samples: np.ndarray, data: np.ndarray, sigmas: Sequence[float]) -> np.ndarray:
    """log p(x) of each row of the data under each width, `[len(sigmas), m]`, from one pass over the distances."""
    densities = np.empty((len(sigmas), len(data)))
    for rows in blocks(len(data), 8 * len(samples)):
        distances = squared_distances(data[rows], samples)
        nearest = distances.min(axis=1)
        distances -= nearest[:, None]  # so that the largest term of each sum is exp(0)
        for density, sigma in zip(densities, sigmas, strict=True):
            terms = distances * (-0.5 / sigma**2)
            density[rows] = np.log(np.exp(terms, out=terms).mean(axis=1)) - 0.5 * nearest / sigma**2
    normalizers = samples.shape[1] * np.log(np.sqrt(2.0 * np.pi) * np.asarray(sigmas))
    return densities - normalizers[:, None]
