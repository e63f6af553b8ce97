"""What features are: a network with a name and a digest, and how it is asked."""

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np

from kgan.errors import InputError


@dataclasses.dataclass(frozen=True)
class Features:
    """A function from images to features, and what must be said of it beside every value computed with it.

    Attributes:
        name: "inception", "classifier", "pixels", or "model NAME" of a file or folder.
        sha256: hex digits over what the network is; "" for pixels.
        resize: how images come to the size of the network, in words precise enough to do it again.
        extract: uint8 `[n, h, w, c]` -> features, float32 `[n, d]`, and logits, float32 `[n, k]` or None. A row of
            them depends on one image alone, but for rounding. All n images are in memory at the network's size at
            once. Raises InputError for images that the network does not take.
    """

    name: str
    sha256: str
    resize: str
    extract: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]


def compute(features: Features, batches: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """The features of all images.

    Args:
        features: where they come from.
        batches: uint8 `[n, h, w, c]`; n may differ.

    Returns:
        Features, float32 `[n of all batches, d]`, and logits, float32 `[n of all batches, k]` or None.

    Raises:
        InputError: there is no batch, the network does not take the images, or a feature or logit is not finite.
    """
    parts = []
    for batch in batches:
        parts.append(features.extract(batch))
        _require_finite(features.name, *parts[-1])
    if not parts:
        raise InputError("batches: got none, expected at least one batch of images")
    rows, logits = zip(*parts, strict=True)
    return np.concatenate(rows), None if logits[0] is None else np.concatenate(logits)


def _require_finite(name: str, *outputs: np.ndarray | None) -> None:
    for what, values in zip(("features", "logits"), outputs, strict=True):
        if values is not None and not (finite := np.isfinite(values)).all():
            raise InputError(f"{what} by {name}: got {values[~finite][0]}, expected finite numbers")


def require_images(images: np.ndarray) -> np.ndarray:
    """Returns the images.

    Raises:
        InputError: they are not uint8 `[n, h, w, c]`, or there is none.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or not images.size:
        raise InputError(
            f"images: got {images.dtype} of the shape {images.shape}, expected uint8 [n, h, w, c], none of them 0"
        )
    return images


def one_line(error: Exception) -> str:
    """What a library says of a file it cannot read, short enough for one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
