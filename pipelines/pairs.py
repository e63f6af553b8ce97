"""A decoded set of two domains, and the batches that training takes from it."""

from __future__ import annotations

import dataclasses
import hashlib
import typing
from collections.abc import Sequence

from kgan.errors import InputError
from pipelines.images import Images, fixed

if typing.TYPE_CHECKING:
    import tensorflow as tf

_SEED_OF_B = 2**32  # added to the seed: no run's seed for A is another run's for B


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """One split of a data set of two domains, A and B, decoded to one size and one number of channels.

    Attributes:
        name: the data set, as it was asked for.
        a: the images of domain A.
        b: the images of domain B.
        aligned: row i of A and row i of B show the same (pix2pix); else nothing goes together (CycleGAN).
        class_names: None.
    """

    name: str
    a: Images
    b: Images
    aligned: bool

    class_names: typing.ClassVar[None] = None

    def __post_init__(self) -> None:
        if (self.a.image_shape, self.a.load_size) != (self.b.image_shape, self.b.load_size):
            raise ValueError(f"domain A has images of {self.a.image_shape}, domain B of {self.b.image_shape}")
        if self.aligned and self.a.size != self.b.size:
            raise ValueError(f"aligned domains have as many images: got {self.a.size} and {self.b.size}")

    @property
    def split(self) -> str:
        """The split of both domains, "train" or "test"."""
        return self.a.split

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the images that `batches` yields, in both domains."""
        return self.a.image_shape

    @property
    def image_size(self) -> int:
        """Side of the images that `batches` yields."""
        return self.a.image_size

    @property
    def load_size(self) -> int:
        """Side that the pictures were decoded to."""
        return self.a.load_size

    @property
    def size(self) -> int:
        """Rows in an epoch: images of the larger domain."""
        return max(self.a.size, self.b.size)

    @property
    def digest(self) -> str:
        """Of both domains and whether they are aligned: "sha256:" and hex digits."""
        content = f"{self.a.digest} {self.b.digest} {'aligned' if self.aligned else 'not aligned'}"
        return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"

    @property
    def notes(self) -> tuple[str, ...]:
        """One-line remarks on what was done to the pictures; "A: " or "B: " is before those on one domain."""
        shared = [note for note in self.a.notes if note in self.b.notes]
        only_a = [f"A: {note}" for note in self.a.notes if note not in shared]
        only_b = [f"B: {note}" for note in self.b.notes if note not in shared]
        return (*shared, *only_a, *only_b)

    @property
    def small(self) -> bool:
        """An embedded set that wants a small model."""
        return self.a.small and self.b.small

    def batches(
        self, rows: int, seed: int, first_step: int = 0, flip: bool = False, augment: Sequence[str] = ()
    ) -> tf.data.Dataset:
        """Returns an infinite data set of batches of both domains, a pure function of (seed, step).

        Each domain goes through its own rows as `Images.batches` says: an epoch of the smaller one is shorter. Aligned
        domains get the same order, crops and flips; others have nothing in common.

        Args:
            rows: images of each domain in a batch, no more than the smaller one has.
            seed: any integer.
            first_step: the step that the first element belongs to: element i is for step `first_step + i`.
            flip: mirror every other image, drawn at random.
            augment: names of `pipelines.augment.AUGMENTATIONS`, as for `Images.batches`; not for aligned domains.

        Returns:
            Data set of (A, B), each uint8 `[rows, image_size, image_size, channels]`.

        Raises:
            InputError: a domain has fewer images than rows, or an augmentation cannot be had.
        """
        fewest = min(self.a.size, self.b.size)
        if rows > fewest:
            raise InputError(
                f"--batch-size {rows}: domain {'A' if self.a.size == fewest else 'B'} of {self.name} has too few "
                f"images for a batch; expected at most {fewest}"
            )
        if augment and self.aligned:
            raise InputError(
                f"--augment {' '.join(augment)}: would change the two images of a pair in different ways; expected "
                "none for paired data (a larger --load-size and --flip change both alike)"
            )
        import tensorflow as tf

        # Order, crop and flip are functions of the seed alone.
        seeds = (seed, seed if self.aligned else seed + _SEED_OF_B)
        domains = zip((self.a, self.b), seeds, strict=True)
        return fixed(
            tf.data.Dataset.zip(tuple(each.batches(rows, own, first_step, flip, augment) for each, own in domains))
        )
