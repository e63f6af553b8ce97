import dataclasses
import gc

import numpy as np
import pytest
import tensorflow as tf

from kgan.errors import InputError
from kgan.noise import Noise
from pipelines import order, transforms
from pipelines.images import Images


def numbered(count: int, side: int = 8, image_size: int = 8) -> Images:
    """Images whose pixels all hold the number of their row; with `side` above the image size, random ones."""
    rows = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, side, side, 1)).copy()
    if side > image_size:
        rows = np.random.default_rng(0).integers(0, 256, rows.shape, dtype=np.uint8)
    return Images("numbers", "train", rows, None, None, image_size, "sha256:")


def take(dataset: tf.data.Dataset, steps: int) -> np.ndarray:
    return np.stack([batch.numpy() for batch in dataset.take(steps)])


def test_sizes():
    data = numbered(20, side=12)
    assert (data.size, data.image_size, data.load_size) == (20, 8, 12)


def test_batches_are_infinite_and_of_a_known_shape():
    dataset = numbered(20).batches(6, seed=0)
    assert dataset.element_spec == tf.TensorSpec([6, 8, 8, 1], tf.uint8)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY


def test_batches_follow_the_order():
    shown = take(numbered(20).batches(6, seed=4), 10)
    for step, batch in enumerate(shown):
        expected = order.rows_of(Noise(4), tf.constant(step, tf.int64), 6, 20).numpy()
        np.testing.assert_array_equal(batch, np.broadcast_to(expected[:, None, None, None], batch.shape))
    epochs = np.sort(shown[:, :, 0, 0, 0].ravel().reshape(3, 20), axis=1)
    np.testing.assert_array_equal(epochs, np.tile(np.arange(20), (3, 1)))


@pytest.mark.parametrize("side, flip", [(8, False), (12, True)])
def test_starting_at_a_step_is_skipping_to_it(side, flip):
    data = numbered(20, side)
    whole = take(data.batches(6, seed=1, flip=flip), 12)
    np.testing.assert_array_equal(take(data.batches(6, seed=1, first_step=5, flip=flip), 7), whole[5:])
    np.testing.assert_array_equal(take(data.batches(6, seed=1, flip=flip), 12), whole)
    assert (take(data.batches(6, seed=2, flip=flip), 12) != whole).any()


def test_larger_images_are_cropped_and_flipped():
    data, step = numbered(20, side=12), tf.constant(3, tf.int64)
    rows = order.rows_of(Noise(1), step, 6, 20).numpy()
    expected = transforms.random_crop(tf.constant(data.images[rows]), 8, Noise(1), step)
    np.testing.assert_array_equal(next(iter(data.batches(6, seed=1, first_step=3))), expected)
    expected = transforms.random_flip(expected, Noise(1), step)
    np.testing.assert_array_equal(next(iter(data.batches(6, seed=1, first_step=3, flip=True))), expected)


def test_a_batch_may_be_the_whole_set_and_no_more():
    data = numbered(6)
    np.testing.assert_array_equal(np.sort(take(data.batches(6, seed=0), 1)[0, :, 0, 0, 0]), np.arange(6))
    with pytest.raises(InputError, match=r"numbers: too few images for a batch: 6 for --batch-size 7; .* at most 6"):
        data.batches(7, seed=0)
    with pytest.raises(InputError, match="--batch-size 0: expected 1 or more"):
        data.batches(0, seed=0)


def test_autotune_is_off():
    """Leaving a data set that is tuned takes seconds."""
    assert numbered(20).batches(6, seed=0).options().autotune.enabled is False


def test_an_iterator_outlives_its_data_set():
    iterator = iter(numbered(20).batches(6, seed=0))
    gc.collect()
    assert next(iterator).shape == (6, 8, 8, 1)


def test_the_rows_are_not_copied():
    data = numbered(20)
    iterator = iter(data.batches(20, seed=0))
    next(iterator)
    data.images[:] = 99
    later = [next(iterator).numpy() for _ in range(5)][-1]  # beyond what was fetched ahead
    assert (later == 99).all()


def labelled(labels: list[int]) -> Images:
    data = numbered(len(labels))
    return dataclasses.replace(data, labels=np.array(labels, np.int32), class_names=("a", "b", "c"))


def rows(data: Images) -> list[int]:
    return data.images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("data", [numbered(10), labelled([0, 2, 1, 1, 0, 2, 0, 1, 2, 0])])
def test_the_last_images_are_held_out(data):
    train, validation = data.hold_out(3)
    assert rows(train) == [*range(7)] and rows(validation) == [7, 8, 9]
    assert (train.split, validation.split, validation.digest) == ("train", "validation", data.digest)
    assert data.labels is None or validation.labels.tolist() == [1, 2, 0]


def test_of_sets_in_order_of_class_the_last_of_each_is_held_out():
    train, validation = labelled([0] * 4 + [1] * 8 + [2] * 4).hold_out(4)
    assert rows(validation) == [3, 10, 11, 15] and validation.labels.tolist() == [0, 1, 1, 2]
    assert rows(train) == [i for i in range(16) if i not in (3, 10, 11, 15)]


def test_one_class_is_no_order():
    assert rows(labelled([1] * 5).hold_out(2)[1]) == [3, 4]


@pytest.mark.parametrize("count", [0, -1, 10, 11])
def test_something_must_be_held_out_and_something_left(count):
    with pytest.raises(InputError, match=f"--hold-out: got {count}, expected 1 to 9 of the 10 images"):
        numbered(10).hold_out(count)
