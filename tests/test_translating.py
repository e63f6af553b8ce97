import os
import pathlib
import types

import keras
import numpy as np
import pytest
from PIL import Image

from kgan import translating
from kgan.errors import InputError, RunError
from kgan.translation import Translation, padded, reflected
from kgan.variants.cyclegan import CycleGAN
from kgan.variants.pix2pix import Pix2Pix
from pipelines import decode
from tests import tiny

SHAPE = (16, 16, 3)


@pytest.fixture(scope="module")
def cyclegan() -> Translation:
    keras.utils.set_random_seed(1)
    return tiny.lively(CycleGAN(SHAPE, width=2, blocks=1, patch=16))


@pytest.fixture(scope="module")
def pix2pix() -> Translation:
    keras.utils.set_random_seed(1)
    return tiny.lively(Pix2Pix(SHAPE, width=4, patch=16))


@pytest.fixture(params=["cyclegan", "pix2pix"])
def model(request) -> Translation:
    return request.getfixturevalue(request.param)


@pytest.fixture
def photos(tmp_path):
    """Makes a folder of pictures, each different; returns it."""

    def make(*names: str, size: tuple[int, int] = (9, 13)) -> pathlib.Path:
        folder = tmp_path / "photos"
        for seed, name in enumerate(names):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(tiny.picture(*size, seed=seed)).save(folder / name)
        return folder

    return make


def translate(model: Translation, place, output, seed: int = 0, overwrite: bool = False) -> None:
    translating.translate_files(model, "a_to_b", seed, pathlib.Path(place), pathlib.Path(output), overwrite)


def files(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if not file.is_dir()}


def give_memory(monkeypatch, available: float) -> None:
    monkeypatch.setattr(translating.psutil, "virtual_memory", lambda: types.SimpleNamespace(available=int(available)))


def apart(one: np.ndarray, other: np.ndarray) -> int:
    """The most levels between two pictures."""
    assert one.shape == other.shape and one.dtype == other.dtype == np.uint8
    return int(np.abs(one.astype(int) - other).max())


# Sizes


@pytest.mark.parametrize("length", range(2, 6))
def test_pixels_are_mirrored_back_and_forth(length):
    for whole in range(length, 40):
        expected = np.pad(np.arange(length), (0, whole - length), "reflect")
        np.testing.assert_array_equal(reflected(length, whole), expected)


def test_a_picture_is_padded_to_the_stride_and_the_least_side(cyclegan, pix2pix):
    for model, shape, sides in (
        (cyclegan, (37, 51), (40, 52)),
        (cyclegan, (2, 3), (8, 8)),
        (cyclegan, (8, 12), (8, 12)),
        (pix2pix, (37, 51), (48, 64)),
        (pix2pix, (2, 16), (16, 16)),
    ):
        picture = tiny.picture(*shape)
        more = [(0, side - own) for side, own in zip(sides, shape, strict=True)]
        np.testing.assert_array_equal(padded(model, picture), np.pad(picture, [*more, (0, 0)], "reflect"))


