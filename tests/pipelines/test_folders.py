import gzip
import io
import tarfile

import numpy as np
import pytest

import pipelines
from kgan.errors import InputError
from pipelines import folders, limits

MEGABYTE = 2**20


@pytest.fixture
def make(tmp_path, write_image):
    """Makes a folder of pictures and other files, each different; returns its path."""

    def make_folder(*names: str):
        for index, name in enumerate(sorted(names)):
            path = tmp_path / "set" / name
            if name.endswith((".png", ".PNG")) and not path.name.startswith("."):
                write_image(path, seed=index)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("something else")
        return tmp_path / "set"

    return make_folder


def pack(folder, archive, mode: str):
    """Packs the content of a folder, in the order of the names."""
    with tarfile.open(archive, mode) as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, path.relative_to(folder).as_posix(), recursive=False)
    return archive


@pytest.fixture(params=["folder", "set.tar", "set.tar.gz", "set.tgz"])
def load(request, tmp_path):
    """Loads a folder, or the archive made of it."""

    def load_set(folder, **options):
        if request.param != "folder":
            folder = pack(folder, tmp_path / request.param, "w" if request.param.endswith(".tar") else "w:gz")
        return pipelines.load(str(folder), **options)

    return load_set


def test_flat_pictures_have_no_labels(make, load):
    data = load(make("a.png", "b.PNG", "c.png"))
    assert data.images.shape == (3, 8, 8, 3)
    assert data.labels is None
    assert data.class_names is None
    assert data.notes == ()


def test_class_folders_are_labels_in_order_of_name(make, load):
    data = load(make("dog/a.png", "cat/b.png", "cat/deep/er/c.png", "bird/d.png"))
    assert data.class_names == ("bird", "cat", "dog")
    np.testing.assert_array_equal(data.labels, [0, 1, 1, 2])
    assert data.labels.dtype == np.int32


def test_train_and_test_on_top_are_splits_with_one_set_of_classes(make, load):
    folder = make("train/cat/a.png", "train/dog/b.png", "test/dog/c.png", "test/eel/d.png", "val/cat/e.png")
    train = load(folder)
    assert train.class_names == ("cat", "dog", "eel")
    np.testing.assert_array_equal(train.labels, [0, 1])
    assert train.notes == ("1 image outside train/ and test/ ignored",)
    test = load(folder, split="test")
    np.testing.assert_array_equal(test.labels, [1, 2])
    assert test.split == "test"
    assert not (test.images[0] == train.images[1]).all()


def test_splits_may_be_flat(make, load):
    data = load(make("train/a.png", "train/b.png", "test/c.png"))
    assert len(data.images) == 2
    assert data.labels is None


def test_folders_around_everything_are_no_classes(make, load):
    assert load(make("photos/all/a.png", "photos/all/b.png")).labels is None
    assert load(make("photos/all/cat/c.png", "photos/all/d.png")).notes[0].startswith("no labels: 3 of 4 images lie")


def test_a_folder_around_the_splits_is_looked_through(make, load):
    folder = make("cifar/train/cat/a.png", "cifar/train/dog/b.png", "cifar/test/cat/c.png")
    assert load(folder).class_names == ("cat", "dog")
    assert len(load(folder, split="test").images) == 1


@pytest.mark.parametrize(
    "names, split, found",
    [
        (("a.png", "b.png"), "test", "no folder train/ or test/"),
        (("train/a.png", "train/b.png"), "test", "train/"),
        (("test/a.png", "test/b.png"), "train", "test/"),
    ],
)
def test_a_missing_split_is_named(make, load, names, split, found):
    with pytest.raises(InputError, match=f"has no {split} split: expected a folder {split}/ on top, found {found}"):
        load(make(*names), split=split)


def test_hidden_and_other_files_are_ignored_and_counted(make, load):
    names = ("a.png", "._a.png", ".DS_Store", ".thumbnails/b.png", "labels.csv", "notes.txt")
    data = load(make(*names))
    assert len(data.images) == 1
    assert data.notes == ("3 hidden files ignored", "2 other files ignored")


def test_nothing_but_other_files_is_an_error(make, load):
    with pytest.raises(InputError, match=r"holds no images; expected files of \.png, \.jpg"):
        load(make("notes.txt", ".a.png"))


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(InputError, match="holds no images"):
        pipelines.load(str(tmp_path))


