"""Dropout whose mask comes from the noise source."""

import keras
import tensorflow as tf

from kgan import noise


@keras.saving.register_keras_serializable("kgan")
class Dropout(keras.layers.Layer):
    """Sets a share `rate` of the inputs to 0 and divides the others by 1 - rate (Srivastava et al. 2014, inverted).

    Keras' own layer keeps a random state that a checkpoint does not hold, and draws other masks under XLA. This one
    draws from the `kgan.noise.Noise.scope` around the network's call: the mask is a function of (seed, stream, step,
    row). The layer's name is part of the stream, so give it one.

    Args:
        rate: in [0, 1).
        at_test: whether it also drops at test, where dropout is the noise of a system.
    """

    def __init__(self, rate: float, at_test: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate
        self.at_test = at_test

    def call(self, inputs, training: bool = False):
        if self.rate == 0.0 or not (training or self.at_test):
            return inputs
        kept = noise.scoped_bernoulli(self.name, keras.ops.shape(inputs), 1.0 - self.rate)
        return tf.where(kept, inputs * (1.0 / (1.0 - self.rate)), tf.zeros((), inputs.dtype))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        return {**super().get_config(), "rate": self.rate, "at_test": self.at_test}
