"""`python -m kgan.train`: trains a GAN, tracked by MLflow."""

import argparse
import os
import sys

import click

import pipelines
from kgan import options, variants
from kgan.settings import Settings


def command(variant: str | None) -> click.Command:
    """The command with the options of a variant's recipe; without them, and light, where none is named."""
    parameters = options.from_signature(Settings)
    listed = "\n".join(f"  {name:<14} {variants.summary(name)}" for name in variants.names())
    kind = "images" if variant is None else variants.outline(variant).data
    sources = pipelines.PAIR_SOURCES[kind] if kind in variants.TWO_DOMAINS else pipelines.SOURCES
    sets = "\n".join(f"  {name:<14} {text}" for name, text in sources.items())
    epilog = f"\b\nvariants (--variant NAME --help lists the options of its recipe):\n{listed}\n\n\b\ndata:\n{sets}"
    if variant is not None:
        parameters += options.from_signature(variants.outline(variant), skip=(variants.TOTAL_STEPS,))
    parameters.append(click.Option(["--config"], metavar="FILE", help="a YAML file of `option: value` lines"))
    text = "go on with a run after its last checkpoint: its id, its folder, or latest (the newest unfinished one)"
    parameters.append(click.Option(["--resume"], metavar="RUN", help=text))
    text = "Trains a GAN and tracks it with MLflow. Without options: DCGAN on scikit-learn's digits."
    return click.Command("train", callback=_train, params=parameters, help=text, epilog=epilog)


@click.pass_context
def _train(context: click.Context, **_: object) -> None:
    options.load_tensorflow()
    from kgan import configuration, training

    given = options.given(context)
    given.pop("config", None)
    resumed = given.pop("resume", None)
    if resumed is None:
        settings = {name: given.pop(name) for name in list(given) if name in Settings.__dataclass_fields__}
        run = training.train(Settings(**settings), recipe=given)
    else:
        run = training.resume(resumed, given)
    uv = "uv run " if "UV" in os.environ else ""
    print("\npictures:", *run.pictures)
    server = run.tracking_uri.startswith("http")
    print(f"open the run: {run.tracking_uri if server else f'{uv}mlflow ui --backend-store-uri {run.tracking_uri}'}")
    if variants.load(configuration.load(run.folder).settings.variant).data in variants.TWO_DOMAINS:
        print(f"translate: {uv}python -m kgan.translate --run {run.id} --input PICTURES --output translated")
    else:
        print(f"generate more: {uv}python -m kgan.generate --run {run.id} --num 16 --grid --output generated")
    print(f"run {run.id}")


def main(argv: list[str]) -> None:
    """Reads the arguments in two passes: the variant, then the options it has."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("--variant", "--config", "--resume"):
        first.add_argument(name, nargs="?")  # a missing value is told by the second pass
    named, _ = first.parse_known_args(argv)
    config = options.read_config(named.config) if named.config else {}
    resumed = named.resume or config.get("resume")
    variant = _variant_of(resumed) if resumed else named.variant or config.get("variant")
    if variant is None and "--help" not in argv:
        variant = Settings.variant
    if variant is not None:
        variants.check_name(variant)
    options.invoke(command(variant), argv, config)


def _variant_of(run: str) -> str:
    from kgan import configuration, tracking

    options.load_tensorflow()
    return configuration.load(tracking.find_own_run(run)).settings.variant


if __name__ == "__main__":
    with options.command_line():
        main(sys.argv[1:])
