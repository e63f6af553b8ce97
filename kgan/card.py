"""The card of an exported model: what it is, where it comes from and how to ask it, for people and for programs."""

import dataclasses
import json
import pathlib

from kgan import configuration, environment, variants
from kgan.configuration import Configuration
from kgan.errors import InputError
from kgan.files import read_small
from kgan.journal import Journal
from kgan.variants.base import Variant

ABOUT = "assets.extra/kgan.json"
README = "README.md"
_FILE = "photo.jpg"  # what the examples call a reader's file
_ENCODED = "ENCODED"
_LONGEST = 500  # characters of a request that is shown


@dataclasses.dataclass(frozen=True)
class Card:
    """What is known of an exported model.

    Attributes:
        run: id of the run it comes from.
        step: of the checkpoint.
        summary: of the variant, one line.
        configuration: of the run.
        versions: of the packages that made it, by name.
        metrics: the last measures of the run, by name.
    """

    run: str
    step: int
    summary: str
    configuration: Configuration
    versions: dict[str, str]
    metrics: dict[str, float]

    def write(self, folder: pathlib.Path, name: str, requests: dict[str, dict]) -> None:
        """Writes the card into the folder of a version.

        Args:
            folder: of the version.
            name: of the model at the server.
            requests: an example of the inputs of each signature, as lists; files (bytes) are shown as a file of the
                reader's, and what fills pages is not shown.
        """
        content = dataclasses.asdict(self) | {"configuration": json.loads(self.configuration.to_json())}
        (folder / ABOUT).write_text(json.dumps(content, indent=1), encoding="utf-8")
        (folder / README).write_text(self._readme(name, requests), encoding="utf-8")

    def _readme(self, name: str, requests: dict[str, dict]) -> str:
        settings, data = self.configuration.settings, self.configuration.data
        recipe = "\n".join(f"| `{key}` | {value} |" for key, value in sorted(self.configuration.recipe.items()))
        metrics = "\n".join(f"| {key} | {value:.6g} |" for key, value in sorted(self.metrics.items()))
        versions = ", ".join(f"{key} {value}" for key, value in sorted(self.versions.items()))
        requests = {key: inputs for key, inputs in requests.items() if _files(inputs) or len(str(inputs)) < _LONGEST}
        curls = "\n".join(_curl(name, signature, inputs) for signature, inputs in requests.items())
        return _TEXT.format(
            name=name,
            summary=self.summary,
            variant=settings.variant,
            run=self.run,
            step=self.step,
            batch=settings.batch_size,
            seed=settings.seed,
            precision=settings.precision,
            data=data["name"],
            size=data.get("size"),
            shape="x".join(map(str, data["image_shape"])),
            digest=data["digest"],
            classes=_classes(data["class_names"]) if any("label" in inputs for inputs in requests.values()) else "",
            recipe=recipe,
            metrics=metrics or "| none | |",
            versions=versions,
            curls=curls,
            grpc=_grpc(name, *next(iter(requests.items()))),
        )


def _classes(names: list[str]) -> str:
    """What the numbers of classes mean, as a row of the table."""
    listed = ", ".join(f"{i} = {name}" for i, name in enumerate(names))
    return f"\n| `label` | {listed}; -1 draws one by the seed |"


def _files(inputs: dict[str, list]) -> set[str]:
    """Names of the inputs that are files."""
    return {key for key, values in inputs.items() if isinstance(values[0], bytes)}


def _grpc(name: str, signature: str, inputs: dict) -> str:
    shown = inputs | dict.fromkeys(_files(inputs), f'[open("{_FILE}", "rb").read()]')
    lines = (f'request.inputs["{key}"].CopyFrom(tf.make_tensor_proto({value}))' for key, value in shown.items())
    return _GRPC.format(name=name, signature=signature, inputs="\n".join(lines))


def _curl(name: str, signature: str, inputs: dict) -> str:
    # Columns ("inputs"), not rows ("instances"): a server's REST takes one truncation for all rows only so.
    files = _files(inputs)
    shown = inputs | {key: [{"b64": _ENCODED}] for key in files}
    body = json.dumps({"signature_name": signature, "inputs": shown}).replace(
        _ENCODED, f"'$(base64 < {_FILE} | tr -d '\\n')'"
    )
    if not files:
        return f"curl -d '{body}' http://localhost:8501/v1/models/{name}:predict"
    # By a pipe: a file is too long for a command line.
    return f"echo '{body}' | curl -d @- http://localhost:8501/v1/models/{name}:predict"


def of_run(folder: pathlib.Path, model: Variant) -> Card:
    """The card of a run's model; its measures are those logged last up to the checkpoint's step."""
    config = configuration.load(folder)
    step = int(model.step.numpy())
    logged = [e for e in Journal(folder).entries() if e["kind"] == "metrics" and e["step"] <= step]
    known = environment.decisive()
    return Card(
        run=folder.name,
        step=step,
        summary=variants.summary(config.settings.variant),
        configuration=config,
        versions={name.removeprefix("version."): v for name, v in known.items() if name.startswith("version.")},
        metrics=logged[-1]["values"] if logged else {},
    )


def read(folder: pathlib.Path) -> Card:
    """What `Card.write` left in the folder of a version.

    Raises:
        InputError: there is nothing, or nothing of this program's.
    """
    path = folder / ABOUT
    try:
        content = json.loads(read_small(path))
        configured = configuration.from_json(json.dumps(content["configuration"]))
        return Card(**content | {"configuration": configured})
    except FileNotFoundError:
        raise InputError(f"--model: {folder} is no model that kgan.export has written: it has no {ABOUT}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"--model: {path} is damaged ({type(error).__name__}: {error})") from None


_TEXT = """# {name}

{summary}

A generator trained by kgan, exported for TensorFlow Serving and verified: in a process without Keras, through
TensorFlow's C++ loader, every signature gave what the trained network gives, bit for bit.

| | |
|---|---|
| variant | `{variant}` |
| run | {run}, checkpoint of step {step} |
| trained on | {data}, {size} images of {shape} ({digest}) |
| batches, seed, precision | {batch}, {seed}, {precision} |
| made with | {versions} |{classes}

## Recipe

| | |
|---|---|
{recipe}

## Last measures of the run

Losses of a game are no measure of quality.

| | |
|---|---|
{metrics}

## Licence

The weights are a product of the images they were trained on: what may be done with them is for the terms of that data
set to say. kgan itself, under Apache-2.0, adds no condition.

## Requests

```sh
docker run -p 8500:8500 -p 8501:8501 -v $PWD/{name}:/models/{name} -e MODEL_NAME={name} tensorflow/serving
```

By REST; bytes come back as `{{"b64": ...}}`:

```sh
{curls}
```

By gRPC, with `pip install tensorflow-serving-api`:

```python
{grpc}```

The warm-up requests of this folder are run when the server loads it. `models.config`, `batching_parameters.txt` and
`monitoring.config` beside the versions are for `--model_config_file`, `--batching_parameters_file` (with
`--enable_batching`) and `--monitoring_config_file`.
"""

_GRPC = """import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

size = [("grpc.max_receive_message_length", 2**30)]  # the default of 4 MB is soon full of images
stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel("localhost:8500", options=size))
request = predict_pb2.PredictRequest()
request.model_spec.name = "{name}"
request.model_spec.signature_name = "{signature}"
{inputs}
answer = stub.Predict(request, timeout=60)
values = {{key: tf.make_ndarray(value) for key, value in answer.outputs.items()}}
"""
