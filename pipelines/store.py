"""Where decoded rows are kept: in memory while they fit, else in a file that the next load finds again."""

import dataclasses
import hashlib
import json
import math
import os
import pathlib
import shutil
import tempfile

import numpy as np
import psutil

from kgan.errors import InputError
from kgan.files import cache_folder
from pipelines.pictures import ARRAY_MODES

MEMORY_SHARE = 0.5  # of the memory at hand: the rest is for the training


@dataclasses.dataclass(frozen=True)
class Stored:
    """Decoded rows: uint8 `[n, side, side, channels]`, int32 `[n]` or None, and what a person or a digest says."""

    images: np.ndarray
    labels: np.ndarray | None
    about: dict


class Memory:
    """Rows that stay in memory."""

    def __init__(self, shape: tuple[int, ...]):
        self._rows = np.empty(shape, np.uint8)
        self._count = 0

    def append(self, rows: np.ndarray) -> None:
        self._rows[self._count : self._count + len(rows)] = rows
        self._count += len(rows)

    def finish(self, labels: np.ndarray | None, about: dict) -> Stored:
        return Stored(self._rows[: self._count], labels, about)

    def discard(self) -> None:
        self._rows = None


class Disk:
    """Rows that go to a folder of the cache; it gets its name when it is complete.

    Args:
        shape: of all rows; there may be fewer in the end.
        key: what `find` will ask for.
        sets: that are to find room together.

    Raises:
        InputError: the cache folder cannot be written or has no room.
    """

    def __init__(self, shape: tuple[int, ...], key: str, sets: int = 1):
        needed = sets * math.prod(shape)
        self._row_shape = shape[1:]
        self._count = 0
        self._place = cache_folder() / key
        try:
            self._place.parent.mkdir(parents=True, exist_ok=True)
            self._folder = pathlib.Path(tempfile.mkdtemp(prefix=".", dir=self._place.parent))
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            raise InputError(
                f"KGAN_CACHE {cache_folder()}: cannot be written ({error.strerror}); name another"
            ) from error
        self._file = (self._folder / "images.npy").open("wb")
        if free < needed:
            self.discard()
            raise InputError(
                f"KGAN_CACHE {cache_folder()}: {needed / 1e9:.1f} GB of decoded images fit neither into memory "
                f"nor into the {free / 1e9:.1f} GB free there; name another folder or a smaller --image-size"
            )
        self._write_header(shape[0])

    def append(self, rows: np.ndarray) -> None:
        self._file.write(rows.data)
        self._count += len(rows)

    def finish(self, labels: np.ndarray | None, about: dict) -> Stored:
        self._file.seek(0)
        self._write_header(self._count)  # NumPy pads it so that a smaller count takes the same room
        self._file.close()
        if labels is not None:
            np.save(self._folder / "labels.npy", labels)
        (self._folder / "about.json").write_text(json.dumps(about))
        try:
            os.rename(self._folder, self._place)
        except OSError:
            if not self._place.is_dir():
                raise
            self.discard()  # another process was faster with the same rows
        return find(self._place.name)

    def discard(self) -> None:
        self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write_header(self, count: int) -> None:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, *self._row_shape)}
        np.lib.format.write_array_header_1_0(self._file, header)


def create(shape: tuple[int, ...], key: str, sets: int = 1) -> Memory | Disk:
    """Makes room for uint8 rows of this shape, as one of so many sets that are used together."""
    fits = math.prod(shape) < MEMORY_SHARE / sets * psutil.virtual_memory().available
    return Memory(shape) if fits else Disk(shape, key, sets)


def find(key: str) -> Stored | None:
    """Returns rows that an earlier load left on disk, or None.

    Raises:
        InputError: what is there was not left by a load, or is damaged.
    """
    place = cache_folder() / key
    if not place.is_dir():
        return None
    try:
        stored = _read(place)
        stored.about["notes"].append(f"decoded images are on disk, in {place}")
        return stored
    except Exception as error:  # what is no header makes NumPy's parser raise nearly anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(
            f"KGAN_CACHE {cache_folder()}: the decoded images in {place} are damaged ({reason}); remove that folder, "
            "then run again"
        ) from error


def _read(place: pathlib.Path) -> Stored:
    """Reads what `Disk` wrote; a map takes no more memory than there are bytes, and holds no pickles."""
    images = np.lib.format.open_memmap(place / "images.npy", mode="r")
    count, side, width, channels = images.shape
    if images.dtype != np.uint8 or width != side or channels not in ARRAY_MODES or not images.flags.c_contiguous:
        raise ValueError(f"images.npy is {images.dtype} {list(images.shape)}")
    labels = None
    if (place / "labels.npy").exists():
        labels = np.lib.format.open_memmap(place / "labels.npy", mode="r")
        if labels.dtype != np.int32 or labels.shape != (count,):
            raise ValueError(f"labels.npy is {labels.dtype} {list(labels.shape)}")
    about = json.loads((place / "about.json").read_text())
    if about["image_size"] not in range(1, side + 1) or {type(about["digest"]), *map(type, about["notes"])} != {str}:
        raise ValueError("about.json is not what a load writes")
    return Stored(images, None if labels is None else np.array(labels), about)


def key(*parts: object) -> str:
    """Returns a file name for what the parts (their text) say together."""
    return hashlib.sha256("\0".join(map(str, parts)).encode(errors="surrogateescape")).hexdigest()[:32]
