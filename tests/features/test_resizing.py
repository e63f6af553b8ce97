import numpy as np
import pytest

from kgan.errors import InputError
from kgan.features import resizing
from tests.features import stand_in


@pytest.mark.parametrize("size", [(299, 299), (20, 30), (7, 50)])
def test_legacy_is_bilinear_from_the_corner(images, size):
    batch = images(2, 32, 24, 3)
    result = resizing.resized(batch, "legacy", *size)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, stand_in.bilinear(batch, *size), atol=1e-3)


def bicubic(line: np.ndarray, size: int) -> np.ndarray:
    """Keys' cubic with a = -0.5, as wide as the reduction, its weights adding up to 1, in float64."""
    scale = len(line) / size
    width = max(scale, 1.0)
    result = []
    for i in range(size):
        t = np.abs((np.arange(len(line)) + 0.5 - (i + 0.5) * scale) / width)
        near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
        weights = np.where(t < 1, near, np.where(t < 2, far, 0))
        result.append(weights @ line / weights.sum())
    return np.array(result)


@pytest.mark.parametrize("size", [(299, 299), (8, 10)])
def test_clean_is_bicubic_as_wide_as_the_reduction_and_not_rounded(images, size):
    batch = images(1, 32, 24, 2)
    x = np.apply_along_axis(bicubic, 1, batch.astype(np.float64), size[0])
    x = np.apply_along_axis(bicubic, 2, x, size[1])
    result = resizing.resized(batch, "clean", *size)
    assert result.dtype == np.float32 and result.min() >= 0 and result.max() <= 255
    np.testing.assert_allclose(result, np.clip(x, 0, 255), atol=1e-2)
    assert np.any(result != np.round(result))


@pytest.mark.parametrize("method", ["legacy", "clean"])
def test_the_same_size_is_left_alone(images, method):
    batch = images(2, 9, 9, 1)
    np.testing.assert_array_equal(resizing.resized(batch, method, 9, 9), batch)


def test_words_name_method_and_size():
    assert resizing.words("clean", 64, 32) == (
        "clean: Pillow bicubic with antialiasing, float32 channels, clipped to 0..255, to 64x32"
    )


def test_channels(images):
    grey, colour = images(2, 4, 4, 1), images(2, 4, 4, 3)
    assert resizing.with_channels(colour, 3, "it") is colour
    np.testing.assert_array_equal(resizing.with_channels(grey, 3, "it")[..., 2:], grey)
    with pytest.raises(InputError, match=r"^images: got 3 channels, expected 1 for it$"):
        resizing.with_channels(colour, 1, "it")
    with pytest.raises(InputError, match=r"^images: got 1 channel, expected 4 for it$"):
        resizing.with_channels(grey, 4, "it")
