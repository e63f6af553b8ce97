"""Exported models, used as a run's model is."""

import pathlib
import re

import tensorflow as tf

from kgan import card, state
from kgan.errors import InputError
from kgan.latent import Latent


class ServedLatent(Latent):
    """The generator of an exported model.

    Args:
        loaded: the SavedModel.
        like: a variant of the same configuration; its weights are not used.
    """

    def __init__(self, loaded, like: Latent):
        self._loaded = loaded  # a signature alone does not keep the variables alive
        self.prior = like.prior
        self.image_shape = like.image_shape
        self.generator = lambda z, training: loaded.signatures["serving_default"](z=z)["images"]


def load(place: str) -> ServedLatent:
    """Opens an exported model.

    A SavedModel is a program: one from somebody who is not trusted may read and write files.

    Args:
        place: the folder of a version, or of the model; then its newest version.

    Raises:
        InputError: it is no export of this program, or is damaged.
    """
    folder = _version(pathlib.Path(place))
    model = state.sketch(card.read(folder).configuration)
    if not isinstance(model, Latent):
        raise InputError(f"--model: {folder} is of {type(model).__name__}, which makes no images of latents")
    try:
        loaded = tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise InputError(f"--model: {folder} cannot be loaded ({str(error).splitlines()[0]})") from None
    return ServedLatent(loaded, model)


def _version(place: pathlib.Path) -> pathlib.Path:
    versions = [path for path in place.glob("*") if re.fullmatch(r"\d+", path.name)]
    if (place / "saved_model.pb").exists() or not versions:
        return place
    return max(versions, key=lambda path: int(path.name))
