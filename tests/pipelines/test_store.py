import os
import pathlib
import pickle
import shutil

import numpy as np
import pytest

import pipelines
from kgan.errors import InputError
from pipelines import decode, store


@pytest.fixture
def folder(tmp_path, write_image) -> pathlib.Path:
    for index, name in enumerate(("cat/a.png", "cat/b.png", "dog/c.png")):
        write_image(tmp_path / "set" / name, size=(12, 12), seed=index)
    return tmp_path / "set"


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(store, "MEMORY_SHARE", 0)


def test_what_fits_stays_in_memory(folder, cache):
    data = pipelines.load(str(folder))
    assert not isinstance(data.images, np.memmap)
    assert list(cache.iterdir()) == []


def test_what_does_not_fit_goes_to_disk_with_the_same_content_and_digest(folder, cache, monkeypatch):
    in_memory = pipelines.load(str(folder))
    monkeypatch.setattr(store, "MEMORY_SHARE", 0)
    on_disk = pipelines.load(str(folder))
    assert isinstance(on_disk.images, np.memmap)
    assert not on_disk.images.flags.writeable
    np.testing.assert_array_equal(on_disk.images, in_memory.images)
    np.testing.assert_array_equal(on_disk.labels, in_memory.labels)
    assert on_disk.digest == in_memory.digest
    assert on_disk.class_names == in_memory.class_names
    (place,) = cache.iterdir()
    assert on_disk.notes == (f"decoded images are on disk, in {place}",)
    batches = [next(iter(data.batches(2, seed=0))).numpy() for data in (in_memory, on_disk)]
    np.testing.assert_array_equal(*batches)


def test_the_next_load_decodes_nothing(folder, little_memory, monkeypatch):
    first = pipelines.load(str(folder))
    monkeypatch.setattr(decode, "_open", None)
    second = pipelines.load(str(folder))
    np.testing.assert_array_equal(second.images, first.images)
    assert (second.digest, second.notes, second.image_shape) == (first.digest, first.notes, first.image_shape)


@pytest.fixture
def domains(tmp_path, write_image) -> pathlib.Path:
    """Two domains of two pictures each, which are pairs."""
    for index, name in enumerate(("trainA/1.png", "trainA/2.png", "trainB/1.png", "trainB/2.png")):
        write_image(tmp_path / "domains" / name, size=(12, 12), seed=index)
    return tmp_path / "domains"


@pytest.mark.parametrize("kind", ["unpaired", "paired"])
def test_two_domains_go_to_disk_each_for_itself_and_are_found_again(domains, cache, monkeypatch, kind):
    in_memory = pipelines.load_pairs(kind, str(domains))
    monkeypatch.setattr(store, "MEMORY_SHARE", 0)
    first = pipelines.load_pairs(kind, str(domains))
    assert len(list(cache.iterdir())) == 2
    monkeypatch.setattr(decode, "_open", None)
    second = pipelines.load_pairs(kind, str(domains))
    for data in (first, second):
        assert data.digest == in_memory.digest
        for domain in ("a", "b"):
            on_disk = getattr(data, domain).images
            assert isinstance(on_disk, np.memmap)
            np.testing.assert_array_equal(on_disk, getattr(in_memory, domain).images)
    assert len(list(cache.iterdir())) == 2


def test_the_other_domain_decides_on_size_and_channels_too(domains, cache, write_image, little_memory):
    for name in ("1.png", "2.png"):
        write_image(domains / "trainB" / name, size=(12, 12), mode="L")
        write_image(domains / "trainA" / name, size=(12, 12), mode="L")
    assert pipelines.load_pairs("unpaired", str(domains)).a.images.shape == (2, 12, 12, 1)
    write_image(domains / "trainB" / "2.png", size=(12, 20))
    assert pipelines.load_pairs("unpaired", str(domains)).a.images.shape == (2, 64, 64, 3)


