"""Features of a small classifier that is trained, once, on the labels of the very set that samples are judged by.

For sets that have little in common with the photographs that Inception was trained on, such as digits.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import pathlib
import typing
from collections.abc import Iterator

import numpy as np
import safetensors
import safetensors.numpy

from kgan.errors import InputError
from kgan.features.base import Features, compute, require_images
from kgan.files import cache_folder, read_small, write_atomic

if typing.TYPE_CHECKING:
    import keras

# What the network is and how it is trained. Weights that were kept are of no use to another recipe, so a change of
# anything here or in `_network` or `_fit` needs a new number.
_RECIPE = 1
_SEED = 0
_HIDDEN = 128
_EPOCHS = 3
_LEAST_STEPS = 1000  # a small set is seen more often
_BATCH = 64
_RATE = 2e-3  # of Adam, falling to 0 in a straight line

_WEIGHTS, _ABOUT = "weights.safetensors", "about.json"
_LEAST_SIDE = 8  # pixels


@dataclasses.dataclass(frozen=True)
class _Labelled:
    """Some rows of a set. The images are not copied, as they may be a memory map of a set beyond the memory."""

    images: np.ndarray
    labels: np.ndarray
    rows: np.ndarray


def classifier(
    train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray] | None, digest: str
) -> Features:
    """A convolutional network trained on a data set's own labels; kept in the cache, so trained once for each set.

    Features are its last hidden layer after the ReLU, `[n, 128]`, logits those of the classes. It computes in float32
    and is trained from a fixed seed; one line is printed then that tells how many test images it gets right. Images
    are taken at the size it was trained on, no other.

    Args:
        train: images, uint8 `[n, side, side, c]` with a side of at least 8 pixels, and labels, integers `[n]` from 0.
        test: images and labels that are not in `train`. Without, a tenth of `train` is not trained on.
        digest: of the content of the data set; with another one the network is trained again.

    Returns:
        Features with the digest of the file of weights.

    Raises:
        InputError: labels are missing or of one class, arrays do not fit, or the cache cannot be written.
    """
    fit, judge, kind = _split(train, test)
    about = {
        "recipe": _RECIPE,
        "digest": digest,
        "image_shape": list(fit.images.shape[1:]),
        "classes": int(fit.labels.max()) + 1,
        "judged_by": kind,
    }
    folder = cache_folder() / "classifiers" / hashlib.sha256(_text(about).encode()).hexdigest()[:32]
    content = _kept(folder)
    if content is None:
        with _writable(folder):
            folder.mkdir(parents=True, exist_ok=True)  # before minutes of training, not after
        content = _train(fit, about)
        _keep(folder, content, about, judge)
    return _features(content, about)


def _split(train: tuple, test: tuple | None) -> tuple[_Labelled, _Labelled, str]:
    """Returns what to train on, what to judge by, and what the latter is called."""
    known = _labelled("train", *train)
    side, width, _ = known.images.shape[1:]
    if side != width or side < _LEAST_SIDE:
        raise InputError(f"train: got images of {side}x{width} pixels, expected squares of {_LEAST_SIDE} or more")
    if known.labels.min() == known.labels.max():
        raise InputError("train: got labels of 1 class, expected at least 2")
    if test is None:
        return *_held_out(known), "held-out"
    other = _labelled("test", *test)
    if other.images.shape[1:] != known.images.shape[1:]:
        raise InputError(
            f"test: got images of the shape {other.images.shape[1:]}, expected {known.images.shape[1:]} as in train"
        )
    if other.labels.max() > known.labels.max():
        raise InputError(f"test: got the label {other.labels.max()}, expected 0 to {known.labels.max()} as in train")
    return known, other, "test"


def _labelled(name: str, images: np.ndarray, labels: np.ndarray | None) -> _Labelled:
    images = require_images(images)
    if labels is None:
        raise InputError(f"{name}: got images without labels, expected a label for each")
    labels = np.asarray(labels)
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise InputError(
            f"{name}: got labels of {labels.dtype}, shape {labels.shape}, for {len(images)} images, expected an "
            "integer from 0 for each"
        )
    return _Labelled(images, labels.astype(np.int32), np.arange(len(labels)))


def _held_out(known: _Labelled) -> tuple[_Labelled, _Labelled]:
    """Takes a tenth of the rows away, the same for the same number of rows."""
    order = np.random.default_rng(_SEED).permutation(known.rows)
    count = math.ceil(len(order) / 10)
    return dataclasses.replace(known, rows=order[count:]), dataclasses.replace(known, rows=order[:count])


def _text(about: dict) -> str:
    return json.dumps(about, sort_keys=True)


def _kept(folder: pathlib.Path) -> bytes | None:
    """The weights of an earlier training; None where there are none, or not the ones that were written."""
    try:
        content = (folder / _WEIGHTS).read_bytes()
        digest = json.loads(read_small(folder / _ABOUT))["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return content if hashlib.sha256(content).hexdigest() == digest else None


def _keep(folder: pathlib.Path, content: bytes, about: dict, judge: _Labelled) -> None:
    """Writes the weights, then what proves them whole, and tells how good they are."""
    right = _share_right(_features(content, about), judge)
    told = about | {"sha256": hashlib.sha256(content).hexdigest(), "right": right, "judged_images": len(judge.rows)}
    with _writable(folder):
        write_atomic(folder / _WEIGHTS, content)
        write_atomic(folder / _ABOUT, json.dumps(told, indent=2).encode())
    kind = about["judged_by"]
    judged = f"{100 * right:.1f} % right on {len(judge.rows):,} {kind} images"
    print(f"classifier of these labels: {judged} (kept in {folder})", flush=True)


@contextlib.contextmanager
def _writable(folder: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"KGAN_CACHE: {folder} cannot be written ({error.strerror}); name another") from error


def _share_right(features: Features, judge: _Labelled) -> float:
    batches = (judge.images[judge.rows[start : start + 500]] for start in range(0, len(judge.rows), 500))
    _, logits = compute(features, batches)
    return float(np.mean(logits.argmax(axis=1) == judge.labels[judge.rows]))


def _features(content: bytes, about: dict) -> Features:
    """The features of a trained network, given by the bytes of its file."""
    import tensorflow as tf

    shape = tuple(about["image_shape"])
    network = _network(shape, about["classes"])
    arrays = safetensors.numpy.load(content)
    for variable in network.variables:
        variable.assign(arrays[variable.path])

    @tf.function(input_signature=[tf.TensorSpec([None, *shape], tf.uint8)], jit_compile=False)
    def run(images: tf.Tensor) -> list[tf.Tensor]:
        return network(tf.cast(images, tf.float32), training=False)

    def extract(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        images = require_images(images)
        if images.shape[1:] != shape:
            raise InputError(
                f"images: got the shape {images.shape[1:]}, expected {shape} as the classifier was trained on"
            )
        hidden, logits = run(images)
        return hidden.numpy(), logits.numpy()

    return Features("classifier", hashlib.sha256(content).hexdigest(), "none", extract)


def _train(fit: _Labelled, about: dict) -> bytes:
    """Trains a network; returns the bytes of its file."""
    network = _network(fit.images.shape[1:], about["classes"])
    _fit(network, fit)
    arrays = {variable.path: np.asarray(variable.value) for variable in network.variables}
    return safetensors.numpy.save(arrays, {"about": _text(about)})


def _network(shape: tuple[int, int, int], classes: int) -> "keras.Model":
    """Images in 0..255 -> [hidden layer, logits].

    Two stages of convolution for a side up to 32 pixels, one more for each doubling. Beyond 64 pixels the image is
    averaged in blocks first. Everything that Keras would take from what is set for the whole process is said here:
    names, types, the order of the axes, seeds.
    """
    import keras
    from keras import layers

    common = {"dtype": "float32"}
    planes = {"data_format": "channels_last", **common}

    def drawn(index: int) -> dict:
        return {"kernel_initializer": keras.initializers.HeNormal(seed=_SEED + index), **common}

    images = layers.Input(shape, name="images", dtype="float32")
    x = layers.Rescaling(1 / 127.5, -1.0, name="rescaling", **common)(images)
    block = math.ceil(shape[0] / 64)
    if block > 1:
        x = layers.AveragePooling2D(block, name="averaging", **planes)(x)
    for stage in range(2 if x.shape[1] <= 32 else 3):
        settings = drawn(stage) | planes
        filters, size = (16, 5) if stage == 0 else (32, 3)
        x = layers.Conv2D(filters, size, padding="same", activation="relu", name=f"stage_{stage}", **settings)(x)
        x = layers.MaxPooling2D(name=f"pooling_{stage}", **planes)(x)
    x = layers.Flatten(name="flatten", **common)(x)
    hidden = layers.Dense(_HIDDEN, activation="relu", name="hidden", **drawn(10))(x)
    logits = layers.Dense(classes, name="logits", **drawn(11))(hidden)
    return keras.Model(images, [hidden, logits], name="classifier")


def _fit(network: "keras.Model", fit: _Labelled) -> None:
    import keras
    import tensorflow as tf

    batches = fit.rows[_batches(len(fit.rows))]
    rate = keras.optimizers.schedules.PolynomialDecay(_RATE, len(batches), 0.0)
    optimizer = keras.optimizers.Adam(rate, name="adam")
    optimizer.build(network.trainable_variables)

    @tf.function(jit_compile=False)
    def step(images: tf.Tensor, labels: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            _, logits = network(tf.cast(images, tf.float32), training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)

    for rows in batches:
        step(tf.constant(fit.images[rows]), tf.constant(fit.labels[rows]))


def _batches(count: int) -> np.ndarray:
    """Which of so many images make up each batch, `[steps, batch]`: each once an epoch, in an order of its own."""
    batch = min(_BATCH, count)
    steps = max(_LEAST_STEPS, _EPOCHS * count // batch)
    generator = np.random.default_rng(_SEED)
    epochs = [generator.permutation(count) for _ in range(math.ceil(steps * batch / count))]
    return np.concatenate(epochs)[: steps * batch].reshape(steps, batch)
