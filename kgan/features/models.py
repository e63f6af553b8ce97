"""Features of a network that somebody else made, given by the path of its file."""

import dataclasses
import hashlib
import pathlib
import typing
from collections.abc import Callable

import numpy as np

from kgan.errors import InputError, require_choice
from kgan.features import resizing
from kgan.features.base import Features, one_line, require_images

if typing.TYPE_CHECKING:
    import tensorflow as tf

_SIGNATURE = "serving_default"


@dataclasses.dataclass(frozen=True)
class _Network:
    """`run` takes float32 `[n, height, width, channels]`; None is for a size that the network does not fix."""

    run: Callable[["tf.Tensor"], object]
    height: int | None
    width: int | None
    channels: int | None


def model(path: str, resize: resizing.Method = "legacy") -> Features:
    """A Keras model (a `.keras` file) or a TensorFlow SavedModel (a folder, its signature `serving_default`).

    It is given float32 `[n, h, w, c]` in 0..255, as the models of `keras.applications` expect that hold their own
    rescaling; a network for another range has to hold its own too. Where its input has a size, images are brought to
    it by the named method; grey images are repeated where it takes 3 channels. Its output is the features,
    `[n, d]`; one of `[n, h, w, d]` is averaged over h and w. There are no logits.

    A SavedModel is a program that can read and write files: load one only from people you trust. A `.keras` file is
    loaded in Keras' safe mode, which refuses code.

    Args:
        path: of the file or folder.
        resize: "legacy" or "clean", see `kgan.features.resizing.resized`.

    Returns:
        Features named "model" and as the file or folder, with the digest of the file or of all files in the folder.

    Raises:
        InputError: there is no such file, it cannot be loaded, or it is no network from images to features.
    """
    require_choice("resize", resize, typing.get_args(resizing.Method))
    place = pathlib.Path(path).expanduser().absolute()
    if place.is_file() and place.suffix == ".keras":
        network, digest = _keras(place), _digest(place)
    elif place.is_dir():
        network, digest = _saved_model(place), _digest_of_folder(place)
    else:
        found = "another file" if place.exists() else "no such file or folder"
        raise InputError(f"the model {place}: got {found}, expected a .keras file or the folder of a SavedModel")
    return _features(f"model {place.name}", digest, network, resize)  # it may be called as one of ours is


def _keras(place: pathlib.Path) -> _Network:
    import keras
    import tensorflow as tf

    try:
        loaded = keras.models.load_model(place, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises nearly anything for a file that is none of its own
        raise InputError(f"the model {place}: got {one_line(error)}, expected a .keras file") from error
    inputs = getattr(loaded, "inputs", None) or []
    shape = _image_shape(place, [tuple(tensor.shape) for tensor in inputs])

    @tf.function(input_signature=[tf.TensorSpec([None, *shape], tf.float32)], jit_compile=False, autograph=False)
    def run(images):
        return loaded(images, training=False)

    return _Network(run, *shape)


def _saved_model(place: pathlib.Path) -> _Network:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(place)
        signature = loaded.signatures[_SIGNATURE]
    except Exception as error:  # likewise
        said = one_line(error)
        raise InputError(f"the model {place}: got {said}, expected a SavedModel with {_SIGNATURE}") from error
    inputs = signature.structured_input_signature[1]
    shape = _image_shape(place, [_dimensions(spec) for spec in inputs.values()])
    (name, spec), *_ = inputs.items()
    if spec.dtype != tf.float32:
        raise InputError(f"the model {place}: got an input of {spec.dtype.name}, expected float32")

    def run(images: tf.Tensor) -> object:
        # Looked up each time, as the signature alone does not keep the variables alive.
        return list(loaded.signatures[_SIGNATURE](**{name: images}).values())

    return _Network(run, *shape)


def _dimensions(spec: "tf.TensorSpec") -> tuple[int | None, ...]:
    return () if spec.shape.rank is None else tuple(spec.shape)


def _image_shape(place: pathlib.Path, shapes: list[tuple]) -> tuple:
    """Height, width and channels of the one input."""
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][0] is not None:
        raise InputError(f"the model {place}: got inputs of the shapes {shapes}, expected one [None, h, w, c]")
    return shapes[0][1:]


def _digest(place: pathlib.Path) -> str:
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of_folder(folder: pathlib.Path) -> str:
    """SHA-256 over the relative path and the digest of each file, in order of the paths."""
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    sha = hashlib.sha256()
    for name, file in sorted(files.items()):
        sha.update(f"{name}\0{_digest(file)}\n".encode())
    return sha.hexdigest()


def _features(name: str, digest: str, network: _Network, resize: resizing.Method) -> Features:
    """A network without a size of its own gets images as they are."""
    sized = network.height is not None and network.width is not None

    def extract(images: np.ndarray) -> tuple[np.ndarray, None]:
        images = require_images(images)
        if network.channels is not None:
            images = resizing.with_channels(images, network.channels, name)
        if sized and images.shape[1:3] != (network.height, network.width):
            images = resizing.resized(images, resize, network.height, network.width)
        return _rows(name, network.run(images.astype(np.float32)), len(images)), None

    words = resizing.words(resize, network.height, network.width) if sized else "none"
    return Features(name, digest, words, extract)


def _rows(name: str, output: object, count: int) -> np.ndarray:
    """What a network gave, as float32 `[n, d]`."""
    outputs = list(output) if isinstance(output, list | tuple) else [output]
    shapes = [getattr(tensor, "shape", None) for tensor in outputs]
    if len(outputs) != 1 or shapes[0] is None or shapes[0].rank not in (2, 4) or shapes[0][0] != count:
        raise InputError(
            f"the {name}: got outputs of the shapes {shapes}, expected one [n, d] or [n, h, w, d] for n images"
        )
    rows = outputs[0].numpy().astype(np.float32)
    return rows.mean(axis=(1, 2)) if rows.ndim == 4 else rows
