"""The whole state of a training as arrays, and the model that a run's folder describes."""

import contextlib
import dataclasses
import json
import math
import pathlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import psutil

from kgan import checkpoints, configuration, environment, variants
from kgan.configuration import Configuration
from kgan.errors import InputError
from kgan.tracking import BEST, CHECKPOINTS, CONFIG
from kgan.variants.base import Variant, dtype_policy


def build(config: Configuration) -> Variant:
    """The model of a configuration, with initial weights.

    Raises:
        InputError: there is no such model, or it would take more memory than there is; none has been taken then.
    """
    needed = sum(math.prod(shape) * np.dtype(kind).itemsize for shape, kind in shapes_of(config).values())
    free = psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            f"the networks would take {needed / 2**30:.3g} GiB; there are {free / 2**30:.3g} GiB of memory"
        )
    return _construct(config)


def _construct(config: Configuration) -> Variant:
    try:
        variant = variants.load(config.settings.variant)
        known = {"classes": len(config.data["class_names"])} if variant.data == "labelled" else {}
        with dtype_policy(config.settings.precision):
            return variant(tuple(config.data["image_shape"]), seed=config.settings.seed, **known, **config.recipe)
    except InputError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"no model can be built of the {CONFIG} of the run ({error})") from error


def save(
    model: Variant, folder: pathlib.Path, config: Configuration, keep: int, place: str = CHECKPOINTS
) -> pathlib.Path:
    """Writes a checkpoint of everything that the next step depends on, into a run's folder.

    Args:
        model: compiled.
        folder: of the run.
        config: of the run.
        keep: how many are kept, the newest ones.
        place: in the folder: `CHECKPOINTS` or `BEST`.

    Raises:
        RunError: it cannot be written; the earlier ones stand.
    """
    arrays = {name: np.asarray(variable.value) for name, variable in _variables(model).items()}
    about = json.dumps(environment.decisive(), sort_keys=True)
    checkpoint = checkpoints.Checkpoint(int(model.step.numpy()), config.to_json(), about, arrays)
    return checkpoints.write(folder / place, checkpoint, keep)


def restore(model: Variant, place: pathlib.Path, config: Configuration) -> checkpoints.Checkpoint:
    """Gives a compiled model the state of a checkpoint: weights, optimizers, running means of its measures.

    Returns:
        The checkpoint.

    Raises:
        InputError: the file is damaged, belongs to another configuration or model, or does not agree with itself.
    """
    expected = _variables(model)
    shapes = {name: (tuple(variable.shape), variable.dtype) for name, variable in expected.items()}
    _check(place, config, shapes)
    checkpoint = checkpoints.read(place)
    for name, variable in expected.items():
        variable.assign(checkpoint.arrays[name])
    if int(model.step.numpy()) != checkpoint.step:
        raise InputError(f"the checkpoint {place} is of another step than its content, {int(model.step.numpy())}")
    for player in model.players:
        done = int(model.optimizers[player.name].iterations.numpy())
        if done != checkpoint.step * player.updates_per_step:
            said = f"{checkpoint.step} steps, but its optimizer of the {player.name} has made {done} updates"
            raise InputError(f"the checkpoint {place} is of {said}")
    return checkpoint


def restore_newest(model: Variant, folder: pathlib.Path, config: Configuration) -> tuple[checkpoints.Checkpoint, list]:
    """Gives a compiled model the newest state of a run that can be read.

    Returns:
        The checkpoint, and one line for each newer file that cannot be used.

    Raises:
        InputError: none can be used.
    """
    notes = []
    for step in reversed(checkpoints.steps(folder / CHECKPOINTS)):
        try:
            return restore(model, checkpoints.path(folder / CHECKPOINTS, step), config), notes
        except InputError as error:
            notes.append(str(error))
    raise InputError(f"--resume: no checkpoint of {folder} can be used; {'; '.join(notes) or 'there is none'}")


