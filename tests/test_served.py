"""Exported models used as runs are."""

import json
import pathlib

import numpy as np
import pytest

from kgan import card, configuration, export, generate, served, state, tracking, training, variants
from kgan.configuration import Configuration
from kgan.errors import InputError
from kgan.latent import Latent
from kgan.settings import Settings
from tests import tiny

LATENT = [name for name in tiny.OF_EACH_KIND if issubclass(variants.load(name), Latent)]


@pytest.fixture(scope="module", params=LATENT)
def run(request, tmp_path_factory, _empty_database):
    """The current directory, and the folder of a finished run in it, exported as models/tiny/1."""
    place = tmp_path_factory.mktemp("used")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        (place / "mlruns").mkdir()
        (place / "mlruns" / "mlflow.db").write_bytes(_empty_database.read_bytes())
        run = training.train(tiny.settings(request.param, steps=2), tiny.recipe(request.param))
        export.export(run.id, "models/tiny")
        yield run


def pictures(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


@pytest.mark.parametrize("place", ["models/tiny", "models/tiny/1"])
def test_an_export_makes_the_pictures_of_its_run(run, place, tmp_path):
    asked = {"num": 70, "seed": 3, "truncation": 0.8, "grid": True, "interpolate": True}
    generate.generate(run=run.id, output=str(tmp_path / "run"), **asked)
    generate.generate(model=place, output=str(tmp_path / "model"), **asked)
    assert len(pictures(tmp_path / "run")) == 72
    assert pictures(tmp_path / "run") == pictures(tmp_path / "model")


def test_the_newest_version_is_taken(run, tmp_path):
    for version in ("2", "10"):
        (tmp_path / version / "assets.extra").mkdir(parents=True)
    with pytest.raises(InputError, match=r"/10 is no model that kgan\.export has written"):
        served.load(str(tmp_path))


def test_a_model_without_its_weights_is_one_line(run, tmp_path):
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / card.ABOUT).write_bytes((pathlib.Path("models/tiny/1") / card.ABOUT).read_bytes())
    with pytest.raises(InputError, match=r"--model: .* cannot be loaded"):
        served.load(str(tmp_path))


def test_a_card_of_another_configuration_is_refused(run, tmp_path):
    content = json.loads((pathlib.Path("models/tiny/1") / card.ABOUT).read_text())
    content["configuration"]["recipe"]["latent_dim"] = 7
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / card.ABOUT).write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"kgan\.json is damaged .*digest"):
        served.load(str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "--run, --model: expected one of the two"),
        ({"run": "a", "model": "b"}, "--run, --model: expected one of the two"),
        ({"model": "b", "checkpoint": "3"}, "--checkpoint: got '3' with --model"),
        ({"model": "nothing"}, "nothing is no model that kgan.export has written"),
    ],
)
def test_it_is_a_run_or_a_model(arguments, message):
    with pytest.raises(InputError, match=message):
        generate.generate(**arguments)


def test_rows_are_those_of_the_network(run):
    model = served.load("models/tiny")
    np.testing.assert_array_equal(model.generate(5, seed=1), state.load_model(run.folder).generate(5, seed=1))


def told(run) -> bool:
    return variants.load(configuration.load(run.folder).settings.variant).data == "labelled"


def test_a_class_is_asked_for_by_its_name(run, tmp_path):
    if not told(run):
        with pytest.raises(InputError, match="--label: got '7', but gan knows no classes"):
            generate.generate(run=run.id, label="7", output=str(tmp_path / "run"))
        return
    for name, source in {"run": {"run": run.id}, "model": {"model": "models/tiny"}}.items():
        generate.generate(**source, num=3, label="7", output=str(tmp_path / name))
    assert pictures(tmp_path / "run") == pictures(tmp_path / "model")
    made = state.load_model(run.folder).generate(3, label=7)
    np.testing.assert_array_equal(served.load("models/tiny").generate(3, label=7), made)
    with pytest.raises(InputError, match="--label: got '10', expected one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"):
        generate.generate(run=run.id, label="10", output=str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("names", "text", "expected"),
    [
        (["cat", "dog"], "dog", 1),
        (["cat", "dog"], "0", 0),
        (["1", "10", "2"], "2", 2),
        (["1", "10", "2"], "0", r"expected one of 1, 10, 2\."),
        (["cat", "dog"], "2", "expected one of cat, dog, or a number from 0 to 1"),
        (["cat", "dog"], "dgo", "Did you mean 'dog'"),
    ],
)
def test_a_number_is_a_name_where_names_are_numbers(monkeypatch, names, text, expected):
    config = Configuration(Settings(variant="cgan"), {}, {"class_names": names})
    monkeypatch.setattr(configuration, "load", lambda _: config)
    monkeypatch.setattr(tracking, "find_run", lambda _: pathlib.Path())
    if isinstance(expected, int):
        assert served.label_of(text, "run", None) == expected
    else:
        with pytest.raises(InputError, match=expected):
            served.label_of(text, "run", None)
