import json
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable

import mlflow
import pytest
from PIL import Image

from kgan import sender, tracking
from kgan.errors import InputError

REPOSITORY = pathlib.Path(__file__).parents[1]
PICTURE = Image.new("L", (8, 8), 200)


def client() -> mlflow.MlflowClient:
    # Absolute: MLflow keeps a store for each address, and the tests change directory.
    return mlflow.MlflowClient(f"sqlite:///{pathlib.Path('mlruns/mlflow.db').resolve()}")


def start(said: list[str] | None = None) -> tracking.Run:
    return tracking.start_run(
        tracking.default_tracking_uri(), "tests", "a run", (said if said is not None else []).append
    )


def wait_for(condition: Callable[[], object]) -> None:
    """Waits for the sender's thread, half a minute at most."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline


def metric_steps(run_id: str, name: str = "loss") -> list[int]:
    return sorted(m.step for m in client().get_metric_history(run_id, name))


def test_everything_reaches_mlflow(workplace):
    with start() as run:
        run.log_params({"width": 3, "data": "digits"})
        run.log_tags({"version.keras": "3"})
        run.log_data("digits", "sha256:" + "ab" * 32, {"num_images": 9})
        for step in range(3000):
            run.log_metrics(step, {"loss": step / 2, "p_real": 0.5})
        run.log_image("samples", 7, PICTURE)
        (run.folder / "config.json").write_text("{}")
        run.log_artifact("config.json")
    assert run.is_tracked
    stored = client().get_run(run.id)
    assert stored.info.status == "FINISHED"
    assert stored.data.params == {"width": "3", "data": "digits"}
    assert stored.data.tags["version.keras"] == "3"
    assert stored.inputs.dataset_inputs[0].dataset.name == "digits"
    assert stored.data.metrics["loss"] == 2999 / 2
    assert metric_steps(run.id) == list(range(3000))
    assert {file.path for file in client().list_artifacts(run.id)} == {"config.json", "images"}
    pictures = [file.path for file in client().list_artifacts(run.id, "images")]
    assert any("samples+step+7+" in path for path in pictures)  # the key and step that the slider reads
    with Image.open(run.folder / "samples" / "step-0000007.png") as picture:
        assert picture.getpixel((3, 3)) == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("broken"), "FAILED"), (KeyboardInterrupt(), "KILLED"), (SystemExit(1), "KILLED")],
)
def test_how_a_run_ends(workplace, error, status):
    with pytest.raises(type(error)), start() as run:
        raise error
    assert client().get_run(run.id).info.status == status
    artifacts = [file.path for file in client().list_artifacts(run.id)]
    assert artifacts == (["traceback.txt"] if status == "FAILED" else [])
    if status == "FAILED":
        assert "ValueError: broken" in (run.folder / "traceback.txt").read_text()


def test_a_tracker_that_fails_does_not_stop_the_run_and_is_sent_the_rest_later(workplace, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(sender, "_PAUSE", 0.01)
    monkeypatch.setattr(sender, "_RETRY", 0.01)

    def refuse(*args, **kwargs):
        raise ConnectionError("no route to tracker\nsecond line")

    run = start(said)
    working = run._sender.client.log_batch
    with run:
        run.log_metrics(1, {"loss": 1.0})
        wait_for(lambda: run.is_tracked)
        monkeypatch.setattr(run._sender.client, "log_batch", refuse)
        for step in range(2, 50):
            run.log_metrics(step, {"loss": 1.0})
            wait_for(lambda: said)
    assert [line for line in said if "no route to tracker" in line] == said[:1]  # once
    assert "\n" not in said[0] and str(run.folder) in said[0]
    assert f"kgan.sync --run {run.id}" in said[-1] and len(said) == 2
    assert metric_steps(run.id) == [1]
    assert client().get_run(run.id).info.status == "RUNNING"
    kept = [json.loads(line) for line in (run.folder / "journal.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in kept if entry["kind"] == "metrics"] == list(range(1, 50))

    monkeypatch.setattr(run._sender.client, "log_batch", working)
    for _ in range(2):  # the second time there is nothing left
        tracking.sync(run.folder)
        assert metric_steps(run.id) == list(range(1, 50))
        assert client().get_run(run.id).info.status == "FINISHED"


def test_a_tracker_that_comes_back_gets_everything(workplace, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(sender, "_PAUSE", 0.01)
    monkeypatch.setattr(sender, "_RETRY", 0.01)
    run = start(said)
    working, failures = run._sender.client.log_batch, [1, 1, 1]

    def limp(*args, **kwargs):
        if failures:
            failures.pop()
            raise ConnectionError("gone")
        return working(*args, **kwargs)

    monkeypatch.setattr(run._sender.client, "log_batch", limp)
    with run:
        run.log_metrics(1, {"loss": 1.0})
        wait_for(lambda: not failures)
        run.log_metrics(2, {"loss": 1.0})
    assert run.is_tracked and len(said) == 1
    assert metric_steps(run.id) == [1, 2]


DYING = """
    import sys, time
    from kgan import tracking
    with tracking.start_run(tracking.default_tracking_uri(), "tests", "dies", print) as run:
        run.log_metrics(1, {"loss": 1.0})
        with run._journal.path.open("a") as journal:
            journal.write('{"kind": "metrics", "st')
        print(run.id, flush=True)
        time.sleep(100)
