"""What a served model checks before it computes: a client that asks for nonsense is told why.

The checks are operations of the graph. They survive the export, and a server answers INVALID_ARGUMENT with their text.
"""

import tensorflow as tf


def rows(name: str, values: tf.Tensor, size: int) -> tf.Tensor:
    """Lets through float `[n, size]` with n above 0 and finite numbers.

    Returns:
        The values, `[n, size]`.
    """
    values = _as_it_comes(values, [None, None])
    checks = [
        _check(tf.shape(values)[0] > 0, f"{name}: the batch is empty"),
        _check(tf.shape(values)[1] == size, f"{name}: expected [n, {size}], got the shape", tf.shape(values)),
        _check(tf.reduce_all(tf.math.is_finite(values)), f"{name}: expected finite numbers"),
    ]
    with tf.control_dependencies(checks):
        return tf.ensure_shape(tf.identity(values), [None, size])


def seeds(seed: tf.Tensor, truncation: tf.Tensor, largest: float) -> tf.Tensor:
    """Lets through seeds `[n]` from 0 and truncations in (0, largest], one for each seed or one for all.

    Returns:
        The seeds `[n]` and a truncation `[n]` for each.
    """
    seed, truncation = _as_it_comes(seed, [None]), _as_it_comes(truncation, [None])
    count, truncations = tf.shape(seed)[0], tf.shape(truncation)[0]
    checks = [
        _check(count > 0, "seed: the batch is empty"),
        _check(tf.reduce_all(seed >= 0), "seed: expected 0 or more"),
        _check((truncations == 1) | (truncations == count), "truncation: expected one, or one for each seed"),
        _check(
            tf.reduce_all((truncation > 0.0) & (truncation <= largest)),  # false for NaN
            f"truncation: expected numbers above 0 and up to {largest:g}",
        ),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(seed), tf.broadcast_to(truncation, [count])


def _as_it_comes(values: tf.Tensor, shape: list[int | None]) -> tf.Tensor:
    """Forgets the declared shape: a check of what is known to be true would be left out of the graph."""
    return tf.raw_ops.PlaceholderWithDefault(input=values, shape=shape)


def _check(condition: tf.Tensor, message: str, *shown: tf.Tensor) -> tf.Operation:
    return tf.debugging.Assert(condition, [message, *shown])
