import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.layers.image_pool import ImagePool
from kgan.noise import Noise


def run(pool: ImagePool, steps: int, rows: int, seed: int = 0, jit: bool = False) -> np.ndarray:
    """What comes out of each step `[steps, rows]`; the images of step t are t * rows, t * rows + 1 ..."""

    @tf.function(jit_compile=jit)
    def step(t, images):
        with Noise(seed).scope("pools", t):
            return pool(images)

    numbers = np.arange(steps * rows, dtype="float32").reshape(steps, rows, 1, 1, 1)
    return np.stack([step(tf.constant(t, tf.int64), tf.constant(n)) for t, n in enumerate(numbers)])[..., 0, 0, 0]


def pool(size: int) -> ImagePool:
    return ImagePool(size, (1, 1, 1), name="pool")


@pytest.mark.parametrize("rows", [1, 3])
def test_while_it_fills_images_pass(rows):
    layer = pool(6)
    out = run(layer, 6 // rows, rows)
    np.testing.assert_array_equal(out.ravel(), np.arange(6))
    np.testing.assert_array_equal(layer.images.numpy().ravel(), np.arange(6))


@pytest.mark.parametrize("rows", [1, 4])
def test_half_are_of_earlier_steps_and_each_once(rows):
    layer, steps = pool(8), 2000 // rows
    out = run(layer, steps, rows)
    now = np.arange(steps * rows).reshape(steps, rows)
    later = out[8 // rows :] != now[8 // rows :]
    assert abs(later.mean() - 0.5) < 0.04
    assert (out <= now).all()
    assert (out[later.nonzero()[0] + 8 // rows] < now[later.nonzero()[0] + 8 // rows, -1:] + 1).all()
    # Nothing is lost or doubled: what came out and what is still kept are all images, but for those that passed by.
    seen = np.concatenate([out.ravel(), layer.images.numpy().ravel()])
    values, counts = np.unique(seen, return_counts=True)
    early = values < 8  # stored and returned at once, they come a second time
    assert set(values) == set(range(steps * rows)) and (counts[~early] == 1).all()


def test_every_slot_is_as_likely():
    layer = pool(4)
    out = run(layer, 4000, 1).ravel()
    age = np.arange(4000) - out
    swapped = age[4:][age[4:] > 0]
    # A slot is overwritten in a step with probability 1/8, so ages are geometric with mean 8.
    assert swapped.mean() == pytest.approx(8.0, rel=0.1)


def test_a_batch_that_crosses_the_end_of_the_filling_loses_nothing():
    layer = pool(5)
    out = run(layer, 2, 3)
    np.testing.assert_array_equal(out.ravel(), np.arange(6))
    np.testing.assert_array_equal(layer.images.numpy().ravel(), np.arange(5))
    assert int(layer.stored.numpy()) == 5


def test_the_same_with_xla_and_from_the_same_seed():
    np.testing.assert_array_equal(run(pool(8), 60, 2), run(pool(8), 60, 2, jit=True))
    assert not np.array_equal(run(pool(8), 60, 2), run(pool(8), 60, 2, seed=1))


def test_no_pool_lets_all_pass():
    layer = pool(0)
    np.testing.assert_array_equal(run(layer, 5, 2).ravel(), np.arange(10))
    assert layer.variables == []


def test_its_variables_are_in_a_models_files(tmp_path):
    inputs = keras.Input((1, 1, 1))
    layer = pool(3)
    layer.images.assign(np.arange(3.0).reshape(3, 1, 1, 1))
    with Noise(0).scope("pools", 0):
        model = keras.Model(inputs, layer(inputs))
    assert [v.path for v in model.non_trainable_variables] == ["pool/images", "pool/stored"]
    assert ImagePool.from_config(layer.get_config()).image_shape == (1, 1, 1)


def test_what_a_large_batch_has_too_many_passes():
    layer = pool(2)
    out = run(layer, 40, 3)
    now = np.arange(120).reshape(40, 3)
    np.testing.assert_array_equal(out[:, 2], now[:, 2])
    assert (out[1:, :2] != now[1:, :2]).any() and not np.isin(layer.images.numpy(), now[:, 2]).any()
