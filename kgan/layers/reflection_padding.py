"""Padding by mirrored pixels."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("kgan")
class ReflectionPadding(keras.layers.Layer):
    """Adds `pad` rows and columns on every side, mirrored at the border pixel: c b | a b c | b a.

    Zeros instead would show as artefacts at the borders of the output (Johnson et al. 2016, supplementary).

    Args:
        pad: pixels, fewer than the inputs have on a side.
    """

    def __init__(self, pad: int, **kwargs):
        super().__init__(**kwargs)
        self.pad = pad

    def call(self, inputs):
        return tf.pad(inputs, [[0, 0], [self.pad, self.pad], [self.pad, self.pad], [0, 0]], "REFLECT")

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        padded = (side if side is None else side + 2 * self.pad for side in (height, width))
        return (batch, *padded, channels)

    def get_config(self) -> dict:
        return {**super().get_config(), "pad": self.pad}
