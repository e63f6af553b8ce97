"""Two domains of which nothing goes together: a source for each."""

import dataclasses
import pathlib

from kgan.errors import InputError
from pipelines import ab_folders, decode, folders
from pipelines.pictures import Picture, Source, files_identity

_EXPECTED = "folders trainA/ and trainB/ (or A/ and B/)"


def read(folder: pathlib.Path, data: str, split: str) -> tuple[Source, Source]:
    """Opens both domains of a folder that has trainA/ and trainB/, or A/ and B/.

    Raises:
        InputError: there are no such folders, or they hold no images.
    """
    found = ab_folders.find(folder, data, split)
    if found is None:
        ab_folders.refuse_wrong_level(folder, data)
        ab_folders.refuse_other_folders(folder, data, split, _EXPECTED)
    a, b = (read_folder(inside, data, split, f"{inside.name}/") for inside in found)
    return a, b


def read_folder(folder: pathlib.Path, data: str, split: str, prefix: str) -> Source:
    """Opens all images below a folder, without labels; the prefix goes before their names.

    Raises:
        InputError: there are none.
    """
    names, notes = folders.images_in(data, folder)
    if not names:
        raise InputError(
            f"--data {data}: {folder.name}/ holds no images; expected files of {', '.join(decode.EXTENSIONS)}"
        )
    return Source(
        name=data,
        split=split,
        pictures=lambda: (Picture(prefix + name, folder / name) for name in names),
        identity=files_identity(folder / name for name in names),
        notes=tuple(notes),
    )


def domain(source: Source, split: str) -> Source:
    """Makes one domain of a source of its own: labels mean nothing here."""
    notes = tuple(note for note in source.notes if not note.startswith("no labels"))
    return dataclasses.replace(source, split=split, class_names=None, notes=notes)
