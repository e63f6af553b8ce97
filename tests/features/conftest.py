"""What the tests of `kgan.features` share: a cache of their own, no network, and random images."""

import pathlib
import urllib.error

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> pathlib.Path:
    """A cache folder that is not there yet, instead of the person's own."""
    monkeypatch.setenv("KGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def offline(monkeypatch) -> None:
    def refuse(*_, **__):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


@pytest.fixture
def images():
    """Makes uint8 images."""

    def make(*shape: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)

    return make
