"""The one source of random numbers: a pure function of (seed, stream, step, row).

Keras' own random layers keep a state and draw other numbers under XLA; resuming a run, adding a replica or asking for
more images would change what they draw. Here the Philox4x32-10 generator of Salmon et al. 2011 ("Parallel Random
Numbers: As Easy as 1, 2, 3") is used the way that paper proposes: what identifies a number is its key and counter, so
nothing has to be stored. The key is made from (seed, stream), the upper half of the counter is the step, the lower
half counts blocks of four numbers, a whole number of blocks for each row.
"""

import contextlib
import hashlib
import math
import threading
from collections.abc import Iterator, Sequence

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
            step: integer, the training step (or any other index) they are for.
            shape: `(rows, ...)`; `rows` may be a tensor, the rest are integers.
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
        """Draws booleans that are True with probability `p` in [0, 1); other arguments as for `uniform`."""
        return self._bits(stream, step, shape, first_row) < round(p * 2**32) - 2**31

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
        size = math.prod(row_shape)
        blocks = -(-size // _BLOCK)
        moment = tf.cast(step, tf.uint64) + tf.cast(self.branch, tf.uint64) * _STEPS
        counter = tf.stack([tf.cast(first_row, tf.uint64) * blocks, moment])
        bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
            shape=[rows, blocks * _BLOCK], key=[self._key(stream)], counter=counter, alg=PHILOX, dtype=tf.int32
        )
        return tf.reshape(bits if size == blocks * _BLOCK else bits[:, :size], [rows, *row_shape])

    def _key(self, stream: str) -> tf.Tensor:
        digest = hashlib.sha256(f"{self.seed}/{stream}".encode()).digest()
        return tf.constant(int.from_bytes(digest[:8], "little"), tf.uint64)


def scoped_bernoulli(layer: str, shape: Sequence[int], p: float) -> tf.Tensor:
    """`Noise.bernoulli` for a layer, from the scope around its network's call.

    Raises:
        RuntimeError: no `Noise.scope` is open.
    """
    scope = getattr(_current, "scope", None)
    if scope is None:
        raise RuntimeError(f"layer {layer!r} draws random numbers: call its network inside `with noise.scope(...)`")
    noise, stream, step = scope
    return noise.bernoulli(f"{stream}/{layer}", step, shape, p)
