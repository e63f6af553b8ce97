"""Bringing images to the size and channels of a network, by a method that has a name.

Which method is no detail: it moves a Fréchet distance by more than many a paper's improvement (Parmar et al. 2022, "On
Aliased Resizing and Surprising Subtleties in GAN Evaluation", section 4).
"""

from typing import Literal

import numpy as np
from PIL import Image

from kgan.errors import InputError

Method = Literal["legacy", "clean"]

_WORDS = {
    "legacy": "bilinear without antialiasing, corners not aligned, to {height}x{width} (TensorFlow 1)",
    "clean": "Pillow bicubic with antialiasing, float32 channels, clipped to 0..255, to {height}x{width}",
}


def words(method: Method, height: int, width: int) -> str:
    """How a method comes to a size, to be written beside what was measured."""
    return f"{method}: {_WORDS[method].format(height=height, width=width)}"


def resized(images: np.ndarray, method: Method, height: int, width: int) -> np.ndarray:
    """Images at another size.

    "legacy" is what TensorFlow 1 does by default: output pixel i takes the two input pixels around i * input / output,
    weighted by their distance. "clean" is Pillow's bicubic filter, as wide as the reduction, on float32; it is
    clipped, but never rounded (Parmar et al. 2022, section 3).

    Args:
        images: uint8 `[n, h, w, c]`.
        method: "legacy" or "clean".
        height: of the result, in pixels.
        width: of the result, in pixels.

    Returns:
        float32 `[n, height, width, c]` in 0..255.
    """
    return (_legacy if method == "legacy" else _clean)(images, height, width)


def _legacy(images: np.ndarray, height: int, width: int) -> np.ndarray:
    import tensorflow as tf

    return tf.compat.v1.image.resize_bilinear(
        images, (height, width), align_corners=False, half_pixel_centers=False
    ).numpy()


def _clean(images: np.ndarray, height: int, width: int) -> np.ndarray:
    result = np.empty((len(images), height, width, images.shape[-1]), np.float32)
    for image, into in zip(images, result, strict=True):
        for channel in range(images.shape[-1]):
            plane = Image.fromarray(image[..., channel].astype(np.float32))
            into[..., channel] = plane.resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(result, 0.0, 255.0, out=result)


def with_channels(images: np.ndarray, channels: int, name: str) -> np.ndarray:
    """Images with as many channels as a network takes: grey ones are repeated where it takes 3.

    Raises:
        InputError: the images have another number of channels.
    """
    given = images.shape[-1]
    if given == channels:
        return images
    if (given, channels) == (1, 3):
        return np.repeat(images, 3, axis=-1)
    raise InputError(
        f"images: got {given} channel{'s'[: given > 1]}, expected {'1 or 3' if channels == 3 else channels} for {name}"
    )
