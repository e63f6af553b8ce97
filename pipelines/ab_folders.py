"""Folders that hold two domains: trainA/ and trainB/, testA/ and testB/; or A/ and B/."""

import pathlib
import shlex

from kgan.errors import InputError, MissingSplitError
from pipelines import decode

_SPLIT_FOLDERS = ("trainA", "trainB", "testA", "testB")
_PLAIN_FOLDERS = ("A", "B")
_SPLITS = ("train", "test", "val")  # folders that stand for no domain
_NAMED = 5  # so many folders are named in a message


def find(folder: pathlib.Path, data: str, split: str) -> list[pathlib.Path] | None:
    """Returns the folders of A and B of a split, or None where there is no folder of such a name.

    Raises:
        InputError: there are some, but not both of this split.
    """
    inside = _folders_in(folder, data)
    found = [name for name in _SPLIT_FOLDERS if name in inside]
    wanted = [f"{split}{domain}" for domain in _PLAIN_FOLDERS]
    if not found:
        found = [name for name in _PLAIN_FOLDERS if name in inside]
        wanted = list(_PLAIN_FOLDERS) if split == "train" else wanted
    if not found:
        return None
    if not set(wanted) <= set(found):
        raise MissingSplitError(
            f"--data {data}: has no {split} split: expected folders {_listed(wanted)}, found {_listed(found)}"
        )
    return [folder / name for name in wanted]


def refuse_both_domains(data: str) -> None:
    """Raises InputError where what was given as one domain holds both."""
    folder = pathlib.Path(data).expanduser()
    if not folder.is_dir():
        return
    inside = set(_folders_in(folder, data))
    # A and B among others are classes, as of letters.
    names = _SPLIT_FOLDERS[:2] if inside.issuperset(_SPLIT_FOLDERS[:2]) else _PLAIN_FOLDERS
    if names == _SPLIT_FOLDERS[:2] or inside == set(_PLAIN_FOLDERS):
        raise InputError(
            f"--data {data}: holds both domains, {_listed(names)}; give it alone: --data {_typed(folder)}"
        )


def refuse_wrong_level(folder: pathlib.Path, data: str) -> None:
    """Raises InputError where the folder of both domains is the one around this one, or one inside of it."""
    here = folder.resolve()
    for names in (_SPLIT_FOLDERS[:2], _SPLIT_FOLDERS[2:], _PLAIN_FOLDERS):
        if here.name in names and all((here.parent / name).is_dir() for name in names):
            around = folder.parent if folder.name == here.name else here.parent
            raise InputError(
                f"--data {data}: is one domain of two, {_listed(names)}; give the folder around both: "
                f"--data {_typed(around)}"
            )
    inside = [folder / name for name in _folders_in(folder, data)]
    sets = [place for place in inside if all((place / domain).is_dir() for domain in _SPLIT_FOLDERS[:2])]
    if sets:
        raise InputError(
            f"--data {data}: the folders trainA/ and trainB/ are one level below; give "
            f"{' or '.join(f'--data {_typed(place)}' for place in sets[:_NAMED])}"
        )


def refuse_other_folders(folder: pathlib.Path, data: str, split: str, expected: str) -> None:
    """Raises InputError: this folder is not what is expected; two folders in it may be the domains."""
    found = _folders_in(folder, data)
    place = folder / split if split in found and set(found) <= set(_SPLITS) else folder
    inside = [name for name in _folders_in(place, data) if name not in _SPLITS]
    if len(inside) == 2:
        a, b = (_typed(place / name) for name in inside)
        raise InputError(
            f"--data {data}: expected {expected}, found {_listed(inside)}; if these are domains A and B, give "
            f"--data-a {a} --data-b {b}"
        )
    shown = _listed(found) or ("images" if has_images(folder, data) else "nothing of this kind")
    raise InputError(
        f"--data {data}: expected {expected}, found {shown}; or give a folder for each domain by --data-a and --data-b"
    )


def has_images(folder: pathlib.Path, data: str) -> bool:
    """Says whether there are images directly in a folder, by their names."""
    return any(path.name.lower().endswith(decode.EXTENSIONS) for path in _visible(folder, data))


def _folders_in(folder: pathlib.Path, data: str) -> list[str]:
    return sorted(path.name for path in _visible(folder, data) if path.is_dir())


def _visible(folder: pathlib.Path, data: str) -> list[pathlib.Path]:
    try:
        return [path for path in folder.iterdir() if path.name[0] != "."]
    except OSError as error:
        raise InputError(f"--data {data}: cannot be read: {error}") from error


def _typed(folder: pathlib.Path) -> str:
    return shlex.quote(str(folder))


def _listed(names: tuple[str, ...] | list[str]) -> str:
    shown = [f"{name}/" for name in names[:_NAMED]]
    if len(names) > _NAMED:
        return f"{', '.join(shown)} and {len(names) - _NAMED} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))
