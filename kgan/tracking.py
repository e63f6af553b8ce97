"""A run: a folder that holds the truth, and a copy of it at an MLflow tracking server.

Everything a run has to say goes as one JSON line into its journal; that is all the training thread does. A `Sender`
reads the journal and repeats it to MLflow, remembering how far it has come. It runs in a thread beside the training,
and again in `kgan.sync` for what a broken tracker did not take.
"""

import contextlib
import json
import os
import pathlib
import re
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator

import filelock
from PIL import Image

from kgan.errors import InputError, RunError, near_misses
from kgan.files import read_small, write_atomic
from kgan.journal import Journal
from kgan.sender import Sender, absolute, open_client, tracker_errors

ROOT = pathlib.Path("mlruns")
CONFIG = "config.json"
CHECKPOINTS = "checkpoints"
BEST = "best"
EVALUATIONS = "evaluations"
_RUN = "run.json"
_LOCK = ".lock"


def default_tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI`, or the database in the runs' folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{ROOT / 'mlflow.db'}"


class Run:
    """A run that this process writes. Made by `start_run` or `open_run`; a context that settles the run's status."""

    def __init__(self, folder: pathlib.Path, tracking_uri: str, lock: filelock.FileLock, sender: Sender):
        self.folder = folder
        self.id = folder.name
        self.tracking_uri = tracking_uri
        self._lock = lock
        self._journal = Journal(folder)
        self._sender = sender
        self._logged: dict[str, int] = {}
        for entry in self._journal.entries():
            self._note(entry)

    def __enter__(self) -> "Run":
        self._sender.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace) -> None:
        try:
            self._end(kind, error, trace)
            self._sender.finish()
        finally:
            self._lock.release()

    def _end(self, kind: type | None, error: BaseException | None, trace) -> None:
        """Says how the run ended."""
        status = "FINISHED"
        if error is not None:
            status = "KILLED" if isinstance(error, KeyboardInterrupt | SystemExit) else "FAILED"
        with contextlib.suppress(OSError, RunError):  # a full disk: the error that ended the run matters more
            if status == "FAILED":
                text = "".join(traceback.format_exception(kind, error, trace))
                write_atomic(self.folder / "traceback.txt", text.encode())
                self.log_artifact("traceback.txt")
            self._say(kind="status", status=status)
        if status != "FINISHED":
            self._sender.say(f"run {self.id} is {status}; go on: python -m kgan.train --resume {self.id}")

    @property
    def is_tracked(self) -> bool:
        """Whether the tracker has taken everything so far."""
        return self._journal.is_sent

    def has(self, what: str, step: int = 0) -> bool:
        """Whether "metrics", "data", a tag ... or the picture of a key were logged at this step or a later one.

        A resumed run comes by such steps a second time; they are not logged again.
        """
        return step <= self._logged.get(what, -1)

    @property
    def pictures(self) -> list[pathlib.Path]:
        """The folders of the pictures that were logged."""
        return [self.folder / what for what in self._logged if (self.folder / what).is_dir()]

    def log_params(self, params: dict) -> None:
        self._say(kind="params", values={name: str(value) for name, value in params.items()})

    def log_tags(self, tags: dict[str, str]) -> None:
        self._say(kind="tags", values=tags)

    def log_data(self, name: str, digest: str, profile: dict) -> None:
        self._say(kind="data", name=name, digest=digest, profile=profile)

    def log_metrics(self, step: int, values: dict[str, float], key: str = "metrics") -> None:
        """Logs numbers of a step, once for each key."""
        if not self.has(key, step):
            self._say(kind="metrics", key=key, step=step, values=values)

    def log_image(self, key: str, step: int, picture: Image.Image) -> None:
        """Keeps a picture as `KEY/step-N.png` and shows it at that step.

        Raises:
            RunError: it cannot be written.
        """
        path = self.folder / key / f"step-{step:07d}.png"
        try:
            path.parent.mkdir(exist_ok=True)
            picture.save(path)
        except OSError as error:
            raise RunError(f"the run cannot write {path} ({error.strerror})") from error
        self._say(kind="image", key=key, step=step, file=str(path.relative_to(self.folder)))

    def metrics(self, key: str) -> Iterator[tuple[int, dict[str, float]]]:
        """The numbers that were logged under a key so far, by step."""
        for entry in self._journal.entries():
            if entry["kind"] == "metrics" and entry.get("key", "metrics") == key:
                yield entry["step"], entry["values"]

    def log_artifact(self, file: str) -> None:
        """Announces a file of the run's folder."""
        self._say(kind="artifact", file=file)

    def log_evaluation(self, step: int, values: dict[str, float], document: list[dict]) -> pathlib.Path:
        """Keeps what a checkpoint was judged to be: a file of its own, and the values by name.

        Args:
            step: of the checkpoint.
            values: what the tracker draws.
            document: each value with its protocol, as JSON can hold it.

        Returns:
            The file.

        Raises:
            RunError: it cannot be written.
        """
        folder = self.folder / EVALUATIONS
        try:
            folder.mkdir(exist_ok=True)
            numbers = [
                int(name[1]) for name in (re.search(r"-(\d+)\.json$", file.name) for file in folder.iterdir()) if name
            ]
            path = folder / f"step-{step:07d}-{max(numbers, default=-1) + 1}.json"
            write_atomic(path, json.dumps(document, indent=1).encode())
        except OSError as error:
            raise RunError(f"the run cannot write {folder} ({error.strerror})") from error
        self._say(kind="evaluation", step=step, file=str(path.relative_to(self.folder)), values=values)
        return path

    def log_resumed(self, step: int) -> None:
        """Says that the run goes on after this step."""
        self._say(kind="resumed", step=step)

    def _say(self, **entry) -> None:
        self._journal.append(**entry)
        self._note(entry)

    def _note(self, entry: dict) -> None:
        kind = entry["kind"]
        for what in entry["values"] if kind == "tags" else [entry.get("key", kind)]:
            self._logged[what] = max(entry.get("step", 0), self._logged.get(what, -1))

    def flush(self) -> None:
        """Makes what was logged last through a power cut."""
        self._journal.flush()


class _Reopened(Run):
    """A run that has ended and is added to: its last word stays what it was."""

    def _end(self, kind: type | None, error: BaseException | None, trace) -> None:
        self._say(**self.last_word)


def start_run(tracking_uri: str, experiment: str, name: str, say: Callable[[str], None]) -> Run:
    """Opens a run at the tracker and the folder of the same name.

    Args:
        tracking_uri: of MLflow: `sqlite:///FILE`, `http://HOST` ...
        experiment: name of the MLflow experiment; made where it is missing.
        name: what the user interface calls the run.
        say: prints one line for a person.

    Raises:
        InputError: the tracker does not answer, or the runs' folder cannot be written.
    """
    try:
        ROOT.mkdir(exist_ok=True)
        tempfile.TemporaryFile(dir=ROOT).close()
    except OSError as error:
        raise InputError(f"runs are written to {ROOT.resolve()}, which does not work ({error.strerror})") from None
    with tracker_errors(tracking_uri):
        client = open_client(tracking_uri)
        run_id = _create_run(client, tracking_uri, experiment, name)
    folder = ROOT / run_id
    about = {"tracking_uri": absolute(tracking_uri), "tracker_run_id": run_id, "experiment": experiment, "name": name}
    about["started"] = time.time_ns() // 1000  # microseconds
    lock = filelock.FileLock(folder / _LOCK, thread_local=False)  # another thread may end the run
    try:
        folder.mkdir()
        lock.acquire(timeout=0)
        _write_about(folder, about)
    except OSError as error:
        client.set_terminated(run_id, "FAILED")
        raise InputError(f"runs are written to {ROOT.resolve()}, which does not work ({error.strerror})") from None
    return Run(folder, tracking_uri, lock, Sender(folder, run_id, lambda: client, say))


def open_run(
    folder: pathlib.Path, lock: filelock.FileLock, tracking_uri: str | None, say: Callable[[str], None]
) -> Run:
    """Opens a run that has stopped, to go on.

    Args:
        folder: of the run.
        lock: what `locked` gave for it.
        tracking_uri: of MLflow, where it is to be another than before. A tracker that does not know the run gets all
            of it. The run's own tracker need not answer: the journal keeps what it missed.
        say: prints one line for a person.

    Raises:
        InputError: the folder is damaged, or the other tracker does not answer.
    """
    with _unwritable(folder):
        Journal(folder).mend()
        about = _connect(folder, tracking_uri)
    return Run(folder, about["tracking_uri"], lock, _sender(folder, about, say))


@contextlib.contextmanager
def reopened(folder: pathlib.Path) -> Iterator[Run]:
    """Opens a run that has ended, to add to what is known of it: its status and its end stay what they were.

    Raises:
        InputError: another process is writing it, or it does not lie in `ROOT`: a folder that somebody handed over
            must not choose where this process connects to.
    """
    if folder.resolve().parent != ROOT.resolve() or not (folder / _RUN).exists():
        raise InputError(f"{folder} is no run of {ROOT}")
    with locked(folder) as lock:
        with _unwritable(folder):
            about = _about(folder)
            journal = Journal(folder)
            journal.settle()
        run = _Reopened(folder, about["tracking_uri"], lock, _sender(folder, about, print))
        run.last_word = journal.last_word
        with run:
            yield run


def _sender(folder: pathlib.Path, about: dict, say: Callable[[str], None]) -> Sender:
    return Sender(folder, about["tracker_run_id"], lambda: open_client(about["tracking_uri"]), say)


@contextlib.contextmanager
def locked(folder: pathlib.Path) -> Iterator[filelock.FileLock]:
    """Holds a run, so that no other process writes it.

    Raises:
        InputError: another process does, the folder cannot be written, or holds what no run writes: a link, a pipe ...
    """
    _check_files(folder)
    lock = filelock.FileLock(folder / _LOCK)
    try:
        with _unwritable(folder):
            lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(f"the run {folder.name} is still being written by another process") from None
    try:
        yield lock
    finally:
        lock.release()


def sync(folder: pathlib.Path, tracking_uri: str | None = None) -> None:
    """Sends what a run's tracker has not taken yet. A run whose process died is told as KILLED.

    Args:
        folder: of the run.
        tracking_uri: as for `open_run`.

    Raises:
        InputError: the run is being written by a live process, or the tracker does not answer.
    """
    with locked(folder), _unwritable(folder):
        _about(folder)  # a folder that is no run is left as it is
        Journal(folder).settle()
        about = _connect(folder, tracking_uri)
        with tracker_errors(about["tracking_uri"]):
            _sender(folder, about, print).send()


def repair_stale_runs(tracking_uri: str) -> list[str]:
    """Tells a tracker the rest of its runs whose process is gone; one that did not end itself was KILLED.

    Args:
        tracking_uri: of the tracker. Runs of others are left for `kgan.sync`: a folder that somebody handed over must
            not choose, unasked, where this process connects to.

    Returns:
        Their ids. Where the tracker does not answer they are left for the next time.
    """
    repaired = []
    for path in sorted(ROOT.glob(f"*/{_RUN}")):
        folder = path.parent
        with contextlib.suppress(InputError):
            _check_files(folder)
            journal = Journal(folder)
            own = _about(folder)["tracking_uri"] == absolute(tracking_uri)
            if own and (journal.status is None or not journal.is_sent):
                sync(folder)
                repaired.append(folder.name)
    return repaired


def _check_files(folder: pathlib.Path) -> None:
    """Raises InputError for what no run writes into its folder: what is written there would land elsewhere."""
    for path in (folder, *folder.rglob("*")):
        if path != folder and path.is_symlink():
            raise InputError(f"the run {folder.name} holds a link, {path}; a run must lie in its own folder")
        if path.exists() and not (path.is_dir() or path.is_file()):
            raise InputError(f"the run {folder.name} holds {path}, which is no regular file")


@contextlib.contextmanager
def _unwritable(folder: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except filelock.Timeout:
        raise
    except OSError as error:
        raise InputError(f"the run {folder} cannot be written ({error.strerror})") from None


def find_run(run: str, option: str = "--run") -> pathlib.Path:
    """The folder of a run.

    Args:
        run: its id, the path of its folder, or an id that only the tracker (`MLFLOW_TRACKING_URI`) knows; of such a
            run the configuration and the checkpoints are fetched.
        option: what the error names.

    Raises:
        InputError: there is no such run.
    """
    known = {path.parent.name: path.parent for file in (CONFIG, _RUN) for path in ROOT.glob(f"*/{file}")}
    if run in known:
        return known[run]
    if (pathlib.Path(run) / CONFIG).exists():
        return pathlib.Path(run).resolve()
    with contextlib.suppress(Exception):
        return _fetch(run)
    raise InputError(
        f"{option}: there is no run {run!r} in {ROOT} or at {default_tracking_uri()}.{near_misses(run, known)}"
    )


def find_own_run(run: str) -> pathlib.Path:
    """The folder of a run that can go on: its journal is there, not only what a tracker has of it.

    Args:
        run: its id, the path of its folder, or "latest": the one started last of those that have not finished and that
            no process is writing.

    Raises:
        InputError: there is no such run.
    """
    if run == "latest":
        return _latest_unfinished()
    folder = find_run(run, "--resume")
    if not (folder / _RUN).exists():
        raise InputError(f"--resume: {folder} has no {_RUN}: it is a copy of a run, which can only be read")
    return folder


def tracker_of(folder: pathlib.Path) -> tuple[str, str]:
    """The tracking URI of a run, and its id there.

    A folder that somebody handed over must not choose where this process connects to: only runs that lie in `ROOT` are
    asked, others are looked for at the default tracker.

    Raises:
        InputError: the folder is damaged.
    """
    if folder.resolve().parent == ROOT.resolve() and (folder / _RUN).exists():
        about = _about(folder)
        return about["tracking_uri"], about["tracker_run_id"]
    return default_tracking_uri(), folder.name


def _latest_unfinished() -> pathlib.Path:
    started = {}
    for path in ROOT.glob(f"*/{_RUN}"):
        folder = path.parent
        with contextlib.suppress(InputError), locked(folder):
            if Journal(folder).status != "FINISHED" and (folder / CONFIG).exists():
                started[folder] = _about(folder)["started"]
    if not started:
        raise InputError(f"--resume: no run in {ROOT} is unfinished; name one by its id")
    return max(started, key=started.__getitem__)


def _fetch(run_id: str) -> pathlib.Path:
    """Downloads what a run can be used with. The names of files are ours, never the tracker's."""
    client = open_client(default_tracking_uri())
    client.get_run(run_id)
    folder = ROOT / run_id
    names = (
        (place, pathlib.PurePosixPath(file.path).name)
        for place in (CHECKPOINTS, BEST)
        for file in client.list_artifacts(run_id, place)
    )
    files = [f"{place}/{name}" for place, name in names if re.fullmatch(r"step-[0-9]+\.safetensors", name)]
    ROOT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=ROOT) as loaded:
        # Where MLflow puts a file of a folder depends on where it keeps its artifacts.
        places = {file: client.download_artifacts(run_id, file, loaded) for file in (CONFIG, *files)}
        for file, place in places.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            os.replace(place, folder / file)
    return folder


