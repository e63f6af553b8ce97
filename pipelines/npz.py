"""A Keras-style .npz: `x_train`, `y_train`, `x_test`, `y_test`. Read as a stream, so it may be larger than memory."""

import dataclasses
import io
import math
import pathlib
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

from kgan.errors import InputError, MissingSplitError
from pipelines import limits
from pipelines.pictures import ARRAY_MODES, Picture, Source, Survey, files_identity, numbered_classes

_BYTES_AT_ONCE = 4 * 2**20
_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_HEADER_BYTES = 2**14  # NumPy itself refuses longer ones, but reads them first
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes; others unpack without a limit
_SHOWN = 200  # characters of NumPy's remarks, which quote the header
_DAMAGE = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)


def read(name: str, split: str) -> Source:
    """Opens the arrays of a split: images uint8, uint16 or float `[n, h, w]` or `[n, h, w, c]`, labels `[n]`.

    uint16 is scaled to its upper byte. Floats without negative numbers are taken as [0, 1], others as [-1, 1].

    Raises:
        InputError: the file is damaged, an array is missing or has another type, shape or range.
    """
    path = pathlib.Path(name).expanduser()
    keys = _keys(name, path)
    if f"x_{split}" not in keys:
        raise MissingSplitError(
            f"--data {name}: has no {split} split: expected an array x_{split}, found {', '.join(keys) or 'none'}"
        )
    images = _Array.open(name, path, f"x_{split}")
    channels = _check_shape(name, images)
    limits.check_array(name, images.key, len(images), images.row_bytes)
    scale, note = _scale(name, images)
    labels, label_note = _labels(name, path, f"y_{split}", len(images)) if f"y_{split}" in keys else (None, "")

    def pictures() -> Iterator[Picture]:
        index = 0
        for rows in images.chunks():
            for row in scale(rows).reshape(len(rows), *images.shape[1:3], channels):
                yield Picture(f"x_{split}[{index}]", row, None if labels is None else int(labels[index]))
                index += 1

    return Source(
        name=name,
        split=split,
        pictures=pictures,
        identity=files_identity([path]),
        class_names=None if labels is None else numbered_classes(labels),
        survey=Survey(len(images), frozenset({images.shape[2:0:-1]}), ARRAY_MODES[channels]),
        notes=tuple(text for text in (note, label_note) if text),
    )


