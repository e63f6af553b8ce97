"""A run from settings to pictures, in one process."""

import json
import os
import pathlib

import keras
import mlflow
import numpy as np
import pytest
from PIL import Image

from kgan import checkpoints, configuration, datasets, environment, generate, state, tracking, training, variants
from kgan.errors import InputError
from kgan.settings import Settings
from kgan.variants.gan import GAN
from tests import tiny

DATA = {
    "images": ("digits", 1797, [32, 32, 1]),
    "labelled": ("digits", 1797, [32, 32, 1]),
    "unpaired": ("photos", 300, [32, 32, 3]),
    "paired": ("photos", 600, [32, 32, 3]),
}
EVERY = {"sample_every": 2, "log_every": 2}


def short(variant: str, **settings) -> tuple[Settings, dict]:
    every = {"sample_every": 2, "log_every": 2}
    settings = {"steps": 4, "batch_size": 8, **every, "precision": "float32", "jit": "off", **settings}
    return Settings(variant=variant, **settings), {"width": 20}


def client() -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{pathlib.Path('mlruns/mlflow.db').resolve()}")


def final(run: tracking.Run) -> str:
    """The digest of everything that a run ended with."""
    return checkpoints.read_header(state.find(run.folder, "last")).digest


@pytest.mark.parametrize("variant", tiny.OF_EACH_KIND)
def test_a_run_tells_everything(workplace, variant, capsys):
    name, count, shape = DATA[variants.load(variant).data]
    run = training.train(tiny.settings(variant, steps=4, image_size=32, **EVERY), tiny.recipe(variant, width=20))
    config = configuration.load(run.folder)
    settings = config.settings
    assert (settings.variant, settings.precision, settings.jit, settings.image_size) == (variant, "float32", "off", 32)
    assert config.recipe == {**variants.recipe(variants.load(variant)), **config.recipe, "width": 20}
    assert config.data["size"] == count and config.data["image_shape"] == shape
    assert settings.tracking_uri == "sqlite:///mlruns/mlflow.db"

    stored = client().get_run(run.id)
    assert stored.info.status == "FINISHED" and stored.info.run_name == f"{variant} {name}"
    assert stored.data.params["width"] == "20" and stored.data.params["data_digest"] == config.data["digest"]
    assert not {"auto", "None"} & set(stored.data.params.values())
    for tag in ("version.keras", "version.tensorflow", "hardware.cpu", "hardware.gpu", "mlflow.source.git.commit"):
        assert stored.data.tags[tag]
    two = variants.load(variant).data in variants.TWO_DOMAINS
    looked_at = state.load_model(run.folder).directions if two else ["samples"]
    measured = {*variants.load(variant).measures, "images_per_second", *(f"{name}_distance" for name in looked_at)}
    assert set(stored.data.metrics) == measured
    for measure in measured:
        history = client().get_metric_history(run.id, measure)
        assert [m.step for m in history] == [2, 4] and np.isfinite([m.value for m in history]).all()
    assert {f.path for f in client().list_artifacts(run.id)} == {"config.json", "images", "checkpoints"}
    assert [path.name for path in run.pictures] == list(state.load_model(run.folder).grid_names)
    for folder in run.pictures:
        assert sorted(path.name for path in folder.iterdir()) == [f"step-{step:07d}.png" for step in (0, 2, 4)]

    said = capsys.readouterr().out
    assert f"small preset of {name}: image_size 32, width 20, steps 4" in said
    assert "step 4/4" in said and "ETA" in said


@pytest.mark.parametrize(
    ("given", "native", "resolved"),
    [
        ({}, True, ("mixed_bfloat16", "off")),
        ({}, False, ("float32", "off")),
        ({"precision": "float32"}, True, ("float32", "off")),
        ({"precision": "mixed_bfloat16", "jit": "on"}, False, ("mixed_bfloat16", "on")),
    ],
)
def test_auto_is_what_is_fast_on_this_processor(monkeypatch, given, native, resolved):
    monkeypatch.setattr(environment, "has_native_bfloat16", lambda: native)
    settings = Settings(variant="gan", **given)
    found = training.resolve(settings, {}, datasets.for_training(settings).train).settings
    assert (found.precision, found.jit) == resolved


def test_windows_are_means_of_their_steps(workplace):
    fine = training.train(*short("dcgan", log_every=1))
    coarse = training.train(*short("dcgan", log_every=4))
    steps = [m.value for m in client().get_metric_history(fine.id, "discriminator_loss")]
    (mean,) = client().get_metric_history(coarse.id, "discriminator_loss")
    assert mean.step == 4 and mean.value == pytest.approx(np.mean(steps), rel=1e-5)


def test_the_same_settings_give_the_same_weights(workplace):
    first, second = (training.train(*short("gan")) for _ in range(2))
    assert final(first) == final(second)
    assert final(training.train(*short("gan", seed=1))) != final(first)


def test_bfloat16_runs_come_back(workplace):
    run = training.train(*short("dcgan", precision="mixed_bfloat16"))
    assert configuration.load(run.folder).settings.precision == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == "float32"  # as it was before
    assert state.build(configuration.load(run.folder)).generator.get_layer("up_24").compute_dtype == "bfloat16"
    model = state.load_model(run.folder)
    assert model.generator.get_layer("up_24").compute_dtype == "float32"  # to be used, not to train
    assert model.generate(2).shape == (2, 24, 24, 1)


