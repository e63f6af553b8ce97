import importlib
import json
import pathlib
import re

import keras
import numpy as np
import pytest
import safetensors.numpy

import pipelines
from kgan.errors import InputError
from kgan.features import classifier, compute

RECIPE = importlib.import_module("kgan.features.classifier")  # the package has the function under that name


@pytest.fixture
def quick(monkeypatch) -> None:
    monkeypatch.setattr(RECIPE, "_LEAST_STEPS", 60)


def shapes(count: int, side: int = 12, channels: int = 1, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright bar whose place is the label."""
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, count).astype(np.int32)
    labels[:classes] = range(classes)
    images = random.integers(0, 60, (count, side, side, channels), dtype=np.uint8)
    width = side // classes
    for image, label in zip(images, labels, strict=True):
        image[:, label * width : (label + 1) * width] += 150
    return images, labels


def files(cache: pathlib.Path) -> list[pathlib.Path]:
    return sorted((cache / "classifiers").rglob("*.*"))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("side", "channels", "classes"), [(8, 1, 2), (12, 3, 3), (65, 4, 5), (256, 2, 2)])
def test_learns_images_of_many_shapes(side, channels, classes, monkeypatch):
    monkeypatch.setattr(RECIPE, "_BATCH", 16)
    images, labels = shapes(64, side, channels, classes)
    rows, logits = classifier((images, labels), (images, labels), "sha256:0").extract(images)
    assert (rows.shape, logits.shape) == ((64, 128), (64, classes))
    assert rows.dtype == logits.dtype == np.float32 and rows.min() == 0
    assert np.mean(logits.argmax(axis=1) == labels) > 0.9


@pytest.mark.usefixtures("quick")
def test_is_trained_once_and_kept(cache, capsys):
    train = shapes(200)
    first = classifier(train, train, "sha256:0")
    told = capsys.readouterr().out
    assert re.fullmatch(
        rf"classifier of these labels: [0-9.]+ % right on 200 test images \(kept in {cache}.*\)\n", told
    )
    kept = {file: file.read_bytes() for file in files(cache)}
    second = classifier(train, train, "sha256:0")
    assert capsys.readouterr().out == ""
    assert {file: file.read_bytes() for file in files(cache)} == kept
    assert first.sha256 == second.sha256
    np.testing.assert_array_equal(first.extract(train[0])[0], second.extract(train[0])[0])
    about = json.loads(next(c for f, c in kept.items() if f.name == "about.json"))
    assert about["sha256"] == first.sha256 and about["judged_images"] == 200 and 0.9 < about["right"] <= 1
    assert (first.name, first.resize) == ("classifier", "none")


@pytest.mark.usefixtures("quick")
def test_another_training_gives_the_same_weights(monkeypatch, tmp_path):
    train = shapes(200)
    first = classifier(train, None, "sha256:0")
    monkeypatch.setenv("KGAN_CACHE", str(tmp_path / "other"))
    assert classifier(train, None, "sha256:0").sha256 == first.sha256


@pytest.mark.usefixtures("quick")
def test_without_a_test_set_a_tenth_is_held_out(capsys):
    images, labels = shapes(95)
    classifier((images, labels), None, "sha256:0")
    assert "right on 10 held-out images" in capsys.readouterr().out
    fit, judge, _ = RECIPE._split((images, labels), None)
    assert sorted([*fit.rows, *judge.rows]) == list(range(95))


@pytest.mark.usefixtures("quick")
def test_what_decides_the_weights_decides_the_place(cache, monkeypatch):
    train = shapes(60)
    classifier(train, train, "sha256:0")
    classifier(train, train, "sha256:1")
    classifier(train, None, "sha256:0")
    classifier(shapes(60, channels=2), None, "sha256:0")
    classifier(shapes(60, classes=4), None, "sha256:0")
    monkeypatch.setattr(RECIPE, "_RECIPE", RECIPE._RECIPE + 1)
    classifier(train, train, "sha256:0")
    assert len(files(cache)) == 6 * 2


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("name", "content"),
    [("weights.safetensors", b""), ("weights.safetensors", None), ("about.json", b"[]"), ("about.json", b"{")],
)
def test_a_damaged_file_is_made_again(cache, name, content):
    train = shapes(60)
    whole = classifier(train, train, "sha256:0")
    file = next(file for file in files(cache) if file.name == name)
    good = file.read_bytes()
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert classifier(train, train, "sha256:0").sha256 == whole.sha256
    assert file.read_bytes() == good


@pytest.mark.usefixtures("quick")
def test_leaves_what_is_set_for_the_process_alone():
    train = shapes(60)
    before = classifier(train, train, "sha256:0").extract(train[0])
    keras.utils.set_random_seed(5)
    expected = keras.random.uniform((3,)), np.random.random(3)
    policy = keras.config.dtype_policy()
    keras.utils.set_random_seed(5)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        after = classifier(train, train, "sha256:other").extract(train[0])
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(policy)
    for kept, now in zip(before, after, strict=True):
        np.testing.assert_array_equal(kept, now)
    np.testing.assert_array_equal(keras.random.uniform((3,)), expected[0])
    np.testing.assert_array_equal(np.random.random(3), expected[1])


@pytest.mark.usefixtures("quick")
def test_the_weights_are_the_network(cache):
    images, labels = shapes(30, side=8)
    rows, logits = classifier((images, labels), (images, labels), "sha256:0").extract(images)
    arrays = safetensors.numpy.load_file(files(cache)[1])
    x = images / 127.5 - 1
    for stage, size in ((0, 5), (1, 3)):
        x = np.pad(x, [(0, 0), (size // 2, size // 2), (size // 2, size // 2), (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
        x = np.einsum("nhwcij,ijco->nhwo", windows, arrays[f"stage_{stage}/kernel"].astype(np.float64))
        x = np.maximum(x + arrays[f"stage_{stage}/bias"], 0)
        x = np.maximum(np.maximum(x[:, ::2, ::2], x[:, 1::2, ::2]), np.maximum(x[:, ::2, 1::2], x[:, 1::2, 1::2]))
    hidden = np.maximum(x.reshape(30, -1) @ arrays["hidden/kernel"] + arrays["hidden/bias"], 0)
    np.testing.assert_allclose(rows, hidden, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(logits, hidden @ arrays["logits/kernel"] + arrays["logits/bias"], rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("quick")
def test_an_image_gives_the_same_row_alone_and_among_others():
    train = shapes(60)
    features = classifier(train, train, "sha256:0")
    for together, alone in zip(
        features.extract(train[0]), compute(features, np.array_split(train[0], [1, 3, 30])), strict=True
    ):
        np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("quick")
def test_takes_images_of_its_own_shape_only():
    train = shapes(60)
    with pytest.raises(InputError, match=r"^images: got the shape \(12, 12, 3\), expected \(12, 12, 1\) as the"):
        classifier(train, train, "sha256:0").extract(shapes(2, channels=3, classes=2)[0])


def wrong(case: str) -> tuple:
    images, labels = shapes(20)
    return {
        "none": ((images, None), None, "train: got images without labels"),
        "one class": ((images, labels * 0), None, "train: got labels of 1 class, expected at least 2"),
        "float": ((images, labels * 1.0), None, "train: got labels of float64"),
        "negative": ((images, labels - 1), None, "train: got labels of int32"),
        "fewer": ((images, labels[1:]), None, r"train: got labels of int32, shape \(19,\), for 20 images"),
        "float images": ((images / 255, labels), None, "images: got float64"),
        "oblong": ((images[:, 1:], labels), None, "train: got images of 11x12 pixels, expected squares"),
        "small": ((images[:, :7, :7], labels), None, "train: got images of 7x7 pixels, expected squares of 8 or more"),
        "test shape": ((images, labels), (images[:, 1:], labels), "test: got images of the shape"),
        "test label": ((images, labels), (images, labels + 1), "test: got the label 3, expected 0 to 2 as in train"),
    }[case]


@pytest.mark.parametrize(
    "case",
    ["none", "one class", "float", "negative", "fewer", "float images", "oblong", "small", "test shape", "test label"],
)
def test_refuses_what_cannot_be_learned(case):
    train, test, said = wrong(case)
    with pytest.raises(InputError, match=f"^{said}"):
        classifier(train, test, "sha256:0")


def test_a_cache_that_cannot_be_written_is_told_before_the_training(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KGAN_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(RECIPE, "_train", lambda *_: pytest.fail("trained"))
    with pytest.raises(InputError, match=r"^KGAN_CACHE: .* cannot be written \(.*\); name another$"):
        classifier(shapes(20), None, "sha256:0")


def right(cache: pathlib.Path) -> float:
    return json.loads(files(cache)[0].read_text())["right"]


def test_digits(cache):
    digits = pipelines.load("digits")
    classifier((digits.images, digits.labels), None, digits.digest)
    assert right(cache) >= 0.97


def test_mnist(cache, real_data, monkeypatch):
    train, test = (pipelines.load(str(real_data / "mnist"), split=split) for split in ("train", "test"))
    sets = (train.images[:20_000], train.labels[:20_000]), (test.images, test.labels)
    features = classifier(*sets, train.digest)
    assert right(cache) >= 0.98
    monkeypatch.delattr(RECIPE, "_fit")
    assert classifier(*sets, train.digest).sha256 == features.sha256  # it is kept
