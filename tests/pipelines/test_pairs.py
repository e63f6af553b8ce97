import numpy as np
import pytest
import tensorflow as tf

from kgan.errors import InputError
from kgan.noise import Noise
from pipelines import order
from pipelines.images import Images
from pipelines.pairs import Pairs


def images(count: int, side: int = 8, seed: int = 0, notes: tuple[str, ...] = (), digest: str = "sha256:") -> Images:
    """Random images of 8x8 (crops, where the side is larger) with the number of their row in all top left corners."""
    rows = np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    rows[:, : side - 7, : side - 7] = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return Images("some", "train", rows, None, None, 8, digest, notes)


def unpaired(count_a: int = 10, count_b: int = 14, side: int = 8) -> Pairs:
    return Pairs("two", images(count_a, side), images(count_b, side, seed=1), aligned=False)


def aligned(count: int = 10, side: int = 8) -> Pairs:
    """B is the negative of A."""
    a = images(count, side)
    return Pairs("two", a, Images("some", "train", 255 - a.images, None, None, 8, "sha256:"), aligned=True)


def take(dataset: tf.data.Dataset, steps: int) -> tuple[np.ndarray, np.ndarray]:
    a, b = zip(*dataset.take(steps).as_numpy_iterator(), strict=True)
    return np.stack(a), np.stack(b)


def test_what_it_tells_of_itself():
    data = unpaired(side=12)
    assert (data.split, data.image_shape, data.image_size, data.load_size) == ("train", (8, 8, 3), 8, 12)
    assert (data.size, data.small, data.class_names) == (14, False, None)
    assert unpaired(9, 5).size == 9


def test_batches_are_infinite_and_of_a_known_shape():
    dataset = unpaired().batches(4, seed=0)
    assert dataset.element_spec == (tf.TensorSpec([4, 8, 8, 3], tf.uint8),) * 2
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    assert dataset.options().autotune.enabled is False
    assert dataset.options().deterministic is True


@pytest.mark.parametrize("side, flip", [(8, False), (8, True), (12, False), (12, True)])
def test_aligned_images_stay_together_through_order_crop_and_flip(side, flip):
    data = aligned(side=side)
    a, b = take(data.batches(4, seed=3, flip=flip), 12)
    np.testing.assert_array_equal(a, 255 - b)
    alone = np.stack(list(data.a.batches(4, seed=3, flip=flip).take(12).as_numpy_iterator()))
    np.testing.assert_array_equal(a, alone)


def test_unpaired_domains_have_orders_of_their_own():
    data = unpaired(100, 100)
    a, b = (domain[:, :, 0, 0, 0].ravel() for domain in take(data.batches(10, seed=3), 30))
    for epoch in range(3):
        part = slice(100 * epoch, 100 * epoch + 100)
        assert (a[part] == b[part]).sum() < 9  # 1 is expected; 9 or more have a probability of 1e-6
    expected = order.rows_of(Noise(3 + 2**32), tf.constant(2, tf.int64), 10, 100).numpy()
    np.testing.assert_array_equal(b[20:30], expected)


def test_unpaired_domains_are_cropped_and_flipped_each_for_itself():
    a = images(30, side=12)
    same = Pairs("two", a, a, aligned=False)
    whole = {image.tobytes() for image in np.concatenate(take(same.batches(30, seed=0, flip=True), 2)[0])}
    other = {image.tobytes() for image in np.concatenate(take(same.batches(30, seed=0, flip=True), 2)[1])}
    # Of 25 places and 2 directions: the 60 images of A and of B of the same row agree one time in 50.
    assert len(whole & other) < 12


@pytest.mark.parametrize("count_a, count_b", [(6, 10), (10, 6)])
def test_every_row_comes_once_in_each_epoch_of_its_domain(count_a, count_b):
    data = unpaired(count_a, count_b)
    for domain, count in zip(take(data.batches(4, seed=1), 15), (count_a, count_b), strict=True):
        rows = domain[:, :, 0, 0, 0].ravel()[: 60 // count * count]
        epochs = np.sort(rows.reshape(-1, count), axis=1)
        np.testing.assert_array_equal(epochs, np.tile(np.arange(count), (len(epochs), 1)))


@pytest.mark.parametrize("data", [unpaired(side=12), aligned(side=12)], ids=["unpaired", "aligned"])
def test_starting_at_a_step_is_skipping_to_it(data):
    whole = take(data.batches(4, seed=1, flip=True), 12)
    later = take(data.batches(4, seed=1, first_step=5, flip=True), 7)
    np.testing.assert_array_equal(np.stack(later), np.stack(whole)[:, 5:])
    np.testing.assert_array_equal(np.stack(take(data.batches(4, seed=1, flip=True), 12)), np.stack(whole))
    assert (np.stack(take(data.batches(4, seed=2, flip=True), 12)) != np.stack(whole)).any()


@pytest.mark.parametrize("count_a, count_b, smaller", [(3, 10, "A"), (10, 3, "B")])
def test_a_batch_is_no_more_than_the_smaller_domain(count_a, count_b, smaller):
    data = unpaired(count_a, count_b)
    assert next(iter(data.batches(3, seed=0)))[0].shape == (3, 8, 8, 3)
    message = rf"--batch-size 4: domain {smaller} of two has too few images for a batch; expected at most 3$"
    with pytest.raises(InputError, match=message):
        data.batches(4, seed=0)
    with pytest.raises(InputError, match="--batch-size 0: expected 1 or more"):
        data.batches(0, seed=0)


def test_augmentation_would_tear_pairs_apart():
    with pytest.raises(
        InputError, match=r"--augment color cutout: would change the two images of a pair in different"
    ):
        aligned().batches(4, seed=0, augment=("color", "cutout"))


def test_the_digest_is_of_both_domains_and_how_they_belong_together():
    one, other = images(4, digest="sha256:1"), images(4, digest="sha256:2")
    digest = Pairs("two", one, other, aligned=False).digest
    assert digest.startswith("sha256:")
    assert len(digest) == len("sha256:") + 64
    assert digest == Pairs("another name", one, other, aligned=False).digest
    others = [Pairs("two", other, one, aligned=False), Pairs("two", one, other, aligned=True)]
    assert len({digest, *(pairs.digest for pairs in others)}) == 3


def test_notes_name_the_domain_unless_both_have_them():
    a, b = images(4, notes=("only here", "in both")), images(4, notes=("in both", "only there"))
    assert Pairs("two", a, b, aligned=False).notes == ("in both", "A: only here", "B: only there")


def test_domains_that_do_not_fit_each_other_are_a_mistake():
    with pytest.raises(ValueError, match="domain A has images of"):
        Pairs("two", images(4), images(4, side=12), aligned=False)
    with pytest.raises(ValueError, match="got 4 and 5"):
        Pairs("two", images(4), images(5), aligned=True)
