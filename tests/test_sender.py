"""The sender against a client that notes what it is told; tests/test_tracking.py has a real one."""

import types

import pytest
from PIL import Image

from kgan import sender
from kgan.sender import Sender, open_client


class Client:
    """Notes its calls."""

    def __init__(self, images: tuple[str, ...] = ()):
        self.told: list[tuple] = []
        self.images = [types.SimpleNamespace(path=path) for path in images]

    def list_artifacts(self, run_id, path):
        return self.images

    def log_image(self, run_id, image, key, step):
        self.told.append(("image", key, step, image.size))

    def log_artifact(self, run_id, file, folder):
        self.told.append(("artifact", file.name, folder))

    def update_run(self, run_id, status):
        self.told.append(("update", status))

    def set_terminated(self, run_id, status, time):
        self.told.append(("end", status))


@pytest.fixture
def folder(tmp_path):
    """A run's folder with a picture of step 3 and a checkpoint, and a secret beside it."""
    run = tmp_path / "run"
    (run / "samples").mkdir(parents=True)
    (run / "checkpoints").mkdir()
    Image.new("L", (6, 5)).save(run / "samples" / "step-3.png")
    (run / "checkpoints" / "step-3.safetensors").write_text("c")
    (tmp_path / "secret.png").write_bytes((run / "samples" / "step-3.png").read_bytes())
    return run


def sent(folder, *entries: dict, images: tuple[str, ...] = ()) -> list[tuple]:
    """What the client is told of these entries."""
    client = Client(images)
    thread = Sender(folder, "id", lambda: client, print)
    for entry in entries:
        thread.journal.append(**entry)
    thread.send()
    assert thread.journal.is_sent
    return client.told


PICTURE = {"kind": "image", "key": "samples", "step": 3, "file": "samples/step-3.png"}


def test_files_keep_their_folder(folder):
    (folder / "config.json").touch()
    told = sent(
        folder, *({"kind": "artifact", "file": file} for file in ("config.json", "checkpoints/step-3.safetensors"))
    )
    assert told == [("artifact", "config.json", None), ("artifact", "step-3.safetensors", "checkpoints")]


def test_files_that_are_gone_do_not_hold_up_the_others(folder):
    gone = {"kind": "artifact", "file": "checkpoints/step-1.safetensors"}
    assert sent(folder, gone, PICTURE | {"file": "samples/step-9.png"}, {"kind": "status", "status": "KILLED"}) == [
        ("end", "KILLED")
    ]


def test_pictures_that_a_dead_process_may_have_sent_are_not_sent_twice(folder):
    there = ("images/samples%step%3%timestamp%1%ab.png",)
    client = Client(there)
    Sender(folder, "id", lambda: client, print).journal.append(**PICTURE)
    thread = Sender(folder, "id", lambda: client, print)
    thread.journal.append(**PICTURE)  # said by this process: never sent before
    thread.send()
    assert client.told == [("image", "samples", 3, (6, 5))]


def test_a_resumed_run_is_running_again(folder):
    assert sent(folder, {"kind": "resumed", "step": 3}) == [("update", "RUNNING")]


@pytest.mark.parametrize("kind", ["batch", "_send_batch", "__init__", "run", "x"])
def test_unknown_kinds_do_nothing(folder, kind):
    assert sent(folder, {"kind": kind}) == []


@pytest.mark.parametrize("kind", ["image", "artifact"])
def test_only_files_that_a_run_writes_are_ever_sent(folder, kind, capsys):
    (folder / "samples" / "step-4.png").symlink_to(folder.parent / "secret.png")
    (folder / "checkpoints" / "step-4.safetensors").symlink_to(folder.parent / "secret.png")
    (folder / "samples" / "sitecustomize.py").touch()
    absolute = str(folder.parent / "secret.png")
    outside = ["../secret.png", "samples/../../secret.png", absolute, "samples/step-4.png", "samples"]
    outside += ["checkpoints/step-4.safetensors", "samples/sitecustomize.py", "run.json", ".lock", ""]
    last = {"kind": "status", "status": "KILLED"}
    assert sent(folder, *(PICTURE | {"kind": kind, "file": file} for file in outside), last) == [("end", "KILLED")]
    assert capsys.readouterr().out.count("it is not sent") == len(outside)


def test_a_database_is_made_whole_or_not_at_all(tmp_path, monkeypatch):
    import mlflow

    def cut_short(client):
        assert not (tmp_path / "new" / "runs.db").exists()
        raise KeyboardInterrupt

    uri = f"sqlite:///{tmp_path / 'new' / 'runs.db'}"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(mlflow.MlflowClient, "search_experiments", cut_short)
        open_client(uri)
    assert not (tmp_path / "new" / "runs.db").exists()
    assert open_client(uri).search_experiments()
    assert {path.name for path in (tmp_path / "new").iterdir()} <= {"runs.db", ".runs.db.lock"}


def test_pictures_that_cannot_be_shown_do_not_hold_up_the_others(folder, monkeypatch, capsys):
    (folder / "samples" / "step-4.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    monkeypatch.setattr(sender, "_PIXELS", 29)  # that of step 3 has 30
    last = {"kind": "status", "status": "KILLED"}
    assert sent(folder, PICTURE, PICTURE | {"file": "samples/step-4.png"}, last) == [("end", "KILLED")]
    assert capsys.readouterr().out.count("cannot be read and is not sent") == 2
