"""One training step of each of kgan's systems beside the same networks and algorithm in eager PyTorch, on a CPU.

    python docs/benchmarks/peers.py --torch PYTHON --json docs/benchmarks/peers.json [--variants gan,dcgan]

PYTHON is the interpreter of an environment that has PyTorch and NumPy, which kgan does not need; without it kgan runs
alone. First both sides take two steps from the same weights on the same images, with the same latents and with dropout
off: their networks must have the same numbers of parameters and in float32 losses and norms of gradients must agree;
those of the second step show that the optimizers do too. Then each has a process of its own on the same two cores and
they take turns, after a warm-up; figures are medians over the rounds. The images are in memory as float32, and those
count that a step takes of the data, of one domain where there are two. The JSON file keeps its other rows, so that
variants can be measured one by one.

kgan's step is the one that `fit` compiles, without XLA as on a CPU by default, with all that it does for a
training: means of its measures, norms of the gradients, a look for numbers that are not finite. PyTorch's does nothing
of that; where there are maps it runs in both memory layouts, and the one that takes less CPU time counts. bfloat16 is
Keras' mixed_bfloat16 and `torch.autocast`, each with what it leaves in float32. It takes two idle cores: PyTorch's
threads wait for each other spinning, and a neighbour slows them a hundredfold (far less with OMP_WAIT_POLICY=PASSIVE).
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
from collections.abc import Callable, Iterable

import numpy as np

# A process starts with its parent's peak of memory: this one, which starts the others, imports nothing large.

Figures = dict[str, float]
Pythons = dict[str, str]  # interpreters of the contenders
Step = Callable[[], dict]  # one training step; the losses, as tensors

KGAN, TORCH = "kgan", "PyTorch"  # contenders
LAYOUTS = ("contiguous_format", "channels_last")  # of PyTorch's maps
DENSE, TRANSLATING, LABELLED = ("gan", "cgan"), ("cyclegan", "pix2pix"), ("cgan", "acgan", "projection")
PRECISIONS = ("float32", "bfloat16")
CLASSES, CORES = 10, 2
CHECKED, WARM_UP = 2, 3  # steps
SQUARES = 1e-8  # of the gradients before the check
SETTLING = 100  # power iterations after which PyTorch's further ones change no singular value
TOLERANCES = {"loss": 1e-3, "norm": 1e-2}  # in float32; gradients may be small differences of large numbers


@dataclasses.dataclass(frozen=True)
class System:
    """What is measured of a variant.

    Attributes:
        size: pixels of a side.
        width: what the variant calls so.
        batch: images of an update.
        options: those of its recipe that decide what a step does.
    """

    variant: str
    size: int
    width: int
    batch: int
    options: dict[str, str | int] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        return " ".join([self.variant, *filter(None, [self.options.get("network")])])

    @property
    def translates(self) -> bool:
        return self.variant in TRANSLATING

    @property
    def channels(self) -> int:
        return 3 if self.translates else 1

    @property
    def rounds(self) -> int:
        """The batches of a step."""
        return self.options.get("n_critic", 1)

    @property
    def images(self) -> int:
        """The images of a step."""
        return self.batch * self.rounds


SYSTEMS = (  # batches are the recipes'
    System("gan", 28, 1200, 100),
    System("dcgan", 28, 64, 128),
    System("lsgan", 28, 64, 64),
    System("wgan", 28, 64, 64, {"n_critic": 5}),
    System("wgan-gp", 28, 64, 64, {"network": "dcgan", "n_critic": 5}),
    System("wgan-gp", 28, 16, 64, {"network": "resnet", "n_critic": 5}),
    System("sngan", 28, 32, 64, {"network": "cnn", "n_critic": 1}),
    System("sngan", 28, 8, 64, {"network": "resnet", "n_critic": 5}),
    System("cgan", 28, 1200, 100),
    System("acgan", 28, 192, 100),
    System("projection", 28, 8, 64, {"n_critic": 5}),
    System("cyclegan", 128, 32, 1),
    System("pix2pix", 256, 32, 1),
)
VARIANTS = tuple(dict.fromkeys(system.variant for system in SYSTEMS))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job(System):
    """What a contender's process does.

    Attributes:
        handed: a file of what kgan hands over.
        check: whether the process shows its losses or its speed.
    """

    contender: str
    precision: str
    handed: str
    layout: str
    check: bool = False


# A contender imports what it needs, then returns its versions and the function that makes the networks.

Build = Callable[[], tuple[dict[str, int], Step]]


def kgan_contender(job: Job) -> tuple[str, Build]:
    from kgan import options

    options.load_tensorflow()
    import keras
    import tensorflow as tf

    from kgan import environment, variants

    tf.config.threading.set_intra_op_parallelism_threads(CORES)
    tf.config.threading.set_inter_op_parallelism_threads(CORES)
    about = environment.describe()

    def build() -> tuple[dict[str, int], Step]:
        keras.config.set_dtype_policy({"bfloat16": "mixed_bfloat16"}.get(job.precision, job.precision))
        keras.utils.set_random_seed(0)
        told = {"classes": CLASSES} if job.variant in LABELLED else {}
        shape = (job.size, job.size, job.channels)
        model = variants.load(job.variant)(shape, width=job.width, **told, **job.options)
        networks = {network.name: network for player in model.players for network in player.networks}
        if job.check:
            prepare(networks)
            np.savez(job.handed, **arrays(networks), **({} if job.translates else draws(job, model)))
        elif job.variant == "cyclegan":
            for pool in (model.pool_a, model.pool_b):  # as they are for nearly all of a training
                pool.images.assign(tf.random.uniform(pool.images.shape, -1.0, 1.0))
                pool.stored.assign(pool.size)
        model.compile(jit_compile=False)
        if job.check:
            start(model.optimizers.values())
        train, data = tf.function(model.train_step), tuple(map(tf.constant, make_data(job)))

        def step() -> dict:
            model.reset_metrics()
            return train(data)

        counts = {name: sum(int(np.prod(v.shape)) for v in n.trainable_variables) for name, n in networks.items()}
        return counts, step if job.check else lambda: train(data)

    versions = ", ".join(f"{name} {about[f'version.{name}']}" for name in ("kgan", "keras", "tensorflow"))
    return f"{about['hardware.cpu']}, {CORES} threads; {versions}", build


def prepare(networks: dict) -> None:
    """Makes kgan's networks such that PyTorch's can do the same."""
    from kgan.layers import spectral_normalization
    from kgan.layers.dropout import Dropout

    for network in networks.values():
        for layer in network.layers:
            if isinstance(layer, Dropout):
                layer.rate = 0.0  # the two sides draw other masks
        for _ in range(SETTLING):
            spectral_normalization.advance(network)


def start(optimizers: Iterable) -> None:
    """Gives RMSprop mean squares to start from.

    From zeros its first updates are of the same length for all weights, and rounding decides in which direction where
    a gradient is near 0.
    """
    import keras

    rmsprops = (optimizer for optimizer in optimizers if isinstance(optimizer, keras.optimizers.RMSprop))
    for variable in (variable for optimizer in rmsprops for variable in optimizer.variables):
        if "velocity" in variable.path:
            variable.assign(np.full(variable.shape, SQUARES))


def arrays(networks: dict) -> dict[str, np.ndarray]:
    """Weights of kgan's networks, and the singular vectors of their spectral norms."""
    kinds = {
        "weights": lambda network: network.trainable_variables,
        "directions": lambda network: [layer.u for layer in network.layers if hasattr(layer, "u")],
    }
    return {
        f"{name}/{kind}/{i}": variable.numpy()
        for name, network in networks.items()
        for kind, of in kinds.items()
        for i, variable in enumerate(of(network))
    }


