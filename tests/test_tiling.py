import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan import tiling, translating
from kgan.layers.instance_norm import InstanceNorm, given_statistics
from kgan.translation import Translation
from kgan.variants.cyclegan import CycleGAN
from kgan.variants.pix2pix import Pix2Pix
from tests import tiny

SHAPE = (16, 16, 3)
SEED = 5
MODELS = {
    "cyclegan": lambda: CycleGAN(SHAPE, width=4, blocks=1, patch=16),
    "cyclegan, resize": lambda: CycleGAN((16, 16, 1), width=4, blocks=1, patch=16, upsample="resize"),
    "pix2pix": lambda: Pix2Pix(SHAPE, width=4, patch=16),
    "pix2pix, moving": lambda: Pix2Pix(SHAPE, width=4, patch=16, norm_at_test="moving"),
}


@functools.cache
def make(name: str) -> Translation:
    keras.utils.set_random_seed(1)
    return tiny.lively(MODELS[name]())


@pytest.fixture(scope="module", params=MODELS)
def model(request) -> Translation:
    return make(request.param)


def tiled(model: Translation, picture: np.ndarray, tile: int, seed: int = SEED) -> tuple[np.ndarray, int]:
    """A picture whose sides fit, translated in tiles, and the ticks that came of it."""
    ticks = []
    result = tiling.translate(model, "a_to_b", picture, tile, seed, lambda: ticks.append(1))
    return result, len(ticks)


def whole(model: Translation, picture: np.ndarray, seed: int = SEED) -> np.ndarray:
    return model.translate(picture[None], "a_to_b", seed)[0]


def apart(one: np.ndarray, other: np.ndarray) -> int:
    """The most levels between two pictures."""
    assert one.shape == other.shape and one.dtype == other.dtype == np.uint8
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("tile", [16, 48])
def test_tiles_give_what_the_whole_picture_gives(model, tile):
    """In a picture much larger than a tile with its margins, whose sides the tile does not divide."""
    picture = tiny.picture(80, 208, model.image_shape[-1])
    assert 16 + 2 * (model.reach + model.stride) < picture.shape[1]
    expected = whole(model, picture)
    result, ticks = tiled(model, picture, tile)
    assert expected.std() > 30  # it is no even grey, of which everything would be near
    assert apart(result, expected) <= 1
    assert (result != expected).mean() < 0.01
    assert ticks == tiling.passes(model.directions["a_to_b"]) * tiling.tiles(picture.shape, tile)


def test_the_smallest_tiles_will_do():
    model, picture = make("cyclegan"), tiny.picture(16, 40)
    result, ticks = tiled(model, picture, model.stride)
    assert apart(result, whole(model, picture)) <= 1
    assert ticks == 8 * 4 * 10


@pytest.mark.parametrize("tile", [160, 1024])
def test_a_tile_may_be_as_large_as_the_picture(tile):
    model, picture = make("pix2pix, moving"), tiny.picture(48, 160)
    result, ticks = tiled(model, picture, tile)
    assert apart(result, whole(model, picture)) <= 1
    assert ticks == 1


def test_a_part_by_itself_would_be_another_picture(model):
    """What the statistics of the whole, and its noise, are for."""
    picture = tiny.picture(80, 208, model.image_shape[-1])
    part = whole(model, picture[:, 96:])
    inside = np.s_[:, model.reach + model.stride :]  # where it sees all that it would see in the whole
    assert apart(part[inside], whole(model, picture)[:, 96:][inside]) > 20


def test_each_seed_has_its_noise():
    model, picture = make("pix2pix, moving"), tiny.picture(48, 160)
    one, other = (tiled(model, picture, 32, seed)[0] for seed in (0, 2**31 - 1))
    assert apart(one, other) > 20
    assert apart(other, whole(model, picture, 2**31 - 1)) <= 1


def test_the_picture_is_left_as_it_is():
    picture = tiny.picture(16, 32)
    before = picture.copy()
    tiled(make("cyclegan"), picture, 16)
    np.testing.assert_array_equal(picture, before)


def test_passes_are_one_for_each_norm_of_the_image_and_one_more():
    norms = {name: tiling.passes(make(name).directions["a_to_b"]) - 1 for name in MODELS}
    # CycleGAN: in, down 2, block of 2, up 2. The U-Net of four levels: down 2, up 3.
    assert norms == {"cyclegan": 7, "cyclegan, resize": 7, "pix2pix": 5, "pix2pix, moving": 0}


