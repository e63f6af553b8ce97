"""What tracking and checkpoints cost: a training with all of it and one without, in turns.

    python docs/benchmarks/overhead.py --variant gan --data FOLDER_OF_MNIST [--steps 1000] [--rounds 4]

A segment is `--steps` steps, by default as many as there are between two checkpoints: with measures, pictures,
progress and a checkpoint at their default intervals, or bare. Both continue the same model on the same data. It ends
with the time and the size of a checkpoint. What counts is CPU time, that of the tracker's thread included; wall time
moves with the neighbours of a shared machine.
"""

import argparse
import dataclasses
import functools
import pathlib
import statistics
import tempfile
import time

from kgan import options

options.load_tensorflow()

import pipelines
from kgan import state, tracking, training
from kgan.callbacks import Finite, Measures, Progress, Samples, Saves
from kgan.configuration import Configuration
from kgan.interrupts import Interrupts
from kgan.settings import Settings
from kgan.variants.base import Variant


def timed(work) -> tuple[float, float]:
    """CPU seconds and seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def watched(model: Variant, run: tracking.Run, config: Configuration, batches, steps: int) -> None:
    """Steps with everything that a training logs and keeps, until the tracker has it."""
    settings, last = config.settings, 10**9
    progress = Progress(last)
    rows = settings.batch_size * model.rounds_per_step
    save = functools.partial(state.save, model, run.folder, config, settings.keep)
    callbacks = [
        Finite(),
        Measures(run, settings.log_every, last, rows, progress.show),
        Samples(run, settings.sample_every, last),
        progress,
        Saves(save, settings.checkpoint_every, last, Interrupts()),
    ]
    model.fit(batches, steps_per_epoch=steps, callbacks=callbacks, verbose=0)
    while not run.is_tracked:
        time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", default="dcgan")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--width", type=int)
    parser.add_argument("--steps", type=int, default=Settings.checkpoint_every)
    parser.add_argument("--rounds", type=int, default=4)
    for interval in ("checkpoint_every", "sample_every", "log_every"):
        parser.add_argument(f"--{interval.replace('_', '-')}", type=int, default=getattr(Settings, interval))
    given = parser.parse_args()

    names = ("variant", "data", "checkpoint_every", "sample_every", "log_every")
    settings = Settings(**{name: getattr(given, name) for name in names}, steps=10**9)
    data = pipelines.load(given.data)
    config = training.resolve(settings, {"width": given.width} if given.width else {}, data)
    model = state.build(config)
    model.compile(jit_compile=False)
    batches = data.batches(config.settings.batch_size * model.rounds_per_step, seed=0)
    with tempfile.TemporaryDirectory() as place:
        tracking.ROOT = pathlib.Path(place)
        with tracking.start_run(f"sqlite:///{place}/mlflow.db", "overhead", "overhead", print) as run:
            bare = functools.partial(model.fit, batches, steps_per_epoch=given.steps, verbose=0)
            full = functools.partial(watched, model, run, config, batches, given.steps)
            model.fit(batches, steps_per_epoch=2, verbose=0)  # traces
            model.step.assign(0)
            pairs = []
            for turn in range(given.rounds):
                one, other = (bare, full) if turn % 2 else (full, bare)
                first, second = timed(one), timed(other)
                pairs.append((second, first) if turn % 2 else (first, second))
                print(f"with {pairs[-1][0]}, bare {pairs[-1][1]}: (CPU seconds, seconds)", flush=True)
            saves = [timed(lambda: state.save(model, run.folder, config, keep=2)) for _ in range(5)]
            size = state.find(run.folder, "last").stat().st_size
    shown = {k: v for k, v in dataclasses.asdict(config.settings).items() if k in (*names, "batch_size")}
    print(shown, config.recipe)
    for i, what in enumerate(("CPU time", "time")):
        ratios = [full[i] / bare[i] for full, bare in pairs]
        print(
            f"{what} with against without: {statistics.median(ratios):.3f} ({', '.join(f'{r:.3f}' for r in ratios)})"
        )
    cpu, wall = (statistics.median(column) for column in zip(*saves, strict=True))
    print(f"a checkpoint: {size / 2**20:.1f} MiB, {cpu:.2f} CPU seconds, {wall:.2f} seconds")


if __name__ == "__main__":
    main()
