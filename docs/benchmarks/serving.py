"""An exported model's `serving_default` beside the same generator in eager Keras and in PyTorch, request by request.

    python docs/benchmarks/serving.py --run RUN --model DIR/NAME/VERSION [--torch PYTHON] [--requests 500] [--rounds 9]

The export is loaded through TensorFlow's C API, the loader and session of a model server; Keras and PyTorch compute
eagerly. PYTHON is the interpreter of an environment that has PyTorch and NumPy, which kgan does not need; without it
that contender is left out. Each contender has a process of its own on the same two cores, where it first proves that
it is the same generator. A request is one NumPy batch of latents in and one of images out; they come one after the
other, without a network or a protocol. Turns are interleaved, every turn is warmed up, figures are medians over the
rounds. Loading is the median over fresh processes; Keras' is that of the whole model of the run. It takes two idle
cores ("by others" near 0): PyTorch's threads wait for each other spinning, and a neighbour slows them a hundredfold.
"""

import argparse
import contextlib
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

Case = dict[str, np.ndarray]
Painter = Callable[[np.ndarray], np.ndarray]  # float32 latents [n, dim] -> float32 images [n, height, width, channels]
Figures = dict[str, float]

EXPORT, KERAS, TORCH = "exported, C API", "eager Keras", "eager PyTorch"
NCHW, NHWC = f"{TORCH}, NCHW", f"{TORCH}, channels_last"
CORES, STARTS = 2, 3
WARM_UP = 0.5  # seconds
BATCHES = (1, 32)
TOLERANCE = 1e-4
UNITS = {"requests": "requests/s", "images": "images/s", "p50": "p50 ms", "p99": "p99 ms", "cpu": "CPU ms an image"}


def make_case(given: argparse.Namespace) -> Case:
    """What the contenders need: the weights, what must come out, the tensors of the export's signature."""
    from kgan import options

    options.load_tensorflow()
    from kgan import environment, state, tracking, verification

    model = state.load_model(tracking.find_run(given.run))
    latents = model.latents(max(BATCHES), seed=0)
    signature = verification._signatures(pathlib.Path(given.model))["serving_default"]
    tensors = np.array([signature.inputs["z"].name, signature.outputs["images"].name])
    images = model.generator(latents, training=False).numpy()
    print(environment.describe()["hardware.cpu"])
    weights = {variable.path: np.asarray(variable.value) for variable in model.generator.variables}
    return {"latents": latents.numpy(), "images": images, "tensors": tensors} | weights


# A contender imports what it needs, then returns the function that loads the generator.


def keras_loader(given: argparse.Namespace, case: Case) -> Callable[[], Painter]:
    from kgan import options

    options.load_tensorflow()
    from kgan import state, tracking

    def load() -> Painter:
        generator = state.load_model(tracking.find_run(given.run)).generator
        return lambda z: generator(z, training=False).numpy()

    return load


def export_loader(given: argparse.Namespace, case: Case) -> Callable[[], Painter]:
    from kgan import verification

    api = verification._api(str(verification._library()))
    feed, fetch = map(str, case["tensors"])

    def load() -> Painter:
        session = verification._Session(api, given.model)
        return lambda z: session.run({feed: z}, [fetch])[0]

    return load


def torch_loader(given: argparse.Namespace, case: Case) -> Callable[[], Painter]:
    import torch

    torch.set_num_threads(CORES)

    def load() -> Painter:
        weights = {name: torch.from_numpy(value) for name, value in case.items() if "/" in name}
        if "project/kernel" in weights:
            paint = torch_dcgan(torch, weights, channels_last=given.contender == NHWC)
        else:
            paint = torch_mlp(torch.nn, weights, case["images"].shape[1:])
        return torch.inference_mode()(lambda z: paint(torch.from_numpy(z)))

    return load


def torch_mlp(nn, weights: dict, image_shape: tuple[int, ...]) -> Callable:
    """Tensor of latents -> array of images, by the multilayer perceptron."""
    h0, h1, y = (nn.Linear(*weights[f"{name}/kernel"].shape) for name in ("h0", "h1", "y"))
    net = nn.Sequential(h0, nn.ReLU(), h1, nn.ReLU(), y, nn.Sigmoid())
    fill(net, [w.T if w.ndim == 2 else w for w in weights.values()])
    return lambda z: (net(z) * 2 - 1).view(-1, *image_shape).numpy()


