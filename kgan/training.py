"""From settings to a finished run, in one go or several."""

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Callable
from concurrent import futures

import keras
import numpy as np
import tensorflow as tf

from kgan import checkpoints, configuration, datasets, environment, evaluating, state, tracking, variants
from kgan.callbacks import Evaluates, Finite, Measures, NonFiniteError, Progress, Samples, Saves
from kgan.configuration import Configuration
from kgan.datasets import Data, Splits
from kgan.errors import InputError
from kgan.health import Health
from kgan.interrupts import Interrupts
from kgan.journal import Journal
from kgan.judging import Judge, Plan
from kgan.protocol import Value
from kgan.settings import FREE, PLACES, Settings
from kgan.tracking import BEST
from kgan.variants.base import Variant
from pipelines.pairs import Pairs

_EVALUATE_NUM = 5000  # samples, where nothing else is said
_EVALUATE_SEED = 2**31 - 1  # of them: what is chosen by some is not to be judged by the same, those of seeds 0, 1 ...
_COMPARED = 64  # images that samples are compared with
_SHOWN = 4  # images of each domain in the grids of systems that translate


def train(settings: Settings, recipe: dict[str, object]) -> tracking.Run:
    """Trains a variant on a data set, as one run.

    Args:
        settings: what to train on what, how long.
        recipe: hyper-parameters that differ from the variant's recipe.

    Returns:
        The finished run.

    Raises:
        InputError: something in the settings, the recipe or the data cannot be used.
        RunError: numbers are not finite any more, or the run's folder cannot be written.
        KeyboardInterrupt: Ctrl-C or SIGTERM; a checkpoint has been written.
    """
    splits = _load(settings)
    data = splits.train
    config = resolve(settings, recipe, data)
    model = compiled(config)
    feed = batches(config, model, data, 0)  # says what is wrong before there is a run
    judge = _judge(config, splits)
    _repair_others(config.settings.tracking_uri)
    title = f"{settings.variant} {data.name}"
    with Interrupts() as interrupts, _started(config, title, model, feed) as run:
        config.write(run.folder)
        _describe(run, config, data)
        _fit(run, config, model, splits, interrupts, judge)
    return run


def _started(config: Configuration, title: str, model: Variant, feed: tf.data.Dataset) -> tracking.Run:
    """Opens the run, for which MLflow takes its time, while the training step is traced."""
    with futures.ThreadPoolExecutor(1) as pool:
        uri, experiment = config.settings.tracking_uri, config.settings.experiment
        opening = pool.submit(tracking.start_run, uri, experiment, title, print)
        try:
            model.train_step.get_concrete_function(feed.element_spec)
        except BaseException:
            with opening.result():  # which says that it failed
                raise
        return opening.result()


def resume(name: str, changes: dict[str, object]) -> tracking.Run:
    """Goes on with a run from its newest checkpoint, as if it had never stopped: bit for bit.

    That holds on the same processor, thread count and versions; where they differ a warning is printed.

    Args:
        name: id or folder of the run, or "latest".
        changes: settings and hyper-parameters that were asked for, by name. Those in `kgan.settings.FREE` may differ
            from the run's.

    Returns:
        The finished run.

    Raises:
        InputError: the run is not there, damaged, live or done, or cannot be changed like that.
        RunError, KeyboardInterrupt: as for `train`.
    """
    folder = tracking.find_own_run(name)
    with tracking.locked(folder) as lock:
        recorded = configuration.load(folder)
        config = change(recorded, changes)
        checkpoints.clean(folder / tracking.CHECKPOINTS)
        splits = _load(config.settings)
        data = splits.train
        if data.digest != recorded.data["digest"]:
            expected = f"expected the images the run was trained on ({recorded.data['digest']})"
            raise InputError(f"--data {data.name}: got {data.digest}, {expected}")
        model = compiled(config)
        known = checkpoints.steps(folder / tracking.CHECKPOINTS)
        notes = _restore(model, folder, config) if known else ["it has no checkpoint yet"]
        step = int(model.step.numpy())
        _check_rest(folder, step, config.settings.steps)
        judge = _judge(config, splits)
        _repair_others(config.settings.tracking_uri)
        tracker = config.settings.tracking_uri if "tracking_uri" in changes else None
        with Interrupts() as interrupts, tracking.open_run(folder, lock, tracker, print) as run:
            for note in notes:
                print(f"run {run.id}: {note}")
            print(f"run {run.id} goes on after step {step}")
            config.write(run.folder)
            run.log_resumed(step)
            if not run.has("data"):  # killed while it told of itself
                _describe(run, config, data)
            run.log_artifact(tracking.CONFIG)
            run.log_tags({"resumed_after_step": str(step), "steps": str(config.settings.steps)})
            _fit(run, config, model, splits, interrupts, judge)
    return run


