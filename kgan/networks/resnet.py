"""The residual networks of Gulrajani et al. 2017 (WGAN-GP, appendix F) and Miyato et al. 2018 (SN-GAN, appendix B.4).

Up to 32 px all blocks have the same channels, as in both papers' networks for CIFAR-10. Above, channels double as the
sides are halved, from `width` up to 16 times as many, as in the networks of SN-GAN for STL-10 (48 px, table 5) and
ImageNet (128 px, table 6); 64 px, which neither has, follow the same rule. A generator starts from 4 to 7 pixels a
side, 28 px from 7.

The papers do not say how weights start. Here it is uniform of variance 2 / mean fan where a ReLU comes before (He et
al. 2015), 1 / mean fan elsewhere (Glorot & Bengio 2010).
"""

import math

import keras
from keras import layers

from kgan.errors import InputError
from kgan.layers.batch_norm import BatchNorm
from kgan.layers.conditional_batch_norm import ConditionalBatchNorm
from kgan.layers.repeat import Repeat
from kgan.layers.spectral_normalization import SpectralNormalization

_LARGEST_START = 7  # pixels of a side from which a generator starts, at most
_SMALLEST = 4  # pixels of a side to which a discriminator of large images shrinks them, or the first odd number
UNIFORM = 32  # pixels of a side up to which all blocks have the same channels
_WIDEST = 16  # channels in multiples of the width
_HALVINGS = 2  # of images up to 32 px in a discriminator, which two blocks more follow


def check(image_shape: tuple[int, int, int]) -> None:
    """Raises InputError where there is no network for such images."""
    height, width, _ = image_shape
    if height != width or _start(height) < _SMALLEST:
        expected = "a square with sides of 4, 5, 6 or 7 pixels times a power of 2"
        raise InputError(f"image_shape: got {tuple(image_shape)}, expected {expected}")


def generator(image_shape: tuple[int, int, int], width: int, latent_dim: int = 128, classes: int = 0) -> keras.Model:
    """Projection, residual blocks that double the sides, batch norm, ReLU, a 3x3 convolution and tanh.

    Args:
        image_shape: (size, size, channels) of the images.
        width: channels of the last block: up to 32 px of all of them, 128 in WGAN-GP and 256 in SN-GAN; above, 64 in
            SN-GAN.
        latent_dim: size of a latent.
        classes: where not 0, batch norms are conditional (Miyato et al. 2018, appendix B.3).

    Returns:
        Latents `[batch, latent_dim]` -> float32 images `[batch, *image_shape]` in [-1, 1]. With classes the inputs are
        [latents, labels], labels int32 `[batch]`.
    """
    check(image_shape)
    first, *channels = _generator_channels(image_shape[0], width)
    start = _start(image_shape[0])
    latents = keras.Input((latent_dim,), name="latents")
    labels = keras.Input((), dtype="int32", name="labels") if classes else None
    x = layers.Dense(start * start * first, kernel_initializer=_uniform(1.0), name="project")(latents)
    x = layers.Reshape((start, start, first), name="map")(x)
    for i, count in enumerate(channels, start=1):
        x = _growing_block(x, count, labels, classes, f"grow_{start * 2**i}")
    x = _batch_norm_relu(x, labels, classes, "out")
    x = layers.Conv2D(image_shape[-1], 3, padding="same", kernel_initializer=_uniform(2.0), name="out")(x)
    images = layers.Activation("tanh", dtype="float32", name="images")(x)
    return keras.Model([latents, labels] if classes else latents, images, name="generator")


def critic(image_shape: tuple[int, int, int], width: int) -> keras.Model:
    """Residual blocks, mean pooling and an output without bias, whose gradient would be 0 under a Wasserstein loss.

    There is no batch norm: the gradient penalty is on the gradient of each image (Gulrajani et al. 2017, section 4).

    Args:
        image_shape: (size, size, channels) of the images.
        width: channels of the first block: up to 32 px of all of them, 128 in WGAN-GP.

    Returns:
        Images `[batch, *image_shape]` in [-1, 1] -> float32 values `[batch, 1]`.
    """
    images, x = _features(image_shape, width, spectral=False)
    x = layers.GlobalAveragePooling2D(dtype="float32", name="pool")(x)
    values = layers.Dense(1, use_bias=False, kernel_initializer=_uniform(1.0), dtype="float32", name="values")(x)
    return keras.Model(images, values, name="critic")


def discriminator(image_shape: tuple[int, int, int], width: int, classes: int = 0) -> keras.Model:
    """Residual blocks, sum pooling and an output; every layer is spectrally normalised.

    Args:
        image_shape: (size, size, channels) of the images.
        width: channels of the first block: up to 32 px of all of them, 128 in SN-GAN; above, 64.
        classes: where not 0, the inner product of the features with an embedding of the label is added (Miyato &
            Koyama 2018, eq. 3).

    Returns:
        Images `[batch, *image_shape]` in [-1, 1] -> float32 logits `[batch, 1]`. With classes the inputs are [images,
        labels], labels int32 `[batch]`.
    """
    images, x = _features(image_shape, width, spectral=True)
    pixels = math.prod(x.shape[1:3])
    x = layers.GlobalAveragePooling2D(dtype="float32", name="pool")(x)
    x = layers.Rescaling(float(pixels), dtype="float32", name="sum")(x)
    output = layers.Dense(1, kernel_initializer=_uniform(1.0), dtype="float32", name="logits")
    logits = SpectralNormalization(output)(x)
    if not classes:
        return keras.Model(images, logits, name="discriminator")
    labels = keras.Input((), dtype="int32", name="labels")
    embedding = layers.Embedding(
        classes, x.shape[-1], embeddings_initializer=_uniform(1.0), dtype="float32", name="embed"
    )
    match = layers.Dot(1, dtype="float32", name="match")([SpectralNormalization(embedding)(labels), x])
    logits = layers.Add(dtype="float32", name="projection")([logits, match])
    return keras.Model([images, labels], logits, name="discriminator")