def draws(job: Job, model) -> dict[str, np.ndarray]:
    """What kgan draws in the steps of the check, in its order: `latents` and, for a gradient penalty, `epsilon`."""
    rounds = range(job.rounds)
    if job.variant in ("dcgan", "lsgan", "acgan"):
        streams = ["latents"]
    else:
        streams = ["latents_d" if job.variant == "cgan" else f"latents_{i}" for i in rounds]
        streams.append("latents_g" if job.variant == "cgan" else "latents")
    drawn = {"latents": [], "epsilon": []}
    for step in range(CHECKED):
        model.step.assign(step)
        drawn["latents"] += [model.sample_prior(stream, job.batch) for stream in streams]
        drawn["epsilon"] += [model.noise.uniform(f"epsilon_{i}", step, [job.batch, 1, 1, 1]) for i in rounds]
    model.step.assign(0)
    return {name: np.stack(values) for name, values in drawn.items()}


def torch_contender(job: Job) -> tuple[str, Build]:
    import peers_torch
    import torch

    torch.set_num_threads(CORES)

    def build() -> tuple[dict[str, int], Step]:
        with np.load(job.handed) as handed:
            return peers_torch.build(job, dict(handed), make_data(job))

    return f"torch {torch.__version__}", build


def make_data(job: Job) -> tuple[np.ndarray, ...]:
    """A step's images, of both domains where there are two, and labels. What noise shows costs what pictures do."""
    random, shape = np.random.default_rng(0), (job.images, job.size, job.size, job.channels)
    images = [random.uniform(-1, 1, shape).astype(np.float32) for _ in range(2 if job.translates else 1)]
    return (*images, *([random.integers(0, CLASSES, job.images)] if job.variant in LABELLED else []))


