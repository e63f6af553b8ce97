"""Exports as a server finds them; that they compute what the network does is proven by the export itself."""

import json
import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from kgan import card, export, serving, state, tracking, training, variants, verification
from kgan.conditional import Conditional
from kgan.errors import InputError, RunError
from kgan.latent import Latent
from kgan.translation import Translation, drawing
from tests import tiny

LATENT = [name for name in tiny.OF_EACH_KIND if issubclass(variants.load(name), Latent)]
TRANSLATION = [name for name in tiny.OF_EACH_KIND if issubclass(variants.load(name), Translation)]
latent = pytest.mark.parametrize("run", LATENT, indirect=True)
translation = pytest.mark.parametrize("run", TRANSLATION, indirect=True)


@pytest.fixture(scope="module", params=tiny.OF_EACH_KIND)
def run(request, tmp_path_factory, _empty_database):
    """The current directory, and the folder of a finished run in it."""
    place = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        (place / "mlruns").mkdir()
        (place / "mlruns" / "mlflow.db").write_bytes(_empty_database.read_bytes())
        yield training.train(tiny.settings(request.param, steps=3), tiny.recipe(request.param))


@pytest.fixture(scope="module")
def exported(run) -> pathlib.Path:
    """The folder of version 1."""
    export.export(str(run.folder), "models/tiny", xla=True)
    return pathlib.Path("models/tiny/1").resolve()


def labels(signature, rows: int) -> dict[str, tf.Tensor]:
    """What a signature takes besides, of systems that are told a class."""
    takes = "label" in signature.structured_input_signature[1]
    return {"label": tf.range(rows, dtype=tf.int32) % 10} if takes else {}


def test_the_layout_is_that_of_a_server(exported):
    files = {str(path.relative_to(exported.parent)) for path in exported.parent.rglob("*") if path.is_file()}
    assert files == {
        "models.config",
        "batching_parameters.txt",
        "monitoring.config",
        "1/saved_model.pb",
        "1/fingerprint.pb",
        "1/variables/variables.index",
        "1/variables/variables.data-00000-of-00001",
        "1/assets.extra/tf_serving_warmup_requests",
        "1/assets.extra/kgan.json",
        "1/README.md",
    }
    config = text_format.Parse(
        (exported.parent / "models.config").read_text(), model_server_config_pb2.ModelServerConfig()
    )
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("tiny", "/models/tiny", "tensorflow")


@latent
def test_the_signatures_are_as_declared(run, exported):
    conditional = isinstance(state.load_model(run.folder), Conditional)
    label = {"label": tf.TensorSpec([None], tf.int32, name="label")} if conditional else {}
    signatures = tf.saved_model.load(str(exported)).signatures
    plain = {"serving_default", "sample", "sample_png"}
    assert set(signatures) == plain | {"serving_default_xla", "sample_xla"}
    z = tf.TensorSpec([None, 6], name="z")
    assert signatures["serving_default"].structured_input_signature[1] == {"z": z, **label}
    assert signatures["sample"].structured_input_signature[1] == {
        **label,
        "seed": tf.TensorSpec([None], tf.int32, name="seed"),
        "truncation": tf.TensorSpec([None], tf.float32, name="truncation"),
    }
    assert signatures["serving_default"].structured_outputs["images"].shape.as_list() == [None, 8, 8, 1]
    assert signatures["sample"].structured_outputs["images"].dtype == tf.uint8
    assert signatures["sample_png"].structured_outputs["png_bytes"].dtype == tf.string


@latent
def test_a_seed_is_served_as_it_is_generated(run, exported):
    model = state.load_model(run.folder)
    signatures = tf.saved_model.load(str(exported)).signatures
    seed, full, half = tf.constant([7, 3]), tf.constant([1.0]), tf.constant([0.5, 1.0])
    drawn = {"label": tf.constant([-1])} if isinstance(model, Conditional) else {}
    images = signatures["sample"](seed=seed, truncation=full, **drawn)["images"].numpy().astype(int)
    for i, number in enumerate((7, 3)):  # a rounding tie may fall to the other side in another batch
        assert abs(images[i] - model.generate(1, seed=number)[0]).max() <= 1
    truncated = signatures["sample"](seed=seed, truncation=half, **drawn)["images"].numpy().astype(int)
    assert abs(truncated[0] - model.generate(1, seed=7, truncation=0.5)[0]).max() <= 1
    assert abs(truncated[1] - images[1]).max() <= 1
    png = signatures["sample_png"](seed=seed, truncation=full, **drawn)["png_bytes"].numpy()
    for picture, image in zip(png, images, strict=True):
        np.testing.assert_array_equal(tf.io.decode_png(picture), image)
    if drawn:  # a class for each, and one for all
        for label, wanted in (([4, 9], (4, 9)), ([4], (4, 4))):
            images = signatures["sample"](seed=seed, truncation=full, label=tf.constant(label))["images"]
            for i, number in enumerate((7, 3)):
                made = model.generate(1, seed=number, label=wanted[i])[0]
                assert abs(images[i].numpy().astype(int) - made).max() <= 1


