"""Adversarial losses: pure functions of logits, means over the batch.

With D(x) = sigmoid(logit), log D(x) = -softplus(-logit) and log(1 - D(x)) = -softplus(logit): no logarithm of a
sigmoid is taken, so the values stay finite for any finite logit.
"""

import tensorflow as tf


def discriminator_minimax(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """-V(D, G) = -E[log D(x)] - E[log(1 - D(G(z)))], to minimise over D (Goodfellow et al. 2014, eq. 1)."""
    return tf.reduce_mean(tf.nn.softplus(-real_logits)) + tf.reduce_mean(tf.nn.softplus(fake_logits))


def generator_minimax(fake_logits: tf.Tensor) -> tf.Tensor:
    """E[log(1 - D(G(z)))], to minimise over G (Goodfellow et al. 2014, eq. 1 and Algorithm 1)."""
    return -tf.reduce_mean(tf.nn.softplus(fake_logits))


def generator_non_saturating(fake_logits: tf.Tensor) -> tf.Tensor:
    """-E[log D(G(z))], to minimise over G (Goodfellow et al. 2014, end of section 3)."""
    return tf.reduce_mean(tf.nn.softplus(-fake_logits))
