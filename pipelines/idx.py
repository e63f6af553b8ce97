"""A folder that holds the four original files of MNIST or of a set in its form (the idx format), packed or not."""

import gzip
import math
import pathlib
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from kgan.errors import InputError, MissingSplitError
from pipelines import limits
from pipelines.pictures import Picture, Source, Survey, files_identity, number, numbered_classes

_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_UINT8 = 8  # the type code of the idx format
_BYTES_AT_ONCE = 4 * 2**20


def is_idx_folder(folder: pathlib.Path) -> bool:
    """Says whether a folder holds images in idx files."""
    return any(_find(folder, images) for images, _ in _FILES.values())


def read(name: str, split: str) -> Source:
    """Opens a folder of idx files; the labels may be missing.

    Raises:
        InputError: the split has no file, or a file is damaged or is not what its name says.
    """
    folder = pathlib.Path(name).expanduser()
    images_file, labels_file = (_find(folder, stem) for stem in _FILES[split])
    if images_file is None:
        raise MissingSplitError(f"--data {name}: has no {split} split: expected the file {_FILES[split][0]}.gz")
    count, height, width = _shape(name, images_file, 3)
    if 0 in (count, height, width):
        raise InputError(f"--data {name}: {images_file.name} holds no pixels: {count} images of {height}x{width}")
    limits.check_array(name, images_file.name, count, height * width)
    labels = None if labels_file is None else _labels(name, labels_file, count)

    def pictures() -> Iterator[Picture]:
        index = 0
        for rows in _rows(images_file, count, height, width):
            for row in rows:
                yield Picture(f"image {index}", row, None if labels is None else int(labels[index]))
                index += 1

    return Source(
        name=name,
        split=split,
        pictures=pictures,
        identity=files_identity(path for path in (images_file, labels_file) if path),
        class_names=None if labels is None else numbered_classes(labels),
        survey=Survey(count, frozenset({(width, height)}), "L"),
        notes=(f"no labels: {_FILES[split][1]}.gz is missing",) if labels is None else (),
    )


def _find(folder: pathlib.Path, stem: str) -> pathlib.Path | None:
    return next((path for path in (folder / f"{stem}.gz", folder / stem) if path.is_file()), None)


def _opened(path: pathlib.Path) -> BinaryIO:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _shape(name: str, path: pathlib.Path, rank: int) -> tuple[int, ...]:
    """Reads the dimensions of a file and holds its whole length against them, before anything is allocated."""
    header_length = 4 + 4 * rank
    try:
        with _opened(path) as file:
            header = file.read(header_length)
            if header[:4] != bytes([0, 0, _UINT8, rank]) or len(header) < header_length:
                raise InputError(
                    f"--data {name}: {path.name} is no idx file of {rank} dimensions of uint8: expected it to start "
                    f"with {bytes([0, 0, _UINT8, rank]).hex()}, got {header[:4].hex() or 'nothing'}"
                )
            shape = tuple(int(size) for size in np.frombuffer(header, ">u4")[1:])
            length = 0
            while length <= math.prod(shape) and (block := file.read(2**20)):
                length += len(block)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"--data {name}: {path.name} is damaged or truncated: {error}") from error
    if length != math.prod(shape):
        held = "more" if length > math.prod(shape) else f"{length}"
        size = "x".join(map(str, shape))
        raise InputError(f"--data {name}: {path.name} should hold {size} = {math.prod(shape)} bytes, but holds {held}")
    return shape


def _labels(name: str, path: pathlib.Path, count: int) -> np.ndarray:
    (found,) = _shape(name, path, 1)
    if found != count:
        raise InputError(f"--data {name}: {path.name} holds {number(found, 'label')} for {number(count, 'image')}")
    with _opened(path) as file:
        return np.frombuffer(file.read(), np.uint8)[-count:]


def _rows(path: pathlib.Path, count: int, height: int, width: int) -> Iterator[np.ndarray]:
    with _opened(path) as file:
        file.read(4 + 4 * 3)
        at_once = max(1, _BYTES_AT_ONCE // (height * width))
        for start in range(0, count, at_once):
            rows = min(at_once, count - start)
            yield np.frombuffer(file.read(rows * height * width), np.uint8).reshape(rows, height, width, 1)