def _connect(folder: pathlib.Path, tracking_uri: str | None) -> dict:
    """What the run knows of its tracker, after another one has taken the place of it where one is named."""
    about = _about(folder)
    if tracking_uri is None:
        return about
    with tracker_errors(tracking_uri):
        client = open_client(tracking_uri)
        about["tracking_uri"] = absolute(tracking_uri)
        if not _knows(client, about["tracker_run_id"]):
            about["tracker_run_id"] = _create_run(client, tracking_uri, about["experiment"], about["name"])
            Journal(folder).position = 0
    _write_about(folder, about)
    return about


def _knows(client, run_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise
    return True


def _about(folder: pathlib.Path) -> dict:
    try:
        about = json.loads(read_small(folder / _RUN))
        strings = ("tracking_uri", "tracker_run_id", "experiment", "name")
        if not (all(isinstance(about[key], str) for key in strings) and isinstance(about["started"], int)):
            raise ValueError("not what this program writes")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{folder / _RUN} is missing or damaged ({type(error).__name__})") from None
    return about


def _write_about(folder: pathlib.Path, about: dict) -> None:
    write_atomic(folder / _RUN, json.dumps(about).encode())


def _create_run(client, tracking_uri: str, experiment: str, name: str) -> str:
    return client.create_run(_experiment_id(client, tracking_uri, experiment), run_name=name).info.run_id


def _experiment_id(client, tracking_uri: str, name: str) -> str:
    found = client.get_experiment_by_name(name) if name else None
    if found is not None:
        return found.experiment_id
    # With a local database MLflow would put artifacts under the current directory: they belong to the runs' folder.
    local = tracking_uri.startswith("sqlite:")
    if not name or (local and pathlib.PurePath(name).parts != (name,)) or name == "..":
        raise InputError(f"--experiment: got {name!r}, expected a name that can be a folder's")
    return client.create_experiment(name, (ROOT / "artifacts" / name).resolve().as_uri() if local else None)
