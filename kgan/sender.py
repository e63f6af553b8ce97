"""Repeating a run's journal to an MLflow tracking server."""

import contextlib
import functools
import json
import logging
import os
import pathlib
import re
import tempfile
import threading
from collections.abc import Callable, Iterator

import filelock
from PIL import Image

from kgan.errors import InputError
from kgan.journal import Journal

_SQLITE = "sqlite:///"
_ARTIFACTS = r"config\.json|traceback\.txt|(checkpoints|best)/step-[0-9]+\.safetensors|"
_ARTIFACTS += r"evaluations/step-[0-9]+-[0-9]+\.json"
_PIXELS = 2**26  # of a picture that is sent
_METRICS_PER_CALL = 1000  # limits of MLflow's log_batch
_PARAMS_PER_CALL = 100
_DATA_NAME = 500  # characters that MLflow keeps
_PAUSE = 2.0  # seconds between two looks at the journal
_RETRY = 30.0  # seconds before a tracker that failed is tried again
_PATIENCE = 600.0  # seconds that the end of a run waits for a tracker that takes everything, but slowly


class Sender(threading.Thread):
    """Repeats a run's journal to MLflow. Where the tracker fails it says so once, and tries again later.

    Args:
        folder: of the run.
        run_id: of the run at the tracker.
        connect: gives MLflow's client; tried again where it fails.
        say: prints one line for a person.
    """

    def __init__(self, folder: pathlib.Path, run_id: str, connect: Callable, say: Callable[[str], None]):
        super().__init__(daemon=True, name="kgan-tracker")
        self.folder = folder
        self.journal = Journal(folder)
        self.run_id = run_id
        self._connect = connect
        self.say = say
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._failed = False
        # What was there before may have been sent by a process that died before it noted so.
        self._doubtful = self.journal.path.stat().st_size if self.journal.path.exists() else 0
        self._kinds = {
            "params": self._send_params,
            "tags": self._send_tags,
            "data": self._send_data,
            "image": self._send_image,
            "artifact": self._send_artifact,
            "evaluation": self._send_evaluation,
            "resumed": self._send_resumed,
            "status": self._send_status,
        }

    @functools.cached_property
    def client(self):
        """MLflow's client."""
        return self._connect()

    def run(self) -> None:
        ending = False
        while not ending:
            self._wake.wait(_RETRY if self._failed else _PAUSE)
            ending = self._ending.is_set()
            try:
                self.send()
            except Exception as error:
                if not self._failed:
                    self.say(f"tracker: {first_line(error)}; no number is lost, they are kept in {self.folder}")
                self._failed = True
            else:
                self._failed = False

    def finish(self) -> None:
        """Sends the rest, and says what to do where that fails."""
        self._ending.set()
        self._wake.set()
        self.join(_PATIENCE)
        if not self.journal.is_sent:
            self.say(f"tracker: not everything was taken; send it later: python -m kgan.sync --run {self.folder.name}")

    def send(self) -> None:
        """Sends what was not sent before; an exception of the client leaves the rest for next time."""
        position = self._sent = self.journal.position
        for batch in _batches(self.journal.unsent()):
            self._send_batch([entry for _, entry in batch])
            position += sum(length for length, _ in batch)
            self.journal.position = position
            self._sent = position

    def _send_batch(self, entries: list[dict]) -> None:
        if entries[0]["kind"] == "metrics":
            self._send_metrics(entries)
        for entry in entries:
            self._kinds.get(entry["kind"], lambda _: None)(entry)

    def _send_metrics(self, entries: list[dict]) -> None:
        from mlflow.entities import Metric

        # A metric of the same time, step and value is stored once, however often it is sent.
        metrics = [Metric(k, v, e["time"], e["step"]) for e in entries for k, v in e["values"].items()]
        for i in range(0, len(metrics), _METRICS_PER_CALL):
            self.client.log_batch(self.run_id, metrics=metrics[i : i + _METRICS_PER_CALL])

    def _send_params(self, entry: dict) -> None:
        from mlflow.entities import Param

        params = [Param(key, value) for key, value in entry["values"].items()]
        for i in range(0, len(params), _PARAMS_PER_CALL):
            self.client.log_batch(self.run_id, params=params[i : i + _PARAMS_PER_CALL])

    def _send_tags(self, entry: dict) -> None:
        from mlflow.entities import RunTag

        self.client.log_batch(self.run_id, tags=[RunTag(*item) for item in entry["values"].items()])

    def _send_data(self, entry: dict) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        digest = entry["digest"].removeprefix("sha256:")[:36]  # as much as MLflow keeps
        name = entry["name"][-_DATA_NAME:]
        data = Dataset(name, digest, "local", entry["name"], profile=json.dumps(entry["profile"]))
        self.client.log_inputs(self.run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])

    def _send_image(self, entry: dict) -> None:
        file = self._own_file(entry, rf"{re.escape(entry['key'])}/step-[0-9]+\.png")
        if file is None or (self._sent < self._doubtful and self._has_image(entry)):
            return
        try:
            with Image.open(file, formats=["PNG"]) as picture:
                if picture.width * picture.height > _PIXELS:
                    raise ValueError("it has too many pixels")
                shown = picture.convert("RGB") if picture.mode == "LA" else picture.copy()
        except (OSError, ValueError, SyntaxError) as error:
            self.say(f"tracker: {file} cannot be read and is not sent ({first_line(error)})")
            return
        self.client.log_image(self.run_id, shown, key=entry["key"], step=entry["step"])

    def _has_image(self, entry: dict) -> bool:
        there = (file.path for file in self.client.list_artifacts(self.run_id, "images"))
        return any(f"{entry['key']}+step+{entry['step']}+" in path.replace("%", "+") for path in there)

    def _send_artifact(self, entry: dict) -> None:
        file = self._own_file(entry, _ARTIFACTS)
        if file is not None:
            parent = file.parent.relative_to(self.folder.resolve()).as_posix()
            self.client.log_artifact(self.run_id, file, None if parent == "." else parent)

    def _send_evaluation(self, entry: dict) -> None:
        self._send_metrics([entry])
        self._send_artifact(entry)

    def _send_resumed(self, entry: dict) -> None:
        self.client.update_run(self.run_id, status="RUNNING")

    def _send_status(self, entry: dict) -> None:
        self.client.set_terminated(self.run_id, entry["status"], entry["time"])

    def _own_file(self, entry: dict, pattern: str) -> pathlib.Path | None:
        """The file that an entry names: one that a run writes, in its own folder. A journal may come from anywhere.

        None for another one, and for a checkpoint whose place newer ones have taken.
        """
        file = (self.folder / entry["file"]).resolve()
        inside = file == self.folder.resolve() / entry["file"]  # no link, no ".."
        if not (inside and re.fullmatch(pattern, entry["file"])):
            self.say(f"tracker: {entry['file']!r} is no file that a run writes into its folder; it is not sent")
            return None
        return file if file.is_file() else None


