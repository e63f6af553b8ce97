import numpy as np
import pytest
import tensorflow as tf

from kgan.noise import Noise
from pipelines import order


def visited(seed: int, steps: range, rows: int, count: int) -> np.ndarray:
    """All rows of a range of steps, in their order."""

    @tf.function
    def rows_of_all(steps: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(lambda step: order.rows_of(Noise(seed), step, rows, count), steps)

    return rows_of_all(tf.constant(steps, tf.int64)).numpy().ravel()


@pytest.mark.parametrize("rows, count", [(5, 13), (4, 12), (1, 3), (7, 7), (1, 1), (128, 1797), (300, 70000)])
def test_every_epoch_visits_every_row_once_across_the_borders_of_batches(rows, count):
    rows_visited = visited(0, range(-(-3 * count // rows)), rows, count)
    for start in (0, count, 2 * count):
        np.testing.assert_array_equal(np.sort(rows_visited[start : start + count]), np.arange(count))


def test_the_batch_size_does_not_change_the_order():
    np.testing.assert_array_equal(visited(3, range(20), 6, 50), visited(3, range(12), 10, 50))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [visited(seed, range(10 * epoch, 10 * epoch + 10), 10, 100) for seed in range(3) for epoch in range(3)]
    orders.append(np.arange(100))
    same = [(a == b).sum() for index, a in enumerate(orders) for b in orders[:index]]
    assert max(same) <= 8  # 1 is expected; above 8 has a probability of 1e-6


def test_more_than_256_epochs_have_orders_of_their_own():
    orders = visited(0, range(1000), 20, 20).reshape(1000, 20)
    assert len({tuple(row) for row in orders}) == 1000


def test_places_and_pairs_of_rows_are_equally_likely():
    count, epochs = 10, 1000
    orders = visited(1, range(epochs), count, count).reshape(epochs, count)
    # Chi-square over (place, row), 81 degrees of freedom, and over the first two rows, 89: below the 99.99 % points.
    table = np.stack([np.bincount(column, minlength=count) for column in orders.T])
    assert ((table - epochs / count) ** 2 / (epochs / count)).sum() < 136
    pairs = np.bincount(orders[:, 0] * count + orders[:, 1], minlength=count**2).reshape(count, count)
    expected = epochs / (count * (count - 1))
    assert ((pairs[~np.eye(count, dtype=bool)] - expected) ** 2 / expected).sum() < 146


def test_neighbours_do_not_stay_related():
    count, epochs = 100, 1500
    orders = visited(1, range(epochs), count, count).reshape(epochs, count)
    steps = np.bincount(((orders[:, 1:] - orders[:, :-1]) % count).ravel(), minlength=count)[1:]
    # Chi-square with 98 degrees of freedom below its 99.99 % point; 4 rounds of the shuffle give 229.
    assert ((steps - steps.mean()) ** 2 / steps.mean()).sum() < 156


def test_late_steps_do_not_overflow():
    step = 2**33
    np.testing.assert_array_equal(np.sort(visited(0, range(step, step + 4), 256, 1024)), np.arange(1024))
