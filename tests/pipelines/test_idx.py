import gzip

import numpy as np
import pytest

import pipelines
from kgan.errors import InputError

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
