"""How long kgan takes to start: until it is imported, has shown its help, has done the first step of a training.

    python docs/benchmarks/start.py [--rounds 5] [--variant gan ...]

Options after the rounds are of the training. Each round is of fresh processes, in whose way nothing should be; figures
are medians. kgan's own share is what remains of the time to the first step, as the run's journal tells it, without the
imports of TensorFlow and MLflow.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from kgan.journal import Journal

ALONE = {
    "python": ["-c", "pass"],
    "import kgan": ["-c", "import kgan"],
    "import tensorflow": ["-c", "import tensorflow"],
    "import mlflow": ["-c", "import mlflow"],
    "kgan.train --help": ["-m", "kgan.train", "--help"],
    "kgan.train --variant cyclegan --help": ["-m", "kgan.train", "--variant", "cyclegan", "--help"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    arguments, training = parser.parse_known_args()
    rounds = [measured(training) for _ in range(arguments.rounds)]
    found = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
    libraries = found["import tensorflow"] + found["import mlflow"] - 2 * found["python"]
    found["kgan's own share of it"] = found["first step of a training"] - libraries
    for name, seconds in found.items():
        print(f"{name:<40}{seconds:>7.2f} s")


def measured(training: list[str]) -> dict[str, float]:
    """Seconds, of each."""
    found = {}
    for name, command in ALONE.items():
        started = time.perf_counter()
        subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
        found[name] = time.perf_counter() - started
    return found | {"first step of a training": first_step(training)}


def first_step(training: list[str]) -> float:
    """From the start of the process until the journal has the measures of step 1."""
    command = [sys.executable, "-m", "kgan.train", *training, "--steps", "1", "--log-every", "1"]
    with tempfile.TemporaryDirectory() as place:
        started = time.time()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=place)
        (folder,) = (file.parent for file in pathlib.Path(place).glob("mlruns/*/run.json"))
        told = [entry["time"] for entry in Journal(folder).entries() if entry["kind"] == "metrics"]
    return told[0] / 1000 - started


if __name__ == "__main__":
    main()