def contender(job: Job) -> None:
    """Is a contender's process: says what it is, then answers each line, a number of seconds, with figures."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(f"{job.handed}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    os.dup2(2, 1)  # what a library prints is no answer
    versions, build = (torch_contender if job.contender == TORCH else kgan_contender)(job)
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


def timed(step: Step, seconds: float) -> Figures:
    """Figures of about as many seconds, after a step that warms up."""
    started = time.perf_counter()
    run(step, 1)
    steps = max(1, round(seconds / (time.perf_counter() - started)))
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

    def __init__(self, pythons: Pythons, job: Job, stack: contextlib.ExitStack):
        self.job = job
        command = [pythons[job.contender], __file__, "--job", json.dumps(dataclasses.asdict(job))]
        pipe = subprocess.PIPE
        self._process = stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        self.hello = self._answer()

    def time(self, seconds: float) -> Figures:
        """Figures of a turn, with the cores that other processes kept busy meanwhile."""
        start, busy = time.perf_counter(), self._others()
        print(json.dumps(seconds), file=self._process.stdin, flush=True)
        answer = self._answer()
        return answer | {"others": max(0.0, (self._others() - busy) / (time.perf_counter() - start))}

    def _others(self) -> float:
        """CPU seconds that the machine has spent on anything but this contender."""
        import psutil  # the other environment may lack it

        own, all_of_it = psutil.Process(self._process.pid).cpu_times(), psutil.cpu_times()
        return all_of_it.user + all_of_it.nice + all_of_it.system - own.user - own.system

    def _answer(self) -> dict:
        line = self._process.stdout.readline()
        log = pathlib.Path(f"{self.job.handed}.log")
        return json.loads(line) if line else sys.exit(f"{self.job.contender} ended early\n{log.read_text()}")


def check(pythons: Pythons, job: Job) -> None:
    """Stops unless both sides are the same networks and, in float32, the same algorithm."""
    hellos = {}
    for name in (KGAN, TORCH):  # kgan writes what it hands over
        with contextlib.ExitStack() as stack:
            child = Child(pythons, dataclasses.replace(job, contender=name, check=True), stack)
            hellos[name] = child.hello
    ours, theirs = (hellos[name]["parameters"] for name in (KGAN, TORCH))
    if ours != theirs:
        sys.exit(f"{job.name}: not the same networks, {ours} parameters in kgan, {theirs} in PyTorch")
    steps = [differences(*pair) for pair in zip(*(hellos[name]["losses"] for name in hellos), strict=True)]
    worst = {
        kind: np.max([step[name] for step in steps for name in step if name.endswith(kind)]) for kind in TOLERANCES
    }
    told = ", ".join(f"{kind} {value:.1e}" for kind, value in worst.items())
    counts = ", ".join(f"{name} {count:,}" for name, count in ours.items())
    print(f"{job.name}, {job.precision}: {counts} parameters; largest relative differences: {told}", flush=True)
    if job.precision == "float32" and not all(worst[kind] <= limit for kind, limit in TOLERANCES.items()):
        sys.exit(f"{job.name}: not the same algorithm, expected at most {TOLERANCES}")


def differences(ours: Figures, theirs: Figures) -> Figures:
    """Relative, of each measure that both have. Of losses to the step's largest: those of scores may be near 0."""
    largest = max(abs(value) for name, value in ours.items() if name.endswith("loss"))
    scales = {name: largest if name.endswith("loss") else abs(ours[name]) for name in theirs}
    return {name: abs(value - ours[name]) / max(scales[name], 1e-12) for name, value in theirs.items()}


@dataclasses.dataclass
class Result:
    """What a contender has shown: what it says of itself, and the figures of every round."""

    job: Job
    hello: dict
    rounds: list[Figures]

    def median(self, figure: str) -> float:
        return statistics.median(turn[figure] for turn in self.rounds)

    def row(self) -> dict:
        """What `--json` tells of it."""
        job, seconds = self.job, self.median("wall")
        options = job.options | {"width": job.width, "size": job.size}
        return {
            "variant": job.variant,
            "options": ", ".join(f"{name} {value}" for name, value in options.items()),
            "precision": job.precision,
            "batch": job.batch,
            "contender": job.contender,
            "layout": job.layout if job.contender == TORCH else None,
            "seconds_per_step": seconds,
            "images_per_second": job.images / seconds,
            "images_per_cpu_second": job.images / self.median("cpu"),
            "peak_mib": self.rounds[-1]["peak"],
            "libraries_mib": self.hello["libraries"],
            "others": self.median("others"),
        }


