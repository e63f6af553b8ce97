"""One picture at a time: bytes of an image file become uint8 pixels of the size and mode asked for."""

import contextlib
import functools
import io
import os
import pathlib
import stat
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from pipelines import limits
from pipelines.pictures import Header, Pair, Picture, SideBySide, Survey

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")

# Named, so that a file called .png is never given to a format that runs a program (EPS).
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_GREY_MODES = ("1", "L", "La", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N")
_TIFF_TILE_SIZE = (ExifTags.Base.TileWidth, ExifTags.Base.TileLength)
_CHUNK_PICTURES = 64
_CHUNK_BYTES = 4 * 2**20
_WAITING_BYTES = 2**28  # of encoded pictures, ahead of the threads that decode them
_PIXELS_AT_ONCE = 2 * limits.MAX_PIXELS  # in all threads together
_THREADS_FROM = 64 * 64  # pixels: for smaller pictures threads lose more to the interpreter's lock than they win

Image.init()  # loads all formats, here and not in several threads at once
# What Pillow warns of is refused here and named, or read all the same. Once and for all: `warnings.catch_warnings` is
# not for threads.
warnings.filterwarnings("ignore", module=r"PIL\.")

_Decoded = tuple[np.ndarray, list[int | None], list[tuple[str, str]]]


class _UnreadableError(Exception):
    """One picture of a pair cannot be read: (its name, the reason)."""


def headers(pictures: Iterable[Picture]) -> Iterator[tuple[str, Header | None]]:
    """Reads the headers of pictures, in their order: (name, header), None for one that cannot be read.

    Of an aligned set it gives two for each, one of A and one of B.
    """
    for picture in pictures:
        if isinstance(picture.data, Pair):
            yield from headers(picture.data)
        elif isinstance(picture.data, SideBySide):
            header = _header(picture.data.file)
            half = header and header._replace(size=(header.size[0] // 2, header.size[1]))
            yield from [(picture.name, half)] * 2
        else:
            yield picture.name, _header(picture.data)


def decode(pictures: Iterable[Picture], survey: Survey, size: int, domains: int = 1) -> Iterator[_Decoded]:
    """Decodes pictures, in their order, some at a time.

    Args:
        pictures: to decode.
        survey: of them; all are converted to its mode.
        size: side of the result; the shorter side is resized to it, the longer one cropped in the middle.
        domains: images that each gives: 2 in an aligned set, else 1.

    Yields:
        (uint8 `[n, domains, size, size, channels]`, the n labels, (name, reason) of each that cannot be read).
    """
    chunks = _chunks(pictures)
    function = functools.partial(_decode_chunk, mode=survey.mode, size=size, domains=domains)
    largest = domains * max((width * height for width, height in survey.sizes), default=0)
    if largest <= _THREADS_FROM:
        return map(function, chunks)
    return _in_threads(function, chunks, max(1, min(os.cpu_count() or 1, _PIXELS_AT_ONCE // largest)))


def picture(file: pathlib.Path, mode: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Decodes one picture at its own size, upright by its EXIF orientation.

    Args:
        file: of a format in `EXTENSIONS`.
        mode: "L", "LA", "RGB" or "RGBA", what it is converted to; without A transparent pixels are put on white.

    Returns:
        uint8 `[height, width, channels]`, and an alpha channel that the mode leaves out, uint8 `[height, width]`.

    Raises:
        ValueError: it cannot be read; the message is the reason.
    """
    try:
        image = _upright(file)
        alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data and "A" not in mode else None
        pixels = np.asarray(_convert(image, mode))
    except Exception as error:  # damaged bytes make the decoders raise nearly anything
        raise ValueError(_reason(error)) from error
    return pixels.reshape(*pixels.shape[:2], len(mode)), None if alpha is None else np.asarray(alpha)


def _in_threads(
    function: Callable[[list[Picture]], _Decoded], chunks: Iterable[list[Picture]], threads: int
) -> Iterator[_Decoded]:
    """Maps in order; `Executor.map` would read all pictures into memory first."""
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque()  # (future, bytes) of each chunk
        for chunk in chunks:
            waiting.append((pool.submit(function, chunk), sum(map(_held_bytes, chunk))))
            while len(waiting) > 2 * threads or sum(held for _, held in waiting) > _WAITING_BYTES:
                yield waiting.popleft()[0].result()
        while waiting:
            yield waiting.popleft()[0].result()


def _decode_chunk(chunk: list[Picture], mode: str, size: int, domains: int) -> _Decoded:
    rows, labels, bad = [], [], []
    for picture in chunk:
        # Damaged bytes make the decoders raise nearly anything.
        try:
            rows.append(_row(picture, mode, size))
            labels.append(picture.label)
        except _UnreadableError as error:
            bad.append(error.args)
        except Exception as error:
            bad.append((picture.name, _reason(error)))
    shape = (len(rows), domains, size, size, len(mode))
    return np.stack(rows).reshape(shape) if rows else np.empty(shape, np.uint8), labels, bad


def _chunks(pictures: Iterable[Picture]) -> Iterator[list[Picture]]:
    chunk, held = [], 0
    for picture in pictures:
        chunk.append(picture)
        held += _held_bytes(picture)
        if len(chunk) == _CHUNK_PICTURES or held >= _CHUNK_BYTES:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def _held_bytes(picture: Picture) -> int:
    if isinstance(picture.data, Pair):
        return sum(map(_held_bytes, picture.data))
    files = pathlib.Path | SideBySide | ValueError
    return 0 if isinstance(picture.data, files) else memoryview(picture.data).nbytes


@contextlib.contextmanager
def _open(data: bytes | pathlib.Path | ValueError) -> Iterator[Image.Image]:
    """Opens a picture of a size that may be decoded; closes it at the end.

    Raises:
        ValueError: it has too many bytes or pixels, or is no regular file.
        Exception: nearly any, where bytes are damaged.
    """
    if isinstance(data, ValueError):
        raise data
    if isinstance(data, pathlib.Path):
        state = data.stat()
        if not stat.S_ISREG(state.st_mode):  # opening a pipe waits for its other end
            raise ValueError("no regular file")
        limits.check_bytes(state.st_size)
    else:
        limits.check_bytes(len(data))
        data = io.BytesIO(data)
    with Image.open(data, formats=_FORMATS) as image:
        limits.check_pixels(*image.size)
        if image.format == "TIFF":  # decoded by the tile, which may be larger than the picture
            limits.check_pixels(*(int(image.tag_v2.get(tag, 0)) for tag in _TIFF_TILE_SIZE))
        yield image


def _header(data: bytes | pathlib.Path | ValueError) -> Header | None:
    try:
        with _open(data) as image:
            return Header(image.size, _is_grey(image), image.has_transparency_data, _is_deep(image))
    except Exception:  # the decoding pass meets it again and says why
        return None


def _is_grey(image: Image.Image) -> bool:
    if image.mode == "P":
        palette = np.reshape(image.getpalette("RGB"), (-1, 3))
        return bool((palette == palette[:, :1]).all())
    # Pillow opens a PNG of 16-bit grey with alpha as RGBA.
    return image.mode in _GREY_MODES or any(tile.args == "LA;16B" for tile in image.tile)


def _is_deep(image: Image.Image) -> bool:
    """Says whether a file has 16 bits per channel: for colour Pillow shows that in the raw mode only."""
    if image.mode.startswith("I"):
        return True
    return any(";16" in str(tile.args) or (tile.codec_name == "ppm" and tile.args[1] > 255) for tile in image.tile)


def _row(picture: Picture, mode: str, size: int) -> np.ndarray:
    """Decodes what makes one row: uint8 `[size, size, channels]`, for an aligned set with both images in front."""
    if isinstance(picture.data, Pair):
        return _pair(picture.data, mode, size)
    if isinstance(picture.data, SideBySide):
        return _halves(picture.data.file, mode, size)
    return _pixels(picture.data, mode, size)


def _pair(pair: Pair, mode: str, size: int) -> np.ndarray:
    rows, sizes = [], []
    for picture in pair:
        try:
            # At full scale: the sizes of both are compared, and `draft` may change one of them alone.
            image = _image(picture.data, mode)
            sizes.append(image.size)
            rows.append(_fit(image, size))
        except Exception as error:
            raise _UnreadableError(picture.name, _reason(error)) from error
    if sizes[0] != sizes[1]:
        size_a, size_b = (f"{width}x{height} pixels" for width, height in sizes)
        raise _UnreadableError(pair.a.name, f"{size_a}, but {pair.b.name} has {size_b}")
    return np.stack(rows)


def _halves(file: pathlib.Path, mode: str, size: int) -> np.ndarray:
    image = _image(file, mode)
    width, height = image.size
    if width % 2:
        raise ValueError(f"{width}x{height} pixels: an odd width has no two halves")
    boxes = (0, 0, width // 2, height), (width // 2, 0, width, height)
    return np.stack([_fit(image.crop(box), size) for box in boxes])


def _pixels(data: bytes | pathlib.Path | np.ndarray | ValueError, mode: str, size: int) -> np.ndarray:
    if isinstance(data, np.ndarray) and data.shape == (size, size, len(mode)):
        return data
    return _fit(_image(data, mode, (2 * size, 2 * size)), size)


def _image(
    data: bytes | pathlib.Path | np.ndarray | ValueError, mode: str, draft: tuple[int, int] | None = None
) -> Image.Image:
    """Decodes a picture; with `draft` perhaps at a smaller scale, of this (width, height) or above."""
    if isinstance(data, np.ndarray):
        image = Image.fromarray(data[..., 0] if data.shape[2] == 1 else data)
        return image if image.mode == mode else _convert(image, mode)
    return _convert(_upright(data, draft), mode)


def _upright(data: bytes | pathlib.Path | ValueError, draft: tuple[int, int] | None = None) -> Image.Image:
    with _open(data) as image:
        if draft:
            image.draft(None, draft)  # JPEG decodes large photos several times faster at half scales
        image.load()
        with contextlib.suppress(Exception):  # damaged EXIF says nothing of the pixels
            ImageOps.exif_transpose(image, in_place=True)
        return image


def _fit(image: Image.Image, size: int) -> np.ndarray:
    if image.size != (size, size):
        image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _convert(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == "F":
        raise ValueError("float pixels")
    if image.mode.startswith("I"):
        image = _upper_byte(image)
    if image.has_transparency_data and "A" not in mode:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image if image.mode == mode else image.convert(mode)


def _upper_byte(image: Image.Image) -> Image.Image:
    """16 bits to 8 the way Pillow's own reader does it for colour."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("pixels of more than 16 bits")
    return Image.fromarray((values >> 8).astype(np.uint8))


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its own text shows a memory address
        return "no known image format"
    if isinstance(error, Image.DecompressionBombError):  # far above the limit, Pillow opens nothing
        return f"more pixels than the {limits.MAX_PIXELS // 10**6} million that are read"
    return " ".join(str(error).split()) or type(error).__name__
