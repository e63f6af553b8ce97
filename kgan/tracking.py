"""A run: a folder that holds the truth, and a copy of it at an MLflow tracking server.

Everything a run has to say goes as one JSON line into its `journal.jsonl`; that is all the training thread does. A
`Sender` reads the journal and repeats it to MLflow, remembering how far it has come. It runs in a thread beside the
training, and again in `kgan.sync` for what a broken tracker did not take.
"""

import contextlib
import json
import logging
import os
import pathlib
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator

import filelock
from PIL import Image

from kgan.errors import InputError, near_misses
from kgan.files import write_atomic

ROOT = pathlib.Path("mlruns")
_JOURNAL = "journal.jsonl"
_SENT = "journal.sent"
_RUN = "run.json"
_LOCK = ".lock"
_METRICS_PER_CALL = 1000  # limits of MLflow's log_batch
_PARAMS_PER_CALL = 100
_DATA_NAME = 500  # characters that MLflow keeps
_TAIL = 4096  # bytes in which the last line of a journal is found
_PAUSE = 2.0  # seconds between two looks at the journal
_RETRY = 30.0  # seconds before a tracker that failed is tried again
_PATIENCE = 20.0  # seconds that the end of a run waits for the tracker


def default_tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI`, or the database in the runs' folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{ROOT / 'mlflow.db'}"


class Run:
    """A run that this process writes. Made by `start_run`; used as a context that settles the run's status."""

    def __init__(self, folder: pathlib.Path, tracking_uri: str, lock: filelock.FileLock, sender: "Sender"):
        self.folder = folder
        self.id = folder.name
        self.tracking_uri = tracking_uri
        self._lock = lock
        self._journal = (folder / _JOURNAL).open("a", encoding="utf-8")
        self._sender = sender

    def __enter__(self) -> "Run":
        self._sender.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace) -> None:
        status = "FINISHED"
        if error is not None:
            status = "KILLED" if isinstance(error, KeyboardInterrupt | SystemExit) else "FAILED"
        try:
            with contextlib.suppress(OSError):  # a full disk: the error that ended the run matters more
                if status == "FAILED":
                    text = "".join(traceback.format_exception(kind, error, trace))
                    write_atomic(self.folder / "traceback.txt", text.encode())
                    self.log_artifact("traceback.txt")
                self._say(kind="status", status=status)
                self._journal.close()
            if status != "FINISHED":
                self._sender.say(f"run {self.id} is {status}")
            self._sender.finish(_PATIENCE)
        finally:
            self._lock.release()

    @property
    def is_tracked(self) -> bool:
        """Whether the tracker has taken everything so far."""
        return self._sender.is_done()

    def log_params(self, params: dict) -> None:
        self._say(kind="params", values={name: str(value) for name, value in params.items()})

    def log_tags(self, tags: dict[str, str]) -> None:
        self._say(kind="tags", values=tags)

    def log_data(self, name: str, digest: str, profile: dict) -> None:
        self._say(kind="data", name=name, digest=digest, profile=profile)

    def log_metrics(self, step: int, values: dict[str, float]) -> None:
        self._say(kind="metrics", step=step, values=values)

    def log_image(self, key: str, step: int, picture: Image.Image) -> None:
        """Keeps a picture as `KEY/step-N.png` and shows it at that step."""
        path = self.folder / key / f"step-{step:07d}.png"
        path.parent.mkdir(exist_ok=True)
        picture.save(path)
        self._say(kind="image", key=key, step=step, file=str(path.relative_to(self.folder)))

    def log_artifact(self, file: str) -> None:
        """Announces a file of the run's folder."""
        self._say(kind="artifact", file=file)

    def _say(self, **entry) -> None:
        entry["time"] = int(time.time() * 1000)
        self._journal.write(json.dumps(entry) + "\n")
        self._journal.flush()


def start_run(tracking_uri: str, experiment: str, name: str, say: Callable[[str], None]) -> Run:
    """Opens a run at the tracker and the folder of the same name.

    Args:
        tracking_uri: of MLflow: `sqlite:///FILE`, `http://HOST` ...
        experiment: name of the MLflow experiment; made where it is missing.
        name: what the user interface calls the run.
        say: prints one line for a person.

    Raises:
        InputError: the tracker does not answer.
    """
    try:
        ROOT.mkdir(exist_ok=True)
        tempfile.TemporaryFile(dir=ROOT).close()
    except OSError as error:
        raise InputError(f"runs are written to {ROOT.resolve()}, which does not work ({error.strerror})") from None
    with _tracker_errors(tracking_uri):
        client = _client(tracking_uri)
        run = client.create_run(_experiment_id(client, tracking_uri, experiment), run_name=name)
    folder = ROOT / run.info.run_id
    folder.mkdir()
    lock = filelock.FileLock(folder / _LOCK)
    lock.acquire(timeout=0)
    about = {"tracking_uri": _absolute(tracking_uri), "experiment": experiment}
    write_atomic(folder / _RUN, json.dumps(about).encode())
    return Run(folder, tracking_uri, lock, Sender(folder, client, say))


class Sender(threading.Thread):
    """Repeats a run's journal to MLflow. Where the tracker fails it says so once, and tries again later."""

    def __init__(self, folder: pathlib.Path, client, say: Callable[[str], None]):
        super().__init__(daemon=True, name="kgan-tracker")
        self.folder = folder
        self.client = client
        self.say = say
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._failed = False

    def run(self) -> None:
        ending = False
        while not ending:
            self._wake.wait(_RETRY if self._failed else _PAUSE)
            ending = self._ending.is_set()
            try:
                self.send()
            except Exception as error:
                if not self._failed:
                    self.say(f"tracker: {_first_line(error)}; training goes on, the numbers are kept in {self.folder}")
                self._failed = True
            else:
                self._failed = False

    def finish(self, patience: float) -> None:
        """Sends the rest, for at most `patience` seconds, and says what to do where that fails."""
        self._ending.set()
        self._wake.set()
        self.join(patience)
        if not self.is_done():
            self.say(f"tracker: not everything was taken; send it later: python -m kgan.sync --run {self.folder.name}")

    def is_done(self) -> bool:
        return _position(self.folder) == (self.folder / _JOURNAL).stat().st_size

    def send(self) -> None:
        """Sends the complete lines that were not sent before; an exception of the client leaves them for next time."""
        position = _position(self.folder)
        with (self.folder / _JOURNAL).open("rb") as journal:
            journal.seek(position)
            lines = journal.readlines()
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        for batch in _batches([(len(line), json.loads(line)) for line in lines]):
            self._send_batch([entry for _, entry in batch])
            position += sum(length for length, _ in batch)
            write_atomic(self.folder / _SENT, str(position).encode())

    def _send_batch(self, entries: list[dict]) -> None:
        first = entries[0]
        if first["kind"] == "metrics":
            from mlflow.entities import Metric

            metrics = [Metric(k, v, e["time"], e["step"]) for e in entries for k, v in e["values"].items()]
            for i in range(0, len(metrics), _METRICS_PER_CALL):
                self.client.log_batch(self.folder.name, metrics=metrics[i : i + _METRICS_PER_CALL])
            return
        for entry in entries:
            getattr(self, f"_send_{entry['kind']}")(entry)

    def _send_params(self, entry: dict) -> None:
        from mlflow.entities import Param

        params = [Param(key, value) for key, value in entry["values"].items()]
        for i in range(0, len(params), _PARAMS_PER_CALL):
            self.client.log_batch(self.folder.name, params=params[i : i + _PARAMS_PER_CALL])

    def _send_tags(self, entry: dict) -> None:
        from mlflow.entities import RunTag

        self.client.log_batch(self.folder.name, tags=[RunTag(*item) for item in entry["values"].items()])

    def _send_data(self, entry: dict) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        digest = entry["digest"].removeprefix("sha256:")[:36]  # as much as MLflow keeps
        name = entry["name"][-_DATA_NAME:]
        data = Dataset(name, digest, "local", entry["name"], profile=json.dumps(entry["profile"]))
        self.client.log_inputs(self.folder.name, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])

    def _send_image(self, entry: dict) -> None:
        with Image.open(self.folder / entry["file"]) as picture:
            shown = picture.convert("RGB") if picture.mode == "LA" else picture.copy()
        self.client.log_image(self.folder.name, shown, key=entry["key"], step=entry["step"])

    def _send_artifact(self, entry: dict) -> None:
        self.client.log_artifact(self.folder.name, self.folder / entry["file"])

    def _send_status(self, entry: dict) -> None:
        self.client.set_terminated(self.folder.name, entry["status"], entry["time"])


