"""One file per system; `wgan_gp.py` is the variant `wgan-gp`. Listing them imports neither Keras nor TensorFlow."""

import ast
import importlib
import inspect
import pathlib
import sys
import typing

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
    return (ast.get_docstring(_source(name)) or "").splitlines()[0]


def check_name(name: str) -> None:
    """Raises InputError where no variant has this name."""
    if name not in names():
        known = f"one of {', '.join(names())}"
        raise InputError(f"--variant: got {name!r}, expected {known}.{near_misses(name, names())}")


def outline(name: str) -> type:
    """What a command line must know of a variant, read without importing it, which takes seconds.

    Returns:
        A class with the variant's docstring, its `data` and a constructor, which does nothing, with its recipe's
        arguments.

    Raises:
        InputError: no variant has this name.
    """
    check_name(name)
    (variant,) = (node for node in _source(name).body if isinstance(node, ast.ClassDef))
    (constructor,) = (node for node in variant.body if getattr(node, "name", None) == "__init__")
    _keep_recipe(constructor)
    data = [node for node in variant.body if isinstance(node, ast.AnnAssign) and node.target.id == "data"]
    described = ast.Expr(ast.Constant(ast.get_docstring(variant)))
    body = [described, *(data or ast.parse('data = "images"').body), constructor]
    bare = ast.ClassDef(variant.name, [], [], body, [], **({"type_params": []} if sys.version_info >= (3, 12) else {}))
    scope = {"Literal": typing.Literal, "ClassVar": typing.ClassVar}
    exec(compile(ast.fix_missing_locations(ast.Module([bare], [])), __file__, "exec"), scope)
    return scope[variant.name]


def _keep_recipe(constructor: ast.FunctionDef) -> None:
    """Takes everything but the recipe's arguments, which all have defaults, from a constructor."""
    given = constructor.args
    recipe = list(zip(given.args[-len(given.defaults) :], given.defaults, strict=True))
    recipe = [(argument, default) for argument, default in recipe if argument.arg not in NOT_IN_RECIPE]
    given.args = [given.args[0], *(argument for argument, _ in recipe)]
    given.defaults = [default for _, default in recipe]
    constructor.body = [ast.Pass()]


def _source(name: str) -> ast.Module:
    return ast.parse((_FOLDER / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8"))


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
