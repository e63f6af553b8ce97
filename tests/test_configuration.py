import dataclasses
import json

import pytest

from kgan import configuration
from kgan.configuration import Configuration
from kgan.errors import InputError
from kgan.settings import FREE, PLACES, Settings

# Of a run before DCGAN had label smoothing and instance noise.
RECIPE = {"latent_dim": 3, "width": 2, "learning_rate": 0.0002, "beta_1": 0.5, "update": "alternating"}
DATA = {"name": "digits", "digest": "sha256:ab", "image_shape": [16, 16, 1], "class_names": ["0", "ü"]}
CONFIG = Configuration(Settings(variant="dcgan", steps=9), RECIPE, DATA)


def altered(path: str, value) -> str:
    """The text of CONFIG with one value changed, and a digest that covers the change."""
    content = json.loads(CONFIG.to_json())
    *parents, name = path.split(".")
    place = content
    for parent in parents:
        place = place[parent]
    if value is None:
        del place[name]
    else:
        place[name] = value
    return json.dumps(content)


def test_it_comes_back(tmp_path):
    assert configuration.from_json(CONFIG.to_json()) == CONFIG
    CONFIG.write(tmp_path)
    assert configuration.load(tmp_path) == CONFIG
    assert (tmp_path / "config.json").read_text().count("\n") > 20  # a person can read it


def test_the_digest_is_of_what_decides_the_figures():
    for name in Settings.__dataclass_fields__:
        other = dataclasses.replace(CONFIG, settings=dataclasses.replace(CONFIG.settings, **{name: "other"}))
        free = name in FREE or name in (*PLACES, "skip_bad", "experiment")
        assert (other.digest == CONFIG.digest) == free, name
    assert dataclasses.replace(CONFIG, recipe={**RECIPE, "width": 3}).digest != CONFIG.digest
    assert dataclasses.replace(CONFIG, data={**DATA, "digest": "sha256:cd"}).digest != CONFIG.digest
    assert dataclasses.replace(CONFIG, data={**DATA, "image_shape": (16, 16, 1), "name": "x"}).digest == CONFIG.digest


def test_an_option_of_a_later_version_is_not_missed():
    content = json.loads(CONFIG.to_json())
    assert content["settings"]["augment"] is None
    del content["settings"]["augment"]
    assert configuration.from_json(json.dumps(content)) == CONFIG
    assert "label_smoothing" not in content["recipe"]
    assert CONFIG.recipe == configuration.from_json(json.dumps(content)).recipe
    del content["settings"]["seed"]
    with pytest.raises(ValueError, match="Settings takes"):
        configuration.from_json(json.dumps(content))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("recipe.width", 3, "does not have the digest"),
        ("digest", "0" * 64, "does not have the digest"),
        ("digest", None, "no configuration of this program"),
        ("recipe.width", "3", "width is '3'"),
        ("recipe.width", True, "width is True"),
        ("recipe.width", 10**400, "width is 1000"),
        ("recipe.learning_rate", 10**400, "learning_rate is 1000"),
        ("recipe.width", 2.5, "width is 2.5"),
        ("recipe.learning_rate", [1], r"learning_rate is \[1\]"),
        ("recipe.update", "sideways", "update is 'sideways'"),
        ("recipe.__class__", "x", "DCGAN takes beta_1, instance_noise, .*, update, width"),
        ("recipe.generator", "os.system", "DCGAN takes"),
        ("recipe.width", None, "does not have the digest"),
        ("recipe", [], "DCGAN takes"),
        ("settings.steps", "9", "steps is '9'"),
        ("settings.seed", 1.5, "seed is 1.5"),
        ("settings.shell", "x", "Settings takes"),
        ("settings", "x", "Settings takes"),
        ("data.image_shape", "16", "image_shape is '16'"),
        ("data.image_shape", [16, 16], r"image_shape is \[16, 16\]"),
        ("data.image_shape", [16, 16, 1e9], "image_shape is"),
        ("data.image_shape", None, "KeyError"),
        ("data", "x", "TypeError"),
    ],
)
def test_what_was_tampered_with_is_refused(tmp_path, path, value, message):
    (tmp_path / "config.json").write_text(altered(path, value))
    with pytest.raises(InputError, match=rf"config\.json is damaged \(.*{message}") as error:
        configuration.load(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"x"', "{}", "[" * 100_000, "\xff", " " * 2**21])
def test_what_is_no_configuration_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        configuration.load(tmp_path)


def test_variants_of_other_versions_are_named(tmp_path):
    (tmp_path / "config.json").write_text(altered("settings.variant", "stylegan9"))
    with pytest.raises(InputError, match=r"is of another version of this program \(--variant: got 'stylegan9'"):
        configuration.load(tmp_path)


def test_a_folder_without_one(tmp_path):
    with pytest.raises(InputError, match=r"has no config\.json: it is no run, or one that died before it began"):
        configuration.load(tmp_path)
