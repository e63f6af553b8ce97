"""Images in a folder or a tar archive, flat or in class folders; an archive is streamed, never unpacked.

`train/` and `test/` on top are splits. Folders around all of it are no classes; the first folder inside is the class
of everything below it.
"""

import dataclasses
import gzip
import math
import os
import pathlib
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from kgan.errors import InputError, MissingSplitError
from pipelines import decode, limits
from pipelines.pictures import Picture, Source, Survey, files_identity, number

_SPLITS = ("train", "test")
_HEADER_BYTES = 2**20  # of one member of an archive: its name and what else is told of it
_LISTED_BYTES = 2**31  # of all images of an archive, which are listed before the first one is decoded
_ENTRY_BYTES = 400  # of one image in that list, besides its name
_Parts = tuple[str, ...]


def read(name: str, split: str) -> Source:
    """Opens a folder or a .tar, .tar.gz or .tgz archive of images.

    Raises:
        InputError: there are no images, not the split asked for, or the archive is damaged.
    """
    path = pathlib.Path(name).expanduser()
    return _read_archive(name, path, split) if path.is_file() else _read_folder(name, path, split)


def _read_folder(name: str, folder: pathlib.Path, split: str) -> Source:
    names, notes = images_in(name, folder)
    layout = _Layout.of(name, names, split)

    def pictures() -> Iterator[Picture]:
        for index, label in layout.labels.items():
            yield Picture(names[index], folder / names[index], label)

    return Source(
        name=name,
        split=split,
        pictures=pictures,
        identity=files_identity(folder / names[index] for index in layout.labels),
        class_names=layout.class_names,
        notes=(*layout.notes, *notes),
    )


def images_in(name: str, folder: pathlib.Path) -> tuple[list[str], list[str]]:
    """Lists the images below a folder of the data set `name`.

    Returns:
        (their names relative to the folder, sorted; remarks for a person on what lies between them).

    Raises:
        InputError: a folder cannot be read.
    """
    ignored = _Ignored()
    try:
        return [found for found in sorted(_walk(folder)) if ignored.is_image(found)], ignored.notes()
    except OSError as error:
        raise InputError(f"--data {name}: cannot be read: {error}") from error


def _read_archive(name: str, archive: pathlib.Path, split: str) -> Source:
    ignored = _Ignored()
    # The layout needs all names: this pass takes the headers along.
    found, listed = [], 0
    for member, header in decode.headers(_members(name, archive, ignored)):
        found.append((member, header))
        listed += _ENTRY_BYTES + 2 * len(member)
        if listed > _LISTED_BYTES:
            raise InputError(f"--data {name}: holds more than {number(len(found) - 1, 'image')}: too many to list")
    layout = _Layout.of(name, [member for member, _ in found], split)

    def pictures() -> Iterator[Picture]:
        last = max(layout.labels)
        for index, picture in enumerate(_members(name, archive, _Ignored())):
            if index in layout.labels:
                yield picture._replace(label=layout.labels[index])
            if index == last:
                return

    return Source(
        name=name,
        split=split,
        pictures=pictures,
        identity=files_identity([archive]),
        class_names=layout.class_names,
        survey=Survey.of_headers(found[index][1] for index in layout.labels),
        notes=(*layout.notes, *ignored.notes()),
    )


