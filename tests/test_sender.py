"""The sender against a client that notes what it is told; tests/test_tracking.py has a real one."""

import types

import pytest
from PIL import Image

from kgan.errors import InputError
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
    Image.new("L", (6, 5)).save(run / "samples" / "3.png")
    (run / "checkpoints" / "c").write_text("c")
    (tmp_path / "secret.png").write_bytes((run / "samples" / "3.png").read_bytes())
    return run


def sent(folder, *entries: dict, images: tuple[str, ...] = ()) -> list[tuple]:
    """What the client is told of these entries."""
    client = Client(images)
    sender = Sender(folder, "id", client, print)
    for entry in entries:
        sender.journal.append(**entry)
    sender.send()
    assert sender.journal.is_sent
    return client.told


PICTURE = {"kind": "image", "key": "samples", "step": 3, "file": "samples/3.png"}


def test_files_keep_their_folder(folder):
    (folder / "config.json").touch()
    told = sent(folder, *({"kind": "artifact", "file": file} for file in ("config.json", "checkpoints/c")))
    assert told == [("artifact", "config.json", None), ("artifact", "c", "checkpoints")]


def test_files_that_are_gone_do_not_hold_up_the_others(folder):
    gone = {"kind": "artifact", "file": "checkpoints/old"}
    assert sent(folder, gone, PICTURE | {"file": "samples/9.png"}, {"kind": "status", "status": "KILLED"}) == [
        ("end", "KILLED")
    ]


def test_only_the_first_picture_can_have_been_sent_before(folder):
    there = ("images/samples%step%3%timestamp%1%ab.png",)
    assert sent(folder, PICTURE, PICTURE, images=there) == [("image", "samples", 3, (6, 5))]


def test_a_resumed_run_is_running_again(folder):
    assert sent(folder, {"kind": "resumed", "step": 3}) == [("update", "RUNNING")]


@pytest.mark.parametrize("kind", ["batch", "_send_batch", "__init__", "run", "x"])
def test_unknown_kinds_do_nothing(folder, kind):
    assert sent(folder, {"kind": kind}) == []


@pytest.mark.parametrize("kind", ["image", "artifact"])
def test_files_outside_of_the_run_are_never_sent(folder, kind):
    (folder / "samples" / "link.png").symlink_to(folder.parent / "secret.png")
    for file in ("../secret.png", "samples/../../secret.png", str(folder.parent / "secret.png"), "samples/link.png"):
        with pytest.raises(InputError, match="which is outside of it"):
            sent(folder, PICTURE | {"kind": kind, "file": file})
        (folder / "journal.jsonl").unlink()


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


def test_pictures_are_no_other_kind_of_file(folder):
    (folder / "samples" / "3.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(OSError, match="cannot identify"):
        sent(folder, PICTURE)
