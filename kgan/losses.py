"""Adversarial losses: pure functions of logits, means over the batch, each to be minimised.

In the minimax game D(x) = sigmoid(logit), so log D(x) = -softplus(-logit) and log(1 - D(x)) = -softplus(logit): no
logarithm of a sigmoid is taken, so the values stay finite for any finite logit. The other losses take the logit itself
for D(x).
"""

import tensorflow as tf


def discriminator_minimax(real_logits: tf.Tensor, fake_logits: tf.Tensor, smoothing: float = 0.0) -> tf.Tensor:
    """-V(D, G) = -E[log D(x)] - E[log(1 - D(G(z)))], to minimise over D (Goodfellow et al. 2014, eq. 1).

    With `smoothing` s in [0, 1) the first term is -E[(1 - s) log D(x) + s log(1 - D(x))]: the target of real images is
    1 - s, that of generated ones stays 0 (one-sided label smoothing, Salimans et al. 2016, section 3.4).
    """
    real = (1.0 - smoothing) * tf.nn.softplus(-real_logits) + smoothing * tf.nn.softplus(real_logits)
    return tf.reduce_mean(real) + tf.reduce_mean(tf.nn.softplus(fake_logits))


def generator_minimax(fake_logits: tf.Tensor) -> tf.Tensor:
    """E[log(1 - D(G(z)))], to minimise over G (Goodfellow et al. 2014, eq. 1 and Algorithm 1)."""
    return -tf.reduce_mean(tf.nn.softplus(fake_logits))


def generator_non_saturating(fake_logits: tf.Tensor) -> tf.Tensor:
    """-E[log D(G(z))], to minimise over G (Goodfellow et al. 2014, end of section 3)."""
    return tf.reduce_mean(tf.nn.softplus(-fake_logits))


def classes(class_logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """-E[log P(C = c | X)], a term of L_C (Odena et al. 2017, eq. 3), of logits `[n, classes]` and labels `[n]`."""
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, class_logits))


def discriminator_least_squares(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """E[(D(x) - 1)^2] + E[D(G(z))^2], over D (Zhu et al. 2017, section 4; twice Mao et al. 2017, eq. 9)."""
    return tf.reduce_mean((real_logits - 1.0) ** 2) + tf.reduce_mean(fake_logits**2)


def generator_least_squares(fake_logits: tf.Tensor) -> tf.Tensor:
    """E[(D(G(z)) - 1)^2], over G (Zhu et al. 2017, section 4; twice Mao et al. 2017, eq. 9)."""
    return tf.reduce_mean((fake_logits - 1.0) ** 2)


def critic_wasserstein(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """-(E[D(x)] - E[D(G(z))]), over a Lipschitz D (Arjovsky et al. 2017, eq. 2, which Algorithm 1 ascends).

    The negative of it estimates the Wasserstein distance, times D's Lipschitz constant.
    """
    return tf.reduce_mean(fake_logits) - tf.reduce_mean(real_logits)


def generator_wasserstein(fake_logits: tf.Tensor) -> tf.Tensor:
    """-E[D(G(z))], over G (Arjovsky et al. 2017, eq. 3 and Algorithm 1)."""
    return -tf.reduce_mean(fake_logits)


def discriminator_hinge(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))], over D (Lim & Ye 2017; Miyato et al. 2018, eq. 16, negated)."""
    return tf.reduce_mean(tf.nn.relu(1.0 - real_logits)) + tf.reduce_mean(tf.nn.relu(1.0 + fake_logits))


def generator_hinge(fake_logits: tf.Tensor) -> tf.Tensor:
    """-E[D(G(z))], over G (Lim & Ye 2017; Miyato et al. 2018, eq. 17)."""
    return -tf.reduce_mean(fake_logits)
