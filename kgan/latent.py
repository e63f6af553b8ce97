"""Systems whose generator maps latents to images: sampling, grids, walks, and the signatures they are served by."""

from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from kgan import guards, images
from kgan.errors import InputError
from kgan.noise import Noise
from kgan.priors import Uniform

_BATCH = 64
_SHOWN = 64  # images of a grid
_AT_ONCE = 4 * _BATCH
_SEEDS = 2**32
# One key for all seeds: a seed is part of the counter instead, which a served model can be told.
SAMPLES = Noise(0)


class Latent:
    """A mixin for variants that have a `generator` and a `prior`.

    Image i of a seed is a function of (seed, i): it is made in a batch of always the same size, so that asking for
    more images, or for fewer, changes none.
    """

    generator: keras.Model
    prior: Uniform
    pyfunc_signature = "sample"  # what MLflow's `predict` answers by

    def sample_prior(self, stream: str, rows: int | tf.Tensor) -> tf.Tensor:
        """Latents for this training step, float32 `[rows, dim]`; each use within a step has a stream of its own."""
        return self.prior.sample(self.noise.uniform(stream, self.step, [rows, self.prior.dim]))

    def latents(self, num: int, seed: int = 0, truncation: float = 1.0) -> tf.Tensor:
        """The first `num` latents of a seed, float32 `[num, dim]`.

        Raises:
            InputError: a seed below 0 or of more than 32 bits, or a truncation the prior does not allow.
        """
        if not 0 <= seed < _SEEDS:
            raise InputError(f"seed: got {seed}, expected 0 to {_SEEDS - 1}")
        self.prior.check_truncation(truncation)
        return self.prior.sample(SAMPLES.uniform("generate", seed, [num, self.prior.dim]), truncation)

    def inputs(self, num: int, seed: int = 0, truncation: float = 1.0, label: int | None = None) -> tuple:
        """What the generator makes the first `num` images of a seed from: the latents.

        Raises:
            InputError: as for `latents`, or a label, which the system does not know.
        """
        if label is not None:
            raise InputError(f"label: got {label}, but the system knows no classes")
        return (self.latents(num, seed, truncation),)

    def generate(self, num: int, seed: int = 0, truncation: float = 1.0, label: int | None = None) -> np.ndarray:
        """Makes images; number i is the same for any `num` above i.

        Args:
            num: how many.
            seed: of the latents.
            truncation: of the prior.
            label: the class of all images, of systems that know classes; drawn for each where none is given.

        Returns:
            uint8 `[num, height, width, channels]`.

        Raises:
            InputError: num below 1; else as for `inputs`.
        """
        return np.concatenate(list(self.pictures(num, seed, truncation, label)))

    def pictures(
        self, num: int, seed: int = 0, truncation: float = 1.0, label: int | None = None
    ) -> Iterator[np.ndarray]:
        """As `generate`, but a batch at a time: uint8 `[n, height, width, channels]`, n up to 256."""
        if num < 1:
            raise InputError(f"num: got {num}, expected at least 1")
        inputs = self.inputs(num, seed, truncation, label)
        for start in range(0, num, _AT_ONCE):
            yield self.decode(*(rows[start : start + _AT_ONCE] for rows in inputs))

    def interpolate(
        self, points: int, frames: int, seed: int = 0, truncation: float = 1.0, label: int | None = None
    ) -> np.ndarray:
        """A closed walk through the first `points` latents of a seed, `frames` images from each to the next.

        Of systems that know classes all of it is of the class of the first image.

        Returns:
            uint8 `[points * frames, height, width, channels]`.
        """
        latents, *others = self.inputs(points, seed, truncation, label)
        start = latents[:, None]
        share = tf.reshape(tf.range(frames, dtype=tf.float32) / frames, [1, frames, 1])
        walk = self.prior.interpolate(start, tf.roll(start, -1, axis=0), share)
        walk = tf.reshape(walk, [points * frames, self.prior.dim])
        return self.decode(walk, *(tf.repeat(rows[:1], len(walk), axis=0) for rows in others))

    def decode(self, *inputs: tf.Tensor) -> np.ndarray:
        """The images of what `inputs` gives, each `[n, ...]`: uint8 `[n, height, width, channels]`."""
        if not hasattr(self, "_generate_batch"):
            self._generate_batch = tf.function(lambda *rows: images.to_uint8(paint(self, *rows)))
        return in_batches(self._generate_batch, *inputs)

    grid_names = ("samples",)

    def grids(self, shown: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """What a training shows of its progress, by `grid_names`: uint8 pictures."""
        return {"samples": self.grid()}

    def probes(self, shown: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Samples that are always of the same latents, by name, and as many images at most, both uint8.

        Args:
            shown: images of the data set.
        """
        return {"samples": (self.generate(_SHOWN, seed=self.seed), shown[:_SHOWN])}

    def grid(self) -> np.ndarray:
        """64 images from latents that are always the same, as one uint8 picture."""
        return images.grid(self.generate(_SHOWN, seed=self.seed))

    def signatures(self) -> dict[str, Callable]:
        """What an exported model can be asked for, each a traced `tf.function` over a batch of any size.

        `serving_default`: z float32 `[n, dim]` -> images float32 `[n, height, width, channels]` in [-1, 1].
        `sample`: seed int32 `[n]`, truncation float32 `[n]` or `[1]` -> images uint8, each the first image of its
        seed. `sample_png`: the same as `png_bytes`, strings `[n]`.
        """
        dim = self.prior.dim
        z_spec = tf.TensorSpec([None, dim], tf.float32, name="z")
        seed_spec = tf.TensorSpec([None], tf.int32, name="seed")
        truncation_spec = tf.TensorSpec([None], tf.float32, name="truncation")
        everything = tf.constant([1.0])

        @tf.function(input_signature=[z_spec], autograph=False)
        def serving_default(z):
            return {"images": paint(self, guards.rows("z", z, dim))}

        @tf.function(input_signature=[seed_spec, truncation_spec], autograph=False)
        def sample(seed, truncation=everything):
            return {"images": _paint_seeds(self, seed, truncation)}

        @tf.function(input_signature=[seed_spec, truncation_spec], autograph=False)
        def sample_png(seed, truncation=everything):
            return {"png_bytes": encode_png(_paint_seeds(self, seed, truncation))}

        return {"serving_default": serving_default, "sample": sample, "sample_png": sample_png}

    def serving_examples(self, rows: int) -> dict[str, dict[str, np.ndarray]]:
        """Inputs of a batch for each signature."""
        seed = np.arange(rows, dtype=np.int32)
        truncation = np.linspace(1.0, 0.5, rows, dtype=np.float32) * self.prior.max_truncation
        inputs = {"seed": seed, "truncation": truncation}
        return {"serving_default": {"z": self.latents(rows).numpy()}, "sample": inputs, "sample_png": inputs}

    def serving_refusals(self) -> list[tuple[str, dict[str, np.ndarray], str]]:
        """What an exported model must refuse: (signature, inputs, a part of the reason)."""
        z, seed = np.zeros((2, self.prior.dim), np.float32), np.zeros(2, np.int32)
        refusals = [
            ("serving_default", {"z": z[:0]}, "z: the batch is empty"),
            ("serving_default", {"z": z[:, 1:]}, f"z: expected [n, {self.prior.dim}]"),
            ("serving_default", {"z": z[0]}, f"z: expected [n, {self.prior.dim}]"),
            ("serving_default", {"z": z * np.float32("nan")}, "z: expected finite numbers"),
        ]
        for name in ("sample", "sample_png"):
            refusals += [
                (name, {"seed": seed[:0]}, "seed: the batch is empty"),
                (name, {"seed": seed[0]}, "seed: expected [n]"),
                (name, {"seed": seed, "truncation": np.float32(1)}, "truncation: expected [n]"),
                (name, {"seed": seed - 1}, "seed: expected 0 or more"),
                (name, {"seed": seed, "truncation": np.float32([0.5, np.nan])}, "truncation: expected numbers"),
                (name, {"seed": seed, "truncation": np.float32([1, 1, 1])}, "truncation: expected one"),
            ]
        return refusals


# Functions, not methods: a variant's method of the same name would take their place.


def paint(model: Latent, *inputs: tf.Tensor) -> tf.Tensor:
    """The images of latents (and what else the generator takes), float32 in [-1, 1]."""
    return tf.cast(model.generator(inputs if len(inputs) > 1 else inputs[0], training=False), tf.float32)


def encode_png(pictures: tf.Tensor) -> tf.Tensor:
    """PNG files `[n]` of uint8 images `[n, height, width, channels]`."""
    return tf.map_fn(tf.io.encode_png, pictures, fn_output_signature=tf.string)


def first_latents(model: Latent, seed: tf.Tensor, truncation: tf.Tensor) -> tf.Tensor:
    """The first latent of each seed `[n]`, float32 `[n, dim]`; each is drawn by itself and depends on no other row."""
    uniform = tf.map_fn(
        lambda s: SAMPLES.uniform("generate", s, [1, model.prior.dim])[0],
        seed,
        fn_output_signature=tf.TensorSpec([model.prior.dim], tf.float32),
    )
    return model.prior.sample(uniform, truncation[:, None])


def _paint_seeds(model: Latent, seed: tf.Tensor, truncation: tf.Tensor) -> tf.Tensor:
    """uint8 images, the first of each seed `[n]`."""
    seed, truncation = guards.seeds(seed, truncation, model.prior.max_truncation)
    return images.to_uint8(paint(model, first_latents(model, seed, truncation)))


def in_batches(function: Callable[..., tf.Tensor], *inputs: tf.Tensor) -> np.ndarray:
    """Applies a function to rows in batches of always the same size, so that no row depends on how many there are."""
    num = inputs[0].shape[0]
    padded = [tf.pad(rows, [[0, -num % _BATCH], *[[0, 0]] * (rows.shape.rank - 1)]) for rows in inputs]
    batches = zip(*(tf.split(rows, rows.shape[0] // _BATCH) for rows in padded), strict=True)
    return np.concatenate([function(*batch).numpy() for batch in batches])[:num]
