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

_current = threading.local()


class Noise:
    """Random numbers that depend on (seed, stream, step, row) and on nothing else.

    The same numbers come with and without XLA, in any batch size, and after any number of earlier calls.

    Args:
        seed: any integer.
    """

    def __init__(self, seed: int):
        self.seed = int(seed)

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
        rows, row_shape = shape[0], tuple(shape[1:])
        blocks = -(-math.prod(row_shape) // _BLOCK)
        counter = tf.stack([tf.cast(first_row, tf.uint64) * blocks, tf.cast(step, tf.uint64)])
        bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
            shape=[rows, blocks * _BLOCK], key=[self._key(stream)], counter=counter, alg=PHILOX, dtype=tf.uint32
        )
        bits = tf.reshape(bits[:, : math.prod(row_shape)], [rows, *row_shape])
        # Own conversion of the upper 24 bits: TensorFlow's float op takes the lower ones, XLA's the upper ones.
        return tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24

    @contextlib.contextmanager
    def scope(self, stream: str, step: tf.Tensor | int) -> Iterator[None]:
        """Layers that draw (`kgan.layers.Dropout`) take their numbers from this stream inside the block.

        Every forward pass that must differ from the others of its step has a stream of its own.
        """
        outer = getattr(_current, "draw", None)

        def draw(layer: str, shape: Sequence[int]) -> tf.Tensor:
            return self.uniform(f"{stream}/{layer}", step, shape)

        _current.draw = draw
        try:
            yield
        finally:
            _current.draw = outer

    def _key(self, stream: str) -> tf.Tensor:
        digest = hashlib.sha256(f"{self.seed}/{stream}".encode()).digest()
        return tf.constant(int.from_bytes(digest[:8], "little"), tf.uint64)


def draw(layer: str, shape: Sequence[int]) -> tf.Tensor:
    """Uniform numbers for a layer, from the scope around its network's call.

    Raises:
        RuntimeError: no `Noise.scope` is open.
    """
    current = getattr(_current, "draw", None)
    if current is None:
        raise RuntimeError(f"layer {layer!r} draws random numbers: call its network inside `with noise.scope(...)`")
    return current(layer, shape)
