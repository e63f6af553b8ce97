import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kgan.noise import Noise
from pipelines import transforms


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (50, 12, 12, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [8, 11, 12])
@pytest.mark.parametrize("step", [0, 7])
def test_crops_are_those_of_pillow(images, size, step):
    cropped = transforms.random_crop(tf.constant(images), size, Noise(5), tf.constant(step, tf.int64)).numpy()
    corners = np.floor(Noise(5).uniform("crop", step, [50, 2]).numpy() * (12 - size + 1)).astype(int)
    for image, crop, (top, left) in zip(images, cropped, corners, strict=True):
        np.testing.assert_array_equal(crop, Image.fromarray(image).crop((left, top, left + size, top + size)))


def test_every_place_is_cropped_as_often():
    places = np.indices((10, 10)).transpose(1, 2, 0).astype(np.uint8)
    crops = transforms.random_crop(tf.constant(np.tile(places, (9000, 1, 1, 1))), 8, Noise(0), 3).numpy()
    counts = np.bincount(crops[:, 0, 0, 0] * 3 + crops[:, 0, 0, 1], minlength=9)
    np.testing.assert_allclose(counts, 1000, atol=150)


@pytest.mark.parametrize("step", [0, 7])
def test_flips_are_those_of_pillow(images, step):
    flipped = transforms.random_flip(tf.constant(images), Noise(5), tf.constant(step, tf.int64)).numpy()
    mirrored = Noise(5).uniform("flip", step, [50, 1]).numpy()[:, 0] < 0.5
    assert 10 < mirrored.sum() < 40
    for image, flip, mirror in zip(images, flipped, mirrored, strict=True):
        picture = Image.fromarray(image)
        expected = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror else picture
        np.testing.assert_array_equal(flip, expected)


def test_steps_and_rows_differ(images):
    same = tf.constant(np.tile(images[:1], (50, 1, 1, 1)))
    first, second = (transforms.random_crop(same, 8, Noise(0), step).numpy() for step in (0, 1))
    assert (first != second).any()
    assert len(np.unique(first.reshape(50, -1), axis=0)) > 10
