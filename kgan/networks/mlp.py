"""The multilayer perceptrons of Goodfellow et al. 2014, section 5, and those of Mirza & Osindero 2014, section 4.1."""

import math

import keras
from keras import layers

from kgan.layers.dropout import Dropout
from kgan.layers.maxout import Maxout


def generator(image_shape: tuple[int, int, int], latent_dim: int, width: int = 1200) -> keras.Model:
    """Two ReLU layers and sigmoid outputs.

    Args:
        image_shape: (height, width, channels) of the images.
        latent_dim: size of a latent.
        width: units of each hidden layer.

    Returns:
        Latents `[batch, latent_dim]` -> float32 images `[batch, *image_shape]` in [-1, 1]. The paper's pictures are in
        [0, 1]; the last layer converts.
    """
    latents = keras.Input((latent_dim,), name="latents")
    x = layers.Dense(width, activation="relu", kernel_initializer=_uniform(0.05), name="h0")(latents)
    x = layers.Dense(width, activation="relu", kernel_initializer=_uniform(0.05), name="h1")(x)
    x = layers.Dense(math.prod(image_shape), kernel_initializer=_uniform(0.05), name="y")(x)
    x = layers.Activation("sigmoid", dtype="float32", name="sigmoid")(x)
    x = layers.Rescaling(2.0, -1.0, dtype="float32", name="to_signed")(x)
    return keras.Model(latents, layers.Reshape(image_shape, dtype="float32", name="images")(x), name="generator")


def maxout_discriminator(image_shape: tuple[int, int, int], units: int = 240, pieces: int = 5) -> keras.Model:
    """Two maxout layers with dropout of 0.2 on the input and 0.5 on the hidden layers.

    Args:
        image_shape: (height, width, channels) of the images.
        units: maxout units of each hidden layer.
        pieces: linear pieces of each unit.

    Returns:
        Images `[batch, *image_shape]` in [-1, 1] -> float32 logits `[batch, 1]`.
    """
    images = keras.Input(image_shape, name="images")
    x = layers.Rescaling(0.5, 0.5, name="to_unsigned")(images)
    x = layers.Flatten(name="flat")(x)
    x = Dropout(0.2, name="drop_input")(x)
    x = Maxout(units, pieces, _uniform(0.005), name="h0")(x)
    x = Dropout(0.5, name="drop_h0")(x)
    x = Maxout(units, pieces, _uniform(0.005), name="h1")(x)
    x = Dropout(0.5, name="drop_h1")(x)
    logits = layers.Dense(1, kernel_initializer=_uniform(0.005), dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name="discriminator")


def conditional_generator(
    image_shape: tuple[int, int, int], classes: int, latent_dim: int, width: int = 1200, dropout: float = 0.0
) -> keras.Model:
    """The latent and the class through a ReLU layer each, both through a third; sigmoid outputs.

    The paper does not say how weights start. Here it is as in the 2014 paper, but the class's, which is one input
    instead of a hundred, so that its units start as large as the latent's.

    Args:
        image_shape: (height, width, channels) of the images.
        classes: how many there are.
        latent_dim: size of a latent.
        width: units of the joint layer; the latent's has a sixth of it, the class's five sixths.
        dropout: of all three layers.

    Returns:
        [latents `[batch, latent_dim]`, labels int32 `[batch]`] -> float32 images `[batch, *image_shape]` in [-1, 1].
    """
    latents, labels = keras.Input((latent_dim,), name="latents"), keras.Input((), dtype="int32", name="labels")
    of_latents, of_class = max(1, width // 6), max(1, width * 5 // 6)
    z = layers.Dense(of_latents, activation="relu", kernel_initializer=_uniform(0.05), name="h_latents")(latents)
    y = keras.ops.one_hot(labels, classes)
    y = layers.Dense(of_class, activation="relu", kernel_initializer=_uniform(0.15), name="h_class")(y)
    z, y = Dropout(dropout, name="drop_latents")(z), Dropout(dropout, name="drop_class")(y)
    x = layers.Concatenate(name="joined")([z, y])
    x = layers.Dense(width, activation="relu", kernel_initializer=_uniform(0.05), name="h_joint")(x)
    x = Dropout(dropout, name="drop_joint")(x)
    x = layers.Dense(math.prod(image_shape), kernel_initializer=_uniform(0.05), name="y")(x)
    x = layers.Activation("sigmoid", dtype="float32", name="sigmoid")(x)
    x = layers.Rescaling(2.0, -1.0, dtype="float32", name="to_signed")(x)
    images = layers.Reshape(image_shape, dtype="float32", name="images")(x)
    return keras.Model([latents, labels], images, name="generator")


def conditional_maxout_discriminator(image_shape: tuple[int, int, int], classes: int, units: int = 240) -> keras.Model:
    """The image and the class through a maxout layer of five pieces each, both through one of four; dropout of 0.5.

    Args:
        image_shape: (height, width, channels) of the images.
        classes: how many there are.
        units: maxout units of the image's layer and of the joint one; the class's has 50 of 240.

    Returns:
        [images `[batch, *image_shape]` in [-1, 1], labels int32 `[batch]`] -> float32 logits `[batch, 1]`.
    """
    images, labels = keras.Input(image_shape, name="images"), keras.Input((), dtype="int32", name="labels")
    x = layers.Flatten(name="flat")(layers.Rescaling(0.5, 0.5, name="to_unsigned")(images))
    x = Dropout(0.5, name="drop_x")(Maxout(units, 5, _uniform(0.005), name="h_x")(x))
    y = keras.ops.one_hot(labels, classes)
    y = Dropout(0.5, name="drop_y")(Maxout(max(1, units * 50 // 240), 5, "he_uniform", name="h_y")(y))
    x = layers.Concatenate(name="joined")([x, y])
    x = Dropout(0.5, name="drop_joint")(Maxout(units, 4, _uniform(0.005), name="h_joint")(x))
    logits = layers.Dense(1, kernel_initializer=_uniform(0.005), dtype="float32", name="logits")(x)
    return keras.Model([images, labels], logits, name="discriminator")


def _uniform(bound: float) -> keras.initializers.Initializer:
    return keras.initializers.RandomUniform(-bound, bound)
