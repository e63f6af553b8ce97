"""Which data sets of two domains there are, and how names or paths become one."""

from __future__ import annotations

import pathlib
import typing

from kgan.errors import InputError, near_misses, require_choice
from pipelines import sources

if typing.TYPE_CHECKING:
    from pipelines.pairs import Pairs
    from pipelines.pictures import Source

# What `data` may be, for each kind.
PAIR_SOURCES = {
    "unpaired": {
        "photos": "crops of two photos that come with scikit-learn, a temple and a flower: no files, no network",
        "tfds:cycle_gan/NAME": "a set of CycleGAN by tensorflow-datasets: horse2zebra, monet2photo, maps ...",
        "PATH": "a folder with trainA/ and trainB/ (and testA/, testB/), or with A/ and B/",
    },
    "paired": {
        "photos": "crops of two photos that come with scikit-learn, in grey and in colour: no files, no network",
        "PATH": "a folder of images with A and B side by side, or one with trainA/ and trainB/ of the same file names",
    },
}


def load_pairs(
    kind: str,
    data: str | None = None,
    data_a: str | None = None,
    data_b: str | None = None,
    image_size: int | None = None,
    split: str = "train",
    load_size: int | float | None = None,
    skip_bad: bool = False,
) -> Pairs:
    """Loads a data set of two domains, as `pipelines.load` loads one.

    Both get one size and one number of channels: one where all pictures of both are grey, else three.

    Args:
        kind: "unpaired", where nothing goes together (CycleGAN), or "paired", where each image of A has its image of B
            (pix2pix).
        data: one of `PAIR_SOURCES[kind]` or the path of a folder that holds both domains.
        data_a: in place of `data`, with `data_b`: the images of A. Unpaired anything that `pipelines.load` takes, the
            labels of which mean nothing; paired a folder, the files of which have the names of those in `data_b`,
            but for the extension.
        data_b: the images of B.
        image_size: as for `pipelines.load`, over the pictures of both domains; 64 for `photos`.
        split: "train" or "test".
        load_size: as for `pipelines.load`.
        skip_bad: go on without images that cannot be read; of paired data also without those that have no partner.

    Returns:
        The `Pairs`.

    Raises:
        InputError: as for `pipelines.load`; also where names do not fit each other or the folders are others than
            expected. The message is one line that names the option and says what to do.
    """
    require_choice("kind", kind, PAIR_SOURCES)
    sources.check(image_size, split, load_size)
    _check_options(data, data_a, data_b)
    try:
        return _load(kind, data, data_a, data_b, image_size, split, load_size, skip_bad)
    except InputError as error:
        if data is not None:
            raise
        raise InputError(_by_option(str(error), data_a, data_b)) from error


def _load(
    kind: str,
    data: str | None,
    data_a: str | None,
    data_b: str | None,
    image_size: int | None,
    split: str,
    load_size: int | float | None,
    skip_bad: bool,
) -> Pairs:
    from pipelines.build import build_aligned, build_domains
    from pipelines.pairs import Pairs

    name = _both(data_a, data_b) if data is None else data
    if kind == "paired":
        source = (
            _open_folders(data_a, data_b, split, skip_bad) if data is None else _open_paired(data, split, skip_bad)
        )
        return Pairs(name, *build_aligned(source, image_size, load_size, skip_bad), aligned=True)
    a, b = _open_each(data_a, data_b, split) if data is None else _open_unpaired(data, split)
    return Pairs(name, *build_domains(a, b, image_size, load_size, skip_bad), aligned=False)


def _check_options(data: str | None, data_a: str | None, data_b: str | None) -> None:
    ways = "expected either --data, or both --data-a and --data-b"
    given = {"--data": data, "--data-a": data_a, "--data-b": data_b}
    named = [f"{option} {value}" for option, value in given.items() if value is not None]
    if data is not None and len(named) > 1:
        raise InputError(f"{' '.join(named)}: all of them at once; {ways}")
    if data is None and len(named) < 2:
        missing = "--data" if not named else "--data-b" if data_b is None else "--data-a"
        raise InputError(f"{' '.join(named) or 'no data'}: without {missing}; {ways}")
    if data is None and data_a == data_b:
        raise InputError(f"--data-b {data_b}: the same as --data-a; expected another folder")


def _both(data_a: str, data_b: str) -> str:
    return f"{data_a} and {data_b}"


def _by_option(message: str, data_a: str, data_b: str) -> str:
    """Names the option that was given: sources know their data by the name alone, and call it --data."""
    options = {
        data_a: f"--data-a {data_a}",
        data_b: f"--data-b {data_b}",
        _both(data_a, data_b): f"--data-a {data_a} --data-b {data_b}",
    }
    for name, option in options.items():
        if message.startswith(f"--data {name}:"):
            return option + message.removeprefix(f"--data {name}")
    return message


def _open_unpaired(data: str, split: str) -> tuple[Source, Source]:
    if data == "photos":
        from pipelines import photos

        return photos.unpaired(split)
    if data.startswith("tfds:"):
        from pipelines import tfds, unpaired

        return tuple(unpaired.domain(tfds.read(data, f"{split}{side}"), split) for side in "AB")
    from pipelines import unpaired

    return unpaired.read(_folder("unpaired", data), data, split)


def _open_paired(data: str, split: str, skip_bad: bool) -> Source:
    if data == "photos":
        from pipelines import photos

        return photos.paired(split)
    if data.startswith("tfds:"):
        raise InputError(f"--data {data}: sets of tensorflow-datasets are not paired; expected photos or a folder")
    from pipelines import paired

    return paired.read(_folder("paired", data), data, split, skip_bad)


def _open_each(data_a: str, data_b: str, split: str) -> tuple[Source, Source]:
    from pipelines import ab_folders, unpaired

    for data in (data_a, data_b):
        ab_folders.refuse_both_domains(data)
    return tuple(unpaired.domain(sources.open_source(data, split), split) for data in (data_a, data_b))


def _open_folders(data_a: str, data_b: str, split: str, skip_bad: bool) -> Source:
    from pipelines import ab_folders, folders, paired

    for data in (data_a, data_b):
        if not pathlib.Path(data).expanduser().is_dir():
            raise InputError(f"--data {data}: no folder; paired data is two folders with the same file names")
        ab_folders.refuse_both_domains(data)
    sides = [(f"{data.rstrip('/')}/", folders.read(data, split)) for data in (data_a, data_b)]
    return paired.match(_both(data_a, data_b), *sides, skip_bad)


def _folder(kind: str, data: str) -> pathlib.Path:
    path = pathlib.Path(data).expanduser()
    if data and path.is_dir():
        return path
    if path.is_file():
        advice = (
            "unpack it"
            if kind == "paired"
            else "unpack it, or give one archive for each domain by --data-a and --data-b"
        )
        raise InputError(f"--data {data}: a file; expected a folder of both domains: {advice}")
    known = [source for source in PAIR_SOURCES[kind] if source != "PATH"]
    raise InputError(
        f"--data {data}: neither {' nor '.join(known)} nor a folder that exists.{near_misses(data, known)}"
    )
