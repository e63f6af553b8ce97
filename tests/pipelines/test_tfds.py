import functools
import gzip
import os
import shutil
import socket
import time
import typing

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import pipelines
from kgan.errors import InputError
from pipelines import tfds as source

FILES = [f"{part}-{kind}" for part in ("t10k", "train") for kind in ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz")]


class KganTiny(tfds.core.GeneratorBasedBuilder):
    """A set of its own: configurations "grey", "rgba", "deep", "depth" and "plain" differ in their images."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS: typing.ClassVar = [
        tfds.core.BuilderConfig(name=name) for name in ("grey", "rgba", "deep", "depth", "plain")
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        image = {
            "grey": tfds.features.Image(shape=(8, 8, 1)),
            "rgba": tfds.features.Image(shape=(8, 8, 4)),
            "deep": tfds.features.Image(shape=(8, 8, 1), dtype=tf.uint16),
            "depth": tfds.features.Image(shape=(8, 8, 1), dtype=tf.float32),
            "plain": tfds.features.Image(shape=(None, None, 3)),
        }[self.builder_config.name]
        features = {"image": image}
        if self.builder_config.name == "grey":
            features["label"] = tfds.features.ClassLabel(names=["dark", "light"])
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        print("a builder that talks")
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        image = self.info.features["image"]
        for index in range(5):
            shape = [size or 8 + index for size in image.shape]
            example = {"image": np.full(shape, index * (300 if image.np_dtype == np.uint16 else 50), image.np_dtype)}
            if "label" in self.info.features:
                example["label"] = int(index > 2)
            yield index, example


class KganDomains(tfds.core.GeneratorBasedBuilder):
    """A set of two domains, laid out as `cycle_gan` is."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS: typing.ClassVar = [tfds.core.BuilderConfig(name="levels")]

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(num_classes=2),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        counts = {"trainA": 5, "trainB": 3, "testA": 2, "testB": 1}
        return {split: self._generate_examples(split, count) for split, count in counts.items()}

    def _generate_examples(self, split: str, count: int):
        level = {"A": 0, "B": 100}[split[-1]]
        for index in range(count):
            yield index, {"image": np.full((8, 8, 3), level + index, np.uint8), "label": int(level > 0)}


@pytest.fixture(autouse=True)
def data_dir(tmp_path, monkeypatch):
    """The empty data folder of tensorflow-datasets."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def no_network(monkeypatch):
    """Connections do not succeed, and fail when nobody waits any more."""

    def hang(*_, **__):
        time.sleep(20)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", hang)


def test_a_set_is_built_and_read_with_its_labels(capfd):
    data = pipelines.load("tfds:kgan_tiny/grey")
    assert (data.name, data.split, data.image_shape) == ("tfds:kgan_tiny/grey", "train", (8, 8, 1))
    assert data.class_names == ("dark", "light")
    levels = data.images[:, 0, 0, 0]
    np.testing.assert_array_equal(np.sort(levels), [0, 50, 100, 150, 200])
    np.testing.assert_array_equal(data.labels, levels > 100)
    assert data.labels.dtype == np.int32
    assert pipelines.load("tfds:kgan_tiny/grey").digest == data.digest
    assert capfd.readouterr().out == ""


def test_alpha_depth_and_sizes_are_those_of_the_pictures():
    assert pipelines.load("tfds:kgan_tiny/rgba").image_shape == (8, 8, 4)
    deep = pipelines.load("tfds:kgan_tiny/deep")
    np.testing.assert_array_equal(np.sort(deep.images[:, 0, 0, 0]), np.arange(0, 1500, 300) // 256)
    assert deep.notes == ("5 images of 16 bits scaled to 8",)
    plain = pipelines.load("tfds:kgan_tiny/plain", image_size=8)
    assert plain.images.shape == (5, 8, 8, 3)
    assert plain.labels is None


def test_a_set_of_two_domains_has_splits_of_its_own():
    train = pipelines.load_pairs("unpaired", "tfds:kgan_domains/levels")
    assert (train.name, train.split, train.aligned) == ("tfds:kgan_domains/levels", "train", False)
    np.testing.assert_array_equal(np.sort(train.a.images[:, 0, 0, 0]), np.arange(5))
    np.testing.assert_array_equal(np.sort(train.b.images[:, 0, 0, 0]), np.arange(100, 103))
    assert (train.a.labels, train.a.class_names, train.image_shape) == (None, None, (8, 8, 3))
    test = pipelines.load_pairs("unpaired", "tfds:kgan_domains/levels", split="test")
    assert (test.split, test.a.size, test.b.size) == ("test", 2, 1)


def test_a_set_of_one_domain_is_no_pair():
    with pytest.raises(InputError, match="--data tfds:kgan_tiny/plain: has no trainA split; it has train"):
        pipelines.load_pairs("unpaired", "tfds:kgan_tiny/plain")


def test_a_missing_split_is_named():
    with pytest.raises(InputError, match="--data tfds:kgan_tiny/grey: has no test split; it has train"):
        pipelines.load("tfds:kgan_tiny/grey", split="test")


def test_damaged_files_are_refused(data_dir):
    pipelines.load("tfds:kgan_tiny/grey")
    (records,) = data_dir.rglob("*.tfrecord*")
    records.write_bytes(records.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"--data tfds:kgan_tiny/grey: the files in .*kgan_tiny.* are damaged: "):
        pipelines.load("tfds:kgan_tiny/grey")


def test_unknown_names_and_configurations_get_their_near_misses():
    with pytest.raises(InputError, match=r"'mnst' is no set of tensorflow-datasets. Did you mean .*'mnist'"):
        pipelines.load("tfds:mnst")
    with pytest.raises(InputError, match=r"no configuration 'gray'; expected grey, rgba.*Did you mean 'grey'"):
        pipelines.load("tfds:kgan_tiny/gray")
    with pytest.raises(InputError, match="mnist has no configuration 'big'; expected none"):
        pipelines.load("tfds:mnist/big")
    with pytest.raises(InputError, match=r"cannot open it: .* only: 3\.0\.1"):
        pipelines.load("tfds:mnist:9.9.9")
    for name in ("tfds:", "tfds:huggingface:mnist"):
        with pytest.raises(InputError, match="is no set of tensorflow-datasets"):
            pipelines.load(name)


def test_sets_without_fitting_images_are_refused_before_anything_is_downloaded():
    with pytest.raises(InputError, match="has no feature 'image' that is an image; it has text, label"):
        pipelines.load("tfds:imdb_reviews")
    with pytest.raises(InputError, match="its images are float32; expected uint8 or uint16"):
        pipelines.load("tfds:kgan_tiny/depth")


def test_without_network_it_says_within_seconds_how_to_place_the_files(no_network, data_dir):
    start = time.monotonic()
    with pytest.raises(InputError) as caught:
        pipelines.load("mnist")
    assert time.monotonic() - start < 5
    message = str(caught.value)
    assert message.startswith(
        f"--data mnist: not prepared in {data_dir}, and storage.googleapis.com cannot be reached"
    )
    assert f"put the original files {', '.join(FILES)} into {data_dir / 'downloads' / 'manual'}" in message
    assert "\n" not in message
    assert not list((data_dir / "downloads").rglob("*.tmp.*"))


def test_only_the_files_of_the_configuration_are_asked_for(no_network, monkeypatch):
    monkeypatch.setattr(source, "_CONNECT_SECONDS", 0.1)
    with pytest.raises(InputError, match=r"put the original files horse2zebra\.zip into"):
        pipelines.load_pairs("unpaired", "tfds:cycle_gan/horse2zebra")


def test_sets_to_be_fetched_by_hand_say_how():
    with pytest.raises(InputError, match=r"could not prepare it: .*ILSVRC2012_img_train\.tar"):
        pipelines.load("tfds:imagenet2012")


def test_placed_files_with_other_bytes_are_refused(no_network, data_dir):
    manual = data_dir / "downloads" / "manual"
    manual.mkdir(parents=True)
    for name in FILES:
        (manual / name).write_bytes(b"something else")
    with pytest.raises(InputError, match="could not prepare it: NonMatchingChecksumError"):
        pipelines.load("mnist")


def test_a_proxy_is_asked_in_place_of_the_host(monkeypatch):
    asked = []
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(socket, "create_connection", lambda place, timeout: asked.append(place) or socket.socket())
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "near.example")
    assert source._answers("https://far.example/file")
    assert source._answers("https://near.example/file")
    assert source._answers("http://far.example:8080/file")
    assert asked == [("proxy.example", 3128), ("near.example", 443), ("far.example", 8080)]


def test_a_host_that_refuses_does_not_answer(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert not source._answers(f"http://127.0.0.1:{port}/file")


def test_the_real_mnist_is_built_from_placed_files_without_network(mnist_files, no_network, data_dir, monkeypatch):
    manual = data_dir / "downloads" / "manual"
    manual.mkdir(parents=True)
    for name in FILES:
        shutil.copy(mnist_files / name, manual)
    few = functools.partial(tfds.download.DownloadConfig, max_examples_per_split=200)
    monkeypatch.setattr(tfds.download, "DownloadConfig", few)
    data = pipelines.load("mnist")
    assert (data.name, data.image_shape, data.class_names) == ("mnist", (28, 28, 1), tuple("0123456789"))
    pixels = gzip.decompress((mnist_files / "train-images-idx3-ubyte.gz").read_bytes())[16:][: 200 * 784]
    labels = gzip.decompress((mnist_files / "train-labels-idx1-ubyte.gz").read_bytes())[8:][:200]
    expected = {(pixels[784 * index : 784 * (index + 1)], label) for index, label in enumerate(labels)}
    assert {(image.tobytes(), label) for image, label in zip(data.images, data.labels, strict=True)} == expected
    assert len(pipelines.load("tfds:mnist", split="test").images) == 200
