import numpy as np
import pytest

import pipelines
from kgan import datasets, training
from kgan.errors import InputError
from kgan.settings import Settings


def resolved(**settings):
    settings = Settings(**{"variant": "gan", "data": "digits", "image_size": 8, "steps": 1, **settings})
    return training.resolve(settings, {}, datasets.for_training(settings).train)


def split(splits: datasets.Splits, name: str):
    return getattr(splits, name)


def test_held_out_images_are_not_trained_on():
    whole = pipelines.load("digits", image_size=8)
    config = resolved(hold_out=297)
    train = datasets.of_run(config).train
    assert (train.size, train.digest, config.data["size"]) == (1500, whole.digest, 1500)
    np.testing.assert_array_equal(train.images, whole.images[:1500])
    np.testing.assert_array_equal(datasets.of_run(config).train.images, train.images)
    validation = datasets.of_run(config).validation
    assert validation.split == "validation"
    np.testing.assert_array_equal(validation.images, whole.images[1500:])
    np.testing.assert_array_equal(validation.labels, whole.labels[1500:])


def test_holding_out_decides_what_a_training_computes():
    assert resolved(hold_out=297).digest != resolved(hold_out=298).digest != resolved().digest


def test_splits_that_are_not_there_are_named():
    config = resolved()
    assert datasets.of_run(config).train.size == 1797
    with pytest.raises(InputError, match="--split: got validation, but the run held no images out"):
        split(datasets.of_run(config), "validation")
    with pytest.raises(InputError, match="has no test split"):
        split(datasets.of_run(config), "test")


def test_other_images_in_the_place_are_refused(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8)
    place = tmp_path / "set.npz"
    np.savez(place, x_train=images)
    config = resolved(data=str(place))
    np.savez(place, x_train=255 - images)
    with pytest.raises(InputError, match="expected the images the run was trained on"):
        split(datasets.of_run(config), "train")


def test_crops_are_of_the_images_that_were_trained_on(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, 12, 12), np.uint8)
    place = tmp_path / "set.npz"
    np.savez(place, x_train=images)
    config = resolved(data=str(place), load_size=12)
    assert datasets.of_run(config).train.load_size == 8
    np.savez(place, x_train=255 - images)
    with pytest.raises(InputError, match="expected the images the run was trained on"):
        split(datasets.of_run(config), "train")


@pytest.mark.parametrize("variant", ["cyclegan", "pix2pix"])
def test_of_pairs_nothing_is_held_out(variant):
    with pytest.raises(InputError, match=f"--hold-out: {variant} translates"):
        split(datasets.for_training(Settings(variant=variant, image_size=16, hold_out=5)), "train")


def test_pairs_are_loaded_by_split():
    settings = Settings(variant="pix2pix", image_size=16)
    config = training.resolve(settings, {}, datasets.for_training(settings).train)
    splits = datasets.of_run(config)
    train, test = splits.train, splits.test
    assert train.image_size == train.load_size == test.load_size == 16
    assert train.split == "train" and test.split == "test" and test.a.digest != train.a.digest
