"""Exported models, used as a run's model is."""

import pathlib
import re
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kgan import card, configuration, state, tracking, variants
from kgan.conditional import Conditional
from kgan.errors import InputError, near_misses
from kgan.latent import Latent
from kgan.translation import Translation

_NAMED = 10  # classes that an error lists


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


class ServedConditional(Conditional):
    """The generator of an exported model that is told a class; arguments as for `ServedLatent`."""

    def __init__(self, loaded, like: Conditional):
        self._loaded = loaded
        self.prior = like.prior
        self.image_shape = like.image_shape
        self.classes = like.classes
        serve = loaded.signatures["serving_default"]
        self.generator = lambda inputs, training: serve(z=inputs[0], label=inputs[1])["images"]


class ServedTranslation(Translation):
    """The generators of an exported model; arguments as for `ServedLatent`."""

    def __init__(self, loaded, like: Translation):
        self._loaded = loaded
        self.image_shape = like.image_shape
        self.bytes_per_pixel = like.bytes_per_pixel
        self.draws = like.draws
        self.reach = 0  # what lies inside the generator cannot be reached: no tiles
        self._names = tuple(like.directions)

    @property
    def directions(self) -> dict[str, Callable]:
        return {name: self._loaded.signatures[name] for name in self._names}

    def translate(self, pictures: np.ndarray, direction: str, seed: int = 0) -> np.ndarray:
        seeds = {"seed": tf.constant([seed])} if self.draws else {}
        return self.directions[direction](images=tf.constant(pictures), **seeds)["images"].numpy()


def open_source(run: str | None, model: str | None, checkpoint: str | None) -> Latent | Translation:
    """The model of a run, or an exported one: what the options of a command say.

    Raises:
        InputError: not one of the two is given, or it cannot be used.
    """
    if (run is None) == (model is None):
        raise InputError("--run, --model: expected one of the two")
    if run is not None:
        return state.load_model(tracking.find_run(run), checkpoint or "last")
    if checkpoint is not None:
        raise InputError(f"--checkpoint: got {checkpoint!r} with --model, which has one step only")
    return load(model)


def label_of(text: str, run: str | None, model: str | None) -> int:
    """The class that a person means by its name or number.

    Args:
        text: what was said.
        run: as for `open_source`.
        model: as for `open_source`.

    Raises:
        InputError: the system knows no classes, or no such one.
    """
    folder = tracking.find_run(run) if run is not None else None
    config = configuration.load(folder) if folder else card.read(_version(pathlib.Path(model))).configuration
    if variants.load(config.settings.variant).data != "labelled":
        raise InputError(f"--label: got {text!r}, but {config.settings.variant} knows no classes")
    names = [str(name) for name in config.data["class_names"]]
    if text in names:
        return names.index(text)
    # Where a name is a number, a number is a name.
    numbered = not any(name.isdecimal() for name in names)
    if numbered and text.isdecimal() and int(text) < len(names):
        return int(text)
    shown = ", ".join(names[:_NAMED]) + (" ..." if len(names) > _NAMED else "")
    expected = f"one of {shown}" + (f", or a number from 0 to {len(names) - 1}" if numbered else "")
    raise InputError(f"--label: got {text!r}, expected {expected}.{near_misses(text, names)}")


def load(place: str) -> Latent | Translation:
    """Opens an exported model.

    A SavedModel is a program: one from somebody who is not trusted may read and write files.

    Args:
        place: the folder of a version, or of the model; then its newest version.

    Raises:
        InputError: it is no export of this program, or is damaged.
    """
    folder = _version(pathlib.Path(place))
    like = state.sketch(card.read(folder).configuration)
    try:
        loaded = tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise InputError(f"--model: {folder} cannot be loaded ({str(error).splitlines()[0]})") from None
    kinds = {Conditional: ServedConditional, Latent: ServedLatent, Translation: ServedTranslation}
    return next(served for kind, served in kinds.items() if isinstance(like, kind))(loaded, like)


def _version(place: pathlib.Path) -> pathlib.Path:
    versions = [path for path in place.glob("*") if re.fullmatch(r"\d+", path.name)]
    if (place / "saved_model.pb").exists() or not versions:
        return place
    return max(versions, key=lambda path: int(path.name))
