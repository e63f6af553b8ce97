import re
from typing import Literal

import click
import pytest

from kgan import options
from kgan.errors import InputError


def do(
    path: str,
    count: int = 3,
    rate: float = 0.5,
    mode: Literal["a", "b"] = "a",
    name: str | None = None,
    up: bool = False,
):
    """Does something.

    Args:
        path: where.
        count: how many, on
            two lines.
    """
    results.append((path, count, rate, mode, name, up))


results: list[tuple] = []


def call(*argv: str, **config) -> tuple:
    results.clear()
    options.invoke(options.command_from("do", do), list(argv), config)
    return results[0]


def test_types_come_from_annotations():
    assert call("--path", "x") == ("x", 3, 0.5, "a", None, False)
    assert call("--path", "x", "--count", "4", "--rate", "1e-3", "--mode", "b", "--name", "n", "--up") == (
        "x", 4, 0.001, "b", "n", True,
    )  # fmt: skip


def test_a_file_says_the_same_and_the_line_wins():
    assert call(path="f", count=5, up=True) == ("f", 5, 0.5, "a", None, True)
    assert call("--count", "6", path="f", count=5) == ("f", 6, 0.5, "a", None, False)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--path", "x", "--count", "many"], "Invalid value for '--count': 'many' is not a valid integer"),
        (["--path", "x", "--mode", "c"], "Invalid value for '--mode': 'c' is not one of 'a', 'b'"),
        (["--path", "x", "--cuont", "1"], "No such option '--cuont'.*--count"),
        ([], "Missing option '--path'"),
    ],
)
def test_what_is_wrong_is_named(argv, message):
    with pytest.raises(click.ClickException) as error:
        call(*argv)
    assert re.search(message, error.value.format_message())


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(click.ClickException, match="'many' is not a valid integer"):
        call(path="x", count="many")
    with pytest.raises(InputError, match=r"'cuont' is no option\. Did you mean 'count'"):
        call(path="x", cuont=1)
    file = tmp_path / "c.yaml"
    for content, message in [
        ("- 1\n", "holds a list"),
        ("a: [1]\n", "gives 'a' a list"),
        ("a: [", "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
    ]:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(InputError, match=message):
            options.read_config(str(file))
    with pytest.raises(InputError, match="cannot be read"):
        options.read_config(str(tmp_path / "none.yaml"))
    file.write_text("batch-size: 3\njit: on\nwidth: null\nrate: 2.9\n")
    assert options.read_config(str(file)) == {"batch_size": "3", "jit": "on", "rate": "2.9"}
    with pytest.raises(InputError, match="'config' is no option"):
        call(path="x", config="other.yaml")


def test_help_has_the_docstring_and_the_defaults():
    command = options.command_from("do", do)
    text = command.get_help(click.Context(command))
    assert "Does something." in text and "how many, on two lines." in text and "[default: 3]" in text


def test_given_leaves_out_defaults():
    command = options.command_from("do", do)
    with command.make_context("do", ["--path", "x", "--count", "3"], default_map={"rate": 2.0}) as context:
        assert options.given(context) == {"path": "x", "count": 3, "rate": 2.0}


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("--x: got 1,\nexpected 2"), 2, "error: --x: got 1, expected 2\n"),
        (click.UsageError("odd"), 2, "error: odd\n"),
        (KeyboardInterrupt(), 130, ""),
        (KeyboardInterrupt("SIGTERM"), 143, ""),
    ],
)
def test_exit_codes(error, code, line, capsys):
    with pytest.raises(SystemExit) as stop, options.command_line():
        raise error
    assert stop.value.code == code
    assert capsys.readouterr().err == line
