"""From a source to `Images`: look at the headers, choose size and channels, decode once, keep."""

import dataclasses
import functools
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


def build(source: Source, image_size: int | None, load_size: int | float | None, skip_bad: bool) -> Images:
    """Decodes a source, or finds it decoded; arguments and errors are those of `pipelines.load`."""
    [images] = _build([source], 1, image_size, load_size, skip_bad)
    return images


def build_domains(
    a: Source, b: Source, image_size: int | None, load_size: int | float | None, skip_bad: bool
) -> tuple[Images, Images]:
    """Decodes two sources to one size and one number of channels; both to colour where one of them has colour."""
    images_a, images_b = _build([a, b], 1, image_size, load_size, skip_bad)
    return images_a, images_b


def build_aligned(
    source: Source, image_size: int | None, load_size: int | float | None, skip_bad: bool
) -> tuple[Images, Images]:
    """Decodes a source of pairs; where one picture of a pair cannot be read, the other one is left out too."""
    images_a, images_b = _build([source], 2, image_size, load_size, skip_bad)
    return images_a, images_b


def _build(
    sources: list[Source], domains: int, image_size: int | None, load_size: int | float | None, skip_bad: bool
) -> list[Images]:
    """Builds as many sets of each source as a row of it has domains."""
    # Everything that decides a pixel or a label: another Pillow may decode JPEG to other values. All sources decide
    # on size and channels of each.
    told = [(source.identity, source.class_names) for source in sources]
    key = functools.partial(store.key, told, sources[0].split, image_size, load_size, skip_bad, PIL.__version__)
    keys = [[key(index, domain, domains) for domain in range(domains)] for index in range(len(sources))]
    stored = [[store.find(name) for name in names] for names in keys]
    if any(None in found for found in stored):
        surveys = _surveys(sources, domains)
        image_size, side = _sizes(sources, surveys, image_size, load_size)
        for index, (source, survey) in enumerate(zip(sources, surveys, strict=True)):
            if None in stored[index]:
                sets = domains * len(sources)
                stored[index] = _decode(source, survey, image_size, side, skip_bad, keys[index], sets)
    return [_images(source, rows) for source, found in zip(sources, stored, strict=True) for rows in found]


def _images(source: Source, stored: store.Stored) -> Images:
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


def _surveys(sources: list[Source], domains: int) -> list[Survey]:
    """Surveys each source; all get the mode that fits the pictures of all."""
    surveys = []
    for source in sources:
        survey = source.survey or Survey.of_headers(header for _, header in decode.headers(source.pictures()))
        if not survey.count:
            raise InputError(f"--data {source.name}: has no images in its {source.split} split")
        # Of a pair, there are two headers.
        surveys.append(survey if source.survey else dataclasses.replace(survey, count=survey.count // domains))
    modes = {survey.mode for survey in surveys}
    mode = modes.pop() if len(modes) == 1 else "RGB"
    return [dataclasses.replace(survey, mode=mode) for survey in surveys]


def _decode(
    source: Source, survey: Survey, image_size: int, side: int, skip_bad: bool, keys: list[str], sets: int
) -> list[store.Stored]:
    """Decodes all pictures into a set for each key, that is for each domain; `sets` are used together."""
    noun = "image" if len(keys) == 1 else "pair"
    rows = []
    try:
        for key in keys:
            rows.append(store.create((survey.count, side, side, len(survey.mode)), key, sets))
        digests, labels, bad = _fill(rows, source, survey, side)
        if bad and (not skip_bad or len(bad) == survey.count):
            raise InputError(_bad_images(source.name, bad, survey.count, noun))
        notes = [*survey.notes, *_resized(survey, side)]
        if bad:
            notes.append(f"{number(len(bad), f'unreadable {noun}')} skipped: {_names(bad)}")
        about = {"image_size": image_size, "notes": notes}
        return [
            images.finish(labels, {**about, "digest": digest}) for images, digest in zip(rows, digests, strict=True)
        ]
    except BaseException:
        for images in rows:
            images.discard()
        raise


def _fill(
    rows: list[store.Memory | store.Disk], source: Source, survey: Survey, side: int
) -> tuple[list[str], np.ndarray | None, list[tuple[str, str]]]:
    """Decodes all pictures into `rows`; returns the digest of each, the labels and what could not be read."""
    contents = [hashlib.sha256() for _ in rows]
    labels, bad = [], []
    for chunk, chunk_labels, chunk_bad in decode.decode(source.pictures(), survey, side, len(rows)):
        for domain, (images, content) in enumerate(zip(rows, contents, strict=True)):
            pixels = np.ascontiguousarray(chunk[:, domain])
            images.append(pixels)
            content.update(pixels)
        labels += chunk_labels
        bad += chunk_bad
    shape = (len(labels), side, side, len(survey.mode))
    # Some sets of tensorflow-datasets mark an unlabelled split by -1.
    labels = None if source.class_names is None or min(labels, default=0) < 0 else np.array(labels, np.int32)
    for content in contents:
        if labels is not None:
            content.update(labels.astype("<i4"))
        content.update(f"{shape} {'without' if labels is None else 'with'} labels".encode())
    return [f"sha256:{content.hexdigest()}" for content in contents], labels, bad


def _sizes(
    sources: list[Source], surveys: list[Survey], image_size: int | None, load_size: int | float | None
) -> tuple[int, int]:
    """Returns the side of the images and the side to decode to."""
    if image_size is None:
        wanted = max(source.default_size or 0 for source in sources)
        image_size = wanted or _own_size(frozenset().union(*(survey.sizes for survey in surveys))) or _DEFAULT_SIZE
    if isinstance(load_size, float):
        load_size = round(image_size * load_size)
    if load_size is not None and load_size < image_size:
        raise InputError(f"--load-size {load_size}: expected the image size ({image_size}) or more")
    return image_size, load_size or image_size


def _own_size(sizes: frozenset[tuple[int, int]]) -> int | None:
    if len(sizes) != 1:
        return None
    [(width, height)] = sizes
    return width if width == height and width in IMAGE_SIZES else None


def _resized(survey: Survey, side: int) -> list[str]:
    if survey.sizes <= {(side, side)}:
        return []
    square = all(width == height for width, height in survey.sizes)
    return [f"resized to {side}x{side}" + ("" if square else ", the longer side cropped in the middle")]


def _names(bad: list[tuple[str, str]]) -> str:
    names = ", ".join(name for name, _ in bad[:_NAMED])
    return f"{names} and {len(bad) - _NAMED} more" if len(bad) > _NAMED else names


def _bad_images(name: str, bad: list[tuple[str, str]], count: int, noun: str) -> str:
    first, reason = bad[0]
    which = f"--data {name}: {len(bad)} of {number(count, noun)} cannot be read: {_names(bad)} ({first}: {reason})"
    if len(bad) == count:
        return f"{which}; expected at least one that can"
    return f"{which}; repair or remove them, or give --skip-bad to go on without them"
