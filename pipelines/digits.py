"""The embedded set: 1,797 scans of handwritten digits that come with scikit-learn, 8x8 pixels of 17 grey levels."""

from collections.abc import Iterator

import numpy as np

from kgan.errors import MissingSplitError
from pipelines.pictures import Picture, Source, Survey

_LEVELS = 16  # the highest grey level of a scan


def read(split: str) -> Source:
    """Opens the set, which has a train split only.

    Raises:
        InputError: the test split is asked for.
    """
    if split != "train":
        raise MissingSplitError(f"--data digits: has no {split} split, only train")
    from sklearn.datasets import load_digits

    scans = load_digits()
    images = np.rint(scans.images * (255 / _LEVELS)).astype(np.uint8)[..., None]

    def pictures() -> Iterator[Picture]:
        for index, (image, label) in enumerate(zip(images, scans.target, strict=True)):
            yield Picture(f"scan {index}", image, int(label))

    return Source(
        name="digits",
        split=split,
        pictures=pictures,
        identity="digits",
        class_names=tuple(str(name) for name in scans.target_names),
        survey=Survey(len(images), frozenset({(8, 8)}), "L"),
        default_size=24,
        small=True,
    )
