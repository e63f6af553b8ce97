"""The one source of random numbers: a pure function of (seed, stream, step, row).

Keras' own random layers keep a state and draw other numbers under XLA; resuming a run, adding a replica or asking for
more images would change what they draw. Here the Philox4x32-10 generator of Salmon et al. 2011 ("Parallel Random
Numbers: As Easy as 1, 2, 3") is used the way that paper proposes: what identifies a number is its key and counter, so
nothing has to be stored. The key is made from (seed, stream), the upper half of the counter is the step, the lower
half counts blocks of four numbers, a whole number of blocks for each row.
"""

import contextlib
import functools
import hashlib
import math
import threading
import typing
from collections.abc import Iterator, Sequence

import numpy as np
import scipy.special
import tensorflow as tf

PHILOX = 1  # tf.random.Algorithm.PHILOX; "auto" picks another generator under XLA
_BLOCK = 4  # numbers that one Philox counter value yields
_STEPS = 2**48  # more than a run will ever do: where the steps of the next branch begin

_current = threading.local()


class Noise:
    """Random numbers that depend on (seed, stream, step, row) and on nothing else.

    The same numbers come with and without XLA, in any batch size, and after any number of earlier calls.

    Args:
        seed: any integer.
        branch: integer scalar or variable; another branch draws other numbers. A run that went back to an earlier step
            takes another one, so as not to meet the same fate.
    """

    def __init__(self, seed: int, branch: tf.Tensor | int = 0):
        self.seed = int(seed)
        self.branch = branch

    def uniform(self, stream: str, step: tf.Tensor | int, shape: Sequence[int], first_row: tf.Tensor | int = 0):
        """Draws uniform numbers, row i of which belongs to the global row `first_row + i`.

        Args:
            stream: what the numbers are for; other streams are independent.
            step: integer, the training step (or any other index) they are for; or `[rows]`, one for each row. Then
                a row's numbers depend on no other row, and its own first axis counts as rows.
            shape: `(rows, ...)`; integers or tensors.
            first_row: integer, the global index of the first row: a replica or a later batch gives its offset.

        Returns:
            float32 tensor of `shape`, multiples of 2**-24 in [0, 1).
        """
        # Exact arithmetic on the upper 24 bits: TensorFlow's own op takes the lower ones, XLA's the upper ones.
        bits = tf.bitwise.right_shift(self._bits(stream, step, shape, first_row), 8)
        return tf.cast(bits, tf.float32) * 2.0**-24 + 0.5

    def bernoulli(
        self, stream: str, step: tf.Tensor | int, shape: Sequence[int], p: float, first_row: tf.Tensor | int = 0
    ) -> tf.Tensor:
        """Draws booleans that are True with probability `p` in [0, 1), to 2**-16; other arguments as for `uniform`.

        Each takes half of 32 random bits, as drawing them is what a mask costs: the lower halves are for the first
        half of the last axis.
        """
        *lead, last = shape if len(shape) > 1 else [*shape, 1]
        bits = self._bits(stream, step, [*lead, -(-last // 2)], first_row)
        # As int32, with the half that counts above: comparing int16 takes TensorFlow as long as drawing them.
        threshold = (min(round(p * 2**16), 2**16 - 1) - 2**15) * 2**16
        both = tf.concat([tf.bitwise.left_shift(bits, 16) < threshold, bits < threshold], -1)
        return both if isinstance(last, int) and last % 2 == 0 else tf.reshape(both[..., :last], shape)

    def normal(
        self, stream: str, step: tf.Tensor | int, shape: Sequence[int], first_row: tf.Tensor | int = 0
    ) -> tf.Tensor:
        """Draws float32 numbers from N(0, 1), none farther from 0 than 6.2; arguments as for `uniform`.

        The sum of two independent normal numbers is a normal one: each half of 32 random bits picks one from a table
        of quantiles, which is the same sum wherever it is computed. Logarithms and cosines are rounded differently
        under XLA, and at the end of a vector.
        """
        bits = self._bits(stream, step, shape, first_row)
        table = tf.constant(_half_normal_quantiles())
        return tf.gather(table, bits & 0xFFFF) + tf.gather(table, tf.bitwise.right_shift(bits, 16) & 0xFFFF)

    @contextlib.contextmanager
    def scope(self, stream: str, step: tf.Tensor | int) -> Iterator[None]:
        """Layers that draw (`kgan.layers.Dropout`) take their numbers from this stream inside the block.

        Every forward pass that must differ from the others of its step has a stream of its own.
        """
        outer = getattr(_current, "scope", None)
        _current.scope = (self, stream, step)
        try:
            yield
        finally:
            _current.scope = outer

    def _bits(self, stream: str, step: tf.Tensor | int, shape: Sequence[int], first_row: tf.Tensor | int) -> tf.Tensor:
        """int32 numbers, uniform over all of their range."""
        rows, row_shape = shape[0], tuple(shape[1:])
        if tf.convert_to_tensor(step).shape.rank == 1:
            return tf.map_fn(
                lambda own: self._bits(stream, own, row_shape, first_row), step, fn_output_signature=tf.int32
            )
        size = math.prod(row_shape)  # may be a tensor
        blocks = -(-size // _BLOCK)
        moment = tf.cast(step, tf.uint64) + tf.cast(self.branch, tf.uint64) * _STEPS
        counter = tf.stack([tf.cast(first_row, tf.uint64) * tf.cast(blocks, tf.uint64), moment])
        bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
            shape=[rows, blocks * _BLOCK], key=[self._key(stream)], counter=counter, alg=PHILOX, dtype=tf.int32
        )
        is_whole = isinstance(size, int) and size % _BLOCK == 0
        return tf.reshape(bits if is_whole else bits[:, :size], [rows, *row_shape])

    def _key(self, stream: str) -> tf.Tensor:
        digest = hashlib.sha256(f"{self.seed}/{stream}".encode()).digest()
        return tf.constant(int.from_bytes(digest[:8], "little"), tf.uint64)


def instance_noise(
    noise: Noise, stream: str, step: tf.Tensor | int, images: tf.Tensor, stddev: float, steps: int
) -> tf.Tensor:
    """Adds Gaussian noise that fades to what a discriminator sees.

    Real and generated images then overlap while they are still far apart (Sønderby et al. 2016; Arjovsky
    & Bottou 2017, section 3). Draws for the rows of `images` from `stream` at `step`.

    Args:
        noise, stream, step: as for `Noise.normal`; real and generated images take streams of their own.
        images: float32 `[batch, ...]`.
        stddev: of the noise at step 0; it falls linearly.
        steps: from this step on there is no noise.

    Returns:
        float32 tensor of the images' shape.
    """
    left = tf.nn.relu(1.0 - tf.cast(step, tf.float32) / steps)
    return images + stddev * left * noise.normal(stream, step, [tf.shape(images)[0], *images.shape[1:]])


@functools.cache
def _half_normal_quantiles() -> np.ndarray:
    """2**16 values as likely as each other, float32: the quantiles of N(0, 1/2) in the middle of their shares."""
    quantiles = scipy.special.ndtri((np.arange(2**16) + 0.5) / 2**16)
    return (quantiles * (math.sqrt(0.5) / quantiles.std())).astype(np.float32)


def scoped_bernoulli(layer: str, shape: Sequence[int], p: float) -> tf.Tensor:
    """`Noise.bernoulli` for a layer, from the scope around its network's call.

    Raises:
        RuntimeError: no `Noise.scope` is open.
    """
    noise, stream, step = _scope(layer)
    part = getattr(_current, "window", None)
    if part is None:
        return noise.bernoulli(f"{stream}/{layer}", step, shape, p)
    rows, height, width, channels = shape
    scale = part.height // height  # the layer may stand behind some halvings
    whole_rows = [rows, height, part.width_of_whole // scale, channels]
    left = part.left // scale
    return noise.bernoulli(f"{stream}/{layer}", step, whole_rows, p, part.top // scale)[:, :, left : left + width]


class Window(typing.NamedTuple):
    """A part of a picture: where it lies and how high it is, integers or scalar tensors, in pixels."""

    top: tf.Tensor | int
    left: tf.Tensor | int
    height: tf.Tensor | int
    width_of_whole: tf.Tensor | int


@contextlib.contextmanager
def window(part: Window) -> Iterator[None]:
    """Inside the block layers draw for a part of a picture what they would for the whole.

    For scopes with a step for each row only.
    """
    _current.window = part
    try:
        yield
    finally:
        _current.window = None


def scoped_uniform(layer: str, shape: Sequence[int]) -> tf.Tensor:
    """`Noise.uniform`, else as `scoped_bernoulli`."""
    noise, stream, step = _scope(layer)
    return noise.uniform(f"{stream}/{layer}", step, shape)


def _scope(layer: str) -> tuple[Noise, str, tf.Tensor | int]:
    scope = getattr(_current, "scope", None)
    if scope is None:
        raise RuntimeError(f"layer {layer!r} draws random numbers: call its network inside `with noise.scope(...)`")
    return scope
