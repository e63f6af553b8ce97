"""Trains the systems without classes on equal CPU time, for docs/ledger.md.

    python docs/benchmarks/families.py MNIST_FOLDER [--minutes 10] [--seeds 3] [--variants gan,dcgan]

Each variant's CPU seconds (user and system, of the whole process) per step are measured first, in float32: the
difference between trainings of 250 and of 50 steps. Then every seed trains for as many steps as fit into the minutes,
with `--precision mixed_bfloat16` for as many as in float32, and its best and last checkpoints are judged. DCGAN's
networks all have the same width; SN-GAN has its CNN, which works at full size and is wide as its first layer says, and
setting C of its table 1; other settings are each recipe's own. Runs lie in mlruns of the current folder; one that is
there already is not trained again.
"""

import argparse
import json
import pathlib
import resource
import subprocess
import sys

from kgan.journal import Journal

RECIPES = {
    "gan": {},
    "dcgan": {"width": 32},
    "lsgan": {"width": 32},
    "wgan": {"width": 32},
    "wgan-gp": {"network": "dcgan", "width": 32},
    "sngan": {"network": "cnn", "width": 16, "n_critic": 1, "beta_1": 0.5, "beta_2": 0.999},
}
SHORT, LONG = 50, 250  # steps
EVALUATIONS = 3  # in a training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", default=",".join(RECIPES))
    parser.add_argument("--precision", default="float32")
    arguments = parser.parse_args()
    for variant in arguments.variants.split(","):
        common = ["--variant", variant, "--data", arguments.data]
        common += [
            word for name, value in RECIPES[variant].items() for word in (f"--{name.replace('_', '-')}", str(value))
        ]
        per_step = seconds_per_step(common)
        every = max(1, round(60 * arguments.minutes / per_step / EVALUATIONS / 10)) * 10
        print(f"{variant}: {per_step:.4f} CPU seconds a step, {EVALUATIONS * every} steps", flush=True)
        for seed in range(arguments.seeds):
            train_and_judge(common, arguments.precision, seed, EVALUATIONS * every, every)


def seconds_per_step(options: list[str]) -> float:
    """As measured, or as an earlier call has."""
    file = pathlib.Path("seconds_per_step.json")
    known = json.loads(file.read_text()) if file.exists() else {}
    named = " ".join(options)
    if named not in known:
        quiet = ["--precision", "float32", "--experiment", "timing", "--sample-every", "100000", "--log-every", "1000"]
        short, long = (cpu_seconds("kgan.train", *options, *quiet, "--steps", str(n)) for n in (SHORT, LONG))
        known[named] = (long - short) / (LONG - SHORT)
        file.write_text(json.dumps(known, indent=2) + "\n")
    return known[named]


def train_and_judge(options: list[str], precision: str, seed: int, steps: int, every: int) -> None:
    wanted = {"variant": options[1], "data": options[3], "precision": precision, "seed": seed, "steps": steps}
    run = find(wanted)
    if run is None:
        judged = ["--evaluate-every", str(every), "--evaluate-metrics", "fid,coverage"]
        judged += ["--precision", precision, "--steps", str(steps), "--seed", str(seed)]
        took = cpu_seconds("kgan.train", *options, *judged)
        print(f"  seed {seed}: {took / 60:.1f} CPU minutes with the start and {EVALUATIONS} evaluations", flush=True)
    elif Journal(run).status != "FINISHED":
        cpu_seconds("kgan.train", "--resume", str(run))
    run = find(wanted)
    if not (run / "judged").exists():
        cpu_seconds("kgan.evaluate", "--run", str(run), "--metrics", "fid,coverage", "--num", "10000")
        (run / "judged").touch()
    print(f"  seed {seed}: {run}", flush=True)


def find(wanted: dict[str, object]) -> pathlib.Path | None:
    """The run of these settings, finished or not."""
    for file in pathlib.Path("mlruns").glob("*/config.json"):
        recorded = json.loads(file.read_text())
        known = {**recorded["recipe"], **recorded["settings"]}
        if {**known, **wanted, **RECIPES[wanted["variant"]]} == known:
            return file.parent
    return None


def cpu_seconds(*command: str) -> float:
    """Of a command of this program: what it and the processes that it started took of all cores."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", *command], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
