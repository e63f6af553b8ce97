"""Writes docs/ledger.md: what papers report beside what runs of this program reached, by one protocol.

    python docs/benchmarks/ledger.py RUN_ID RUN_ID ...

Each run has been judged by `python -m kgan.evaluate --run RUN_ID ...`, which measures its best and its last
checkpoint. Runs that differ in their seed alone share a line. docs/ledger.yaml has the figures of the papers, and what
is to be said of ours.
"""

import argparse
import pathlib
import statistics

import yaml

from kgan import checkpoints, configuration, evaluating, tracking, variants
from kgan.configuration import Configuration
from kgan.errors import InputError
from kgan.journal import Journal
from kgan.protocol import Value
from kgan.settings import Settings

FOLDER = pathlib.Path(__file__).parents[1]
QUIET = {"variant", "data", "seed", "jit", "tracking_uri", "experiment", "image_size", "load_size"}
QUIET |= {"sample_every", "log_every", "checkpoint_every", "keep", "on_nonfinite", "skip_bad", "flip"}
HEAD = "| variant | data | metric | paper | ours, best | ours, last | protocol | command | minutes |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+")
    folders = sorted(map(tracking.find_run, parser.parse_args().runs), key=variant_and_seed)
    groups: dict[str, list[pathlib.Path]] = {}
    for folder in folders:
        groups.setdefault(command(configuration.load(folder)), []).append(folder)
    said = yaml.safe_load((FOLDER / "ledger.yaml").read_text(encoding="utf-8"))
    rows, protocols, notes = [], [], []
    for group in groups.values():
        for name in last_values(group[0]):
            rows.append(row(group, name, said, protocols, notes))
    text = [said["head"].strip(), "", HEAD, "|" + "---|" * HEAD.count(" | ") + "---|", *rows, ""]
    text += ["## Protocols", "", *(f"{i}. {protocol}" for i, protocol in enumerate(protocols, 1)), ""]
    text += ["## Remarks", "", *(f"- {note}" for note in notes)]
    (FOLDER / "ledger.md").write_text("\n".join(text).rstrip() + "\n", encoding="utf-8")


def variant_and_seed(folder: pathlib.Path) -> tuple[str, int]:
    settings = configuration.load(folder).settings
    return settings.variant, settings.seed


def last_values(folder: pathlib.Path) -> dict[str, Value]:
    """The newest figures of a run's last checkpoint, by name."""
    step = checkpoints.steps(folder / tracking.CHECKPOINTS)[-1]
    return {value.name: value for value in evaluating.values_of(folder, step)}


def best_value(folder: pathlib.Path, last: Value) -> Value:
    """The figure of a run's best checkpoint by the same protocol; of a run that keeps none the last one."""
    if not checkpoints.steps(folder / tracking.BEST):
        return last
    found = evaluating.like(last, evaluating.values_of_best(folder))
    if found is None:
        raise InputError(f"{folder}: its best checkpoint has no {last.name} by the protocol of the last one")
    return found


def row(group: list[pathlib.Path], name: str, said: dict, protocols: list[str], notes: list[str]) -> str:
    config = configuration.load(group[0])
    about = next((e for e in said["rows"] if (e["variant"], e["metric"]) == (config.settings.variant, name)), {})
    last = [last_values(folder)[name] for folder in group]
    best = [best_value(folder, value) for folder, value in zip(group, last, strict=True)]
    for value in last:
        value.minus(last[0])  # refuses unlike protocols
    protocol = f"{name}: {last[0].protocol}"
    if protocol not in protocols:
        protocols.append(protocol)
    note = " ".join(about.get("note", "").split())
    if note and note not in notes:
        notes.append(note)
    minutes = statistics.mean(minutes_of(folder) for folder in group)
    cells = [
        f"`{config.settings.variant}`",
        data_name(config),
        f"{name} ({last[0].better} is better)",
        about.get("paper", "none"),
        shown(best),
        shown(last),
        f"[{protocols.index(protocol) + 1}](#protocols)",
        f"`{command(config)}`" + (f", seeds {', '.join(seeds(group))}" if len(group) > 1 else ""),
        f"{minutes:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def shown(found: list[Value]) -> str:
    if len(found) == 1:
        return str(found[0])
    means = [value.mean for value in found]
    return f"{statistics.mean(means):.5g} ± {statistics.stdev(means):.2g} (over {len(means)} runs)"


def seeds(group: list[pathlib.Path]) -> list[str]:
    return [str(configuration.load(folder).settings.seed) for folder in group]


def data_name(config: Configuration) -> str:
    return pathlib.PurePath(config.settings.data or "digits").name


def command(config: Configuration) -> str:
    """What a person types for such a run, whatever its seed: without what is said by default."""
    variant = variants.load(config.settings.variant)
    defaults = {**Settings().__dict__, **variants.recipe(variant), "batch_size": variant.batch_size}
    known = {**config.settings.__dict__, **config.recipe}
    parts = ["--variant", config.settings.variant, "--data", data_name(config)]
    for name, value in known.items():
        if name not in QUIET | {variants.TOTAL_STEPS} and value != defaults.get(name):
            parts += [f"--{name.replace('_', '-')}", str(value)]
    return " ".join(parts)


def minutes_of(folder: pathlib.Path) -> float:
    """Of training, as its own measure of images per second has them: without the time that it stood still."""
    config = configuration.load(folder)
    rows = config.settings.batch_size * config.recipe.get("k", config.recipe.get("n_critic", 1))
    total, before = 0.0, 0
    for entry in Journal(folder).entries():
        if entry["kind"] == "metrics" and "images_per_second" in entry["values"]:
            total += rows * (entry["step"] - before) / entry["values"]["images_per_second"]
            before = entry["step"]
    return total / 60


if __name__ == "__main__":
    main()
