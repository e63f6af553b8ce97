import gzip
from collections import deque

import numpy as np
import pytest

import pipelines
from kgan.errors import InputError
from pipelines import idx as source
from pipelines import limits

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 12, 12), dtype=np.uint8)


@pytest.mark.parametrize("packed", [True, False])
def test_files_are_read_packed_or_not(tmp_path, pixels, packed):
    for name, array in ((IMAGES, pixels), (LABELS, np.array([3, 1, 0, 2, 3]))):
        path = tmp_path / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    data = pipelines.load(str(tmp_path))
    np.testing.assert_array_equal(data.images[..., 0], pixels)
    np.testing.assert_array_equal(data.labels, [3, 1, 0, 2, 3])
    assert data.class_names == ("0", "1", "2", "3")
    assert (data.name, data.split, data.small) == (str(tmp_path), "train", False)


def test_labels_may_be_missing(tmp_path, pixels):
    (tmp_path / f"{IMAGES}.gz").write_bytes(gzip.compress(idx(pixels)))
    data = pipelines.load(str(tmp_path))
    assert data.labels is None
    assert data.class_names is None
    assert data.notes == (f"no labels: {LABELS}.gz is missing",)


def test_the_missing_split_is_named(tmp_path, pixels):
    (tmp_path / f"{IMAGES}.gz").write_bytes(gzip.compress(idx(pixels)))
    with pytest.raises(InputError, match=r"has no test split: expected the file t10k-images-idx3-ubyte\.gz"):
        pipelines.load(str(tmp_path), split="test")


@pytest.mark.parametrize(
    "content, complaint",
    [
        (b"", "is no idx file of 3 dimensions of uint8: .* got nothing"),
        (b"\x89PNG plus something longer", "expected it to start with 00000803, got 89504e47"),
        (idx(np.zeros((2, 3))), "expected it to start with 00000803, got 00000802"),
        (idx(np.zeros((2, 8, 8)))[:-1], "should hold 2x8x8 = 128 bytes, but holds 127"),
        (idx(np.zeros((2, 8, 8))) + b"x", "should hold 2x8x8 = 128 bytes, but holds more"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12, "should hold 4294967295x4294967295x4294967295 = .* but holds 0"),
        (idx(np.zeros((0, 8, 8))), "holds no pixels"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_a_file_that_is_not_what_it_says_is_refused_before_anything_is_allocated(tmp_path, content, complaint, packed):
    path = tmp_path / (f"{IMAGES}.gz" if packed else IMAGES)
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(InputError, match=complaint):
        pipelines.load(str(tmp_path))


def test_a_truncated_or_damaged_gz_is_refused(tmp_path, pixels):
    packed = gzip.compress(idx(pixels))
    for content in (packed[:-20], packed[:40] + bytes(10) + packed[50:], b"not packed at all"):
        (tmp_path / f"{IMAGES}.gz").write_bytes(content)
        with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz is damaged or truncated"):
            pipelines.load(str(tmp_path))


@pytest.mark.parametrize("height, width", [(8, 8), (10**9, 10**9)])
def test_a_gz_that_unpacks_to_more_than_it_should_takes_little_memory(tmp_path, peak_of, height, width):
    header = bytes([0, 0, 8, 3]) + np.array([1, height, width], ">u4").tobytes()
    (tmp_path / f"{IMAGES}.gz").write_bytes(gzip.compress(header + bytes(2**25), 1))

    def load():
        with pytest.raises(InputError, match=rf"should hold 1x{height}x{width} = .* bytes, but holds (more|33554432)"):
            pipelines.load(str(tmp_path))

    assert peak_of(load) < 2**23


def test_images_are_read_some_at_a_time_and_too_large_ones_not_at_all(tmp_path, monkeypatch, peak_of):
    monkeypatch.setattr(limits, "MAX_PICTURE_BYTES", 2**20)
    path = tmp_path / f"{IMAGES}.gz"
    path.write_bytes(gzip.compress(idx(np.zeros((32, 1024, 1024), np.uint8)), 1))
    assert peak_of(lambda: deque(source.read(str(tmp_path), "train").pictures(), 0)) < 2**24
    path.write_bytes(gzip.compress(idx(np.zeros((1, 1025, 1024), np.uint8)), 1))
    with pytest.raises(
        InputError, match=r"one image of train-images-idx3-ubyte\.gz takes 1 MB; at most 1 MB are read"
    ):
        pipelines.load(str(tmp_path))


def test_more_images_than_their_labels_fit_into_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "_MEMORY_SHARE", 1e-6)  # some kilobytes
    for name, shape in ((IMAGES, (10**6, 1, 1)), (LABELS, (10**6,))):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(np.zeros(shape, np.uint8)), 1))
    with pytest.raises(InputError, match=r"ubyte\.gz holds 1000000 images: too many for the memory at hand"):
        pipelines.load(str(tmp_path))


def test_labels_must_be_as_many_as_the_images(tmp_path, pixels):
    (tmp_path / IMAGES).write_bytes(idx(pixels))
    (tmp_path / LABELS).write_bytes(idx(np.zeros(4)))
    with pytest.raises(InputError, match="holds 4 labels for 5 images"):
        pipelines.load(str(tmp_path))


def test_the_real_mnist(mnist_files):
    train = pipelines.load(str(mnist_files))
    assert train.images.shape == (60000, 28, 28, 1)
    assert train.image_shape == (28, 28, 1)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    np.testing.assert_array_equal(np.bincount(train.labels), counts)
    raw = gzip.decompress((mnist_files / f"{IMAGES}.gz").read_bytes())
    assert train.images.tobytes() == raw[16:]
    test = pipelines.load(str(mnist_files), split="test")
    assert test.images.shape == (10000, 28, 28, 1)
    np.testing.assert_array_equal(np.bincount(test.labels), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    assert train.digest != test.digest
    assert train.digest == pipelines.load(str(mnist_files)).digest
