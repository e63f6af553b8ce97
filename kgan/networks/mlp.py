"""The multilayer perceptrons of Goodfellow et al. 2014, section 5."""

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


def _uniform(bound: float) -> keras.initializers.Initializer:
    return keras.initializers.RandomUniform(-bound, bound)
