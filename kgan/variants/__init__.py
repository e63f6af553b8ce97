"""One file per system; `wgan_gp.py` is the variant `wgan-gp`. Listing them imports neither Keras nor TensorFlow."""

import ast
import importlib
import inspect
import pathlib

from kgan.errors import InputError, near_misses

NOT_IN_RECIPE = ("image_shape", "classes", "seed", "generator", "discriminator")
TWO_DOMAINS = ("unpaired", "paired")  # what `data` says of variants that translate
TOTAL_STEPS = "total_steps"  # an argument of this name is --steps: a schedule falls over the whole training ...
SCHEDULE = "schedule"  # ... unless an argument of this name is "constant"
_FOLDER = pathlib.Path(__file__).parent


def names() -> list[str]:
    """The names of all variants, sorted."""
    files = (path.stem for path in _FOLDER.glob("*.py"))
    return sorted(stem.replace("_", "-") for stem in files if stem not in ("__init__", "base"))


def summary(name: str) -> str:
    """The first line of a variant's docstring, read without importing it."""
    source = (_FOLDER / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").splitlines()[0]


def check_name(name: str) -> None:
    """Raises InputError where no variant has this name."""
    if name not in names():
        known = f"one of {', '.join(names())}"
        raise InputError(f"--variant: got {name!r}, expected {known}.{near_misses(name, names())}")


def load(name: str) -> type:
    """Imports a variant.

    Returns:
        Its class, a subclass of `kgan.variants.base.Variant`.

    Raises:
        InputError: no variant has this name.
    """
    check_name(name)
    module = importlib.import_module(f"kgan.variants.{name.replace('-', '_')}")
    base = importlib.import_module("kgan.variants.base").Variant
    (variant,) = (
        member
        for member in vars(module).values()
        if isinstance(member, type) and issubclass(member, base) and member.__module__ == module.__name__
    )
    return variant


def recipe(variant: type) -> dict[str, object]:
    """The hyper-parameters of a variant and their defaults: its constructor's arguments but `NOT_IN_RECIPE`."""
    arguments = inspect.signature(variant).parameters.values()
    return {a.name: a.default for a in arguments if a.name not in NOT_IN_RECIPE}


def is_bound_to_steps(recipe: dict[str, object]) -> bool:
    """Whether what a run does depends on how many steps it is to do."""
    return TOTAL_STEPS in recipe and recipe.get(SCHEDULE) != "constant"
