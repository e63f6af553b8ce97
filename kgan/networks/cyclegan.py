"""The generator of Zhu et al. 2017 (CycleGAN, appendix 7.2), after Johnson et al. 2016: it maps images to images."""

import keras
from keras import layers

from kgan.layers.image_convolution import SmoothToImage
from kgan.layers.instance_norm import InstanceNorm
from kgan.layers.reflection_padding import ReflectionPadding
from kgan.layers.repeat import Repeat

STRIDE = 4  # the sides of an image are multiples of this
_WEIGHTS = 0.02  # standard deviation of the initial weights, appendix 7.2


def generator(channels: int, width: int = 64, blocks: int = 9, upsample: str = "transpose", name: str = "generator"):
    """c7s1-64, d128, d256, R256 x blocks, u128, u64, c7s1-3, with instance norm and reflection padding.

    Args:
        channels: of the images.
        width: channels of the first layer.
        blocks: residual blocks of two 3x3 convolutions; the paper takes 6 for 128 px, 9 from 256 px on.
        upsample: "transpose" is the paper's, a transposed convolution of stride 2; "resize" repeats pixels before a
            convolution, which leaves no checkerboard (Odena et al. 2016).
        name: of the model.

    Returns:
        Images `[batch, height, width, channels]` of any size from 8 px in [-1, 1], sides multiples of `STRIDE` ->
        float32 images of the same shape in [-1, 1].
    """
    images = keras.Input((None, None, channels), name="images")
    x = ReflectionPadding(3, name="pad_in")(images)
    x = _relu(_convolve(x, width, 7, "in"), "in")
    for i in (2, 4):
        x = _relu(_convolve(x, i * width, 3, f"down_{i}", strides=2, padding="same"), f"down_{i}")
    for i in range(blocks):
        x = _residual_block(x, 4 * width, f"block_{i}")
    for i in (2, 1):
        x = _relu(_grow(x, i * width, upsample, f"up_{i}"), f"up_{i}")
    x = ReflectionPadding(3, name="pad_out")(x)
    x = SmoothToImage(channels, 7, kernel_initializer=_normal(), name="out")(x)
    return keras.Model(images, layers.Activation("tanh", dtype="float32", name="images_out")(x), name=name)


def reach(blocks: int) -> int:
    """How many pixels away a pixel of the input can still change one of the output, but for the norms' statistics."""
    ends, samplings = 3 + 3, 2 + 4 + 4 + 2
    return ends + samplings + blocks * 2 * STRIDE


def _residual_block(x, channels: int, name: str):
    y = ReflectionPadding(1, name=f"{name}_pad_1")(x)
    y = _relu(_convolve(y, channels, 3, f"{name}_1"), f"{name}_1")
    y = ReflectionPadding(1, name=f"{name}_pad_2")(y)
    y = _norm(_convolve(y, channels, 3, f"{name}_2"), f"{name}_2")
    return layers.Add(name=f"{name}_add")([x, y])


def _grow(x, channels: int, upsample: str, name: str):
    if upsample == "transpose":
        return layers.Conv2DTranspose(
            channels, 3, strides=2, padding="same", use_bias=False, kernel_initializer=_normal(), name=name
        )(x)
    x = ReflectionPadding(1, name=f"{name}_pad")(Repeat(name=f"{name}_repeat")(x))
    return _convolve(x, channels, 3, name)


def _convolve(x, channels: int, kernel: int, name: str, **options):
    # No bias: the norm that follows would take it away.
    return layers.Conv2D(channels, kernel, use_bias=False, kernel_initializer=_normal(), name=name, **options)(x)


def _norm(x, name: str):
    return InstanceNorm(name=f"{name}_norm")(x)


def _relu(x, name: str):
    return layers.ReLU(name=f"{name}_relu")(_norm(x, name))


def _normal() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(0.0, _WEIGHTS)
