"""What the README says is run, or at least understood by the command it is given to."""

import pathlib
import re
import shlex

import pytest

from kgan import bench, options, train
from kgan.evaluate import command as evaluate
from kgan.export import command as export
from kgan.generate import command as generate
from kgan.sync import command as sync
from kgan.translate import command as translate

REPOSITORY = pathlib.Path(__file__).parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[list[str]]:
    lines = [shlex.split(line, comments=True) for block in blocks("sh") for line in block.splitlines()]
    return [line[line.index("-m") + 1 :] for line in lines if any(word.startswith("kgan.") for word in line)]


def test_the_notebook_trains(monkeypatch):
    (code,) = blocks("python")
    code = code.replace("steps_per_epoch=100", "steps_per_epoch=2")
    scope: dict[str, object] = {}
    exec(code, scope)
    assert scope["pictures"].shape == (16, 24, 24, 1)
    assert int(scope["model"].step) == 4


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_are_understood(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (config,) = blocks("yaml")
    (tmp_path / "experiment.yaml").write_text(config)
    name, *arguments = words
    if "--help" in arguments:
        arguments.remove("--help")
    fixed = {"kgan.generate": generate, "kgan.translate": translate, "kgan.sync": sync, "kgan.export": export}
    fixed["kgan.evaluate"] = evaluate
    variant = dict(zip(arguments[::2], arguments[1::2], strict=False)).get("--variant", "dcgan")
    named = {"kgan.train": train.command, "kgan.bench": bench.command}
    command = fixed[name] if name in fixed else named[name](variant)
    file = options.read_config("experiment.yaml") if "--config" in arguments else {}
    assert set(file) <= {parameter.name for parameter in command.params}
    with command.make_context(name, list(arguments), default_map=file) as context:
        said = {word.removeprefix("--").replace("-", "_") for word in arguments if word.startswith("--")}
        assert set(options.given(context)) == said | set(file)


def test_pictures_are_there_and_small():
    pictures = re.findall(r"!\[[^]]*\]\((docs/[^)]*)\)", README)
    assert pictures
    for picture in pictures:
        assert (REPOSITORY / picture).stat().st_size < 500_000
