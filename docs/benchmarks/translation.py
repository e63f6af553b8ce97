"""One training step of kgan's CycleGAN and pix2pix beside the same networks and algorithm in eager PyTorch, on a CPU.

    python docs/benchmarks/translation.py --torch PYTHON [--variant cyclegan] [--size 128] [--width 32] [--rounds 5]

PYTHON is the interpreter of an environment that has PyTorch and NumPy, which kgan does not need; without it kgan runs
alone. First both sides take two steps from the same weights on the same images: their networks must have the same
numbers of parameters and in float32 losses and gradients must agree (pix2pix with dropout off); losses of the second
step show that the optimizers do too. Then each has a process of its own on the same two cores and they take turns,
after a warm-up; figures are medians over the rounds. The images are in memory as float32, those of one domain count.

kgan's step is the one that `fit` compiles, without XLA, with all that it does for a training: means of its measures,
norms of the gradients, a look for numbers that are not finite. PyTorch's does nothing of that. bfloat16 is Keras'
mixed_bfloat16 and `torch.autocast`, each with what it leaves in float32. It takes two idle cores: PyTorch's threads
wait for each other spinning, and a neighbour slows them a hundredfold (far less with OMP_WAIT_POLICY=PASSIVE).
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

# A process starts with its parent's peak of memory: this one, which starts the others, imports nothing large.

Figures = dict[str, float]
Step = Callable[[], dict]  # one training step; the losses, as tensors

KGAN, TORCH = "kgan", "PyTorch"
VARIANTS, PRECISIONS = ("cyclegan", "pix2pix"), ("float32", "bfloat16")
CORES = 2
CHECKED, WARM_UP, WARM_UP_OF_A_TURN = 2, 3, 1  # steps
TOLERANCE = 1e-3  # in float32


@dataclasses.dataclass(frozen=True)
class Job:
    """What a contender's process does. `weights` is a file, `check` says whether it shows its losses or its speed."""

    contender: str
    variant: str
    precision: str
    size: int
    width: int
    batch: int
    lambda_identity: float
    weights: str
    check: bool = False


# A contender imports what it needs, then returns its versions and the function that makes the networks.

Build = Callable[[], tuple[dict[str, int], Step]]


def kgan_contender(job: Job) -> tuple[str, Build]:
    from kgan import options

    options.load_tensorflow()
    import keras
    import tensorflow as tf

    from kgan import environment, variants
    from kgan.layers.dropout import Dropout

    tf.config.threading.set_intra_op_parallelism_threads(CORES)
    tf.config.threading.set_inter_op_parallelism_threads(CORES)
    about = environment.describe()

    def build() -> tuple[dict[str, int], Step]:
        keras.config.set_dtype_policy({"bfloat16": "mixed_bfloat16"}.get(job.precision, job.precision))
        keras.utils.set_random_seed(0)
        own = {"lambda_identity": job.lambda_identity} if job.variant == "cyclegan" else {}
        model = variants.load(job.variant)((job.size, job.size, 3), width=job.width, **own)
        networks = {network.name: network for player in model.players for network in player.networks}
        if job.check:
            np.savez(job.weights, **arrays(networks))
            for layer in (layer for network in networks.values() for layer in network.layers):
                if isinstance(layer, Dropout):
                    layer.rate = 0.0  # the two sides draw other masks
        elif job.variant == "cyclegan":
            for pool in (model.pool_a, model.pool_b):  # as they are for nearly all of a training
                pool.images.assign(tf.random.uniform(pool.images.shape, -1.0, 1.0))
                pool.stored.assign(pool.size)
        model.compile(jit_compile=False)
        train, data = tf.function(model.train_step), tuple(map(tf.constant, images(job)))

        def step() -> dict:
            model.reset_metrics()
            return train(data)

        counts = {name: sum(int(np.prod(v.shape)) for v in n.trainable_variables) for name, n in networks.items()}
        return counts, step if job.check else lambda: train(data)

    def arrays(networks: dict) -> dict:
        return {f"{name}/{i}": v.numpy() for name, n in networks.items() for i, v in enumerate(n.trainable_variables)}

    versions = ", ".join(f"{name} {about[f'version.{name}']}" for name in ("kgan", "keras", "tensorflow"))
    return f"{about['hardware.cpu']}, {CORES} threads; {versions}", build