def load_model(folder: pathlib.Path, checkpoint: str = "last", precision: str = "float32") -> Variant:
    """Makes the model of a run, with the weights of a checkpoint, to be used.

    A run may have trained in bfloat16, but pictures made so would be off by several levels.

    Args:
        folder: of the run.
        checkpoint: its step, "last" or "best".
        precision: in which it computes.

    Raises:
        InputError: there is no such checkpoint, its numbers are not finite, or the run's files are damaged or
            disagree.
    """
    config = configuration.load(folder)
    place = find(folder, checkpoint)
    _check(place, config, shapes_of(config))  # and with it the memory: the file is as large as the model
    model = _construct(dataclasses.replace(config, settings=dataclasses.replace(config.settings, precision=precision)))
    arrays = checkpoints.read(place).arrays
    for name, variable in _weights(model).items():
        if not np.isfinite(arrays[name]).all():
            raise InputError(f"the checkpoint {place} has numbers that are not finite in {variable.path}")
        variable.assign(arrays[name])
    return model


def find(folder: pathlib.Path, checkpoint: str) -> pathlib.Path:
    """The file of a run's checkpoint, by its step, "last" or "best".

    Raises:
        InputError: there is none.
    """
    if checkpoint == "best":
        return _best(folder)
    known = checkpoints.steps(folder / CHECKPOINTS)
    if not known:
        raise InputError(f"--run: {folder} has no checkpoint")
    if checkpoint == "last":
        return checkpoints.path(folder / CHECKPOINTS, known[-1])
    if checkpoint not in map(str, known):
        expected = f"last, best or one of {', '.join(map(str, known))}"
        raise InputError(f"--checkpoint: got {checkpoint!r}, expected {expected}")
    return checkpoints.path(folder / CHECKPOINTS, int(checkpoint))


def _best(folder: pathlib.Path) -> pathlib.Path:
    known = checkpoints.steps(folder / BEST)
    if not known:
        raise InputError(f"--checkpoint: got best, but {folder} has none (--evaluate-every N in training)")
    return checkpoints.path(folder / BEST, known[-1])


def shapes_of(config: Configuration) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type of each weight that the model of a configuration would have. Takes no memory for them."""
    return {name: (tuple(v.shape), v.dtype) for name, v in _weights(sketch(config)).items()}


def sketch(config: Configuration) -> Variant:
    """The model of a configuration whose weights have no values and take no memory.

    Made in a thread of its own: Keras keeps variables that have no value yet in a list of the thread, and would give
    them one later.
    """

    def construct() -> Variant:
        with keras.StatelessScope(initialize_variables=False):
            return _construct(config)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(construct).result()


def _check(place: pathlib.Path, config: Configuration, shapes: dict[str, tuple[tuple[int, ...], str]]) -> None:
    """Raises InputError where a checkpoint belongs to another configuration, or lacks or misfits one of the arrays."""
    header = checkpoints.read_header(place)
    with _foreign(place):
        if configuration.from_json(header.configuration).digest != config.digest:
            raise ValueError(f"it was made with another configuration than the {CONFIG} of the run")
        if not isinstance(json.loads(header.environment), dict):
            raise ValueError("it does not say where it was made")
        largest = _LARGEST * sum(math.prod(shape) for shape, _ in shapes.values()) + 2**18
        if sum(math.prod(shape) for shape, _ in header.shapes.values()) > largest:
            raise ValueError("it has far more numbers than the model and its optimizers")
        for name, (shape, kind) in shapes.items():
            if header.shapes.get(name) != (shape, _STORED[kind]):
                raise ValueError(f"it has {header.shapes.get(name)} where the model has {name} {shape} {kind}")


_LARGEST = 8  # numbers in a checkpoint for each one of the model; Adam adds two
_STORED = {"float32": "F32", "int64": "I64", "int32": "I32", "uint8": "U8", "bool": "BOOL"}


@contextlib.contextmanager
def _foreign(place: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"the checkpoint {place} does not fit the run ({error})") from None


def _variables(model: Variant) -> dict[str, keras.Variable]:
    """Everything that the next step depends on, and what will be logged after it, by a name of its own."""
    optimizers = {
        f"optimizers/{player}/{i:04d}/{variable.name}": variable
        for player, optimizer in model.optimizers.items()
        for i, variable in enumerate(optimizer.variables)
    }
    measures = {
        f"measures/{name}/{variable.name}": variable
        for name, tracker in model.trackers.items()
        for variable in tracker.variables
    }
    return _weights(model) | optimizers | measures


def _weights(model: Variant) -> dict[str, keras.Variable]:
    """The variables by numbered names: paths alone repeat, as Keras leaves the network's name out of them."""
    return {f"model/{i:04d}/{variable.path}": variable for i, variable in enumerate(model.variables)}
