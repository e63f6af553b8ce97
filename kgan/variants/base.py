"""What the variants share: players and their updates, rounds of data, the step counter, latents.

A variant is a `keras.Model` that writes its own `train_step`, tapes included. Nothing here calls into a variant while
it trains.
"""

import contextlib
import dataclasses
import inspect
from collections.abc import Iterator
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from kgan import images
from kgan.errors import InputError
from kgan.noise import Noise
from kgan.variants import TWO_DOMAINS

_KERAS_BATCH = 32  # rows of a batch where `fit` is told nothing


@dataclasses.dataclass(frozen=True)
class Player:
    """One side of the game: a name, the networks it moves and how often a step does so.

    A network may belong to two players.
    """

    name: str
    networks: tuple[keras.Model, ...]
    updates_per_step: int = 1

    @property
    def variables(self) -> list[keras.Variable]:
        """The trainable variables of its networks, in their order, each once."""
        found = {id(v): v for network in self.networks for v in network.trainable_variables}
        return list(found.values())


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Networks that are made meanwhile have this policy; Keras' own for all others stays what it was."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)


class Variant(keras.Model):
    """The base of all systems.

    A subclass keeps every argument of its constructor in an attribute of the same name (`get_config` reads them),
    makes its networks there, names its `players` and ends with `self.built = True`.

    Args:
        image_shape: (height, width, channels) of the images.
        seed: of every random number that training draws. Initial weights come from Keras' global seed
            (`keras.utils.set_random_seed`), as in any Keras model.

    Attributes:
        data: what `fit` is given: "images"; "labelled" ones, with their classes; of two domains "unpaired" or "paired"
            ones.
        measures: the names of what `train_step` reports; each is averaged until `reset_metrics`.
        batch_size, steps, epochs: the recipe's own, where steps are 0 the epochs count; `small` overrides arguments
            of the recipe for small sets and CPUs.
        load_scale: pictures are resized to this times the image size before a random crop; 1 for no crop.
        flip: whether the recipe mirrors pictures.
        step: int64 variable, the number of `train_step` calls so far.
        branch: int64 variable, of the noise: how often the training went back to an earlier step to draw anew.
    """

    data: ClassVar[str] = "images"
    measures: ClassVar[tuple[str, ...]]
    batch_size: ClassVar[int]
    steps: ClassVar[int] = 0
    epochs: ClassVar[int] = 0
    load_scale: ClassVar[float] = 1.0
    flip: ClassVar[bool] = False
    small: ClassVar[dict[str, int | float | str]]
    players: tuple[Player, ...]

    def __init__(self, image_shape: tuple[int, int, int], seed: int = 0, name: str | None = None):
        # Keras' own default counts instances, and the names of weights in a file would depend on that count.
        super().__init__(name=name or type(self).__name__.lower())
        self.image_shape = _checked_shape(image_shape)
        self.seed = seed
        self.step = self.add_weight(name="step", shape=(), dtype="int64", initializer="zeros", trainable=False)
        self.branch = self.add_weight(name="branch", shape=(), dtype="int64", initializer="zeros", trainable=False)
        self.noise = Noise(seed, self.branch)
        self.trackers = {}

    # Keras: compile, fit, save

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        """The recipe's optimizers, by player."""
        raise NotImplementedError

    def compile(self, optimizers: dict[str, keras.optimizers.Optimizer] | None = None, **kwargs):
        """Gives each player its optimizer.

        Args:
            optimizers: by name of the player; the recipe's where none are given.
            **kwargs: `jit_compile`, `run_eagerly`, `steps_per_execution` as for `keras.Model.compile`.
        """
        names = {player.name for player in self.players}
        optimizers = optimizers or self.default_optimizers()
        if set(optimizers) != names:
            raise InputError(f"optimizers: got {sorted(optimizers)}, expected one for each of {sorted(names)}")
        super().compile(optimizer=None, **kwargs)
        # The dependency optimizer of TensorFlow 2.21 loses the order of an update after the reads of its variable
        # where the gradient does not depend on what was read, as for the last kernel under a Wasserstein loss: a step
        # would then race with itself. The steps are no slower without it.
        tf.config.optimizer.set_experimental_options({"dependency_optimization": False})
        self.optimizers = optimizers
        for player in self.players:
            optimizers[player.name].build(player.variables)
        self.trackers = {name: keras.metrics.Mean(name=name) for name in self.measures}

    def fit(self, x=None, y=None, batch_size=None, *args, **kwargs):
        """As `keras.Model.fit`, on uint8 images or floats in [-1, 1]; compiles by the recipe where nobody has.

        Systems that translate take the images of domain A as x and those of B as y, systems that know classes the
        labels as y, integers `[n]`.

        Raises:
            InputError: images of another shape, floats out of range, labels that are no classes, batches that
                `rounds_per_step` does not divide.
        """
        if not self.compiled:
            self.compile()
        if isinstance(x, tf.data.Dataset):
            batch = next(iter(x.take(1)))
            self.check(batch)
            rows = keras.utils.unpack_x_y_sample_weight(batch)[0].shape[0]
            if rows % self.rounds_per_step:
                expected = f"a multiple of {self.rounds_per_step}, the batches of a step"
                raise InputError(f"images: got batches of {rows}, expected {expected}")
            kwargs.setdefault("shuffle", False)  # Keras warns otherwise: the data set has an order of its own
        elif isinstance(x, np.ndarray | tf.Tensor):
            self.check((x, y))
            self._check_rounds(len(x), batch_size or _KERAS_BATCH)
        return super().fit(x, y, batch_size, *args, **kwargs)

    def _check_rounds(self, count: int, batch_size: int) -> None:
        if batch_size % self.rounds_per_step or count % batch_size % self.rounds_per_step:
            found = f"{batch_size} for {count} images"
            expected = f"a multiple of {self.rounds_per_step}, the batches of a step, with a rest that is one too"
            raise InputError(f"batch_size: got {found}, expected {expected}")

    def check(self, batch) -> None:
        """Raises InputError where a batch, images or a tuple that begins with them, is not what this trains on."""
        x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
        if self.data == "labelled":
            self._check_labels(y)
        for domain in (x, y) if self.data in TWO_DOMAINS else (x,):
            if domain is None:
                raise InputError("images: got one set, expected two: those of domain A and those of domain B")
            self._check_images(tf.convert_to_tensor(domain))

    def _check_labels(self, labels) -> None:
        if labels is None:
            raise InputError(f"labels: got none, expected an integer below {self.classes} for each image")
        labels = tf.convert_to_tensor(labels)
        good = labels.dtype.is_integer and labels.shape.rank == 1
        if not good:
            found = f"{labels.dtype.name} of the shape {tuple(labels.shape)}"
            raise InputError(f"labels: got {found}, expected integers [n] from 0 to {self.classes - 1}")
        low, high = int(tf.reduce_min(labels)), int(tf.reduce_max(labels))
        if low < 0 or high >= self.classes:
            raise InputError(f"labels: got {low} to {high}, expected integers from 0 to {self.classes - 1}")

    def _check_images(self, batch: tf.Tensor) -> None:
        if tuple(batch.shape[1:]) != self.image_shape:
            raise InputError(f"images: got shape {tuple(batch.shape[1:])}, expected {self.image_shape}")
        if batch.dtype != tf.uint8:
            low, high = float(tf.reduce_min(batch)), float(tf.reduce_max(batch))
            if not (batch.dtype.is_floating and low >= -1.0 and high <= 1.0):
                raise InputError(
                    f"images: got {batch.dtype.name} from {low:g} to {high:g}, expected uint8, or floats in [-1, 1]"
                )

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self.trackers.values())

    def get_config(self) -> dict:
        arguments = [name for name in inspect.signature(type(self).__init__).parameters if name != "self"]
        config = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in arguments}
        return {**config, "dtype": self.dtype_policy.name}

    @classmethod
    def from_config(cls, config: dict, custom_objects=None):
        arguments = {name: keras.saving.deserialize_keras_object(value) for name, value in config.items()}
        with dtype_policy(arguments.pop("dtype")):
            return cls(**arguments)

    def get_compile_config(self) -> dict:
        optimizers = self.optimizers if self.compiled else {}
        return {name: keras.saving.serialize_keras_object(value) for name, value in optimizers.items()}

    def compile_from_config(self, config: dict) -> None:
        self.compile({name: keras.saving.deserialize_keras_object(value) for name, value in config.items()})

    # What train_step is written with

    @property
    def rounds_per_step(self) -> int:
        """How many batches one `train_step` takes: `fit` must be given that many times the rows of a batch."""
        return max(player.updates_per_step for player in self.players)

    def rounds(self, data, k: int) -> Iterator:
        """Cuts the data of a step into k batches of fresh rows, float32 in [-1, 1]; labelled ones are pairs with
        labels, int32.
        """
        rows, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        batches = tf.split(images.to_float(rows), k)
        if self.data == "labelled":
            batches = zip(batches, tf.split(tf.cast(labels, tf.int32), k), strict=True)
        yield from batches

    def minimize(self, name: str, tape: tf.GradientTape, loss: tf.Tensor) -> tf.Tensor:
        """Moves the variables of one player, and no others, down the gradient of its loss.

        Returns:
            The norm of the gradient over all its variables, a float32 scalar.

        Raises:
            InputError: the loss does not depend on one of the player's variables.
        """
        (player,) = (player for player in self.players if player.name == name)
        optimizer = self.optimizers[name]
        scale = tf.convert_to_tensor(optimizer.scale_loss(1.0), loss.dtype)
        gradients = tape.gradient(loss, player.variables, output_gradients=scale)
        for variable, gradient in zip(player.variables, gradients, strict=True):
            if gradient is None:
                raise InputError(f"the loss of player {name!r} does not depend on {variable.path}")
        # A look-up's gradient comes as rows, some of them for the same one: its norm is that of their sum.
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        optimizer.apply(gradients, player.variables)
        return tf.linalg.global_norm(gradients) / scale

    def report(self, **values: tf.Tensor) -> dict[str, tf.Tensor]:
        """Adds the step's measures to their means and ends the step. Its result is what `train_step` returns.

        Returns:
            The means, and `finite`: 1.0, or 0.0 where this step made a measure or a weight NaN or infinite.
        """
        self.step.assign_add(1)
        for name, tracker in self.trackers.items():
            tracker.update_state(values[name])
        means = {name: tracker.result() for name, tracker in self.trackers.items()}
        # Of sums: one read of the weights and nothing stored. A number that is not finite makes its sum not finite.
        sums = [tf.reduce_sum(v) for v in self.variables if tf.as_dtype(v.dtype).is_floating]
        return means | {"finite": tf.reduce_min(tf.cast(tf.math.is_finite([*values.values(), *sums]), tf.float32))}


def _checked_shape(image_shape) -> tuple[int, int, int]:
    height, width, channels = image_shape
    if not (all(side % 4 == 0 and 8 <= side <= 256 for side in (height, width)) and 1 <= channels <= 4):
        expected = "(height, width, channels) with sides that are multiples of 4 from 8 to 256 and 1 to 4 channels"
        raise InputError(f"image_shape: got {tuple(image_shape)}, expected {expected}")
    return height, width, channels
