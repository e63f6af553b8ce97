"""How close an image comes to the one it should be: PSNR and SSIM, on all channels or on luma."""

import math

import numpy as np
from scipy import ndimage

from kgan.errors import InputError, require_choice
from kgan.metrics import checks

_PEAK = 255.0
_LUMA = np.array([[65.481], [128.553], [24.966]]) / 255.0  # ITU-R BT.601, as MATLAB's rgb2ycbcr: Y from 16 to 235
_RADIUS, _SIGMA = 5, 1.5  # Wang et al. 2004, section III-C: an 11 x 11 Gaussian window
_C1, _C2 = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2


def psnr(a: np.ndarray, b: np.ndarray, channel: str = "rgb", shave: int = 0) -> float:
    """10 log10(255^2 / mean squared difference), over all pixels and channels.

    Super-resolution papers report `channel="y"` with `shave` equal to the scale (Ledig et al. 2016, section 3.1). Luma
    is that of MATLAB's rgb2ycbcr, in [16, 235]: rounded for uint8 images, as in those papers (without it bicubic x4 on
    Set5 gains 0.01 dB), and not for floats. The peak stays 255.

    Args:
        a: an image `[height, width, channels]`, uint8 or floats in [0, 255].
        b: an image of the same shape.
        channel: "rgb" takes all channels as they are, "y" the luma of 3 channels in the order RGB.
        shave: pixels to leave out at each border, at least 0.

    Returns:
        Decibels; infinite for equal images.

    Raises:
        InputError: shapes that differ, values outside [0, 255], "y" without 3 channels, nothing left after the shave.
    """
    a, b = _pixels(a, b, channel, shave, smallest=1)
    error = np.mean((a - b) ** 2)
    return math.inf if error == 0.0 else float(10.0 * np.log10(_PEAK**2 / error))


def ssim(a: np.ndarray, b: np.ndarray, channel: str = "rgb", shave: int = 0) -> float:
    """The mean structural similarity (Wang et al. 2004, eq. 13), by channel, averaged over the channels.

    The authors' settings: an 11 x 11 Gaussian window of standard deviation 1.5, only where it lies within the image,
    K1 = 0.01, K2 = 0.03, range 255, covariances weighted by the window (no sample correction), no downscaling before.
    scikit-image gives the same with `gaussian_weights=True, use_sample_covariance=False, data_range=255`.

    Args:
        a: an image `[height, width, channels]`, uint8 or floats in [0, 255]; 11 pixels a side are left at least.
        b: an image of the same shape.
        channel: "rgb" takes all channels as they are, "y" the luma of 3 channels in the order RGB, as `psnr`.
        shave: pixels to leave out at each border before, at least 0.

    Returns:
        From -1 to 1, which is for equal images.

    Raises:
        InputError: shapes that differ, values outside [0, 255], "y" without 3 channels, too little left.
    """
    a, b = _pixels(a, b, channel, shave, smallest=2 * _RADIUS + 1)
    mean_a, mean_b = _window(a), _window(b)
    variance_a, variance_b = _window(a * a) - mean_a**2, _window(b * b) - mean_b**2
    covariance = _window(a * b) - mean_a * mean_b
    luminance = (2.0 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    structure = (2.0 * covariance + _C2) / (variance_a + variance_b + _C2)
    return float(np.mean(luminance * structure))


def _pixels(a: np.ndarray, b: np.ndarray, channel: str, shave: int, smallest: int) -> tuple[np.ndarray, np.ndarray]:
    """The compared part of both images, float64 `[height, width, channels]`."""
    require_choice("channel", channel, ("rgb", "y"))
    checks.whole("shave", shave, 0)
    a, b = _image("a", a, channel), _image("b", b, channel)
    if a.shape != b.shape:
        raise InputError(f"b: got the shape {b.shape}, expected {a.shape} as of a")
    height, width = a.shape[0] - 2 * shave, a.shape[1] - 2 * shave
    if min(height, width) < smallest:
        size = f"{a.shape[0]} x {a.shape[1]}"
        raise InputError(f"a: got {size} pixels and a shave of {shave}, expected at least {smallest} left a side")
    return tuple(image[shave : shave + height, shave : shave + width] for image in (a, b))


def _image(name: str, image: np.ndarray, channel: str) -> np.ndarray:
    image = checks.numbers(name, image, "height, width, channels")
    if image.min() < 0 or image.max() > _PEAK:
        raise InputError(f"{name}: got values from {image.min():g} to {image.max():g}, expected them in [0, 255]")
    if channel == "rgb":
        return image.astype(np.float64)
    if image.shape[-1] != 3:
        raise InputError(f'{name}: got {image.shape[-1]} channels, expected 3 for channel="y"')
    luma = 16.0 + image.astype(np.float64) @ _LUMA
    return luma if image.dtype.kind == "f" else np.rint(luma)


def _window(image: np.ndarray) -> np.ndarray:
    """Means under the Gaussian window, where it lies within the image `[height, width, channels]`."""
    offsets = np.arange(-_RADIUS, _RADIUS + 1)
    weights = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        image = ndimage.correlate1d(image, weights, axis)
    return image[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS]
