"""Judging checkpoints of a run, and what is kept of it."""

import dataclasses
import pathlib
import re

import numpy as np
from tqdm import tqdm

from kgan import checkpoints, datasets, images, protocol, state, tracking
from kgan.configuration import Configuration
from kgan.errors import InputError
from kgan.judging import Judge, Plan
from kgan.protocol import Value
from kgan.tracking import BEST, EVALUATIONS


@dataclasses.dataclass(frozen=True)
class Judged:
    """One checkpoint and its figures.

    Attributes:
        name: "best", "last", "best and last" or "checkpoint".
        step: of the checkpoint.
        values: in the order of the plan.
        pictures: by name, uint8 pictures that belong to them.
    """

    name: str
    step: int
    values: list[Value]
    pictures: dict[str, np.ndarray]


def evaluate(folder: pathlib.Path, config: Configuration, plan: Plan, checkpoint: str | None) -> list[Judged]:
    """Judges checkpoints of a run, with a bar.

    Args:
        folder: of the run.
        config: of the run.
        plan: what to measure.
        checkpoint: its step, "last" or "best"; None for the best, where there is one, and the last.

    Raises:
        InputError: there is no such checkpoint, or it cannot be judged so.
    """
    names = [checkpoint] if checkpoint else ["last", *(["best"] if checkpoints.steps(folder / BEST) else [])]
    places: dict[pathlib.Path, list[str]] = {}
    for name in names:
        place = state.find(folder, name)
        same = next((known for known in places if known.name == place.name), place)  # the best may be the last
        places.setdefault(same, []).append(name)
    found = []
    with tqdm(unit="image", dynamic_ncols=True, disable=None) as bar:
        judge = Judge(config, plan, datasets.of_run(config), bar.update)
        for place, said in places.items():
            bar.set_postfix_str(place.stem)
            # By its step: while one is judged a training may write another last one.
            model = state.load_model(folder, "best" if said == ["best"] else str(checkpoints.step_of(place)))
            values = judge.judge(model)
            name = " and ".join(reversed(said)) if {*said} <= {"best", "last"} else "checkpoint"
            found.append(Judged(name, int(model.step.numpy()), values, judge.pictures(model, values)))
    return found[::-1]


def log(folder: pathlib.Path, judged: list[Judged]) -> None:
    """Adds what was judged to a run and its tracker; says so where it cannot."""
    try:
        with tracking.reopened(folder) as run:
            for one in judged:
                file = log_values(run, one.step, one.values)
                for name, picture in one.pictures.items():
                    run.log_image(name, one.step, images.to_pil(picture))
                print(f"kept in {file}", *(run.folder / name for name in one.pictures))
    except InputError as error:
        print(f"not logged: {error}")


def log_values(run: tracking.Run, step: int, values: list[Value]) -> pathlib.Path:
    """Logs figures of a checkpoint; returns the file that holds them with their protocols."""
    shown = {value.key: value.mean for value in values}
    return run.log_evaluation(step, shown, [value.to_json() for value in values])


def values_of(folder: pathlib.Path, step: int) -> list[Value]:
    """The figures of a run's step, in the order in which they were measured.

    Raises:
        InputError: one of its files is damaged.
    """
    return [value for _, path in sorted(_files(folder).get(step, [])) for value in protocol.read(path)]


def values_of_best(folder: pathlib.Path) -> list[Value]:
    """The figures of the checkpoint that a run keeps as its best; none where it keeps none."""
    known = checkpoints.steps(folder / BEST)
    return values_of(folder, known[-1]) if known else []


def like(figure: Value, values: list[Value]) -> Value | None:
    """The newest of the values that has the protocol of a figure, or None."""
    return next((v for v in reversed(values) if not figure.protocol.differences(v.protocol)), None)


def last_values(folder: pathlib.Path) -> dict[str, Value]:
    """The figures of the last step of a run that has been judged, by name; empty where none has."""
    known = _files(folder)
    return {value.name: value for value in values_of(folder, max(known))} if known else {}


def _files(folder: pathlib.Path) -> dict[int, list[tuple[int, pathlib.Path]]]:
    """The files of each step, with their numbers."""
    found: dict[int, list[tuple[int, pathlib.Path]]] = {}
    for path in (folder / EVALUATIONS).glob("*.json"):
        name = re.fullmatch(r"step-(\d+)-(\d+)", path.stem)
        if name:
            found.setdefault(int(name[1]), []).append((int(name[2]), path))
    return found
