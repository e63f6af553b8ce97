import gzip
import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgan.errors import InputError
from kgan.metrics import choose_sigma, parzen, parzen_log_likelihood
from kgan.metrics.blocks import centred
from tests.metrics import recipes

# scikit-learn 1.9.1, KernelDensity(bandwidth, leaf_size=400) and the standard error by scipy.stats.sem(ddof=0);
# by tests/metrics/references.py
WINDOWS = {
    0.5: (-27.98023110206234, 0.2830169772754039),
    1.0: (-23.857597115681322, 0.07232344402388145),
    2.0: (-28.97659570484985, 0.025929631235886822),
}


@pytest.mark.parametrize("sigma", recipes.SIGMAS)
def test_agrees_with_the_reference_implementation(sigma):
    assert parzen_log_likelihood(*recipes.near(), sigma) == pytest.approx(WINDOWS[sigma], rel=1e-6)


def mnist(folder: pathlib.Path, name: str, rows: slice) -> np.ndarray:
    path = folder / "mnist" / f"{name}-images-idx3-ubyte.gz"
    if not path.is_file():
        pytest.skip("no mnist/ in ../shared/data")
    pixels = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=16)
    return pixels.reshape(-1, 784)[rows] / 255.0


def test_training_images_of_mnist_score_what_they_score(real_data):
    samples, test = mnist(real_data, "train", slice(10_000)), mnist(real_data, "t10k", slice(None))
    densities = parzen._log_densities(*centred(samples, test), [0.1668, 0.2])  # one pass over the distances for both
    errors = densities.std(axis=1) / np.sqrt(len(test))
    np.testing.assert_allclose(densities.mean(axis=1), [241.19, 230.79], atol=0.005)
    np.testing.assert_allclose(errors, [2.13, 1.48], atol=0.005)
    some = parzen_log_likelihood(samples[:1000], test[:1000], 0.2)
    expected = parzen._log_densities(*centred(samples[:1000], test[:1000]), [0.2])[0]
    assert some == pytest.approx((expected.mean(), expected.std() / np.sqrt(1000)), rel=1e-12)


def test_sigma_for_training_images_of_mnist(real_data):
    samples, validation = (mnist(real_data, "train", rows) for rows in (slice(10_000), slice(50_000, 51_000)))
    assert choose_sigma(samples, validation) == pytest.approx(0.1668, abs=5e-5)


def test_of_one_sample_is_its_gaussian():
    mean, error = parzen_log_likelihood([[1.0, 2.0]], [[4.0, 6.0]], 2.0)
    assert mean == pytest.approx(-25.0 / 8.0 - np.log(2.0 * np.pi * 4.0))
    assert error == 0.0


def test_far_data_keeps_a_finite_likelihood():
    mean, _ = parzen_log_likelihood(np.zeros((5, 2)), np.full((3, 2), 1e3), 0.01)
    assert mean == pytest.approx(-2e6 / 2e-4 - 2.0 * np.log(0.01 * np.sqrt(2.0 * np.pi)), rel=1e-12)


def test_is_a_density():
    samples, places = np.array([[-1.0], [0.5], [2.0]]), np.linspace(-8, 8, 4001)
    values = [parzen_log_likelihood(samples, [[x]], 0.5)[0] for x in places]
    assert np.trapezoid(np.exp(values), places) == pytest.approx(1.0, rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10.0), st.integers(1, 5))
def test_moves_with_the_data(seed, scale, columns):
    random = np.random.default_rng(seed)
    samples, data = random.normal(size=(6, columns)), random.normal(size=(4, columns))
    mean, error = parzen_log_likelihood(samples, data, 0.7)
    turn = np.linalg.qr(random.normal(size=(columns, columns)))[0]
    moved = [scale * (random.permutation(x) @ turn + 3.0) for x in (samples, data)]
    found = parzen_log_likelihood(*moved, 0.7 * scale)
    assert found == pytest.approx((mean - columns * np.log(scale), error), rel=1e-7, abs=1e-7)


def test_does_not_depend_on_the_block(small_blocks):
    whole = parzen_log_likelihood(*recipes.near(), 1.0)
    for size in (1, 8 * 400 * 7):
        small_blocks(size)
        assert parzen_log_likelihood(*recipes.near(), 1.0) == pytest.approx(whole, rel=1e-12)


def test_chooses_the_width_of_the_largest_likelihood():
    samples, data = recipes.near()
    assert choose_sigma(samples, data, recipes.SIGMAS) == 1.0
    best = choose_sigma(samples, data)
    widths = np.logspace(-1, 0, 10)
    values = [parzen_log_likelihood(samples, data, width)[0] for width in widths]
    assert best == widths[np.argmax(values)]


@pytest.mark.parametrize(
    ("samples", "data", "sigma", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 3)), 0.0, "sigma: got 0.0, expected a number above 0"),
        (np.ones((2, 3)), np.ones((2, 3)), float("nan"), "sigma: got nan"),
        (np.ones((2, 3)), np.ones((2, 3)), float("inf"), "sigma: got inf"),
        (np.ones((2, 3)), np.ones((2, 2)), 1.0, "data: got 2 columns, expected 3 as in samples"),
        (np.full((2, 3), np.nan), np.ones((2, 3)), 1.0, "samples: got nan"),
        (np.ones((2, 3)), np.ones((0, 3)), 1.0, r"data: got the shape \(0, 3\)"),
    ],
)
def test_refuses_what_has_no_likelihood(samples, data, sigma, message):
    with pytest.raises(InputError, match=message):
        parzen_log_likelihood(samples, data, sigma)


@pytest.mark.parametrize(("sigmas", "message"), [([], "sigmas: got none"), ([0.1, -1.0], "sigmas: got -1.0")])
def test_refuses_widths_that_are_none(sigmas, message):
    with pytest.raises(InputError, match=message):
        choose_sigma(np.ones((2, 3)), np.ones((2, 3)), sigmas)
