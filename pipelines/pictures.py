"""What a source hands over: pictures in a fixed order, readable any number of times."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

ARRAY_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


class Picture(NamedTuple):
    """One picture as its file holds it.

    `data` is the bytes of an image file, its path, uint8 pixels `[height, width, channels]`, or the error that says
    why there is nothing of these. In an aligned set, each row of which is two images, it is a `Pair` or `SideBySide`.
    """

    name: str
    data: bytes | pathlib.Path | np.ndarray | ValueError | Pair | SideBySide
    label: int | None = None


class Pair(NamedTuple):
    """Two pictures that show the same, in domain A and in domain B."""

    a: Picture
    b: Picture


class SideBySide(NamedTuple):
    """A file whose left half is of domain A and whose right half is of domain B."""

    file: pathlib.Path


class Header(NamedTuple):
    """What is known of a picture before its pixels are decoded; `size` is (width, height)."""

    size: tuple[int, int]
    grey: bool
    alpha: bool
    deep: bool


@dataclasses.dataclass(frozen=True)
class Survey:
    """What all pictures of a set have in common.

    `count` includes pictures that cannot be read; `mode` (L, LA, RGB or RGBA) is what all are converted to; `sizes`
    holds each (width, height) that occurs; `deep` and `alpha` count those of 16 bits and those with transparency.
    """

    count: int
    sizes: frozenset[tuple[int, int]]
    mode: str
    deep: int = 0
    alpha: int = 0

    @property
    def notes(self) -> list[str]:
        """One-line remarks for a person."""
        notes = []
        if self.deep:
            notes.append(f"{number(self.deep, 'image')} of 16 bits scaled to 8")
        if self.alpha and self.mode == "RGBA":
            notes.append("every image has an alpha channel: 4 channels (RGBA)")
        elif self.alpha:
            notes.append(f"transparent pixels put on white in {number(self.alpha, 'image')}")
        return notes

    @classmethod
    def of_headers(cls, headers: Iterable[Header | None]) -> Survey:
        """Sums up the headers of a set; None stands for one that cannot be read."""
        count = readable = grey = alpha = deep = 0
        sizes = set()
        for header in headers:
            count += 1
            if header is None:
                continue
            readable += 1
            grey += header.grey
            alpha += header.alpha
            deep += header.deep
            sizes.add(header.size)
        mode = "RGBA" if readable and alpha == readable else "L" if grey == readable else "RGB"
        return cls(count, frozenset(sizes), mode, deep, alpha)


@dataclasses.dataclass(frozen=True)
class Source:
    """One split of a data set.

    Attributes:
        name: the data set, as it was asked for.
        split: "train" or "test".
        pictures: gives the pictures, the same ones in the same order at each call.
        identity: names the files and their state: pictures decoded to disk are found again by it.
        class_names: in order of label, or None where pictures have no labels.
        survey: of the pictures, where the source knows it; else it is taken from their headers.
        notes: one-line remarks for a person.
        default_size: image size where none is asked for; None leaves it to the sizes of the pictures.
        small: an embedded set that wants a small model.
    """

    name: str
    split: str
    pictures: Callable[[], Iterator[Picture]]
    identity: str
    class_names: tuple[str, ...] | None = None
    survey: Survey | None = None
    notes: tuple[str, ...] = ()
    default_size: int | None = None
    small: bool = False


def files_identity(paths: Iterable[pathlib.Path]) -> str:
    """Names files and their state: absolute path, bytes and time of last change of each."""
    return "\n".join(_file_identity(path.absolute()) for path in paths)


def _file_identity(path: pathlib.Path) -> str:
    try:
        state = path.stat()
    except OSError:  # a link to nowhere; decoding will name it
        return f"{path} missing"
    return f"{path} {state.st_size} {state.st_mtime_ns}"


def numbered_classes(labels: np.ndarray) -> tuple[str, ...]:
    """Returns the names of classes that have none: "0", "1" ... up to the highest label."""
    return tuple(str(label) for label in range(labels.max() + 1))


def number(count: int, noun: str) -> str:
    """Returns "1 image", "2 images"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