def torch_contender(job: Job) -> tuple[str, Build]:
    import torch
    import translation_torch

    torch.set_num_threads(CORES)

    def build() -> tuple[dict[str, int], Step]:
        with np.load(job.weights) as weights:
            return translation_torch.build(job, dict(weights), *images(job))

    return f"torch {torch.__version__}", build


def images(job: Job) -> np.ndarray:
    """Noise of both domains: what pictures show does not change the cost of a step."""
    shape = (2, job.batch, job.size, job.size, 3)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def contender(job: Job) -> None:
    """Is a contender's process: says what it is, then answers each line, a number of steps, with figures."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(f"{job.weights}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    os.dup2(2, 1)  # what a library prints is no answer
    versions, build = (kgan_contender if job.contender == KGAN else torch_contender)(job)
    libraries = peak()
    parameters, step = build()
    hello = {"versions": versions, "libraries": libraries, "parameters": parameters}
    if job.check:
        hello["losses"] = [{name: float(value) for name, value in step().items()} for _ in range(CHECKED)]
    else:
        run(step, WARM_UP)
    print(json.dumps(hello), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(timed(step, json.loads(line))), file=answers, flush=True)


def run(step: Step, steps: int) -> None:
    for _ in range(steps):
        losses = step()
    [float(value) for value in losses.values()]  # waits until they are computed


def timed(step: Step, steps: int) -> Figures:
    run(step, WARM_UP_OF_A_TURN)
    cpu, wall = time.process_time(), time.perf_counter()
    run(step, steps)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"wall": wall / steps, "cpu": cpu / steps, "peak": peak()}


def peak() -> float:
    """The most memory that this process has had, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes, or KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


class Child:
    """A contender in its process. `hello` is what it says of itself."""

    def __init__(self, python: str, job: Job, stack: contextlib.ExitStack):
        self.job = job
        command = [python, __file__, "--job", json.dumps(dataclasses.asdict(job))]
        pipe = subprocess.PIPE
        self._process = stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        self.hello = self._answer()

    def time(self, steps: int) -> Figures:
        """Figures of a turn, with the cores that other processes kept busy meanwhile."""
        start, busy = time.perf_counter(), self._others()
        print(json.dumps(steps), file=self._process.stdin, flush=True)
        answer = self._answer()
        return answer | {"others": max(0.0, (self._others() - busy) / (time.perf_counter() - start))}

    def _others(self) -> float:
        """CPU seconds that the machine has spent on anything but this contender."""
        import psutil  # the other environment may lack it

        own, all_of_it = psutil.Process(self._process.pid).cpu_times(), psutil.cpu_times()
        return all_of_it.user + all_of_it.nice + all_of_it.system - own.user - own.system

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        log = pathlib.Path(f"{self.job.weights}.log")
        return json.loads(line) if line else sys.exit(f"{self.job.contender} ended early\n{log.read_text()}")


def check(pythons: dict[str, str], job: Job) -> None:
    """Stops unless both sides are the same networks and, in float32, the same algorithm."""
    hellos = {}
    for name in (KGAN, TORCH):  # kgan writes the weights
        with contextlib.ExitStack() as stack:
            child = Child(pythons[name], dataclasses.replace(job, contender=name, check=True), stack)
            hellos[name] = child.hello
    ours, theirs = (hellos[name]["parameters"] for name in (KGAN, TORCH))
    if ours != theirs:
        sys.exit(f"{job.variant}: not the same networks, {ours} parameters in kgan, {theirs} in PyTorch")
    first, second = (differences(*pair) for pair in zip(*(hellos[name]["losses"] for name in hellos), strict=True))
    # After a step rounding decides on which side of a kink, of L1 say, some pixel is: that shows in gradients.
    second = {name: value for name, value in second.items() if name.endswith("loss")}
    worst = ", ".join(f"{max(step.values()):.1e} ({max(step, key=step.get)})" for step in (first, second))
    counts = ", ".join(f"{name} {count:,}" for name, count in ours.items())
    print(f"{job.variant}, {job.precision}: the same numbers of parameters ({counts})", flush=True)
    print(f"largest relative difference of the first step, of the second step's losses: {worst}", flush=True)
    if job.precision == "float32" and not np.max([*first.values(), *second.values()]) <= TOLERANCE:
        sys.exit(f"{job.variant}: not the same algorithm, expected at most {TOLERANCE:.0e}")


