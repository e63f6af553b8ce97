import io
import pathlib
import struct
import zipfile
from collections import deque

import numpy as np
import pytest

import pipelines
from kgan.errors import InputError
from pipelines import limits, npz


@pytest.fixture
def load(tmp_path):
    """Saves arrays and loads the file."""

    def save_and_load(split: str = "train", compressed: bool = False, **arrays: np.ndarray):
        path = tmp_path / "set.npz"
        (np.savez_compressed if compressed else np.savez)(path, **arrays)
        return pipelines.load(str(path), split=split)

    return save_and_load


def random_pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(3, 8, 8), (3, 8, 8, 1), (3, 8, 8, 2), (3, 8, 8, 3), (3, 8, 8, 4)])
@pytest.mark.parametrize("compressed", [True, False])
def test_uint8_is_taken_as_it_is(load, shape, compressed):
    pixels = random_pixels(*shape)
    data = load(x_train=pixels, y_train=np.array([[2], [0], [1]]), compressed=compressed)
    np.testing.assert_array_equal(data.images, pixels.reshape(3, 8, 8, -1))
    np.testing.assert_array_equal(data.labels, [2, 0, 1])
    assert data.labels.dtype == np.int32
    assert data.class_names == ("0", "1", "2")
    assert data.notes == ()


def test_each_split_has_its_arrays(load):
    train, test = random_pixels(3, 8, 8), random_pixels(2, 8, 8)
    assert len(load(x_train=train, x_test=test).images) == 3
    assert len(load(split="test", x_train=train, x_test=test).images) == 2
    with pytest.raises(InputError, match="has no test split: expected an array x_test, found x_train, y_train"):
        load(split="test", x_train=train, y_train=np.zeros(3, int))


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_uint16_is_scaled_and_said(load, byte_order):
    pixels = np.random.default_rng(0).integers(0, 65536, (3, 8, 8)).astype(f"{byte_order}u2")
    data = load(x_train=pixels)
    np.testing.assert_array_equal(data.images[..., 0], pixels // 256)
    assert "x_train: 16 bits scaled to 8" in data.notes


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("span, note", [((0, 1), "floats taken as [0, 1]"), ((-1, 1), "floats taken as [-1, 1]")])
def test_floats_come_back_to_the_levels_they_were_made_of(load, dtype, span, note):
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    low, high = span
    data = load(x_train=(pixels / 255 * (high - low) + low).astype(dtype))
    np.testing.assert_array_equal(data.images[..., 0], pixels)
    assert note in data.notes


@pytest.mark.parametrize(
    "values, shown",
    [
        ([0.0, 255.0], "float64 from 0 to 255"),
        ([-1.5, 0.0], "from -1.5 to 0"),
        ([0.0, np.nan], "from nan to nan"),
        ([0.0, np.inf], "from 0 to inf"),
        ([-np.inf, 0.0], "from -inf to 0"),
    ],
)
def test_floats_out_of_range_are_refused_with_the_range_seen(load, values, shown):
    pixels = np.resize(values, (2, 8, 8))
    with pytest.raises(InputError, match=rf"x_train is .*{shown}; expected finite floats in \[0, 1\] or \[-1, 1\]"):
        load(x_train=pixels)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint32, bool, complex, "U3"])
def test_other_types_are_refused(load, dtype):
    with pytest.raises(InputError, match=r"x_train is .*; expected uint8, uint16, or floats"):
        load(x_train=np.zeros((2, 8, 8), dtype))


def test_pickled_objects_are_never_loaded(load):
    with pytest.raises(InputError, match="x_train is object; expected uint8"):
        load(x_train=np.full((2, 8, 8), None))


