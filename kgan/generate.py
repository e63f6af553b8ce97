"""`python -m kgan.generate`: makes images with a trained generator."""

import pathlib
import sys

from kgan import options
from kgan.errors import InputError

_POINTS = 8  # of a walk
_FRAMES = 16  # from one point to the next
_MILLISECONDS = 60  # of a frame


def generate(
    run: str | None = None,
    model: str | None = None,
    checkpoint: str | None = None,
    num: int = 16,
    seed: int = 0,
    output: str = "generated",
    grid: bool = False,
    interpolate: bool = False,
    truncation: float = 1.0,
    label: str | None = None,
) -> None:
    """Makes images with the generator of a run or of an exported model. Image i depends on the seed and i alone.

    Args:
        run: id or folder of the run.
        model: instead of a run, the folder of an exported model; a SavedModel is a program, so take it only from
            people you trust.
        checkpoint: of the run: its step, last or best; the last where none is given.
        num: how many images.
        seed: of the latents.
        output: folder for seed-S-00000.png, seed-S-00001.png ...
        grid: also make grid.png of all of them.
        interpolate: also make walk.gif, a walk through the latents of the first eight.
        truncation: share of the prior to draw latents from, the middle of it, above 0 and up to 1.
        label: class of all images, its name or number, of systems that know classes; a random one for each where
            none is given.
    """
    options.load_tensorflow()
    from kgan import images, served
    from kgan.latent import Latent

    source = served.open_source(run, model, checkpoint)
    if not isinstance(source, Latent):
        raise InputError(f"--run, --model: {run or model} translates pictures; use kgan.translate")
    chosen = None if label is None else served.label_of(label, run, model)
    pictures = source.generate(num, seed, truncation, chosen)
    folder = pathlib.Path(output)
    tile = source.image_shape[1]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for i, picture in enumerate(pictures):
            images.to_pil(picture).save(folder / f"seed-{seed}-{i:05d}.png")
        if grid:
            images.to_pil(images.enlarge(images.grid(pictures), tile)).save(folder / "grid.png")
        if interpolate:
            walk = source.interpolate(_POINTS, _FRAMES, seed, truncation, chosen)
            images.save_animation([images.enlarge(frame, tile) for frame in walk], folder / "walk.gif", _MILLISECONDS)
    except OSError as error:
        raise InputError(f"--output: {output} cannot be written ({error.strerror})") from None
    print(f"{num} images in {folder}")


command = options.command_from("generate", generate)

if __name__ == "__main__":
    with options.command_line():
        options.invoke(command, sys.argv[1:], {})
