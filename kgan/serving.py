"""Exported models: SavedModels in the layout that TensorFlow Serving polls, verified before they get their name."""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator

import tensorflow as tf

from kgan import card, verification
from kgan.errors import InputError, RunError
from kgan.variants.base import Variant

_BATCHES = (1, 3, 64)  # at which every signature is verified
_WARM_UP = "tf_serving_warmup_requests"
_WARM_UP_BATCHES = (1, 64)


@dataclasses.dataclass(frozen=True)
class Exported:
    """An export that has been verified: its folder, how many calls were compared, the seconds that loading took."""

    folder: pathlib.Path
    cases: int
    load_seconds: float


def export(model: Variant, place: pathlib.Path, about: card.Card, xla: bool = False) -> Exported:
    """Writes the next version of a model.

    It is written under a hidden name, verified, and renamed: a server that polls `place` never sees half of it, and
    nothing is left of an export that fails.

    Args:
        model: a variant with its weights.
        place: `DIR/NAME`; versions are its subfolders 1, 2 ...
        about: what a person and `load` must know of the model.
        xla: adds every signature that gives no strings once more, compiled, under its name and `_xla`.

    Raises:
        InputError: the folder cannot be written, or its name is none that a request can have in its address.
        RunError: the exported model does not compute what the model does.
    """
    _check_name(place.name)
    signatures = model.signatures()
    if xla:
        signatures |= {f"{name}_xla": _compiled(f) for name, f in signatures.items() if not _gives_strings(f)}
    with _hidden(place) as folder:
        write(signatures, folder)
        cases = _cases(model, signatures)
        (folder / "assets.extra").mkdir()
        _write_warm_up(folder / "assets.extra" / _WARM_UP, place.name, model)
        about.write(folder, place.name, _as_lists(model.serving_examples(1)))
        seconds = verification.verify(folder, cases)
        _write_server_files(place)
        return Exported(_rename(folder, place), len(cases), seconds)


def write(signatures: dict[str, Callable], folder: pathlib.Path) -> None:
    """Writes signatures and what they capture as a SavedModel, unverified."""
    holder = tf.Module()
    # The variables themselves: held in a Keras model they get names that no C++ loader finds.
    holder.parts = _captured(signatures)
    tf.saved_model.save(holder, str(folder), signatures=signatures)


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise InputError(f"--output: the model would be called {name!r}, expected DIR/NAME of letters, digits, . _ -")


@contextlib.contextmanager
def _hidden(place: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder beside the versions that is gone when the block ends, unless it was renamed."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        folder = pathlib.Path(tempfile.mkdtemp(prefix=".export-", dir=place))
        folder.chmod(0o755)  # mkdtemp's own is for the owner alone; a server is somebody else
    except OSError as error:
        raise InputError(f"--output: {place} cannot be written ({error.strerror})") from None
    try:
        yield folder
    except OSError as error:
        raise RunError(f"the export to {place} cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _rename(folder: pathlib.Path, place: pathlib.Path) -> pathlib.Path:
    """Gives an export the next version's name. Renaming onto a folder that somebody has just made fails."""
    while True:
        version = max((int(path.name) for path in place.iterdir() if re.fullmatch(r"\d+", path.name)), default=0) + 1
        target = place / str(version)
        try:
            os.rename(folder, target)
        except OSError:
            if target.exists():
                continue
            raise
        return target


def _compiled(function: Callable) -> Callable:
    return tf.function(
        function.python_function, input_signature=function.input_signature, autograph=False, jit_compile=True
    )


def _gives_strings(function: Callable) -> bool:
    outputs = function.get_concrete_function().structured_outputs
    return any(output.dtype == tf.string for output in outputs.values())


def _captured(signatures: dict[str, Callable]) -> list[tf.Variable]:
    """The variables that the signatures read, each once."""
    found = {id(v): v for f in signatures.values() for v in f.get_concrete_function().graph.variables}
    return list(found.values())


def _cases(model: Variant, signatures: dict[str, Callable]) -> list[verification.Case]:
    """What every signature gives in this process for some inputs, and what it must refuse."""
    cases = []
    for rows in _BATCHES:
        for name, inputs in model.serving_examples(rows).items():
            for twin in {name, f"{name}_xla"} & set(signatures):
                outputs = signatures[twin](**{key: tf.constant(value) for key, value in inputs.items()})
                outputs = {key: value.numpy() for key, value in outputs.items()}
                cases.append(verification.Case(twin, inputs, outputs))
    return cases + [verification.Case(name, inputs, {}, reason) for name, inputs, reason in model.serving_refusals()]


def _as_lists(examples: dict[str, dict]) -> dict[str, dict]:
    return {name: {key: value.tolist() for key, value in inputs.items()} for name, inputs in examples.items()}


def _write_warm_up(path: pathlib.Path, name: str, model: Variant) -> None:
    """Requests that a server answers to itself before it answers others, so that the first client does not wait."""
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    with tf.io.TFRecordWriter(str(path)) as writer:
        for rows in _WARM_UP_BATCHES:
            for signature, inputs in model.serving_examples(rows).items():
                request = predict_pb2.PredictRequest()
                request.model_spec.name, request.model_spec.signature_name = name, signature
                for key, value in inputs.items():
                    request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
                log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
                writer.write(log.SerializeToString())


def _write_server_files(place: pathlib.Path) -> None:
    """The files that a server is started with; those that are there already are somebody's own."""
    files = {
        "models.config": _MODELS.format(name=json.dumps(place.name), path=json.dumps(f"/models/{place.name}")),
        "batching_parameters.txt": _BATCHING,
        "monitoring.config": _MONITORING,
    }
    for name, text in files.items():
        if not (place / name).exists():
            (place / name).write_text(text, encoding="utf-8")


_MODELS = """model_config_list {{
  config {{
    name: {name}
    base_path: {path}
    model_platform: "tensorflow"
  }}
}}
"""
_BATCHING = """max_batch_size { value: 64 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 100 }
num_batch_threads { value: 2 }
"""
_MONITORING = """prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""
