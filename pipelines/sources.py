"""Which data sets there are, and how a name or a path becomes one."""

from __future__ import annotations

import pathlib
import typing

from kgan.errors import InputError, near_misses

if typing.TYPE_CHECKING:
    from pipelines.images import Images
    from pipelines.pictures import Source

SOURCES = {
    "digits": "1,797 scans of handwritten digits that come with scikit-learn: no files, no network",
    "mnist": "60,000 handwritten digits, 28x28 grey, by tensorflow-datasets",
    "fashion_mnist": "60,000 pieces of clothing, 28x28 grey, by tensorflow-datasets",
    "cifar10": "50,000 photos in ten classes, 32x32 colour, by tensorflow-datasets",
    "tfds:NAME[/CONFIG]": "any set of tensorflow-datasets that has images",
    "PATH": "a folder or .tar(.gz) of images, flat or in class folders; a folder of idx files; a Keras-style .npz",
}
SPLITS = ("train", "test")
IMAGE_SIZES = range(8, 257, 4)

_TFDS = ("mnist", "fashion_mnist", "cifar10")
_ARCHIVES = (".tar", ".tar.gz", ".tgz")


def load(
    name: str,
    image_size: int | None = None,
    split: str = "train",
    load_size: int | float | None = None,
    skip_bad: bool = False,
) -> Images:
    """Loads a data set: every picture decoded once to uint8, in memory, or on disk where memory is too small.

    Pictures that are not square are resized to the shorter side and cropped in the middle.

    Args:
        name: one of `SOURCES`, or the path of a folder or file.
        image_size: side of the images in pixels, a multiple of 4 from 8 to 256. Where none is given, the set's own
            if all its pictures are square and equal and that is an allowed size, else 64; 24 for `digits`.
        split: "train" or "test".
        load_size: side to which pictures are decoded, `image_size` or more; each step then takes a random crop of
            `image_size`. A float is a share of the image size, from 1.0. Where none is given, `image_size`.
        skip_bad: go on without images that cannot be read.

    Returns:
        The `Images`.

    Raises:
        InputError: the name is unknown, the files are missing, empty, damaged or of a wrong kind, or a size is not
            allowed. The message is one line that says what to do.
    """
    check(image_size, split, load_size)
    source = open_source(name, split)

    from pipelines.build import build

    return build(source, image_size, load_size, skip_bad)


def check(image_size: int | None, split: str, load_size: int | float | None) -> None:
    """Raises InputError for a size or split that no data set has."""
    if split not in SPLITS:
        raise InputError(f"--split {split}: expected one of {', '.join(SPLITS)}")
    if image_size is not None and image_size not in IMAGE_SIZES:
        raise InputError(f"--image-size {image_size}: expected a multiple of 4 from 8 to 256")
    if isinstance(load_size, int) and load_size < (image_size or IMAGE_SIZES[0]):
        raise InputError(f"--load-size {load_size}: expected the image size ({image_size or 'from 8 on'}) or more")


def open_source(name: str, split: str) -> Source:
    """Opens a data set, the pictures of which are not decoded yet; arguments and errors are those of `load`."""
    if name == "digits":
        from pipelines import digits

        return digits.read(split)
    if name in _TFDS or name.startswith("tfds:"):
        from pipelines import tfds

        return tfds.read(name, split)
    path = pathlib.Path(name).expanduser()
    if name and path.is_dir():
        from pipelines import folders, idx

        return idx.read(name, split) if idx.is_idx_folder(path) else folders.read(name, split)
    if path.is_file():
        return _open_file(name, path, split)
    known = [source for source in SOURCES if source.islower()]
    raise InputError(
        f"--data {name}: neither a data set ({', '.join(known)}, tfds:NAME[/CONFIG]) nor a folder or file that "
        f"exists.{near_misses(name, known)}"
    )


def _open_file(name: str, path: pathlib.Path, split: str) -> Source:
    file_name = path.name.lower()
    if file_name.endswith(".npz"):
        from pipelines import npz

        return npz.read(name, split)
    if file_name.endswith(_ARCHIVES):
        from pipelines import folders

        return folders.read(name, split)
    raise InputError(f"--data {name}: a file of an unknown kind; expected .npz, {', '.join(_ARCHIVES)}, or a folder")
