"""Convolutions next to an image, whose few channels leave a CPU's kernels mostly idle.

What is slow is the convolution to an image: a generator's last layer, and where that is transposed also the gradient
for the pictures in a discriminator's first. Its outputs at even and at odd rows and columns are four convolutions of
the same map (Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?"): one convolution to
four times the channels, then depth to space. Weights, their names and results are those of Keras' layers.
"""

import keras
import tensorflow as tf

_STRIDE = 2
_KERNELS = (4, 5)  # sides for which "same" pads one row and one column before an image of even sides


@keras.saving.register_keras_serializable("kgan")
class FromImage(keras.layers.Conv2D):
    """`keras.layers.Conv2D` of an image of even sides, of stride 2, with "same" padding and a kernel of 4 or 5.

    Raises:
        ValueError: other options, or a side that is odd; as for the other layers of this module.
    """

    def convolution_op(self, inputs, kernel):
        _check(self)
        _check_even(self, inputs.shape[1:3])
        return _down(inputs, tf.convert_to_tensor(kernel))


@keras.saving.register_keras_serializable("kgan")
class ToImage(keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose` to an image, of stride 2, with "same" padding and a kernel of 4 or 5."""

    def call(self, inputs, training: bool = False):
        _check(self)
        # An exported model that has gradients of its own warns whoever loads it; it is right without them, if slower.
        transpose = _up if training else _by_phases
        outputs = transpose(inputs, tf.convert_to_tensor(self.kernel))
        return self.activation(outputs if self.bias is None else outputs + self.bias)


@keras.saving.register_keras_serializable("kgan")
class SmoothToImage(keras.layers.Conv2D):
    """`keras.layers.Conv2D` to an image of even sides, of stride 1, without padding ("valid")."""

    def convolution_op(self, inputs, kernel):
        if (set(self.strides), self.padding) != ({1}, "valid"):
            found = f"strides {self.strides}, padding {self.padding!r}"
            raise ValueError(f"{self.name}: got {found}, expected strides 1 and padding 'valid'")
        _check_even(self, self.compute_output_shape(inputs.shape)[1:3])
        shifts = [[shift, 1 - shift] for shift in range(_STRIDE)]
        kernel = tf.convert_to_tensor(kernel)
        kernels = [tf.pad(kernel, [rows, columns, [0, 0], [0, 0]]) for rows in shifts for columns in shifts]
        return tf.nn.depth_to_space(tf.nn.conv2d(inputs, tf.concat(kernels, -1), _STRIDE, "VALID"), _STRIDE)


def _check(layer: keras.layers.Layer) -> None:
    kernel, stride = set(layer.kernel_size), set(layer.strides)
    if not (kernel <= set(_KERNELS) and stride == {_STRIDE} and layer.padding == "same"):
        found = f"kernel {layer.kernel_size}, strides {layer.strides}, padding {layer.padding!r}"
        raise ValueError(f"{layer.name}: got {found}, expected a kernel of 4 or 5, strides 2 and padding 'same'")


def _check_even(layer: keras.layers.Layer, sides: tuple[int | None, ...]) -> None:
    if any(side is not None and side % 2 for side in sides):
        raise ValueError(f"{layer.name}: got an image of the sides {tuple(sides)}, expected even ones")


# Each is the other's gradient for its first argument, so that both can be differentiated any number of times.


@tf.custom_gradient
def _down(x: tf.Tensor, kernel: tf.Tensor):
    """Convolution `[n, 2h, 2w, few]` -> `[n, h, w, many]` with `[side, side, few, many]`."""

    def gradient(upstream):
        return _up(upstream, kernel), _kernel_gradient(x, kernel, upstream)

    return tf.nn.conv2d(x, kernel, _STRIDE, "SAME"), gradient


@tf.custom_gradient
def _up(x: tf.Tensor, kernel: tf.Tensor):
    """Its transpose, `[n, h, w, many]` -> `[n, 2h, 2w, few]`."""

    def gradient(upstream):
        return _down(upstream, kernel), _kernel_gradient(upstream, kernel, x)

    return _by_phases(x, kernel), gradient


def _by_phases(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return tf.nn.depth_to_space(tf.nn.conv2d(x, _phases(kernel), 1, "SAME"), _STRIDE)


def _kernel_gradient(image: tf.Tensor, kernel: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.Conv2DBackpropFilter(
        input=image,
        filter_sizes=tf.shape(kernel),
        out_backprop=features,
        strides=[1, _STRIDE, _STRIDE, 1],
        padding="SAME",
    )


def _phases(kernel: tf.Tensor) -> tf.Tensor:
    """`[side, side, few, many]` -> `[3, 3, many, 4 few]`.

    Pixel 2i + p of an image takes from feature i + d, d in (-1, 0, 1), the kernel's row p + 1 - 2d: row p + 2 (1 - d)
    of one that has a row of zeros before it and as many after it as make six. Columns likewise.
    """
    side, _, few, many = kernel.shape
    padding = [1, 5 - side]
    six = tf.pad(kernel, [padding, padding, [0, 0], [0, 0]])
    split = tf.reverse(tf.reshape(six, [3, _STRIDE, 3, _STRIDE, few, many]), [0, 2])
    return tf.reshape(tf.transpose(split, [0, 2, 5, 1, 3, 4]), [3, 3, many, _STRIDE**2 * few])
