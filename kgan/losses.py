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


def discriminator_least_squares(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """E[(D(x) - 1)^2] + E[D(G(z))^2], over D (Zhu et al. 2017, section 4; twice Mao et al. 2017, eq. 9)."""
    return tf.reduce_mean((real_logits - 1.0) ** 2) + tf.reduce_mean(fake_logits**2)


def generator_least_squares(fake_logits: tf.Tensor) -> tf.Tensor:
    """E[(D(G(z)) - 1)^2], over G (Zhu et al. 2017, section 4; twice Mao et al. 2017, eq. 9)."""
    return tf.reduce_mean((fake_logits - 1.0) ** 2)
