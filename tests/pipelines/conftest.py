"""What the tests of `pipelines` share: a cache of their own, pictures made on the spot, real sets where they are."""

import pathlib
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> pathlib.Path:
    """An empty cache folder, instead of the person's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("KGAN_CACHE", str(folder))
    return folder


@pytest.fixture
def write_image():
    """Writes a random picture; returns its pixels."""

    def write(path: pathlib.Path, size: tuple[int, int] = (8, 8), mode: str = "RGB", seed: int = 0) -> np.ndarray:
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (size[1], size[0], len(mode)) if len(mode) > 1 else size[::-1]
        pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return pixels

    return write


@pytest.fixture
def make(tmp_path, write_image):
    """Makes pictures, each different; returns the folder around them."""

    def make_folder(*names: str, folder: str = "set") -> pathlib.Path:
        for index, name in enumerate(names):
            write_image(tmp_path / folder / name, seed=index)
        return tmp_path / folder

    return make_folder


@pytest.fixture
def peak_of():
    """Calls a function; returns how many bytes Python and NumPy held at once meanwhile, besides those from before."""

    def measure(function: Callable[[], None]) -> int:
        tracemalloc.start()
        try:
            function()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return measure


@pytest.fixture
def mnist_files(real_data) -> pathlib.Path:
    """The folder of the four original files of MNIST."""
    folder = real_data / "mnist"
    if not folder.is_dir():
        pytest.skip("no mnist/ in ../shared/data")
    return folder


@pytest.fixture
def cifar10_archive(real_data) -> pathlib.Path:
    """CIFAR-10 as a .tar.gz of JPEG files in train/CLASS and test/CLASS."""
    archive = real_data / "cifar10" / "cifar10_jpg.tar.gz"
    if not archive.is_file():
        pytest.skip("no cifar10/cifar10_jpg.tar.gz in ../shared/data")
    return archive


@pytest.fixture
def horse2zebra(real_data) -> pathlib.Path:
    """A folder of two domains: trainA/, trainB/, testA/ and testB/."""
    folder = real_data / "horse2zebra"
    if not folder.is_dir():
        pytest.skip("no horse2zebra/ in ../shared/data")
    return folder


@pytest.fixture
def facades(real_data) -> pathlib.Path:
    """A folder of pairs: trainA/ and trainB/, testA/ and testB/ of the same file names."""
    folder = real_data / "facades"
    if not folder.is_dir():
        pytest.skip("no facades/ in ../shared/data")
    return folder
