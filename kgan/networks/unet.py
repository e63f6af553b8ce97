"""The generator of Isola et al. 2016 (pix2pix, section 2.2.1 and appendix 6.1.1): a U-Net after Ronneberger et al."""

import math

import keras
from keras import layers

from kgan.errors import InputError
from kgan.layers.batch_norm import BatchNorm
from kgan.layers.dropout import Dropout

_DEEPEST = 8  # convolutions of stride 2 on either side: from 256 px to one
_WIDEST = 8  # channels in multiples of the first layer's
_DROPPING = 3  # of the first layers of the decoder
_RATE = 0.5
_SLOPE = 0.2  # of LeakyReLU
_WEIGHTS = 0.02  # standard deviation of the initial weights, appendix 6.2
_SMALLEST = 8  # pixels of a side in the middle, at most


def levels(image_shape: tuple[int, int, int]) -> int:
    """How often the sides of such images are halved: as often as it goes, at most the paper's 8 times.

    Raises:
        InputError: not often enough for the middle to see much of the image.
    """
    height, width, _ = image_shape
    side = math.gcd(height, width)
    halvings = min(_DEEPEST, (side & -side).bit_length() - 1)
    if max(height, width) > _SMALLEST * 2**halvings:
        raise InputError(
            f"image_shape: {height}x{width} can be halved {halvings} times only; expected multiples of "
            f"{2 ** math.ceil(math.log2(max(height, width) / _SMALLEST))}"
        )
    return halvings


def reach(levels: int) -> int:
    """How many pixels away a pixel of the input can still change one of the output, but for the norms' statistics."""
    return 3 * (2**levels - 1)


def generator(
    channels: int, width: int = 64, levels: int = 8, norm_at_test: str = "instance", name: str = "generator"
) -> keras.Model:
    """C64-C128-C256-C512 x 5, then CD512 x 3-C512-C256-C128-C64 with skips, of 4x4 convolutions of stride 2.

    Dropout is in force at test as in training: it is the noise of the system (section 2.2). The innermost layer has no
    batch norm: in a batch of one it would leave nothing but zeros (the paper's errata).

    Args:
        channels: of the images.
        width: channels of the first layer.
        levels: layers of the encoder, and of the decoder.
        norm_at_test: as for `kgan.layers.batch_norm.BatchNorm`.
        name: of the model.

    Returns:
        Images `[batch, height, width, channels]` in [-1, 1], sides multiples of 2**levels -> float32 images of the
        same shape in [-1, 1].
    """
    images = keras.Input((None, None, channels), name="images")
    x, skips = images, []
    for i in range(levels):
        x = layers.LeakyReLU(_SLOPE, name=f"down_{i}_leaky")(x) if i else x
        has_norm = 0 < i < levels - 1
        x = _sample(layers.Conv2D, x, min(2**i, _WIDEST) * width, not has_norm, f"down_{i}")
        x = _norm(norm_at_test, f"down_{i}_norm")(x) if has_norm else x
        skips.append(x)
    for i in reversed(range(levels - 1)):
        x = layers.ReLU(name=f"up_{i}_relu")(x)
        x = _sample(layers.Conv2DTranspose, x, min(2**i, _WIDEST) * width, False, f"up_{i}")
        x = _norm(norm_at_test, f"up_{i}_norm")(x)
        if i >= levels - 1 - _DROPPING:
            x = Dropout(_RATE, at_test=True, name=f"up_{i}_dropout")(x)
        x = layers.Concatenate(name=f"up_{i}_skip")([x, skips[i]])
    x = _sample(layers.Conv2DTranspose, layers.ReLU(name="out_relu")(x), channels, True, "out")
    return keras.Model(images, layers.Activation("tanh", dtype="float32", name="images_out")(x), name=name)


def _sample(layer: type, x, channels: int, use_bias: bool, name: str):
    """A 4x4 convolution that halves or doubles the sides; a norm that follows would take a bias away."""
    weights = keras.initializers.RandomNormal(0.0, _WEIGHTS)
    return layer(channels, 4, 2, "same", use_bias=use_bias, kernel_initializer=weights, name=name)(x)


def _norm(at_test: str, name: str) -> BatchNorm:
    return BatchNorm(at_test, keras.initializers.RandomNormal(1.0, _WEIGHTS), name=name)
