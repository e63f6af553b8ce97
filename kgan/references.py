"""Features of real images, computed once: they are kept by the content of the images and of the network."""

import contextlib
import hashlib
import io
import pathlib
import zipfile
import zlib
from collections.abc import Callable, Iterator

import numpy as np

from kgan import features
from kgan.features import Features
from kgan.files import cache_folder, write_atomic
from pipelines.images import Images

_ROWS = 256  # of a batch


def compute(
    network: Features, images: Images, advance: Callable[[int], object]
) -> tuple[np.ndarray, np.ndarray | None]:
    """The features `[n, d]` of a set and its logits `[n, k]`, if the network has them; found or computed.

    Args:
        network: where features come from.
        images: one split of a data set.
        advance: called with numbers of images that were seen.

    Raises:
        InputError: the network cannot take the images.
    """
    if not network.sha256:  # no network: nothing that would take long
        return features.compute(network, _batches(images.images, advance))
    place = cache_folder() / "features" / f"{_key(network, images)}.npz"
    found = _read(place, images.size)
    if found is not None:
        advance(images.size)
        return found
    rows, logits = features.compute(network, _batches(images.images, advance))
    _write(place, rows, logits)
    return rows, logits


def _batches(images: np.ndarray, advance: Callable[[int], object]) -> Iterator[np.ndarray]:
    for start in range(0, len(images), _ROWS):
        batch = np.asarray(images[start : start + _ROWS])
        yield batch
        advance(len(batch))


def _key(network: Features, images: Images) -> str:
    said = (network.sha256, network.resize, images.digest, images.split, images.image_size, images.size)
    return hashlib.sha256("\0".join(map(str, said)).encode()).hexdigest()[:32]


def _read(place: pathlib.Path, count: int) -> tuple[np.ndarray, np.ndarray | None] | None:
    """What was kept; None where there is nothing, or nothing that can be used."""
    damaged = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
    with contextlib.suppress(*damaged), np.load(place, allow_pickle=False) as kept:
        rows, logits = kept["features"], kept.get("logits")
        if rows.ndim == 2 and len(rows) == count and (logits is None or len(logits) == count):
            return rows, logits
    return None


def _write(place: pathlib.Path, rows: np.ndarray, logits: np.ndarray | None) -> None:
    content = io.BytesIO()
    np.savez(content, features=rows, **({} if logits is None else {"logits": logits}))
    with contextlib.suppress(OSError):  # it will be computed again
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(place, content.getvalue())
