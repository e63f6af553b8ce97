"""Exported models at the tracker: what MLflow loads and serves of them is what the network makes."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import urllib.request

import mlflow
import numpy as np
import pytest

from kgan import export, state, tracking, training
from kgan.errors import InputError, RunError
from tests import tiny

URI = "sqlite:///mlruns/mlflow.db"
SEEDS = np.array([5, 0, 9], np.int32)


@pytest.fixture(scope="module")
def run(tmp_path_factory, _empty_database):
    """The current directory, and a finished run in it that was exported and registered twice."""
    place = tmp_path_factory.mktemp("registered")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        (place / "mlruns").mkdir()
        (place / "mlruns" / "mlflow.db").write_bytes(_empty_database.read_bytes())
        run = training.train(tiny.settings("gan", steps=2), {"width": 10, "latent_dim": 6})
        export.export(run.id, "models/tiny.v1", register="tiny", alias="champion")
        export.export(run.id, "models/tiny.v1", register="tiny")
        yield run


@pytest.fixture
def client():
    return mlflow.MlflowClient(URI)


@pytest.fixture
def tracked(monkeypatch):
    monkeypatch.setattr(mlflow.tracking._tracking_service.utils, "_tracking_uri", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", URI)


def expected(run) -> np.ndarray:
    """The first image of each seed."""
    model = state.load_model(run.folder)
    return np.concatenate([model.generate(1, seed=int(seed)) for seed in SEEDS])


def assert_same_pictures(got: np.ndarray, run) -> None:
    """A rounding tie may fall to the other side in another batch."""
    assert got.dtype == np.uint8
    np.testing.assert_allclose(got.astype(int), expected(run).astype(int), atol=1)


def test_each_export_is_a_version(run, client):
    versions = {int(v.version): v for v in client.search_model_versions("name='tiny'")}
    assert set(versions) == {1, 2}
    assert {v.run_id for v in versions.values()} == {run.id}
    assert int(client.get_model_version_by_alias("tiny", "champion").version) == 1


def test_the_run_shows_its_models_and_stays_finished(run, client):
    found = client.get_run(run.id)
    assert found.info.status == "FINISHED"
    assert [output.step for output in found.outputs.model_outputs] == [2, 2]
    logged = client.get_logged_model(found.outputs.model_outputs[0].model_id)
    assert logged.status == "READY" and logged.source_run_id == run.id and logged.name == "tiny-v1"


def test_a_loaded_model_makes_the_same_pictures(run, tracked):
    loaded = mlflow.pyfunc.load_model("models:/tiny@champion")
    assert_same_pictures(loaded.predict({"seed": SEEDS})["images"], run)
    half = loaded.predict({"seed": SEEDS}, params={"truncation": [0.5]})["images"]
    np.testing.assert_allclose(
        half[0].astype(int), state.load_model(run.folder).generate(1, seed=5, truncation=0.5)[0].astype(int), atol=1
    )


def test_signature_example_and_requirements_are_there(run, tracked):
    info = mlflow.models.get_model_info("models:/tiny/2")
    assert info.signature.inputs.to_dict() == [
        {"name": "seed", "type": "tensor", "tensor-spec": {"dtype": "int32", "shape": (-1,)}}
    ]
    assert info.signature.outputs.to_dict() == [
        {"name": "images", "type": "tensor", "tensor-spec": {"dtype": "uint8", "shape": (-1, 8, 8, 1)}}
    ]
    assert [p["name"] for p in info.signature.params.to_dict()] == ["truncation"]
    assert info.metadata == {"variant": "gan", "run": run.id, "step": 2}
    folder = pathlib.Path(mlflow.artifacts.download_artifacts("models:/tiny/2"))
    requirements = (folder / "requirements.txt").read_text().split()
    assert {line.split("==")[0] for line in requirements} == {"mlflow", "numpy", "tensorflow"}
    example = json.loads((folder / "input_example.json").read_text())
    assert example == {"seed": [0, 1]}


def test_mlflow_serves_it(run, tracked):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PATH": f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/tiny@champion", "-p", str(port)]
    server = subprocess.Popen(
        [*command, "--env-manager", "local", "--workers", "1"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said = []
        for line in server.stdout:
            said.append(line)
            if "Uvicorn running" in line:
                break
        assert server.poll() is None, "".join(said)
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations",
            json.dumps({"inputs": {"seed": SEEDS.tolist()}}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            images = json.load(answer)["predictions"]["images"]
    finally:
        os.killpg(server.pid, 15)
        server.communicate()
    assert_same_pictures(np.array(images, np.uint8), run)


def test_a_tracker_that_fails_takes_nothing_from_the_export(run, monkeypatch):
    monkeypatch.setattr(tracking, "tracker_of", lambda folder: (URI, "0" * 32))
    with pytest.raises(RunError, match=r"models/late/1 is written and verified, but not logged: .*not found"):
        export.export(run.id, "models/late", register="late")
    assert (pathlib.Path("models/late/1") / "saved_model.pb").exists()
    assert mlflow.MlflowClient(URI).search_registered_models("name='late'") == []


def test_what_fails_half_way_is_no_ready_model(run, client, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError("disk full")

    monkeypatch.setattr(mlflow.MlflowClient, "log_model_artifacts", refuse)
    with pytest.raises(RunError, match=r"models/half/1 is written and verified, but not logged: .*disk full"):
        export.export(run.id, "models/half", register="half")
    (found,) = client.search_logged_models([client.get_run(run.id).info.experiment_id], "name = 'half'")
    assert found.status == "FAILED"


def test_a_folder_from_elsewhere_does_not_choose_the_tracker(run, tmp_path):
    (tmp_path / "run.json").write_text('{"tracking_uri": "http://elsewhere"}')
    assert tracking.tracker_of(tmp_path) == (tracking.default_tracking_uri(), tmp_path.name)
    uri, run_id = tracking.tracker_of(run.folder)
    assert uri.endswith("mlruns/mlflow.db") and run_id == run.id


@pytest.mark.parametrize(
    ("name", "alias", "message"),
    [
        ("a/b", None, "--register: got 'a/b'"),
        ("", None, "--register: got ''"),
        ("a", "v2", "--alias: got 'v2'"),
        ("a", "latest", "--alias: got 'latest'"),
        (None, "champion", "--alias: got 'champion' without --register"),
    ],
)
def test_names_are_checked_before_anything_is_written(run, name, alias, message):
    with pytest.raises(InputError, match=message):
        export.export(run.id, "models/never", register=name, alias=alias)
    assert not pathlib.Path("models/never").exists()
