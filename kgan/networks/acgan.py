"""The networks of Odena et al. 2017 (AC-GAN, appendix A, table 2: CIFAR-10), for any size.

The paper's networks are for 32 px. The generator's smallest map is 4 to 7 pixels a side, the discriminator's 4 or
less.
"""

import keras
from keras import layers

from kgan.layers.batch_norm import BatchNorm
from kgan.layers.dropout import Dropout
from kgan.layers.image_convolution import ToImage
from kgan.networks.dcgan import sides

_DROPOUT = 0.5
_SLOPE = 0.2  # of LeakyReLU
_WEIGHTS = 0.02  # standard deviation of the initial weights
_WIDEST = 32  # channels of the discriminator in multiples of the first layer's: 512 in the paper
_SMALLEST = 4  # pixels a side of the discriminator's last map


def generator(image_shape: tuple[int, int, int], classes: int, latent_dim: int, width: int = 384) -> keras.Model:
    """Latent and class through a dense layer, then transposed convolutions of stride 2 with batch norm and ReLU; tanh.

    Args:
        image_shape: (size, size, channels) of the images.
        classes: how many there are.
        latent_dim: size of a latent.
        width: channels of the first map; each next one has half as many.

    Returns:
        [latents `[batch, latent_dim]`, labels int32 `[batch]`] -> float32 images `[batch, *image_shape]` in [-1, 1].
    """
    lengths = sides(image_shape[0])
    latents, labels = keras.Input((latent_dim,), name="latents"), keras.Input((), dtype="int32", name="labels")
    x = layers.Concatenate(name="told")([latents, keras.ops.one_hot(labels, classes)])
    x = layers.Dense(lengths[-1] ** 2 * width, kernel_initializer=_normal(), name="project")(x)
    x = layers.ReLU(name="relu_project")(x)
    x = layers.Reshape((lengths[-1], lengths[-1], width), name="map")(x)
    for i, side in enumerate(lengths[-2:0:-1], start=1):
        x = _grow(x, max(1, width // 2**i), side)
        x = BatchNorm(name=f"norm_{side}")(x)
        x = layers.ReLU(name=f"relu_{side}")(x)
    x = _grow(x, image_shape[-1], lengths[0], ToImage)
    images = layers.Activation("tanh", dtype="float32", name="images")(x)
    return keras.Model([latents, labels], images, name="generator")


def discriminator(image_shape: tuple[int, int, int], classes: int, width: int = 16) -> keras.Model:
    """3x3 convolutions, every other one of stride 2, with LeakyReLU and dropout; batch norm on all but the first.

    Args:
        image_shape: (size, size, channels) of the images.
        classes: how many there are.
        width: channels of the first layer; each next one has twice as many, up to 32 times.

    Returns:
        Images `[batch, *image_shape]` in [-1, 1] -> float32 [logits `[batch, 1]`, class logits `[batch, classes]`].
    """
    images = keras.Input(image_shape, name="images")
    x, side, i = images, image_shape[0], 0
    while side > _SMALLEST:
        side = -(-side // 2)
        for stride in (2, 1):
            x = _convolve(x, width * min(2**i, _WIDEST), stride, i)
            i += 1
    x = layers.Flatten(name="flat")(x)
    outputs = [
        layers.Dense(units, kernel_initializer=_normal(), dtype="float32", name=name)(x)
        for units, name in ((1, "logits"), (classes, "class_logits"))
    ]
    return keras.Model(images, outputs, name="discriminator")


def _grow(x, channels: int, side: int, layer: type = layers.Conv2DTranspose):
    """Twice the side, or one less. A norm that follows would take a bias away."""
    use_bias = layer is ToImage
    x = layer(channels, 5, 2, "same", use_bias=use_bias, kernel_initializer=_normal(), name=f"up_{side}")(x)
    over = x.shape[1] - side
    return layers.Cropping2D(((0, over), (0, over)), name=f"crop_{side}")(x) if over else x


def _convolve(x, channels: int, stride: int, i: int):
    x = layers.Conv2D(
        channels, 3, stride, "same", use_bias=i == 0, kernel_initializer=_normal(), name=f"convolution_{i}"
    )(x)
    if i:
        x = BatchNorm(name=f"norm_{i}")(x)
    return Dropout(_DROPOUT, name=f"drop_{i}")(layers.LeakyReLU(_SLOPE, name=f"leaky_{i}")(x))


def _normal() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(0.0, _WEIGHTS)
