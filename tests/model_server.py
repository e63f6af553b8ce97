# ruff: noqa: E402 - some imports must come after the blocker
"""A stand-in for TensorFlow Serving, for tests only: it is NOT TensorFlow Serving.

Real are TensorFlow's TF1 loader and its C++ session, the messages and gRPC services generated from TensorFlow
Serving's protos (tensorflow-serving-api), and the wire. Imitated, after the server's documentation and source, are
REST v1 with its JSON, the choice of a version, the defaults of inputs and the codes of refusals. Missing are classify
and regress, labels, batching, polling and configuration: every version is served, as under the server's policy "all".

    python -m tests.model_server DIR/NAME...

replays the warm-up requests, prints {"grpc": PORT, "rest": PORT} and serves on 127.0.0.1 until its standard input
ends. Neither Keras nor kgan can be imported in it: a model that needs them is not served.
"""

import base64
import functools
import http.server
import importlib.abc
import importlib.machinery
import json
import pathlib
import re
import sys
import threading
import urllib.parse
from collections.abc import Callable
from concurrent import futures

_BLOCKED = ("keras", "kgan")


class _Blocker(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the blocked packages but loads none: TensorFlow asks where Keras is when it is imported itself."""

    def find_spec(self, fullname, path=None, target=None):
        blocked = fullname.partition(".")[0] in _BLOCKED
        return importlib.machinery.ModuleSpec(fullname, self, origin="blocked") if blocked else None

    def create_module(self, spec):
        raise ImportError(f"{spec.name} is blocked: a model must be served without it")


sys.meta_path.insert(0, _Blocker())

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from grpc import StatusCode
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import get_model_metadata_pb2 as metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2 as status_pb2
from tensorflow_serving.apis import model_service_pb2_grpc as model_grpc
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as prediction_grpc

_CODES = {code.value[0]: code for code in StatusCode}  # TensorFlow's error codes are gRPC's
_HTTP = {StatusCode.INVALID_ARGUMENT: 400, StatusCode.FAILED_PRECONDITION: 400, StatusCode.NOT_FOUND: 404}
_PATH = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(:predict|/metadata|)")
_ANY_SIZE = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class RefusedError(Exception):
    """A request that is answered with an error."""

    def __init__(self, message: str, code: StatusCode = StatusCode.INVALID_ARGUMENT):
        super().__init__(message)
        self.message, self.code = message, code


class Version:
    """One version of a model, in a session of its own; its warm-up requests have been answered."""

    def __init__(self, folder: pathlib.Path):
        self.number = int(folder.name)
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        self.signatures = tf.compat.v1.saved_model.load(self._session, ["serve"], str(folder)).signature_def
        self._callable = functools.cache(self._make_callable)
        for record in tf.data.TFRecordDataset(str(folder / "assets.extra" / "tf_serving_warmup_requests")):
            self.predict(prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request)

    def predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        """Raises RefusedError where the request does not fit its signature, or the graph refuses it."""
        name = request.model_spec.signature_name or "serving_default"
        if name not in self.signatures:
            raise RefusedError(f'Serving signature key "{name}" not found.', StatusCode.FAILED_PRECONDITION)
        signature = self.signatures[name]
        inputs = dict(signature.defaults) | dict(request.inputs)
        wanted = tuple(request.output_filter) or tuple(signature.outputs)
        if set(inputs) != set(signature.inputs):
            raise RefusedError(f"input size does not match signature: {set(inputs)} != {set(signature.inputs)}")
        if not set(wanted) <= set(signature.outputs):
            raise RefusedError(f"output tensor alias not found in signature: one of {wanted}")
        try:
            values = self._callable(name, wanted)(*(tf.make_ndarray(inputs[key]) for key in signature.inputs))
        except tf.errors.OpError as error:
            raise RefusedError(error.message, _CODES[error.error_code]) from None
        response = predict_pb2.PredictResponse(model_spec=request.model_spec)
        response.model_spec.signature_name, response.model_spec.version.value = name, self.number
        for key, value in zip(wanted, values, strict=True):
            response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        return response

    def _make_callable(self, name: str, wanted: tuple[str, ...]) -> Callable:
        # Session.run would compare the shapes in Python, where a server leaves that to the graph.
        signature = self.signatures[name]
        feed = [info.name for info in signature.inputs.values()]
        options = config_pb2.CallableOptions(feed=feed, fetch=[signature.outputs[key].name for key in wanted])
        return self._session._make_callable_from_options(options)


class Models:
    """Models by name, each with the versions that are there: the subfolders whose names are integers."""

    def __init__(self, places: list[pathlib.Path]):
        self._models = {
            place.name: {int(path.name): Version(path) for path in place.iterdir() if path.name.isdecimal()}
            for place in places
        }

    def find(self, spec) -> Version:
        """The version asked for, else the newest. Raises RefusedError where there is none."""
        versions = self._models.get(spec.name, {})
        number = spec.version.value if spec.HasField("version") else max(versions, default=0)
        if number not in versions:
            raise RefusedError(f"Servable not found for request: {spec.name}, {number}", StatusCode.NOT_FOUND)
        return versions[number]

    def predict(self, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
        """What the signature gives."""
        return self.find(request.model_spec).predict(request)

    def status(self, request: status_pb2.GetModelStatusRequest) -> status_pb2.GetModelStatusResponse:
        """Of one version or of all; one that is here is loaded."""
        spec, response = request.model_spec, status_pb2.GetModelStatusResponse()
        found = self.find(spec)
        for version in [found] if spec.HasField("version") else self._models[spec.name].values():
            available = status_pb2.ModelVersionStatus.AVAILABLE
            response.model_version_status.add(version=version.number, state=available).status.SetInParent()
        return response

    def metadata(self, request: metadata_pb2.GetModelMetadataRequest) -> metadata_pb2.GetModelMetadataResponse:
        """The signatures."""
        if list(request.metadata_field) != ["signature_def"]:
            raise RefusedError("metadata_field: only signature_def is supported")
        version, response = self.find(request.model_spec), metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name, response.model_spec.version.value = request.model_spec.name, version.number
        response.metadata["signature_def"].Pack(metadata_pb2.SignatureDefMap(signature_def=version.signatures))
        return response


def _rpc(answer: Callable) -> Callable:
    def method(self, request, context):
        try:
            return answer(self.models, request)
        except RefusedError as refused:
            context.abort(refused.code, refused.message)

    return method


class Services(prediction_grpc.PredictionServiceServicer, model_grpc.ModelServiceServicer):
    """The gRPC side."""

    def __init__(self, models: Models):
        self.models = models

    Predict, GetModelStatus, GetModelMetadata = map(_rpc, (Models.predict, Models.status, Models.metadata))


class Rest(http.server.BaseHTTPRequestHandler):
    """The REST side; `models` is set by a subclass."""

    models: Models
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """Status and metadata."""
        self._send()

    def do_POST(self):
        """Predictions."""
        self._send()

    def log_message(self, *arguments):
        """Logs nothing."""

    def _send(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            code, answer = 200, self._answer(body)
        except RefusedError as refused:
            code, answer = _HTTP.get(refused.code, 500), {"error": refused.message}
        content = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, body: bytes) -> dict:
        match = _PATH.fullmatch(self.path)
        if not match or (match[3] == ":predict") != (self.command == "POST"):
            raise RefusedError(f"Malformed request: {self.command} {self.path}")
        spec = predict_pb2.PredictRequest().model_spec
        spec.name = urllib.parse.unquote(match[1])
        if match[2]:
            spec.version.value = int(match[2])
        if match[3] == ":predict":
            return self._predict(predict_pb2.PredictRequest(model_spec=spec), _parsed(body))
        if not match[3]:
            response = self.models.status(status_pb2.GetModelStatusRequest(model_spec=spec))
            return json_format.MessageToDict(response, always_print_fields_with_no_presence=True)
        request = metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
        answer = json_format.MessageToDict(self.models.metadata(request), preserving_proto_field_name=True)
        del answer["metadata"]["signature_def"]["@type"]
        return answer

    def _predict(self, request: predict_pb2.PredictRequest, content: dict) -> dict:
        """By way of a gRPC request, as the server: but here every input must be given."""
        name = request.model_spec.signature_name = str(content.get("signature_name", "serving_default"))
        version, by_row = self.models.find(request.model_spec), "instances" in content
        if name not in version.signatures:
            raise RefusedError(f'Serving signature name: "{name}" not found in signature def')
        infos = version.signatures[name].inputs
        if by_row == ("inputs" in content):
            raise RefusedError("JSON: expected one of 'inputs' and 'instances'")
        values = _of_rows(content["instances"], set(infos)) if by_row else _of_columns(content["inputs"], set(infos))
        for key, value in values.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(_array(value, tf.as_dtype(infos[key].dtype))))
        outputs = {key: _as_json(key, tf.make_ndarray(out)) for key, out in version.predict(request).outputs.items()}
        (first, *others) = outputs.values()
        if not by_row:
            return {"outputs": outputs if others else first}
        if not all(isinstance(out, list) and len(out) == len(first) for out in outputs.values()):
            raise RefusedError("the outputs are not all of one batch size")
        rows = [dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)]
        return {"predictions": rows if others else first}


def _parsed(body: bytes) -> dict:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"JSON Parse error: {error}") from None
    if not isinstance(content, dict):
        raise RefusedError("JSON Value: Is not object")
    return content


def _is_object(value: object) -> bool:
    return isinstance(value, dict) and set(value) != {"b64"}


def _of_rows(rows: object, names: set[str]) -> dict[str, list]:
    """The inputs that stand in `instances`; a single one may go without its name."""
    if not isinstance(rows, list) or not rows:
        raise RefusedError("JSON: expected 'instances' to be a list that is not empty")
    if not any(map(_is_object, rows)):
        return _of_columns(rows, names)
    for i, row in enumerate(rows):
        if not _is_object(row) or set(row) != names:
            raise RefusedError(f"Failed to process element: {i} of 'instances' list: keys must be {sorted(names)}")
    return {name: [row[name] for row in rows] for name in names}


def _of_columns(values: object, names: set[str]) -> dict[str, object]:
    """The inputs that stand in `inputs`, where the server ignores other names; a single one may go without its."""
    if not _is_object(values):
        if len(names) > 1:
            raise RefusedError("JSON: a plain value or list, but multiple input tensors are required")
        return dict.fromkeys(names, values)
    for name in sorted(names - set(values)):
        raise RefusedError(f"Missing named input: {name} in 'inputs' object.")
    return {name: values[name] for name in names}


def _array(value: object, dtype: tf.DType) -> np.ndarray:
    leaves = np.array(value, object)  # of lists that differ in length this makes lists, which are no leaves
    try:
        return np.array([_leaf(x, dtype) for x in leaves.flat], dtype.as_numpy_dtype).reshape(leaves.shape)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise RefusedError(f"JSON Value: not of expected type {dtype.name}: {error}") from None


def _leaf(value: object, dtype: tf.DType) -> object:
    if dtype == tf.string:
        return base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value.encode()
    if type(value) not in ((int, float) if dtype.is_floating else (bool,) if dtype.is_bool else (int,)):
        raise ValueError(value)
    return value


def _as_json(name: str, array: np.ndarray) -> object:
    if array.dtype not in (object, np.float32):
        return array.tolist()
    binary = name.endswith("_bytes")
    leaf = _decimal if array.dtype == np.float32 else _in_base64 if binary else bytes.decode
    return np.asarray(np.frompyfunc(leaf, 1, 1)(array), object).tolist()


def _in_base64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _decimal(value: float) -> float:
    """A float32 as the number of 6 digits that is it, else of 9: all digits that the server writes."""
    short = float(f"{value:.6g}")
    return short if np.float32(short) == value else float(f"{value:.9g}")


def main(places: list[str]) -> None:
    """Loads the models, announces the ports and serves until standard input ends: never longer than its parent."""
    models = Models([pathlib.Path(place) for place in places])
    rpc = grpc.server(futures.ThreadPoolExecutor(4), options=_ANY_SIZE)
    prediction_grpc.add_PredictionServiceServicer_to_server(Services(models), rpc)
    model_grpc.add_ModelServiceServicer_to_server(Services(models), rpc)
    port = rpc.add_insecure_port("127.0.0.1:0")
    rpc.start()
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Rest,), {"models": models}))
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    if not set(_BLOCKED).isdisjoint(sys.modules):
        raise SystemExit("Keras or kgan were imported, though they are blocked")
    print(json.dumps({"grpc": port, "rest": rest.server_port}), flush=True)
    sys.stdin.read()
    rest.shutdown()
    rpc.stop(None)


if __name__ == "__main__":
    main(sys.argv[1:])