@pytest.mark.parametrize(
    ("shape", "tile", "count"),
    [((16, 16, 3), 16, 1), ((16, 20, 3), 16, 2), ((48, 16, 1), 16, 3), ((40, 40, 3), 16, 9), ((8, 8, 3), 1024, 1)],
)
def test_how_many_tiles_a_picture_has(shape, tile, count):
    assert tiling.tiles(shape, tile) == count


def test_statistics_are_those_of_all_pixels_each_counted_once():
    """Of what the first norm sees: convolutions of the picture, which need no statistics."""
    model, picture = make("cyclegan"), tiny.picture(40, 72)
    network = model.directions["a_to_b"]
    norm = network.get_layer("in_norm")
    values = keras.Model(network.input, norm.input)(picture[None] / np.float32(127.5) - 1).numpy().astype("float64")
    boxes = list(tiling._boxes(picture.shape, 16, model.reach, model.stride))
    before = tiling._part(network, norm.input, {}, picture, 0)
    mean, variance = tiling._measure(before, boxes, lambda: None)
    np.testing.assert_allclose(mean[0, 0, 0], values.mean((0, 1, 2)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(variance[0, 0, 0], values.var((0, 1, 2)), rtol=1e-5)


def changed(model: Translation, picture: np.ndarray, places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """How far in rows and in columns a change of each place alone can be seen, the norms' statistics being fixed."""
    floats = np.repeat(picture[None] / np.float32(127.5) - 1, len(places) + 1, axis=0)
    for i, (row, column) in enumerate(places):
        floats[i + 1, row, column] *= -3
    norms = [layer for layer in model.directions["a_to_b"].layers if isinstance(layer, InstanceNorm)]
    fixed = {norm.name: (tf.zeros((1, 1, 1, 1)), tf.ones((1, 1, 1, 1))) for norm in norms}
    with given_statistics(fixed):
        plain, *others = model.translated("a_to_b", tf.constant(floats), tf.zeros(len(floats), tf.int32)).numpy()
    far = []
    for (row, column), other in zip(places, others, strict=True):
        rows, columns = np.nonzero((np.abs(other - plain) > 0).any(-1))
        far.append((int(np.abs(rows - row).max()), int(np.abs(columns - column).max())))
    return far


def test_no_pixel_reaches_farther_than_it_is_said(model):
    """Each place of a stride, in the middle and in a corner, where mirrored pixels count too."""
    picture = tiny.picture(128, 128, model.image_shape[-1])
    steps = range(model.stride)
    far = changed(model, picture, [(start + i, start + i) for start in (0, 64) for i in steps])
    farthest = max(max(pair) for pair in far)
    assert farthest <= model.reach
    assert farthest > model.reach / 2  # the bound says something
    assert farthest < 60  # the picture has room for more


@pytest.mark.parametrize("upsample", ["transpose", "resize"])
def test_each_block_reaches_farther(upsample):
    keras.utils.set_random_seed(1)
    model = tiny.lively(CycleGAN(SHAPE, width=4, blocks=3, patch=16, upsample=upsample))
    far = changed(model, tiny.picture(128, 128), [(64 + i, 64 + i) for i in range(4)])
    assert 26 < max(max(pair) for pair in far) <= model.reach == 42


def test_a_model_is_as_it_was_after_tiles():
    """Statistics and window that were given for tiles are forgotten."""
    model, picture = make("pix2pix"), tiny.picture(16, 48)
    before = whole(model, picture)
    tiled(model, picture, 16)
    with pytest.raises(ValueError, match="stop"):
        tiling.translate(model, "a_to_b", picture, 16, 0, _stop)
    floats = tf.constant(picture[None] / np.float32(127.5) - 1)
    again = model.translated("a_to_b", floats, tf.constant([SEED])).numpy()[0]
    assert np.abs((again + 1) * 127.5 - before).max() < 1


def _stop() -> None:
    raise ValueError("stop")


@pytest.mark.parametrize(
    ("name", "shape"), [("cyclegan", (3, 90)), ("pix2pix", (37, 51)), ("pix2pix, moving", (2, 2))]
)
def test_pictures_of_any_size_go_in_tiles_too(name, shape):
    model, picture = make(name), tiny.picture(*shape)
    result = translating.translate_in_tiles(model, "a_to_b", SEED, picture, 16)
    assert apart(result, whole(model, picture)) <= 1