def open_client(tracking_uri: str):
    """An MLflow client that gives up within seconds and keeps quiet."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    tracking_uri = absolute(tracking_uri)
    if tracking_uri.startswith(_SQLITE):
        _make_database(pathlib.Path(tracking_uri.removeprefix(_SQLITE)))
    return mlflow.MlflowClient(tracking_uri)


def _make_database(path: pathlib.Path) -> None:
    """Makes a database that is not there yet; it gets its name when it is complete.

    MLflow takes seconds for it, and one whose making was cut short could never be used.
    """
    import mlflow

    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path.with_name(f".{path.name}.lock")):
        if not path.exists():
            with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
                made = pathlib.Path(folder, path.name)
                mlflow.MlflowClient(f"{_SQLITE}{made}").search_experiments()
                os.replace(made, path)


def absolute(tracking_uri: str) -> str:
    """A relative database path made absolute, so that a run can be synced from another directory."""
    relative = tracking_uri.removeprefix(_SQLITE)
    return tracking_uri if relative == tracking_uri else f"{_SQLITE}{pathlib.Path(relative).resolve()}"


@contextlib.contextmanager
def tracker_errors(tracking_uri: str) -> Iterator[None]:
    """Tells any error of a tracker as one line.

    Raises:
        InputError: instead of what the block raised.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"--tracking-uri: {tracking_uri} does not work ({first_line(error)})") from error


def first_line(error: Exception) -> str:
    """The first line of an error's text."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _batches(entries: list[tuple[int, dict]]) -> Iterator[list[tuple[int, dict]]]:
    """Groups neighbouring metrics, which one call can carry; everything else goes alone."""
    group: list[tuple[int, dict]] = []
    for item in entries:
        if group and not (item[1]["kind"] == group[0][1]["kind"] == "metrics"):
            yield group
            group = []
        group.append(item)
    if group:
        yield group
