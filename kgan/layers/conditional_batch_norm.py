"""Batch normalisation whose scale and shift belong to a class."""

import keras
import tensorflow as tf

from kgan.layers.batch_norm import MOMENTUM
from kgan.layers.instance_norm import fused, normalized


@keras.saving.register_keras_serializable("kgan")
class ConditionalBatchNorm(keras.layers.Layer):
    """(x - mean) / sqrt(variance + epsilon) * scale[y] + shift[y] for images of class y.

    Dumoulin et al. 2017 (section 2.2) and de Vries et al. 2017, as Miyato & Koyama 2018 use it in their generator: the
    tables are embeddings of the classes, of scales that begin at 1 and shifts that begin at 0. Statistics are those of
    the batch, of all classes together, in training, and their moving averages at inference.

    Statistics and tables are float32 whatever the policy.

    Args:
        classes: how many there are.
        epsilon: added to the variance.

    Call: [images `[batch, height, width, channels]`, labels int32 `[batch]` in [0, classes)] -> as the images.
    """

    def __init__(self, classes: int, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.classes = classes
        self.epsilon = epsilon

    def build(self, input_shape):
        channels = input_shape[0][-1]
        self.scale = self._weight("scale", (self.classes, channels), "ones")
        self.shift = self._weight("shift", (self.classes, channels), "zeros")
        self.mean = self._weight("mean", (channels,), "zeros", trainable=False)
        self.variance = self._weight("variance", (channels,), "ones", trainable=False)

    def _weight(self, name: str, shape: tuple[int, ...], start: str, trainable: bool = True) -> keras.Variable:
        return self.add_weight(
            name=name, shape=shape, dtype="float32", initializer=start, trainable=trainable, autocast=False
        )

    def call(self, inputs, training: bool = False):
        images, labels = inputs
        # A product, not a look-up, whose gradient would come as rows of which one may occur twice: no norm of it.
        chosen = tf.one_hot(labels, self.classes)
        scale, shift = (tf.matmul(chosen, table)[:, None, None, :] for table in (self.scale, self.shift))
        if not training:
            return normalized(images, self.mean, self.variance, self.epsilon, scale, shift)
        result, mean, variance = fused(images, self.epsilon)
        self.mean.assign(self.mean * MOMENTUM + mean * (1 - MOMENTUM))
        self.variance.assign(self.variance * MOMENTUM + variance * (1 - MOMENTUM))
        return tf.cast(tf.cast(result, tf.float32) * scale + shift, images.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self) -> dict:
        return {**super().get_config(), "classes": self.classes, "epsilon": self.epsilon}
