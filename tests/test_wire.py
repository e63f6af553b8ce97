"""Exported models asked over the wire: gRPC and REST, at the stand-in of `tests.model_server`.

What comes back is compared to the network in this process, without the signatures that were exported.
"""

import base64
import dataclasses
import io
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import grpc
import keras
import numpy as np
import pytest
import tensorflow as tf
from grpc import StatusCode
from PIL import Image
from tensorflow_serving.apis import get_model_metadata_pb2 as metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2 as status_pb2
from tensorflow_serving.apis import model_service_pb2_grpc as model_grpc
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as prediction_grpc

from kgan import card, images, serving, variants
from kgan.configuration import Configuration
from kgan.settings import Settings
from kgan.variants.base import Variant
from kgan.verification import difference

SHAPE = (8, 8, 1)
SIGNATURES = ("serving_default", "sample", "sample_png")
# Variant and size of the latents of each version, by the model's name. A card shows no request of 100 numbers.
MODELS = {"small": [("dcgan", 6), ("dcgan", 6)], "large": [("gan", 100)]}


class Network:
    """A version of a model, as it is in this process and as it is exported."""

    def __init__(self, model: Variant, folder: pathlib.Path):
        self.model, self.folder = model, folder
        self._paint = tf.function(lambda z: model.generator(z, training=False))  # of systems with latents

    def expected(self, signature: str, inputs: dict) -> dict[str, np.ndarray]:
        """What a server must answer, with the pictures that are in its PNGs."""
        if signature == "serving_default":
            return {"images": self._paint(tf.constant(inputs["z"], tf.float32)).numpy()}
        truncation = np.broadcast_to(np.float32(inputs["truncation"]), len(inputs["seed"]))
        z = [self.model.latents(1, int(s), t) for s, t in zip(inputs["seed"], truncation, strict=True)]
        name = "png_bytes" if signature == "sample_png" else "images"
        return {name: images.to_uint8(self._paint(tf.concat(z, 0))).numpy()}


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server and the networks it serves, by name: versions 1, 2 ..."""

    grpc: str  # host and port
    rest: str
    channel: grpc.Channel
    networks: dict[str, list[Network]]

    def predict(self, signature: str, inputs: dict, name="small", version=0, wanted=()) -> predict_pb2.PredictResponse:
        """Asks by gRPC; version 0 is the one that a server chooses."""
        request = predict_pb2.PredictRequest(output_filter=wanted)
        request.model_spec.name, request.model_spec.signature_name = name, signature
        if version:
            request.model_spec.version.value = version
        for key, value in inputs.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
        return prediction_grpc.PredictionServiceStub(self.channel).Predict(request, timeout=60)

    def ask(self, path: str, content: object = None) -> tuple[int, dict]:
        """Asks by REST: GET, or POST where there is content, bytes as they are and all else as JSON."""
        body = content if isinstance(content, bytes | None) else json.dumps(content).encode()
        try:
            with urllib.request.urlopen(f"http://{self.rest}/v1/models/{path}", body, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    place = tmp_path_factory.mktemp("models")
    networks = {name: [export(place / name, *version) for version in MODELS[name]] for name in MODELS}
    networks["photos"] = [export_pix2pix(place / "photos")]
    command = [sys.executable, "-m", "tests.model_server", *(str(place / name) for name in networks)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")  # urllib, curl and gRPC would all ask a proxy that the machine has
        with subprocess.Popen(
            command, cwd=pathlib.Path(__file__).parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            line = process.stdout.readline()
            assert line, "the server did not start"
            hosts = {key: f"127.0.0.1:{port}" for key, port in json.loads(line).items()}
            with grpc.insecure_channel(hosts["grpc"]) as channel:
                yield Server(**hosts, channel=channel, networks=networks)
        assert process.returncode == 0  # it ended by itself when the block closed its input


def export(place: pathlib.Path, variant: str, latent_dim: int) -> Network:
    """Exports a network whose weights are large enough to paint: initial ones of DCGAN make grey."""
    recipe = {"width": 10, "latent_dim": latent_dim}
    keras.utils.set_random_seed(len(list(place.glob("[0-9]*"))))  # other weights in each version
    model = variants.load(variant)(SHAPE, **recipe)
    for v in model.generator.variables:
        weights = np.random.uniform(-0.5, 0.5, v.shape)
        v.assign(abs(weights) + 0.1 if "variance" in v.path else weights)
    return Network(model, serving.export(model, place, about(variant, recipe, SHAPE)).folder)


def export_pix2pix(place: pathlib.Path) -> Network:
    """Exports a network that translates, with weights that make dropout seen."""
    recipe, shape = {"width": 8, "patch": 16}, (16, 16, 3)
    keras.utils.set_random_seed(0)
    model = variants.load("pix2pix")(shape, **recipe)
    for v in model.generator.trainable_variables:
        v.assign(v * 5)
    return Network(model, serving.export(model, place, about("pix2pix", recipe, shape)).folder)


def about(variant: str, recipe: dict, shape: tuple[int, int, int]) -> card.Card:
    data = {"name": "noise", "size": 1, "digest": "none", "image_shape": list(shape)}
    config = Configuration(Settings(variant=variant, batch_size=8), recipe, data)
    return card.Card("run", step=0, summary="A test.", configuration=config, versions={}, metrics={})


def pictures(name: str, values: object) -> np.ndarray:
    """An output as an array of pictures; PNGs must be whole PNGs of the model's shape."""
    if name != "png_bytes":
        return np.asarray(values)
    opened = [Image.open(io.BytesIO(value), formats=["PNG"]) for value in values]
    return np.stack([np.asarray(picture).reshape(SHAPE) for picture in opened])