@dataclasses.dataclass
class _Ignored:
    """Counts what lies between the images."""

    hidden: int = 0
    others: int = 0
    links: int = 0  # and devices

    def is_image(self, file_name: str) -> bool:
        """Says whether a file counts as an image, by its name; counts it here where it does not."""
        hidden = any(part[:1] == "." and part not in (".", "..") for part in file_name.split("/"))
        image = file_name.lower().endswith(decode.EXTENSIONS)
        self.hidden += hidden
        self.others += not (hidden or image)
        return image and not hidden

    def notes(self) -> list[str]:
        told = {"hidden file": self.hidden, "other file": self.others, "special file": self.links}
        return [f"{number(count, kind)} ignored" for kind, count in told.items() if count]


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Which images are of a split, and of which class: `labels` has an entry for the index of each that is."""

    labels: dict[int, int | None]
    class_names: tuple[str, ...] | None
    notes: tuple[str, ...]

    @classmethod
    def of(cls, name: str, names: list[str], split: str) -> "_Layout":
        if not names:
            raise InputError(f"--data {name}: holds no images; expected files of {', '.join(decode.EXTENSIONS)}")
        places = dict(enumerate(_without_common_folders([_parts(image) for image in names])))
        splits = {parts[0] for parts in places.values() if len(parts) > 1} & set(_SPLITS)
        if split not in (splits or {"train"}):
            found = " and ".join(f"{found}/" for found in sorted(splits)) or "no folder train/ or test/"
            raise MissingSplitError(
                f"--data {name}: has no {split} split: expected a folder {split}/ on top, found {found}"
            )
        if not splits:
            return cls._of_split(places, _classes(places), [])
        inside = {index: parts[1:] for index, parts in places.items() if parts[0] in splits and len(parts) > 1}
        chosen = {index: parts for index, parts in inside.items() if places[index][0] == split}
        outside = len(places) - len(inside)
        notes = [f"{number(outside, 'image')} outside train/ and test/ ignored"] if outside else []
        # The classes of both splits, so that a label means the same in each.
        return cls._of_split(chosen, _classes(inside), notes)

    @classmethod
    def _of_split(cls, places: dict[int, _Parts], classes: list[str], notes: list[str]) -> "_Layout":
        flat = sum(len(parts) == 1 for parts in places.values())
        if not flat:
            label_of = {class_name: label for label, class_name in enumerate(classes)}
            return cls({index: label_of[parts[0]] for index, parts in places.items()}, tuple(classes), tuple(notes))
        if flat < len(places):
            notes = [*notes, f"no labels: {flat} of {number(len(places), 'image')} lie outside the class folders"]
        return cls(dict.fromkeys(places), None, tuple(notes))


def _classes(places: dict[int, _Parts]) -> list[str]:
    return sorted({parts[0] for parts in places.values() if len(parts) > 1})


def _parts(name: str) -> _Parts:
    return tuple(part for part in pathlib.PurePosixPath(name).parts if part not in ("/", ".."))


def _without_common_folders(places: list[_Parts]) -> list[_Parts]:
    while len({parts[0] for parts in places}) == 1 and places[0][0] not in _SPLITS and min(map(len, places)) > 1:
        places = [parts[1:] for parts in places]
    return places


def _walk(folder: pathlib.Path) -> Iterator[str]:
    """Names all files below a folder, relative to it; follows links, but enters no folder twice."""

    def fail(error: OSError) -> None:
        raise error

    seen = set()
    for place, folders, files in os.walk(folder, onerror=fail, followlinks=True):
        state = os.stat(place)
        if (state.st_dev, state.st_ino) in seen:
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        relative = pathlib.PurePath(place).relative_to(folder)
        yield from ((relative / file).as_posix() for file in files)


def _members(name: str, archive: pathlib.Path, ignored: _Ignored) -> Iterator[Picture]:
    """Reads the images of an archive in its order; names of members are never used as paths."""
    try:
        # Own gzip: that of tarfile takes a truncated file for a complete one. A stream ("r|") is never rewound.
        with _Rationed(_unpacked(archive)) as file, tarfile.open(fileobj=file, mode="r|") as tar:
            while (member := tar.next()) is not None:
                file.left = math.inf
                if member.isreg() and ignored.is_image(member.name):
                    yield Picture(member.name, _content(tar, member))
                ignored.links += not (member.isreg() or member.isdir())
                _skip_to_next(tar)
                tar.members, tar.pax_headers = [], {}  # else those of the whole archive are kept
                file.left = _HEADER_BYTES
            file.left = math.inf
            while block := tar.fileobj.read(tarfile.RECORDSIZE):
                if block.strip(b"\0"):  # tarfile takes a damaged header for the end
                    raise tarfile.ReadError("something that is no file follows the last one read")
    except Exception as error:  # damaged headers make tarfile raise nearly anything
        reason = str(error) or type(error).__name__
        raise InputError(f"--data {name}: the archive is damaged or truncated: {reason}") from error


class _Rationed:
    """A file of which no more bytes are read than `left`: tarfile takes a header for as long as it says it is."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.left = _HEADER_BYTES

    def __enter__(self) -> "_Rationed":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        block = self._file.read(size)
        self.left -= len(block)
        if self.left < 0:
            raise tarfile.ReadError(f"a header of more than {_HEADER_BYTES} bytes")
        return block


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | ValueError:
    try:
        limits.check_bytes(member.size)
    except ValueError as error:
        return error
    return tar.extractfile(member).read()


def _skip_to_next(tar: tarfile.TarFile) -> None:
    """Reads up to the next header; tarfile itself would go on reading behind the end of the file."""
    while (left := tar.offset - tar.fileobj.tell()) > 0:
        if not tar.fileobj.read(min(left, tarfile.RECORDSIZE)):
            raise tarfile.ReadError("unexpected end of data")


def _unpacked(archive: pathlib.Path) -> BinaryIO:
    with archive.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(archive) if packed else archive.open("rb")
