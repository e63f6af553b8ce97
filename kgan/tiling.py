"""Pictures too large for memory: translated in overlapping tiles, with the norm statistics of the whole picture.

A generator of convolutions sees a bounded neighbourhood of each pixel: a tile with a margin of that width gives its
inner part as the whole picture would, were it not for instance norm, whose mean and variance are over all pixels. So
the statistics are measured first, layer after layer: each in a pass over all tiles in which the layers before it
already use theirs.
"""

import itertools
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from kgan import images, noise
from kgan.layers.instance_norm import InstanceNorm, given_statistics
from kgan.noise import Window
from kgan.translation import Translation, drawing

Box = tuple[slice, slice]
Statistics = dict[str, tuple[tf.Tensor, tf.Tensor]]


def translate(
    model: Translation, direction: str, picture: np.ndarray, tile: int, seed: int, tick: Callable[[], object]
) -> np.ndarray:
    """Translates a picture as if whole, but for rounding.

    Args:
        model: its generators see no farther than `model.reach` pixels to a side.
        direction: one of `model.directions`.
        picture: uint8 `[height, width, channels]`, sides multiples of `model.stride`.
        tile: side of the inner part of a tile, a multiple of `model.stride`.
        seed: of what is drawn.
        tick: called after each of `passes(network) * tiles(picture, tile)` tiles.

    Returns:
        uint8 of the shape of `picture`.
    """
    network = model.directions[direction]
    boxes = list(_boxes(picture.shape, tile, model.reach, model.stride))
    statistics: Statistics = {}
    for norm in _norms(network):
        before = _part(network, norm.input, statistics, picture, seed)
        statistics[norm.name] = _measure(before, boxes, tick)
    whole = _part(network, network.output, statistics, picture, seed)
    result = np.empty_like(picture)
    for box, outer in boxes:
        result[box] = images.to_uint8(whole(outer)).numpy()[0][_inner(box, outer, 1)]
        tick()
    return result


def passes(network: keras.Model) -> int:
    """How often every tile is computed, wholly or in part."""
    return len(_norms(network)) + 1


def tiles(shape: tuple[int, ...], tile: int) -> int:
    """Into how many tiles a picture of this shape is cut."""
    return -(-shape[0] // tile) * -(-shape[1] // tile)


def _norms(network: keras.Model) -> list[InstanceNorm]:
    """In the order of computation: that of a functional model's layers."""
    return [layer for layer in network.layers if isinstance(layer, InstanceNorm) and layer.by_image]


def _part(
    network: keras.Model, output, statistics: Statistics, picture: np.ndarray, seed: int
) -> Callable[[Box], tf.Tensor]:
    """The network up to one of its tensors, on tiles of a picture, with the statistics known so far."""
    part, known = keras.Model(network.input, output), dict(statistics)
    place = tf.TensorSpec([], tf.int32)

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, picture.shape[-1]], tf.uint8), place, place])
    def compute(pixels, top, left):
        window = Window(top, left, tf.shape(pixels)[1], picture.shape[1])
        with given_statistics(known), drawing(tf.constant([seed])), noise.window(window):
            return part(images.to_float(pixels), training=False)

    return lambda box: compute(tf.constant(picture[box][None]), box[0].start, box[1].start)


def _measure(compute, boxes: list[tuple[Box, Box]], tick) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and variance of each channel over all pixels, each counted once: float32 `[1, 1, 1, channels]`."""
    count, total, squares = 0, 0.0, 0.0
    for box, outer in boxes:
        values = tf.cast(compute(outer), tf.float32).numpy()[0]
        scale = (outer[0].stop - outer[0].start) // values.shape[0]
        values = values[_inner(box, outer, scale)].astype(np.float64)
        count += values.shape[0] * values.shape[1]
        total = total + values.sum((0, 1))
        squares = squares + (values**2).sum((0, 1))
        tick()
    mean = total / count
    variance = np.maximum(squares / count - mean**2, 0.0)
    return tuple(tf.constant(v, tf.float32, (1, 1, 1, len(v))) for v in (mean, variance))


def _boxes(shape: tuple[int, ...], tile: int, margin: int, stride: int) -> Iterator[tuple[Box, Box]]:
    """(inner part, with margin) of each tile; at the border of the picture there is none."""
    margin = -(-margin // stride) * stride
    for top, left in itertools.product(range(0, shape[0], tile), range(0, shape[1], tile)):
        box = (slice(top, min(top + tile, shape[0])), slice(left, min(left + tile, shape[1])))
        outer = tuple(
            slice(max(0, part.start - margin), min(side, part.stop + margin))
            for part, side in zip(box, shape, strict=False)
        )
        yield box, outer


def _inner(box: Box, outer: Box, scale: int) -> Box:
    """Where the inner part lies in a tile, whose side is the picture's divided by `scale`."""
    return tuple(
        slice((part.start - around.start) // scale, (part.stop - around.start) // scale)
        for part, around in zip(box, outer, strict=True)
    )