def torch_dcgan(torch, weights: dict, channels_last: bool) -> Callable:
    """Tensor of latents -> array of images, by the convolutional generator.

    Of a transposed convolution of size 5 and stride 2 Keras' "same" cuts one row at the start and two at the end,
    `padding=2, output_padding=1` two at the start and one at the end. So all maps are mirrored here, which costs no
    request anything: the weights are mirrored once, and NumPy shows the image the right way round without a copy.
    """
    nn, sides = torch.nn, sorted({int(name.split("/")[0].split("_")[1]) for name in weights if "_" in name})
    stack = []
    for before, after in itertools.pairwise(sides):
        out, channels = weights[f"up_{after}/kernel"].shape[2:]
        up = {"padding": 2, "output_padding": 1, "bias": f"up_{after}/bias" in weights}
        stack += [nn.BatchNorm2d(channels, eps=1e-5), nn.ReLU(inplace=True)]
        stack.append(nn.ConvTranspose2d(channels, out, 5, 2, **up))
        if cut := after - 2 * before:
            stack.append(nn.ZeroPad2d((cut, 0, cut, 0)))  # below 0 it crops: at the start, as the maps are mirrored
    kernel = weights["project/kernel"].unflatten(1, (sides[0], sides[0], -1)).flip(1, 2)
    kernel = kernel if channels_last else kernel.permute(0, 3, 1, 2)
    shape, order = kernel.shape[1:], (0, 3, 1, 2) if channels_last else (0, 1, 2, 3)
    project, net = nn.Linear(len(kernel), shape.numel(), bias=False), nn.Sequential(*stack, nn.Tanh())
    others = [w.permute(3, 2, 0, 1).flip(2, 3) if w.ndim == 4 else w for w in list(weights.values())[1:]]
    fill(nn.ModuleList([project, net]), [kernel.flatten(1).T, *others])
    net = net.to(memory_format=torch.channels_last) if channels_last else net
    return lambda z: net(project(z).view(-1, *shape).permute(order)).permute(0, 2, 3, 1).numpy()[:, ::-1, ::-1]


def fill(net, weights: list) -> None:
    """Gives a network its weights: Keras' variables and PyTorch's state have the same order."""
    names = [name for name in net.state_dict() if not name.endswith("num_batches_tracked")]
    net.load_state_dict(dict(zip(names, weights, strict=True)), strict=False)
    net.eval()


