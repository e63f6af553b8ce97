"""PatchGAN: a discriminator that judges overlapping patches (Isola et al. 2016, section 2.2.2 and appendix 6.1.2)."""

import keras
from keras import layers

from kgan.errors import InputError, require_choice
from kgan.layers.instance_norm import InstanceNorm

PATCHES = {1: 0, 16: 1, 70: 3, 286: 5}  # size of a patch in pixels -> convolutions of stride 2
_SLOPE = 0.2  # of LeakyReLU
_WEIGHTS = 0.02  # standard deviation of the initial weights
_WIDEST = 8  # channels in multiples of the first layer's


def check(patch: int, image_shape: tuple[int, int, int]) -> None:
    """Raises InputError where images are too small for a discriminator of such patches, or there is none."""
    require_choice("patch", patch, PATCHES)
    height, width, _ = image_shape
    fitting = [size for size, halvings in PATCHES.items() if min(height, width) >= 3 * 2**halvings]
    if patch not in fitting:
        raise InputError(f"patch: got {patch} for images of {height}x{width}, expected {fitting[-1]} or smaller")


def discriminator(
    image_shape: tuple[int, int, int], width: int = 64, patch: int = 70, norm=InstanceNorm, name: str = "discriminator"
) -> keras.Model:
    """C64-C128-C256-C512 of 4x4 convolutions for patches of 70 px, and one logit for each patch.

    Args:
        image_shape: (height, width, channels) of what is judged; height and width may be None.
        width: channels of the first layer.
        patch: size of the patches in pixels: 1, 16, 70 or 286.
        norm: makes the layer after each convolution but the first and the last, from its name.
        name: of the model.

    Returns:
        Images `[batch, height, width, channels]` -> float32 logits `[batch, rows, columns, 1]`.
    """
    images = keras.Input(image_shape, name="images")
    x = _pixels(images, width, norm) if patch == 1 else _patches(images, width, PATCHES[patch], norm)
    return keras.Model(images, x, name=name)


def _patches(images, width: int, halvings: int, norm):
    channels = [width * min(2**i, _WIDEST) for i in range(halvings + 1)]
    x = images
    for i, count in enumerate(channels):
        last = i == halvings
        x = _convolve(x, count, 4, 1 if last else 2, i == 0, f"convolve_{i}")
        x = x if i == 0 else norm(name=f"norm_{i}")(x)
        x = layers.LeakyReLU(_SLOPE, name=f"leaky_{i}")(x)
    return _convolve(x, 1, 4, 1, True, "logits", dtype="float32")


def _pixels(images, width: int, norm):
    """The PixelGAN: 1x1 convolutions."""
    x = _convolve(images, width, 1, 1, True, "convolve_0")
    x = layers.LeakyReLU(_SLOPE, name="leaky_0")(x)
    x = norm(name="norm_1")(_convolve(x, 2 * width, 1, 1, False, "convolve_1"))
    x = layers.LeakyReLU(_SLOPE, name="leaky_1")(x)
    return _convolve(x, 1, 1, 1, True, "logits", dtype="float32")


def _convolve(x, channels: int, kernel: int, stride: int, use_bias: bool, name: str, dtype=None):
    """A convolution after one row of zeros on each side, where the kernel is 4: "same" would pad unevenly."""
    if kernel == 4:
        x = layers.ZeroPadding2D(1, name=f"pad_{name}")(x)
    weights = keras.initializers.RandomNormal(0.0, _WEIGHTS)
    return layers.Conv2D(
        channels, kernel, strides=stride, use_bias=use_bias, kernel_initializer=weights, name=name, dtype=dtype
    )(x)
