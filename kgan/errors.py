"""The exceptions that are no bugs: the input is wrong, or a run cannot go on."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something a person gave (an argument, a file, a data set) cannot be used.

    The message is one line that names the argument, what came and what is expected. Commands print it without a
    traceback and leave with a non-zero exit code.
    """


class MissingSplitError(InputError):
    """A data set has no such split."""


class RunError(RuntimeError):
    """A run cannot go on: its numbers are not finite any more, or its folder cannot be written.

    The message is one line that says what happened, what is left and what to do. Commands print it without a
    traceback and leave with a non-zero exit code.
    """


def near_misses(name: str, known: Iterable[str]) -> str:
    """Returns " Did you mean 'a' or 'b'?" for the known names nearest to `name`, or "" where none is near."""
    found = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(match) for match in found)}?" if found else ""


def require_positive(**arguments: float) -> None:
    """Raises InputError for the first argument that is not above 0."""
    for name, value in arguments.items():
        if not value > 0:
            raise InputError(f"{name}: got {value}, expected a number above 0")


def require_at_least(least: int, **arguments: float) -> None:
    """Raises InputError for the first argument that is below `least` or not finite."""
    for name, value in arguments.items():
        if not least <= value < float("inf"):
            raise InputError(f"{name}: got {value}, expected {least} or more")


def require_share(**arguments: float) -> None:
    """Raises InputError for the first argument that is not from 0 up to, but without, 1."""
    for name, value in arguments.items():
        if not 0 <= value < 1:
            raise InputError(f"{name}: got {value}, expected at least 0 and below 1")


def require_choice(name: str, value: str | int, choices: Iterable[str | int]) -> None:
    """Raises InputError where the argument `name` is none of the choices."""
    choices = list(choices)
    if value not in choices:
        raise InputError(
            f"{name}: got {value!r}, expected one of {choices}.{near_misses(str(value), map(str, choices))}"
        )
