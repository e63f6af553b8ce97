"""One kill of a real process; `python -m tests.crash` does many, of all variants."""

import pathlib
import random
import signal
import subprocess
import time

from kgan import checkpoints, train, training
from kgan.journal import Journal
from tests import crash

# A checkpoint at each step: most of the time is spent writing, and even the fastest variant does not end too soon.
SETTINGS = {"steps": 100, "checkpoint_every": 1, "log_every": 3, "sample_every": 40}
OPTIONS = [word for name, value in SETTINGS.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def wait_until(process, condition) -> None:
    """Waits a minute at most for what a process is to do."""
    deadline = time.monotonic() + 60
    while not condition():
        assert goes_on(process, 0.02) and time.monotonic() < deadline


def goes_on(process: subprocess.Popen, seconds: float) -> bool:
    """Whether a process is still there after so long."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def begun(folder: pathlib.Path, step: int) -> bool:
    run = crash.run_in(folder)
    return run is not None and any(s >= step for s in checkpoints.steps(run / "checkpoints"))


def test_a_killed_process_loses_nothing(workplace, tmp_path_factory, monkeypatch):
    killed = tmp_path_factory.mktemp("killed")
    (killed / "mlruns").mkdir()
    (killed / "mlruns" / "mlflow.db").write_bytes((workplace / "mlruns" / "mlflow.db").read_bytes())
    process = crash.start(killed, "kgan.train", "--variant", "gan", *OPTIONS)
    wait_until(process, lambda: begun(killed, 10))
    assert goes_on(process, random.uniform(0, 0.2))  # the moment: anywhere between two checkpoints
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert Journal(crash.run_in(killed)).status is None
    train.main(["--variant", "gan", *OPTIONS])
    monkeypatch.chdir(killed)
    training.resume("latest", {})
    assert crash.outcome(killed) == crash.outcome(workplace)


def test_ctrl_c_leaves_a_checkpoint_and_a_word(workplace):
    process = crash.start(workplace, "kgan.train", "--variant", "gan", *OPTIONS)
    wait_until(process, lambda: begun(workplace, 10))
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert (workplace / "stderr").read_text().strip() == (
        "stopping after this step, with a checkpoint; once more leaves at once"
    )
    run = crash.run_in(workplace)
    last = checkpoints.steps(run / "checkpoints")[-1]
    assert (workplace / "stdout").read_text().splitlines()[-1] == (
        f"run {run.name} is KILLED; go on: python -m kgan.train --resume {run.name}"
    )
    assert Journal(run).status == "KILLED"
    assert checkpoints.read(checkpoints.path(run / "checkpoints", last)).step == last
