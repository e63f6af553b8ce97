"""The command, on systems that were built but not trained: what they have learned is no matter of its."""

import functools
import os
import pathlib
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
from PIL import Image

from kgan import card, generate, options, served, serving, state, translate, translating, variants
from kgan.configuration import Configuration
from kgan.errors import InputError
from kgan.settings import Settings
from tests import tiny

REPOSITORY = pathlib.Path(__file__).parents[1]
RECIPES = {
    "cyclegan": ("cyclegan", {"width": 2}),
    "pix2pix": ("pix2pix", {"width": 4}),
    "backwards": ("pix2pix", {"width": 2, "direction": "b-to-a"}),
    "dcgan": ("dcgan", {"width": 2}),
}
SIZES = {"a.png": (20, 31), "x/b.png": (9, 9)}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The current directory, with a folder of each run, models/tiny/1 of pix2pix, and pictures in photos."""
    place = tmp_path_factory.mktemp("translated")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for name, (variant, recipe) in RECIPES.items():
            make_run(place / name, variant, recipe)
        for name, size in SIZES.items():
            (place / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(tiny.picture(*size)).save(place / "photos" / name)
        with pytest.MonkeyPatch.context() as quick:  # tests/test_serving.py has an export verified
            quick.setattr(serving, "_BATCHES", ())
            quick.setattr(serving, "_WARM_UP_BATCHES", ())
            quick.setattr(serving.verification, "verify", lambda folder, cases: 0.0)
            model = load(place / "pix2pix")
            serving.export(model, place / "models" / "tiny", card.of_run(place / "pix2pix", model))
        yield place


def make_run(folder: pathlib.Path, variant: str, recipe: dict[str, object]) -> None:
    settings = Settings(variant=variant, image_size=16, steps=1, batch_size=1, precision="float32", jit="off")
    recipe = {**variants.recipe(variants.load(variant)), **tiny.recipe(variant, **recipe), **recipe}
    about = {"name": "nothing", "size": 0, "digest": "sha256:ab", "image_shape": [16, 16, 3]}
    config = Configuration(settings, recipe, about)
    keras.utils.set_random_seed(1)
    model = state.build(config)
    model.compile(jit_compile=False)
    if variant != "dcgan":
        tiny.lively(model)
    folder.mkdir()
    config.write(folder)
    state.save(model, folder, config, keep=1)


def call(*arguments: object) -> None:
    with options.command_line():
        options.invoke(translate.command, [str(argument) for argument in arguments], {})


def made(output: pathlib.Path) -> dict[str, bytes]:
    return {str(file.relative_to(output)): file.read_bytes() for file in output.rglob("*") if file.is_file()}


@functools.cache
def load(run: pathlib.Path):
    return state.load_model(run)


def expected(run: pathlib.Path, direction: str, name: str, seed: int = 0) -> np.ndarray:
    return load(run).translate(tiny.picture(*SIZES[name])[None], direction, seed)[0]


@pytest.mark.parametrize(
    ("run", "arguments", "direction"),
    [
        ("cyclegan", [], "a_to_b"),
        ("cyclegan", ["--direction", "b-to-a"], "b_to_a"),
        ("pix2pix", [], "a_to_b"),
        ("backwards", ["--direction", "b-to-a", "--checkpoint", "0"], "b_to_a"),
    ],
)
def test_a_run_translates_a_folder_its_way(place, tmp_path, capsys, run, arguments, direction):
    call("--input", "photos", "--run", run, "--output", tmp_path / "out", *arguments)
    assert capsys.readouterr() == (f"2 of 2 pictures translated to {tmp_path / 'out'}\n", "")
    assert set(made(tmp_path / "out")) == set(SIZES)
    for name in SIZES:
        result = np.asarray(Image.open(tmp_path / "out" / name))
        np.testing.assert_array_equal(result, expected(place / run, direction, name))
        assert result.std() > 20


def test_results_go_to_the_folder_translated(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call("--input", place / "photos" / "a.png", "--run", place / "cyclegan")
    assert set(made(tmp_path)) == {"translated/a.png"}


def test_the_seed_is_that_of_the_noise_and_0_by_default(place, tmp_path):
    for output, arguments in (("none", []), ("0", ["--seed", 0]), ("1", ["--seed", 1])):
        call("--input", "photos/a.png", "--run", "pix2pix", "--output", tmp_path / output, *arguments)
    none, zero, one = (made(tmp_path / output)["a.png"] for output in ("none", "0", "1"))
    assert none == zero != one
    np.testing.assert_array_equal(
        Image.open(tmp_path / "1" / "a.png"), expected(place / "pix2pix", "a_to_b", "a.png", 1)
    )


def test_an_export_translates_as_its_run(place, tmp_path):
    call("--input", "photos", "--model", "models/tiny", "--output", tmp_path, "--seed", 7, "--direction", "a-to-b")
    for name in SIZES:
        result = np.asarray(Image.open(tmp_path / name), int)
        run = expected(place / "pix2pix", "a_to_b", name, 7)
        assert result.shape == run.shape and np.abs(result - run).max() <= 1


def test_an_export_has_no_tiles(place, monkeypatch):
    monkeypatch.setattr(translating.psutil, "virtual_memory", lambda: types.SimpleNamespace(available=10_000))
    model = served.load("models/tiny/1")
    with pytest.raises(ValueError, match="31x20 pixels are too many for the memory at hand"):
        translating.translate_file(model, "a_to_b", 0, pathlib.Path("photos/a.png"))


def test_what_is_there_is_replaced_when_it_is_asked_for(place, tmp_path, capsys):
    (tmp_path / "a.png").write_text("mine")
    for arguments, line in (([], "0 of 1"), (["--no-overwrite"], "0 of 1"), (["--overwrite"], "1 of 1")):
        call("--input", "photos/a.png", "--run", "cyclegan", "--output", tmp_path, *arguments)
        assert capsys.readouterr().out.startswith(f"{line} pictures translated")
        assert ((tmp_path / "a.png").read_bytes() == b"mine") == (line == "0 of 1")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "--run, --model: expected one of the two"),
        (["--run", "cyclegan", "--model", "models/tiny"], "--run, --model: expected one of the two"),
        (["--model", "photos"], "--model: photos is no model that kgan.export has written"),
        (["--model", "models/tiny", "--checkpoint", "0"], "--checkpoint: got '0' with --model"),
        (["--run", "cyclegan", "--checkpoint", "7"], "--checkpoint: got '7', expected last, best or one of 0"),
        (["--run", "dcgan"], "--run, --model: dcgan makes images of latents; use kgan.generate"),
        (
            ["--run", "pix2pix", "--direction", "b-to-a"],
            "--direction: got b-to-a, expected a-to-b: the run has learned no other",
        ),
        (
            ["--model", "models/tiny", "--direction", "b-to-a"],
            "--direction: got b-to-a, expected a-to-b: the run has learned no other",
        ),
        (["--run", "backwards", "--direction", "a-to-b"], "--direction: got a-to-b, expected b-to-a"),
        (["--run", "cyclegan", "--direction", "up"], "'--direction': 'up' is not one of 'a-to-b', 'b-to-a'"),
        (["--run", "pix2pix", "--seed", "-1"], "--seed: got -1, expected 0 to 2147483647"),
        (["--run", "pix2pix", "--seed", 2**31], "--seed: got 2147483648, expected 0 to 2147483647"),
        (["--run", "pix2pix", "--seed", "x"], "'x' is not a valid integer"),
        (["--run", "cyclegan", "--output", "photos"], "--output: got photos, the same as --input"),
        (["--run", "cyclegan", "--output", "photos/a.png"], "--output: photos/a.png/a.png cannot be written"),
        (["--run", "cyclegan", "--overwite"], "No such option '--overwite'"),
    ],
)
def test_what_is_wrong_is_one_line(place, capsys, arguments, line):
    before = made(place / "photos")
    with pytest.raises(SystemExit) as stop:
        call("--input", "photos", *arguments)
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.startswith("error: ") and error.count("\n") == 1
    assert line in error
    assert made(place / "photos") == before and not (place / "translated").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--run", "cyclegan"], "Missing option '--input'"),
        (["--run", "cyclegan", "--input", "none"], "--input: there is no file or folder none"),
        (["--run", "cyclegan", "--input", "models"], "--input: models holds no pictures"),
    ],
)
def test_without_pictures_it_is_one_line(place, capsys, arguments, line):
    with pytest.raises(SystemExit) as stop:
        call(*arguments)
    assert stop.value.code == 2
    assert line in capsys.readouterr().err


def test_a_run_that_translates_makes_no_images_of_latents(place):
    with pytest.raises(InputError, match=r"--run, --model: cyclegan translates pictures; use kgan\.translate"):
        generate.generate(run="cyclegan")


def test_a_picture_that_is_skipped_is_one_line_and_code_3(place, tmp_path):
    """As a person calls it: in a process of its own."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(tiny.picture(12, 17)).save(folder / "good.png")
    (folder / "bad.png").write_bytes(b"no picture")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "kgan.translate", "--input", folder, "--run", "cyclegan", "--output", "skipping"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 3
    assert done.stderr == "error: 1 of 2 pictures were skipped: bad.png (no known image format)\n"
    assert done.stdout.splitlines() == [
        "bad.png is skipped: no known image format",
        "1 of 2 pictures translated to skipping",
    ]
    call("--input", folder / "good.png", "--run", "cyclegan", "--output", tmp_path)
    assert made(place / "skipping") == {"good.png": (tmp_path / "good.png").read_bytes()}