def resolve(settings: Settings, recipe: dict[str, object], data: Data) -> Configuration:
    """Fills in what was not given: nothing is "auto" afterwards, nor None where there is something to fill in."""
    variant = variants.load(settings.variant)
    if variant.data == "labelled":
        _check_classes(settings.variant, data)
    small = variant.small if data.small else {}
    defaults = {"batch_size": variant.batch_size, **small}
    batch_size = defaults["batch_size"] if settings.batch_size is None else settings.batch_size
    defaults = {"steps": variant.steps or variant.epochs * -(-data.size // max(1, batch_size)), **defaults}
    gpu = bool(tf.config.list_physical_devices("GPU"))
    # docs/benchmarks.md: over three seeds bfloat16 gives pictures as good; on a CPU XLA is no gain for most systems.
    auto = {
        "precision": "mixed_bfloat16" if environment.has_native_bfloat16() else "float32",
        "jit": "on" if gpu else "off",
    }
    settings = dataclasses.replace(
        settings,
        steps=defaults["steps"] if settings.steps is None else settings.steps,
        batch_size=batch_size,
        image_size=data.image_shape[0],
        load_size=data.load_size,
        flip=variant.flip if settings.flip is None else settings.flip,
        precision=auto["precision"] if settings.precision == "auto" else settings.precision,
        jit=auto["jit"] if settings.jit == "auto" else settings.jit,
        tracking_uri=settings.tracking_uri or tracking.default_tracking_uri(),
    )
    _check(settings)
    arguments = variants.recipe(variant)
    presets = {name: value for name, value in small.items() if name in arguments}
    recipe = {**arguments, **presets, **recipe}
    if variants.TOTAL_STEPS in arguments:
        recipe[variants.TOTAL_STEPS] = settings.steps
    if small:
        resolved = {**dataclasses.asdict(settings), **recipe}
        print(f"small preset of {data.name}:", ", ".join(f"{k} {resolved[k]}" for k in ("image_size", *small)))
    about = {"name": data.name, "split": data.split, "size": data.size, "digest": data.digest}
    about |= {"image_shape": data.image_shape, "class_names": data.class_names}
    return Configuration(settings, recipe, about)


def _check_classes(variant: str, data: Data) -> None:
    """Raises InputError where there are no classes to learn, or one of them has no image."""
    if len(data.class_names or ()) < 2:
        found = "no labels" if data.class_names is None else "only one class"
        expected = "two class folders or more, or a set that has labels"
        raise InputError(f"--data {data.name}: has {found}; {variant} expects {expected}")
    missing = np.flatnonzero(np.bincount(data.labels, minlength=len(data.class_names)) == 0)
    if missing.size:
        names = ", ".join(str(data.class_names[label]) for label in missing)
        raise InputError(f"--data {data.name}: has no image of {names}; {variant} expects some of every class")


def change(recorded: Configuration, changes: dict[str, object]) -> Configuration:
    """The configuration of a run with what may change when it is resumed.

    Args:
        recorded: the run's.
        changes: settings and hyper-parameters by name; None and "auto" ask for nothing.

    Raises:
        InputError: something is different that must not be; it shows what. Of the data the content is compared later.
    """
    changes = {name: value for name, value in changes.items() if value not in (None, "auto", "")}
    known = {**dataclasses.asdict(recorded.settings), **recorded.recipe}
    fixed = {name for name in changes if name not in (*FREE, *PLACES) and changes[name] != known.get(name)}
    if variants.is_bound_to_steps(recorded.recipe) and changes.get("steps", known["steps"]) != known["steps"]:
        fixed.add("steps")
    if fixed:
        shown = ", ".join(f"--{n.replace('_', '-')} {changes[n]} (the run has {known.get(n)})" for n in sorted(fixed))
        allowed = ", ".join(f"--{name.replace('_', '-')}" for name in FREE if name not in fixed)
        raise InputError(f"--resume: got {shown}; of a run only {allowed} can change")
    settings = dataclasses.replace(recorded.settings, **{n: v for n, v in changes.items() if n in (*FREE, *PLACES)})
    _check(settings)
    total = {variants.TOTAL_STEPS: settings.steps} if variants.TOTAL_STEPS in recorded.recipe else {}
    return dataclasses.replace(recorded, settings=settings, recipe=recorded.recipe | total)


def _check(settings: Settings) -> None:
    for name in ("steps", "batch_size", "sample_every", "log_every", "checkpoint_every", "keep"):
        if getattr(settings, name) < 1:
            raise InputError(f"--{name.replace('_', '-')}: got {getattr(settings, name)}, expected at least 1")
    if settings.evaluate_every is not None and settings.evaluate_every < 1:
        raise InputError(f"--evaluate-every: got {settings.evaluate_every}, expected at least 1")
    for name in ("evaluate_metrics", "evaluate_num", "evaluate_features"):
        if settings.evaluate_every is None and getattr(settings, name) is not None:
            raise InputError(
                f"--{name.replace('_', '-')}: got {getattr(settings, name)}, which needs --evaluate-every N"
            )
    if not 0 <= settings.seed < 2**32:
        raise InputError(f"--seed: got {settings.seed}, expected 0 to {2**32 - 1}")


def _load(settings: Settings) -> Splits:
    splits = datasets.for_training(settings)
    for note in splits.train.notes:
        print(f"{splits.train.name}: {note}")
    return splits


def _shown(splits: Splits) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Images that are looked at again and again: for systems that translate of both domains, of the test split."""
    if not isinstance(splits.train, Pairs):
        return _spread(splits.train.images, _COMPARED)
    try:
        data = splits.test
    except InputError:
        data = splits.sized().train
    return _spread(data.a.images, _SHOWN), _spread(data.b.images, _SHOWN)


def _spread(images: np.ndarray, count: int) -> np.ndarray:
    """Some images from all over a set: neighbours are often alike."""
    return images[np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)]


def compiled(config: Configuration) -> Variant:
    """The model of a configuration with its initial weights and optimizers."""
    keras.utils.set_random_seed(config.settings.seed)
    model = state.build(config)
    model.compile(jit_compile=config.settings.jit == "on")
    model.train_step = tf.function(model.train_step)  # Keras' own function of it cannot be traced before it runs
    return model


def batches(config: Configuration, model: Variant, data: Data, first_step: int) -> tf.data.Dataset:
    """What a model trains on from a step on, a batch for each.

    Raises:
        InputError: there are fewer images than a step takes.
    """
    batch_size, rounds = config.settings.batch_size, model.rounds_per_step
    if rounds > 1 and batch_size * rounds > data.size:
        found = (
            f"{data.size} for {rounds} batches of {batch_size}, with which a step of {config.settings.variant} goes"
        )
        advice = f"give a --batch-size of at most {data.size // rounds}"
        raise InputError(f"--data {data.name}: too few images: {found}; {advice}")
    rows = batch_size * rounds
    augment = tuple(config.settings.augment.split(",")) if config.settings.augment else ()
    labelled = {"labelled": True} if model.data == "labelled" else {}
    return data.batches(rows, config.settings.seed, first_step, flip=config.settings.flip, augment=augment, **labelled)


def _repair_others(tracking_uri: str) -> None:
    for stale in tracking.repair_stale_runs(tracking_uri):
        print(f"run {stale} had left unsaid how it ended: its tracker has been told")


def _restore(model: Variant, folder: pathlib.Path, config: Configuration) -> list[str]:
    """Gives the model the newest state that can be read; returns what a person should know of it."""
    checkpoint, notes = state.restore_newest(model, folder, config)
    then, now = json.loads(checkpoint.environment), environment.decisive()
    for name in now:
        if then.get(name) != now[name]:
            changed = f"{name} was {then.get(name)} and is {now[name]}"
            notes.append(f"warning: {changed}: the last digits may differ from those of a run that never stopped")
    return notes


def _check_rest(folder: pathlib.Path, step: int, steps: int) -> None:
    if step > steps or (step == steps and Journal(folder).status == "FINISHED"):
        raise InputError(f"--steps: the run {folder.name} has done {step} steps; got {steps}, expected more")


def _describe(run: tracking.Run, config: Configuration, data: Data) -> None:
    """Tells the tracker everything the run depends on."""
    print(
        f"{config.settings.variant} on {data.name}: {data.size} images of "
        f"{'x'.join(map(str, data.image_shape))}, {config.settings.steps} steps of {config.settings.batch_size}, "
        f"{config.settings.precision}, on {'GPU' if tf.config.list_physical_devices('GPU') else 'CPU'}"
    )
    run.log_artifact(tracking.CONFIG)
    extra = {"data_size": data.size, "data_digest": data.digest}
    if not run.has("params"):  # killed right after it said so: a tracker takes them once
        known = {**dataclasses.asdict(config.settings), **config.recipe, **extra}
        run.log_params({name: value for name, value in known.items() if value is not None})
    run.log_tags(environment.describe())
    run.log_data(data.name, data.digest, {"num_images": data.size, "image_shape": data.image_shape})


def _fit(
    run: tracking.Run,
    config: Configuration,
    model: Variant,
    splits: Splits,
    interrupts: Interrupts,
    judge: Judge | None,
) -> None:
    """Trains from the model's step to the last, saving on the way."""
    settings = config.settings

    def save() -> None:
        run.flush()  # what was logged up to a checkpoint is not logged again
        state.save(model, run.folder, config, settings.keep)

    if not checkpoints.steps(run.folder / tracking.CHECKPOINTS):
        save()
    evaluates = None if judge is None else _evaluates(run, config, judge, save, interrupts)
    if evaluates is not None:
        evaluates.catch_up(model)
    progress = Progress(settings.steps)
    rows = settings.batch_size * model.rounds_per_step
    shown = _shown(splits)

    def left_out() -> float:
        return 0.0 if evaluates is None else evaluates.seconds

    callbacks = [
        Finite(),
        Health(run, settings.log_every, settings.sample_every, shown, print),
        Measures(run, settings.log_every, settings.steps, rows, progress.show, left_out),
        Samples(run, settings.sample_every, settings.steps, shown),
        progress,
        *([] if evaluates is None else [evaluates]),
        Saves(save, settings.checkpoint_every, settings.steps, interrupts),
    ]
    with contextlib.closing(progress):
        while (step := int(model.step.numpy())) < settings.steps:
            interrupts.heed()
            feed = batches(config, model, splits.train, step)
            try:
                model.fit(feed, steps_per_epoch=settings.steps - step, callbacks=callbacks, verbose=0)
            except NonFiniteError as error:
                _roll_back(run, config, model, error)
    for name in ("last",) if judge is None else ("last", "best"):
        run.log_artifact(str(state.find(run.folder, name).relative_to(run.folder)))
    if judge is not None:
        _report_best(run, settings.steps)


def _judge(config: Configuration, splits: Splits) -> Judge | None:
    """What evaluates while the run trains, if anything does."""
    settings = config.settings
    if settings.evaluate_every is None:
        return None
    # Never by the test split: what was chosen by it could not be measured on it any more.
    split = "train" if settings.hold_out is None else "validation"
    names = tuple((settings.evaluate_metrics or "fid").split(","))
    num = _EVALUATE_NUM if settings.evaluate_num is None else settings.evaluate_num
    features = settings.evaluate_features or "auto"
    plan = Plan(names, features, num=num, seeds=(_EVALUATE_SEED,), split=split)
    return Judge(config, plan, splits.sized())


def _evaluates(
    run: tracking.Run, config: Configuration, judge: Judge, save: Callable[[], object], interrupts: Interrupts
) -> Evaluates:
    settings = config.settings
    judge.advance = lambda _: interrupts.heed()  # an evaluation may take long

    def measure(model: Variant) -> list[Value]:
        return judge.judge(model, settings.precision)

    def best() -> Variant | None:
        known = checkpoints.steps(run.folder / BEST)
        return state.load_model(run.folder, "best", settings.precision) if known else None

    def keep(model: Variant) -> None:
        state.save(model, run.folder, config, 1, BEST)

    return Evaluates(run, measure, best, save, keep, settings.evaluate_every, settings.steps)


def _report_best(run: tracking.Run, last: int) -> None:
    best = evaluating.values_of_best(run.folder)
    step = checkpoints.steps(run.folder / BEST)[-1]
    for value in evaluating.values_of(run.folder, last):
        print(f"{value.name}: {value} at the last step, {evaluating.like(value, best)} at the best, {step}")


def _roll_back(run: tracking.Run, config: Configuration, model: Variant, error: NonFiniteError) -> None:
    """Goes back to the last checkpoint and another branch of the noise; raises the error where that is not to be."""
    run.log_tags({"nonfinite": str(error)})
    branch = int(model.branch.numpy())
    checkpoint, _ = state.restore_newest(model, run.folder, config)
    if config.settings.on_nonfinite == "stop" or branch:
        left = f"the checkpoint of step {checkpoint.step} is the last good one"
        tried = "it had been rolled back before" if branch else "--on-nonfinite rollback goes back to it once"
        raise NonFiniteError(f"{error}; {left}; {tried}; a lower learning rate may help") from error
    model.branch.assign(1)
    said = f"{error}; back to step {checkpoint.step}, from there with other noise"
    run.log_tags({"rollback": said})
    print(f"run {run.id}: {said}")
