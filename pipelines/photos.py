"""The embedded set of two domains: crops of the two photos that come with scikit-learn, a temple and a flower.

As an unpaired set A has the temple and B the flower; as a paired one A has crops of both photos in grey, B the same in
colour. The crops of the test split lie in a strip of each photo that those of the train split do not touch.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from pipelines.pictures import Pair, Picture, Source, Survey

_PHOTOS = {"A": ("china.jpg", "temple"), "B": ("flower.jpg", "flower")}
# (left, top, right, bottom) in each photo, around what it shows.
_REGIONS = {
    "train": {"A": (40, 20, 270, 420), "B": (150, 70, 350, 370)},
    "test": {"A": (270, 20, 370, 420), "B": (350, 70, 450, 370)},
}
# Of each side of a crop, in pixels: how many of them beside and below each other.
_GRIDS = {
    "train": {64: (12, 18), 96: (6, 14)},
    "test": {64: (3, 12), 96: (1, 12)},
}
_IMAGE_SIZE = 64


def unpaired(split: str) -> tuple[Source, Source]:
    """Opens the temple as domain A and the flower as domain B."""
    a, b = (_source(split, f"photos {domain}", _crops(domain, split)) for domain in "AB")
    return a, b


def paired(split: str) -> Source:
    """Opens the crops of both photos, each in grey (three equal channels) and in colour."""
    crops = [*_crops("A", split), *_crops("B", split)]
    return _source(split, "photos paired", [_with_grey(picture) for picture in crops])


def _source(split: str, identity: str, pictures: list[Picture]) -> Source:
    sides = frozenset((side, side) for side in _GRIDS[split])
    return Source(
        name="photos",
        split=split,
        pictures=lambda: iter(pictures),
        identity=identity,
        survey=Survey(len(pictures), sides, "RGB"),
        default_size=_IMAGE_SIZE,
        small=True,
    )


def _crops(domain: str, split: str) -> list[Picture]:
    from sklearn.datasets import load_sample_image

    file_name, shown = _PHOTOS[domain]
    photo = load_sample_image(file_name)
    return [
        Picture(f"{shown} {left},{top} {side}x{side}", photo[top : top + side, left : left + side])
        for left, top, side in _places(_REGIONS[split][domain], _GRIDS[split])
    ]


def _places(region: tuple[int, int, int, int], grids: dict[int, tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Spreads crops evenly over a region: (left, top, side) of each."""
    left, top, right, bottom = region
    for side, (columns, rows) in grids.items():
        for y in np.linspace(top, bottom - side, rows).astype(int):
            for x in np.linspace(left, right - side, columns).astype(int):
                yield int(x), int(y), side


def _with_grey(picture: Picture) -> Picture:
    colour = Image.fromarray(picture.data)
    grey = np.asarray(colour.convert("L").convert("RGB"))
    return Picture(picture.name, Pair(picture._replace(data=grey), picture))