def outputs(response: predict_pb2.PredictResponse) -> dict[str, np.ndarray]:
    return {key: pictures(key, tf.make_ndarray(value)) for key, value in response.outputs.items()}


def from_json(signature: str, values: list) -> dict[str, np.ndarray]:
    """The single, unnamed output of a REST answer."""
    if signature == "sample_png":
        return {"png_bytes": pictures("png_bytes", [base64.b64decode(value["b64"]) for value in values])}
    return {"images": np.array(values, np.float32 if signature == "serving_default" else np.uint8)}


def check(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Bit for bit."""
    assert {key: difference(value, expected[key]) for key, value in got.items()} == dict.fromkeys(expected, "")


def as_json(inputs: dict[str, np.ndarray]) -> dict[str, list]:
    return {key: np.asarray(value).tolist() for key, value in inputs.items()}


def as_rows(inputs: dict[str, np.ndarray]) -> list[dict]:
    columns = as_json(inputs)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def refusal(server: Server, *arguments, **options) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        server.predict(*arguments, **options)
    return caught.value


# gRPC


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("signature", SIGNATURES)
@pytest.mark.parametrize("name", MODELS)
def test_grpc_gives_what_the_network_gives(server, name, signature, rows):
    network = server.networks[name][-1]
    inputs = network.model.serving_examples(rows)[signature]
    expected = network.expected(signature, inputs)
    (values,) = expected.values()
    assert values.std() > 0.1  # grey would be equal to any grey
    check(outputs(server.predict(signature, inputs, name)), expected)


def test_the_newest_version_answers_unless_another_is_asked_for(server):
    old, new = server.networks["small"]
    inputs = {"seed": np.int32([4]), "truncation": np.float32([0.7])}
    assert difference(*(n.expected("sample", inputs)["images"] for n in (old, new)))
    for version, network in ((0, new), (1, old), (2, new)):
        response = server.predict("sample", inputs, version=version)
        assert response.model_spec.version.value == (version or 2)
        check(outputs(response), network.expected("sample", inputs))
        place = f"small/versions/{version}:predict" if version else "small:predict"
        _, answer = server.ask(place, {"signature_name": "sample", "inputs": as_json(inputs)})
        check(from_json("sample", answer["outputs"]), network.expected("sample", inputs))


def test_grpc_fills_in_the_truncation(server):
    network, seed = server.networks["small"][-1], np.int32([1, 2, 3])
    for signature in ("sample", "sample_png"):
        expected = network.expected(signature, {"seed": seed, "truncation": [1.0]})
        check(outputs(server.predict(signature, {"seed": seed})), expected)


@pytest.mark.parametrize("name", MODELS)
def test_what_a_client_gets_wrong_is_told_with_the_reason(server, name):
    for signature, inputs, reason in server.networks[name][-1].model.serving_refusals():
        error = refusal(server, signature, inputs, name)
        assert (error.code(), reason in error.details()) == (StatusCode.INVALID_ARGUMENT, True), error


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"signature": "nothing"}, StatusCode.FAILED_PRECONDITION),
        ({"name": "nobody"}, StatusCode.NOT_FOUND),
        ({"version": 3}, StatusCode.NOT_FOUND),
        ({"wanted": ["sounds"]}, StatusCode.INVALID_ARGUMENT),
        ({"inputs": {"seed": np.int32([1]), "size": np.int32([2])}}, StatusCode.INVALID_ARGUMENT),
        ({"inputs": {"truncation": np.float32([1])}}, StatusCode.INVALID_ARGUMENT),  # the seed has no default
        ({"inputs": {"seed": np.float32([1])}}, StatusCode.INVALID_ARGUMENT),
    ],
)
def test_grpc_refuses_what_is_not_there(server, arguments, code):
    assert refusal(server, **({"signature": "sample", "inputs": {"seed": np.int32([1])}} | arguments)).code() == code


def test_all_versions_are_available(server):
    request = status_pb2.GetModelStatusRequest()
    request.model_spec.name = "small"
    response = model_grpc.ModelServiceStub(server.channel).GetModelStatus(request, timeout=60)
    states = {status.version: status.state for status in response.model_version_status}
    assert states == dict.fromkeys((1, 2), status_pb2.ModelVersionStatus.AVAILABLE)
    status = {"version": "2", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert server.ask("small/versions/2") == (200, {"model_version_status": [status]})


def test_the_signatures_can_be_asked_for(server):
    request = metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "small"
    response = prediction_grpc.PredictionServiceStub(server.channel).GetModelMetadata(request, timeout=60)
    found = metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(found)
    _, answer = server.ask("small/metadata")
    assert answer["model_spec"]["version"] == "2"
    for known in (found.signature_def, answer["metadata"]["signature_def"]["signature_def"]):
        assert set(SIGNATURES) == {name for name in known if not name.startswith("__")}  # TensorFlow's own


@pytest.mark.parametrize("name", MODELS)
def test_every_warm_up_request_is_answered(server, name):
    network = server.networks[name][-1]
    asked = set()
    for record in tf.data.TFRecordDataset(str(network.folder / "assets.extra" / "tf_serving_warmup_requests")):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        response = prediction_grpc.PredictionServiceStub(server.channel).Predict(request, timeout=60)
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        check(outputs(response), network.expected(request.model_spec.signature_name, inputs))
        asked.add(request.model_spec.signature_name)
    assert asked == set(SIGNATURES)


# REST


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("signature", SIGNATURES)
@pytest.mark.parametrize("name", MODELS)
def test_rest_gives_what_the_network_gives(server, name, signature, rows):
    network = server.networks[name][-1]
    inputs = network.model.serving_examples(rows)[signature]
    expected = network.expected(signature, inputs)
    for asked, told, content in (("inputs", "outputs", as_json), ("instances", "predictions", as_rows)):
        code, answer = server.ask(f"{name}:predict", {"signature_name": signature, asked: content(inputs)})
        assert (code, list(answer)) == (200, [told])
        check(from_json(signature, answer[told]), expected)


def test_a_single_input_needs_no_name(server):
    network = server.networks["small"][-1]
    z = network.model.latents(3, seed=5).numpy()
    for asked, told in (("inputs", "outputs"), ("instances", "predictions")):
        _, answer = server.ask("small:predict", {asked: z.tolist()})
        check(from_json("serving_default", answer[told]), network.expected("serving_default", {"z": z}))


@pytest.mark.parametrize("name", MODELS)
def test_rest_tells_the_reason_too(server, name):
    for signature, inputs, reason in server.networks[name][-1].model.serving_refusals():
        if any(np.shape(value.tolist()) != value.shape for value in inputs.values()):
            continue  # JSON has no empty list of rows of 6
        if "seed" in inputs:
            inputs = {"truncation": np.float32([1])} | inputs
        code, answer = server.ask(f"{name}:predict", {"signature_name": signature, "inputs": as_json(inputs)})
        assert code == 400 and reason in answer["error"], (signature, inputs, answer)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"inputs": {"seed": [1]}}, "Missing named input: truncation"),  # REST fills in no defaults
        ({"instances": [{"seed": 1}]}, "element: 0 of 'instances'"),
        ({"inputs": [1]}, "multiple input tensors"),
        ({"instances": []}, "not empty"),
        ({"inputs": {"seed": [1.5], "truncation": [1.0]}}, "not of expected type int32"),
        ({"inputs": {"seed": [[1], [1, 2]], "truncation": [1.0]}}, "not of expected type int32"),
        ({"inputs": {"seed": [2**31], "truncation": [1.0]}}, "not of expected type int32"),
        ({}, "one of 'inputs' and 'instances'"),
        ({"signature_name": "nothing", "inputs": {}}, '"nothing" not found'),
        ([], "Is not object"),
        (b"{'inputs': ", "JSON Parse error"),
        (b"\xff", "JSON Parse error"),
        (b"", "JSON Parse error"),
    ],
)
def test_rest_refuses_what_it_cannot_read(server, content, reason):
    content = {"signature_name": "sample"} | content if isinstance(content, dict) else content
    code, answer = server.ask("small:predict", content)
    assert (code, list(answer)) == (400, ["error"]) and reason in answer["error"], answer


@pytest.mark.parametrize("path", ["nobody:predict", "small/versions/3:predict"])
def test_rest_knows_no_others(server, path):
    assert server.ask(path, {"inputs": []})[0] == 404


# The card


def shown(server: Server, network: Network, language: str) -> list[str]:
    """The blocks of a version's card, with this server's ports."""
    text = (network.folder / card.README).read_text(encoding="utf-8")
    text = text.replace("localhost:8501", server.rest).replace("localhost:8500", server.grpc)
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def run_curl(line: str) -> dict:
    """Runs a line as a shell would; without curl, sends what it says."""
    if shutil.which("bash") and shutil.which("curl"):
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, timeout=60)
        return json.loads(done.stdout)
    return send(line)


def send(line: str) -> dict:
    curl, option, body, url = shlex.split(line)
    assert (curl, option) == ("curl", "-d"), line
    with urllib.request.urlopen(url, body.encode(), timeout=60) as answer:
        return json.load(answer)


@pytest.mark.parametrize(("name", "signatures"), [("small", SIGNATURES), ("large", SIGNATURES[1:])])
def test_the_requests_on_the_card_work(server, name, signatures):
    network = server.networks[name][-1]
    lines = [line for block in shown(server, network, "sh") for line in block.splitlines() if "docker" not in line]
    asked = [json.loads(shlex.split(line)[2]) for line in lines]
    assert [body["signature_name"] for body in asked] == list(signatures)
    for line, body in zip(lines, asked, strict=True):
        expected = network.expected(body["signature_name"], body["inputs"])
        for answer in (run_curl(line), send(line)):
            check(from_json(body["signature_name"], answer["outputs"]), expected)


@pytest.mark.parametrize("name", MODELS)
def test_the_program_on_the_card_works(server, name):
    network = server.networks[name][-1]
    (code,) = shown(server, network, "python")
    scope: dict = {}
    exec(code, scope)
    inputs = {key: tf.make_ndarray(value) for key, value in scope["request"].inputs.items()}
    check(scope["values"], network.expected(scope["request"].model_spec.signature_name, inputs))


# Translation


def photos(rows: int) -> list[Image.Image]:
    """Pictures of different sizes."""
    draw = np.random.default_rng(0).integers
    return [Image.fromarray(draw(0, 256, (20 + 7 * i, 31 - 5 * i, 3), dtype=np.uint8)) for i in range(rows)]


def files(pictures: list[Image.Image]) -> list[bytes]:
    """PNG and JPEG in turn."""
    found = [io.BytesIO() for _ in pictures]
    for i, (picture, file) in enumerate(zip(pictures, found, strict=True)):
        picture.save(file, "JPEG" if i % 2 else "PNG", quality=100)
    return [file.getvalue() for file in found]


def translated(network: Network, file: bytes, seed: int) -> np.ndarray:
    pixels = tf.io.decode_image(file, channels=3, expand_animations=False).numpy()
    return network.model.translate(pixels[None], "a_to_b", seed)[0]


def opened(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file), formats=["PNG"])).astype(int)


def test_files_of_all_sizes_are_translated_in_one_request(server):
    (network,) = server.networks["photos"]
    sent, seeds = files(photos(3)), [4, 5, 6]
    expected = [translated(network, file, seed) for file, seed in zip(sent, seeds, strict=True)]
    assert abs(expected[0] - translated(network, sent[0], 5).astype(int)).max() > 2  # the seed is seen
    answer = server.predict("a_to_b_bytes", {"image_bytes": sent, "seed": np.int32(seeds)}, "photos")
    by_grpc = tf.make_ndarray(answer.outputs["png_bytes"])
    inputs = {"image_bytes": [{"b64": base64.b64encode(file).decode()} for file in sent], "seed": seeds}
    code, told = server.ask("photos:predict", {"signature_name": "a_to_b_bytes", "inputs": inputs})
    assert code == 200
    by_rest = [base64.b64decode(value["b64"]) for value in told["outputs"]]
    for png, other, right in zip(by_grpc, by_rest, expected, strict=True):
        assert png == other
        assert opened(png).shape == right.shape and abs(opened(png) - right).max() <= 1


def test_without_a_seed_it_is_zero(server):
    (network,) = server.networks["photos"]
    image = np.asarray(photos(1)[0])
    for signature in ("a_to_b", "serving_default"):
        answer = server.predict(signature, {"images": np.stack([image, image])}, "photos")
        first, second = tf.make_ndarray(answer.outputs["images"]).astype(int)
        assert abs(first - network.model.translate(image[None], "a_to_b")[0]).max() <= 1
        assert abs(first - second).max() <= 1


def test_what_is_no_picture_is_told_with_the_reason(server):
    (network,) = server.networks["photos"]
    for signature, inputs, reason in network.model.serving_refusals():
        error = refusal(server, signature, inputs, "photos")
        assert (error.code(), reason in error.details()) == (StatusCode.INVALID_ARGUMENT, True), error


def test_the_card_sends_a_file_of_the_reader(server, tmp_path, monkeypatch):
    (network,) = server.networks["photos"]
    monkeypatch.chdir(tmp_path)
    (file,) = files(photos(1))
    (tmp_path / "photo.jpg").write_bytes(file)  # in truth a PNG: the content counts
    right = translated(network, file, 0)
    (line,) = [text for block in shown(server, network, "sh") for text in block.splitlines() if "curl" in text]
    if shutil.which("bash") and shutil.which("curl"):
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, timeout=60)
        (value,) = json.loads(done.stdout)["outputs"]
        assert abs(opened(base64.b64decode(value["b64"])) - right).max() <= 1
    (code,) = shown(server, network, "python")
    scope: dict = {}
    exec(code, scope)
    (png,) = scope["values"]["png_bytes"]
    assert abs(opened(png) - right).max() <= 1
