"""Everything a run depends on, resolved, as its folder keeps it in `config.json`."""

import dataclasses
import hashlib
import json
import pathlib
import types
import typing

from kgan import variants
from kgan.errors import InputError, RunError
from kgan.files import read_small, write_atomic
from kgan.settings import FREE, PLACES, Settings
from kgan.tracking import CONFIG

_NOT_DECISIVE = (*FREE, *PLACES, "skip_bad", "experiment")  # of the data its content counts, not its place


@dataclasses.dataclass(frozen=True)
class Configuration:
    """What a run was told and what it found.

    Attributes:
        settings: nothing in them is None or "auto".
        recipe: every hyper-parameter of the variant.
        data: name, split, size, digest, image_shape and class_names of the data set.
    """

    settings: Settings
    recipe: dict[str, object]
    data: dict[str, object]

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides what a training computes: not how long it runs and what it logs and keeps.

        None is as if it were not there: an option that a later version adds is None in the runs of this one.
        """
        settings = {k: v for k, v in dataclasses.asdict(self.settings).items() if k not in _NOT_DECISIVE}
        bound = variants.is_bound_to_steps(self.recipe)
        recipe = {k: v for k, v in self.recipe.items() if k != variants.TOTAL_STEPS or bound}
        data = {"digest": self.data["digest"], "image_shape": list(self.data["image_shape"])}
        decisive = {"settings": _said(settings), "recipe": _said(recipe), "data": data}
        return hashlib.sha256(_text(decisive).encode()).hexdigest()

    def to_json(self) -> str:
        """As text that `from_json` reads."""
        return _text(dataclasses.asdict(self) | {"digest": self.digest})

    def write(self, folder: pathlib.Path) -> None:
        """Keeps it in a run's folder.

        Raises:
            RunError: it cannot be written.
        """
        try:
            write_atomic(folder / CONFIG, self.to_json().encode())
        except OSError as error:
            raise RunError(f"the run cannot write {folder / CONFIG} ({error.strerror})") from error


def from_json(text: str | bytes) -> Configuration:
    """Reads what `to_json` wrote, trusting nothing.

    Raises:
        ValueError: names or types are not those of this program, or the digest is not that of the content.
        InputError: there is no such variant.
    """
    content = json.loads(text)
    if not isinstance(content, dict) or set(content) != {"settings", "recipe", "data", "digest"}:
        raise ValueError("it is no configuration of this program")
    _check(Settings, content["settings"], (), {f.name for f in dataclasses.fields(Settings) if f.default is not None})
    variant = variants.load(content["settings"]["variant"])
    # What a later version adds to a recipe changes nothing by default.
    _check(variant, content["recipe"], variants.NOT_IN_RECIPE, set())
    shape = content["data"]["image_shape"]
    if not (isinstance(shape, list) and len(shape) == 3 and all(type(side) is int for side in shape)):
        raise ValueError(f"image_shape is {shape!r}")
    names = content["data"].get("class_names")
    if variant.data == "labelled" and not (isinstance(names, list) and len(names) > 1):
        raise ValueError(f"class_names is {names!r}")
    configuration = Configuration(Settings(**content["settings"]), content["recipe"], content["data"])
    if content["digest"] != configuration.digest:
        raise ValueError("its content does not have the digest that stands in it")
    return configuration


def load(folder: pathlib.Path) -> Configuration:
    """The configuration of a run.

    Raises:
        InputError: the folder has none, or it is not one of this program's.
    """
    path = folder / CONFIG
    try:
        return from_json(read_small(path))
    except FileNotFoundError:
        raise InputError(f"{folder} has no {CONFIG}: it is no run, or one that died before it began") from None
    except InputError as error:
        raise InputError(f"{path} is of another version of this program ({error})") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({type(error).__name__}: {error})") from None


def _check(target: type, values: object, skip: tuple[str, ...], required: set[str]) -> None:
    """Raises ValueError where values are not arguments of `target`, of their types, or lack one of those required."""
    hints = typing.get_type_hints(target if dataclasses.is_dataclass(target) else target.__init__)
    hints = {name: hint for name, hint in hints.items() if name not in (*skip, "return")}
    if not isinstance(values, dict) or not required <= set(values) <= set(hints):
        raise ValueError(f"{target.__name__} takes {', '.join(sorted(hints))}")
    for name, value in values.items():
        if not _fits(value, hints[name]):
            raise ValueError(f"{name} is {value!r}")


def _fits(value: object, hint: object) -> bool:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return any(_fits(value, kind) for kind in typing.get_args(hint))
    if typing.get_origin(hint) is typing.Literal:
        return value in typing.get_args(hint)
    if type(value) is int and abs(value) >= 2**63:
        return False
    return type(value) is hint or (hint is float and type(value) is int)


def _said(values: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _text(content: dict) -> str:
    return json.dumps(content, indent=1)