def contender(given: argparse.Namespace) -> None:
    """Is a contender's process: says how it loaded and how far off it is, then answers each line with figures."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(f"{given.case}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    os.dup2(2, 1)  # what a library prints is no answer
    with np.load(given.case, allow_pickle=False) as file:
        case = dict(file)
    latents, images = case["latents"], case["images"]
    stamps = [time.perf_counter()]
    load = {EXPORT: export_loader, KERAS: keras_loader}.get(given.contender, torch_loader)(given, case)
    stamps.append(time.perf_counter())
    paint = load()
    stamps.append(time.perf_counter())
    paint(latents[:1])
    stamps.append(time.perf_counter())
    off = np.max([difference(paint(latents[:rows]), images[:rows]) for rows in BATCHES])
    hello = dict(zip(("library", "load", "first"), np.diff(stamps).tolist(), strict=True), off=float(off))
    print(json.dumps(hello), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(timed(paint, latents.shape[1], *json.loads(line))), file=answers, flush=True)


def difference(got: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(got - expected).max()) if got.shape == expected.shape else float("inf")


def timed(paint: Painter, dim: int, rows: int, requests: int) -> Figures:
    latents = np.random.default_rng(0).uniform(-1, 1, (requests, rows, dim)).astype(np.float32)
    warm = time.perf_counter() + WARM_UP
    while time.perf_counter() < warm:
        paint(latents[0])
    seconds, cpu = [], time.process_time()
    for z in latents:
        start = time.perf_counter()
        paint(z)
        seconds.append(time.perf_counter() - start)
    cpu = 1e3 * (time.process_time() - cpu) / (requests * rows)
    p50, p99 = (1e3 * np.percentile(seconds, (50, 99))).tolist()
    rate = requests / sum(seconds)
    return {"requests": rate, "images": rate * rows, "p50": p50, "p99": p99, "cpu": cpu}


class Child:
    """A contender in its process. `hello` is how it loaded and how far off its images are."""

    def __init__(self, given: argparse.Namespace, case: pathlib.Path, name: str, stack: contextlib.ExitStack):
        self.name, self._log = name, pathlib.Path(f"{case}.log")
        python = given.torch if name.startswith(TORCH) else sys.executable
        command = [python, __file__, "--run", given.run, "--model", given.model, "--case", case, "--contender", name]
        pipe = subprocess.PIPE
        self._process = stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
        self.hello = self._answer()

    def time(self, rows: int, requests: int) -> Figures:
        """Figures of a turn, with the cores that other processes kept busy meanwhile."""
        start, busy = time.perf_counter(), self._others()
        print(json.dumps([rows, requests]), file=self._process.stdin, flush=True)
        answer = self._answer()
        return answer | {"others": max(0.0, (self._others() - busy) / (time.perf_counter() - start))}

    def _others(self) -> float:
        """CPU seconds that the machine has spent on anything but this contender."""
        import psutil  # the other environment may lack it

        own, all_of_it = psutil.Process(self._process.pid).cpu_times(), psutil.cpu_times()
        return all_of_it.user + all_of_it.nice + all_of_it.system - own.user - own.system

    def _answer(self) -> Figures:
        line = self._process.stdout.readline()
        return json.loads(line) if line else sys.exit(f"{self.name} ended early\n{self._log.read_text()}")


def started(given: argparse.Namespace, case: pathlib.Path, name: str, stack: contextlib.ExitStack) -> Child:
    """The last of some processes of a contender, with the medians of them all as its `hello`."""
    hellos = []
    for _ in range(STARTS - 1):
        with contextlib.ExitStack() as own:
            hellos.append(Child(given, case, name, own).hello)
    child = Child(given, case, name, stack)
    off = np.max([hello["off"] for hello in [*hellos, child.hello]])
    print(f"{name}: off by {off:.2g} at most", flush=True)
    if not off <= TOLERANCE:
        sys.exit(f"{name}: not the same generator, expected at most {TOLERANCE:.0e}")
    child.hello = median([*hellos, child.hello])
    return child


def median(figures: list[Figures]) -> Figures:
    return {key: statistics.median(f[key] for f in figures) for key in figures[0]}


def take_turns(children: list[Child], requests: int, rounds: int) -> dict[tuple[int, str], list[Figures]]:
    """Figures of every round, by batch size and contender."""
    figures = {(rows, child.name): [] for rows in BATCHES for child in children}
    for turn in range(rounds):
        for rows in BATCHES:
            for i in range(len(children)):
                child = children[(turn + i) % len(children)]
                figures[rows, child.name].append(child.time(rows, requests))
    return figures


def show(hellos: dict[str, Figures], figures: dict[tuple[int, str], list[Figures]]) -> None:
    table("", "library s", "load s", "first request ms")
    for name, hello in hellos.items():
        print(f"| {name} | {hello['library']:.2f} | {hello['load']:.3f} | {1e3 * hello['first']:.1f} |")
    table("", "batch", *UNITS.values(), "cores busy", "by others")
    for (rows, name), f in ((key, median(rounds)) for key, rounds in figures.items()):
        cells = " | ".join(number(f[key]) for key in UNITS)
        print(f"| {name} | {rows} | {cells} | {f['cpu'] * f['images'] / 1e3:.2f} | {f['others']:.2f} |")
    print()
    for (rows, name), theirs in figures.items():
        pairs = list(zip(figures[rows, EXPORT], theirs, strict=True))
        faster, cheaper = (statistics.median(b[key] / a[key] for a, b in pairs) for key in ("p50", "cpu"))
        if name != EXPORT:
            print(f"batch {rows}, {EXPORT}, against {name}: x {faster:.2f} by p50, x {cheaper:.2f} by CPU time")


def show_line(given: argparse.Namespace, case: Case, hellos: dict[str, Figures], figures: dict) -> None:
    """The model in one line; in a cell are the export, Keras and the faster of PyTorch's layouts."""
    size = sum(file.stat().st_size for file in pathlib.Path(given.model).rglob("*") if file.is_file())
    titles = ["export, bytes", "weights, bytes", "load s"]
    cells = [f"{size:,}", f"{sum(value.nbytes for name, value in case.items() if '/' in name):,}"]
    for rows in BATCHES:
        medians = {name: median(figures[rows, name]) for name in hellos}
        layouts = sorted((name for name in hellos if name.startswith(TORCH)), key=lambda name: medians[name]["p50"])
        names = [EXPORT, KERAS, *layouts[:1]]
        if rows == BATCHES[0]:
            cells.append(" / ".join(f"{hellos[name]['load']:.3f}" for name in names))
        titles += [f"{UNITS[key]} at {rows}" for key in ("p50", "p99", "images")]
        cells += [" / ".join(number(medians[name][key]) for name in names) for key in ("p50", "p99", "images")]
        print(f"below, at {rows}: {' / '.join(names)}")
    table(*titles)
    print(f"| {' | '.join(cells)} |")


def table(*titles: str) -> None:
    print(f"\n| {' | '.join(titles)} |\n{'|---' * len(titles)}|")


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", required=True)
    parser.add_argument("--model", required=True, help="DIR/NAME/VERSION, exported from the run")
    parser.add_argument("--torch", metavar="PYTHON", help="an interpreter that has torch and numpy")
    parser.add_argument("--requests", type=int, default=500, help="of a turn")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.contender:
        return contender(given)
    if hasattr(os, "sched_setaffinity"):  # contenders inherit it; TensorFlow takes as many threads
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with contextlib.ExitStack() as stack:
        path = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory())) / "case.npz"
        case = make_case(given)
        np.savez(path, **case)
        layouts = [NCHW, NHWC] if "project/kernel" in case else [TORCH]
        children = [started(given, path, name, stack) for name in (EXPORT, KERAS, *(layouts if given.torch else ()))]
        figures = take_turns(children, given.requests, given.rounds)
    hellos = {child.name: child.hello for child in children}
    show(hellos, figures)
    show_line(given, case, hellos, figures)


if __name__ == "__main__":
    main()
