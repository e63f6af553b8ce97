"""`python -m kgan.translate`: translates pictures with a trained generator."""

import pathlib
import sys
from typing import Literal

from kgan import options
from kgan.errors import InputError


def translate(
    input: str,
    output: str = "translated",
    run: str | None = None,
    model: str | None = None,
    checkpoint: str | None = None,
    direction: Literal["a-to-b", "b-to-a"] | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> None:
    """Translates a picture, or all pictures of a folder, of any size and kind, to PNG files of the same names.

    Args:
        input: a file or a folder.
        output: folder for the results.
        run: id or folder of the run.
        model: instead of a run, the folder of an exported model; a SavedModel is a program, so take it only from
            people you trust.
        checkpoint: of the run: its step, last or best; the last where none is given.
        direction: which way; the run's own, or a-to-b where it has learned both.
        seed: of what systems like pix2pix draw: another seed, another translation.
        overwrite: replace files that are there already.
    """
    options.load_tensorflow()
    from kgan import served, translating
    from kgan.translation import Translation

    translator = served.open_source(run, model, checkpoint)
    if not isinstance(translator, Translation):
        raise InputError(f"--run, --model: {run or model} makes images of latents; use kgan.generate")
    known = [name.replace("_", "-") for name in translator.directions]
    if direction is not None and direction not in known:
        raise InputError(f"--direction: got {direction}, expected {known[0]}: the run has learned no other")
    chosen = (direction or known[0]).replace("-", "_")
    if not 0 <= seed < 2**31:
        raise InputError(f"--seed: got {seed}, expected 0 to {2**31 - 1}")
    translating.translate_files(translator, chosen, seed, pathlib.Path(input), pathlib.Path(output), overwrite)


command = options.command_from("translate", translate)

if __name__ == "__main__":
    with options.command_line():
        options.invoke(command, sys.argv[1:], {})