def _start(size: int) -> int:
    """The side of a generator's first map: the image's, halved while it is too large; 0 where it cannot be halved."""
    while size > _LARGEST_START:
        size = 0 if size % 2 else size // 2
    return size


def _generator_channels(size: int, width: int) -> list[int]:
    """Of the projection and of each block: 32 px -> 1, 1, 1, 1; 48 px -> 8, 4, 2, 1 times the width."""
    doublings = int(math.log2(size // _start(size)))
    if size <= UNIFORM:
        return [width] * (doublings + 1)
    return [min(2**i, _WIDEST) * width for i in range(doublings, -1, -1)]


def _discriminator_blocks(size: int, width: int) -> list[tuple[int, bool]]:
    """Channels of each block and whether it halves the sides."""
    if size <= UNIFORM:
        return [(width, i < _HALVINGS) for i in range(_HALVINGS + 2)]
    blocks = []
    while size > _SMALLEST and size % 2 == 0:
        blocks.append((min(2 ** len(blocks), _WIDEST) * width, True))
        size //= 2
    return [*blocks, (min(2 ** len(blocks), _WIDEST) * width, False)]


def _growing_block(x, channels: int, labels, classes: int, name: str):
    """Doubles the sides before the second convolution (Gulrajani et al. 2017, appendix F).

    No convolution has a bias: a constant of a channel passes through the shortcuts to the last batch norm, which takes
    it away.
    """
    y = _batch_norm_relu(x, labels, classes, f"{name}_1")
    y = _convolve(y, channels, 3, False, f"{name}_1", use_bias=False)
    y = _batch_norm_relu(y, labels, classes, f"{name}_2")
    y = _convolve(Repeat(name=f"{name}_repeat")(y), channels, 3, False, f"{name}_2", use_bias=False)
    # A 1x1 convolution gives the same before as after the pixels are repeated, for a quarter of the work.
    shortcut = _convolve(x, channels, 1, False, f"{name}_shortcut", use_bias=False)
    return layers.Add(name=f"{name}_add")([Repeat(name=f"{name}_shortcut_repeat")(shortcut), y])


def _features(image_shape: tuple[int, int, int], width: int, spectral: bool):
    """The images and the last block's output, after its ReLU."""
    check(image_shape)
    images = keras.Input(image_shape, name="images")
    x = images
    for i, (channels, halves) in enumerate(_discriminator_blocks(image_shape[0], width)):
        x = _shrinking_block(x, channels, halves, i == 0, spectral, f"block_{i}")
    return images, _relu(x, "out")


def _shrinking_block(x, channels: int, halves: bool, is_first: bool, spectral: bool, name: str):
    """Halves the sides after the second convolution (Gulrajani et al. 2017, appendix F), which sets the channels.

    The first block, on the images, has no ReLU before its first convolution, which sets the channels there.
    """
    hidden = channels if is_first else x.shape[-1]
    y = x if is_first else _relu(x, f"{name}_1")
    y = _convolve(y, hidden, 3, spectral, f"{name}_1")
    y = _convolve(_relu(y, f"{name}_2"), channels, 3, spectral, f"{name}_2")
    if halves:
        y = layers.AveragePooling2D(2, name=f"{name}_pool")(y)
        # As in a growing block: the mean first is the same for a quarter of the work.
        x = layers.AveragePooling2D(2, name=f"{name}_shortcut_pool")(x)
    if halves or channels != x.shape[-1]:
        x = _convolve(x, channels, 1, spectral, f"{name}_shortcut")
    return layers.Add(name=f"{name}_add")([x, y])


def _convolve(x, channels: int, kernel: int, spectral: bool, name: str, use_bias: bool = True):
    weights = _uniform(2.0 if kernel > 1 else 1.0)
    layer = layers.Conv2D(channels, kernel, padding="same", use_bias=use_bias, kernel_initializer=weights, name=name)
    return (SpectralNormalization(layer) if spectral else layer)(x)


def _relu(x, name: str):
    return layers.ReLU(name=f"{name}_relu")(x)


def _batch_norm_relu(x, labels, classes: int, name: str):
    if classes:
        x = ConditionalBatchNorm(classes, name=f"{name}_norm")([x, labels])
    else:
        x = BatchNorm(name=f"{name}_norm")(x)
    return _relu(x, name)


def _uniform(variance: float) -> keras.initializers.Initializer:
    """Of `variance` over the mean of a kernel's fan-in and fan-out."""
    return keras.initializers.VarianceScaling(variance, "fan_avg", "uniform")
