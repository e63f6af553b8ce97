import numpy as np
import pytest
import tensorflow as tf

from kgan.variants.cyclegan import CycleGAN
from tests import tiny


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_files_of_other_channels_than_colour_are_served(channels):
    model = tiny.lively(CycleGAN((16, 16, channels), width=4, blocks=1, patch=16))
    signatures, examples = model.signatures(), model.serving_examples(2)
    inputs = examples["a_to_b_bytes"]["image_bytes"]
    answers = signatures["a_to_b_bytes"](image_bytes=tf.constant(inputs))["png_bytes"].numpy()
    for file, answer in zip(inputs, answers, strict=True):
        picture, png = (tf.io.decode_image(x, expand_animations=False).numpy() for x in (file, answer))
        assert picture.shape == png.shape and png.shape[-1] == channels
        assert abs(png - model.translate(picture[None], "a_to_b")[0].astype(int)).max() <= 1


def test_grids_have_a_row_for_each_image():
    model = tiny.lively(CycleGAN((16, 16, 3), width=4, blocks=1, patch=16))
    a, b = np.random.default_rng(0).integers(0, 256, (2, 3, *model.image_shape), dtype=np.uint8)
    grids = model.grids((a, b))
    assert tuple(grids) == model.grid_names == ("a_to_b", "b_to_a")
    side, step = 16, 18  # with the gap
    for name, images in (("a_to_b", a), ("b_to_a", b)):
        for i, image in enumerate(images):
            row = grids[name][i * step : i * step + side]
            np.testing.assert_array_equal(row[:, :side], image)
            translated = model.translate(image[None], name)[0].astype(int)
            assert abs(row[:, step : step + side] - translated).max() <= 1
