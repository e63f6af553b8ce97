"""Systems whose generator is told a class: `generate --label`, grids with a class in each row, a label when served."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kgan import guards, images
from kgan.errors import InputError
from kgan.latent import SAMPLES, Latent, encode_png, first_latents, paint

_COLUMNS = 8  # of the grid
_ROWS = 10  # classes of the grid at most
_DRAWN = -1  # the label that a served model takes for none


class Conditional(Latent):
    """A mixin for variants whose `generator` takes [latents, labels], int32 `[n]` from 0 to `classes` - 1."""

    classes: int

    def inputs(
        self, num: int, seed: int = 0, truncation: float = 1.0, label: int | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What the generator makes the first `num` images of a seed from: latents and labels.

        Args:
            num: how many.
            seed: of the latents.
            truncation: of the prior.
            label: of all; where none is given each row's is drawn, by its seed and number alone, every class as likely
                as the others.

        Raises:
            InputError: as for `latents`, or there is no such class.
        """
        latents = self.latents(num, seed, truncation)
        if label is None:
            return latents, drawn_labels(num, seed, self.classes)
        if not 0 <= label < self.classes:
            raise InputError(f"label: got {label}, expected 0 to {self.classes - 1}")
        return latents, tf.fill([num], label)

    def grid(self) -> np.ndarray:
        """A row of 8 images for each class, ten classes at most, from latents that are the same in all rows."""
        rows = min(self.classes, _ROWS)
        latents = tf.tile(self.latents(_COLUMNS, self.seed), [rows, 1])
        return images.grid(self.decode(latents, tf.repeat(tf.range(rows), _COLUMNS)), _COLUMNS)

    def signatures(self) -> dict[str, Callable]:
        """As those of `Latent`, with a label int32 `[n]`: for `serving_default` it must be given; `sample` and
        `sample_png` also take one for all, and draw it by the seed where it is -1, the default.
        """
        dim, classes = self.prior.dim, self.classes
        z_spec = tf.TensorSpec([None, dim], tf.float32, name="z")
        seed_spec = tf.TensorSpec([None], tf.int32, name="seed")
        truncation_spec = tf.TensorSpec([None], tf.float32, name="truncation")
        label_spec = tf.TensorSpec([None], tf.int32, name="label")
        everything, drawn = tf.constant([1.0]), tf.constant([_DRAWN])

        @tf.function(input_signature=[z_spec, label_spec], autograph=False)
        def serving_default(z, label):
            z = guards.rows("z", z, dim)
            return {"images": paint(self, z, guards.labels(label, tf.shape(z)[0], 0, classes))}

        @tf.function(input_signature=[seed_spec, truncation_spec, label_spec], autograph=False)
        def sample(seed, truncation=everything, label=drawn):
            return {"images": _paint_seeds(self, seed, truncation, label)}

        @tf.function(input_signature=[seed_spec, truncation_spec, label_spec], autograph=False)
        def sample_png(seed, truncation=everything, label=drawn):
            return {"png_bytes": encode_png(_paint_seeds(self, seed, truncation, label))}

        return {"serving_default": serving_default, "sample": sample, "sample_png": sample_png}

    def serving_examples(self, rows: int) -> dict[str, dict[str, np.ndarray]]:
        """Inputs of a batch for each signature."""
        label = np.arange(rows, dtype=np.int32) % self.classes
        drawn = {"label": np.where(label % 2, label, _DRAWN).astype(np.int32)}
        labels = {"serving_default": {"label": label}, "sample": drawn, "sample_png": drawn}
        return {name: inputs | labels[name] for name, inputs in super().serving_examples(rows).items()}

    def serving_refusals(self) -> list[tuple[str, dict[str, np.ndarray], str]]:
        """What an exported model must refuse: (signature, inputs, a part of the reason)."""
        z, seed, label = np.zeros((2, self.prior.dim), np.float32), np.zeros(2, np.int32), np.zeros(2, np.int32)
        unlabelled = [(name, inputs | {"label": label[:1]}, why) for name, inputs, why in super().serving_refusals()]
        above = f"label: expected 0 to {self.classes - 1}"
        return [
            *unlabelled,
            ("serving_default", {"z": z, "label": label - 1}, above),
            ("serving_default", {"z": z, "label": label + self.classes}, above),
            ("serving_default", {"z": z, "label": label[:1]}, "label: expected one for each"),
            ("sample", {"seed": seed, "label": label + self.classes}, "label: expected -1 to"),
            ("sample_png", {"seed": seed, "label": label - 2}, "label: expected -1 to"),
            ("sample", {"seed": seed, "label": np.zeros(3, np.int32)}, "label: expected one"),
        ]


def drawn_labels(num: int, seed: int, classes: int) -> tf.Tensor:
    """The classes of the first `num` images of a seed, int32 `[num]`, where none is asked for."""
    return _classes(SAMPLES.uniform("labels", seed, [num, 1]), classes)


def _classes(uniform: tf.Tensor, classes: int) -> tf.Tensor:
    """Uniform numbers `[n, 1]` in [0, 1) to classes, int32 `[n]`."""
    return tf.cast(uniform[:, 0] * classes, tf.int32)


def _paint_seeds(model: Conditional, seed: tf.Tensor, truncation: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """uint8 images, the first of each seed `[n]`."""
    seed, truncation = guards.seeds(seed, truncation, model.prior.max_truncation)
    label = guards.labels(label, tf.shape(seed)[0], _DRAWN, model.classes)
    uniform = tf.map_fn(
        lambda s: SAMPLES.uniform("labels", s, [1, 1])[0],
        seed,
        fn_output_signature=tf.TensorSpec([1], tf.float32),
    )
    label = tf.where(label == _DRAWN, _classes(uniform, model.classes), label)
    return images.to_uint8(paint(model, first_latents(model, seed, truncation), label))