@pytest.mark.parametrize("kind", ["unpaired", "paired"])
@pytest.mark.parametrize("domain", ["trainA", "trainB"])
def test_two_domains_of_which_one_cannot_be_read_leave_no_half(domains, cache, little_memory, kind, domain):
    (domains / domain / "2.png").write_bytes(b"")
    with pytest.raises(InputError):
        pipelines.load_pairs(kind, str(domains))
    assert not [path for path in cache.iterdir() if path.name.startswith(".")]
    assert len(list(cache.iterdir())) <= (kind == "unpaired")  # A is whole before B is begun


def test_two_domains_find_room_in_memory_together(domains, monkeypatch):
    one = 2 * 12 * 12 * 3
    monkeypatch.setattr(store.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 3 * one}))
    assert not isinstance(pipelines.load(str(domains / "trainA")).images, np.memmap)
    for kind in ("unpaired", "paired"):
        assert isinstance(pipelines.load_pairs(kind, str(domains)).a.images, np.memmap)


@pytest.mark.parametrize("change", ["file", "time", "name", "class", "image_size", "load_size", "skip_bad"])
def test_other_files_or_wishes_are_decoded_anew(folder, cache, write_image, little_memory, change):
    pipelines.load(str(folder))
    if change == "file":
        write_image(folder / "cat" / "d.png", size=(12, 12))
    elif change == "time":
        os.utime(folder / "cat" / "a.png", (1, 1))
    elif change == "name":
        (folder / "cat" / "a.png").rename(folder / "cat" / "z.png")
    elif change == "class":
        (folder / "dog").rename(folder / "ant")
    options = {"image_size": {"image_size": 16}, "load_size": {"load_size": 20}, "skip_bad": {"skip_bad": True}}
    pipelines.load(str(folder), **options.get(change, {}))
    assert len(list(cache.iterdir())) == 2


def test_a_new_class_in_the_other_split_does_not_bring_old_labels_back(tmp_path, write_image, little_memory):
    for name in ("train/cat/a.png", "train/dog/b.png", "test/cat/c.png"):
        write_image(tmp_path / name)
    np.testing.assert_array_equal(pipelines.load(str(tmp_path)).labels, [0, 1])
    write_image(tmp_path / "test/ant/d.png")
    np.testing.assert_array_equal(pipelines.load(str(tmp_path)).labels, [1, 2])


def test_fewer_rows_than_expected_make_a_shorter_file(folder, little_memory):
    (folder / "cat" / "b.png").write_bytes(b"")
    data = pipelines.load(str(folder), skip_bad=True)
    assert data.images.shape == (2, 12, 12, 3)
    np.testing.assert_array_equal(data.labels, [0, 1])
    assert any("skipped: cat/b.png" in note for note in data.notes)
    assert any("skipped: cat/b.png" in note for note in pipelines.load(str(folder), skip_bad=True).notes)


def test_a_load_that_fails_leaves_nothing(folder, cache, little_memory):
    (folder / "cat" / "b.png").write_bytes(b"")
    with pytest.raises(InputError):
        pipelines.load(str(folder))
    assert list(cache.iterdir()) == []


def test_rows_another_process_wrote_meanwhile_are_taken(cache, little_memory):
    shape = (1, 8, 8, 1)
    slow, fast = store.create(shape, "key"), store.create(shape, "key")
    for rows in (fast, slow):
        rows.append(np.zeros(shape, np.uint8))
        stored = rows.finish(None, {"image_size": 8, "digest": "", "notes": []})
        assert stored.images.shape == shape
    assert [path.name for path in cache.iterdir()] == ["key"]


