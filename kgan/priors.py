"""Latent priors: they turn uniform numbers into latents, truncate them and walk between them."""

import tensorflow as tf

from kgan.errors import InputError


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
