"""Penalties on the gradient of a critic by its input: pure functions of a critic and points, without their weight.

A critic is anything that maps points `[batch, ...]` to logits `[batch, 1]`, sample by sample (no batch norm), such as
a model or `lambda images: model([images, labels], training=True)`. Each function computes the gradients within the
caller's tape, which then gives their own gradient by the critic's weights. Norms are float32 whatever the policy.

Each returns the penalty and the mean norm of the gradients, float32 scalars.
"""

from collections.abc import Callable

import tensorflow as tf


def between(real: tf.Tensor, fake: tf.Tensor, epsilon: tf.Tensor) -> tf.Tensor:
    """epsilon x + (1 - epsilon) G(z), with uniform numbers `[batch, 1, 1, 1]` (Gulrajani et al. 2017, Algorithm 1)."""
    return epsilon * real + (1.0 - epsilon) * fake


def two_sided(critic: Callable, points: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """E[(||grad D(x)|| - 1)^2] at points between real and generated ones (WGAN-GP, Gulrajani et al. 2017, eq. 3)."""
    norms = _norms(_squared_norms(critic, points))
    return tf.reduce_mean((norms - 1.0) ** 2), tf.reduce_mean(norms)


def one_sided(critic: Callable, points: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """E[max(0, ||grad D(x)|| - 1)^2], for norms above 1 alone (WGAN-LP, Petzka et al. 2018; Gulrajani, section 4)."""
    norms = _norms(_squared_norms(critic, points))
    return tf.reduce_mean(tf.nn.relu(norms - 1.0) ** 2), tf.reduce_mean(norms)


def r1(critic: Callable, real: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """E[||grad D(x)||^2] / 2 on real points, to be multiplied by gamma (Mescheder et al. 2018, eq. 9)."""
    squares = _squared_norms(critic, real)
    return tf.reduce_mean(squares) / 2.0, tf.reduce_mean(_norms(squares))


def _squared_norms(critic: Callable, points: tf.Tensor) -> tf.Tensor:
    """Of the gradient at each point, float32 `[batch]`."""
    points = tf.cast(points, tf.float32)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(points)
        logits = critic(points)
    # The gradient of the sum has each point's own in its row: no logit depends on another point.
    gradients = tf.cast(tape.gradient(logits, points), tf.float32)
    return tf.reduce_sum(gradients**2, axis=range(1, gradients.shape.rank))


def _norms(squares: tf.Tensor) -> tf.Tensor:
    """Roots whose own gradient at 0 is 0: that of the root alone is infinite there and makes NaN of all weights."""
    is_zero = squares == 0.0
    return tf.where(is_zero, 0.0, tf.sqrt(tf.where(is_zero, 1.0, squares)))
