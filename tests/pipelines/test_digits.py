import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import pipelines
from kgan.errors import InputError


def test_digits_are_the_scans_enlarged_to_24_pixels():
    data = pipelines.load("digits")
    assert data.images.shape == (1797, 24, 24, 1)
    assert data.images.dtype == np.uint8
    assert data.image_shape == (24, 24, 1)
    assert (data.name, data.split, data.small) == ("digits", "train", True)
    assert data.class_names == tuple("0123456789")
    assert data.labels.dtype == np.int32
    scans = load_digits()
    np.testing.assert_array_equal(data.labels, scans.target)
    scan = Image.fromarray(np.round(scans.images[3] / 16 * 255).astype(np.uint8))
    np.testing.assert_array_equal(data.images[3, ..., 0], scan.resize((24, 24), Image.Resampling.LANCZOS))


def test_digits_in_their_own_size_keep_their_17_levels():
    images = pipelines.load("digits", image_size=8).images[..., 0]
    np.testing.assert_array_equal(np.round(images / 255 * 16), load_digits().images)


def test_digits_have_no_test_split():
    with pytest.raises(InputError, match="--data digits: has no test split"):
        pipelines.load("digits", split="test")
