"""Picture files of any size and kind through a generator, and back into files."""

import contextlib
import errno
import io
import os
import pathlib
from collections.abc import Iterator

import keras
import numpy as np
import psutil
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from kgan import images, tiling
from kgan.errors import InputError, RunError
from kgan.files import write_atomic
from kgan.translation import SMALLEST, Translation, padded
from pipelines import decode
from pipelines.pictures import ARRAY_MODES

_MEMORY_SHARE = 0.5  # of the memory at hand, that a picture may take
_LARGEST_TILE = 1024
_NAMED = 5  # so many bad files are named in the last message


def translate_files(
    model: Translation, direction: str, seed: int, place: pathlib.Path, output: pathlib.Path, overwrite: bool
) -> None:
    """Translates a picture or all pictures of a folder. Each is computed by itself, whatever else there is.

    Args:
        model: with the weights to use.
        direction: one of `model.directions`.
        seed: of what a system like pix2pix draws for each picture.
        place: a file, or a folder with folders in it.
        output: a folder; what was `x/photo.jpg` in `place` becomes `x/photo.png` here.
        overwrite: whether files that are there already are replaced.

    Raises:
        InputError: there are no pictures, or the folder cannot be written or would lose pictures that are read.
        RunError: some pictures could not be translated, the others have been; it names them.
    """
    try:
        files = list(_files(place, output))
    except OSError as error:
        raise InputError(f"--input: {place} cannot be read ({error.strerror})") from None
    if not files:
        raise InputError(f"--input: {place} holds no pictures; expected files of {', '.join(decode.EXTENSIONS)}")
    names = [file.relative_to(place) if file != place else pathlib.Path(file.name) for file in files]
    targets = [output / name.with_suffix(".png") for name in names]
    if lost := set(map(os.path.realpath, files)) & set(map(os.path.realpath, targets)):
        raise InputError(f"--output: {min(lost)} is a picture of --input itself; expected another folder")
    firsts: dict[pathlib.Path, pathlib.Path] = {}
    left, bad = 0, []
    with tqdm(files, unit="picture", disable=None) as bar:
        for file, name, target in zip(bar, names, targets, strict=True):
            try:
                if (first := firsts.setdefault(target, name)) != name:
                    raise ValueError(f"{first} has the same name but for its ending")
                if not overwrite and _is_there(target):
                    left += 1
                    continue
                _write(target, translate_file(model, direction, seed, file))
            except InputError:  # a ValueError that the next picture would meet again
                raise
            except (ValueError, tf.errors.ResourceExhaustedError, MemoryError) as error:
                reason = (str(error) or type(error).__name__).splitlines()[0]
                bad.append(f"{name} ({reason})")
                bar.write(f"{name} is skipped: {reason}")
    print(f"{len(files) - left - len(bad)} of {len(files)} pictures translated to {output}")
    if left:
        print(f"{left} were there already and are left as they are; --overwrite replaces them")
    if bad:
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        raise RunError(f"{len(bad)} of {len(files)} pictures were skipped: {', '.join(bad[:_NAMED])}{more}")


def translate_file(model: Translation, direction: str, seed: int, file: pathlib.Path) -> Image.Image:
    """Translates one picture file; one with an alpha channel keeps it.

    Raises:
        ValueError: it cannot be read, or is too small.
    """
    pixels, alpha = decode.picture(file, ARRAY_MODES[model.image_shape[-1]])
    if min(pixels.shape[:2]) < SMALLEST:
        raise ValueError(f"{pixels.shape[1]}x{pixels.shape[0]} pixels, expected at least {SMALLEST}x{SMALLEST}")
    image = images.to_pil(translate_picture(model, direction, seed, pixels))
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
    return image


def translate_picture(model: Translation, direction: str, seed: int, pixels: np.ndarray) -> np.ndarray:
    """Translates uint8 `[height, width, channels]`: whole where memory allows it, else in tiles."""
    most = _MEMORY_SHARE * psutil.virtual_memory().available
    if pixels.shape[0] * pixels.shape[1] * model.bytes_per_pixel <= most:
        return model.translate(pixels[None], direction, seed)[0]
    inner = int((most / model.bytes_per_pixel) ** 0.5) - 2 * model.reach
    return translate_in_tiles(model, direction, seed, pixels, min(_LARGEST_TILE, inner))


def translate_in_tiles(model: Translation, direction: str, seed: int, pixels: np.ndarray, tile: int) -> np.ndarray:
    """Translates uint8 `[height, width, channels]` in tiles of about `tile` pixels a side, as if whole.

    Raises:
        ValueError: the system cannot do so: its generator sees too far, or is an exported one.
    """
    network = model.directions[direction]
    if not model.reach or not isinstance(network, keras.Model):
        raise ValueError(f"{pixels.shape[1]}x{pixels.shape[0]} pixels are too many for the memory at hand")
    side = max(model.stride, tile - tile % model.stride)
    whole = padded(model, pixels)
    with tqdm(total=tiling.passes(network) * tiling.tiles(whole.shape, side), unit="tile", disable=None) as bar:
        result = tiling.translate(model, direction, whole, side, seed, bar.update)
    return result[: pixels.shape[0], : pixels.shape[1]]


def _files(place: pathlib.Path, output: pathlib.Path) -> Iterator[pathlib.Path]:
    if place.is_file():
        yield place
        return
    if not place.is_dir():
        raise InputError(f"--input: there is no file or folder {place}")
    folder, own = (pathlib.Path(os.path.realpath(path)) for path in (place, output))
    if folder == own:
        raise InputError(f"--output: got {output}, the same as --input; expected another folder")
    for file in sorted(place.rglob("*")):
        name = file.relative_to(place)
        hidden = any(part.startswith(".") for part in name.parts)
        # The output folder may lie in that of the input; where it lies around it, all is input.
        ours = folder in own.parents and own in (folder / name).parents
        if file.suffix.lower() in decode.EXTENSIONS and not (hidden or ours or file.is_dir()):
            yield file


def _is_there(target: pathlib.Path) -> bool:
    with _writable(target):
        return target.exists()


def _write(target: pathlib.Path, image: Image.Image) -> None:
    data = io.BytesIO()
    image.save(data, "PNG")
    with _writable(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, data.getvalue())


@contextlib.contextmanager
def _writable(target: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # no matter of the folder: the next picture may fit
            raise ValueError("too long a name to write") from None
        raise InputError(f"--output: {target} cannot be written ({error.strerror})") from None