@dataclasses.dataclass(frozen=True)
class _Array:
    """An array inside the file; its header has been held against the bytes that are there, nothing is read yet."""

    name: str
    path: pathlib.Path
    key: str
    offset: int
    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype

    @classmethod
    def open(cls, name: str, path: pathlib.Path, key: str) -> "_Array":
        try:
            with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
                member = archive.getinfo(f"{key}.npy")
                if member.compress_type not in _PACKINGS:
                    raise ValueError("packed in a way that NumPy does not write")
                start = io.BytesIO(file.read(_HEADER_BYTES))
            shape, fortran_order, dtype = _read_header(start)
        except Exception as error:  # what is no header makes NumPy's parser raise nearly anything
            raise InputError(f"--data {name}: {key} is damaged: {_shown(error)}") from error
        held, needed = member.file_size - start.tell(), math.prod(shape) * dtype.itemsize
        if not dtype.hasobject and held != needed:
            raise InputError(f"--data {name}: {key} {list(shape)} should hold {needed} bytes, but holds {held}")
        if fortran_order and not limits.fits_memory(needed):
            raise InputError(
                f"--data {name}: {key} is in Fortran order, which can only be read whole, and its {needed / 1e9:.1f} "
                "GB do not fit into the memory at hand; save it in C order (numpy.ascontiguousarray)"
            )
        return cls(name, path, key, start.tell(), shape, fortran_order, dtype)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def chunks(self) -> Iterator[np.ndarray]:
        """Reads the array, some rows at a time."""
        at_once = max(1, _BYTES_AT_ONCE // self.row_bytes)
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{self.key}.npy") as file:
                if self.fortran_order:  # no row is in one piece
                    whole = np.lib.format.read_array(file, allow_pickle=False)
                    for start in range(0, len(self), at_once):
                        yield np.ascontiguousarray(whole[start : start + at_once])
                    return
                file.read(self.offset)
                for start in range(0, len(self), at_once):
                    rows = min(at_once, len(self) - start)
                    yield np.frombuffer(file.read(rows * self.row_bytes), self.dtype).reshape(rows, *self.shape[1:])
        except _DAMAGE as error:
            raise InputError(f"--data {self.name}: {self.key} is damaged: {error}") from error


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Returns shape, Fortran order and type; leaves the file where the numbers begin."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADER_READERS:
        raise ValueError(f"an array format of version {version}")
    shape, fortran_order, dtype = _HEADER_READERS[version](file)
    if not all(0 <= size <= sys.maxsize for size in shape):
        raise ValueError("its shape has sizes that no array can have")
    return shape, fortran_order, dtype


def _shown(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."


def _keys(name: str, path: pathlib.Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")]
    except _DAMAGE as error:
        raise InputError(f"--data {name}: is damaged or no .npz file: {error}") from error


def _check_shape(name: str, images: _Array) -> int:
    """Returns the number of channels."""
    channels = images.shape[3] if len(images.shape) == 4 else 1
    if len(images.shape) not in (3, 4) or channels not in ARRAY_MODES or 0 in images.shape:
        raise InputError(
            f"--data {name}: {images.key} has the shape {list(images.shape)}; expected [n, height, width] or "
            "[n, height, width, channels] with 1 to 4 channels"
        )
    return channels


def _scale(name: str, images: _Array) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """Returns a function from stored rows to uint8, and what to tell of it."""
    dtype = images.dtype.newbyteorder("=")
    if dtype == np.uint8:
        return (lambda rows: rows), ""
    if dtype == np.uint16:
        return (lambda rows: (rows >> 8).astype(np.uint8)), f"{images.key}: 16 bits scaled to 8"
    if dtype.kind != "f":
        raise InputError(
            f"--data {name}: {images.key} is {images.dtype}; expected uint8, uint16, or floats in [0, 1] or [-1, 1]"
        )
    low, high = _range(images)
    if not (low >= -1 and high <= 1):  # so that NaN is refused as well
        raise InputError(
            f"--data {name}: {images.key} is {images.dtype} from {low:.6g} to {high:.6g}; expected finite floats in "
            "[0, 1] or [-1, 1], or uint8"
        )
    if low >= 0:
        return (lambda rows: np.rint(rows * 255.0).astype(np.uint8)), "floats taken as [0, 1]"
    return (lambda rows: np.rint((rows + 1.0) * 127.5).astype(np.uint8)), "floats taken as [-1, 1]"


def _range(images: _Array) -> tuple[float, float]:
    """Returns the lowest and the highest number; both are NaN where one is."""
    extremes = [(rows.min(), rows.max()) for rows in images.chunks()]
    low, high = np.array(extremes, np.float64).T
    return low.min(), high.max()


def _labels(name: str, path: pathlib.Path, key: str, count: int) -> tuple[np.ndarray | None, str]:
    """Returns int labels `[count]`, or None and why there are none."""
    stored = _Array.open(name, path, key)
    if stored.dtype.kind not in "iu" or len(stored.shape) not in (1, 2) or stored.shape[1:] not in ((), (1,)):
        return None, f"no labels: {key} is {stored.dtype} {list(stored.shape)}, not one whole number for each image"
    if len(stored) != count:
        raise InputError(f"--data {name}: {key} holds {len(stored)} labels for {count} images")
    labels = np.concatenate([rows.reshape(-1) for rows in stored.chunks()])
    if labels.min() < 0 or labels.max() >= count:
        return None, f"no labels: {key} goes from {labels.min()} to {labels.max()}, expected numbers of classes"
    return labels.astype(np.int32), ""
