"""Checkpoints as files: written whole or not at all, checked before they are believed. No TensorFlow in here.

A checkpoint is one safetensors file, so that nothing in it is ever executed. Its header says what every array is
before a byte of one is read, which configuration it belongs to and on what machine it was made; a digest covers all.
"""

import dataclasses
import hashlib
import json
import pathlib
import re

import numpy as np
import safetensors
import safetensors.numpy

from kgan.errors import InputError, RunError
from kgan.files import write_atomic

_FORMAT = "kgan checkpoint 1"
_TEXTS = {"format", "step", "configuration", "environment", "sha256"}


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The state of a training after a step.

    Attributes:
        step: how many steps it has done.
        configuration: everything the run depends on, as JSON text.
        environment: what its last bits depend on besides (versions, processor ...), as JSON text.
        arrays: the state, by name.
    """

    step: int
    configuration: str
    environment: str
    arrays: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Header:
    """What the beginning of a checkpoint's file says.

    `shapes` gives the shape and safetensors type of each array. Checkpoints of one digest hold the same state.
    """

    step: int
    configuration: str
    environment: str
    digest: str
    shapes: dict[str, tuple[tuple[int, ...], str]]


def path(folder: pathlib.Path, step: int) -> pathlib.Path:
    """Where the checkpoint of a step lies in the folder of checkpoints."""
    return folder / f"step-{step:07d}.safetensors"


def step_of(place: pathlib.Path) -> int:
    """The step that the name of a checkpoint's file gives."""
    return int(place.stem.removeprefix("step-"))


def steps(folder: pathlib.Path) -> list[int]:
    """The steps there are checkpoints of, ascending."""
    matches = (re.fullmatch(r"step-([0-9]{7,18})\.safetensors", file.name) for file in folder.glob("step-*"))
    found = {int(match[1]): match[0] for match in matches if match}
    return sorted(step for step, name in found.items() if path(folder, step).name == name)


def write(folder: pathlib.Path, checkpoint: Checkpoint, keep: int) -> pathlib.Path:
    """Writes a checkpoint; once it lies safe on the disk, all but the newest `keep` up to it are deleted.

    Those of later steps are deleted too: a run that does such a step again could not use them, or went back.

    Raises:
        RunError: the disk is full, the folder cannot be written ...
    """
    place = path(folder, checkpoint.step)
    about = {
        "format": _FORMAT,
        "step": str(checkpoint.step),
        "configuration": checkpoint.configuration,
        "environment": checkpoint.environment,
    }
    about["sha256"] = _digest(about, checkpoint.arrays)
    try:
        folder.mkdir(exist_ok=True)
        write_atomic(place, safetensors.numpy.save(checkpoint.arrays, about))
        known = steps(folder)
        kept = [step for step in known if step <= checkpoint.step][-keep:]
        for step in set(known) - set(kept):
            path(folder, step).unlink()
    except OSError as error:
        left = [step for step in steps(folder) if step != checkpoint.step]
        stands = f"the one of step {left[-1]} stands" if left else "there is no earlier one"
        raise RunError(f"the checkpoint {place} cannot be written ({error.strerror}); {stands}") from error
    return place


def clean(folder: pathlib.Path) -> None:
    """Deletes what processes that were killed while they wrote have left."""
    for left in folder.glob(".step-*"):
        if left.is_file():
            left.unlink(missing_ok=True)


def read_header(place: pathlib.Path) -> Header:
    """Reads what a checkpoint is, and no array. The sizes it gives have been held against that of the file.

    Raises:
        InputError: the file is missing, damaged or no checkpoint.
    """
    with _damage(place), safetensors.safe_open(place, framework="numpy") as file:
        about = _about(file)
        parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118, no mapping
        shapes = {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in parts.items()}
        return Header(_step(about, place), about["configuration"], about["environment"], about["sha256"], shapes)


def read(place: pathlib.Path) -> Checkpoint:
    """Reads a checkpoint whole, and checks its digest.

    Raises:
        InputError: the file is missing, damaged or no checkpoint.
    """
    with _damage(place), safetensors.safe_open(place, framework="numpy") as file:
        about = _about(file)
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if _digest(about, arrays) != about["sha256"]:
            raise ValueError("its content is not what was written")
        return Checkpoint(_step(about, place), about["configuration"], about["environment"], arrays)


class _damage:  # noqa: N801, used as a function is
    """Tells whatever a file that is none of ours, or half of one, makes a reader raise."""

    def __init__(self, place: pathlib.Path):
        self.place = place

    def __enter__(self) -> None:
        if not self.place.is_file():
            raise InputError(f"the checkpoint {self.place} is missing")

    def __exit__(self, kind, error, trace) -> None:
        # AttributeError: of a number format that NumPy does not have.
        if isinstance(
            error, safetensors.SafetensorError | ValueError | KeyError | OSError | AttributeError | TypeError
        ):
            raise InputError(f"the checkpoint {self.place} is damaged or no checkpoint ({error})") from error


def _about(file) -> dict[str, str]:
    about = file.metadata() or {}
    if set(about) != _TEXTS or about["format"] != _FORMAT:
        raise ValueError("it was not written by this program")
    return about


def _step(about: dict[str, str], place: pathlib.Path) -> int:
    step = int(about["step"])
    if path(place.parent, step) != place:
        raise ValueError(f"it is of step {step}")
    return step


def _digest(about: dict[str, str], arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over every text but the digest itself and over every array with its name, type and shape."""
    texts = {name: text for name, text in about.items() if name != "sha256"}
    sha = hashlib.sha256(json.dumps(texts, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return sha.hexdigest()
