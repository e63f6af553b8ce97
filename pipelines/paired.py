"""Aligned sets: each image of domain A has its image of domain B, by the name of its file or beside it in one file."""

import pathlib
from collections.abc import Iterator

from kgan.errors import InputError, MissingSplitError
from pipelines import ab_folders, folders, unpaired
from pipelines.pictures import Pair, Picture, SideBySide, Source, files_identity, number

_EXPECTED = "images that have A and B side by side, in it or in its train/, or folders trainA/ and trainB/"
_SPLIT_FOLDERS = {"train": ("train",), "test": ("test", "val")}
_NAMED = 5  # so many images are named in a message


def read(folder: pathlib.Path, data: str, split: str, skip_bad: bool) -> Source:
    """Opens a folder that has trainA/ and trainB/ (or A/ and B/), or images that have A and B side by side.

    Raises:
        InputError: there is nothing of that, or a picture has no partner.
    """
    found = ab_folders.find(folder, data, split)
    if found is not None:
        sides = [(f"{inside.name}/", unpaired.read_folder(inside, data, split, "")) for inside in found]
        return match(data, *sides, skip_bad)
    ab_folders.refuse_wrong_level(folder, data)
    return _side_by_side(_split_folder(folder, data, split), data, split)


def match(name: str, side_a: tuple[str, Source], side_b: tuple[str, Source], skip_bad: bool) -> Source:
    """Makes pairs of the files of two folders that have the same name but for the extension.

    Args:
        name: of the data set.
        side_a: (what goes before the names of the pictures, the source of A); the data of its pictures are paths.
        side_b: the same of B.
        skip_bad: leave out the pictures without a partner.

    Raises:
        InputError: a picture has no partner, or two.
    """
    files = [_by_stem(name, *side) for side in (side_a, side_b)]
    stems = [stem for stem in files[0] if stem in files[1]]
    notes = _check_alone(name, [side_a[0], side_b[0]], files, skip_bad)
    sources = [source for _, source in (side_a, side_b)]

    def pictures() -> Iterator[Picture]:
        for stem in stems:
            yield Picture(stem, Pair(files[0][stem], files[1][stem]))

    return Source(
        name=name,
        split=sources[0].split,
        pictures=pictures,
        identity="pairs\n" + files_identity(side[stem].data for stem in stems for side in files),
        notes=(*notes, *dict.fromkeys(note for source in sources for note in source.notes)),
    )


def _by_stem(name: str, prefix: str, source: Source) -> dict[str, Picture]:
    """Returns the pictures of one side by what the other side calls them too."""
    found = {}
    for picture in source.pictures():
        stem = pathlib.PurePosixPath(picture.name).with_suffix("").as_posix()
        named = picture._replace(name=prefix + picture.name, label=None)
        if stem in found:
            raise InputError(
                f"--data {name}: {found[stem].name} and {named.name} have the same name but for the extension; "
                "expected one image for each pair: remove or rename one of them"
            )
        found[stem] = named
    return found


def _check_alone(name: str, prefixes: list[str], files: list[dict[str, Picture]], skip_bad: bool) -> list[str]:
    """Refuses images without a partner, or returns what to tell of their being left out."""
    told = []
    for side, other in ((0, 1), (1, 0)):
        alone = [stem for stem in files[side] if stem not in files[other]]
        if alone:
            told.append(
                f"{number(len(alone), 'image')} of {prefixes[side]} not in {prefixes[other]} ({_names(alone)})"
            )
    if len(files[0].keys() & files[1].keys()) == 0:
        raise InputError(
            f"--data {name}: no image has a partner: {', '.join(told)}; expected files of the same names, but for the "
            "extension"
        )
    if told and not skip_bad:
        raise InputError(
            f"--data {name}: images without a partner of the same name: {', '.join(told)}; add or remove them, or "
            "give --skip-bad to go on without them"
        )
    return [f"without a partner, skipped: {text}" for text in told]


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def _split_folder(folder: pathlib.Path, data: str, split: str) -> pathlib.Path:
    """Returns the folder that holds the side-by-side images of a split."""
    known = [name for names in _SPLIT_FOLDERS.values() for name in names]
    splits = [name for name in known if (folder / name).is_dir()]
    wanted = [name for name in _SPLIT_FOLDERS[split] if name in splits]
    if wanted and ab_folders.has_images(folder / wanted[0], data):
        return folder / wanted[0]
    if not splits and ab_folders.has_images(folder, data):
        if split == "train":
            return folder
    elif not splits or wanted:
        ab_folders.refuse_other_folders(folder, data, split, _EXPECTED)
    found = " and ".join(f"{name}/" for name in splits) or "images without folders, which are train"
    expected = " or ".join(f"{name}/" for name in _SPLIT_FOLDERS[split])
    raise MissingSplitError(f"--data {data}: has no {split} split: expected a folder {expected}, found {found}")


def _side_by_side(folder: pathlib.Path, data: str, split: str) -> Source:
    """Opens the images directly in a folder; what folders inside it hold is unlikely to be of the same kind."""
    found, notes = folders.images_in(data, folder)
    names = [name for name in found if "/" not in name]
    notes.insert(0, f"{number(len(names), 'image')} cut in halves: the left one is A, the right one B")
    if len(names) < len(found):
        notes.append(f"{number(len(found) - len(names), 'image')} in folders inside ignored")
    return Source(
        name=data,
        split=split,
        pictures=lambda: (Picture(name, SideBySide(folder / name)) for name in names),
        identity="side by side\n" + files_identity(folder / name for name in names),
        notes=tuple(notes),
    )
