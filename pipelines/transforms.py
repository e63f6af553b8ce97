"""Random changes to a batch, each a pure function of (seed, step, row)."""

import tensorflow as tf

from kgan.noise import Noise


def random_crop(images: tf.Tensor, size: int, noise: Noise, step: tf.Tensor) -> tf.Tensor:
    """Cuts a square out of each image, every place equally likely.

    Args:
        images: `[rows, side, side, channels]`, `side` at least `size`.
        size: side of the squares.
        noise: its stream "crop" draws (top, left) of each row.
        step: integer scalar.

    Returns:
        `[rows, size, size, channels]`.
    """
    rows, side = images.shape[:2]
    # float32 rounds no product up to its upper end here: u is at most 1 - 2**-24.
    corners = tf.cast(noise.uniform("crop", step, [rows, 2]) * float(side - size + 1), tf.int32)
    pixels = corners[:, :, None] + tf.range(size)
    images = tf.gather(images, pixels[:, 0], axis=1, batch_dims=1)
    return tf.gather(images, pixels[:, 1], axis=2, batch_dims=1)


def random_flip(images: tf.Tensor, noise: Noise, step: tf.Tensor) -> tf.Tensor:
    """Mirrors each image left to right with probability 1/2.

    Args:
        images: `[rows, height, width, channels]`.
        noise: its stream "flip" draws one number for each row.
        step: integer scalar.

    Returns:
        The shape of `images`.
    """
    mirrored = tf.cast(noise.uniform("flip", step, [images.shape[0], 1])[:, 0] < 0.5, tf.int32)
    # Choosing whole images copies memory; `tf.where` goes pixel by pixel and takes ten times as long.
    return tf.gather(tf.stack([images, tf.reverse(images, [2])], axis=1), mirrored, axis=1, batch_dims=1)
