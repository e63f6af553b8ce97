import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

import pipelines
from pipelines import photos

WEIGHTS = np.array([0.299, 0.587, 0.114])  # of red, green and blue in grey (ITU-R 601)


def places(domain: str, split: str) -> list[tuple[int, int, int]]:
    return list(photos._places(photos._REGIONS[split][domain], photos._GRIDS[split]))


def covered(domain: str, split: str) -> np.ndarray:
    """Which pixels of a photo are in some crop."""
    mask = np.zeros((427, 640), bool)
    for left, top, side in places(domain, split):
        assert min(left, top) >= 0
        mask[top : top + side, left : left + side] = True
    return mask


@pytest.mark.parametrize("split, count", [("train", 300), ("test", 48)])
def test_the_default_is_a_small_set_of_64_pixels(split, count):
    data = pipelines.load_pairs("unpaired", "photos", split=split)
    assert (data.name, data.split, data.small, data.aligned) == ("photos", split, True, False)
    assert data.a.images.shape == data.b.images.shape == (count, 64, 64, 3)
    assert data.digest == pipelines.load_pairs("unpaired", "photos", split=split).digest


@pytest.mark.parametrize("domain, file_name", [("a", "china.jpg"), ("b", "flower.jpg")])
def test_crops_of_64_pixels_are_the_photos_own(domain, file_name):
    crops = getattr(pipelines.load_pairs("unpaired", "photos"), domain).images
    left, top, side = places(domain.upper(), "train")[100]
    assert side == 64
    np.testing.assert_array_equal(crops[100], load_sample_image(file_name)[top : top + 64, left : left + 64])


def test_larger_crops_are_resized():
    data = pipelines.load_pairs("unpaired", "photos")
    left, top, side = places("A", "train")[-1]
    assert side == 96
    crop = Image.fromarray(load_sample_image("china.jpg")).crop((left, top, left + side, top + side))
    np.testing.assert_array_equal(data.a.images[-1], crop.resize((64, 64), Image.Resampling.LANCZOS))


@pytest.mark.parametrize("domain", ["A", "B"])
def test_no_pixel_is_in_both_splits(domain):
    train, test = covered(domain, "train"), covered(domain, "test")
    assert not (train & test).any()
    assert len(set(places(domain, "train"))) == 300
    assert train.sum() >= 2 * test.sum() > 0


def test_paired_photos_are_grey_and_colour():
    data = pipelines.load_pairs("paired", "photos")
    both = pipelines.load_pairs("unpaired", "photos")
    assert (data.aligned, data.small, data.image_shape, data.size) == (True, True, (64, 64, 3), 600)
    np.testing.assert_array_equal(data.b.images, np.concatenate([both.a.images, both.b.images]))
    np.testing.assert_array_equal(data.a.images[..., :1].repeat(3, axis=-1), data.a.images)
    # Crops of 64 pixels are not resized: their grey is exactly that of their colour.
    own = data.b.images[:216]
    np.testing.assert_allclose(data.a.images[:216, ..., 0], own @ WEIGHTS, atol=0.51)
    assert data.digest != both.digest


def test_another_size_may_be_asked_for():
    data = pipelines.load_pairs("unpaired", "photos", image_size=32, load_size=36)
    assert (data.image_shape, data.load_size) == ((32, 32, 3), 36)
