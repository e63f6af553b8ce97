import numpy as np
import pytest

import pipelines
from kgan.errors import InputError


@pytest.fixture
def folder(tmp_path, write_image):
    """Ten pictures, the second one truncated, the fourth one no image at all."""
    for index in range(10):
        write_image(tmp_path / "set" / f"{index}.png", seed=index)
    truncated = tmp_path / "set" / "1.png"
    truncated.write_bytes(truncated.read_bytes()[:-40])
    (tmp_path / "set" / "3.png").write_text("not a picture")
    return tmp_path / "set"


def test_unreadable_images_are_named_and_counted(folder):
    with pytest.raises(InputError) as caught:
        pipelines.load(str(folder))
    message = str(caught.value)
    assert message.startswith(f"--data {folder}: 2 of 10 images cannot be read: 1.png, 3.png (1.png: ")
    assert "--skip-bad" in message
    assert "\n" not in message


def test_skip_bad_goes_on_without_them_and_says_so(folder, write_image, tmp_path):
    data = pipelines.load(str(folder), skip_bad=True)
    assert len(data.images) == 8
    assert data.notes == ("2 unreadable images skipped: 1.png, 3.png",)
    for index in range(10):
        if index not in (1, 3):
            write_image(tmp_path / "good" / f"{index}.png", seed=index)
    good = pipelines.load(str(tmp_path / "good"))
    np.testing.assert_array_equal(data.images, good.images)
    assert data.digest == good.digest


def test_labels_stay_with_their_images_when_others_are_skipped(tmp_path, write_image):
    for name in ("cat/a.png", "cat/b.png", "dog/c.png"):
        write_image(tmp_path / name)
    (tmp_path / "cat" / "a.png").write_bytes(b"")
    np.testing.assert_array_equal(pipelines.load(str(tmp_path), skip_bad=True).labels, [0, 1])


def test_five_are_named_and_the_rest_is_counted(folder):
    for index in range(8):
        (folder / f"{index}.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"8 of 10 images cannot be read: 0\.png, .*, 4\.png and 3 more "):
        pipelines.load(str(folder))


@pytest.mark.parametrize("skip_bad", [True, False])
def test_nothing_but_unreadable_images_is_an_error_either_way(folder, skip_bad):
    for path in folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match=r"10 of 10 images cannot be read: .*; expected at least one that can"):
        pipelines.load(str(folder), skip_bad=skip_bad)


@pytest.mark.parametrize(
    "sizes, expected",
    [
        ([(32, 32), (32, 32)], 32),
        ([(32, 32), (16, 16)], 64),
        ([(32, 24)], 64),
        ([(30, 30)], 64),
        ([(260, 260)], 64),
        ([(8, 8)], 8),
        ([(256, 256)], 256),
    ],
)
def test_the_default_size_is_the_sets_own_if_that_is_allowed(tmp_path, write_image, sizes, expected):
    for index, size in enumerate(sizes):
        write_image(tmp_path / f"{index}.png", size=size)
    data = pipelines.load(str(tmp_path))
    assert data.image_shape == (expected, expected, 3)
    assert data.images.shape == (len(sizes), expected, expected, 3)


def test_pictures_are_decoded_to_the_load_size(tmp_path, write_image):
    write_image(tmp_path / "a.png", size=(32, 32))
    data = pipelines.load(str(tmp_path), load_size=36)
    assert data.images.shape == (1, 36, 36, 3)
    assert data.image_shape == (32, 32, 3)
    with pytest.raises(InputError, match=r"--load-size 30: expected the image size \(32\) or more"):
        pipelines.load(str(tmp_path), load_size=30)


def test_the_digest_is_of_the_content_alone(tmp_path, write_image):
    for name in ("cat/a.png", "dog/b.png"):
        for copy in ("one", "two"):
            write_image(tmp_path / copy / name, size=(8, 8))
    one, two = (pipelines.load(str(tmp_path / copy)) for copy in ("one", "two"))
    assert one.digest == two.digest
    assert one.digest.startswith("sha256:")
    assert len(one.digest) == len("sha256:") + 64


def test_other_pixels_labels_or_shapes_have_other_digests(tmp_path, write_image):
    write_image(tmp_path / "a" / "1.png", seed=1)
    write_image(tmp_path / "b" / "1.png", seed=2)
    np.savez(tmp_path / "c.npz", x_train=np.zeros((2, 8, 8), np.uint8), y_train=np.array([0, 1]))
    np.savez(tmp_path / "d.npz", x_train=np.zeros((2, 8, 8), np.uint8), y_train=np.array([1, 0]))
    np.savez(tmp_path / "e.npz", x_train=np.zeros((2, 8, 8), np.uint8))
    np.savez(tmp_path / "f.npz", x_train=np.zeros((1, 8, 8, 2), np.uint8))
    names = ("a", "b", "c.npz", "d.npz", "e.npz", "f.npz")
    assert len({pipelines.load(str(tmp_path / name)).digest for name in names}) == len(names)
