"""What a served model checks before it computes: a client that asks for nonsense is told why.

The checks are operations of the graph. They survive the export, and a server answers INVALID_ARGUMENT with their text.
"""

import tensorflow as tf


def rows(name: str, values: tf.Tensor, size: int) -> tf.Tensor:
    """Lets through float `[n, size]` with n above 0 and finite numbers.

    Returns:
        The values, `[n, size]`.
    """
    values = _as_it_comes(name, values, f"[n, {size}]", 2)
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
    seed, truncation = _as_it_comes("seed", seed, "[n]", 1), _as_it_comes("truncation", truncation, "[n] or [1]", 1)
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


def labels(label: tf.Tensor, count: tf.Tensor, least: int, classes: int) -> tf.Tensor:
    """Lets through labels from `least` to classes - 1: one for each of `count` rows or, where -1 is one, one for all.

    Returns:
        A label for each row, int32 `[count]`.
    """
    label = _as_it_comes("label", label, "[n]" if least == 0 else "[n] or [1]", 1)
    given = tf.shape(label)[0]
    one_for_all = tf.constant(least < 0) & (given == 1)
    checks = [
        _check((given == count) | one_for_all, "label: expected one for each row" + (" or one for all" * (least < 0))),
        _check(tf.reduce_all((label >= least) & (label < classes)), f"label: expected {least} to {classes - 1}"),
    ]
    with tf.control_dependencies(checks):
        return tf.broadcast_to(label, [count])


def row_seeds(seed: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Lets through seeds from 0, `[rows]` or `[1]` for all.

    Returns:
        A seed `[rows]` for each.
    """
    seed = _as_it_comes("seed", seed, "[n] or [1]", 1)
    count = tf.shape(seed)[0]
    checks = [
        _check((count == 1) | (count == rows), "seed: expected one, or one for each image"),
        _check(tf.reduce_all(seed >= 0), "seed: expected 0 or more"),
    ]
    with tf.control_dependencies(checks):
        return tf.broadcast_to(seed, [rows])


def pictures(name: str, values: tf.Tensor, channels: int, smallest: int) -> tf.Tensor:
    """Lets through uint8 `[n, height, width, channels]` with n above 0 and sides of at least `smallest`.

    Returns:
        The values, `[n, height, width, channels]`.
    """
    values = _as_it_comes(name, values, f"[n, height, width, {channels}]", 4)
    shape = tf.shape(values)
    checks = [
        _check(shape[0] > 0, f"{name}: the batch is empty"),
        _check(shape[3] == channels, f"{name}: expected {channels} channels, got the shape", shape),
        _check(
            tf.reduce_min(shape[1:3]) >= smallest,
            f"{name}: expected at least {smallest}x{smallest} pixels, got the shape",
            shape,
        ),
    ]
    with tf.control_dependencies(checks):
        return tf.ensure_shape(tf.identity(values), [None, None, None, channels])


def strings(name: str, values: tf.Tensor) -> tf.Tensor:
    """Lets through strings `[n]` with n above 0."""
    values = _as_it_comes(name, values, "[n]", 1)
    with tf.control_dependencies([_check(tf.shape(values)[0] > 0, f"{name}: the batch is empty")]):
        return tf.identity(values)


def _as_it_comes(name: str, values: tf.Tensor, expected: str, rank: int) -> tf.Tensor:
    """Forgets the declared shape: a check of what is known to be true would be left out of the graph.

    How deep the lists of a request are is checked first: the other checks read a shape of that many sides.
    """
    values = tf.raw_ops.PlaceholderWithDefault(input=values, shape=None)
    deep = _check(tf.size(tf.shape(values)) == rank, f"{name}: expected {expected}, got the shape", tf.shape(values))
    with tf.control_dependencies([deep]):
        return tf.ensure_shape(tf.identity(values), [None] * rank)


def _check(condition: tf.Tensor, message: str, *shown: tf.Tensor) -> tf.Operation:
    return tf.debugging.Assert(condition, [message, *shown])