def differences(ours: Figures, theirs: Figures) -> Figures:
    """Relative, of each measure that both have."""
    return {name: abs(value - ours[name]) / max(abs(ours[name]), 1e-12) for name, value in theirs.items()}


def measure(
    pythons: dict[str, str], job: Job, steps: int, rounds: int
) -> tuple[dict[str, dict], dict[str, list[Figures]]]:
    """What the contenders say of themselves, and their figures of every round."""
    with contextlib.ExitStack() as stack:
        jobs = {name: dataclasses.replace(job, contender=name) for name in pythons}
        children = {name: Child(pythons[name], jobs[name], stack) for name in pythons}
        figures = {name: [] for name in children}
        for turn in range(rounds):
            for name in list(children)[:: -1 if turn % 2 else 1]:
                figures[name].append(children[name].time(steps))
    return {name: child.hello for name, child in children.items()}, figures


def table_rows(job: Job, hellos: dict[str, dict], figures: dict[str, list[Figures]]) -> list[str]:
    rows = []
    for name, rounds in figures.items():
        f = {key: statistics.median(turn[key] for turn in rounds) for key in rounds[0]}
        memory = f"{rounds[-1]['peak']:,.0f} | {rounds[-1]['peak'] - hellos[name]['libraries']:,.0f}"
        speed = f"{f['wall']:.3f} | {f['cpu']:.3f} | {job.batch / f['cpu']:.3g}"
        rows.append(f"| {job.variant} | {job.precision} | {name} | {speed} | {memory} |")
    return rows


def ratios(job: Job, figures: dict[str, list[Figures]]) -> str:
    pairs = list(zip(figures[KGAN], figures[TORCH], strict=True))
    wall, cpu = (statistics.median(a[key] / b[key] for a, b in pairs) for key in ("wall", "cpu"))
    return f"{job.variant}, {job.precision}: kgan takes x {wall:.2f} of PyTorch's time, x {cpu:.2f} of its CPU time"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", choices=VARIANTS, help="both when left out")
    parser.add_argument("--size", type=int, default=128, help="pixels of a side")
    parser.add_argument("--width", type=int, default=32, help="channels of the first layers")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--lambda-identity", type=float, default=0.5, help="of CycleGAN")
    parser.add_argument("--steps", type=int, default=10, help="of a turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--torch", metavar="PYTHON", help="an interpreter that has torch and numpy")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        return contender(Job(**json.loads(given.job)))
    if hasattr(os, "sched_setaffinity"):  # contenders inherit it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    pythons = {KGAN: sys.executable} | ({TORCH: given.torch} if given.torch else {})
    own = {name: getattr(given, name) for name in ("size", "width", "batch", "lambda_identity")}
    rows, notes, versions, others = [], [], {}, []
    with tempfile.TemporaryDirectory() as folder:
        for variant, precision in ((v, p) for v in VARIANTS if given.variant in (None, v) for p in PRECISIONS):
            job = Job(KGAN, variant, precision, **own, weights=f"{folder}/{variant}.npz")
            if given.torch:
                check(pythons, job)
            hellos, figures = measure(pythons, job, given.steps, given.rounds)
            rows += table_rows(job, hellos, figures)
            notes += [ratios(job, figures)] if given.torch else []
            versions |= {name: hello["versions"] for name, hello in hellos.items()}
            others += [turn["others"] for rounds in figures.values() for turn in rounds]
    titles = ("system", "precision", "", "seconds a step", "CPU-seconds a step", "images per CPU-second")
    titles += ("peak MiB", "of it above the libraries")
    print(f"\n| {' | '.join(titles)} |\n{'|---' * len(titles)}|", *rows, "", *notes, sep="\n")
    busy = f"{statistics.median(others):.2f} cores busy in the median turn, {max(others):.2f} at most"
    print(f"{'; '.join(versions.values())}; other processes kept {busy}")


if __name__ == "__main__":
    main()
