"""From a source to `Images`: look at the headers, choose size and channels, decode once, keep."""

import hashlib

import numpy as np
import PIL

from kgan.errors import InputError
from pipelines import decode, store
from pipelines.images import Images
from pipelines.pictures import Source, Survey, number
from pipelines.sources import IMAGE_SIZES

_DEFAULT_SIZE = 64
_NAMED = 5  # so many bad files are named in a message


def build(source: Source, image_size: int | None, load_size: int | None, skip_bad: bool) -> Images:
    """Decodes a source, or finds it decoded; arguments and errors are those of `pipelines.load`."""
    # Everything that decides a pixel or a label: another Pillow may decode JPEG to other values.
    choices = (source.split, source.class_names, image_size, load_size, skip_bad)
    key = store.key(source.identity, *choices, PIL.__version__)
    stored = store.find(key) or _decode(source, image_size, load_size, skip_bad, key)
    return Images(
        name=source.name,
        split=source.split,
        images=stored.images,
        labels=stored.labels,
        class_names=None if stored.labels is None else source.class_names,
        image_size=stored.about["image_size"],
        digest=stored.about["digest"],
        notes=(*source.notes, *stored.about["notes"]),
        small=source.small,
    )


def _decode(source: Source, image_size: int | None, load_size: int | None, skip_bad: bool, key: str) -> store.Stored:
    survey = source.survey or Survey.of_headers(header for _, header in decode.headers(source.pictures()))
    if not survey.count:
        raise InputError(f"--data {source.name}: has no images in its {source.split} split")
    image_size, side = _sizes(source, survey, image_size, load_size)
    rows = store.create((survey.count, side, side, len(survey.mode)), key)
    try:
        digest, labels, bad = _fill(rows, source, survey, side)
        if bad and (not skip_bad or len(bad) == survey.count):
            raise InputError(_bad_images(source.name, bad, survey.count))
        notes = [*survey.notes, *_resized(survey, side)]
        if bad:
            notes.append(f"{number(len(bad), 'unreadable image')} skipped: {_names(bad)}")
        return rows.finish(labels, {"image_size": image_size, "digest": digest, "notes": notes})
    except BaseException:
        rows.discard()
        raise


def _fill(
    rows: store.Memory | store.Disk, source: Source, survey: Survey, side: int
) -> tuple[str, np.ndarray | None, list[tuple[str, str]]]:
    """Decodes all pictures into `rows`; returns the digest, the labels and what could not be read."""
    content = hashlib.sha256()
    labels, bad = [], []
    for chunk, chunk_labels, chunk_bad in decode.decode(source.pictures(), survey, side):
        rows.append(chunk)
        content.update(chunk)
        labels += chunk_labels
        bad += chunk_bad
    shape = (len(labels), side, side, len(survey.mode))
    # Some sets of tensorflow-datasets mark an unlabelled split by -1.
    labels = None if source.class_names is None or min(labels, default=0) < 0 else np.array(labels, np.int32)
    if labels is not None:
        content.update(labels.astype("<i4"))
    content.update(f"{shape} {'without' if labels is None else 'with'} labels".encode())
    return f"sha256:{content.hexdigest()}", labels, bad


def _sizes(source: Source, survey: Survey, image_size: int | None, load_size: int | None) -> tuple[int, int]:
    """Returns the side of the images and the side to decode to."""
    if image_size is None:
        image_size = source.default_size or _own_size(survey) or _DEFAULT_SIZE
    if load_size is not None and load_size < image_size:
        raise InputError(f"--load-size {load_size}: expected the image size ({image_size}) or more")
    return image_size, load_size or image_size


def _own_size(survey: Survey) -> int | None:
    if len(survey.sizes) != 1:
        return None
    [(width, height)] = survey.sizes
    return width if width == height and width in IMAGE_SIZES else None


def _resized(survey: Survey, side: int) -> list[str]:
    if survey.sizes <= {(side, side)}:
        return []
    square = all(width == height for width, height in survey.sizes)
    return [f"resized to {side}x{side}" + ("" if square else ", the longer side cropped in the middle")]


def _names(bad: list[tuple[str, str]]) -> str:
    names = ", ".join(name for name, _ in bad[:_NAMED])
    return f"{names} and {len(bad) - _NAMED} more" if len(bad) > _NAMED else names


def _bad_images(name: str, bad: list[tuple[str, str]], count: int) -> str:
    first, reason = bad[0]
    which = f"--data {name}: {len(bad)} of {number(count, 'image')} cannot be read: {_names(bad)} ({first}: {reason})"
    if len(bad) == count:
        return f"{which}; expected at least one that can"
    return f"{which}; repair or remove them, or give --skip-bad to go on without them"