def measure(pythons: Pythons, jobs: Iterable[Job], seconds: float, rounds: int) -> list[Result]:
    """The contenders in turns, of PyTorch's layouts the one that takes less CPU time."""
    with contextlib.ExitStack() as stack:
        children = [Child(pythons, job, stack) for job in jobs]
        results = [Result(child.job, child.hello, []) for child in children]
        pairs = list(zip(children, results, strict=True))
        for turn in range(rounds):
            for child, result in pairs[:: -1 if turn % 2 else 1]:
                result.rounds.append(child.time(seconds))
    results.sort(key=lambda result: result.median("cpu"))
    best = {result.job.contender: result for result in reversed(results)}
    return [best[name] for name in pythons]


def contenders(pythons: Pythons, system: System, precision: str, folder: str) -> list[Job]:
    """Their jobs; PyTorch has one for each layout, where there are maps."""
    about = dataclasses.asdict(system) | {"precision": precision, "handed": f"{folder}/{system.name}.npz"}
    first, *others = LAYOUTS
    jobs = [Job(**about, contender=name, layout=first) for name in pythons]
    if TORCH in pythons and system.variant not in DENSE:
        jobs += [Job(**about, contender=TORCH, layout=layout) for layout in others]
    return jobs


def keep(path: pathlib.Path, rows: list[dict]) -> None:
    """Puts rows into a JSON file, in place of those that tell of the same."""
    names = ("variant", "options", "precision", "contender")
    kept = json.loads(path.read_text()) if path.exists() else []
    found = {tuple(row[name] for name in names): row for row in [*kept, *rows]}
    path.write_text(json.dumps(list(found.values()), indent=2) + "\n")


def table_row(row: dict) -> str:
    """A line of what is printed at the end."""
    words = [row[name] or "" for name in ("variant", "options", "precision", "contender", "layout")]
    speeds = [f"{row[name]:.3g}" for name in ("seconds_per_step", "images_per_second", "images_per_cpu_second")]
    memory = [f"{mib:,.0f}" for mib in (row["peak_mib"], row["peak_mib"] - row["libraries_mib"])]
    return f"| {' | '.join([*words, *speeds, *memory])} | {row['others']:.2f} |"


def systems(given: argparse.Namespace) -> list[System]:
    """Those that are asked for, with what is asked of them."""
    own = {name: value for name in ("size", "width", "batch") if (value := getattr(given, name)) is not None}
    return [dataclasses.replace(system, **own) for system in SYSTEMS if system.variant in given.variants.split(",")]


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--variants", default=",".join(VARIANTS), help="separated by commas; all when left out")
    made.add_argument("--size", type=int, help="pixels of a side")
    made.add_argument("--width", type=int, help="what the variant calls width")
    made.add_argument("--batch", type=int)
    made.add_argument("--seconds", type=float, default=5, help="of a turn")
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--torch", metavar="PYTHON", help="an interpreter that has torch and numpy")
    made.add_argument("--json", metavar="FILE", type=pathlib.Path, help="where to keep the figures of each contender")
    made.add_argument("--job", help=argparse.SUPPRESS)
    return made


def main() -> None:
    given = parser().parse_args()
    if given.job:
        return contender(Job(**json.loads(given.job)))
    if unknown := set(given.variants.split(",")) - set(VARIANTS):
        sys.exit(f"--variants: got {', '.join(unknown)}, expected some of {','.join(VARIANTS)}")
    if hasattr(os, "sched_setaffinity"):  # contenders inherit it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    pythons = {KGAN: sys.executable, **({TORCH: given.torch} if given.torch else {})}
    found, versions = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for system in systems(given):
            results = []
            for precision in PRECISIONS:
                jobs = contenders(pythons, system, precision, folder)
                if given.torch:
                    check(pythons, jobs[0])
                results += measure(pythons, jobs, given.seconds, given.rounds)
            versions |= {result.job.contender: result.hello["versions"] for result in results}
            rows = [result.row() for result in results]
            found += rows
            if given.json:
                keep(given.json, rows)
    titles = ("system", "options", "precision", "", "layout", "seconds a step", "images/s", "images per CPU-second")
    titles += ("peak MiB", "of it above the libraries", "cores busy otherwise")
    print(f"\n| {' | '.join(titles)} |\n{'|---' * len(titles)}|", *map(table_row, found), sep="\n")
    print(f"\n{'; '.join(dict.fromkeys(versions.values()))}")


if __name__ == "__main__":
    main()
