"""Kills trainings at random moments, resumes them, and compares what they end with to trainings that never stopped.

    python -m tests.crash --kills 200

Every training is a process of its own, killed by SIGKILL after a random share of the time that an undisturbed one
takes: while it imports, opens its tracker, traces, trains, writes, settles. It is resumed by `--resume`, killed again,
and after some kills left to finish. Then its last checkpoint must have the digest of the undisturbed run's, and its
tracker every measure of every logged step once, with the undisturbed run's values.
"""

import argparse
import collections
import dataclasses
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import mlflow

from kgan import checkpoints, variants
from kgan.journal import Journal

REPOSITORY = pathlib.Path(__file__).parents[1]
KILLS_PER_RUN = 8
OPTIONS = ["--steps", "400", "--checkpoint-every", "5", "--log-every", "3", "--sample-every", "40"]
OWN = {
    "images": ["--width", "16", "--batch-size", "100"],  # 18 steps are an epoch of the digits
    "paired": ["--width", "4", "--batch-size", "3", "--image-size", "24"],
    "unpaired": ["--width", "4", "--batch-size", "3", "--image-size", "24", "--blocks", "1", "--pool", "8"],
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a finished training leaves: the digest of its last checkpoint, and the tracker's (name, step, value)s."""

    digest: str
    measures: tuple[tuple[str, int, float], ...]


def start(folder: pathlib.Path, *arguments: str) -> subprocess.Popen:
    """Starts `python -m ARGUMENTS` with a folder as its current directory; what it says goes to files there."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    with (folder / "stdout").open("a") as out, (folder / "stderr").open("a") as err:
        command = [sys.executable, "-m", *arguments]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=err)


def run_in(folder: pathlib.Path) -> pathlib.Path | None:
    """The one run in the folder that has written down what it is, if there is one yet."""
    return next((path.parent for path in (folder / "mlruns").glob("*/config.json")), None)


def own(variant: str) -> list[str]:
    """The options of a small model of a variant."""
    return OWN[variants.load(variant).data]


def next_command(folder: pathlib.Path, variant: str) -> list[str]:
    """What a person would do now: start the training, resume it, or tell the tracker that it has finished."""
    run = run_in(folder)
    if run is None:
        return ["kgan.train", "--variant", variant, *OPTIONS, *own(variant)]
    finished = Journal(run).status == "FINISHED"
    return ["kgan.sync", "--run", run.name] if finished else ["kgan.train", "--resume", "latest"]


def outcome(folder: pathlib.Path) -> Outcome:
    """Reads what the one finished run in a folder has left."""
    run = run_in(folder)
    last = checkpoints.steps(run / "checkpoints")[-1]
    digest = checkpoints.read_header(checkpoints.path(run / "checkpoints", last)).digest
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}")
    stored = client.get_run(run.name)
    assert stored.info.status == "FINISHED", stored.info.status
    names = sorted(set(stored.data.metrics) - {"images_per_second"})
    measures = [(name, m.step, m.value) for name in names for m in client.get_metric_history(run.name, name)]
    return Outcome(digest, tuple(sorted(measures)))


def undisturbed(folder: pathlib.Path, variant: str) -> tuple[Outcome, float]:
    """The outcome of a training that nobody kills, and its seconds."""
    begun = time.monotonic()
    code = start(folder, "kgan.train", "--variant", variant, *OPTIONS, *own(variant)).wait()
    if code:
        raise SystemExit(f"the undisturbed training of {variant} failed: {(folder / 'stderr').read_text()}")
    return outcome(folder), time.monotonic() - begun


def kill_and_resume(folder: pathlib.Path, variant: str, delays: list[float]) -> collections.Counter:
    """Trains, kills after each of the delays in turn, resumes, and at last lets it finish.

    Returns:
        How many kills there were, by what the run was doing.

    Raises:
        SystemExit: a training that was not killed left with an error.
    """
    kills = collections.Counter()
    for delay in [*delays, None]:
        arguments = next_command(folder, variant)
        process = start(folder, *arguments)
        try:
            code = process.wait(delay)
        except subprocess.TimeoutExpired:
            kills[_doing(folder)] += 1
            process.kill()
            process.wait()
            continue
        if code:
            raise SystemExit(f"{' '.join(arguments)} in {folder} failed: {(folder / 'stderr').read_text()}")
        break
    return kills


def _doing(folder: pathlib.Path) -> str:
    if run_in(folder) is None:
        return "before the run began"
    if any((folder / "mlruns").glob("*/checkpoints/.step-*")):
        return "inside the write of a checkpoint"
    said = (folder / "stdout").read_text().splitlines()
    return "while it trained" if said and said[-1].startswith("step ") else "while it started or resumed"


def main() -> None:
    """Runs a campaign and reports its count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    kills, runs, failures = collections.Counter(), 0, 0
    with tempfile.TemporaryDirectory() as place:
        expected = {}
        for variant in variants.names():
            folder = pathlib.Path(place, variant)
            folder.mkdir()
            expected[variant] = undisturbed(folder, variant)
            print(f"{variant}: {expected[variant][1]:.0f} s undisturbed", flush=True)
        while kills.total() < arguments.kills:
            variant = variants.names()[runs % len(variants.names())]
            runs += 1
            folder = pathlib.Path(place, f"run-{runs}")
            folder.mkdir()
            outcome_expected, seconds = expected[variant]
            delays = [draw.uniform(0, seconds) for _ in range(KILLS_PER_RUN)]
            kills += kill_and_resume(folder, variant, delays)
            same = outcome(folder) == outcome_expected
            failures += not same
            print(f"{variant} {runs}: {kills.total()} kills, {'the same' if same else 'OTHER'}", flush=True)
    for doing, count in sorted(kills.items()):
        print(f"{count:5d} kills {doing}")
    print(f"{kills.total()} kills in {runs} runs: {failures} ended otherwise than undisturbed ones")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
