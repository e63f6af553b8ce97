"""Systems that translate images of one domain into another: directions, grids, signatures, pictures of any size."""

import contextlib
from collections.abc import Callable
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from kgan import guards, images
from kgan.noise import Noise

_EXAMPLE = (26, 37)  # height and width of the images that exports are verified with: no multiples of anything
_SEED = tf.TensorSpec([None], tf.int32, name="seed")
SMALLEST = 2  # pixels of a side: below there is nothing to mirror
_DRAWS = Noise(0)  # one key for all seeds: a seed is part of the counter instead, which a served model can be told


def drawing(seeds: tf.Tensor) -> contextlib.AbstractContextManager[None]:
    """Inside the block the networks draw, for row i, the numbers of `seeds[i]`."""
    return _DRAWS.scope("translate", seeds)


class Translation:
    """A mixin for variants whose generators map images to images.

    Attributes:
        directions: the generators by what they do: "a_to_b", "b_to_a".
        draws: whether translations depend on random numbers: then there is one for each seed.
        stride: the sides of what a generator is given are multiples of this ...
        least: ... and at least this.
        reach: how many pixels away a pixel can change the translation of another; 0 where that has no bound.
        bytes_per_pixel: memory that the translation of a picture takes, about.
    """

    directions: dict[str, keras.Model]
    draws: ClassVar[bool] = False
    stride: int
    least: int
    reach: int
    bytes_per_pixel: int

    @property
    def pyfunc_signature(self) -> str:
        """What MLflow's `predict` answers by."""
        return next(iter(self.directions))

    def domains(self, data) -> tuple[tf.Tensor, tf.Tensor]:
        """The images of both domains, float32 `[n, height, width, channels]` in [-1, 1]."""
        a, b, _ = keras.utils.unpack_x_y_sample_weight(data)
        return images.to_float(a), images.to_float(b)

    @property
    def grid_names(self) -> tuple[str, ...]:
        """Of `grids`."""
        return tuple(self.directions)

    def grids(self, shown: tuple[np.ndarray, np.ndarray]) -> dict[str, np.ndarray]:
        """What a training shows of its progress: for each direction a uint8 picture, a row for each image.

        Args:
            shown: images of domain A and of domain B, uint8 `[n, height, width, channels]`.
        """
        panels = {}
        for name, columns in self.panels(*map(images.to_float, map(tf.constant, shown))).items():
            rows = tf.stack([images.to_uint8(column) for column in columns], axis=1)
            panels[name] = images.grid(tf.reshape(rows, [-1, *rows.shape[2:]]).numpy(), len(columns))
        return panels

    def probes(self, shown: tuple[np.ndarray, np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """By direction, translations that are always of the same images, and images of the domain they go to; uint8.

        Args:
            shown: as for `grids`.
        """
        domains = dict(zip("ab", shown, strict=True))
        return {name: (self.translate(domains[name[0]], name), domains[name[-1]]) for name in self.directions}

    def translated(self, direction: str, x: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """What a generator makes of images whose sides fit it.

        Args:
            direction: one of `directions`.
            x: float32 `[n, height, width, channels]` in [-1, 1].
            seeds: int32 `[n]`, of what is drawn for each image.

        Returns:
            As x.
        """
        with drawing(seeds):
            return self.directions[direction](x, training=False)

    def translate(self, pictures: np.ndarray, direction: str, seed: int = 0) -> np.ndarray:
        """Translates pictures of any size from 2 pixels a side, uint8 `[n, height, width, channels]`."""
        if not hasattr(self, "_translate_batch"):
            specs = [tf.TensorSpec([None, None, None, self.image_shape[-1]], tf.uint8), tf.TensorSpec([], tf.int32)]
            self._translate_batch = {
                name: tf.function(
                    lambda x, s, name=name: _translate(self, name, x, tf.repeat(s, tf.shape(x)[0])),
                    input_signature=specs,
                )
                for name in self.directions
            }
        return self._translate_batch[direction](tf.constant(pictures), tf.constant(seed)).numpy()

    def signatures(self) -> dict[str, Callable]:
        """What an exported model can be asked for, each a traced `tf.function` over a batch of any size.

        `a_to_b` (and `b_to_a`): images uint8 `[n, height, width, channels]` of any size -> images of that size.
        `a_to_b_bytes`: image_bytes, JPEG or PNG files, strings `[n]`, sizes mixed -> png_bytes, strings `[n]`.
        `serving_default`: the first direction. Where a system draws, each also takes seed, int32 `[n]` or `[1]`; 0
        where none is given.
        """
        found = {"serving_default": _of_images(self, next(iter(self.directions)))}
        for name in self.directions:
            found[name] = _of_images(self, name)
            found[f"{name}_bytes"] = _of_bytes(self, name)
        return found

    def serving_examples(self, rows: int) -> dict[str, dict[str, np.ndarray]]:
        """Inputs of a batch for each signature."""
        height, width = _EXAMPLE
        pictures = [_pattern(i, height, width, self.image_shape[-1]) for i in range(rows)]
        # Files of both kinds and of other sizes in one batch.
        files = [_file(i, _pattern(i, height + i % 3, width - i % 5, self.image_shape[-1])) for i in range(rows)]
        seeds = {"seed": np.arange(rows, dtype=np.int32)} if self.draws else {}
        examples = {"serving_default": {"images": np.stack(pictures)} | seeds}
        for name in self.directions:
            examples[name] = examples["serving_default"]
            examples[f"{name}_bytes"] = {"image_bytes": np.array(files, object)} | seeds
        return examples

    def serving_refusals(self) -> list[tuple[str, dict[str, np.ndarray], str]]:
        """What an exported model must refuse: (signature, inputs, a part of the reason)."""
        channels = self.image_shape[-1]
        picture = _pattern(0, *_EXAMPLE, channels)
        small, thin = _file(0, picture[:1, :1]), _file(0, picture[:, :1])
        refusals = []
        for name in ("serving_default", *self.directions):
            refusals += [
                (name, {"images": picture[None][:0]}, "images: the batch is empty"),
                (name, {"images": picture}, "images: expected [n, height, width,"),
                (name, {"images": picture[None][..., :0]}, f"images: expected {channels} channels"),
                (name, {"images": picture[None][:, :1]}, "images: expected at least 2x2 pixels"),
            ]
        for name in self.directions:
            refusals += [
                (f"{name}_bytes", {"image_bytes": np.array([], object)}, "image_bytes: the batch is empty"),
                (f"{name}_bytes", {"image_bytes": np.array([b"no image"], object)}, "nknown image file format"),
                (f"{name}_bytes", {"image_bytes": np.array([small], object)}, "expected at least 2x2 pixels"),
                (f"{name}_bytes", {"image_bytes": np.array([thin], object)}, "expected at least 2x2 pixels"),
            ]
            refusals += self._refused_seeds(name, picture) if self.draws else []
        return refusals

    def _refused_seeds(self, name: str, picture: np.ndarray) -> list[tuple[str, dict[str, np.ndarray], str]]:
        negative = {"seed": np.array([-1], np.int32)}, "seed: expected 0 or more"
        many = {"seed": np.array([1, 2], np.int32)}, "seed: expected one, or one for each image"
        asked = (
            (name, {"images": picture[None]}),
            (f"{name}_bytes", {"image_bytes": np.array([_file(0, picture)], object)}),
        )
        return [(s, inputs | seed, reason) for s, inputs in asked for seed, reason in (negative, many)]


def padded(model: Translation, picture: np.ndarray) -> np.ndarray:
    """A picture `[height, width, channels]` with the sides that a generator needs, as it is when whole."""
    sides = (_padded_side(model, side) for side in picture.shape[:2])
    rows, columns = (reflected(n, side).numpy() for n, side in zip(picture.shape, sides, strict=False))
    return picture[rows][:, columns]


def _padded_side(model: Translation, side):
    return tf.maximum(-(-side // model.stride) * model.stride, model.least)


def reflected(length: tf.Tensor, padded: tf.Tensor) -> tf.Tensor:
    """Which of `length` pixels lies at each of `padded` places, mirrored at the end, back and forth: 0 1 2 1 0 1."""
    period = 2 * length - 2
    place = tf.range(padded) % period
    return tf.minimum(place, period - place)


# Functions, not methods: a variant's method of the same name would take their place.


def _translate(model: Translation, direction: str, pictures: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
    """uint8 `[n, height, width, channels]` of any size: padded by mirrored pixels to the stride, and cropped back."""
    height, width = tf.shape(pictures)[1], tf.shape(pictures)[2]
    rows, columns = (reflected(side, _padded_side(model, side)) for side in (height, width))
    whole = tf.gather(tf.gather(pictures, rows, axis=1), columns, axis=2)
    return images.to_uint8(model.translated(direction, images.to_float(whole), seeds)[:, :height, :width])


def _of_images(model: Translation, direction: str) -> Callable:
    channels = model.image_shape[-1]

    def answer(images: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        images = guards.pictures("images", images, channels, SMALLEST)
        seeds = guards.row_seeds(seed, tf.shape(images)[0])
        return {"images": _translate(model, direction, images, seeds)}

    spec, first = tf.TensorSpec([None, None, None, channels], tf.uint8, name="images"), tf.constant([0])
    if model.draws:
        return _traced(lambda images, seed=first: answer(images, seed), spec, _SEED)
    return _traced(lambda images: answer(images, first), spec)


def _of_bytes(model: Translation, direction: str) -> Callable:
    channels = model.image_shape[-1]

    def translate_file(row: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        data, seed = row
        # Of two channels TensorFlow knows only as they come; the guard counts them.
        picture = tf.io.decode_image(data, channels=0 if channels == 2 else channels, expand_animations=False)
        picture = guards.pictures("image_bytes", picture[None], channels, SMALLEST)
        return tf.io.encode_png(_translate(model, direction, picture, seed[None])[0])

    def answer(image_bytes: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        files = guards.strings("image_bytes", image_bytes)
        rows = files, guards.row_seeds(seed, tf.shape(files)[0])
        return {"png_bytes": tf.map_fn(translate_file, rows, fn_output_signature=tf.string)}

    spec, first = tf.TensorSpec([None], tf.string, name="image_bytes"), tf.constant([0])
    if model.draws:
        return _traced(lambda image_bytes, seed=first: answer(image_bytes, seed), spec, _SEED)
    return _traced(lambda image_bytes: answer(image_bytes, first), spec)


def _traced(function: Callable, *specs: tf.TensorSpec) -> Callable:
    return tf.function(function, input_signature=specs, autograph=False)


def _pattern(index: int, height: int, width: int, channels: int) -> np.ndarray:
    """A picture with slopes, edges and grain, uint8 `[height, width, channels]`."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    grain = np.random.default_rng(index).integers(0, 64, (height, width, channels))
    return ((x * 5 + y * 3 * (c + 1) + 60 * ((x // 6 + y // 5 + index) % 2) + grain) % 256).astype(np.uint8)


def _file(index: int, picture: np.ndarray) -> bytes:
    encode = tf.io.encode_jpeg if index % 2 and picture.shape[-1] in (1, 3) else tf.io.encode_png
    return encode(picture).numpy()
