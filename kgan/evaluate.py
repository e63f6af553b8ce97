"""`python -m kgan.evaluate`: measures what the samples of a run are worth, each figure with its protocol."""

import dataclasses
import sys
from typing import Literal

from kgan import options
from kgan.errors import InputError


def evaluate(
    run: str,
    checkpoint: str | None = None,
    metrics: str = "fid",
    features: str = "auto",
    inception: str | None = None,
    resize: Literal["legacy", "clean"] = "legacy",
    num: int = 10_000,
    seeds: int = 1,
    truncation: float = 1.0,
    split: Literal["train", "validation", "test"] | None = None,
    data: str | None = None,
    against: str | None = None,
) -> None:
    """Measures what the samples of a run are worth: a table, its protocol, and both logged to the run.

    Args:
        run: id or folder of the run.
        checkpoint: its step, last or best; best and last where none is given.
        metrics: some of fid,kid,is,pr,dc,parzen,coverage,accuracy,intra,memorisation: distances in features, the
            inception score, precision and recall, density and coverage, the likelihood under Parzen's window, the
            classes among the samples, whether they are the ones asked for, distances within classes, and copies of
            training images.
        features: where they come from: classifier (of the data's own labels), inception, pixels, or the path of a
            Keras model or SavedModel, which is a program: only from people you trust; auto is classifier for data
            with labels, else inception.
        inception: path of the inception graph, where it is not fetched.
        resize: how images come to the size of the network: legacy (bilinear, as the first FID), or clean (bicubic with
            antialiasing).
        num: samples; systems that translate take all images of the split.
        seeds: repeat it with so many sets of samples.
        truncation: share of the prior to draw latents from, above 0 and up to 1.
        split: of the data, to compare with: train, validation (what was held out) or test; where none is given train,
            or test for systems that translate.
        data: where the run's data lie now, if they have moved.
        against: id or folder of another run, whose last figures are subtracted where the protocols are alike.
    """
    options.load_tensorflow()
    from kgan import configuration, evaluating, judging, tracking

    names = tuple(metrics.split(","))
    plan = judging.Plan(names, features, inception, resize, num, tuple(range(seeds)), truncation, split)
    theirs = None if against is None else evaluating.last_values(tracking.find_run(against, "--against"))
    folder = tracking.find_run(run)
    config = configuration.load(folder)
    if data is not None:
        config = dataclasses.replace(config, settings=dataclasses.replace(config.settings, data=data))
    judged = evaluating.evaluate(folder, config, plan, checkpoint)
    _print(judged)
    evaluating.log(folder, judged)
    if theirs is not None:
        _print_differences(judged[-1], against, theirs)


def _print(judged: list) -> None:
    rows = [["", *(f"{one.name} (step {one.step})" for one in judged)]]
    for values in zip(*(one.values for one in judged), strict=True):
        rows.append([values[0].name, *map(str, values)])
    widths = [max(map(len, column)) + 3 for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        print("".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    print()
    alike: dict[str, list[str]] = {}
    for value in judged[-1].values:
        spread = f"; ±: {value.spread_of}" if value.spread is not None else ""
        alike.setdefault(f"{value.protocol}{spread}", []).append(value.name)
    for said, names in alike.items():
        print(f"{', '.join(names)}: {said}")


def _print_differences(judged, other: str, theirs: dict) -> None:
    print(f"\nminus the last of {other}:")
    for value in judged.values:
        if value.name not in theirs:
            raise InputError(f"--against: {other} has no {value.name}; it has {', '.join(theirs) or 'no figures'}")
        print(f"{value.name}   {value.minus(theirs[value.name]):+.5g}")


command = options.command_from("evaluate", evaluate)

if __name__ == "__main__":
    with options.command_line():
        options.invoke(command, sys.argv[1:], {})
