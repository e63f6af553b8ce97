import io
import os
import pathlib
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps

import pipelines
from kgan.errors import InputError
from pipelines import decode, limits


def png(width: int, height: int, bits: int, colour_type: int, rows: bytes) -> bytes:
    """A PNG by its specification; it may claim what its rows do not hold."""

    def part(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    parts = part(b"IHDR", header), part(b"IDAT", zlib.compress(rows)), part(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def write_deep_png(path, pixels: np.ndarray) -> None:
    """A PNG of 16 bits per channel: Pillow writes grey ones only."""
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[2]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    path.write_bytes(png(pixels.shape[1], pixels.shape[0], 16, colour_type, rows))


def tiff(width: int, height: int, tile: tuple[int, int] | None = None) -> bytes:
    """A TIFF header by its specification, of 8 grey bits without content."""
    values = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 278: height, 279: 0}
    if tile:
        values = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 277: 1, 322: tile[0], 323: tile[1], 324: 8, 325: 0}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
    return struct.pack("<2sHIH", b"II", 42, 8, len(values)) + entries + bytes(4)


def gif(width: int, height: int) -> bytes:
    frame = b"," + struct.pack("<HHHH", 0, 0, width, height) + b"\0\2\2\x44\1\0;"
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0" + bytes(6) + frame


def webp(width: int, height: int) -> bytes:
    """A canvas that has one frame of 16x16."""

    def part(kind: bytes, content: bytes) -> bytes:
        return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)

    def size(*sides: int) -> bytes:
        return b"".join(struct.pack("<I", side - 1)[:3] for side in sides)

    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "WEBP", lossless=True)
    frame = bytes(6) + size(16, 16) + bytes(4) + buffer.getvalue()[12:]
    parts = part(b"VP8X", b"\2\0\0\0" + size(width, height)) + part(b"ANIM", bytes(6)) + part(b"ANMF", frame)
    return b"RIFF" + struct.pack("<I", 4 + len(parts)) + b"WEBP" + parts


