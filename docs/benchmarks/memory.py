"""Watches the memory of a training from outside: whether it stays as it is, and how much the images take of it.

    python docs/benchmarks/memory.py --variant dcgan --data FOLDER_OF_MNIST [options of kgan.train] --steps 2000

Everything is on that a training has: measures, pictures, checkpoints, the tracker.
"""

import pathlib
import subprocess
import sys
import tempfile
import time

import psutil

from kgan.journal import Journal

LINES = 10  # of the table


def main() -> None:
    command = [sys.executable, "-m", "kgan.train", *sys.argv[1:]]
    with tempfile.TemporaryDirectory() as place:
        process = subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL)
        seen = dict(watched(process, pathlib.Path(place)))
    if process.returncode:
        raise SystemExit(process.returncode)
    steps = sorted(seen)
    print("| step | MiB |\n|---|---|")
    for step in sorted({*steps[:: max(1, len(steps) // LINES)], steps[-1]}):
        print(f"| {step:,} | {seen[step] / 2**20:,.0f} |")


def watched(process: subprocess.Popen, place: pathlib.Path):
    """The last step that a training has told of and the memory it holds, again and again until it ends."""
    of = psutil.Process(process.pid)
    while process.poll() is None:
        for folder in place.glob("mlruns/*/"):
            step = max((entry.get("step", 0) for entry in Journal(folder).entries()), default=0)
            yield step, of.memory_info().rss
        time.sleep(0.5)


if __name__ == "__main__":
    main()
