import math
import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kgan.errors import InputError
from kgan.metrics import psnr, ssim
from tests.metrics import recipes

# scikit-image 0.26.0: peak_signal_noise_ratio(data_range=255) and structural_similarity(data_range=255,
# channel_axis=-1, gaussian_weights=True, use_sample_covariance=False), luma by color.rgb2ycbcr, rounded for uint8;
# by tests/metrics/references.py
PSNR = {"rgb": 26.552774335132213, "floats": 31.521630656022893, "y": 31.525063672866285, "cut": 31.333544433595293}
SSIM = {"rgb": 0.6205747522319015, "floats": 0.6782707430039815, "y": 0.6788379222506545, "cut": 0.6514919502605607}
OPTIONS = {"rgb": {}, "floats": {"channel": "y"}, "y": {"channel": "y"}, "cut": {"channel": "y", "shave": 4}}


@pytest.mark.parametrize("case", OPTIONS)
def test_agree_with_the_reference_implementation(case):
    pair = [image.astype(float) if case == "floats" else image for image in recipes.pictures()]
    assert psnr(*pair, **OPTIONS[case]) == pytest.approx(PSNR[case], rel=1e-6)
    assert ssim(*pair, **OPTIONS[case]) == pytest.approx(SSIM[case], rel=1e-6)


def bicubic(before: int, after: int) -> np.ndarray:
    """MATLAB's imresize of an axis as a matrix `[after, before]`: Keys' cubic, widened where it shrinks, mirrored."""
    scale = after / before
    shrink = min(scale, 1.0)
    centres = (np.arange(after) + 0.5) / scale - 0.5
    first = np.floor(centres - 2.0 / shrink).astype(int)
    places = first[:, None] + np.arange(math.ceil(4.0 / shrink) + 2)
    x = np.abs(centres[:, None] - places) * shrink
    inner, outer = 1.5 * x**3 - 2.5 * x**2 + 1.0, -0.5 * x**3 + 2.5 * x**2 - 4.0 * x + 2.0
    weights = np.where(x <= 1.0, inner, np.where(x <= 2.0, outer, 0.0))
    weights /= weights.sum(axis=1, keepdims=True)
    places %= 2 * before
    places = np.where(places < before, places, 2 * before - 1 - places)
    matrix = np.zeros((after, before))
    np.add.at(matrix, (np.arange(after)[:, None], places), weights)
    return matrix


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = bicubic(image.shape[0], height), bicubic(image.shape[1], width)
    return np.einsum("ih,hwc,jw->ijc", rows, image, columns, optimize=True)


def to_uint8(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def set5(folder: pathlib.Path) -> list[np.ndarray]:
    folder = folder / "superres" / "Set5"
    if not folder.is_dir():
        pytest.skip("no superres/Set5 in ../shared/data")
    images = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.png"))]
    return [image[: image.shape[0] // 4 * 4, : image.shape[1] // 4 * 4] for image in images]


def test_bicubic_on_set5_as_published(real_data):
    # 28.42 dB and 0.8104 are from luma that was resized as luma, as the authors of the table did.
    scores = []
    for image in set5(real_data):
        luma = np.rint(16.0 + image @ np.array([65.481, 128.553, 24.966]) / 255.0)[..., None]
        height, width, _ = luma.shape
        found = to_uint8(resize(resize(luma, height // 4, width // 4), height, width))
        scores.append((psnr(found, luma, shave=4), ssim(found, luma, shave=4)))
    assert len(scores) == 5
    decibels, similarity = np.mean(scores, axis=0)
    assert decibels == pytest.approx(28.42, abs=0.005)
    assert similarity == pytest.approx(0.8104, abs=5e-5)


def test_bicubic_on_set5_in_colour(real_data):
    scores = []
    for image in set5(real_data):
        height, width, _ = image.shape
        small = to_uint8(resize(image, height // 4, width // 4))
        found = to_uint8(resize(small, height, width))
        scores.append([metric(found, image, channel="y", shave=4) for metric in (psnr, ssim)])
    decibels, similarity = np.mean(scores, axis=0)
    assert decibels == pytest.approx(28.42, abs=0.005)
    assert similarity == pytest.approx(0.8104, abs=5e-4)


def test_of_equal_images():
    image = recipes.pictures()[0]
    assert psnr(image, image) == math.inf
    assert ssim(image, image) == pytest.approx(1.0, abs=1e-12)


def test_of_flat_images_are_known():
    a, b = np.full((16, 12, 3), 100, np.uint8), np.full((16, 12, 3), 110, np.uint8)
    assert psnr(a, b) == pytest.approx(20.0 * np.log10(255.0 / 10.0))
    first = (0.01 * 255.0) ** 2
    assert ssim(a, b) == pytest.approx((2 * 100 * 110 + first) / (100**2 + 110**2 + first))
    assert psnr(a.astype(float), b.astype(float), "y") == pytest.approx(
        20.0 * np.log10(255.0 / (10.0 * 219.0 / 255.0))
    )


def test_uint8_does_not_wrap_around():
    a, b = np.zeros((11, 11, 1), np.uint8), np.full((11, 11, 1), 255, np.uint8)
    assert psnr(a, b) == psnr(b, a) == 0.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["rgb", "y"]), st.integers(0, 3))
def test_are_symmetric_and_ignore_reflections(seed, channel, shave):
    random = np.random.default_rng(seed)
    a, b = random.integers(0, 256, (2, 18, 20, 3), dtype=np.uint8)
    for metric in (psnr, ssim):
        value = metric(a, b, channel, shave)
        assert metric(b, a, channel, shave) == pytest.approx(value, rel=1e-9)
        assert metric(a[::-1, ::-1], b[::-1, ::-1], channel, shave) == pytest.approx(value, rel=1e-9)
    assert -1.0 <= ssim(a, b, channel, shave) <= 1.0


IMAGE = np.zeros((20, 20, 3))


@pytest.mark.parametrize("metric", [psnr, ssim])
@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        (IMAGE, IMAGE[:19], {}, r"b: got the shape \(19, 20, 3\), expected \(20, 20, 3\) as of a"),
        (IMAGE, IMAGE - 1.0, {}, r"b: got values from -1 to -1, expected them in \[0, 255\]"),
        (IMAGE + 256.0, IMAGE, {}, "a: got values from 256 to 256"),
        (IMAGE * np.nan, IMAGE, {}, "a: got nan"),
        (IMAGE[..., 0], IMAGE[..., 0], {}, r"a: got the shape \(20, 20\), expected \[height, width, channels\]"),
        (IMAGE[..., :1], IMAGE[..., :1], {"channel": "y"}, "a: got 1 channels, expected 3"),
        (IMAGE, IMAGE, {"channel": "Y"}, "channel: got 'Y'"),
        (IMAGE, IMAGE, {"shave": -1}, "shave: got -1"),
        (IMAGE, IMAGE, {"shave": 10}, "a: got 20 x 20 pixels and a shave of 10"),
    ],
)
def test_refuse_what_does_not_compare(metric, a, b, options, message):
    with pytest.raises(InputError, match=message):
        metric(a, b, **options)


def test_similarity_needs_a_window():
    with pytest.raises(InputError, match="expected at least 11 left a side"):
        ssim(IMAGE[:10], IMAGE[:10])