@latent
def test_the_default_is_the_generator_as_it_infers(run, exported):
    """The export compares itself to its own signatures; this is the network without them."""
    model = state.load_model(run.folder)
    serve = tf.saved_model.load(str(exported)).signatures["serving_default"]
    network = tf.function(lambda *inputs: model.generator(inputs if len(inputs) > 1 else inputs[0], training=False))
    for rows in (1, 3, 64):
        z = tf.random.stateless_uniform([rows, 6], [rows, 2], -1.0, 1.0)
        told = labels(serve, rows)
        np.testing.assert_array_equal(serve(z=z, **told)["images"], network(z, *told.values()))


@latent
def test_rows_do_not_depend_on_their_batch(exported):
    serve = tf.saved_model.load(str(exported)).signatures["serving_default"]
    z = tf.random.stateless_uniform([64, 6], [1, 2], -1.0, 1.0)
    told = labels(serve, 64)
    together = serve(z=z, **told)["images"]
    for i in (0, 31, 63):
        alone = {name: rows[i : i + 1] for name, rows in {"z": z, **told}.items()}
        np.testing.assert_allclose(serve(**alone)["images"][0], together[i], atol=1e-5)


@latent
def test_compiled_twins_give_the_same(exported):
    signatures = tf.saved_model.load(str(exported)).signatures
    z = tf.random.stateless_uniform([5, 6], [1, 2], -1.0, 1.0)
    told = labels(signatures["serving_default"], 5)
    plain, compiled = (signatures[name](z=z, **told)["images"] for name in ("serving_default", "serving_default_xla"))
    np.testing.assert_allclose(compiled, plain, atol=1e-5)