@pytest.mark.parametrize("shape", [(37, 51), (2, 2), (3, 200), (200, 3), (16, 16), (17, 2)])
def test_any_size_and_aspect_is_translated_at_its_size(model, shape):
    """As the network translates the picture that NumPy has padded."""
    picture = tiny.picture(*shape)
    more = [(0, max(model.least, -(-side // model.stride) * model.stride) - side) for side in shape]
    whole = np.pad(picture, [*more, (0, 0)], "reflect")[None] / np.float32(127.5) - 1
    expected = model.translated("a_to_b", whole, np.zeros(1, np.int32)).numpy()[0, : shape[0], : shape[1]]
    result = translating.translate_picture(model, "a_to_b", 0, picture)
    assert result.shape == picture.shape and result.dtype == np.uint8
    assert np.abs((expected + 1) * 127.5 - result).max() < 0.51


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1)])
def test_a_side_of_one_pixel_is_too_small(cyclegan, photos, size):
    reason = f"{size[1]}x{size[0]} pixels, expected at least 2x2"
    with pytest.raises(ValueError, match=reason):
        translating.translate_file(cyclegan, "a_to_b", 0, photos("a.png", size=size) / "a.png")


def test_the_direction_is_the_one_asked_for(cyclegan):
    picture = tiny.picture(12, 20)
    there, back = (translating.translate_picture(cyclegan, way, 0, picture) for way in ("a_to_b", "b_to_a"))
    np.testing.assert_array_equal(back, cyclegan.translate(picture[None], "b_to_a")[0])
    assert apart(there, back) > 20


# Kinds of pictures

TURNED = {  # by EXIF 2.3: where row 0 and column 0 of the file are seen
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_is_read_upright(tmp_path, orientation, channels):
    pixels, exif = tiny.picture(5, 8, channels), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    upright = TURNED[orientation](pixels)
    found, alpha = decode.picture(tmp_path / "a.png", "RGB")
    assert found.shape == (*upright.shape[:2], 3)
    if channels == 3:
        np.testing.assert_array_equal(found, upright)
    else:
        np.testing.assert_array_equal(alpha, upright[..., 3])


def test_a_turned_photo_is_translated_as_it_is_seen(cyclegan, tmp_path):
    pixels, exif = tiny.picture(20, 33), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(np.rot90(pixels, -1)).save(tmp_path / "upright.png")
    translate(cyclegan, tmp_path, tmp_path / "out")
    assert Image.open(tmp_path / "out" / "turned.png").size == (20, 33)
    assert not Image.open(tmp_path / "out" / "turned.png").getexif()  # nobody turns it again
    assert files(tmp_path / "out")["turned.png"] == files(tmp_path / "out")["upright.png"]


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_opaque_pictures_of_all_kinds_are_read(tmp_path, mode):
    colour, grey = Image.fromarray(tiny.picture(6, 9)), Image.fromarray(tiny.picture(6, 9, 1)[..., 0])
    deep = np.random.default_rng(0).integers(0, 65536, (6, 9), dtype=np.uint16)
    kinds = {
        "colour.png": (colour, colour),
        "grey.png": (grey, grey),
        "deep.png": (Image.fromarray(deep), Image.fromarray((deep // 256).astype(np.uint8))),
        "deep.tif": (Image.fromarray(deep), Image.fromarray((deep // 256).astype(np.uint8))),
        "palette.png": (colour.quantize(16), colour.quantize(16).convert("RGB")),
        "bits.png": (grey.convert("1"), grey.convert("1").convert("L")),
        "still.gif": (colour.quantize(16), colour.quantize(16).convert("RGB")),
        "lossless.webp": (colour, colour),
    }
    for name, (written, expected) in kinds.items():
        written.save(tmp_path / name, lossless=True)
        pixels, alpha = decode.picture(tmp_path / name, mode)
        assert alpha is None, name
        expected = np.asarray(expected.convert(mode)).reshape(6, 9, len(mode))
        np.testing.assert_array_equal(pixels, expected, err_msg=name)


def test_a_cmyk_photo_is_translated_in_rgb(cyclegan, tmp_path):
    Image.new("CMYK", (9, 12), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    pixels, alpha = decode.picture(tmp_path / "a.jpg", "RGB")
    assert alpha is None
    assert apart(pixels, np.full((12, 9, 3), (255, 0, 0), np.uint8)) <= 3
    assert translating.translate_file(cyclegan, "a_to_b", 0, tmp_path / "a.jpg").mode == "RGB"


def transparent(kind: str) -> Image.Image:
    pixels = tiny.picture(12, 20, 4)
    if kind == "LA":
        return Image.fromarray(pixels[..., [0, 3]])
    return Image.fromarray(pixels) if kind == "RGBA" else Image.fromarray(pixels[..., :3]).quantize(16)


@pytest.mark.parametrize("kind", ["RGBA", "LA", "palette"])
def test_alpha_stays_and_below_it_is_white(cyclegan, tmp_path, kind):
    image = transparent(kind)
    image.save(tmp_path / "a.png", **({"transparency": 3} if kind == "palette" else {}))
    seen = Image.open(tmp_path / "a.png").convert("RGBA")
    on_white = Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert("RGB")
    translate(cyclegan, tmp_path / "a.png", tmp_path / "out")
    result = Image.open(tmp_path / "out" / "a.png")
    assert result.mode == "RGBA"
    np.testing.assert_array_equal(result.getchannel("A"), seen.getchannel("A"))
    expected = translating.translate_picture(cyclegan, "a_to_b", 0, np.asarray(on_white))
    np.testing.assert_array_equal(np.asarray(result)[..., :3], expected)


def test_a_grey_model_makes_grey_pictures_and_keeps_alpha(tmp_path):
    model = CycleGAN((16, 16, 1), width=2, blocks=1, patch=16)
    for kind, mode in (("RGBA", "LA"), ("LA", "LA")):
        transparent(kind).save(tmp_path / "a.png")
        result = translating.translate_file(model, "a_to_b", 0, tmp_path / "a.png")
        assert result.mode == mode
        np.testing.assert_array_equal(result.getchannel("A"), transparent(kind).getchannel("A"))
    Image.fromarray(tiny.picture(12, 20)).save(tmp_path / "b.png")
    assert translating.translate_file(model, "a_to_b", 0, tmp_path / "b.png").mode == "L"


@pytest.mark.parametrize(("channels", "mode"), [(2, "LA"), (4, "RGBA")])
def test_a_model_of_alpha_translates_it(tmp_path, channels, mode):
    """A set in which every picture has an alpha channel trains such a model."""
    model = CycleGAN((16, 16, channels), width=2, blocks=1, patch=16)
    image = transparent(mode)
    image.save(tmp_path / "a.png")
    result = translating.translate_file(model, "a_to_b", 0, tmp_path / "a.png")
    assert result.mode == mode
    expected = translating.translate_picture(model, "a_to_b", 0, np.asarray(image))
    np.testing.assert_array_equal(np.asarray(result), expected)
    Image.fromarray(tiny.picture(12, 20)).save(tmp_path / "opaque.png")
    pixels, alpha = decode.picture(tmp_path / "opaque.png", mode)
    assert alpha is None and pixels.shape == (12, 20, channels) and (pixels[..., -1] == 255).all()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.png", b"", "no known image format"),
        ("a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no known image format"),
        ("a.ppm", b"P6 20000 20000 255\n", "more pixels than the 110 million|at most 110 million are read"),
        ("a.ppm", b"P6 9 9 255\nabc", "not enough image data|truncated"),
    ],
)
def test_what_cannot_be_read_has_a_reason_of_one_line(tmp_path, name, content, reason):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=reason) as caught:
        decode.picture(tmp_path / name, "RGB")
    assert "\n" not in str(caught.value)


# Memory


def test_tiles_are_taken_where_memory_is_short(cyclegan, monkeypatch):
    """So large that with their margins they fit into half of what is free."""
    taken, real = [], translating.translate_in_tiles
    monkeypatch.setattr(translating, "translate_in_tiles", lambda *args: taken.append(args[-1]) or real(*args))
    picture = tiny.picture(90, 130)
    whole = translating.translate_picture(cyclegan, "a_to_b", 0, picture)
    assert taken == []
    needed = picture.shape[0] * picture.shape[1] * cyclegan.bytes_per_pixel
    give_memory(monkeypatch, 2 * needed)
    np.testing.assert_array_equal(translating.translate_picture(cyclegan, "a_to_b", 0, picture), whole)
    assert taken == []
    give_memory(monkeypatch, 2 * 100**2 * cyclegan.bytes_per_pixel)
    assert apart(translating.translate_picture(cyclegan, "a_to_b", 0, picture), whole) <= 1
    assert taken == [100 - 2 * cyclegan.reach]


def test_without_memory_tiles_are_the_smallest(cyclegan, monkeypatch):
    picture = tiny.picture(9, 21)
    whole = cyclegan.translate(picture[None], "a_to_b")[0]
    give_memory(monkeypatch, 0)
    assert apart(translating.translate_picture(cyclegan, "a_to_b", 0, picture), whole) <= 1


def test_no_tile_is_larger_than_is_reasonable(cyclegan, monkeypatch):
    sides = []
    monkeypatch.setattr(translating, "translate_in_tiles", lambda *args: sides.append(args[-1]))
    give_memory(monkeypatch, 2 * 5000**2 * cyclegan.bytes_per_pixel)
    translating.translate_picture(cyclegan, "a_to_b", 0, np.broadcast_to(np.uint8(0), (6000, 6000, 3)))
    assert sides == [1024]


class Unbounded(CycleGAN):
    reach = 0


def test_a_system_that_sees_everything_has_no_tiles(photos, monkeypatch, tmp_path):
    """The picture is skipped, the smaller one is done."""
    folder = photos("small.png")
    Image.fromarray(tiny.picture(40, 50)).save(folder / "large.png")
    model = Unbounded(SHAPE, width=2, blocks=1, patch=16)
    give_memory(monkeypatch, 2 * 20**2 * model.bytes_per_pixel)
    with pytest.raises(RunError, match=r"large\.png \(50x40 pixels are too many for the memory at hand\)"):
        translate(model, folder, tmp_path / "out")
    assert set(files(tmp_path / "out")) == {"small.png"}


@pytest.mark.parametrize(
    ("error", "reason"), [(MemoryError(), "MemoryError"), (MemoryError("Unable to allocate\n9 GiB"), "Unable to")]
)
def test_a_picture_for_which_memory_runs_out_is_skipped(cyclegan, photos, monkeypatch, tmp_path, error, reason):
    real = translating.translate_picture

    def run_out(model, direction, seed, pixels):
        if pixels.shape[0] == 9:
            raise error
        return real(model, direction, seed, pixels)

    folder = photos("a.png")
    Image.fromarray(tiny.picture(8, 8)).save(folder / "b.png")
    monkeypatch.setattr(translating, "translate_picture", run_out)
    with pytest.raises(RunError, match=rf"1 of 2 pictures were skipped: a\.png \({reason}"):
        translate(cyclegan, folder, tmp_path / "out")
    assert set(files(tmp_path / "out")) == {"b.png"}


# Folders


def test_a_folder_keeps_its_folders(cyclegan, photos, tmp_path, capsys):
    folder = photos("a.jpg", "B.PNG", "x/y/c.tiff", "x/a.b.webp", "dir.png/d.bmp")
    (folder / "notes.txt").write_text("no picture")
    translate(cyclegan, folder, tmp_path / "out")
    assert set(files(tmp_path / "out")) == {"a.png", "B.png", "x/y/c.png", "x/a.b.png", "dir.png/d.png"}
    assert capsys.readouterr().out == f"5 of 5 pictures translated to {tmp_path / 'out'}\n"
    pixels, _ = decode.picture(folder / "x/y/c.tiff", "RGB")
    result, _ = decode.picture(tmp_path / "out/x/y/c.png", "RGB")
    np.testing.assert_array_equal(result, translating.translate_picture(cyclegan, "a_to_b", 0, pixels))


def test_one_file_of_any_name_is_a_picture(cyclegan, photos, tmp_path):
    folder = photos("a.png")
    for name in (".hidden.png", "no_ending", "a b.c.jpeg"):
        (folder / name).write_bytes((folder / "a.png").read_bytes())
        translate(cyclegan, folder / name, tmp_path / "deep" / "out")
    assert set(files(tmp_path / "deep" / "out")) == {".hidden.png", "no_ending.png", "a b.c.png"}


def test_hidden_files_and_folders_are_no_pictures(cyclegan, photos, tmp_path):
    folder = photos("a.png", ".b.png", "._a.png", ".thumbnails/c.png", "x/.d/e.png")
    translate(cyclegan, folder, tmp_path / "out")
    assert set(files(tmp_path / "out")) == {"a.png"}


def test_a_hidden_folder_that_is_asked_for_is_read(cyclegan, photos, tmp_path):
    photos("a.png").rename(tmp_path / ".photos")
    translate(cyclegan, tmp_path / ".photos", tmp_path / ".out")
    assert set(files(tmp_path / ".out")) == {"a.png"}


def test_an_output_inside_the_input_is_not_translated_again(cyclegan, photos, monkeypatch):
    monkeypatch.chdir(photos("a.png", "x/b.png"))
    for overwrite in (False, True):
        translate(cyclegan, ".", "x/../out/new", overwrite=overwrite)
    assert set(files(pathlib.Path("out"))) == {"new/a.png", "new/x/b.png"}


def test_an_output_around_the_input_is_fine(cyclegan, photos):
    folder = photos("in/a.png", "in/x/b.png")
    translate(cyclegan, folder / "in", folder)
    assert set(files(folder)) == {"in/a.png", "in/x/b.png", "a.png", "x/b.png"}


def test_names_that_collide_are_named_and_the_first_is_done(cyclegan, photos, tmp_path, capsys):
    folder = photos("x/a.jpg", "x/a.png", "b.png", "a.png")
    with pytest.raises(RunError) as caught:
        translate(cyclegan, folder, tmp_path / "out")
    reason = "x/a.jpg has the same name but for its ending"
    assert str(caught.value) == f"1 of 4 pictures were skipped: x/a.png ({reason})"
    assert f"x/a.png is skipped: {reason}\n3 of 4 pictures translated" in capsys.readouterr().out
    translate(cyclegan, folder / "x" / "a.jpg", tmp_path / "alone")
    assert files(tmp_path / "out")["x/a.png"] == files(tmp_path / "alone")["a.png"]


def test_files_that_are_there_are_left_unless_they_may_be_replaced(cyclegan, photos, tmp_path, capsys):
    folder, out = photos("a.png", "b.png"), tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_text("mine")
    translate(cyclegan, folder, out)
    assert files(out)["a.png"] == b"mine" and files(out)["b.png"].startswith(b"\x89PNG")
    assert capsys.readouterr().out.splitlines() == [
        f"1 of 2 pictures translated to {out}",
        "1 were there already and are left as they are; --overwrite replaces them",
    ]
    translate(cyclegan, folder, out)
    assert "0 of 2 pictures" in capsys.readouterr().out
    translate(cyclegan, folder, out, overwrite=True)
    assert "2 of 2 pictures" in capsys.readouterr().out
    assert files(out)["a.png"].startswith(b"\x89PNG")
    assert set(files(out)) == {"a.png", "b.png"}  # nothing unfinished beside them


def test_bad_files_are_named_and_the_rest_is_done(cyclegan, photos, tmp_path, capsys):
    folder = photos("a.png", "c.png", "x/z.png")
    (folder / "b.jpg").write_bytes(b"no picture")
    (folder / "d.png").write_bytes((folder / "a.png").read_bytes()[:-40])
    os.mkfifo(folder / "e.png")
    (folder / "f.png").symlink_to("nowhere.png")
    (folder / "g.png").symlink_to("g.png")
    Image.new("RGB", (1, 9)).save(folder / "h.png")
    with pytest.raises(RunError) as caught:
        translate(cyclegan, folder, tmp_path / "out")
    message = str(caught.value)
    assert message.startswith("6 of 9 pictures were skipped: b.jpg (no known image format), d.png (")
    assert "e.png (no regular file)" in message and message.endswith(" and 1 more") and "\n" not in message
    assert set(files(tmp_path / "out")) == {"a.png", "c.png", "x/z.png"}
    out = capsys.readouterr().out
    assert "h.png is skipped: 1x9 pixels, expected at least 2x2\n3 of 9 pictures translated" in out


def test_a_name_too_long_to_write_is_named_and_the_rest_is_done(cyclegan, photos, tmp_path):
    """Such a file can be there, but not be written under a temporary name first."""
    folder = photos("b" * 250 + ".png", "c.png")
    with pytest.raises(RunError, match=r"b\.png \(too long a name to write\)$"):
        translate(cyclegan, folder, tmp_path / "out")
    assert set(files(tmp_path / "out")) == {"c.png"}


def test_a_translation_does_not_depend_on_the_others(pix2pix, photos, tmp_path):
    folder = photos("a.png", "b.png", "c.png", size=(21, 34))
    (folder / "twin.png").write_bytes((folder / "b.png").read_bytes())
    translate(pix2pix, folder, tmp_path / "all", seed=3)
    translate(pix2pix, folder / "b.png", tmp_path / "one", seed=3)
    made = files(tmp_path / "all")
    assert made["b.png"] == made["twin.png"] == files(tmp_path / "one")["b.png"]
    assert made["a.png"] != made["b.png"]
    translate(pix2pix, folder / "b.png", tmp_path / "other", seed=4)
    assert made["b.png"] != files(tmp_path / "other")["b.png"]


# What is refused


def test_input_without_pictures_is_refused(cyclegan, tmp_path):
    with pytest.raises(InputError, match=rf"--input: there is no file or folder {tmp_path}/nothing"):
        translate(cyclegan, tmp_path / "nothing", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    with pytest.raises(InputError, match=r"--input: .*/empty holds no pictures; expected files of \.png, \.jpg,"):
        translate(cyclegan, tmp_path / "empty", tmp_path / "out")
    with pytest.raises(InputError, match=r"--input: a+ cannot be read \(File name too long\)"):
        translate(cyclegan, "a" * 300, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_output_that_is_the_input_is_refused(cyclegan, photos, monkeypatch):
    folder = photos("a.jpg")
    (folder.parent / "link").symlink_to(folder)
    monkeypatch.chdir(folder)
    for output in (folder, folder.parent / "photos" / ".." / "photos", folder.parent / "link", "."):
        with pytest.raises(InputError, match=r"--output: got .*, the same as --input; expected another folder"):
            translate(cyclegan, folder, output)
    assert set(files(folder)) == {"a.jpg"}


def test_a_picture_is_never_replaced_by_its_translation(cyclegan, photos):
    folder = photos("a.png", "in/b.png", "in/in/b.png")
    before = files(folder)
    for overwrite in (False, True):
        for place in (folder / "a.png", folder / "in"):
            with pytest.raises(InputError, match=r"--output: .*[ab]\.png is a picture of --input itself"):
                translate(cyclegan, place, folder, overwrite=overwrite)
    assert files(folder) == before


def test_beside_its_picture_a_translation_of_another_ending_is_fine(cyclegan, photos):
    folder = photos("a.jpg")
    translate(cyclegan, folder / "a.jpg", folder)
    assert set(files(folder)) == {"a.jpg", "a.png"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_that_cannot_be_written_ends_it(cyclegan, photos, tmp_path, capsys, overwrite):
    folder = photos("a.png", "b.png")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--output: .*file/a\.png cannot be written \(File exists\)"):
        translate(cyclegan, folder, tmp_path / "file", overwrite=overwrite)
    with pytest.raises(InputError, match=r"--output: .*a\.png cannot be written \(Not a directory\)"):
        translate(cyclegan, folder, tmp_path / "file" / "out", overwrite=overwrite)
    (tmp_path / "out" / "a.png").mkdir(parents=True)
    with pytest.raises(InputError, match=r"--output: .*a\.png cannot be written \(Is a directory\)"):
        translate(cyclegan, folder, tmp_path / "out", overwrite=True)
    assert "skipped" not in capsys.readouterr().out
    assert files(tmp_path / "out") == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_ends_it(cyclegan, photos, tmp_path):
    (tmp_path / "out").mkdir(mode=0o500)
    (tmp_path / "shut").mkdir(mode=0o000)
    for output in ("out", "shut", "shut/out"):
        with pytest.raises(InputError, match=r"cannot be written \(Permission denied\)"):
            translate(cyclegan, photos("a.png"), tmp_path / output)
