"""The pixels themselves as features: no network between a metric and the images."""

import numpy as np

from kgan.features.base import Features, require_images


def pixels() -> Features:
    """Features are the values of all pixels and channels, row by row, divided by 255: `[n, h w c]` in [0, 1]."""
    return Features("pixels", "", "none", _flat)


def _flat(images: np.ndarray) -> tuple[np.ndarray, None]:
    images = require_images(images)
    return images.reshape(len(images), -1).astype(np.float32) / 255, None
