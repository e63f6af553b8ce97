import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import pipelines
from kgan.errors import InputError
from pipelines.augment import AUGMENTATIONS, augmentation
from pipelines.images import Images

GREY_OR_COLOUR, COLOUR = {"brightness", "contrast", "color"}, {"color"}


def fitting(channels: int) -> list[str]:
    return [name for name in AUGMENTATIONS if name not in {1: COLOUR, 3: set()}.get(channels, GREY_OR_COLOUR)]


def crops(channels: int, count: int = 16) -> np.ndarray:
    """One crop of a photo, many times."""
    photo = pipelines.load_pairs("unpaired", "photos", image_size=32).a.images[150]
    return np.tile(np.concatenate([photo, photo], axis=-1)[..., :channels], (count, 1, 1, 1))


def changed(names: list[str], images: np.ndarray) -> np.ndarray:
    """Two batches, one after the other, made inside a map of `tf.data`."""
    change = augmentation(names, images.shape[1:])
    dataset = tf.data.Dataset.counter().map(lambda _: change(tf.constant(images)))
    assert dataset.element_spec == tf.TensorSpec(images.shape, tf.uint8)
    return np.stack(list(dataset.take(2).as_numpy_iterator()))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_each_changes_every_image_in_its_own_way(channels):
    images = crops(channels)
    for name in fitting(channels):
        batches = changed([name], images)
        assert (batches != images).any(axis=(2, 3, 4)).mean() > 0.6, name
        # Brightness draws one of 77 levels: 27 different ones are expected.
        assert len(np.unique(batches.reshape(32, -1), axis=0)) > 15, name
        # None of them makes something else of an image.
        assert np.abs(batches.astype(int) - images).mean() < 60, name


def test_all_of_them_go_together():
    assert changed(list(AUGMENTATIONS), crops(3)).shape == (2, 16, 32, 32, 3)


def test_color_leaves_colour():
    images = crops(3, 64)
    spread = [np.ptp(batch.astype(float), axis=-1).mean() for batch in (images, changed(["color"], images)[0])]
    assert 0.6 < spread[1] / spread[0] < 1.5


def test_they_come_after_crop_and_flip(monkeypatch):
    rows = np.random.default_rng(0).integers(0, 256, (6, 12, 12, 3), dtype=np.uint8)
    data = Images("some", "train", rows, None, None, 8, "sha256:")
    monkeypatch.setattr("pipelines.augment._layer", lambda name: lambda images, training: 300.4 - images)
    plain, further = (data.batches(4, 0, flip=True, augment=names).take(3) for names in ((), ("zoom",)))
    for images, batch in zip(plain, further, strict=True):
        np.testing.assert_array_equal(batch, np.clip(300 - images.numpy().astype(int), 0, 255))


def test_both_domains_of_an_unpaired_set_are_changed():
    data = pipelines.load_pairs("unpaired", "photos", image_size=16)
    plain, batch = (next(iter(data.batches(8, 0, augment=names))) for names in ((), ("rotate",)))
    for domain in range(2):
        assert (plain[domain].numpy() != batch[domain].numpy()).any()


def test_an_unknown_name_gets_its_near_misses():
    data = pipelines.load("digits")
    with pytest.raises(InputError, match=r"--augment cutuot: expected some of brightness, .*Did you mean 'cutout'"):
        data.batches(4, 0, augment=("zoom", "cutuot"))


@pytest.mark.parametrize(
    "name, channels, expected",
    [("color", 1, "3"), ("color", 4, "3"), ("brightness", 4, "1 or 3"), ("contrast", 2, "1 or 3")],
)
def test_images_of_other_channels_are_refused(name, channels, expected):
    with pytest.raises(InputError, match=f"--augment {name}: expected images of {expected} channels, got {channels}$"):
        augmentation([name], (8, 8, channels))


def test_keras_cv_is_imported_only_when_it_is_asked_for():
    check = (
        "import sys, pipelines, pipelines.augment; data = pipelines.load('digits'); "
        "data.batches(4, 0, flip=True); before = 'keras_cv' in sys.modules; "
        "data.batches(4, 0, augment=('zoom',)); print(before, 'keras_cv' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "True"]
