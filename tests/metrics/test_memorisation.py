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
    threshold = np.quantile(index.kneighbors(held_out)[0], 0.01)
    assert found.threshold == pytest.approx(threshold, rel=1e-12)
    assert found.memorised == np.mean(distances < threshold)


@pytest.mark.parametrize(
    ("train", "held_out", "samples", "message"),
    [
        (normal(0, 1), normal(1, 5), normal(2, 5), "train: got 1 row"),
        (normal(0, 5), normal(1, 1), normal(2, 5), "held_out: got 1 row"),
        (normal(0, 5), normal(1, 5), normal(2, 1), "samples: got 1 row"),
        (normal(0, 5), normal(1, 5, 4), normal(2, 5), "held_out: got 4 columns"),
        (normal(0, 5), normal(1, 5), np.full((5, 5), np.nan), "samples: got nan"),
    ],
)
def test_what_cannot_be_compared_is_refused(train, held_out, samples, message):
    with pytest.raises(InputError, match=message):
        memorisation(train, held_out, samples)