"""


@pytest.fixture
def dying():
    """A process in the middle of a run; its id. It imports no TensorFlow."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DYING)],
        env={"PYTHONPATH": str(REPOSITORY), "MLFLOW_DISABLE_TELEMETRY": "true", "PATH": ""},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process, process.stdout.readline().strip()
        process.kill()


def test_a_finished_run_that_was_not_told_is_told_next_time(workplace, monkeypatch):
    run = start([])
    monkeypatch.setattr(run._sender, "send", lambda: None)  # as if killed before the last words went out
    with run:
        run.log_metrics(1, {"loss": 1.0})
    assert client().get_run(run.id).info.status == "RUNNING"
    assert tracking.repair_stale_runs(tracking.default_tracking_uri()) == [run.id]
    assert client().get_run(run.id).info.status == "FINISHED"
    assert metric_steps(run.id) == [1]


def test_a_damaged_folder_does_not_stop_others(workplace):
    folder = tracking.ROOT / "broken"
    folder.mkdir()
    (folder / "run.json").write_text("{")
    assert tracking.repair_stale_runs(tracking.default_tracking_uri()) == []
    with pytest.raises(InputError, match="missing or damaged"):
        tracking.sync(folder)


def test_long_names_reach_the_tracker(workplace):
    with start() as run:
        run.log_data("x" * 2000, "sha256:ab", {})
        run.log_metrics(1, {"loss": 1.0})
    assert run.is_tracked and metric_steps(run.id) == [1]


def test_an_error_while_settling_keeps_the_first(workplace, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    run = start()
    monkeypatch.setattr(tracking, "write_atomic", full)
    with pytest.raises(ValueError, match="first"), run:
        raise ValueError("first")
    assert not run._lock.is_locked


def test_a_live_run_is_left_alone_and_a_dead_one_marked(workplace, dying):
    process, run_id = dying
    with pytest.raises(InputError, match="still being written"):
        tracking.sync(tracking.ROOT / run_id)
    assert tracking.repair_stale_runs(tracking.default_tracking_uri()) == []
    assert client().get_run(run_id).info.status == "RUNNING"

    process.send_signal(signal.SIGKILL)
    process.wait()
    assert tracking.repair_stale_runs(tracking.default_tracking_uri()) == [run_id]
    assert client().get_run(run_id).info.status == "KILLED"
    assert metric_steps(run_id) == [1]
    assert tracking.repair_stale_runs(tracking.default_tracking_uri()) == []


def test_a_tracker_that_does_not_answer_is_told_at_the_start(workplace):
    with pytest.raises(InputError, match=r"--tracking-uri: http://127.0.0.1:9 does not work \(.*"):
        tracking.start_run("http://127.0.0.1:9", "tests", "x", print)
    assert not list(tracking.ROOT.glob("*/run.json"))


def test_runs_are_found_by_id_folder_and_tracker(workplace, tmp_path):
    with start() as run:
        (run.folder / "checkpoints").mkdir()
        for file in ("config.json", "checkpoints/step-0000007.safetensors", "checkpoints/other.py"):
            (run.folder / file).write_text(file)
            run.log_artifact(file)
    assert tracking.find_run(run.id) == run.folder
    assert tracking.find_run(str(run.folder.resolve())) == run.folder.resolve()
    with pytest.raises(InputError, match=f"Did you mean '{run.id}'"):
        tracking.find_run(run.id[:-1])

    run.folder.rename(tmp_path / "elsewhere")
    fetched = tracking.find_run(run.id)
    file = "checkpoints/step-0000007.safetensors"
    assert (fetched / file).read_text() == file
    assert [path.name for path in (fetched / "checkpoints").iterdir()] == ["step-0000007.safetensors"]
    with pytest.raises(InputError, match="is a copy of a run, which can only be read"):
        tracking.find_own_run(run.id)


@pytest.mark.parametrize("name", ["", "..", "../../outside", "/tmp/outside", "a/b"])
def test_artifacts_cannot_leave_their_folder(workplace, name):
    with pytest.raises(InputError, match="--experiment: got"):
        tracking.start_run(tracking.default_tracking_uri(), name, "x", print)


def test_artifacts_of_a_local_database_lie_with_the_runs(workplace):
    with start() as run:
        pass
    assert client().get_run(run.id).info.artifact_uri.startswith((workplace / "mlruns").as_uri())
