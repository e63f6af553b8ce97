"""Exported models at the tracker: logged to their run, and registered under a name of their own."""

import dataclasses
import importlib.metadata
import inspect
import pathlib
import re
import tempfile
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kgan import card
from kgan.errors import InputError
from kgan.sender import open_client, tracker_errors
from kgan.variants.base import Variant

_CODE = pathlib.Path(__file__).with_name("pyfunc_model.py")
_REQUIREMENTS = ("mlflow", "numpy", "tensorflow")
_EXAMPLE_ROWS = 2
_NAME = r"[^/:.%\"']+"  # what MLflow allows
_ALIAS = r"(?!v\d+$|latest$)[\w-]+"


@dataclasses.dataclass(frozen=True)
class Logged:
    """A model at the tracker.

    Attributes:
        uri: for `mlflow.pyfunc.load_model`.
        version: in the registry, where it was registered.
    """

    uri: str
    version: int | None


def check_names(name: str | None, alias: str | None) -> None:
    """Raises InputError for what cannot name a registered model or one of its versions."""
    if name is not None and not re.fullmatch(_NAME, name):
        raise InputError(f"--register: got {name!r}, expected a name without any of / : . % and quotes")
    if alias is not None and not re.fullmatch(_ALIAS, alias, re.IGNORECASE):
        expected = "letters, digits, - and _, but not latest and not v and a number"
        raise InputError(f"--alias: got {alias!r}, expected {expected}")
    if alias is not None and name is None:
        raise InputError(f"--alias: got {alias!r} without --register, expected a model to give it to")


def log(
    folder: pathlib.Path,
    model: Variant,
    about: card.Card,
    tracker: tuple[str, str],
    name: str | None = None,
    alias: str | None = None,
) -> Logged:
    """Logs an exported model to its run, which may have ended, as an MLflow model that needs no kgan.

    Args:
        folder: of the exported version.
        model: the variant it was made of.
        about: its card.
        tracker: the tracking URI, and the id of the run there.
        name: of the registered model that it becomes the newest version of; not registered where none is given.
        alias: of that version, as `champion`; it leaves the version that had it.

    Raises:
        InputError: the tracker does not answer, does not know the run, or refuses.
    """
    uri, run_id = tracker
    with tracker_errors(uri):
        client = open_client(uri)
        experiment = client.get_run(run_id).info.experiment_id
        tags = {"kgan.run": about.run, "kgan.step": str(about.step), "kgan.folder": str(folder)}
        logged = client.create_logged_model(experiment, re.sub(r"[/:.%\"']", "-", folder.parent.name), run_id, tags)
        try:
            _send(client, logged, folder, model, about, run_id)
        except BaseException:
            client.finalize_logged_model(logged.model_id, "FAILED")
            raise
        client.finalize_logged_model(logged.model_id, "READY")
        version = _register(client, logged, run_id, name, alias) if name else None
    return Logged(f"models:/{logged.model_id}", version)


def _send(client, logged, folder: pathlib.Path, model: Variant, about: card.Card, run_id: str) -> None:
    import mlflow
    from mlflow.entities import LoggedModelOutput

    name = model.pyfunc_signature
    examples = model.serving_examples(_EXAMPLE_ROWS)[name]
    signature = model.signatures()[name]
    required = set(examples) - set(_defaults(signature))
    with tempfile.TemporaryDirectory(prefix="kgan-") as place:
        mlflow.pyfunc.save_model(
            f"{place}/model",
            python_model=str(_CODE),
            artifacts={"saved_model": str(folder)},
            model_config={"signature": name},
            signature=_signature(signature),
            input_example={key: examples[key] for key in sorted(required)},
            # Given, not guessed: MLflow would run the model in another process to see what it imports.
            pip_requirements=[f"{package}=={importlib.metadata.version(package)}" for package in _REQUIREMENTS],
            mlflow_model=mlflow.models.Model(model_id=logged.model_id, run_id=run_id),
            metadata={"variant": about.configuration.settings.variant, "run": about.run, "step": about.step},
        )
        client.log_model_artifacts(logged.model_id, f"{place}/model")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, about.step)])


def _signature(function: Callable):
    """MLflow's words for the inputs and outputs of a signature; inputs with a default are its parameters."""
    from mlflow.models import ModelSignature
    from mlflow.types import ParamSchema, ParamSpec, Schema

    defaults = _defaults(function)
    inputs = [_spec(spec) for spec in function.input_signature if spec.name not in defaults]
    outputs = function.get_concrete_function().structured_outputs
    parameters = [
        ParamSpec(name, _PARAMETERS[value.dtype], value.numpy().tolist(), shape=(-1,))
        for name, value in defaults.items()
    ]
    return ModelSignature(
        Schema(inputs),
        Schema([_spec(tf.TensorSpec(output.shape, output.dtype, name)) for name, output in outputs.items()]),
        ParamSchema(parameters) if parameters else None,
    )


_PARAMETERS = {tf.float32: "float", tf.int32: "integer"}


def _spec(spec: tf.TensorSpec):
    from mlflow.types import TensorSpec

    shape = tuple(-1 if size is None else size for size in spec.shape)
    return TensorSpec(np.dtype(spec.dtype.as_numpy_dtype), shape, spec.name)


def _defaults(function: Callable) -> dict[str, tf.Tensor]:
    arguments = inspect.signature(function.python_function).parameters.values()
    return {a.name: a.default for a in arguments if a.default is not inspect.Parameter.empty}


def _register(client, logged, run_id: str, name: str, alias: str | None) -> int:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # By its place: by its id the registry would look for it at the tracker that this process has by default.
    made = client.create_model_version(name, logged.artifact_location, run_id, model_id=logged.model_id)
    if alias:
        client.set_registered_model_alias(name, alias, made.version)
    return int(made.version)