def test_a_failing_run_is_marked(workplace, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("disk of cheese")

    monkeypatch.setattr(state, "save", broken)
    with pytest.raises(RuntimeError):
        training.train(*short("gan"))
    (folder,) = (path.parent for path in tracking.ROOT.glob("*/run.json"))
    assert client().get_run(folder.name).info.status == "FAILED"
    assert "disk of cheese" in (folder / "traceback.txt").read_text()
    with pytest.raises(InputError, match="has no checkpoint"):
        state.load_model(folder)


def test_a_step_that_cannot_be_traced_fails_the_run_that_was_opened_meanwhile(workplace, monkeypatch):
    def broken(*_):
        raise RuntimeError("cheese in the graph")

    monkeypatch.setattr(GAN, "train_step", broken)
    with pytest.raises(RuntimeError):
        training.train(*short("gan"))
    (folder,) = (path.parent for path in tracking.ROOT.glob("*/run.json"))
    assert client().get_run(folder.name).info.status == "FAILED"


@pytest.mark.parametrize(
    ("settings", "recipe", "message"),
    [
        ({"steps": 0}, {}, "--steps: got 0, expected at least 1"),
        ({"log_every": -1}, {}, "--log-every: got -1"),
        ({"batch_size": 0}, {}, "--batch-size: got 0"),
        ({"batch_size": 2000}, {}, "too few images"),
        ({"data": "digitz"}, {}, "Did you mean 'digits'"),
        ({"image_size": 15}, {}, "--image-size"),
        ({"variant": "dcgann"}, {}, "Did you mean 'dcgan'"),
        ({}, {"width": -1}, "width: got -1"),
        ({}, {"beta_1": 1.0}, "beta_1: got 1.0"),
        ({"seed": -1}, {}, "--seed: got -1"),
        ({"variant": "gan"}, {"momentum": 2.0}, "momentum: got 2.0"),
        ({"tracking_uri": "http://127.0.0.1:9"}, {}, "--tracking-uri: http://127.0.0.1:9 does not work"),
    ],
)
def test_what_cannot_be_used_is_told_before_a_run_starts(workplace, settings, recipe, message):
    with pytest.raises(InputError, match=message):
        training.train(Settings(**settings), recipe)
    assert not list(tracking.ROOT.glob("*/run.json"))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({}, "--data set.npz: has no labels; cgan expects two class folders or more, or a set that has labels"),
        ({"y_train": [0] * 18}, "--data set.npz: has only one class; cgan expects two class folders or more"),
        ({"y_train": [0, 1, 4] * 6}, "--data set.npz: has no image of 2, 3; cgan expects some of every class"),
    ],
)
def test_a_conditional_variant_expects_images_of_every_class(workplace, labels, message):
    np.savez("set.npz", x_train=np.zeros((18, 8, 8), np.uint8), **labels)
    with pytest.raises(InputError, match=message):
        training.train(tiny.settings("cgan", data="set.npz"), tiny.recipe("cgan"))
    assert not list(tracking.ROOT.glob("*/run.json"))


def test_generate_makes_files_that_depend_on_seed_and_number_alone(workplace, capsys):
    run = training.train(*short("dcgan"))
    generate.generate(run.id, num=5, seed=3, output="a", grid=True, interpolate=True)
    generate.generate(str(run.folder), num=3, seed=3, output="b")
    generate.generate(run.id, num=3, seed=3, output="c", truncation=0.5)
    assert sorted(os.listdir("a")) == ["grid.png", *(f"seed-3-{i:05d}.png" for i in range(5)), "walk.gif"]
    assert sorted(os.listdir("b")) == [f"seed-3-{i:05d}.png" for i in range(3)]
    for name in os.listdir("b"):
        assert pathlib.Path("a", name).read_bytes() == pathlib.Path("b", name).read_bytes()
        assert pathlib.Path("b", name).read_bytes() != pathlib.Path("c", name).read_bytes()
        with Image.open(pathlib.Path("a", name)) as picture:
            assert (picture.mode, picture.size) == ("L", (24, 24))
    with Image.open("a/walk.gif") as walk:
        assert walk.n_frames > 64
    assert "5 images in a" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num": 0}, "num: got 0"),
        ({"truncation": 3.0}, "truncation: got 3.0"),
        ({"run": "nothing"}, "there is no run"),
    ],
)
def test_generate_refuses(workplace, arguments, message):
    run = training.train(*short("gan"))
    with pytest.raises(InputError, match=message):
        generate.generate(**{"run": run.id, **arguments})
    assert not pathlib.Path("generated").exists()


def test_pictures_are_logged_from_the_same_latents(workplace):
    run = training.train(*short("dcgan"))
    model = state.load_model(run.folder)
    with Image.open(run.folder / "samples" / "step-0000004.png") as picture:
        shown = np.asarray(picture)
    np.testing.assert_array_equal(shown[::2, ::2], model.grid()[..., 0])


def test_config_is_readable_by_people(workplace):
    run = training.train(*short("gan"))
    text = (run.folder / "config.json").read_text()
    assert json.loads(text)["recipe"]["k"] == 1 and text.count("\n") > 20