def sync(folder: pathlib.Path, tracking_uri: str | None = None) -> None:
    """Sends what a run's tracker has not taken yet. A run whose process died is told as KILLED.

    Raises:
        InputError: the run is being written by a live process, or the tracker does not answer.
    """
    try:
        with filelock.FileLock(folder / _LOCK).acquire(timeout=0):
            uri = tracking_uri or _tracking_uri_of(folder)
            if _status(folder) is None:
                _settle(folder)
            with _tracker_errors(uri):
                Sender(folder, _client(uri), print).send()
    except filelock.Timeout:
        raise InputError(f"--run: {folder.name} is still being written by another process") from None


def _tracking_uri_of(folder: pathlib.Path) -> str:
    try:
        return json.loads((folder / _RUN).read_bytes())["tracking_uri"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"--run: {folder / _RUN} is missing or damaged ({type(error).__name__})") from None


def repair_stale_runs() -> list[str]:
    """Tells the trackers the rest of runs whose process is gone; one that did not end itself was KILLED.

    Returns:
        Their ids. A run whose tracker does not answer is left for `kgan.sync` and the next time.
    """
    repaired = []
    for about in sorted(ROOT.glob(f"*/{_RUN}")):
        folder = about.parent
        if not _is_told(folder):
            with contextlib.suppress(InputError):
                sync(folder)
                repaired.append(folder.name)
    return repaired


