import io
import pathlib

import numpy as np
import pytest
from PIL import Image

import pipelines
from kgan.errors import InputError
from pipelines import decode, limits
from pipelines.pairs import Pairs


@pytest.fixture
def make(tmp_path, write_image):
    """Makes pictures: those of one name, whatever their folder, have the same pixels; returns the folder around."""

    def make_folder(*names: str, size: tuple[int, int] = (8, 8)) -> pathlib.Path:
        for name in names:
            write_image(tmp_path / "set" / name, size=size, seed=int(pathlib.Path(name).stem))
        return tmp_path / "set"

    return make_folder


def load(folder: pathlib.Path, **options) -> Pairs:
    return pipelines.load_pairs("paired", str(folder), **options)


@pytest.fixture
def refused():
    """Loads what is an error; returns its message."""

    def message_of(folder: pathlib.Path, **options) -> str:
        with pytest.raises(InputError) as caught:
            load(folder, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return message_of


def numbers(split: str, *wanted: int) -> list[str]:
    return [f"{split}/{number}.png" for number in wanted]


def test_files_of_the_same_name_are_pairs(make):
    folder = make(*numbers("trainA", 3, 1, 2), *numbers("trainB", 2, 1, 3), *numbers("testA", 4), *numbers("testB", 4))
    data = load(folder)
    assert (data.name, data.split, data.aligned, data.size) == (str(folder), "train", True, 3)
    np.testing.assert_array_equal(data.a.images, data.b.images)
    np.testing.assert_array_equal(data.a.images, pipelines.load(str(folder / "trainA")).images)
    assert (data.a.labels, data.notes) == (None, ())
    assert load(folder, split="test").size == 1


def test_extensions_may_differ_and_folders_inside_belong_to_the_name(make):
    folder = make(
        *numbers("trainA", 1), *numbers("trainA/old", 1, 2), *numbers("trainB", 1), *numbers("trainB/old", 1, 2)
    )
    for path in sorted((folder / "trainB").rglob("*.png")):
        Image.open(path).save(path.with_suffix(".BMP"))
        path.unlink()
    data = load(folder)
    assert data.size == 3
    np.testing.assert_array_equal(data.a.images, data.b.images)


def test_two_parallel_folders_may_have_splits(make):
    folder = make(*numbers("a/train", 1, 2), *numbers("b/train", 1, 2), *numbers("a/test", 3), *numbers("b/test", 3))
    for split, count in (("train", 2), ("test", 1)):
        data = pipelines.load_pairs("paired", data_a=f"{folder}/a", data_b=f"{folder}/b/", split=split)
        np.testing.assert_array_equal(data.a.images, data.b.images)
        assert data.size == count


def test_images_without_a_partner_are_listed(make, refused):
    folder = make(*numbers("trainA", *range(2, 10)), *numbers("trainB", 1, 2, 3))
    message = (
        f"--data {folder}: images without a partner of the same name: 6 images of trainA/ not in trainB/ "
        "(4, 5, 6, 7, 8 and 1 more), 1 image of trainB/ not in trainA/ (1); add or remove them, or give --skip-bad to "
        "go on without them"
    )
    assert refused(folder) == message


def test_skip_bad_leaves_images_without_a_partner_out_and_says_so(make):
    folder = make(*numbers("trainA", 1, 2, 3, 5), *numbers("trainB", 2, 3, 4, 5))
    data = load(folder, skip_bad=True)
    assert data.size == 3
    np.testing.assert_array_equal(data.a.images, data.b.images)
    assert data.notes == (
        "without a partner, skipped: 1 image of trainA/ not in trainB/ (1)",
        "without a partner, skipped: 1 image of trainB/ not in trainA/ (4)",
    )


@pytest.mark.parametrize("skip_bad", [True, False])
def test_no_pair_at_all_is_an_error_either_way(make, refused, skip_bad):
    folder = make(*numbers("trainA", 1), *numbers("trainB", 2))
    message = refused(folder, skip_bad=skip_bad)
    assert message.startswith(f"--data {folder}: no image has a partner: 1 image of trainA/ not in trainB/ (1), ")
    assert message.endswith("expected files of the same names, but for the extension")


def test_two_files_for_one_place_are_an_error(make, refused):
    folder = make(*numbers("trainA", 1), *numbers("trainB", 1))
    Image.new("RGB", (8, 8)).save(folder / "trainB" / "1.jpg")
    message = refused(folder, skip_bad=True)
    assert message.startswith(
        f"--data {folder}: trainB/1.jpg and trainB/1.png have the same name but for the extension"
    )


@pytest.mark.parametrize("side, index", [("A", 0), ("A", 3), ("B", 0), ("B", 3), ("B", 5)])
def test_an_unreadable_picture_takes_its_partner_with_it(make, refused, monkeypatch, side, index):
    monkeypatch.setattr(decode, "_CHUNK_PICTURES", 2)
    folder = make(*numbers("trainA", *range(6)), *numbers("trainB", *range(6)))
    (folder / f"train{side}" / f"{index}.png").write_bytes(b"")
    named = f"train{side}/{index}.png"
    message = f"--data {folder}: 1 of 6 pairs cannot be read: {named} ({named}: no known image format); repair or"
    assert refused(folder).startswith(message)
    data = load(folder, skip_bad=True)
    assert data.size == 5
    np.testing.assert_array_equal(data.a.images, data.b.images)
    left = pipelines.load(str(folder / f"train{'AB'[side == 'A']}")).images
    np.testing.assert_array_equal(data.a.images, np.delete(left, index, axis=0))
    assert data.notes == (f"1 unreadable pair skipped: {named}",)


def test_both_pictures_of_a_pair_have_one_size(make, refused, write_image):
    folder = make(*numbers("trainA", 1, 2), *numbers("trainB", 1, 2))
    write_image(folder / "trainB" / "2.png", size=(8, 10))
    message = "1 of 2 pairs cannot be read: trainA/2.png (trainA/2.png: 8x8 pixels, but trainB/2.png has 8x10 pixels)"
    assert f"--data {folder}: {message}" in refused(folder)


def test_other_pairs_may_have_another_size(make):
    make(*numbers("trainA", 1), *numbers("trainB", 1), size=(20, 10))
    folder = make(*numbers("trainA", 2), *numbers("trainB", 2), size=(8, 12))
    data = load(folder, image_size=8)
    assert data.size == 2
    np.testing.assert_array_equal(data.a.images, data.b.images)
    assert data.notes == ("resized to 8x8, the longer side cropped in the middle",)


def test_photos_of_one_size_fit_each_other_at_any_scale_of_their_decoder(tmp_path):
    """JPEG can be decoded at half scales, PNG cannot."""
    Image.linear_gradient("L").resize((300, 300)).save(tmp_path / "1.png")
    for domain, extension in (("A", "png"), ("B", "jpg")):
        (tmp_path / f"train{domain}").mkdir()
        Image.open(tmp_path / "1.png").save(tmp_path / f"train{domain}" / f"1.{extension}", quality=95)
    data = load(tmp_path, image_size=8)
    np.testing.assert_allclose(data.a.images.astype(int), data.b.images, atol=3)


def halves(folder: pathlib.Path, *names: str, width: int = 32, seed: int = 0) -> dict[str, np.ndarray]:
    """Writes pictures that are dark on the left and light on the right; returns their pixels."""
    written = {}
    for index, name in enumerate(names):
        pixels = np.random.default_rng(seed + index).integers(0, 100, (16, width, 3), dtype=np.uint8)
        pixels[:, width // 2 :] += 150
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
        written[name] = pixels
    return written


def test_of_images_side_by_side_the_left_half_is_a(tmp_path):
    written = np.stack(list(halves(tmp_path, "1.png", "2.png", "3.png").values()))
    data = load(tmp_path)
    assert (data.aligned, data.size, data.image_shape) == (True, 3, (16, 16, 3))
    np.testing.assert_array_equal(data.a.images, written[:, :, :16])
    np.testing.assert_array_equal(data.b.images, written[:, :, 16:])
    assert data.notes == ("3 images cut in halves: the left one is A, the right one B",)


def test_halves_are_resized_each_for_itself(tmp_path):
    [written] = halves(tmp_path, "1.png").values()
    data = load(tmp_path, image_size=8)
    for images, half in ((data.a.images, written[:, :16]), (data.b.images, written[:, 16:])):
        expected = Image.fromarray(half).resize((8, 8), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(images[0], expected)


def test_a_picture_that_lies_on_its_side_is_turned_before_it_is_cut(tmp_path):
    [upright] = halves(tmp_path, "1.png").values()
    turned = Image.fromarray(upright).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    turned.save(tmp_path / "1.png", exif=exif)
    np.testing.assert_array_equal(load(tmp_path, image_size=16).a.images[0], upright[:, :16])


@pytest.mark.parametrize("test_folder", ["test", "val"])
def test_images_side_by_side_may_have_splits(tmp_path, test_folder):
    halves(tmp_path, "train/1.png", "train/2.png", f"{test_folder}/3.png", "4.png")
    assert load(tmp_path).size == 2
    assert load(tmp_path, split="test").size == 1


def test_test_goes_before_val(tmp_path):
    halves(tmp_path, "train/1.png", "val/2.png", "val/3.png", "test/4.png")
    assert load(tmp_path, split="test").size == 1


@pytest.mark.parametrize(
    "names, split, message",
    [
        (("1.png",), "test", "expected a folder test/ or val/, found images without folders, which are train"),
        (("train/1.png",), "test", "expected a folder test/ or val/, found train/"),
        (("test/1.png", "val/1.png"), "train", "expected a folder train/, found test/ and val/"),
    ],
)
def test_a_missing_split_is_named(tmp_path, refused, names, split, message):
    halves(tmp_path, *names)
    assert refused(tmp_path, split=split) == f"--data {tmp_path}: has no {split} split: {message}"


def test_folders_beside_the_images_are_ignored_and_counted(tmp_path):
    halves(tmp_path, "1.png", "2.png", "rejected/3.png")
    data = load(tmp_path)
    assert data.size == 2
    assert data.notes[1:] == ("1 image in folders inside ignored",)


def test_an_odd_width_is_named(tmp_path, refused):
    halves(tmp_path, "1.png", "2.png")
    halves(tmp_path, "3.png", width=33)
    assert "1 of 3 pairs cannot be read: 3.png (3.png: 33x16 pixels: an odd width has no two halves)" in refused(
        tmp_path
    )
    assert load(tmp_path, skip_bad=True, image_size=16).size == 2


def test_a_damaged_file_is_named(tmp_path, refused):
    halves(tmp_path, "1.png", "2.png")
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:-40])
    assert "1 of 2 pairs cannot be read: 1.png (1.png: " in refused(tmp_path)
    data = load(tmp_path, skip_bad=True)
    assert data.size == 1
    assert data.notes[1:] == ("1 unreadable pair skipped: 1.png",)


@pytest.mark.parametrize("names", [("1.txt",), ("train/photos/1.png", "train/more/1.txt", "train/x/1.txt")])
def test_a_folder_without_images_is_told_what_is_expected(tmp_path, refused, names):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    message = refused(tmp_path)
    expected = "expected images that have A and B side by side, in it or in its train/, or folders trainA/ and trainB/"
    assert message.startswith(f"--data {tmp_path}: {expected}, found ")
    assert message.endswith("or give a folder for each domain by --data-a and --data-b")


def test_too_large_pictures_are_refused_before_they_are_decoded(tmp_path, make, refused, monkeypatch):
    monkeypatch.setattr(limits, "MAX_PIXELS", 100)
    folder = make(*numbers("trainA", 1), *numbers("trainB", 1))
    assert load(folder).size == 1
    buffer = io.BytesIO()
    Image.new("L", (20, 20)).save(buffer, "PNG")
    (folder / "trainB" / "1.png").write_bytes(buffer.getvalue())
    assert "1 of 1 pair cannot be read: trainB/1.png (trainB/1.png: 20x20 pixels; at most" in refused(folder)
    halves(tmp_path / "beside", "1.png")
    assert "1 of 1 pair cannot be read: 1.png (1.png: 32x16 pixels; at most" in refused(tmp_path / "beside")


def test_threads_are_fewer_as_each_holds_both_pictures(tmp_path, monkeypatch):
    halves(tmp_path, "1.png", "2.png")
    used = []
    pool = decode.ThreadPoolExecutor
    monkeypatch.setattr(decode, "ThreadPoolExecutor", lambda threads: used.append(threads) or pool(threads))
    monkeypatch.setattr(decode.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(decode, "_THREADS_FROM", 0)
    monkeypatch.setattr(decode, "_PIXELS_AT_ONCE", 3 * 32 * 16)
    load(tmp_path)
    assert used == [3]


@pytest.mark.parametrize("threads_from", [0, 10**6])
def test_pairs_keep_their_order(make, monkeypatch, threads_from):
    monkeypatch.setattr(decode, "_THREADS_FROM", threads_from)
    monkeypatch.setattr(decode, "_CHUNK_PICTURES", 3)
    folder = make(*numbers("trainA", *range(20)), *numbers("trainB", *range(20)))
    data = load(folder)
    np.testing.assert_array_equal(data.a.images, data.b.images)
    np.testing.assert_array_equal(data.a.images, pipelines.load(str(folder / "trainA")).images)


def test_the_real_facades(facades):
    train, test = load(facades, image_size=64), load(facades, split="test")
    assert train.a.images.shape == train.b.images.shape == (400, 64, 64, 3)
    assert test.a.images.shape == test.b.images.shape == (106, 256, 256, 3)
    # Label maps have plain areas: most neighbours are nearly alike, which is so in no photo.
    plain = [(np.abs(np.diff(domain.images.astype(int), axis=2)) < 8).mean() for domain in (test.a, test.b)]
    assert plain[0] < plain[1]
