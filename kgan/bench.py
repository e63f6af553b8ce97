"""`python -m kgan.bench`: measures how fast a system trains, samples and is served here."""

import argparse
import contextlib
import dataclasses
import json as json_module
import pathlib
import subprocess
import sys
import typing
from typing import Literal

import click
import yaml

from kgan import options, variants
from kgan.errors import InputError
from kgan.settings import Settings

if typing.TYPE_CHECKING:
    from kgan.benchmarking import Figures

_PAGE = pathlib.Path("docs/benchmarks.md")
_TEXTS = pathlib.Path("docs/benchmarks.yaml")  # head and tail of the page
_PEERS = pathlib.Path("docs/benchmarks/peers.json")
_RATES = {
    "train": "training step",
    "input": "input pipeline alone",
    "sample": "sampling",
    "served": "exported model",
}
_NUMBERS = {
    "seconds_to_first_step": "seconds to the first step",
    "waiting": "share of time waiting for data",
    "gflop_per_image": "GFLOP an image of a training step",
    "matrix_product_gflops": "GFLOP/s of a matrix product (of CPU time, of a GPU)",
    "share_of_matrix_product": "share of it that a training step reaches",
    "peak_memory_mib": "peak memory, MiB",
    "peak_gpu_memory_mib": "peak GPU memory, MiB",
}


def bench(
    variant: str = Settings.variant,
    data: str | None = None,
    image_size: int | None = None,
    batch_size: int | None = None,
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto",
    jit: Literal["auto", "on", "off"] = "auto",
    json: bool = False,
    **recipe: object,
) -> None:
    """Measures a system on this machine: training, input pipeline, sampling, export, memory.

    Args:
        variant: the system.
        data: what it trains on, as for kgan.train.
        image_size: side of the images; the data set's own where none is given.
        batch_size: images of one update; the recipe's where none is given.
        precision: number format of the networks.
        jit: compile the step with XLA.
        json: print one JSON object instead of a table.
        **recipe: hyper-parameters that differ from the variant's recipe.
    """
    from kgan import benchmarking, datasets, training

    settings = Settings(variant, data, image_size=image_size, batch_size=batch_size, precision=precision, jit=jit)
    with contextlib.redirect_stdout(sys.stderr if json else sys.stdout):  # notes on the data
        found = datasets.for_training(settings).train
        figures = benchmarking.measure(training.resolve(settings, recipe, found), found)
    print(json_module.dumps(dataclasses.asdict(figures)) if json else _table(figures))


def _table(figures: "Figures") -> str:
    """What `measure` found, a line for each figure."""
    found = dataclasses.asdict(figures)
    shape = "x".join(map(str, found["image_shape"]))
    settings = f"{shape}, batches of {found['batch_size']}, {found['precision']}, jit {found['jit']}"
    lines = [f"{found['variant']} on {found['data']}: {settings}", f"{'':24}{'images/s':>12}{'images/CPU-second':>20}"]
    for name, text in _RATES.items():
        lines.append(
            f"{text:<24}{found[name]['images_per_second']:>12.4g}{found[name]['images_per_cpu_second']:>20.4g}"
        )
    lines += [f"{text:<52}{found[name]:>12.3g}" for name, text in _NUMBERS.items() if found[name] is not None]
    return "\n".join(lines)


def command(variant: str) -> click.Command:
    """The command with the options of a variant's recipe."""
    parameters = options.from_signature(bench, skip=("recipe",))
    text = "every system in float32 and bfloat16 on what comes with the program, each in a process of its own, to "
    parameters.append(click.Option(["--all"], is_flag=True, help=f"{text}{_PAGE}"))
    parameters += options.from_signature(variants.outline(variant), skip=(variants.TOTAL_STEPS,))
    return click.Command("bench", callback=_bench, params=parameters, help=bench.__doc__.splitlines()[0])


def bench_all() -> pathlib.Path:
    """Measures every system and writes the page, with what is kept of its peers and the texts around the tables."""
    from kgan import benchmark_page, environment

    found = []
    for variant in variants.names():
        for precision in ("float32", "mixed_bfloat16"):
            command = [sys.executable, "-m", "kgan.bench", "--variant", variant, "--precision", precision, "--json"]
            answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            found.append(json_module.loads(answer))
            print(f"{variant}, {precision}: {found[-1]['train']['images_per_cpu_second']:.4g} images/CPU-second")
    about = environment.describe()
    machine = f"{about['hardware.cpu']}, {about['hardware.cores']} cores, GPU: {about['hardware.gpu']}"
    versions = ", ".join(f"{name} {about[f'version.{name}']}" for name in ("kgan", "keras", "tensorflow"))
    said = yaml.safe_load(_read(_TEXTS) or "{}")
    peers = json_module.loads(_read(_PEERS) or "[]")
    page = benchmark_page.render(
        said.get("head", "# Speed"), f"{machine}; {versions}", found, peers, said.get("tail", "")
    )
    _PAGE.parent.mkdir(exist_ok=True)
    _PAGE.write_text(page, encoding="utf-8")
    return _PAGE


def _read(path: pathlib.Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


@click.pass_context
def _bench(context: click.Context, **_: object) -> None:
    options.load_tensorflow()
    given = options.given(context)
    if not given.pop("all", False):
        bench(**given)
    elif given:
        raise InputError(f"--all: takes no other option, got --{next(iter(given)).replace('_', '-')}")
    else:
        print(bench_all())


def main(argv: list[str]) -> None:
    """Reads the arguments in two passes: the variant, then the options it has."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--variant", nargs="?")
    variant = first.parse_known_args(argv)[0].variant or Settings.variant
    variants.check_name(variant)
    options.invoke(command(variant), argv, {})


if __name__ == "__main__":
    with options.command_line():
        main(sys.argv[1:])