class Creates:
    """Creates a file when it is unpickled."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def test_unpickling_would_run_what_the_next_test_looks_for(tmp_path):
    np.savez(tmp_path / "set.npz", x_train=np.array([Creates(tmp_path / "created")]))
    with np.load(tmp_path / "set.npz", allow_pickle=True) as file:
        file["x_train"]
    assert (tmp_path / "created").exists()


@pytest.mark.parametrize("order", ["C", "F"])
def test_nothing_in_a_file_is_run(load, tmp_path, order):
    evil = np.full((2, 8, 8), Creates(tmp_path / "created"), order=order)
    with pytest.raises(InputError, match="x_train is object; expected uint8"):
        load(x_train=evil)
    assert load(x_train=random_pixels(2, 8, 8), y_train=evil[:, 0, 0]).labels is None
    assert not (tmp_path / "created").exists()


@pytest.mark.parametrize("shape", [(8, 8), (2, 3, 8, 8), (2, 8, 8, 5), (0, 8, 8), (2, 0, 8, 1), (2, 8, 8, 1, 1)])
def test_other_shapes_are_refused(load, shape):
    with pytest.raises(InputError, match=r"x_train has the shape \[.*\]; expected \[n, height, width\]"):
        load(x_train=np.zeros(shape, np.uint8))


@pytest.mark.parametrize(
    "labels, note",
    [
        (np.zeros(3), "no labels: y_train is float64 [3], not one whole number for each image"),
        (np.eye(3, dtype=int), "no labels: y_train is int64 [3, 3], not one whole number for each image"),
        (np.array(7), "no labels: y_train is int64 [], not one whole number for each image"),
        (np.array([0, -1, 2]), "no labels: y_train goes from -1 to 2, expected numbers of classes"),
        (np.array([0, 1, 3]), "no labels: y_train goes from 0 to 3, expected numbers of classes"),
    ],
)
def test_labels_that_are_no_classes_are_left_out_and_said(load, labels, note):
    data = load(x_train=random_pixels(3, 8, 8), y_train=labels)
    assert data.labels is None
    assert data.class_names is None
    assert data.notes == (note,)


def test_labels_must_be_as_many_as_the_images(load):
    with pytest.raises(InputError, match="y_train holds 2 labels for 3 images"):
        load(x_train=random_pixels(3, 8, 8), y_train=np.array([0, 1]))


def test_arrays_in_fortran_order_are_read_right(load):
    pixels = random_pixels(3, 8, 12, 3)
    data = load(x_train=np.asfortranarray(pixels[:, :, :8]))
    np.testing.assert_array_equal(data.images, pixels[:, :, :8])


def test_pictures_that_are_not_square_are_cropped(load):
    pixels = random_pixels(3, 16, 24)
    data = load(x_train=pixels)
    assert data.images.shape == (3, 64, 64, 1)
    assert data.notes == ("resized to 64x64, the longer side cropped in the middle",)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "set.npz"
    np.savez(path, x_train=random_pixels(50, 8, 8))
    whole = path.read_bytes()
    middle = len(whole) // 2
    for content in (b"", b"no zip", whole[:middle], whole[:middle] + b"\xff\0\xff" + whole[middle + 3 :]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"--data .*set.npz: .*damaged"):
            pipelines.load(str(path))


def test_a_header_that_promises_more_than_is_there_is_refused_before_anything_is_allocated(tmp_path):
    path = tmp_path / "set.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("x_train.npy", "w") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 10**4, 10**4)}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b"short")
    with pytest.raises(InputError, match=r"should hold 100000000000000000 bytes, but holds 5"):
        pipelines.load(str(path))


def write_npz(path, header: dict | bytes, content: bytes, packing: int = zipfile.ZIP_DEFLATED) -> None:
    """An `x_train` by the specification of the format: its header may be anything."""
    text = header if isinstance(header, bytes) else repr(header).encode()
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("x_train.npy", b"\x93NUMPY\2\0" + struct.pack("<I", len(text)) + text + content)


def header(*shape: int, fortran_order: bool = False, descr: str = "|u1") -> dict:
    return {"descr": descr, "fortran_order": fortran_order, "shape": shape}


@pytest.mark.parametrize(
    "wrong, complaint",
    [
        (header(-1, -8, 8), "sizes that no array can have"),
        (header(10**3000, 10**3000, 1), "sizes that no array can have"),
        (header(10**12, 1, 1), r"\[1000000000000, 1, 1\] should hold 1000000000000 bytes, but holds 64"),
        (b"(" * 100, "x_train is damaged"),
        (b"-" * 9000 + b"1", "x_train is damaged"),
        (b"  a\n b\n", "x_train is damaged"),
        (b"{{}: 1}", "x_train is damaged: unhashable"),
        (b"'" + b"x" * 9000 + b"'", r"x_train is damaged: Header is not a dictionary: 'x{100,200} \.\.\.$"),
        (b" " * 2**25, "x_train is damaged"),
    ],
    ids=lambda value: "header" if isinstance(value, bytes | dict) else value,
)
def test_absurd_headers_are_refused_in_little_memory(tmp_path, peak_of, wrong, complaint):
    path = tmp_path / "set.npz"
    write_npz(path, wrong, bytes(64))

    def load():
        with pytest.raises(InputError, match=complaint) as caught:
            pipelines.load(str(path))
        assert "\n" not in str(caught.value)

    assert peak_of(load) < 2**23


def test_rows_are_read_some_at_a_time_and_too_large_ones_not_at_all(tmp_path, monkeypatch, peak_of):
    monkeypatch.setattr(limits, "MAX_PICTURE_BYTES", 2**20)
    path = tmp_path / "set.npz"
    write_npz(path, header(32, 1024, 1024), bytes(2**25))
    assert peak_of(lambda: deque(npz.read(str(path), "train").pictures(), 0)) < 2**24
    for descr, sizes in (("<f8", (400, 400)), ("|u1", (2**20 + 1, 1))):
        write_npz(path, header(1, *sizes, descr=descr), bytes(np.prod(sizes) * np.dtype(descr).itemsize))
        with pytest.raises(InputError, match="one image of x_train takes 1 MB; at most 1 MB are read"):
            pipelines.load(str(path))


def test_more_images_than_their_labels_fit_into_memory_are_refused(load, monkeypatch):
    monkeypatch.setattr(limits, "_MEMORY_SHARE", 1e-6)  # some kilobytes
    with pytest.raises(InputError, match="x_train holds 1000000 images: too many for the memory at hand"):
        load(x_train=np.zeros((10**6, 1, 1), np.uint8), y_train=np.arange(10**6), compressed=True)


def test_fortran_order_is_refused_where_it_does_not_fit_into_memory(load, monkeypatch):
    monkeypatch.setattr(limits, "_MEMORY_SHARE", 1e-6)
    pixels = np.zeros((10, 512, 512), np.uint8)
    with pytest.raises(InputError, match=r"x_train is in Fortran order, .* 0\.0 GB do not fit .*; save it in C order"):
        load(x_train=np.asfortranarray(pixels))
    assert len(load(x_train=pixels).images) == 10


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_that_unpack_without_a_limit_are_refused(tmp_path, peak_of, packing):
    path = tmp_path / "set.npz"
    write_npz(path, header(2**15, 32, 32), bytes(2**25), packing)

    def load():
        with pytest.raises(InputError, match="x_train is damaged: packed in a way that NumPy does not write"):
            pipelines.load(str(path))

    assert peak_of(load) < 2**23


@pytest.mark.parametrize("claimed", [64, 64 + 2**20])
def test_a_member_that_lies_about_its_size_is_refused(tmp_path, claimed):
    path = tmp_path / "set.npz"
    write_npz(path, header(1, 8, claimed // 8), bytes(64 + 2**19))
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\1\2")  # in the directory of the archive
    (size,) = struct.unpack_from("<I", content, entry + 24)
    struct.pack_into("<I", content, entry + 24, size - 64 - 2**19 + claimed)
    path.write_bytes(content)
    with pytest.raises(InputError, match="x_train is damaged: "):
        pipelines.load(str(path))


def test_a_member_without_npy_is_not_taken_for_the_array(tmp_path):
    buffer = io.BytesIO()
    pixels = np.asfortranarray(random_pixels(2, 8, 8))
    np.save(buffer, pixels)
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        archive.writestr("x_train", "something else")
        archive.writestr("x_train.npy", buffer.getvalue())
    np.testing.assert_array_equal(pipelines.load(str(tmp_path / "set.npz")).images[..., 0], pixels)
