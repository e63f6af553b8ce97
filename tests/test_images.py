import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kgan import images


def test_uint8_to_float_and_back_is_exact():
    levels = tf.range(256, dtype=tf.int32)
    floats = images.to_float(tf.cast(levels, tf.uint8))
    np.testing.assert_allclose(floats, np.arange(256) / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(images.to_uint8(floats), levels)
    np.testing.assert_array_equal(images.to_uint8(tf.constant([-3.0, 3.0])), [0, 255])


def test_floats_pass():
    assert images.to_float(tf.constant([0.5], tf.bfloat16)).dtype == tf.float32


def test_grid_places_each_image():
    tiles = np.arange(1, 6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 16, 32, 3), np.uint8)
    picture = images.grid(tiles)
    assert picture.shape == (2 * 18, 3 * 34, 3)
    for i in range(5):
        top, left = i // 3 * 18, i % 3 * 34
        assert (picture[top : top + 16, left : left + 32] == i + 1).all()
        assert (picture[top + 16 : top + 18, left : left + 34] == 0).all()
    assert (picture[18:, 68:] == 0).all()


def test_small_tiles_are_enlarged():
    assert images.enlarge(np.zeros((8, 8, 1), np.uint8), 8).shape == (64, 64, 1)
    assert images.enlarge(np.zeros((64, 64, 1), np.uint8), 64).shape == (64, 64, 1)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_any_number_of_channels_becomes_a_picture(channels, mode, tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (5, 6, channels), dtype=np.uint8)
    images.to_pil(array).save(tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as again:
        assert again.mode == mode
        np.testing.assert_array_equal(np.asarray(again).reshape(array.shape), array)


def test_animation_has_all_frames(tmp_path):
    frames = [np.full((8, 8, 3), 40 * i, np.uint8) for i in range(5)]
    images.save_animation(frames, tmp_path / "x.gif", 60)
    with Image.open(tmp_path / "x.gif") as animation:
        assert (animation.n_frames, animation.info["loop"], animation.info["duration"]) == (5, 0, 60)
