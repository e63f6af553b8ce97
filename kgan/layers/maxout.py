"""The maxout unit."""

import functools

import keras
from keras import ops


@keras.saving.register_keras_serializable("kgan")
class Maxout(keras.layers.Layer):
    """h_i(x) = max_j (x W_ij + b_ij), j = 1 ... pieces (Goodfellow et al. 2013, "Maxout Networks", section 3).

    Args:
        units: number of outputs.
        pieces: linear pieces of each.
        kernel_initializer: as for `keras.layers.Dense`.

    Call: float `[batch, features]` -> `[batch, units]`.
    """

    def __init__(self, units: int, pieces: int, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.pieces = pieces
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        width = self.units * self.pieces
        self.kernel = self.add_weight(
            shape=(input_shape[-1], width), initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")

    def call(self, inputs):
        pieces = ops.split(ops.matmul(inputs, self.kernel) + self.bias, self.pieces, axis=-1)
        # Of two at a time: the gradient of a largest one along an axis takes as long as a tenth of the product.
        return functools.reduce(ops.maximum, pieces)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict:
        initializer = keras.initializers.serialize(self.kernel_initializer)
        own = {"units": self.units, "pieces": self.pieces, "kernel_initializer": initializer}
        return {**super().get_config(), **own}
