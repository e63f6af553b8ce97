"""The history of generated images that a discriminator is trained with."""

import keras
import tensorflow as tf

from kgan import noise


@keras.saving.register_keras_serializable("kgan")
class ImagePool(keras.layers.Layer):
    """Returns each image or, with probability 1/2, one of an earlier step that it takes the place of.

    Shrivastava et al. 2017, section 2.3, as Zhu et al. 2017, section 4, use it, with 50 images. While the pool fills,
    images are stored and returned. Within a batch no stored image is returned twice, and none of the same batch.

    The pool lies in variables: it is part of the graph, of every checkpoint and of what `--resume` brings back. Draws
    from the `kgan.noise.Noise.scope` around its call.

    Args:
        size: images kept; 0 returns every image as it is.
        image_shape: (height, width, channels).
    """

    def __init__(self, size: int, image_shape: tuple[int, int, int], **kwargs):
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.size = size
        self.image_shape = tuple(image_shape)
        if size:
            self.images = self._variable("images", (size, *self.image_shape), "float32")
            self.stored = self._variable("stored", (), "int32")
        self.built = True

    def _variable(self, name: str, shape: tuple[int, ...], dtype: str) -> keras.Variable:
        return self.add_weight(name=name, shape=shape, dtype=dtype, initializer="zeros", trainable=False)

    def call(self, inputs):
        """Takes and gives float32 `[batch, height, width, channels]`; what the pool has no room for passes."""
        if not self.size:
            return inputs
        return tf.concat([self._exchange(inputs[: self.size]), inputs[self.size :]], axis=0)

    def _exchange(self, inputs: tf.Tensor) -> tf.Tensor:
        rows, stored = tf.shape(inputs)[0], self.stored.value
        is_full = stored >= self.size
        position = stored + tf.range(rows)
        # Different for each row of the batch, so that none is written twice.
        slots = tf.where(is_full, self._random_slots()[:rows], position % self.size)
        swapped = is_full & noise.scoped_bernoulli(f"{self.name}/swap", [rows], 0.5)
        earlier = tf.gather(self.images.value, slots)
        kept = (swapped | (position < self.size))[:, None, None, None]
        self.images.value.scatter_update(tf.IndexedSlices(tf.where(kept, inputs, earlier), slots))
        self.stored.assign(tf.minimum(stored + rows, self.size))
        return tf.where(swapped[:, None, None, None], earlier, inputs)

    def _random_slots(self) -> tf.Tensor:
        """A random order of all slots."""
        return tf.argsort(noise.scoped_uniform(f"{self.name}/slots", [self.size]), stable=True)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        return {**super().get_config(), "size": self.size, "image_shape": self.image_shape}
