"""Further augmentation, by the layers of keras-cv.

It lies outside what a run repeats bit for bit: these layers draw from generators of their own, so a run that is
resumed, or started anew with the same seed, sees other changes. Crops and flips (`pipelines.transforms`) are exact.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence

from kgan.errors import InputError, near_misses

if typing.TYPE_CHECKING:
    import tensorflow as tf

AUGMENTATIONS = {
    "brightness": "lighter or darker by up to 15 % of the range; grey or colour images",
    "contrast": "contrast up to a fifth lower or higher; grey or colour images",
    "color": "brightness, contrast, saturation and hue; colour images only",
    "cutout": "a black rectangle of up to half the sides",
    "translate": "moved by up to an eighth of the sides; the border is mirrored",
    "rotate": "turned by up to 15 degrees; the border is mirrored",
    "zoom": "up to 15 % larger or smaller; the border is mirrored",
}

_CHANNELS = {"brightness": (1, 3), "contrast": (1, 3), "color": (3,)}  # others change no colours and take any
_RANGE = (0, 255)


def augmentation(names: Sequence[str], image_shape: tuple[int, int, int]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function that changes a batch, each image in its own way; to be called inside `tf.data` maps.

    Args:
        names: of `AUGMENTATIONS`, in the order in which they are applied.
        image_shape: (height, width, channels).

    Returns:
        Function of uint8 `[rows, height, width, channels]` that returns the same shape and type.

    Raises:
        InputError: a name is unknown, or the augmentation is not for images of so many channels.
    """
    channels = image_shape[-1]
    for name in names:
        if name not in AUGMENTATIONS:
            raise InputError(
                f"--augment {name}: expected some of {', '.join(AUGMENTATIONS)}.{near_misses(name, AUGMENTATIONS)}"
            )
        fitting = _CHANNELS.get(name, (channels,))
        if channels not in fitting:
            expected = " or ".join(map(str, fitting))
            raise InputError(f"--augment {name}: expected images of {expected} channels, got {channels}")
    layers = [_layer(name) for name in names]

    import tensorflow as tf

    def change(images: tf.Tensor) -> tf.Tensor:
        changed = tf.cast(images, tf.float32)
        for layer in layers:
            changed = layer(changed, training=True)
        pixels = tf.cast(tf.round(tf.clip_by_value(changed, *map(float, _RANGE))), tf.uint8)
        return tf.ensure_shape(pixels, images.shape)

    return change


def _layer(name: str) -> Callable[..., tf.Tensor]:
    # Here, not above: its import takes seconds.
    from keras_cv import layers

    made = {
        "brightness": lambda **options: layers.RandomBrightness(0.15, _RANGE, **options),
        "contrast": lambda **options: layers.RandomContrast(_RANGE, 0.2, **options),
        # Saturation x / (1 - x), from 0.67 to 1.5: at 0.5 it stays, and a single number means from 0 on, that is grey.
        "color": lambda **options: layers.RandomColorJitter(_RANGE, 0.15, 0.2, (0.4, 0.6), 0.05, **options),
        "cutout": lambda **options: layers.RandomCutout(0.5, 0.5, **options),
        "translate": lambda **options: layers.RandomTranslation(0.125, 0.125, **options),
        "rotate": lambda **options: layers.RandomRotation(15 / 360, **options),
        "zoom": lambda **options: layers.RandomZoom((-0.15, 0.15), **options),
    }
    # Whatever the precision of the networks: in float16 pixels up to 255 lose their last bits.
    return made[name](dtype="float32")
