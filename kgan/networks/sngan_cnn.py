"""The "standard CNN" of Miyato et al. 2018 (SN-GAN, appendix B.4, table 3), for any size.

The paper's networks are for 32 and 48 px: three halvings of the sides, and as many doublings. Sides that are no
multiples of 8 are rounded up when they are halved: 28, 14, 7, 4.

The paper does not say how weights start. Here it is N(0, 0.02), as in DCGAN, which the networks are like.
"""

import keras
from keras import layers

from kgan.layers.batch_norm import BatchNorm
from kgan.layers.spectral_normalization import SpectralNormalization

_HALVINGS = 3
_SLOPE = 0.1  # of LeakyReLU, table 3
_WEIGHTS = 0.02  # standard deviation of the initial weights


def generator(image_shape: tuple[int, int, int], width: int = 64, latent_dim: int = 128) -> keras.Model:
    """Projection, then three 4x4 transposed convolutions with batch norm and ReLU, a 3x3 convolution and tanh.

    Args:
        image_shape: (height, width, channels) of the images.
        width: channels of the last hidden layer; each layer before it has twice as many.
        latent_dim: size of a latent.

    Returns:
        Latents `[batch, latent_dim]` -> float32 images `[batch, *image_shape]` in [-1, 1].
    """
    *_, (rows, columns) = sides = _sides(image_shape)
    latents = keras.Input((latent_dim,), name="latents")
    # Nothing between this and the first convolution: table 3.
    x = layers.Dense(rows * columns * 8 * width, kernel_initializer=_normal(), name="project")(latents)
    x = layers.Reshape((rows, columns, 8 * width), name="map")(x)
    for i, side in zip((4, 2, 1), sides[-2::-1], strict=True):
        x = _grow(x, i * width, side, f"up_{i}")
    x = layers.Conv2D(image_shape[-1], 3, padding="same", kernel_initializer=_normal(), name="out")(x)
    return keras.Model(latents, layers.Activation("tanh", dtype="float32", name="images")(x), name="generator")


def discriminator(image_shape: tuple[int, int, int], width: int = 64) -> keras.Model:
    """3x3 convolutions, and 4x4 ones of stride 2, with LeakyReLU; one output on the flattened map.

    Every layer is spectrally normalised.

    Args:
        image_shape: (height, width, channels) of the images.
        width: channels of the first layer; they double after each halving of the sides.

    Returns:
        Images `[batch, *image_shape]` in [-1, 1] -> float32 logits `[batch, 1]`.
    """
    images = keras.Input(image_shape, name="images")
    x = images
    for i in (1, 2, 4):
        x = _convolve(x, i * width, 3, 1, f"keep_{i}")
        x = _convolve(x, i * width, 4, 2, f"down_{i}")
    x = _convolve(x, 8 * width, 3, 1, "keep_8")
    x = layers.Flatten(name="flat")(x)
    logits = layers.Dense(1, kernel_initializer=_normal(), dtype="float32", name="logits")
    return keras.Model(images, SpectralNormalization(logits)(x), name="discriminator")


def _sides(image_shape: tuple[int, int, int]) -> list[tuple[int, int]]:
    """(height, width) from the image's down to the smallest map's: 28 px -> 28, 14, 7, 4."""
    height, width, _ = image_shape
    return [(-(-height // 2**i), -(-width // 2**i)) for i in range(_HALVINGS + 1)]


def _grow(x, channels: int, side: tuple[int, int], name: str):
    """Twice the sides, or one less."""
    less = {"output_padding": 1} if all(length % 2 for length in side) else {}  # Keras' name for one row less
    x = layers.Conv2DTranspose(
        channels, 4, 2, "same", **less, use_bias=False, kernel_initializer=_normal(), name=name
    )(x)
    if side != x.shape[1:3]:
        cuts = tuple((0, doubled - wanted) for doubled, wanted in zip(x.shape[1:3], side, strict=True))
        x = layers.Cropping2D(cuts, name=f"{name}_crop")(x)
    x = BatchNorm(name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _convolve(x, channels: int, kernel: int, stride: int, name: str):
    layer = layers.Conv2D(channels, kernel, stride, "same", kernel_initializer=_normal(), name=name)
    return layers.LeakyReLU(_SLOPE, name=f"{name}_leaky")(SpectralNormalization(layer)(x))


def _normal() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(0.0, _WEIGHTS)