def test_only_the_generator_is_there_and_once(run, exported):
    model = state.load_model(run.folder)
    names = [name for name, _ in tf.train.list_variables(str(exported / "variables" / "variables"))]
    stored = [name for name in names if name.endswith("VARIABLE_VALUE")]
    networks = list(model.directions.values()) if isinstance(model, Translation) else [model.generator]
    used = [v for network in networks for v in network.variables]
    assert len(stored) == len(used)
    size = (exported / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert size < sum(np.asarray(v).nbytes for v in used) + 20_000


def test_warm_up_requests_ask_every_plain_signature(exported):
    file = str(exported / "assets.extra" / "tf_serving_warmup_requests")
    requests = [
        prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        for record in tf.data.TFRecordDataset(file)
    ]
    asked = {(r.model_spec.name, r.model_spec.signature_name) for r in requests}
    signatures = tf.saved_model.load(str(exported)).signatures
    assert asked == {("tiny", name) for name in signatures if not name.endswith("_xla")}
    for request in requests:
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        assert signatures[request.model_spec.signature_name](**inputs)


def test_the_card_says_what_the_model_is(run, exported):
    text = (exported / "README.md").read_text()
    settings = card.read(exported).configuration.settings
    for part in (
        run.id,
        f"`{settings.variant}`",
        "tensorflow 2.",
        *card.read(exported).metrics,
    ):
        assert part in text
    told = settings.variant == "cgan"
    assert (
        "| `label` | 0 = 0, 1 = 1, 2 = 2, 3 = 3, 4 = 4, 5 = 5, 6 = 6, 7 = 7, 8 = 8, 9 = 9; -1 draws one by the seed |"
        in text
    ) == told
    assert card.read(exported).step == 3
    assert set(card.read(exported).metrics) == {*variants.load(settings.variant).measures, "images_per_second"}


@latent
def test_the_card_has_a_request_for_each_signature(exported):
    text = (exported / "README.md").read_text()
    assert "digits, 1797 images of 8x8x1" in text
    bodies = [
        json.loads(body) for body in re.findall(r"curl -d '(.*?)' http://localhost:8501/v1/models/tiny:predict", text)
    ]
    assert {body["signature_name"] for body in bodies} == {"serving_default", "sample", "sample_png"}


@translation
def test_the_card_shows_how_to_send_a_file(run, exported):
    text = (exported / "README.md").read_text()
    assert re.search("photos, [36]00 images of 8x8x3", text)
    bodies = re.findall(r"echo '(.*?)' \| curl -d @- http://localhost:8501/v1/models/tiny:predict", text)
    bodies = [json.loads(re.sub(r"'\$\(.*?\)'", "QUJD", body)) for body in bodies]
    assert {body["signature_name"] for body in bodies} == {
        f"{name}_bytes" for name in state.load_model(run.folder).directions
    }
    assert all(body["inputs"]["image_bytes"] == [{"b64": "QUJD"}] for body in bodies)


def seeds(model: Translation) -> dict[str, tf.Tensor]:
    """TensorFlow's own loader, unlike a server, does not know that an input has a default."""
    return {"seed": tf.constant([0])} if model.draws else {}


@translation
def test_any_size_is_translated_as_the_network_does(run, exported):
    """With the networks alone, and padding by NumPy."""
    model = state.load_model(run.folder)
    signatures = tf.saved_model.load(str(exported)).signatures
    seed = seeds(model)
    for height, width in ((8, 12), (9, 30), (2, 3), (5, 40)):
        image = np.random.default_rng(height).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
        sides = (max(8, -(-side // model.stride) * model.stride) - side for side in (height, width))
        padded = np.pad(image, [(0, 0), *((0, more) for more in sides), (0, 0)], "reflect")
        for name, network in model.directions.items():
            with drawing(tf.zeros(2, tf.int32)):
                expected = (network(padded / np.float32(127.5) - 1) + 1).numpy() * 127.5
            got = signatures[name](images=tf.constant(image), **seed)["images"].numpy()
            assert got.shape == image.shape and got.dtype == np.uint8
            assert abs(got - expected[:, :height, :width]).max() < 0.51
            file = tf.io.encode_png(image[1])[None]
            (png,) = signatures[f"{name}_bytes"](image_bytes=file, **seed)["png_bytes"].numpy()
            assert abs(tf.io.decode_png(png).numpy().astype(int) - got[1]).max() <= 1


@translation
def test_the_default_is_the_first_direction(run, exported):
    model = state.load_model(run.folder)
    seed = seeds(model)
    signatures = tf.saved_model.load(str(exported)).signatures
    image = tf.constant(np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8))
    names = "serving_default", next(iter(model.directions))
    default, named = (signatures[name](images=image, **seed)["images"] for name in names)
    np.testing.assert_array_equal(default, named)


def test_versions_only_grow(run, exported, tmp_path):
    model, about = state.load_model(run.folder), card.of_run(run.folder, state.load_model(run.folder))
    place = tmp_path / "grown"
    (place / "7").mkdir(parents=True)
    (place / "7" / "mine").touch()
    (place / "draft").mkdir()
    (place / "models.config").write_text("mine")
    assert serving.export(model, place, about).folder == place / "8"
    assert (place / "models.config").read_text() == "mine"
    assert sorted(path.name for path in place.iterdir() if path.is_dir()) == ["7", "8", "draft"]


def test_a_model_that_computes_something_else_is_never_announced(run, tmp_path, monkeypatch):
    model = state.load_model(run.folder)
    real = verification.verify

    def altered(folder, cases):
        first = cases[0]
        images = first.outputs["images"]
        images = images ^ 1 if images.dtype == np.uint8 else np.nextafter(images, np.float32(2))
        return real(folder, [verification.Case(first.signature, first.inputs, {"images": images}), *cases[1:]])

    monkeypatch.setattr(verification, "verify", altered)
    with pytest.raises(RunError, match=r"signature 'serving_default', batch size 1, output 'images'"):
        serving.export(model, tmp_path / "model", card.of_run(run.folder, model))
    assert list((tmp_path / "model").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(run, tmp_path):
    model = state.load_model(run.folder)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--output: .*file/model cannot be written \(Not a directory\)"):
        serving.export(model, tmp_path / "file" / "model", card.of_run(run.folder, model))


@pytest.mark.parametrize("name", ["my digits", "it's", "a:b", "-x"])
def test_a_name_that_no_address_can_hold_is_refused(run, tmp_path, name):
    model = state.load_model(run.folder)
    with pytest.raises(InputError, match="--output: the model would be called"):
        serving.export(model, tmp_path / name, card.of_run(run.folder, model))
    assert list(tmp_path.iterdir()) == []


def test_keras_is_not_needed(exported):
    saved = (exported / "saved_model.pb").read_bytes()
    assert keras.__version__.encode() not in saved and tracking.ROOT.name.encode() not in saved


def test_what_is_no_export_has_no_card(tmp_path):
    with pytest.raises(InputError, match=r"is no model that kgan\.export has written"):
        card.read(tmp_path)
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / "assets.extra" / "kgan.json").write_text("[]")
    with pytest.raises(InputError, match=r"kgan\.json is damaged"):
        card.read(tmp_path)
