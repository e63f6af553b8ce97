"""A decoded data set, and the batches that training takes from it."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Sequence

import numpy as np

from kgan.errors import InputError

if typing.TYPE_CHECKING:
    import tensorflow as tf


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
    """One split of a data set, decoded.

    Attributes:
        name: the data set, as it was asked for.
        split: "train", "validation" or "test".
        images: uint8 `[n, side, side, channels]`, an array or a memory map; `side` is the load size.
        labels: int32 `[n]`, or None.
        class_names: in order of label, or None.
        image_size: side of the images that `batches` yields.
        digest: "sha256:" and hex digits over pixels, labels and shape: the same content has the same digest. Of a
            part that `hold_out` gives, the digest of the whole.
        notes: one-line remarks for a person on what was done to the pictures.
        small: an embedded set that wants a small model.
    """

    name: str
    split: str
    images: np.ndarray
    labels: np.ndarray | None
    class_names: tuple[str, ...] | None
    image_size: int
    digest: str
    notes: tuple[str, ...] = ()
    small: bool = False

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the images that `batches` yields."""
        return (self.image_size, self.image_size, self.images.shape[-1])

    @property
    def load_size(self) -> int:
        """Side that the pictures were decoded to."""
        return self.images.shape[1]

    @property
    def size(self) -> int:
        """Images in an epoch."""
        return len(self.images)

    def hold_out(self, count: int) -> tuple[Images, Images]:
        """Keeps images out of training, to choose by: the set without them, and they as its "validation" split.

        They are the last ones; of a set in order of class, as class folders are, the last of each, in proportion.

        Raises:
            InputError: it would leave nothing to train on, or there is nothing to keep out.
        """
        if not 1 <= count < self.size:
            expected = f"1 to {self.size - 1} of the {self.size} images"
            raise InputError(f"--hold-out: got {count}, expected {expected}")
        kept, out = slice(None, -count), slice(-count, None)
        if self.labels is not None and self.labels[0] != self.labels[-1] and (np.diff(self.labels) >= 0).all():
            rank = np.arange(self.size) - np.searchsorted(self.labels, self.labels)
            share = (rank + 0.5) / np.bincount(self.labels)[self.labels]  # how far back in its class
            order = np.argsort(share, kind="stable")
            kept, out = np.sort(order[:-count]), np.sort(order[-count:])
        return self._part(kept, "train"), self._part(out, "validation")

    def _part(self, rows: slice | np.ndarray, split: str) -> Images:
        labels = None if self.labels is None else self.labels[rows]
        return dataclasses.replace(self, images=self.images[rows], labels=labels, split=split)

    def batches(
        self,
        rows: int,
        seed: int,
        first_step: int = 0,
        flip: bool = False,
        augment: Sequence[str] = (),
        labelled: bool = False,
    ) -> tf.data.Dataset:
        """Returns an infinite data set of batches, a pure function of (seed, step).

        Every epoch visits each row once; the batch at its end is filled up from the next. Where the load size is
        above the image size, each image is a random crop.

        Args:
            rows: images in a batch, no more than there are in the set.
            seed: any integer.
            first_step: the step that the first element belongs to: element i is for step `first_step + i`.
            flip: mirror every other image, drawn at random.
            augment: names of `pipelines.augment.AUGMENTATIONS`, applied last and in this order. They draw numbers of
                their own: with them the batches are no function of (seed, step).
            labelled: also the labels.

        Returns:
            Data set of uint8 `[rows, image_size, image_size, channels]`, or of pairs of these and int32 `[rows]`.

        Raises:
            InputError: there are fewer images than rows, labels are asked for and there are none, or an augmentation
                is unknown or not for such images.
        """
        if labelled and self.labels is None:
            expected = "class folders, or a set that has labels"
            raise InputError(f"--data {self.name}: its images have no labels, expected {expected}")
        if rows < 1:
            raise InputError(f"--batch-size {rows}: expected 1 or more")
        if rows > len(self.images):
            raise InputError(
                f"--data {self.name}: too few images for a batch: {len(self.images)} for --batch-size {rows}; give a "
                f"--batch-size of at most {len(self.images)}"
            )
        # Here, not above: reading pictures needs no TensorFlow, and importing it takes seconds.
        import tensorflow as tf

        from kgan.noise import Noise
        from pipelines import order, transforms

        further = self._augmentation(augment)
        noise = Noise(seed)
        count, side = self.images.shape[:2]

        def batch(step: tf.Tensor) -> tf.Tensor:
            chosen = order.rows_of(noise, step, rows, count)
            images = tf.numpy_function(self._take, [chosen], tf.uint8, stateful=False)
            images = tf.ensure_shape(images, [rows, *self.images.shape[1:]])
            if side > self.image_size:
                images = transforms.random_crop(images, self.image_size, noise, step)
            if flip:
                images = transforms.random_flip(images, noise, step)
            return (further(images), tf.gather(self.labels, chosen)) if labelled else further(images)

        return fixed(tf.data.Dataset.counter(first_step).map(batch).prefetch(2))

    def _augmentation(self, names: Sequence[str]) -> Callable[[tf.Tensor], tf.Tensor]:
        if not names:
            return lambda images: images
        from pipelines import augment

        return augment.augmentation(names, self.image_shape)

    def _take(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.images).take(rows, axis=0)


def fixed(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Gives a data set its elements in one order, and lets it end at once."""
    import tensorflow as tf

    options = tf.data.Options()
    options.deterministic = True
    # With it, leaving a data set can block for up to a minute, until the autotune thread wakes (TF 2.21).
    options.autotune.enabled = False
    return dataset.with_options(options)
