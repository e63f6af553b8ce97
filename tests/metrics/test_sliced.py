import numpy as np
import pytest

from kgan.errors import InputError
from kgan.metrics import sliced, sliced_wasserstein
from tests.metrics import recipes

# metrics/sliced_wasserstein.py of github.com/tkarras/progressive_growing_of_gans at a92638a4bff6, in float64 on the
# random numbers of seed 0; by tests/metrics/references.py
LEVELS = {32: 68.23125808814552, 16: 67.02200768897893}


def smooth_images(seed: int, count: int = 20, side: int = 32) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(count, side // 8, side // 8, 2)).repeat(8, axis=1).repeat(8, axis=2)


def test_agrees_with_the_authors_code():
    mean, levels = sliced_wasserstein(*recipes.image_sets())
    assert levels == pytest.approx(LEVELS, rel=1e-6)
    assert mean == pytest.approx(np.mean(list(LEVELS.values())), rel=1e-6)


def test_pyramid_adds_up_to_the_image():
    images = recipes.image_sets()[0].repeat(2, axis=1).repeat(2, axis=2)
    restored = sliced._laplacian(images, 2)
    for level in (1, 0):
        restored = sliced._laplacian(images, level) + sliced._double(restored)
    np.testing.assert_allclose(restored, images, atol=1e-10)


def test_levels_are_named_by_their_heights():
    assert list(sliced_wasserstein(smooth_images(1, 4, 64), smooth_images(2, 4, 64))[1]) == [64, 32, 16]
    wide = np.random.default_rng(0).normal(size=(3, 28, 60, 1))
    assert list(sliced_wasserstein(wide, wide)[1]) == [28]


def test_grows_with_the_difference():
    rough, smooth = recipes.image_sets()
    same = sliced_wasserstein(smooth_images(1), smooth_images(2))[0]
    assert 0.0 < same < sliced_wasserstein(smooth_images(1), smooth_images(1) ** 3)[0]
    assert sliced_wasserstein(rough, rough)[0] < sliced_wasserstein(rough, smooth)[0] / 2


def test_ignores_the_range_of_the_images():
    real, fake = recipes.image_sets()
    value, _ = sliced_wasserstein(real, fake)
    assert sliced_wasserstein(real / 127.5 - 1.0, fake.astype(np.float32))[0] == pytest.approx(value, rel=1e-9)


def test_of_one_image_and_another():
    real, fake = recipes.image_sets()
    assert sliced_wasserstein(real[:1], fake[:1])[0] > 0.0


def test_seed_decides_the_patches():
    real, fake = recipes.image_sets()
    first, again, other = (sliced_wasserstein(real, fake, seed) for seed in (1, 1, 2))
    assert first == again != other


def test_does_not_depend_on_the_block(small_blocks):
    real, fake = recipes.image_sets()
    whole, _ = sliced_wasserstein(real, fake)
    small_blocks(5 * 8 * 3 * (4 * 32 * 32 + 128 * 49))
    assert sliced_wasserstein(real, fake)[0] == pytest.approx(whole, rel=1e-9)


IMAGES = np.random.default_rng(0).normal(size=(3, 32, 32, 3))


@pytest.mark.parametrize(
    ("real", "fake", "options", "message"),
    [
        (IMAGES, IMAGES[:2], {}, r"fake: got the shape \(2, 32, 32, 3\), expected \(3, 32, 32, 3\) as of real"),
        (IMAGES[:, :15], IMAGES[:, :15], {}, "real: got images of 15 x 32 pixels, expected at least 16 a side"),
        (
            IMAGES.repeat(2, axis=1)[:, :33],
            IMAGES.repeat(2, axis=1)[:, :33],
            {},
            "real: got a level of 33 x 32 pixels",
        ),
        (IMAGES, 0.0 * IMAGES + 0.1, {}, "fake: got one flat colour in channel 0 at level 0"),
        (IMAGES[0], IMAGES[0], {}, r"real: got the shape \(32, 32, 3\)"),
        (IMAGES, IMAGES * np.nan, {}, "fake: got nan"),
        (IMAGES, IMAGES, {"seed": -1}, "seed: got -1"),
    ],
)
def test_refuses_what_has_no_patches(real, fake, options, message):
    with pytest.raises(InputError, match=message):
        sliced_wasserstein(real, fake, **options)
