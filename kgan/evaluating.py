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
    names = [checkpoint] if checkpoint else ["last", *(["best"] if (folder / BEST).is_dir() else [])]
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
            model = state.load_model(folder, said[0])
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
    shown = {value.name: value.mean for value in values}
    return run.log_evaluation(step, shown, [value.to_json() for value in values])


def values_of(folder: pathlib.Path) -> dict[int, list[Value]]:
    """All figures of a run by step, in the order in which they were measured."""
    paths = [(re.fullmatch(r"step-(\d+)-(\d+)", path.stem), path) for path in (folder / EVALUATIONS).glob("*.json")]
    known = sorted((int(match[2]), int(match[1]), path) for match, path in paths if match)
    found: dict[int, list[Value]] = {}
    for _, step, path in known:
        found.setdefault(step, []).extend(protocol.read(path))
    return found


def values_of_best(folder: pathlib.Path) -> list[Value]:
    """The figures of the checkpoint that a run keeps as its best; none where it keeps none."""
    known = checkpoints.steps(folder / BEST)
    return values_of(folder).get(known[-1], []) if known else []


def last_values(folder: pathlib.Path) -> dict[str, Value]:
    """The figures of the last step of a run that has been judged; empty where none has."""
    found = values_of(folder)
    return {value.name: value for value in found[max(found)]} if found else {}
