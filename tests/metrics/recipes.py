"""Small sets that anyone can make again: the tests and `references.py` take the same, by NumPy alone."""

import numpy as np

KERNEL_SUBSETS = {"subsets": 10, "subset_size": 100, "seed": 7}
SPLITS = 7
SIGMAS = (0.5, 1.0, 2.0)


def features(seed: int, rows: int, columns: int) -> np.ndarray:
    """Correlated Gaussian features with a mean, float64 `[rows, columns]`, as different as their seeds."""
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(columns, columns)) / np.sqrt(columns) + np.eye(columns)
    return random.normal(size=(rows, columns)) @ mixing + 0.3 * random.normal(size=columns)


def wide() -> tuple[np.ndarray, np.ndarray]:
    """600 and 500 rows of 64 columns."""
    return features(1, 600, 64), features(2, 500, 64)


def singular() -> tuple[np.ndarray, np.ndarray]:
    """40 and 30 rows of 64 columns: their covariances are singular."""
    return features(3, 40, 64), features(4, 30, 64)


def near() -> tuple[np.ndarray, np.ndarray]:
    """400 and 300 rows of 16 columns whose neighbourhoods overlap in part."""
    random = np.random.default_rng(5)
    return random.normal(size=(400, 16)), 0.9 * random.normal(size=(300, 16)) + 0.2


def logits() -> np.ndarray:
    """512 rows of 10 classes, some of them sure."""
    return 3.0 * np.random.default_rng(6).normal(size=(512, 10))


def distributions() -> tuple[np.ndarray, np.ndarray]:
    """Two sets of 12 counts, two of the first 0."""
    random = np.random.default_rng(8)
    p, q = random.integers(1, 100, 12).astype(float), random.integers(1, 100, 12).astype(float)
    p[[2, 9]] = 0.0
    return p, q


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """A uint8 picture of 48 x 40 RGB pixels with edges and shades, and a noisy one."""
    random = np.random.default_rng(9)
    rows, columns = np.mgrid[0:48, 0:40]
    shades = np.stack([4 * rows, 5 * columns, 255 - 2 * (rows + columns)], axis=-1).astype(float)
    shades[10:30, 8:24] = (220, 60, 90)
    noisy = shades + 12.0 * random.normal(size=shades.shape)
    return tuple(np.clip(np.rint(picture), 0, 255).astype(np.uint8) for picture in (shades, noisy))


def image_sets() -> tuple[np.ndarray, np.ndarray]:
    """Two sets of 24 RGB images of 32 x 32 pixels, uint8: rough ones and smooth ones."""
    random = np.random.default_rng(10)
    rough = random.integers(0, 256, (24, 32, 32, 3), dtype=np.uint8)
    coarse = random.integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
    return rough, coarse.repeat(4, axis=1).repeat(4, axis=2)
