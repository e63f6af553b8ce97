"""Weights on disk, and the model that a run's folder describes."""

import json
import pathlib

import keras
import numpy as np
import safetensors
import safetensors.numpy

from kgan import variants
from kgan.errors import InputError
from kgan.files import write_atomic
from kgan.variants.base import Variant

CONFIG = "config.json"
WEIGHTS = "weights.safetensors"


def save_weights(model: Variant, path: pathlib.Path) -> None:
    """Writes every variable of the model (trainable or not, the step too) as a safetensors file: no code inside."""
    arrays = {name: np.asarray(variable.value) for name, variable in _named(model).items()}
    write_atomic(path, safetensors.numpy.save(arrays))


def load_weights(model: Variant, path: pathlib.Path) -> None:
    """Reads what `save_weights` wrote.

    Raises:
        InputError: the file is missing, damaged, or of another model.
    """
    try:
        arrays = safetensors.numpy.load(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"--run: {path} is missing: this run has not saved its weights") from None
    except safetensors.SafetensorError as error:
        raise InputError(f"--run: {path} is damaged ({error})") from None
    expected = _named(model)
    if {name: a.shape for name, a in arrays.items()} != {name: tuple(v.shape) for name, v in expected.items()}:
        raise InputError(f"--run: {path} holds the weights of another model than {CONFIG} beside it describes")
    for name, variable in expected.items():
        variable.assign(arrays[name])


def _named(model: Variant) -> dict[str, keras.Variable]:
    """The variables by a name of their own: paths alone repeat, as Keras leaves the network's name out of them."""
    return {f"{i:04d}/{variable.path}": variable for i, variable in enumerate(model.variables)}


def load_config(folder: pathlib.Path) -> dict:
    """The resolved configuration of a run.

    Raises:
        InputError: the folder has none, or it is not one of this program's.
    """
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        config["variant"], config["recipe"], config["seed"], config["precision"], config["data"]["image_shape"]
    except FileNotFoundError:
        raise InputError(f"--run: {folder} is no run: it has no {CONFIG}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"--run: {path} is damaged ({type(error).__name__}: {error})") from None
    return config


def load_model(folder: pathlib.Path) -> Variant:
    """Makes the model of a run and gives it the weights that the run ended with."""
    config = load_config(folder)
    keras.config.set_dtype_policy(config["precision"])
    recipe = {"seed": config["seed"], **config["recipe"]}
    model = variants.load(config["variant"])(tuple(config["data"]["image_shape"]), **recipe)
    load_weights(model, folder / WEIGHTS)
    return model