def test_an_archive_gives_what_its_folder_gives(make, tmp_path):
    folder = make("cat/a.png", "cat/b.png", "dog/c.png")
    packed = pipelines.load(str(pack(folder, tmp_path / "set.tar.gz", "w:gz")))
    plain = pipelines.load(str(folder))
    np.testing.assert_array_equal(packed.images, plain.images)
    assert packed.digest == plain.digest
    assert (packed.name, packed.class_names) == (str(tmp_path / "set.tar.gz"), plain.class_names)


def test_links_to_folders_are_followed_but_not_in_circles(make, tmp_path):
    folder = make("cat/a.png", "dog/b.png")
    (folder / "cat" / "up").symlink_to(folder)
    (tmp_path / "birds").mkdir()
    (folder / "cat" / "a.png").rename(tmp_path / "birds" / "c.png")
    (folder / "eel").symlink_to(tmp_path / "birds")
    data = pipelines.load(str(folder))
    assert (len(data.images), data.class_names) == (2, ("dog", "eel"))


def test_a_link_to_nowhere_is_an_unreadable_image(make):
    folder = make("a.png")
    (folder / "b.png").symlink_to(folder / "gone.png")
    with pytest.raises(InputError, match=r"1 of 2 images cannot be read: b\.png"):
        pipelines.load(str(folder))


def test_links_devices_and_paths_in_archives_do_nothing(make, tmp_path):
    content = (make("a.png") / "a.png").read_bytes()
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for name in ("../../outside.png", "/rooted.png", "a/../b.png"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for name, kind in (("c.png", tarfile.SYMTYPE), ("d.png", tarfile.LNKTYPE), ("e.png", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    before = sorted(tmp_path.rglob("*"))
    data = pipelines.load(str(tmp_path / "set.tar"))
    assert len(data.images) == 3
    assert "3 special files ignored" in data.notes
    assert sorted(tmp_path.rglob("*")) == before


def member(name: str, content: bytes = b"", size: int | None = None, kind: bytes = tarfile.REGTYPE) -> bytes:
    """One member of an archive; it may claim another size than its content has."""
    header = tarfile.TarInfo(name)
    header.type, header.size = kind, len(content) if size is None else size
    return header.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def told(**values: str) -> bytes:
    """A header of the pax format; "_" stands for "."."""
    content = b""
    for key, value in values.items():
        record = f" {key.replace('_', '.')}={value}\n"
        length = next(n for n in range(len(record), 2 * len(record)) if n == len(f"{n}{record}"))
        content += f"{length}{record}".encode()
    return member("pax", content, kind=tarfile.XHDTYPE)


LONG = bytes(32 * MEGABYTE)
SPARSE = {"GNU_sparse_major": "1", "GNU_sparse_minor": "0", "GNU_sparse_name": "b.png", "GNU_sparse_realsize": "9"}


@pytest.mark.parametrize(
    "header",
    [
        member("././@LongLink", LONG, kind=tarfile.GNUTYPE_LONGNAME),
        member("././@LongLink", LONG, kind=tarfile.GNUTYPE_LONGLINK),
        member("pax", LONG, kind=tarfile.XHDTYPE),
        member("pax", LONG, kind=tarfile.XGLTYPE),
        told(**SPARSE) + member("b.png", b"9999999\n" + b"0\n" * MEGABYTE),
    ],
    ids=["name", "link", "pax", "global", "sparse"],
)
def test_a_header_without_end_is_refused_in_little_memory(make, tmp_path, monkeypatch, peak_of, header):
    monkeypatch.setattr(folders, "_HEADER_BYTES", 2**16)
    good = member("a.png", (make("a.png") / "a.png").read_bytes())
    archive = tmp_path / "set.tar.gz"
    archive.write_bytes(gzip.compress(good + header + member("b.png") + bytes(1024), 1))

    def load():
        with pytest.raises(InputError, match=r"damaged or truncated: a header of more than 65536 bytes"):
            pipelines.load(str(archive))

    assert peak_of(load) < 16 * MEGABYTE


def test_too_large_a_member_is_an_unreadable_image_and_is_not_read(make, tmp_path, monkeypatch, peak_of):
    monkeypatch.setattr(limits, "MAX_PICTURE_BYTES", MEGABYTE)
    good = (make("a.png") / "a.png").read_bytes()
    archive = tmp_path / "set.tar.gz"
    parts = member("cat/a.png", good) + member("cat/b.png", LONG) + member("dog/c.png", good) + bytes(1024)
    archive.write_bytes(gzip.compress(parts, 1))

    def load():
        with pytest.raises(InputError, match=r"cat/b\.png \(cat/b\.png: 33 MB; at most 1 MB are read\)"):
            pipelines.load(str(archive))
        np.testing.assert_array_equal(pipelines.load(str(archive), skip_bad=True).labels, [0, 1])

    assert peak_of(load) < 16 * MEGABYTE


def test_a_member_of_holes_is_not_filled(make, tmp_path):
    good = member("a.png", (make("a.png") / "a.png").read_bytes())
    holes = told(GNU_sparse_map="0,1", GNU_sparse_size=str(2**45), GNU_sparse_name="b.png") + member("b.png", b"x")
    (tmp_path / "set.tar").write_bytes(good + holes + bytes(1024))
    with pytest.raises(InputError, match=r"b\.png: 35184372 MB; at most 268 MB are read"):
        pipelines.load(str(tmp_path / "set.tar"))


@pytest.mark.parametrize(
    "broken",
    [
        member("b.txt", b"little", size=2**60),
        member("b.png", b"little", size=200 * MEGABYTE),
        member("b.png", size=-1024),
        told(size="-512") + member("b.png"),
        member("././@LongLink", b"name", kind=tarfile.GNUTYPE_LONGNAME) * 2000,
        member("pax", b"9" * 30 + b" path=b\n", kind=tarfile.XHDTYPE) + member("b.png"),
        told(**SPARSE) + member("b.png", b"no number"),
    ],
    ids=["endless", "short", "negative", "negative pax", "nested", "long number", "no sparse map"],
)
def test_members_that_claim_what_cannot_be_are_refused(make, tmp_path, broken):
    good = member("a.png", (make("a.png") / "a.png").read_bytes())
    (tmp_path / "set.tar").write_bytes(good + broken)
    with pytest.raises(InputError, match=r"the archive is damaged or truncated: .") as caught:
        pipelines.load(str(tmp_path / "set.tar"))
    assert "\n" not in str(caught.value)


def test_empty_members_are_unreadable_images_up_to_a_number(tmp_path, monkeypatch):
    archive = tmp_path / "set.tar"
    archive.write_bytes(b"".join(member(f"{index:03}.png") for index in range(500)) + bytes(1024))
    with pytest.raises(InputError, match=r"500 of 500 images cannot be read: 000\.png, .* and 495 more"):
        pipelines.load(str(archive))
    monkeypatch.setattr(folders, "_LISTED_BYTES", 400 * 100)
    with pytest.raises(InputError, match=r"set\.tar: holds more than 9\d images: too many to list"):
        pipelines.load(str(archive))


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8])
def test_a_truncated_archive_is_an_error(make, tmp_path, ending, share):
    folder = make(*(f"{index:02}.png" for index in range(40)))
    archive = pack(folder, tmp_path / f"set.{ending}", "w:gz" if ending == "tar.gz" else "w")
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * share) // 1024 * 1024 + 700 if share else 0])
    with pytest.raises(InputError, match="the archive is damaged or truncated"):
        pipelines.load(str(archive))


