import pathlib
import tarfile

import numpy as np
import pytest

import pipelines
from kgan.errors import InputError
from pipelines.pairs import Pairs


def load(folder: pathlib.Path, **options) -> Pairs:
    return pipelines.load_pairs("unpaired", str(folder), **options)


@pytest.fixture
def refused():
    """Loads what is an error; returns its message."""

    def message_of(folder: pathlib.Path, **options) -> str:
        with pytest.raises(InputError) as caught:
            load(folder, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return message_of


def test_folders_of_each_split_and_domain(make):
    folder = make("trainA/1.png", "trainA/2.png", "trainB/3.png", "testA/4.png", "testB/5.png", "testB/6.png")
    train, test = load(folder), load(folder, split="test")
    assert (train.name, train.split, train.aligned) == (str(folder), "train", False)
    assert (train.a.size, train.b.size, test.a.size, test.b.size) == (2, 1, 1, 2)
    assert test.split == "test"
    np.testing.assert_array_equal(train.a.images, pipelines.load(str(folder / "trainA")).images)
    np.testing.assert_array_equal(test.b.images, pipelines.load(str(folder / "testB")).images)


def test_folders_a_and_b_are_a_train_split(make, refused):
    folder = make("A/1.png", "B/2.png")
    assert load(folder).size == 1
    message = "has no test split: expected folders testA/ and testB/, found A/ and B/"
    assert refused(folder, split="test") == f"--data {folder}: {message}"


def test_class_folders_mean_nothing(make):
    data = load(make("trainA/bay/1.png", "trainA/grey/2.png", "trainA/3.png", "trainB/4.png"))
    assert data.a.size == 3
    assert data.a.labels is None
    assert data.notes == ()
    folder = make("bay/1.png", "grey/2.png", "3.png", folder="horses")
    apart = pipelines.load_pairs("unpaired", data_a=str(folder), data_b=str(make("4.png", folder="zebras")))
    assert (apart.a.size, apart.a.labels, apart.a.class_names, apart.notes) == (3, None, None, ())


def test_each_domain_may_be_an_archive_with_splits(make, tmp_path):
    horses = make("train/bay/1.png", "train/grey/2.png", "test/bay/3.png", folder="horses")
    with tarfile.open(tmp_path / "horses.tar.gz", "w:gz") as tar:
        tar.add(horses, "horses")
    for split, count in (("train", 2), ("test", 1)):
        options = {"data_a": str(tmp_path / "horses.tar.gz"), "data_b": str(horses), "split": split}
        data = pipelines.load_pairs("unpaired", **options)
        np.testing.assert_array_equal(data.a.images, data.b.images)
        assert (data.a.size, data.a.labels) == (count, None)


def test_a_folder_of_pairs_may_be_used_as_unpaired(make):
    folder = make("trainA/1.png", "trainA/2.png", "trainB/1.png", "trainB/2.png")
    data, pairs = load(folder), pipelines.load_pairs("paired", str(folder))
    np.testing.assert_array_equal(data.b.images, pairs.b.images)


def test_unreadable_pictures_are_named_with_their_folder(make, refused):
    folder = make("trainA/1.png", "trainA/2.png", "trainB/1.png", "trainB/2.png")
    (folder / "trainB" / "2.png").write_bytes(b"")
    assert f"--data {folder}: 1 of 2 images cannot be read: trainB/2.png (" in refused(folder)
    data = load(folder, skip_bad=True)
    assert (data.a.size, data.b.size) == (2, 1)
    assert data.notes == ("B: 1 unreadable image skipped: trainB/2.png",)


@pytest.mark.parametrize(
    "names, split, expected, found",
    [
        (("trainA/1.png",), "train", "trainA/ and trainB/", "trainA/"),
        (("trainA/1.png", "testB/1.png"), "train", "trainA/ and trainB/", "trainA/ and testB/"),
        (("trainA/1.png", "trainB/1.png"), "test", "testA/ and testB/", "trainA/ and trainB/"),
        (("A/1.png",), "train", "A/ and B/", "A/"),
    ],
)
def test_a_missing_folder_is_named(make, refused, names, split, expected, found):
    folder = make(*names)
    message = f"--data {folder}: has no {split} split: expected folders {expected}, found {found}"
    assert refused(folder, split=split) == message


def test_an_empty_domain_is_named(make, refused):
    folder = make("trainA/1.png")
    (folder / "trainB").mkdir()
    assert f"--data {folder}: trainB/ holds no images; expected files of .png" in refused(folder)


@pytest.mark.parametrize("kind", ["unpaired", "paired"])
@pytest.mark.parametrize("names", [("trainA", "trainB"), ("testA", "testB"), ("A", "B")])
def test_who_points_at_one_domain_is_told_to_give_the_folder_around(make, monkeypatch, kind, names):
    folder = make(f"{names[0]}/1.png", f"{names[1]}/1.png", folder="my set")
    for name in names:
        with pytest.raises(InputError) as caught:
            pipelines.load_pairs(kind, str(folder / name))
        expected = f"is one domain of two, {names[0]}/ and {names[1]}/; give the folder around both: --data '{folder}'"
        assert str(caught.value) == f"--data {folder / name}: {expected}"
    monkeypatch.chdir(folder / names[0])
    with pytest.raises(InputError, match=f"give the folder around both: --data '{folder}'"):
        pipelines.load_pairs(kind, ".")


@pytest.mark.parametrize("kind", ["unpaired", "paired"])
def test_who_points_above_the_domains_is_told_the_folder_inside(make, kind):
    folder = make("horse2zebra/trainA/1.png", "horse2zebra/trainB/1.png", folder="sets")
    with pytest.raises(InputError) as caught:
        pipelines.load_pairs(kind, str(folder))
    expected = f"the folders trainA/ and trainB/ are one level below; give --data {folder / 'horse2zebra'}"
    assert str(caught.value) == f"--data {folder}: {expected}"
    make("maps/trainA/1.png", "maps/trainB/1.png", folder="sets")
    with pytest.raises(InputError, match=f"{expected} or --data {folder / 'maps'}$"):
        pipelines.load_pairs(kind, str(folder))


@pytest.mark.parametrize("kind", ["unpaired", "paired"])
@pytest.mark.parametrize("around, split", [("", "train"), ("train/", "train"), ("test/", "test")])
def test_two_other_folders_are_offered_as_the_domains(make, kind, around, split):
    folder = make(f"{around}horses/1.png", f"{around}my zebras/1.png")
    with pytest.raises(InputError) as caught:
        pipelines.load_pairs(kind, str(folder), split=split)
    place = folder / around
    expected = f"if these are domains A and B, give --data-a {place / 'horses'} --data-b '{place / 'my zebras'}'"
    assert str(caught.value).startswith(f"--data {folder}: expected ")
    assert str(caught.value).endswith(f", found horses/ and my zebras/; {expected}")


@pytest.mark.parametrize(
    "names, found",
    [
        (("1.png", "2.png"), "images"),
        (("a/1.png", "b/1.png", "c/1.png"), "a/, b/ and c/"),
        (("a/1.png", "b/1.png", "c/1.png", "d/1.png", "e/1.png", "f/1.png"), "a/, b/, c/, d/, e/ and 1 more"),
        (("train/1.png", "test/1.png"), "test/ and train/"),
        ((".hidden/1.png",), "nothing of this kind"),
    ],
)
def test_anything_else_is_told_what_is_expected(make, refused, names, found):
    folder = make(*names)
    assert refused(folder) == (
        f"--data {folder}: expected folders trainA/ and trainB/ (or A/ and B/), found {found}; or give a folder for "
        "each domain by --data-a and --data-b"
    )


def test_the_real_horse2zebra(horse2zebra):
    train, test = load(horse2zebra, image_size=128, load_size=143), load(horse2zebra, split="test")
    assert train.a.images.shape == train.b.images.shape == (600, 143, 143, 3)
    assert (test.a.size, test.b.size, test.image_shape, test.size) == (120, 140, (128, 128, 3), 140)
    assert train.notes == ("resized to 143x143",)
