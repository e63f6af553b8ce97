"""The convolutional networks of Radford et al. 2015 (DCGAN), for any size.

The paper's network is for 64 px: 4 x 4 positions, then four convolutions of stride 2. Other sizes follow its rule: the
side is halved (rounding up) until it is 7 or less; each halving is a convolution of stride 2 and doubles the channels.
"""

import keras
from keras import layers

from kgan.layers.batch_norm import BatchNorm
from kgan.layers.image_convolution import FromImage, ToImage

_SMALLEST = 7  # 28 px images start from 7 x 7, 64 px ones from the paper's 4 x 4
_KERNEL = 5
_SLOPE = 0.2  # of LeakyReLU, section 4
_WEIGHTS = 0.02  # standard deviation of the initial weights, section 4


def sides(image_size: int) -> list[int]:
    """The side lengths from the image's down to the smallest feature map: 64 -> [64, 32, 16, 8, 4]."""
    lengths = [image_size]
    while lengths[-1] > _SMALLEST:
        lengths.append(-(-lengths[-1] // 2))
    return lengths


def generator(image_shape: tuple[int, int, int], latent_dim: int = 100, width: int = 128) -> keras.Model:
    """Projection, then transposed convolutions of stride 2 with batch norm and ReLU; tanh at the output.

    Args:
        image_shape: (size, size, channels) of the images.
        latent_dim: size of a latent.
        width: channels of the last hidden layer; each layer before it has twice as many (paper, figure 1: 128).

    Returns:
        Latents `[batch, latent_dim]` -> float32 images `[batch, *image_shape]` in [-1, 1].
    """
    lengths = sides(image_shape[0])
    smallest, channels = lengths[-1], width * 2 ** (len(lengths) - 2)
    latents = keras.Input((latent_dim,), name="latents")
    x = layers.Dense(smallest * smallest * channels, use_bias=False, kernel_initializer=_normal(), name="project")(
        latents
    )
    x = layers.Reshape((smallest, smallest, channels), name="map")(x)
    for i, (before, side) in enumerate(zip(lengths[:0:-1], lengths[-2::-1], strict=True)):
        x = _batch_norm(f"norm_{before}")(x)
        x = layers.ReLU(name=f"relu_{before}")(x)
        last = side == lengths[0]
        x = (ToImage if last else layers.Conv2DTranspose)(
            image_shape[-1] if last else channels // 2 ** (i + 1),
            _KERNEL,
            strides=2,
            padding="same",
            use_bias=last,
            kernel_initializer=_normal(),
            name=f"up_{side}",
        )(x)
        if 2 * before > side:
            x = layers.Cropping2D(((0, 2 * before - side), (0, 2 * before - side)), name=f"crop_{side}")(x)
    return keras.Model(latents, layers.Activation("tanh", dtype="float32", name="images")(x), name="generator")


def discriminator(
    image_shape: tuple[int, int, int], width: int = 128, batch_norm: bool = True, output_bias: bool = True
) -> keras.Model:
    """Convolutions of stride 2 with LeakyReLU, batch norm on all but the first; one output on the flattened map.

    Args:
        image_shape: (size, size, channels) of the images.
        width: channels of the first layer; each next one has twice as many.
        batch_norm: False for a critic with a gradient penalty, which is of each image by itself.
        output_bias: False for a Wasserstein critic, whose loss is a difference of its outputs.

    Returns:
        Images `[batch, *image_shape]` in [-1, 1] -> float32 logits `[batch, 1]`.
    """
    images = keras.Input(image_shape, name="images")
    x = images
    for i, side in enumerate(sides(image_shape[0])[1:]):
        first = i == 0
        x = (FromImage if first else layers.Conv2D)(
            width * 2**i,
            _KERNEL,
            strides=2,
            padding="same",
            use_bias=first or not batch_norm,
            kernel_initializer=_normal(),
            name=f"down_{side}",
        )(x)
        x = x if first or not batch_norm else _batch_norm(f"norm_{side}")(x)
        x = layers.LeakyReLU(_SLOPE, name=f"leaky_{side}")(x)
    x = layers.Flatten(name="flat")(x)
    logits = layers.Dense(1, use_bias=output_bias, kernel_initializer=_normal(), dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name="discriminator")


def _normal() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(0.0, _WEIGHTS)


def _batch_norm(name: str) -> layers.Layer:
    return BatchNorm(scale_initializer=keras.initializers.RandomNormal(1.0, _WEIGHTS), name=name)
