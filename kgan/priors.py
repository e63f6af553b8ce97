"""Latent priors: they turn uniform numbers into latents, truncate them and walk between them.

A truncation is the share of the prior's mass, around its middle and in each direction by itself, that latents come
from: 1 is the prior itself.
"""

import tensorflow as tf

from kgan.errors import InputError

_VECTOR = 64  # numbers, a multiple of those in any processor's vector


class Uniform:
    """The uniform distribution on [-bound, bound]^dim, the prior of Goodfellow et al. 2014 and Radford et al. 2015.

    Args:
        dim: size of a latent.
        bound: half the width of each side.
    """

    max_truncation = 1.0

    def __init__(self, dim: int, bound: float = 1.0):
        self.dim = dim
        self.bound = bound

    def check_truncation(self, truncation: float) -> None:
        """Raises InputError for a truncation outside of (0, `max_truncation`]."""
        if not 0.0 < truncation <= self.max_truncation:
            expected = f"a number above 0 and up to {self.max_truncation:g}"
            raise InputError(f"truncation: got {truncation}, expected {expected}")

    def sample(self, uniform: tf.Tensor, truncation: float | tf.Tensor = 1.0) -> tf.Tensor:
        """Maps uniform numbers to latents.

        Args:
            uniform: float32 `[..., dim]` in [0, 1).
            truncation: in (0, 1], how much of the range is used; 1 is the prior itself. A number, or float32
                `[..., 1]`.

        Returns:
            float32 `[..., dim]` in `truncation * [-bound, bound]`.
        """
        return (2.0 * uniform - 1.0) * (self.bound * truncation)

    def interpolate(self, start: tf.Tensor, end: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        """The point a share t in [0, 1] of the straight line from `start` to `end`: the box is convex."""
        return start + (end - start) * t


class Normal:
    """The standard normal distribution, the prior of Gulrajani et al. 2017 and Miyato et al. 2018.

    Args:
        dim: size of a latent.
    """

    max_truncation = 1.0

    def __init__(self, dim: int):
        self.dim = dim

    check_truncation = Uniform.check_truncation

    def sample(self, uniform: tf.Tensor, truncation: float | tf.Tensor = 1.0) -> tf.Tensor:
        """Maps uniform numbers to latents by the inverse of the distribution function.

        Args:
            uniform: float32 `[..., dim]` in [0, 1), multiples of 2**-24.
            truncation: in (0, 1]; below 1 the normal distribution is truncated on both sides, as in Brock et al. 2018
                (section 3.1), who name the threshold: 2.0 there is 0.954 here, 0.5 is 0.383. A number, or float32
                `[..., 1]`.

        Returns:
            float32 `[..., dim]`, finite.
        """
        centred = uniform - 0.5 + 2.0**-25  # in the middle of its step: never at an end, where the inverse is infinite
        # Of the lower half, where float32 has digits to tell numbers apart; the upper one mirrors it.
        return -tf.sign(centred) * _quantile(0.5 - tf.abs(centred) * truncation)

    def interpolate(self, start: tf.Tensor, end: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        """The point a share t in [0, 1] of the great circle from `start` to `end`, of a length between theirs.

        A straight line would pass nearer to 0 than latents ever lie (White 2016, "Sampling Generative Networks",
        section 3).
        """
        norms = [tf.norm(x, axis=-1, keepdims=True) for x in (start, end)]
        cosine = tf.reduce_sum(start * end, axis=-1, keepdims=True) / (norms[0] * norms[1])
        angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))
        straight = tf.sin(angle) < 1e-4  # the same direction, or opposite ones, which no one arc joins
        sine = tf.where(straight, 1.0, tf.sin(angle))
        weights = [tf.where(straight, w, tf.sin(w * angle) / sine) for w in (1.0 - t, t)]
        direction = weights[0] * start / norms[0] + weights[1] * end / norms[1]
        return direction * (norms[0] * (1.0 - t) + norms[1] * t)


def _quantile(share: tf.Tensor) -> tf.Tensor:
    """`tf.math.ndtri`, the same for a number wherever it stands.

    What is left over where a length is no multiple of the processor's vectors is computed another way, with another
    last digit: nothing is left over here.
    """
    flat = tf.reshape(share, [-1])
    padded = tf.pad(flat, [[0, -tf.size(flat) % _VECTOR]], constant_values=0.5)
    return tf.reshape(tf.math.ndtri(padded)[: tf.size(flat)], tf.shape(share))
