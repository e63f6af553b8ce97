import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.errors import InputError
from kgan.features import compute, model
from tests.features import stand_in


def network(size: int | None = 16, channels: int = 3, pooled: bool = True) -> keras.Model:
    layers = [keras.Input((size, size, channels)), keras.layers.Conv2D(5, 3, strides=2)]
    return keras.Sequential([*layers, *[keras.layers.GlobalAveragePooling2D()][:pooled]])


@pytest.fixture
def save(tmp_path):
    def write(made: keras.Model, name: str = "net.keras") -> str:
        made.save(tmp_path / name)
        return str(tmp_path / name)

    return write


def saved_model(folder: pathlib.Path, spec: tf.TensorSpec | None = None) -> str:
    module = tf.Module()
    module.scale = tf.Variable([1.0, 2.0, 3.0])

    @tf.function(input_signature=[spec or tf.TensorSpec([None, 8, 8, 3], tf.float32)])
    def serve(pictures):
        return {"features": tf.reduce_mean(tf.cast(pictures, tf.float32), [1, 2]) * module.scale}

    tf.saved_model.save(module, folder, signatures={"serving_default": serve})
    return str(folder)


def test_a_keras_model_gets_0_to_255(save, images):
    made, batch = network(), images(4, 16, 16, 3)
    features = model(save(made))
    rows, logits = features.extract(batch)
    assert rows.dtype == np.float32 and logits is None
    np.testing.assert_allclose(rows, made(batch.astype(np.float32)), rtol=1e-5)
    assert features.name == "model net.keras" and len(features.sha256) == 64


@pytest.mark.parametrize("method", ["legacy", "clean"])
def test_images_of_another_size_are_resized(save, images, method):
    made, batch = network(), images(4, 40, 40, 3)
    features = model(save(made), method)
    rows, _ = features.extract(batch)
    if method == "legacy":
        np.testing.assert_allclose(rows, made(stand_in.bilinear(batch, 16, 16).astype(np.float32)), rtol=1e-4)
    assert features.resize.startswith(f"{method}: ") and "to 16x16" in features.resize


def test_a_model_of_any_size_gets_them_as_they_are(save, images):
    made = network(size=None)
    features = model(save(made))
    assert features.resize == "none"
    for side in (12, 20):
        batch = images(2, side, side, 3)
        np.testing.assert_allclose(features.extract(batch)[0], made(batch.astype(np.float32)), rtol=1e-5)


def test_an_output_with_places_is_averaged(save, images):
    made, batch = network(pooled=False), images(2, 16, 16, 3)
    expected = np.asarray(made(batch.astype(np.float32))).mean(axis=(1, 2))
    np.testing.assert_allclose(model(save(made)).extract(batch)[0], expected, rtol=1e-5)


def test_grey_images_are_repeated_for_three_channels(save, images):
    features = model(save(network()))
    grey = images(2, 16, 16, 1)
    np.testing.assert_array_equal(features.extract(grey)[0], features.extract(np.repeat(grey, 3, -1))[0])
    with pytest.raises(InputError, match=r"^images: got 4 channels, expected 1 or 3 for model net.keras$"):
        features.extract(images(2, 16, 16, 4))


def test_an_image_gives_the_same_row_alone_and_among_others(save, images):
    features, batch = model(save(network())), images(5, 16, 16, 3)
    alone, _ = compute(features, [batch[:1], batch[1:]])
    np.testing.assert_allclose(alone, features.extract(batch)[0], rtol=1e-5, atol=1e-5)


def test_the_digest_is_of_the_content(save, tmp_path, images):
    first, second = save(network()), save(network(), "other.keras")
    shutil.copy(first, tmp_path / "copy.keras")
    assert model(first).sha256 == model(str(tmp_path / "copy.keras")).sha256 != model(second).sha256


def test_code_in_a_keras_file_is_refused(save):
    made = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x[:, 0, 0])])
    with pytest.raises(InputError, match=r"^the model .*net.keras: got ValueError: ") as caught:
        model(save(made))
    assert "\n" not in str(caught.value)


def test_a_saved_model(tmp_path, images):
    features = model(saved_model(tmp_path / "net"))
    batch = images(3, 8, 8, 3)
    np.testing.assert_allclose(features.extract(batch)[0], batch.mean(axis=(1, 2)) * [1, 2, 3], rtol=1e-5)
    assert features.name == "model net"
    np.testing.assert_allclose(
        features.extract(images(3, 5, 9, 3))[0],
        stand_in.bilinear(images(3, 5, 9, 3), 8, 8).mean(axis=(1, 2)) * [1, 2, 3],
        rtol=1e-5,
    )


def test_the_digest_of_a_saved_model_is_of_all_files(tmp_path):
    first = saved_model(tmp_path / "net")
    shutil.copytree(first, tmp_path / "copy")
    assert model(first).sha256 == model(str(tmp_path / "copy")).sha256
    (tmp_path / "copy" / "assets").mkdir(exist_ok=True)
    (tmp_path / "copy" / "assets" / "words.txt").write_text("more")
    assert model(first).sha256 != model(str(tmp_path / "copy")).sha256


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (tf.TensorSpec([None, 8, 8, 3], tf.uint8), "got an input of uint8, expected float32"),
        (tf.TensorSpec([4, 8, 8, 3], tf.float32), r"got inputs of the shapes \[\(4, 8, 8, 3\)\], expected one \[None"),
        (tf.TensorSpec([None, 8, 3], tf.float32), r"got inputs of the shapes \[\(None, 8, 3\)\], expected one \[None"),
    ],
)
def test_refuses_a_saved_model_with_another_input(tmp_path, spec, said):
    with pytest.raises(InputError, match=rf"^the model .*net: {said}"):
        model(saved_model(tmp_path / "net", spec))


def test_refuses_a_model_with_two_inputs(save):
    inputs = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    made = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(keras.layers.Add()(inputs)))
    with pytest.raises(InputError, match=r"expected one"):
        model(save(made))


def test_refuses_other_outputs(save, images):
    inputs = keras.Input((8, 8, 3))
    two = keras.Model(inputs, [keras.layers.Flatten()(inputs), keras.layers.Flatten()(inputs)])
    lines = keras.Model(inputs, keras.layers.Reshape((8, 24))(inputs))
    for name, made in {"two.keras": two, "lines.keras": lines}.items():
        with pytest.raises(InputError, match=rf"^the model {name}: got outputs of the shapes .*, expected one"):
            model(save(made, name)).extract(images(2, 8, 8, 3))


def test_refuses_what_is_no_model(tmp_path):
    (tmp_path / "net.keras").write_bytes(b"no zip")
    (tmp_path / "net.h5").write_bytes(b"old")
    (tmp_path / "empty").mkdir()
    for name in ("net.keras", "net.h5", "empty", "none"):
        with pytest.raises(
            InputError, match=rf"^the model .*{name}: got .*, expected a .*SavedModel|.keras"
        ) as caught:
            model(str(tmp_path / name))
        assert "\n" not in str(caught.value)
