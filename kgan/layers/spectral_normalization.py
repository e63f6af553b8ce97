"""Spectral normalisation: weights divided by their largest singular value."""

import keras
import numpy as np
import tensorflow as tf

from kgan.errors import InputError

_KINDS = (keras.layers.Dense, keras.layers.Conv2D, keras.layers.Conv2DTranspose, keras.layers.Embedding)
_SMALLEST = float(np.finfo("float32").tiny)


@keras.saving.register_keras_serializable("kgan")
class SpectralNormalization(keras.layers.Wrapper):
    """A layer that works with W / sigma(W) instead of its kernel W (Miyato et al. 2018, eq. 8, Algorithm 1).

    sigma(W) = u^T W v is the largest singular value of the kernel as a matrix of one row for each output channel (of a
    transposed convolution too; of an embedding, for each feature), where u and v = W^T u / ||W^T u|| are constants to
    the gradient, which goes through sigma (eq. 11 and 12). W itself is what is trained and stored.

    u moves when `advance` is called and at no other time: every forward pass until then sees the same function of W,
    in training and at inference. v is not stored: one product with W, small beside the layer's own work, gives the v
    that fits W as it is now, also after an update of W.

    Computed in float32 whatever the policy; the wrapped layer then casts W / sigma(W) as it would cast W. A kernel of
    zeros is left as it is.

    Args:
        layer: Dense, Conv2D, Conv2DTranspose or Embedding, with a dtype policy of its own.

    Raises:
        InputError: another kind of layer.
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs):
        if not isinstance(layer, _KINDS):
            expected = ", ".join(kind.__name__ for kind in _KINDS)
            raise InputError(f"layer: got {type(layer).__name__}, expected one of {expected}")
        # Without a policy of its own: it must not cast the layer's inputs, nor W.
        super().__init__(layer, **{"name": layer.name, **kwargs, "dtype": "float32", "autocast": False})

    def build(self, input_shape):
        super().build(input_shape)
        channels = self.kernel.shape[self._axis]
        self.u = self.add_weight(name="u", shape=(channels,), initializer=_random_direction, trainable=False)

    @property
    def kernel(self) -> keras.Variable:
        """W."""
        return self.layer.embeddings if isinstance(self.layer, keras.layers.Embedding) else self.layer.kernel

    @property
    def _axis(self) -> int:
        """The axis of W for the output channels."""
        return 2 if isinstance(self.layer, keras.layers.Conv2DTranspose) else len(self.kernel.shape) - 1

    def call(self, inputs):
        with keras.StatelessScope([(self.kernel, self.normalized())]):
            return self.layer(inputs)

    def normalized(self) -> tf.Tensor:
        """W / sigma(W), float32."""
        kernel = tf.convert_to_tensor(self.kernel)
        u = tf.stop_gradient(tf.convert_to_tensor(self.u))
        v = tf.stop_gradient(_direction(self._transposed_times(kernel, u)))
        sigma = tf.tensordot(u, self._times(kernel, v), 1)
        return kernel / tf.where(sigma < _SMALLEST, 1.0, sigma)

    def advance(self) -> None:
        """One power iteration: v = W^T u / ||W^T u||, then u = W v / ||W v|| (Algorithm 1, step 1)."""
        kernel = tf.convert_to_tensor(self.kernel)
        u = self._times(kernel, _direction(self._transposed_times(kernel, tf.convert_to_tensor(self.u))))
        # A u of zeros would stay so for ever.
        self.u.assign(tf.where(tf.reduce_any(u != 0.0), _direction(u), self.u))

    def _transposed_times(self, kernel: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
        """W^T u, in the shape of the kernel but for the axis of the output channels."""
        return tf.tensordot(kernel, u, [[self._axis], [0]])

    def _times(self, kernel: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
        """W v, `[output channels]`."""
        others = [axis for axis in range(kernel.shape.rank) if axis != self._axis]
        # v first: tensordot would transpose the kernel to have them last.
        return tf.tensordot(v, kernel, [list(range(v.shape.rank)), others])

    def compute_output_spec(self, inputs):
        return self.layer.compute_output_spec(inputs)


def advance(network: keras.Model) -> None:
    """One power iteration for each spectrally normalised layer of a network.

    To be called once for each update of the network, before its tape, and for no other player's update.
    """
    for layer in network.layers:
        if isinstance(layer, SpectralNormalization):
            layer.advance()
        elif isinstance(layer, keras.Model):
            advance(layer)


def _direction(x: tf.Tensor) -> tf.Tensor:
    """x / ||x||, zeros where x is: divided by its largest number first, so that no square is lost or infinite."""
    x = x / tf.maximum(tf.reduce_max(tf.abs(x)), _SMALLEST)
    return x / tf.maximum(tf.norm(x), _SMALLEST)


def _random_direction(shape, dtype=None) -> tf.Tensor:
    return _direction(keras.random.normal(shape, dtype=dtype))
