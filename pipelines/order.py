"""In which order the rows of a data set are visited: a pure function of (seed, step), nothing is stored."""

import tensorflow as tf

from kgan.noise import Noise

# The raw op, as `tf.random.experimental.index_shuffle` fails on a seed per element and fixes 4 rounds, after which
# neighbours stay related (measured for 8 to 100 rows: chi-square of their differences 13 to 20 per degree of freedom;
# after 8 rounds about 1). The kernel reads as few as 8 bits of each of the three words of a seed: an epoch number in
# one of them would give 256 orders in all, so each word is noise.
_ROUNDS = 8


def rows_of(noise: Noise, step: tf.Tensor, rows: int, count: int) -> tf.Tensor:
    """Returns the rows that make up the batch of a step.

    Position `p = step * rows + i` belongs to epoch `p // count` and takes that epoch's permutation at `p % count`, so
    each epoch visits every row once and a batch may hold the end of one epoch and the start of the next.

    Args:
        noise: its stream "order" keys the permutation of each epoch.
        step: int64 scalar.
        rows: images in a batch, at most `count`.
        count: rows in the data set.

    Returns:
        int64 `[rows]`, in `[0, count)`.
    """
    position = step * rows + tf.range(rows, dtype=tf.int64)
    epoch = position // count
    # As rows <= count, a batch has rows of two epochs at most.
    keys = tf.concat([_key(noise, epoch[0]), _key(noise, epoch[0] + 1)], axis=0)
    return tf.raw_ops.RandomIndexShuffle(
        index=position % count,
        seed=tf.gather(keys, epoch - epoch[0]),
        max_index=tf.constant(count - 1, tf.int64),
        rounds=_ROUNDS,
    )


def _key(noise: Noise, epoch: tf.Tensor) -> tf.Tensor:
    return tf.cast(noise.uniform("order", epoch, [1, 3]) * 2.0**24, tf.uint32)
