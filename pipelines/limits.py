"""What files may claim: sizes they give are held against these limits before memory is taken for them."""

import psutil

from kgan.errors import InputError
from pipelines.pictures import number

# As RGBA that is 440 MB; decoding takes up to 16 bytes a pixel in all. Hardly a camera gives more than 108 million.
MAX_PIXELS = 110_000_000
MAX_SIDE = 65_535  # Pillow keeps 16 bytes for each row; JPEG and GIF end there too
MAX_PICTURE_BYTES = 2**28  # of one picture as it is stored: encoded, or as numbers in an array
_MEMORY_SHARE = 0.25  # of the memory at hand: decoded images may take half of it
_LABEL_BYTES = 128  # for each picture of an array: its label in lists and arrays, at worst a class of its own


def check_pixels(width: int, height: int) -> None:
    """Raises ValueError, with a reason for a person, where a picture is too large to decode it."""
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width}x{height} pixels; at most {MAX_PIXELS // 10**6} million are read")
    if max(width, height) > MAX_SIDE:
        raise ValueError(f"{width}x{height} pixels; at most {MAX_SIDE} a side are read")


def check_bytes(count: int) -> None:
    """Raises ValueError, with a reason for a person, where one stored picture is too large to read it."""
    if count > MAX_PICTURE_BYTES:
        raise ValueError(f"{count // 10**6} MB; at most {MAX_PICTURE_BYTES // 10**6} MB are read")


def check_array(name: str, what: str, count: int, picture_bytes: int) -> None:
    """Raises InputError where an array `what` of the data set `name` has too large or too many pictures.

    Args:
        name: of the data set.
        what: names the array.
        count: of pictures in the array.
        picture_bytes: that each of them takes there.
    """
    try:
        check_bytes(picture_bytes)
    except ValueError as error:
        raise InputError(f"--data {name}: one image of {what} takes {error}") from error
    if not fits_memory(count * _LABEL_BYTES):
        raise InputError(f"--data {name}: {what} holds {number(count, 'image')}: too many for the memory at hand")


def fits_memory(count: int) -> bool:
    """Says whether so many bytes may be taken at once."""
    return count < _MEMORY_SHARE * psutil.virtual_memory().available
