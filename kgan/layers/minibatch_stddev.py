"""A feature that tells how much the images of a batch differ."""

import math

import keras
import tensorflow as tf

_EPSILON = 1e-8  # added to the variance: the gradient of a root is infinite at 0


@keras.saving.register_keras_serializable("kgan")
class MinibatchStddev(keras.layers.Layer):
    """Appends one constant feature map: the standard deviation over a group of images (Karras et al. 2017, section 3).

    Of each feature at each position over the group, then the mean of them all. A generator that makes one image only
    is so told from the data. Groups are of consecutive rows; rows that are left over form a smaller group, and a group
    of one image has 1e-4. Computed in float32 whatever the policy.

    Args:
        group: images of a group; a batch of fewer is one group.

    Call: `[batch, height, width, channels]` -> `[batch, height, width, channels + 1]`.
    """

    def __init__(self, group: int = 4, **kwargs):
        super().__init__(**kwargs)
        self.group = group

    def call(self, inputs):
        rows, *shape = tf.unstack(tf.shape(inputs))
        missing = -rows % self.group
        values = tf.reshape(tf.cast(inputs, tf.float32), [rows, math.prod(inputs.shape[1:])])
        values = tf.reshape(tf.pad(values, [[0, missing], [0, 0]]), [-1, self.group, values.shape[1]])
        present = tf.reshape(tf.pad(tf.ones([rows, 1]), [[0, missing], [0, 0]]), [-1, self.group, 1])
        count = tf.reduce_sum(present, axis=1, keepdims=True)
        mean = tf.reduce_sum(values, axis=1, keepdims=True) / count
        variance = tf.reduce_sum(present * (values - mean) ** 2, axis=1, keepdims=True) / count
        stddev = tf.reduce_mean(tf.sqrt(variance + _EPSILON), axis=2)
        own = tf.reshape(tf.repeat(stddev, self.group, axis=0)[:rows], [rows, 1, 1, 1])
        feature = tf.broadcast_to(tf.cast(own, inputs.dtype), [rows, *shape[:2], 1])
        return tf.concat([inputs, feature], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] + 1)

    def get_config(self) -> dict:
        return {**super().get_config(), "group": self.group}
