import numpy as np
import pytest

import pipelines
from kgan.errors import InputError


def test_sources_are_named_with_one_line_each():
    assert {kind: set(names) for kind, names in pipelines.PAIR_SOURCES.items()} == {
        "unpaired": {"photos", "tfds:cycle_gan/NAME", "PATH"},
        "paired": {"photos", "PATH"},
    }
    assert all(text and "\n" not in text for names in pipelines.PAIR_SOURCES.values() for text in names.values())


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "no data: without --data; expected either --data, or both --data-a and --data-b"),
        ({"data_a": "x"}, "--data-a x: without --data-b; expected either --data, or both --data-a and --data-b"),
        ({"data_b": "x"}, "--data-b x: without --data-a; expected either"),
        ({"data": "x", "data_a": "y"}, "--data x --data-a y: all of them at once; expected either"),
        ({"data": "x", "data_a": "y", "data_b": "z"}, "--data x --data-a y --data-b z: all of them at once"),
        ({"data_a": "x", "data_b": "x"}, "--data-b x: the same as --data-a; expected another folder"),
    ],
)
@pytest.mark.parametrize("kind", ["unpaired", "paired"])
def test_data_is_given_in_one_of_two_ways(kind, options, message):
    with pytest.raises(InputError) as caught:
        pipelines.load_pairs(kind, **options)
    assert str(caught.value).startswith(message)


def test_kind_split_and_sizes_are_checked():
    with pytest.raises(InputError, match=r"kind: got 'pared', expected one of .* Did you mean 'paired'"):
        pipelines.load_pairs("pared", "photos")
    with pytest.raises(InputError, match="--split val: expected one of train, test"):
        pipelines.load_pairs("paired", "photos", split="val")
    with pytest.raises(InputError, match="--image-size 30: expected a multiple of 4"):
        pipelines.load_pairs("paired", "photos", image_size=30)
    with pytest.raises(InputError, match=r"--load-size 40: expected the image size \(64\) or more"):
        pipelines.load_pairs("unpaired", "photos", load_size=40)


@pytest.mark.parametrize("kind", ["unpaired", "paired"])
def test_a_name_that_is_nothing_gets_its_near_misses(kind):
    with pytest.raises(
        InputError, match=r"--data foto: neither photos .*nor a folder that exists. Did you mean 'photos'"
    ):
        pipelines.load_pairs(kind, "foto")


@pytest.mark.parametrize(
    "kind, more", [("unpaired", r", or give one archive for each domain by --data-a and"), ("paired", "$")]
)
def test_one_archive_of_both_domains_is_to_be_unpacked(tmp_path, kind, more):
    (tmp_path / "set.tar").write_bytes(b"")
    with pytest.raises(InputError, match=rf"set\.tar: a file; expected a folder of both domains: unpack it{more}"):
        pipelines.load_pairs(kind, str(tmp_path / "set.tar"))


def test_sets_of_tensorflow_datasets_are_not_paired():
    with pytest.raises(InputError, match="--data tfds:cycle_gan/maps: sets of tensorflow-datasets are not paired"):
        pipelines.load_pairs("paired", "tfds:cycle_gan/maps")


@pytest.mark.parametrize("option, other", [("data_a", "data_b"), ("data_b", "data_a")])
def test_errors_name_the_option_that_was_given(make, option, other):
    good, bad = make("1.png", "2.png", folder="good"), make("1.png", "2.png", folder="bad")
    (bad / "2.png").write_bytes(b"")
    named = f"--{option.replace('_', '-')}"
    with pytest.raises(InputError, match=rf"^{named} {bad}: 1 of 2 images cannot be read: 2\.png"):
        pipelines.load_pairs("unpaired", **{option: str(bad), other: str(good)})
    with pytest.raises(InputError, match=rf"^{named} digts: neither a data set .* Did you mean 'digits'"):
        pipelines.load_pairs("unpaired", **{option: "digts", other: str(good)})
    with pytest.raises(InputError, match=rf"^{named} digits: no folder; paired data is two folders"):
        pipelines.load_pairs("paired", **{option: "digits", other: str(good)})


def test_errors_of_pairs_name_both_options(make):
    a, b = make("1.png", "2.png", folder="a"), make("1.png", folder="b")
    with pytest.raises(InputError, match=f"^--data-a {a} --data-b {b}: images without a partner of the same name: "):
        pipelines.load_pairs("paired", data_a=str(a), data_b=str(b))


@pytest.mark.parametrize("kind", ["unpaired", "paired"])
def test_one_domain_that_holds_both_is_refused(make, kind):
    both, other = make("trainA/1.png", "trainB/1.png", folder="my set"), make("1.png", folder="other")
    with pytest.raises(InputError) as caught:
        pipelines.load_pairs(kind, data_a=str(both), data_b=str(other))
    expected = f"--data-a {both}: holds both domains, trainA/ and trainB/; give it alone: --data '{both}'"
    assert str(caught.value) == expected