@pytest.mark.parametrize("packed", [True, False])
def test_a_damaged_archive_is_an_error(make, tmp_path, packed):
    archive = pack(make(*(f"{index:02}.png" for index in range(40))), tmp_path / "set.tar", "w:gz" if packed else "w")
    content = bytearray(archive.read_bytes())
    if packed:
        content[len(content) // 2] ^= 0xFF
    else:
        header = content.index(b"07.png")  # tarfile takes a header with a wrong checksum for the end
        content[header : header + 6] = b"77.png"
    archive.write_bytes(content)
    with pytest.raises(InputError, match="the archive is damaged or truncated"):
        pipelines.load(str(archive))


def test_a_file_that_is_no_archive_is_an_error(tmp_path):
    (tmp_path / "set.tar").write_bytes(b"this is no archive" * 100)
    with pytest.raises(InputError, match="the archive is damaged or truncated"):
        pipelines.load(str(tmp_path / "set.tar"))


def test_the_real_cifar10_from_its_archive(cifar10_archive):
    data = pipelines.load(str(cifar10_archive), split="test")
    assert data.images.shape == (10000, 32, 32, 3)
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    assert data.class_names == tuple(names.split())
    np.testing.assert_array_equal(np.bincount(data.labels), [1000] * 10)
    assert data.notes == ()