def jpeg(width: int, height: int) -> bytes:
    """The size alone: what is in the file is 8x8."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG")
    content = bytearray(buffer.getvalue())
    size = content.index(b"\xff\xc0") + 5
    content[size : size + 4] = struct.pack(">HH", height, width)
    return bytes(content)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("extension", ["png", "tiff", "tif", "ppm", "PNG"])
def test_formats_without_loss_give_the_pixels_that_were_written(tmp_path, write_image, mode, extension):
    if (mode, extension) == ("RGBA", "ppm"):
        mode = "RGB"  # all that it holds
    pixels = write_image(tmp_path / f"a.{extension}", mode=mode)
    images = pipelines.load(str(tmp_path)).images
    assert images.shape == (1, 8, 8, len(mode))
    np.testing.assert_array_equal(images[0], pixels.reshape(8, 8, len(mode)))


@pytest.mark.parametrize("extension", ["bmp", "gif", "webp", "jpg", "jpeg", "pgm", "pbm", "pnm"])
def test_other_formats_are_read(tmp_path, extension):
    Image.new("L", (8, 8), 255).save(tmp_path / f"a.{extension}", format="PPM" if extension == "pnm" else None)
    assert (pipelines.load(str(tmp_path)).images == 255).all()


def test_grey_pictures_of_all_kinds_give_one_channel(tmp_path, write_image):
    grey = Image.fromarray(write_image(tmp_path / "a.png", mode="L"))
    grey.convert("1").save(tmp_path / "b.png")
    palette = grey.convert("P")
    palette.putpalette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
    palette.save(tmp_path / "c.png")
    data = pipelines.load(str(tmp_path))
    assert data.images.shape == (3, 8, 8, 1)
    np.testing.assert_array_equal(data.images[1, ..., 0], np.array(grey.convert("1")) * 255)
    np.testing.assert_array_equal(data.images[2, ..., 0], grey)


def test_one_colour_picture_makes_all_of_them_colour(tmp_path, write_image):
    grey, colour = write_image(tmp_path / "a.png", mode="L"), write_image(tmp_path / "b.png")
    images = pipelines.load(str(tmp_path)).images
    np.testing.assert_array_equal(images[0], np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(images[1], colour)


def test_a_palette_in_colour_is_colour(tmp_path, write_image):
    indexed = Image.fromarray(write_image(tmp_path / "a.png")).quantize(16)
    indexed.save(tmp_path / "a.png")
    np.testing.assert_array_equal(pipelines.load(str(tmp_path)).images[0], indexed.convert("RGB"))


def test_sixteen_bit_grey_is_scaled_to_its_upper_byte_and_said(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (8, 8), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray(values).save(tmp_path / "b.tif")
    (tmp_path / "c.pgm").write_bytes(b"P5 8 8 65535\n" + values.astype(">u2").tobytes())
    data = pipelines.load(str(tmp_path))
    assert data.images.shape == (3, 8, 8, 1)
    for image in data.images:
        np.testing.assert_array_equal(image[..., 0], values // 256)
    assert data.notes == ("3 images of 16 bits scaled to 8",)


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bit_colour_is_scaled_the_same_and_said(tmp_path, channels):
    values = np.random.default_rng(0).integers(0, 65536, (8, 8, channels))
    write_deep_png(tmp_path / "a.png", values)
    data = pipelines.load(str(tmp_path))
    np.testing.assert_array_equal(data.images[0], values // 256)
    assert "1 image of 16 bits scaled to 8" in data.notes


def test_sixteen_bit_grey_with_alpha_counts_as_grey(tmp_path, write_image):
    values = np.full((8, 8, 2), 65535)
    values[..., 0] = np.arange(64).reshape(8, 8) * 1000
    write_deep_png(tmp_path / "a.png", values)
    write_image(tmp_path / "b.png", mode="L")
    data = pipelines.load(str(tmp_path))
    np.testing.assert_array_equal(data.images[0, ..., 0], values[..., 0] // 256)


@pytest.mark.parametrize("values", [np.full((8, 8), 70000, np.int32), np.full((8, 8), -1, np.int32)])
def test_more_than_16_bits_are_refused(tmp_path, values):
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"a.tif \(a.tif: pixels of more than 16 bits\)|a.tif: pixels of more"):
        pipelines.load(str(tmp_path))


def test_float_pictures_are_refused(tmp_path):
    Image.fromarray(np.zeros((8, 8), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match="float pixels"):
        pipelines.load(str(tmp_path))


def test_alpha_in_every_picture_gives_four_channels(tmp_path, write_image):
    grey = write_image(tmp_path / "a.png", mode="LA")
    colour = write_image(tmp_path / "b.png", mode="RGBA")
    indexed = Image.fromarray(write_image(tmp_path / "c.png")).quantize(16)
    indexed.save(tmp_path / "c.png", transparency=3)
    data = pipelines.load(str(tmp_path))
    np.testing.assert_array_equal(data.images[0], grey[..., [0, 0, 0, 1]])
    np.testing.assert_array_equal(data.images[1], colour)
    np.testing.assert_array_equal(data.images[2, ..., 3], np.where(np.array(indexed) == 3, 0, 255))
    assert data.notes == ("every image has an alpha channel: 4 channels (RGBA)",)


@pytest.mark.parametrize("modes, channels", [(("RGBA", "RGB"), 3), (("LA", "L"), 1), (("LA", "RGB"), 3)])
def test_transparent_pixels_are_put_on_white_and_said(tmp_path, write_image, modes, channels):
    pixels = write_image(tmp_path / "a.png", mode=modes[0]).astype(float)
    write_image(tmp_path / "b.png", mode=modes[1])
    data = pipelines.load(str(tmp_path))
    assert data.images.shape == (2, 8, 8, channels)
    alpha = pixels[..., -1:] / 255
    np.testing.assert_allclose(
        data.images[0], np.broadcast_to(pixels[..., :-1] * alpha + 255 * (1 - alpha), (8, 8, channels)), atol=1.01
    )
    assert data.notes == ("transparent pixels put on white in 1 image",)


def test_cmyk_is_read_as_rgb(tmp_path):
    colours = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    colours.save(tmp_path / "a.jpg", quality=100)
    images = pipelines.load(str(tmp_path)).images
    np.testing.assert_allclose(images[0, 4, 4], [255, 0, 0], atol=3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    picture = Image.fromarray(np.repeat(np.repeat(np.arange(4, dtype=np.uint8).reshape(2, 2) * 80, 8, 0), 8, 1))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "a.jpg", exif=exif, quality=100)
    quarters = np.round(pipelines.load(str(tmp_path)).images[0, 4::8, 4::8, 0] / 80).astype(int).tolist()
    upright = [[0, 1], [2, 3]]  # as EXIF 2.3 defines the eight: where row 0 and column 0 of the file are seen
    expected = {
        1: upright,
        2: [[1, 0], [3, 2]],
        3: [[3, 2], [1, 0]],
        4: [[2, 3], [0, 1]],
        5: [[0, 2], [1, 3]],
        6: [[2, 0], [3, 1]],
        7: [[3, 1], [2, 0]],
        8: [[1, 3], [0, 2]],
    }
    assert quarters == expected[orientation]


def test_damaged_exif_does_not_make_a_picture_unreadable(tmp_path, write_image):
    pixels = write_image(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "b.jpg", exif=b"Exif\0\0junk junk junk")
    assert len(pipelines.load(str(tmp_path)).images) == 2


@pytest.mark.parametrize("size", [(40, 24), (24, 40), (100, 9), (16, 16), (8, 8)])
def test_pictures_are_fitted_by_their_shorter_side(tmp_path, write_image, size):
    pixels = write_image(tmp_path / "a.png", size=size)
    data = pipelines.load(str(tmp_path), image_size=16)
    expected = ImageOps.fit(Image.fromarray(pixels), (16, 16), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(data.images[0], expected)
    assert data.notes == (
        ()
        if size == (16, 16)
        else ("resized to 16x16",)
        if size == (8, 8)
        else ("resized to 16x16, the longer side cropped in the middle",)
    )


def test_reducing_averages_over_the_pixels_it_drops(tmp_path):
    checks = np.indices((256, 256)).sum(0) % 2 * 255
    Image.fromarray(checks.astype(np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(checks.astype(np.uint8)).save(tmp_path / "b.jpg", quality=100)
    images = pipelines.load(str(tmp_path), image_size=16).images
    np.testing.assert_allclose(images[:, 2:-2, 2:-2], 127.5, atol=2)


def test_a_format_that_runs_programs_is_not_opened_under_another_name(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "picture.eps")
    (tmp_path / "picture.eps").rename(tmp_path / "a.png")
    with pytest.raises(InputError, match="no known image format"):
        pipelines.load(str(tmp_path))


def test_threads_keep_the_order(tmp_path, write_image, monkeypatch):
    expected = [write_image(tmp_path / f"{index:03}.png", seed=index) for index in range(150)]
    monkeypatch.setattr(decode, "_CHUNK_PICTURES", 4)
    monkeypatch.setattr(decode, "_THREADS_FROM", 0)
    np.testing.assert_array_equal(pipelines.load(str(tmp_path)).images, expected)


@pytest.fixture
def never_decoded(monkeypatch):
    """No pixel may be decoded."""

    def fail(*args):
        pytest.fail("pixels were decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", fail)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    "name, content",
    [
        ("a.png", png(20000, 8000, 1, 0, b"")),
        ("a.png", png(20000, 8000, 8, 2, b"")),
        ("a.png", png(20000, 8000, 16, 6, b"")),
        ("a.jpg", jpeg(20000, 8000)),
        ("a.tif", tiff(20000, 8000)),
        ("a.tif", tiff(8, 8, tile=(20000, 8000))),
        ("a.gif", gif(20000, 8000)),
        ("a.webp", webp(20000, 8000)),
        ("a.bmp", struct.pack("<2sIIIIiiHHIIIIII", b"BM", 54, 0, 54, 40, 20000, 8000, 1, 24, 0, 0, 0, 0, 0, 0)),
        ("a.ppm", b"P6 20000 8000 255\n"),
    ],
    ids=lambda value: value if isinstance(value, str) else "content",
)
def test_too_many_pixels_are_refused_by_the_header(tmp_path, never_decoded, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"\({name}: 20000x8000 pixels; at most 110 million are read\)"):
        pipelines.load(str(tmp_path))


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.png", png(30000, 30000, 8, 0, b"")),
        ("a.png", png(2**31 - 1, 2**31 - 1, 16, 6, b"")),
        ("a.jpg", jpeg(65500, 65500)),
        ("a.tif", tiff(2**31, 2**31)),
        ("a.gif", gif(65535, 65535)),
        ("a.ppm", b"P6 99999999 99999999 255\n"),
    ],
    ids=lambda value: value if isinstance(value, str) else "content",
)
def test_gigapixels_are_refused_by_the_header(tmp_path, never_decoded, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"\({name}: more pixels than the 110 million that are read\)"):
        pipelines.load(str(tmp_path))


@pytest.mark.parametrize("size", [(1, 10**7), (10**7, 1)])
def test_too_long_a_side_is_refused_by_the_header(tmp_path, never_decoded, size):
    (tmp_path / "a.png").write_bytes(png(*size, 8, 0, b""))
    with pytest.raises(InputError, match=rf"{size[0]}x{size[1]} pixels; at most 65535 a side are read"):
        pipelines.load(str(tmp_path))


def test_skip_bad_goes_on_without_pictures_that_are_too_large(tmp_path, write_image):
    pixels = write_image(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(png(30000, 30000, 8, 0, b""))
    data = pipelines.load(str(tmp_path), skip_bad=True)
    np.testing.assert_array_equal(data.images, [pixels])
    assert data.notes == ("1 unreadable image skipped: b.png",)


def test_a_picture_at_the_limit_is_read(tmp_path, monkeypatch, write_image):
    monkeypatch.setattr(limits, "MAX_PIXELS", 12 * 12)
    write_image(tmp_path / "a.png", size=(12, 12))
    assert len(pipelines.load(str(tmp_path)).images) == 1
    write_image(tmp_path / "b.png", size=(29, 5))
    with pytest.raises(InputError, match=r"b\.png: 29x5 pixels"):
        pipelines.load(str(tmp_path))


def test_too_large_a_file_is_not_opened(tmp_path, monkeypatch):
    with (tmp_path / "a.webp").open("wb") as file:
        file.truncate(10**10)  # of holes
    monkeypatch.setattr(decode.Image, "open", None)
    with pytest.raises(InputError, match=r"\(a\.webp: 10000 MB; at most 268 MB are read\)"):
        pipelines.load(str(tmp_path))


def test_a_pipe_is_not_waited_for(tmp_path, write_image):
    write_image(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"b\.png \(b\.png: no regular file\)"):
        pipelines.load(str(tmp_path))


def test_pillows_warnings_reach_no_one(tmp_path):
    (tmp_path / "a.png").write_bytes(png(20000, 8000, 8, 0, b""))
    (tmp_path / "b.tif").write_bytes(tiff(8, 8)[:-20])  # Pillow warns of tags that are cut off
    program = f"""