class Creates:
    """Creates a file when it is unpickled."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


@pytest.fixture
def place(folder, cache, little_memory) -> pathlib.Path:
    """Where the cache keeps the decoded folder: 3 images of 12x12 with labels."""
    pipelines.load(str(folder))
    (place,) = cache.iterdir()
    return place


@pytest.mark.parametrize(
    "file, content",
    [
        ("about.json", b""),
        ("about.json", b"\xff\xfe"),
        ("about.json", b"[" * 10**5),
        ("about.json", b"[]"),
        ("about.json", b'{"image_size": 12, "digest": "x"}'),
        ("about.json", b'{"image_size": 12, "digest": "x", "notes": "y"}'),
        ("about.json", b'{"image_size": 12, "digest": "x", "notes": [7]}'),
        ("about.json", b'{"image_size": 13, "digest": "x", "notes": []}'),
        ("about.json", b'{"image_size": "12", "digest": "x", "notes": []}'),
        ("about.json", None),
        ("images.npy", b""),
        ("images.npy", b"no array"),
        ("images.npy", None),
        ("labels.npy", b""),
    ],
    ids=lambda value: value if isinstance(value, str) else "content",
)
def test_a_damaged_cache_is_an_error_that_says_what_to_do(folder, cache, place, file, content):
    (place / file).unlink()
    if content is not None:
        (place / file).write_bytes(content)
    with pytest.raises(InputError) as caught:
        pipelines.load(str(folder))
    message = str(caught.value)
    assert message.startswith(f"KGAN_CACHE {cache}: the decoded images in {place} are damaged (")
    assert message.endswith("; remove that folder, then run again")
    assert "\n" not in message
    shutil.rmtree(place)
    assert len(pipelines.load(str(folder)).images) == 3


@pytest.mark.parametrize(
    "file, array",
    [
        ("images.npy", np.zeros((3, 12, 12, 3))),
        ("images.npy", np.zeros((3, 12, 12), np.uint8)),
        ("images.npy", np.zeros((3, 12, 16, 3), np.uint8)),
        ("images.npy", np.zeros((3, 12, 12, 5), np.uint8)),
        ("images.npy", np.zeros((2, 12, 12, 3), np.uint8)),
        ("images.npy", np.asfortranarray(np.zeros((3, 12, 12, 3), np.uint8))),
        ("labels.npy", np.zeros(4, np.int32)),
        ("labels.npy", np.zeros(3)),
    ],
)
def test_foreign_arrays_in_the_cache_are_refused(folder, place, file, array):
    np.save(place / file, array)
    with pytest.raises(InputError, match=r"are damaged \(ValueError: (images\.npy is|labels\.npy is|not enough) "):
        pipelines.load(str(folder))


@pytest.mark.parametrize("file", ["images.npy", "labels.npy"])
def test_a_header_in_the_cache_that_promises_more_than_is_there_takes_no_memory(folder, place, file, peak_of):
    shape = (10**9, 12, 12, 3) if file == "images.npy" else (10**12,)
    with (place / file).open("wb") as opened:
        header = {"descr": "|u1" if file == "images.npy" else "<i4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(opened, header)

    def load():
        with pytest.raises(InputError, match="are damaged"):
            pipelines.load(str(folder))

    assert peak_of(load) < 2**23


@pytest.mark.parametrize("file", ["images.npy", "labels.npy", "about.json"])
@pytest.mark.parametrize("bare", [True, False])
def test_nothing_in_the_cache_is_run(folder, place, tmp_path, file, bare):
    evil = Creates(tmp_path / "created")
    if bare:
        (place / file).write_bytes(pickle.dumps(evil))
    else:
        with (place / file).open("wb") as opened:
            np.save(opened, np.full(3, evil))
    with pytest.raises(InputError, match="are damaged"):
        pipelines.load(str(folder))
    assert not (tmp_path / "created").exists()


def test_a_cache_that_cannot_be_written_is_an_error(folder, tmp_path, little_memory, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("KGAN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match=r"KGAN_CACHE .*cache: cannot be written \(.*\); name another"):
        pipelines.load(str(folder))


def test_a_cache_without_room_is_an_error(cache, little_memory):
    with pytest.raises(InputError, match=r"KGAN_CACHE .* GB of decoded images fit neither into memory nor into the"):
        store.create((10**12, 256, 256, 3), "key")
    assert list(cache.iterdir()) == []
