"""From settings to a finished run."""

import contextlib
import dataclasses
import importlib.metadata
import json
import pathlib
import platform
import signal
import subprocess
from collections.abc import Iterator

import keras
import psutil
import tensorflow as tf

import pipelines
from kgan import checkpoints, tracking, variants
from kgan.callbacks import Measures, Progress, Samples
from kgan.errors import InputError
from kgan.files import write_atomic
from kgan.settings import Settings
from kgan.variants.base import Variant
from pipelines.images import Images

_PACKAGES = ("kgan", "keras", "tensorflow", "numpy", "mlflow")


def train(settings: Settings, recipe: dict[str, object]) -> tracking.Run:
    """Trains a variant on a data set, as one run.

    Args:
        settings: what to train on what, how long.
        recipe: hyper-parameters that differ from the variant's recipe.

    Returns:
        The finished run.

    Raises:
        InputError: something in the settings, the recipe or the data cannot be used.
    """
    variant = variants.load(settings.variant)
    data = pipelines.load(settings.data, settings.image_size, load_size=settings.load_size, skip_bad=settings.skip_bad)
    settings, recipe = resolve(settings, recipe, variant, data)
    for note in data.notes:
        print(f"{data.name}: {note}")

    print(
        f"{settings.variant} on {data.name}: {len(data.images)} images of {'x'.join(map(str, data.image_shape))}, "
        f"{settings.steps} steps of {settings.batch_size}, {settings.precision}, "
        f"on {'GPU' if tf.config.list_physical_devices('GPU') else 'CPU'}"
    )
    keras.utils.set_random_seed(settings.seed)
    keras.config.set_dtype_policy(settings.precision)
    model = variant(data.image_shape, seed=settings.seed, **recipe)
    model.compile(jit_compile=settings.jit == "on")
    rows = settings.batch_size * model.rounds_per_step
    batches = data.batches(rows, settings.seed, flip=settings.flip)

    for stale in tracking.repair_stale_runs():
        print(f"run {stale} had died: its tracker has been told")
    name = f"{settings.variant} {data.name}"
    with _sigterm_interrupts(), tracking.start_run(settings.tracking_uri, settings.experiment, name, print) as run:
        _describe(run, settings, recipe, data)
        progress = Progress()
        measures = Measures(run, settings.log_every, rows, progress.show)
        callbacks = [measures, Samples(run, settings.sample_every), progress]
        with contextlib.closing(progress):
            model.fit(batches, steps_per_epoch=settings.steps, callbacks=callbacks, verbose=0)
        checkpoints.save_weights(model, run.folder / checkpoints.WEIGHTS)
        run.log_artifact(checkpoints.WEIGHTS)
    return run


def resolve(
    settings: Settings, recipe: dict[str, object], variant: type[Variant], data: Images
) -> tuple[Settings, dict[str, object]]:
    """Fills in what was not given: nothing is None or "auto" afterwards."""
    small = variant.small if data.small else {}
    defaults = {"steps": variant.steps, "batch_size": variant.batch_size, **small}
    gpu = bool(tf.config.list_physical_devices("GPU"))
    auto = {"precision": "float32", "jit": "on" if gpu else "off"}
    settings = dataclasses.replace(
        settings,
        steps=defaults["steps"] if settings.steps is None else settings.steps,
        batch_size=defaults["batch_size"] if settings.batch_size is None else settings.batch_size,
        image_size=data.image_shape[0],
        load_size=data.images.shape[1],
        precision=auto["precision"] if settings.precision == "auto" else settings.precision,
        jit=auto["jit"] if settings.jit == "auto" else settings.jit,
        tracking_uri=settings.tracking_uri or tracking.default_tracking_uri(),
    )
    for name in ("steps", "batch_size", "sample_every", "log_every"):
        if getattr(settings, name) < 1:
            raise InputError(f"--{name.replace('_', '-')}: got {getattr(settings, name)}, expected at least 1")
    if not 0 <= settings.seed < 2**32:
        raise InputError(f"--seed: got {settings.seed}, expected 0 to {2**32 - 1}")
    arguments = variants.recipe(variant)
    presets = {name: value for name, value in small.items() if name in arguments}
    recipe = {**arguments, **presets, **recipe}
    if small:
        resolved = {**dataclasses.asdict(settings), **recipe}
        print(f"small preset of {data.name}:", ", ".join(f"{k} {resolved[k]}" for k in ("image_size", *small)))
    return settings, recipe


def _describe(run: tracking.Run, settings: Settings, recipe: dict[str, object], data: Images) -> None:
    """Writes down everything the run depends on."""
    about = {"name": data.name, "split": data.split, "size": len(data.images), "digest": data.digest}
    about |= {"image_shape": data.image_shape, "class_names": data.class_names}
    config = {**dataclasses.asdict(settings), "recipe": recipe, "data": about}
    write_atomic(run.folder / checkpoints.CONFIG, json.dumps(config, indent=1).encode())
    run.log_artifact(checkpoints.CONFIG)
    run.log_params({**dataclasses.asdict(settings), **recipe, "data_size": about["size"], "data_digest": data.digest})
    run.log_data(data.name, data.digest, {"num_images": about["size"], "image_shape": data.image_shape})
    run.log_tags(_environment())


def _environment() -> dict[str, str]:
    """Versions, code and hardware, as MLflow tags."""
    tags = {f"version.{name}": importlib.metadata.version(name) for name in _PACKAGES}
    gpus = [tf.config.experimental.get_device_details(d) for d in tf.config.list_physical_devices("GPU")]
    memory = psutil.virtual_memory().total / 2**30
    tags |= {
        "version.python": platform.python_version(),
        "hardware.cpu": _cpu_name(),
        "hardware.cores": str(psutil.cpu_count()),
        "hardware.memory": f"{memory:.0f} GiB",
        "hardware.gpu": ", ".join(gpu.get("device_name", "unknown") for gpu in gpus) or "none",
        "hardware.platform": platform.platform(),
    }
    return tags | _git_commit()


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(
            (line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine()
        )
    return platform.processor() or platform.machine()


def _git_commit() -> dict[str, str]:
    command = ["git", "-C", str(pathlib.Path(__file__).parent), "rev-parse", "HEAD"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        commit = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
        return {"mlflow.source.git.commit": commit}
    return {}


@contextlib.contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that the run is settled."""

    def interrupt(number, frame):
        raise KeyboardInterrupt("SIGTERM")

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
