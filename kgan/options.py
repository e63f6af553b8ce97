"""Command-line options from signatures: an argument gives the name, type and default, its docstring the help.

Click types and checks what is given, on the command line or in a `--config` file, and names the near misses.
"""

import contextlib
import inspect
import os
import pathlib
import sys
import types
import typing
from collections.abc import Callable, Iterator

import click
import docstring_parser
import yaml

from kgan.errors import InputError, RunError, near_misses


def from_signature(target: Callable, skip: tuple[str, ...] = ()) -> list[click.Option]:
    """One option for each argument of a function or class: `batch_size: int = 128` becomes `--batch-size INTEGER`.

    Args:
        target: its annotations are bool, int, float, str, a Literal, or one of these or None.
        skip: arguments that are no options.
    """
    hints = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    helps = {p.arg_name: p.description for p in docstring_parser.parse(target.__doc__ or "").params}
    arguments = inspect.signature(target).parameters.values()
    return [_option(a, hints[a.name], helps.get(a.name)) for a in arguments if a.name not in skip]


def command_from(name: str, function: Callable) -> click.Command:
    """`python -m kgan.NAME`: the function's arguments are its options, its docstring the help."""
    summary = docstring_parser.parse(function.__doc__ or "").short_description
    return click.Command(name, callback=function, params=from_signature(function), help=summary)


def _option(argument: inspect.Parameter, hint: object, text: str | None) -> click.Option:
    name = argument.name.replace("_", "-")
    kind = _without_none(hint)
    common: dict[str, object] = {"help": " ".join((text or "").split())}
    if argument.default is inspect.Parameter.empty:
        common["required"] = True
    else:
        common |= {"default": argument.default, "show_default": argument.default is not None}
    if kind is bool:
        return click.Option([f"--{name}/--no-{name}"], **common)
    choice = typing.get_origin(kind) is typing.Literal
    return click.Option([f"--{name}"], type=click.Choice(typing.get_args(kind)) if choice else kind, **common)


def given(context: click.Context) -> dict[str, object]:
    """The options that were said, on the command line or in a file, by argument name; not those left at a default."""
    default = click.core.ParameterSource.DEFAULT
    return {name: v for name, v in context.params.items() if context.get_parameter_source(name) is not default}


def _without_none(hint: object) -> object:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (hint,) = (kind for kind in typing.get_args(hint) if kind is not type(None))
    return hint


def read_config(path: str) -> dict[str, str]:
    """The options of a YAML file, by argument name, as the text a person would type; empty ones are left out.

    Raises:
        InputError: the file cannot be read or is no mapping of names to plain values.
    """
    try:
        # All scalars as text: the command line's own types read `on`, `2.9` or `1e-3` as they do there.
        content = yaml.load(pathlib.Path(path).read_text(encoding="utf-8"), yaml.BaseLoader) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"--config: {path} cannot be read ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise InputError(f"--config: {path} holds a {type(content).__name__}, expected lines of `option: value`")
    for name, value in content.items():
        if not isinstance(value, str):
            raise InputError(f"--config: {path} gives {name!r} a {type(value).__name__}, expected one plain value")
    return {name.replace("-", "_"): value for name, value in content.items() if value not in ("", "null")}


def invoke(command: click.Command, argv: list[str], config: dict[str, object]) -> None:
    """Runs a command with what its arguments say, and where they are silent with the options of a file.

    Raises:
        InputError: the file names something that is no option of the command.
    """
    known = {parameter.name for parameter in command.params}
    for name in config:
        if name not in known - {"config"}:
            raise InputError(f"--config: {name!r} is no option.{near_misses(name, known)}")
    with command.make_context(f"python -m kgan.{command.name}", argv, default_map=config) as context:
        command.invoke(context)


def load_tensorflow() -> None:
    """Imports TensorFlow without the notes that it writes to stderr before its log level counts."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(2)
    try:
        with open(os.devnull, "wb") as sink:
            os.dup2(sink.fileno(), 2)
        import tensorflow as tf

        tf.config.list_physical_devices()
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


@contextlib.contextmanager
def command_line() -> Iterator[None]:
    """Leaves the process as commands should.

    0 done, 1 a bug, 2 wrong input, 3 a run that cannot go on, 130 or 143 stopped by Ctrl-C or SIGTERM. Wrong input and
    a failed run are one line on stderr; only a bug shows a traceback.
    """
    try:
        yield
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except InputError as error:
        _fail(str(error), 2)
    except RunError as error:
        _fail(str(error), 3)
    except KeyboardInterrupt as stop:
        sys.exit(143 if "SIGTERM" in stop.args else 130)


def _fail(message: str, code: int) -> typing.NoReturn:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(code)