def test_classes_may_be_called_a_and_b(make):
    letters, other = make("A/1.png", "B/2.png", "C/3.png", folder="letters"), make("1.png", folder="other")
    assert pipelines.load_pairs("unpaired", data_a=str(letters), data_b=str(other)).a.size == 3
    (letters / "C" / "3.png").unlink()
    (letters / "C").rmdir()
    with pytest.raises(InputError, match="holds both domains, A/ and B/; give it alone"):
        pipelines.load_pairs("unpaired", data_a=str(letters), data_b=str(other))


@pytest.mark.parametrize("kind", ["unpaired", "paired"])
def test_domains_in_two_folders(make, kind):
    a, b = make("1.png", "2.png", folder="horses"), make("2.png", "1.png", folder="zebras")
    data = pipelines.load_pairs(kind, data_a=str(a), data_b=str(b))
    assert (data.name, data.aligned) == (f"{a} and {b}", kind == "paired")
    np.testing.assert_array_equal(data.a.images, pipelines.load(str(a)).images)
    np.testing.assert_array_equal(data.b.images, data.a.images[::-1])
    back = pipelines.load_pairs(kind, data_a=str(b), data_b=str(a))
    assert (back.a.digest, back.b.digest) == (data.b.digest, data.a.digest)
    assert back.digest != data.digest


def test_the_same_content_has_the_same_digest(make):
    names = ("trainA/1.png", "trainA/2.png", "trainB/1.png", "trainB/2.png")
    one, other = (str(make(*names, folder=folder)) for folder in ("one", "other"))
    digests = {pipelines.load_pairs("unpaired", data).digest for data in (one, other)}
    assert len(digests) == 1
    assert pipelines.load_pairs("paired", one).digest not in digests
    apart = pipelines.load_pairs("unpaired", data_a=f"{one}/trainA", data_b=f"{one}/trainB")
    assert {apart.digest} == digests


@pytest.mark.parametrize("kind", ["unpaired", "paired"])
def test_a_home_folder_is_expanded(tmp_path, monkeypatch, write_image, kind):
    for domain in "AB":
        write_image(tmp_path / "set" / f"train{domain}" / "1.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert pipelines.load_pairs(kind, "~/set").name == "~/set"
    assert pipelines.load_pairs(kind, data_a="~/set/trainA", data_b="~/set/trainB").size == 1


@pytest.mark.parametrize("kind", ["unpaired", "paired"])
@pytest.mark.parametrize(
    "modes, channels",
    [(("L", "L"), 1), (("L", "RGB"), 3), (("RGB", "L"), 3), (("RGBA", "RGBA"), 4), (("RGBA", "L"), 3)],
)
def test_both_domains_have_the_channels_that_fit_all(tmp_path, write_image, kind, modes, channels):
    for domain, mode in zip("AB", modes, strict=True):
        write_image(tmp_path / f"train{domain}" / "1.png", mode=mode)
    data = pipelines.load_pairs(kind, str(tmp_path))
    assert data.a.images.shape == data.b.images.shape == (1, 8, 8, channels)
    if modes == ("RGBA", "L"):
        assert [note.removeprefix("A: ") for note in data.notes] == ["transparent pixels put on white in 1 image"]


@pytest.mark.parametrize("kind", ["unpaired", "paired"])
@pytest.mark.parametrize(
    "sizes, expected",
    [
        ([(32, 32)] * 2, 32),
        ([(256, 256)] * 2, 256),
        ([(30, 30)] * 2, 64),
        ([(32, 24)] * 2, 64),
        ([(32, 32), (16, 16)], 64),
    ],
)
def test_the_default_size_is_that_of_all_pictures_of_both(tmp_path, write_image, kind, sizes, expected):
    if kind == "paired":
        sizes = sizes[::-1]
        for domain in "AB":
            for index, size in enumerate(sizes):
                write_image(tmp_path / f"train{domain}" / f"{index}.png", size=size)
    else:
        for domain, size in zip("AB", sizes, strict=True):
            write_image(tmp_path / f"train{domain}" / "1.png", size=size)
    data = pipelines.load_pairs(kind, str(tmp_path))
    assert data.image_shape == (expected, expected, 3)
    assert data.load_size == expected


@pytest.mark.parametrize("kind", ["unpaired", "paired"])
def test_both_domains_are_decoded_to_the_load_size(make, kind):
    data = pipelines.load_pairs(kind, str(make("trainA/1.png", "trainB/1.png")), image_size=16, load_size=18)
    assert data.a.images.shape == data.b.images.shape == (1, 18, 18, 3)
    assert (data.image_size, data.load_size) == (16, 18)
    assert data.notes == ("resized to 18x18",)


def test_sets_that_are_arrays_take_the_channels_of_the_other_domain(make):
    data = pipelines.load_pairs("unpaired", data_a="digits", data_b=str(make("1.png")), image_size=8)
    digits = pipelines.load("digits", image_size=8)
    np.testing.assert_array_equal(data.a.images, digits.images.repeat(3, axis=-1))
    assert data.a.labels is None
    assert data.b.images.shape == (1, 8, 8, 3)