import pipelines
from kgan.errors import InputError
try:
    pipelines.load({str(tmp_path)!r})
except InputError as error:
    print(error)
"""
    root = pathlib.Path(pipelines.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root)
    assert "2 of 2 images cannot be read" in done.stdout
    assert "Warning" not in done.stderr


def test_threads_are_fewer_where_pictures_are_large(tmp_path, write_image, monkeypatch):
    used = []
    pool = decode.ThreadPoolExecutor
    monkeypatch.setattr(decode, "ThreadPoolExecutor", lambda threads: used.append(threads) or pool(threads))
    monkeypatch.setattr(decode.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(decode, "_PIXELS_AT_ONCE", 3 * 100 * 100)
    write_image(tmp_path / "a.png", size=(100, 100))
    pipelines.load(str(tmp_path))
    monkeypatch.setattr(decode, "_PIXELS_AT_ONCE", 1)
    pipelines.load(str(tmp_path))
    assert used == [3, 1]


def test_encoded_pictures_do_not_pile_up_before_the_threads(monkeypatch):
    """Few are taken from the source while one is worked on, if they are large."""
    monkeypatch.setattr(decode, "_WAITING_BYTES", 3000)
    monkeypatch.setattr(decode, "_CHUNK_BYTES", 1)
    taken = []

    def pictures():
        for index in range(20):
            taken.append(index)
            yield decode.Picture(f"{index}", bytes(1000))

    survey = decode.Survey(20, frozenset({(100, 100)}), "L")
    monkeypatch.setattr(decode.os, "cpu_count", lambda: 64)
    results = decode.decode(pictures(), survey, 8)
    next(results)
    assert len(taken) == 4
    assert len(list(results)) == 19
