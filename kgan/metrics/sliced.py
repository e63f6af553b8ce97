"""The sliced Wasserstein distance of two image sets' patches, scale by scale (Karras et al. 2018, section 5)."""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from kgan.errors import InputError
from kgan.metrics import blocks, checks

_SMALLEST = 16  # the side of the coarsest level
_PATCH, _PATCHES = 7, 128  # the side of a patch, how many come from an image
_PROJECTIONS = 16  # blocks for the projections of a set: cutting patches anew costs more than memory
_DIRECTIONS = 512  # the authors' code draws 4 times 128 and averages
_BINOMIAL = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0
_FLAT = 1e-7  # of the largest value: below it a deviation is rounding


def sliced_wasserstein(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> tuple[float, dict[int, float]]:
    """How patches of real and fake images differ, at each level of a Laplacian pyramid, times 1000.

    Per level 7 x 7 patches, 128 at random places of each image, are made mean 0 and standard deviation 1 per channel
    over all patches of their set, projected on 512 random directions and sorted; absolute differences are averaged.
    So the brightness and contrast of a level do not count, nor does the range of the images. The paper compares 16,384
    images with 16,384. Patches of few images differ by chance: the value is above 0 even between a set and itself,
    whose patches are drawn twice.

    Patches are cut anew for each group of directions, so that no set of them is ever held: beyond the images it holds
    3.5 GiB or less up to 50,000 images.

    Args:
        real: images `[n, height, width, channels]`, any range. A level halves the sides of the one before, which have
            to be even, down to the last of 16 or more.
        fake: images of the same shape, as many.
        seed: decides the places and the directions; at least 0.

    Returns:
        The mean over the levels, and the distance of each level by its height, finest first. The finest levels hold
        detail, the coarsest structure.

    Raises:
        InputError: shapes that differ, a side below 16 or odd where it is halved, a level that is one flat colour in a
            channel, NaN or infinity.
    """
    real, fake = _images("real", real), _images("fake", fake)
    if real.shape != fake.shape:
        raise InputError(f"fake: got the shape {fake.shape}, expected {real.shape} as of real")
    checks.seed(seed)
    random = np.random.RandomState(seed)  # NumPy keeps its numbers the same for ever
    heights = _levels(*real.shape[1:3])
    distances = {heights[level]: _level_distance(real, fake, level, random) for level in range(len(heights))}
    return float(np.mean(list(distances.values()))), distances


def _images(name: str, images: np.ndarray) -> np.ndarray:
    images = checks.numbers(name, images, "n, height, width, channels")
    if min(images.shape[1:3]) < _SMALLEST:
        size = f"{images.shape[1]} x {images.shape[2]}"
        raise InputError(f"{name}: got images of {size} pixels, expected at least {_SMALLEST} a side")
    return images


def _levels(height: int, width: int) -> list[int]:
    """The heights of the pyramid's levels, finest first."""
    heights = [height]
    while min(height, width) >= 2 * _SMALLEST:
        if height % 2 or width % 2:
            raise InputError(f"real: got a level of {height} x {width} pixels, expected even sides, as it is halved")
        height, width = height // 2, width // 2
        heights.append(height)
    return heights


def _level_distance(real: np.ndarray, fake: np.ndarray, level: int, random: np.random.RandomState) -> float:
    places = [_places(images, level, random) for images in (real, fake)]
    directions = random.standard_normal((_PATCH * _PATCH * real.shape[-1], _DIRECTIONS))
    directions /= np.sqrt((directions**2).sum(axis=0))
    moments = [
        _moments(name, images, level, where)
        for name, images, where in zip(("real", "fake"), (real, fake), places, strict=True)
    ]
    patches = len(real) * _PATCHES
    group = max(1, _PROJECTIONS * blocks.BLOCK_BYTES // (8 * patches))
    total = 0.0
    for start in range(0, _DIRECTIONS, group):
        some = directions[:, start : start + group]
        difference = _sorted_projections(real, level, places[0], moments[0], some)
        difference -= _sorted_projections(fake, level, places[1], moments[1], some)
        total += np.abs(difference, out=difference).sum()
    return float(1e3 * total / (patches * _DIRECTIONS))


def _places(images: np.ndarray, level: int, random: np.random.RandomState) -> np.ndarray:
    """The upper left corners of the patches, `[2, n, patches]`: rows, columns."""
    count = (len(images), _PATCHES)
    height, width = (side // 2**level for side in images.shape[1:3])
    columns = random.randint(0, width - _PATCH + 1, count)  # columns first, as the authors' code draws them
    return np.stack([random.randint(0, height - _PATCH + 1, count), columns])


def _patches(images: np.ndarray, level: int, places: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields blocks of images and their patches, float64 `[patches of the block, channels, 7, 7]`."""
    _, height, width, channels = images.shape
    for rows in blocks.blocks(len(images), 8 * channels * (4 * height * width + _PATCHES * _PATCH * _PATCH)):
        windows = sliding_window_view(_laplacian(images[rows], level), (_PATCH, _PATCH), axis=(1, 2))
        image = np.arange(len(windows))[:, None]
        patches = windows[image, places[0, rows], places[1, rows]]
        yield rows, patches.reshape(-1, channels, _PATCH, _PATCH)


def _laplacian(images: np.ndarray, level: int) -> np.ndarray:
    """A level of the Laplacian pyramid of images, float64; the coarsest is the Gaussian itself."""
    images = images.astype(np.float64)
    for _ in range(level):
        images = _half(images)
    return images if min(images.shape[1:3]) < 2 * _SMALLEST else images - _double(_half(images))


def _half(images: np.ndarray) -> np.ndarray:
    return _smooth(images, _BINOMIAL)[:, ::2, ::2]


def _double(images: np.ndarray) -> np.ndarray:
    count, height, width, channels = images.shape
    spread = np.zeros((count, 2 * height, 2 * width, channels))
    spread[:, ::2, ::2] = images
    return _smooth(spread, 2.0 * _BINOMIAL)


def _smooth(images: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return ndimage.correlate1d(ndimage.correlate1d(images, weights, 1, mode="mirror"), weights, 2, mode="mirror")


def _moments(name: str, images: np.ndarray, level: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel `[channels]` over all patches."""
    total, squares = np.zeros(images.shape[-1]), np.zeros(images.shape[-1])
    for _, patches in _patches(images, level, places):
        total += patches.sum(axis=(0, 2, 3))
        squares += (patches**2).sum(axis=(0, 2, 3))
    count = len(images) * _PATCHES * _PATCH * _PATCH
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    for channel in np.flatnonzero(deviation <= _FLAT * max(abs(float(images.max())), abs(float(images.min())))):
        raise InputError(f"{name}: got one flat colour in channel {channel} at level {level}, expected images")
    return mean, deviation


def _sorted_projections(
    images: np.ndarray,
    level: int,
    places: np.ndarray,
    moments: tuple[np.ndarray, np.ndarray],
    directions: np.ndarray,
) -> np.ndarray:
    """The normalized patches of a set on each direction, in order, `[directions, patches]`."""
    mean, deviation = (np.repeat(moment, _PATCH * _PATCH) for moment in moments)
    weights = directions / deviation[:, None]
    projections = np.empty((directions.shape[1], len(images) * _PATCHES))
    for rows, patches in _patches(images, level, places):
        flat = patches.reshape(len(patches), -1)
        projections[:, rows.start * _PATCHES : rows.stop * _PATCHES] = weights.T @ flat.T
    projections -= (mean @ weights)[:, None]
    projections.sort(axis=1)
    return projections
