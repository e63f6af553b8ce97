"""The data set of a run: which part it trains on, which it shows, which it is judged by."""

import dataclasses
import functools

import pipelines
from kgan import variants
from kgan.configuration import Configuration
from kgan.errors import InputError
from kgan.settings import Settings
from pipelines.images import Images
from pipelines.pairs import Pairs

Data = Images | Pairs
_DEFAULT = {"images": "digits", "labelled": "digits", "unpaired": "photos", "paired": "photos"}


class Splits:
    """The splits of a data set, each decoded when it is first asked for, and once.

    All raise InputError where the data cannot be used or have no such split.

    Args:
        settings: of the run.
        load_size: side to which training pictures are decoded, or a share of the image size.
        digest: what the training pictures must have at the settings' own load size, if anything.
    """

    def __init__(self, settings: Settings, load_size: int | float, digest: str | None = None):
        self._settings = settings
        self._load_size = load_size
        self._digest = digest

    @functools.cached_property
    def whole(self) -> Data:
        """The train split, with what is held out."""
        if self._digest is None:
            return _open(self._settings, "train", self._load_size)
        data = _open(self._settings, "train", self._settings.load_size)
        if data.digest != self._digest:
            expected = f"expected the images the run was trained on ({self._digest})"
            raise InputError(f"--data {data.name}: got {data.digest}, {expected}")
        return data if data.load_size == data.image_size else _open(self._settings, "train", self._load_size)

    @property
    def train(self) -> Data:
        """What is trained on."""
        return self.whole if self._settings.hold_out is None else self._divided[0]

    @property
    def validation(self) -> Images:
        """What is held out."""
        if self._settings.hold_out is None:
            raise InputError("--split: got validation, but the run held no images out (--hold-out N in training)")
        return self._divided[1]

    @functools.cached_property
    def test(self) -> Data:
        """The test split, without pictures that cannot be read: they are of no consequence to the training."""
        settings = dataclasses.replace(self._settings, image_size=self.whole.image_shape[0], skip_bad=True)
        return _open(settings, "test", 1.0)

    @functools.cached_property
    def _divided(self) -> tuple[Images, Images]:
        if isinstance(self.whole, Pairs):
            variant = self._settings.variant
            raise InputError(f"--hold-out: {variant} translates; give its data a test split instead")
        return self.whole.hold_out(self._settings.hold_out)

    def sized(self) -> "Splits":
        """The same, decoded to the size of the images that a run makes: without what is for random crops."""
        if self.whole.load_size == self.whole.image_shape[0]:
            return self
        return Splits(dataclasses.replace(self._settings, image_size=self.whole.image_shape[0]), 1.0)


def for_training(settings: Settings) -> Splits:
    """The splits that a run begins with: its settings may leave the sizes open."""
    return Splits(settings, settings.load_size or variants.load(settings.variant).load_scale)


def of_run(config: Configuration) -> Splits:
    """The splits of a run, decoded to the size of its images. Other images than it was trained on are refused."""
    return Splits(config.settings, 1.0, config.data["digest"])


def _open(settings: Settings, split: str, load_size: int | float) -> Data:
    kind = variants.load(settings.variant).data
    how = {"image_size": settings.image_size, "split": split, "skip_bad": settings.skip_bad, "load_size": load_size}
    in_two = settings.data_a is not None or settings.data_b is not None
    place = settings.data or (None if in_two else _DEFAULT[kind])
    if kind in variants.TWO_DOMAINS:
        return pipelines.load_pairs(kind, place, settings.data_a, settings.data_b, **how)
    if in_two:
        raise InputError(f"--data-a, --data-b: {settings.variant} trains on one set of images; expected --data")
    return pipelines.load(place, **how)
