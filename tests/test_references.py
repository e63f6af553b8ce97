import dataclasses

import numpy as np
import pytest

from kgan import references
from kgan.features import Features
from pipelines.images import Images

IMAGES = Images(
    "numbers",
    "train",
    np.random.default_rng(0).integers(0, 256, (600, 8, 8, 1), np.uint8),
    None,
    None,
    8,
    "sha256:01",
)


class Network:
    """Features that count how many images they have seen."""

    def __init__(self, logits: bool = True):
        self.seen = 0
        self.logits = logits

    def extract(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        self.seen += len(images)
        rows = images.reshape(len(images), -1).astype(np.float32)
        return rows[:, :5], rows[:, :3] if self.logits else None


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KGAN_CACHE", str(tmp_path))
    return tmp_path / "features"


def compute(network: Network, images: Images = IMAGES, **changes):
    told = []
    features = Features(**{"name": "n", "sha256": "ab", "resize": "none", "extract": network.extract, **changes})
    rows, logits = references.compute(features, images, told.append)
    assert sum(told) == images.size
    return rows, logits


@pytest.mark.parametrize("logits", [True, False])
def test_features_are_computed_once(logits):
    network = Network(logits)
    first = compute(network)
    assert network.seen == 600
    np.testing.assert_array_equal(first[0], IMAGES.images.reshape(600, -1)[:, :5].astype(np.float32))
    second = compute(network)
    assert network.seen == 600 and (second[1] is None) == (not logits)
    np.testing.assert_array_equal(first[0], second[0])


@pytest.mark.parametrize(
    "images",
    [
        dataclasses.replace(IMAGES, digest="sha256:02"),
        dataclasses.replace(IMAGES, split="test"),
        dataclasses.replace(IMAGES, images=IMAGES.images[:500]),
    ],
)
def test_other_images_have_others(images):
    network = Network()
    compute(network)
    compute(network, images)
    assert network.seen == 600 + images.size


@pytest.mark.parametrize("changes", [{"sha256": "cd"}, {"resize": "clean"}])
def test_another_network_has_others(changes):
    network = Network()
    compute(network)
    compute(network, **changes)
    assert network.seen == 1200


def test_without_a_network_nothing_is_kept(cache):
    compute(Network(), sha256="")
    assert not cache.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half", b"no archive"])
def test_a_damaged_file_is_made_again(cache, content):
    compute(Network())
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(content)
    network = Network()
    compute(network)
    assert network.seen == 600 and file.read_bytes() == whole


def test_half_a_file_is_made_again(cache):
    compute(Network())
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    network = Network()
    compute(network)
    assert network.seen == 600


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KGAN_CACHE", str(tmp_path / "file"))
    network = Network()
    compute(network)
    compute(network)
    assert network.seen == 1200
