"""What the metrics ask of the arrays they are given: refused by name, or returned as float64."""

import numpy as np

from kgan.errors import InputError


def numbers(name: str, values: np.ndarray, axes: str) -> np.ndarray:
    """Returns `values` as an array of its own dtype.

    Args:
        name: the argument, for the error.
        values: real numbers, finite.
        axes: the expected axes, like "n, d"; each has to be at least 1 long.

    Raises:
        InputError: no real numbers, another number of axes, an empty axis, NaN or infinity.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise InputError(f"{name}: got an array of {values.dtype}, expected real numbers")
    if values.ndim != axes.count(",") + 1 or not values.size:
        raise InputError(f"{name}: got the shape {values.shape}, expected [{axes}], none of them 0")
    if values.dtype.kind == "f" and not (finite := np.isfinite(values)).all():
        place = tuple(int(index) for index in np.argwhere(~finite)[0])
        raise InputError(f"{name}: got {values[place]} at {place}, expected finite numbers")
    return values


def array(name: str, values: np.ndarray, axes: str) -> np.ndarray:
    """As `numbers`, but as float64: a copy unless the values are float64 already."""
    return numbers(name, values, axes).astype(np.float64, copy=False)


def pair(
    names: tuple[str, str], first: np.ndarray, second: np.ndarray, rows: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns two feature sets `[n, d]` and `[m, d]` as float64.

    Raises:
        InputError: what `array` refuses, a set with fewer than its number of `rows`, different numbers of columns.
    """
    first, second = array(names[0], first, "n, d"), array(names[1], second, "m, d")
    for name, values, least in zip(names, (first, second), rows, strict=True):
        if len(values) < least:
            raise InputError(f"{name}: got {len(values)} row{'s'[: len(values) > 1]}, expected at least {least}")
    if first.shape[1] != second.shape[1]:
        expected = f"{first.shape[1]} as in {names[0]}"
        raise InputError(f"{names[1]}: got {second.shape[1]} columns, expected {expected}")
    return first, second


def whole(name: str, value: int, low: int, high: int | None = None, why: str = "") -> None:
    """Raises InputError where `value` is no whole number from `low` to `high`; `why` says where `high` comes from."""
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or value < low or (high is not None and value > high):
        limit = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise InputError(f"{name}: got {value!r}, expected a whole number {limit}{why}")


def seed(value: int) -> None:
    """Raises InputError where `value` is no seed of NumPy's RandomState."""
    whole("seed", value, 0, 2**32 - 1)