def find_run(run: str) -> pathlib.Path:
    """The folder of a run.

    Args:
        run: its id, the path of its folder, or an id that only the tracker (`MLFLOW_TRACKING_URI`) knows; of such a
            run the configuration and weights are fetched.

    Raises:
        InputError: there is no such run.
    """
    known = {path.parent.name: path.parent for path in ROOT.glob("*/config.json")}
    if run in known:
        return known[run]
    if (pathlib.Path(run) / "config.json").exists():
        return pathlib.Path(run)
    with contextlib.suppress(Exception):
        return _fetch(run)
    raise InputError(
        f"--run: there is no run {run!r} in {ROOT} or at {default_tracking_uri()}.{near_misses(run, known)}"
    )


def _fetch(run_id: str) -> pathlib.Path:
    client = _client(default_tracking_uri())
    client.get_run(run_id)
    folder = ROOT / run_id
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("weights.safetensors", "config.json"):
        client.download_artifacts(run_id, file, str(folder))
    return folder


def _client(tracking_uri: str):
    """An MLflow client that gives up within seconds and keeps quiet."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return mlflow.MlflowClient(_absolute(tracking_uri))


def _experiment_id(client, tracking_uri: str, name: str) -> str:
    found = client.get_experiment_by_name(name) if name else None
    if found is not None:
        return found.experiment_id
    # With a local database MLflow would put artifacts under the current directory: they belong to the runs' folder.
    local = tracking_uri.startswith("sqlite:")
    if not name or (local and pathlib.PurePath(name).parts != (name,)) or name == "..":
        raise InputError(f"--experiment: got {name!r}, expected a name that can be a folder's")
    return client.create_experiment(name, (ROOT / "artifacts" / name).resolve().as_uri() if local else None)


def _absolute(tracking_uri: str) -> str:
    """A relative database path made absolute, so that a run can be synced from another directory."""
    relative = tracking_uri.removeprefix("sqlite:///")
    return tracking_uri if relative == tracking_uri else f"sqlite:///{pathlib.Path(relative).resolve()}"


@contextlib.contextmanager
def _tracker_errors(tracking_uri: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"--tracking-uri: {tracking_uri} does not work ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _status(folder: pathlib.Path) -> str | None:
    """The status that ends a run's journal, or None while the run has not said its last word."""
    with (
        contextlib.suppress(FileNotFoundError, IndexError, ValueError, KeyError),
        (folder / _JOURNAL).open("rb") as file,
    ):
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        return json.loads(file.read().splitlines()[-1])["status"]
    return None


def _position(folder: pathlib.Path) -> int:
    """How many bytes of a run's journal its tracker has taken."""
    path = folder / _SENT
    return int(path.read_bytes()) if path.exists() else 0


def _is_told(folder: pathlib.Path) -> bool:
    """Whether a run has said its last word and its tracker has taken it."""
    return _status(folder) is not None and _position(folder) == (folder / _JOURNAL).stat().st_size


def _settle(folder: pathlib.Path) -> None:
    """Ends the journal of a dead process: as KILLED, when it last wrote; a line it left half written is dropped."""
    path = folder / _JOURNAL
    path.touch()
    changed = int(path.stat().st_mtime * 1000)
    with path.open("r+b") as journal:
        journal.truncate(journal.read().rfind(b"\n") + 1)
        journal.seek(0, os.SEEK_END)
        journal.write(json.dumps({"kind": "status", "status": "KILLED", "time": changed}).encode() + b"\n")


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
