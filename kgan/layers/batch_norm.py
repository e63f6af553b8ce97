"""Batch normalisation, with a say in what it goes by at test."""

from typing import Literal

import keras
import tensorflow as tf

from kgan.layers.instance_norm import InstanceNorm, fused, normalized

_MOMENTUM = 0.99  # of the moving statistics


@keras.saving.register_keras_serializable("kgan")
class BatchNorm(InstanceNorm):
    """In training by the statistics of the batch (Ioffe & Szegedy 2015), at test by each image's own or moving ones.

    Statistics, scale and shift are float32 whatever the policy.

    Args:
        at_test: "instance" takes each image's own statistics, what Isola et al. 2016 (appendix 6.1.1) do with their
            batches of one; "moving" the running means of training.
        epsilon: added to the variance.
    """

    def __init__(self, at_test: Literal["instance", "moving"] = "instance", epsilon: float = 1e-5, **kwargs):
        super().__init__(epsilon, **kwargs)
        self.at_test = at_test

    def build(self, input_shape):
        shape = (input_shape[-1],)
        scales = keras.initializers.RandomNormal(1.0, 0.02)
        self.scale = self.add_weight(name="scale", shape=shape, dtype="float32", initializer=scales, autocast=False)
        self.shift = self.add_weight(name="shift", shape=shape, dtype="float32", initializer="zeros", autocast=False)
        if not self.by_image:
            self.mean = self._statistic("mean", shape, "zeros")
            self.variance = self._statistic("variance", shape, "ones")

    def _statistic(self, name: str, shape: tuple[int], start: str) -> keras.Variable:
        return self.add_weight(
            name=name, shape=shape, dtype="float32", initializer=start, trainable=False, autocast=False
        )

    @property
    def by_image(self) -> bool:
        return self.at_test == "instance"

    def call(self, inputs, training: bool = False):
        if training:
            result, mean, variance = fused(inputs, self.epsilon, self.scale, self.shift)
            self._follow(mean, variance)
            return result
        if self.by_image:
            return self.normalize(inputs, self.scale, self.shift)
        return normalized(inputs, self.mean, self.variance, self.epsilon, self.scale, self.shift)

    def _follow(self, mean: tf.Tensor, variance: tf.Tensor) -> None:
        if not self.by_image:
            self.mean.assign(self.mean * _MOMENTUM + mean * (1 - _MOMENTUM))
            self.variance.assign(self.variance * _MOMENTUM + variance * (1 - _MOMENTUM))

    def get_config(self) -> dict:
        return {**super().get_config(), "at_test": self.at_test}
