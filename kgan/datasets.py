"""The data set of a run: which part it trains on, which it shows, which it is judged by."""

import dataclasses

import pipelines
from kgan import variants
from kgan.configuration import Configuration
from kgan.errors import InputError
from kgan.settings import Settings
from pipelines.images import Images
from pipelines.pairs import Pairs

Data = Images | Pairs
_DEFAULT = {"images": "digits", "unpaired": "photos", "paired": "photos"}  # by what a variant trains on


def load(settings: Settings) -> Data:
    """What a run trains on: the train split without what is held out.

    Raises:
        InputError: the data cannot be used.
    """
    data = _open(settings, "train", settings.load_size or variants.load(settings.variant).load_scale)
    return data if settings.hold_out is None else _divided(settings, data)[0]


def load_split(config: Configuration, split: str) -> Data:
    """One split of a run's data set, in the size of the images that the run makes.

    Args:
        config: of the run.
        split: "train", "validation" (what was held out) or "test".

    Raises:
        InputError: there is no such split, or it is not the one that the run was trained on.
    """
    settings = config.settings
    if split == "test":  # of no consequence to the training: pictures that cannot be read are left out
        return _open(dataclasses.replace(settings, skip_bad=True), split, 1.0)
    data = _open(settings, "train", 1.0)
    same_size = settings.load_size == settings.image_size
    if same_size and data.digest != config.data["digest"]:
        expected = f"expected the images the run was trained on ({config.data['digest']})"
        raise InputError(f"--data {data.name}: got {data.digest}, {expected}")
    if settings.hold_out is None:
        if split == "train":
            return data
        raise InputError("--split: got validation, but the run held no images out (--hold-out N in training)")
    return _divided(settings, data)[split == "validation"]


def _divided(settings: Settings, data: Data) -> tuple[Images, Images]:
    if isinstance(data, Pairs):
        raise InputError(f"--hold-out: {settings.variant} translates; give its data a test split instead")
    return data.hold_out(settings.hold_out)


def _open(settings: Settings, split: str, load_size: int | float) -> Data:
    kind = variants.load(settings.variant).data
    how = {"image_size": settings.image_size, "split": split, "skip_bad": settings.skip_bad, "load_size": load_size}
    in_two = settings.data_a is not None or settings.data_b is not None
    place = settings.data or (None if in_two else _DEFAULT[kind])
    if kind != "images":
        return pipelines.load_pairs(kind, place, settings.data_a, settings.data_b, **how)
    if in_two:
        raise InputError(f"--data-a, --data-b: {settings.variant} trains on one set of images; expected --data")
    return pipelines.load(place, **how)
