"""Pictures at the edge and inside: uint8 outside, float32 in [-1, 1] within, one grid."""

import math
import pathlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

_READABLE = 64  # a tile of a grid is enlarged, pixel by pixel, to about this many screen pixels
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def to_float(images: tf.Tensor) -> tf.Tensor:
    """Converts images to float32 in [-1, 1].

    Args:
        images: uint8 in [0, 255], or floats that are in [-1, 1] already.
    """
    if images.dtype == tf.uint8:
        return tf.cast(images, tf.float32) / 127.5 - 1.0
    return tf.cast(images, tf.float32)


def to_uint8(images: tf.Tensor) -> tf.Tensor:
    """Converts float images in [-1, 1] to uint8, to the nearest level; what lies outside is clipped."""
    levels = tf.round((tf.cast(images, tf.float32) + 1.0) * 127.5)
    return tf.cast(tf.clip_by_value(levels, 0.0, 255.0), tf.uint8)


def grid(images: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Lays images out as one picture, row by row.

    Args:
        images: uint8 `[n, height, width, channels]`, n at least 1.
        columns: images per row; as square as possible where none is given.

    Returns:
        uint8 `[rows * (height + gap), columns * (width + gap), channels]`; the gap, an 8th of a side, and places
        without an image are black.
    """
    gap = max(1, images.shape[1] // 8)
    padded = np.pad(images, ((0, 0), (0, gap), (0, gap), (0, 0)))
    count, height, width, channels = padded.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    tiles = np.zeros((rows * columns, height, width, channels), np.uint8)
    tiles[:count] = padded
    tiles = tiles.reshape(rows, columns, height, width, channels)
    return tiles.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)


def enlarge(picture: np.ndarray, tile: int) -> np.ndarray:
    """Repeats the pixels of a picture whose tiles are `tile` pixels wide, so that small tiles can be seen."""
    factor = max(1, _READABLE // tile)
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def to_pil(picture: np.ndarray) -> Image.Image:
    """A uint8 `[height, width, channels]` array of 1 to 4 channels as a Pillow image (L, LA, RGB or RGBA)."""
    channels = picture.shape[-1]
    return Image.fromarray(picture[..., 0] if channels == 1 else picture, _MODES[channels])


def save_animation(frames: Sequence[np.ndarray], path: pathlib.Path, milliseconds: int) -> None:
    """Writes uint8 `[height, width, channels]` frames as an animated GIF that goes on for ever."""
    first, *others = (to_pil(frame).convert("L" if frame.shape[-1] == 1 else "RGB") for frame in frames)
    first.save(path, save_all=True, append_images=others, duration=milliseconds, loop=0)
