"""The figures that `kgan.evaluate` can measure: each a function of the features of examples and samples."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kgan import metrics
from kgan.errors import InputError
from kgan.features import Features

_SUBSETS, _SUBSET_SIZE = 100, 1000  # of the kernel distance
_SPLITS = 10  # of the inception score
_WIDEST = 8192  # features of a covariance, which then has half a gigabyte
_PAIRS = 8  # of samples and the training images nearest to them that are shown
_SIGMA_IMAGES = 1000  # the width of Parzen's window is chosen on: as in the code of the 2014 paper


class Sets(NamedTuple):
    """What a metric is given. Features are float32 `[n, d]`, logits `[n, k]` or None."""

    network: Features
    real: np.ndarray | None  # None where no metric compares features
    real_logits: np.ndarray | None
    statistics: Callable[[], tuple[np.ndarray, np.ndarray]]  # mean and covariance of `real`
    fake: np.ndarray | None
    fake_logits: np.ndarray | None
    fake_pixels: np.ndarray | None  # in [0, 1]
    unseen_pixels: tuple[np.ndarray, np.ndarray] | None  # to choose by and to measure on
    train: np.ndarray | None
    unseen: np.ndarray | None
    class_statistics: Callable[[int], tuple[np.ndarray, np.ndarray]]  # mean and covariance of a class of `real`
    asked: np.ndarray | None  # int32 `[n]`, the class that each sample was to be of, of systems that know classes


class Figure(NamedTuple):
    """What a metric gives for one set of samples."""

    name: str
    value: float
    better: str = "lower"
    real_count: int | None = None  # all of the split where none is given
    error: float | None = None
    error_of: str = ""
    parameters: dict[str, int | float | str] = {}  # noqa: RUF012, never changed
    found: dict[str, object] = {}  # noqa: RUF012


def _fid(sets: Sets) -> list[Figure]:
    _check_width("fid", sets)
    fake = metrics.feature_statistics(sets.fake)
    return [Figure("fid", metrics.frechet_distance_from_statistics(*sets.statistics(), *fake))]


def _check_width(metric: str, sets: Sets) -> None:
    if sets.fake.shape[1] > _WIDEST:
        found = f"{sets.fake.shape[1]} features of {sets.network.name}"
        raise InputError(f"--metrics: {metric} got {found}, expected {_WIDEST} at most: its matrices would not fit")


def _kid(sets: Sets) -> list[Figure]:
    real = _some(sets.real, len(sets.fake))
    size = min(_SUBSET_SIZE, len(real), len(sets.fake))
    mean, std = metrics.kernel_distance(real, sets.fake, _SUBSETS, size)
    parameters = {"subsets": _SUBSETS, "subset_size": size}
    error_of = f"standard deviation over {_SUBSETS} subsets"
    return [Figure("kid", mean, real_count=len(real), error=std, error_of=error_of, parameters=parameters)]


def _inception_score(sets: Sets) -> list[Figure]:
    mean, std = metrics.inception_score(sets.fake_logits, _SPLITS)
    error_of = f"standard deviation over {_SPLITS} splits"
    return [Figure("is", mean, "higher", error=std, error_of=error_of, parameters={"splits": _SPLITS})]


def _of_neighbours(
    names: tuple[str, str], function: Callable[..., tuple[float, float]], k: int
) -> Callable[[Sets], list[Figure]]:
    """Two figures of k-nearest neighbours, of as many images as there are samples."""

    def measure(sets: Sets) -> list[Figure]:
        real = _some(sets.real, len(sets.fake))
        values = function(real, sets.fake, k=k)
        return [
            Figure(name, value, "higher", len(real), parameters={"k": k})
            for name, value in zip(names, values, strict=True)
        ]

    return measure


def _parzen(sets: Sets) -> list[Figure]:
    validation, test = sets.unseen_pixels
    some = validation[np.linspace(0, len(validation) - 1, min(_SIGMA_IMAGES, len(validation))).astype(int)]
    sigma = metrics.choose_sigma(sets.fake_pixels, some)
    mean, error = metrics.parzen_log_likelihood(sets.fake_pixels, test, sigma)
    error_of = f"standard error over {len(test)} images"
    parameters = {"sigma_chosen_on": len(some)}
    return [Figure("parzen", mean, "higher", len(test), error, error_of, parameters, {"sigma": sigma})]


def _classes(sets: Sets) -> list[Figure]:
    logits = sets.fake_logits
    covered, counts = metrics.class_coverage(logits.argmax(axis=1), logits.shape[1])
    _, real = metrics.class_coverage(sets.real_logits.argmax(axis=1), logits.shape[1])
    found = {"counts": counts.tolist()}
    return [
        Figure("classes", covered, "higher", parameters={"classes": len(counts)}, found=found),
        Figure("classes_kl", metrics.kl_divergence(counts, real), parameters={"classes": len(counts)}),
    ]


def _accuracy(sets: Sets) -> list[Figure]:
    right = sets.fake_logits.argmax(axis=1) == sets.asked
    by_class = {int(label): float(right[sets.asked == label].mean()) for label in np.unique(sets.asked)}
    return [Figure("class_accuracy", float(right.mean()), "higher", found={"by_class": by_class})]


def _intra(sets: Sets) -> list[Figure]:
    """The mean over the classes of the distance within each (Miyato & Koyama 2018, section 4.1)."""
    _check_width("intra", sets)
    by_class = {}
    for label in map(int, np.unique(sets.asked)):
        fake = metrics.feature_statistics(sets.fake[sets.asked == label])
        by_class[label] = metrics.frechet_distance_from_statistics(*sets.class_statistics(label), *fake)
    parameters = {"classes": len(by_class)}
    return [
        Figure("intra_fid", float(np.mean([*by_class.values()])), parameters=parameters, found={"by_class": by_class})
    ]


def _memorisation(sets: Sets) -> list[Figure]:
    copies = metrics.memorisation(sets.train, sets.unseen, sets.fake)
    closest = np.argsort(copies.distances, kind="stable")[:_PAIRS]
    pairs = [[int(i), int(copies.nearest[i]), float(copies.distances[i])] for i in closest]
    parameters = {"calibrated_on": len(sets.unseen)}
    found = {"pairs": pairs, "threshold": copies.threshold}
    compared = min(len(sets.train), len(sets.fake))
    return [
        _share("memorised", copies.memorised, len(sets.fake), len(sets.train), parameters, found),
        _share("duplicates", copies.duplicates, compared, compared, {}, {}),
    ]


def _share(name: str, value: float, count: int, real_count: int, parameters: dict, found: dict) -> Figure:
    """A share of so many samples, with what it scatters by."""
    error = (value * (1.0 - value) / count) ** 0.5
    return Figure(name, value, "lower", real_count, error, f"standard error over {count} samples", parameters, found)


def _some(rows: np.ndarray, count: int) -> np.ndarray:
    """As many rows as there are samples, always the same, from all over the set."""
    return rows if len(rows) <= count else rows[np.sort(np.random.default_rng(0).choice(len(rows), count, False))]


def check(names: tuple[str, ...], network: str, samples: int, told: bool) -> None:
    """Says what cannot be measured before anything is computed.

    Args:
        names: of metrics.
        network: the name of the features.
        samples: of a set.
        told: whether the system is told a class.

    Raises:
        InputError: there are too few samples for a metric, it needs another network, or a system that is told a class.
    """
    for name in names:
        if samples < _SAMPLES.get(name, 2):
            raise InputError(f"--num: got {samples}, expected {_SAMPLES[name]} or more for {name}")
        if name in ("accuracy", "intra") and not told:
            raise InputError(f"--metrics: {name} is for systems that are told a class, which this one is not")
        needed = _OF_CLASSES.get(name)
        if needed and network not in needed:
            expected = f"expected --features {' or '.join(needed)}; classifier needs data with labels"
            raise InputError(f"--metrics: {name} counts classes, got {network}; {expected}")


# The networks of metrics that need the logits of classes.
_OF_CLASSES = {"is": ("inception", "classifier"), "coverage": ("classifier",), "accuracy": ("classifier",)}

# The fewest samples of metrics that need more than two.
_SAMPLES = {"is": _SPLITS, "pr": 4, "dc": 4, "memorisation": 100}

# What `kgan.evaluate --metrics` takes.
METRICS: dict[str, Callable[[Sets], list[Figure]]] = {
    "fid": _fid,
    "kid": _kid,
    "is": _inception_score,
    "pr": _of_neighbours(("precision", "recall"), metrics.precision_recall, k=3),
    "dc": _of_neighbours(("density", "coverage"), metrics.density_coverage, k=5),
    "parzen": _parzen,
    "coverage": _classes,
    "accuracy": _accuracy,
    "intra": _intra,
    "memorisation": _memorisation,
}
