import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from kgan.errors import InputError
from kgan.metrics import memorisation


def normal(seed: int, rows: int, columns: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, columns))


def test_fresh_samples_are_called_copies_one_time_in_a_hundred():
    found = memorisation(normal(0, 2000), normal(1, 2000), normal(2, 2000))
    assert 0.005 <= found.memorised <= 0.02 and 0.005 <= found.duplicates <= 0.02


def test_copies_are_found_and_counted():
    train, samples = normal(0, 2000), normal(2, 1000)
    samples[:300] = train[:300]
    found = memorisation(train, normal(1, 1000), samples)
    assert 0.3 <= found.memorised <= 0.33
    np.testing.assert_array_equal(found.nearest[:300], np.arange(300))
    np.testing.assert_array_equal(found.distances[:300], 0.0)


def test_near_copies_are_found():
    train = normal(0, 2000)
    found = memorisation(train, normal(1, 1000), train[:500] + 1e-3 * normal(3, 500))
    assert found.memorised == 1.0 and 0 < found.threshold < 1


def test_samples_that_repeat_each_other_are_duplicates_and_no_copies():
    samples = normal(2, 1000)
    samples[::2] = samples[1::2]
    found = memorisation(normal(0, 2000), normal(1, 1000), samples)
    assert found.duplicates == 1.0 and found.memorised < 0.03


def test_nearest_is_what_scikit_learn_finds(small_blocks):
    small_blocks(4096)
    train, samples, held_out = normal(0, 300), normal(1, 200), normal(2, 100)
    found = memorisation(train, held_out, samples)
    index = NearestNeighbors(n_neighbors=1).fit(train)
    distances, nearest = index.kneighbors(samples)
    np.testing.assert_array_equal(found.nearest, nearest[:, 0])
    np.testing.assert_allclose(found.distances, distances[:, 0], rtol=1e-12)
    threshold = np.sort(index.kneighbors(held_out)[0].ravel())[0]  # one more is below it once in 101 times
    assert found.threshold == pytest.approx(threshold, rel=1e-12)
    assert found.memorised == np.mean(distances <= found.threshold)


@pytest.mark.parametrize(("held_out", "samples"), [(100, 1000), (300, 4000), (1000, 300)])
def test_what_is_no_copy_is_called_one_as_rarely_whatever_the_counts(held_out, samples):
    found = [memorisation(normal(i, 1000), normal(100 + i, held_out), normal(200 + i, samples)) for i in range(8)]
    assert 0.002 < np.mean([f.memorised for f in found]) < 0.02
    assert 0.002 < np.mean([f.duplicates for f in found]) < 0.02


def test_images_that_occur_twice_hide_no_copies():
    train, held_out, samples = normal(0, 500), normal(1, 200), normal(2, 200)
    held_out[:5] = train[:5]
    samples[:3] = train[10:13]
    found = memorisation(train, held_out, samples)
    assert found.threshold == 0.0 and found.memorised == 3 / 200
    assert set(np.argsort(found.distances)[:3]) == {0, 1, 2}


@pytest.mark.parametrize(
    ("train", "held_out", "samples", "message"),
    [
        (normal(0, 99), normal(1, 100), normal(2, 100), "train: got 99 rows, expected at least 100"),
        (normal(0, 100), normal(1, 99), normal(2, 100), "held_out: got 99 rows, expected at least 100"),
        (normal(0, 100), normal(1, 100), normal(2, 99), "samples: got 99 rows, expected at least 100"),
        (normal(0, 100), normal(1, 100, 4), normal(2, 100), "held_out: got 4 columns"),
        (normal(0, 100), normal(1, 100), np.full((100, 5), np.nan), "samples: got nan"),
    ],
)
def test_what_cannot_be_compared_is_refused(train, held_out, samples, message):
    with pytest.raises(InputError, match=message):
        memorisation(train, held_out, samples)
