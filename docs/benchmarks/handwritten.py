"""kgan's DCGAN step under `fit` beside the same step as a hand-written TensorFlow loop, in one run.

    python docs/benchmarks/handwritten.py [--rounds 5] [--steps 10]

The networks are the usual MNIST DCGAN of tutorials (dense 100 -> 7x7x256, transposed 5x5 convolutions of 128, 64 and 1
channels; 5x5 convolutions of 64 and 128 with dropout 0.3), Adam 1e-4, batches of 256, both players updated from one
pass over one fake batch. The loop is in float32 with Keras' layers, what it gets where nobody asks for more; kgan in
both precisions, `auto` being bfloat16 where processors have it, with its own batch norm of maps and dropout. They take
turns, round by round; the figures are medians over the rounds. What counts is images per second of CPU time: wall time
moves with the neighbours of a shared machine.
"""

import argparse
import statistics
import time
from collections.abc import Callable

from kgan import options

options.load_tensorflow()

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kgan.layers.batch_norm import BatchNorm
from kgan.layers.dropout import Dropout
from kgan.variants.dcgan import DCGAN

BATCH, LATENT_DIM = 256, 100
LOOP = "hand-written loop"


def generator(norm: type[layers.Layer]) -> keras.Model:
    latents = keras.Input((LATENT_DIM,))
    x = layers.Dense(7 * 7 * 256, use_bias=False)(latents)
    x = layers.Reshape((7, 7, 256))(layers.ReLU()(layers.BatchNormalization()(x)))
    for channels, strides in ((128, 1), (64, 2)):
        x = layers.Conv2DTranspose(channels, 5, strides, padding="same", use_bias=False)(x)
        x = layers.ReLU()(norm()(x))
    x = layers.Conv2DTranspose(1, 5, 2, padding="same", use_bias=False)(x)
    return keras.Model(latents, layers.Activation("tanh", dtype="float32")(x), name="generator")


def discriminator(dropout: type[layers.Layer]) -> keras.Model:
    images = keras.Input((28, 28, 1))
    x = images
    for channels in (64, 128):
        x = layers.LeakyReLU(0.3)(layers.Conv2D(channels, 5, 2, padding="same")(x))
        x = dropout(0.3, name=f"dropout_{channels}")(x)
    return keras.Model(images, layers.Dense(1, dtype="float32")(layers.Flatten()(x)), name="discriminator")


def handwritten(dataset: tf.data.Dataset) -> Callable[[int], None]:
    """The loop a practitioner writes: one tf.function, two tapes, two optimizers."""
    g, d = generator(layers.BatchNormalization), discriminator(layers.Dropout)
    g_optimizer, d_optimizer = keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-4)
    bce = keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function
    def step(images):
        noise = tf.random.normal([BATCH, LATENT_DIM])
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            fake = g(noise, training=True)
            real_logits, fake_logits = d(images, training=True), d(fake, training=True)
            g_loss = bce(tf.ones_like(fake_logits), fake_logits)
            d_loss = bce(tf.ones_like(real_logits), real_logits) + bce(tf.zeros_like(fake_logits), fake_logits)
        g_gradients = g_tape.gradient(g_loss, g.trainable_variables)
        d_gradients = d_tape.gradient(d_loss, d.trainable_variables)
        g_optimizer.apply_gradients(zip(g_gradients, g.trainable_variables, strict=True))
        d_optimizer.apply_gradients(zip(d_gradients, d.trainable_variables, strict=True))
        return g_loss, d_loss

    floats = dataset.map(lambda x: tf.cast(x, tf.float32) / 127.5 - 1.0)

    def run(steps: int) -> None:
        for images in floats.take(steps):
            losses = step(images)
        [float(loss) for loss in losses]

    return run


def ours(dataset: tf.data.Dataset, precision: str) -> Callable[[int], None]:
    """kgan's variant on the same networks, under plain `fit`."""
    keras.config.set_dtype_policy(precision)
    networks = {"generator": generator(BatchNorm), "discriminator": discriminator(Dropout)}
    model = DCGAN((28, 28, 1), LATENT_DIM, learning_rate=1e-4, beta_1=0.9, update="simultaneous", **networks)
    model.compile(jit_compile=False)
    keras.config.set_dtype_policy("float32")
    return lambda steps: model.fit(dataset, steps_per_epoch=steps, verbose=0)


def images_in_memory() -> tf.data.Dataset:
    """Batches of noise as uint8: what the pictures show does not change the cost of a step."""
    images = np.random.default_rng(0).integers(0, 256, (8 * BATCH, 28, 28, 1), dtype=np.uint8)
    fixed = tf.data.Options()
    fixed.autotune.enabled = False
    return tf.data.Dataset.from_tensor_slices(images).batch(BATCH).repeat().with_options(fixed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()

    dataset = images_in_memory()
    runs = {LOOP: handwritten(dataset)}
    runs |= {f"kgan, {precision}": ours(dataset, precision) for precision in ("float32", "mixed_bfloat16")}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for run in runs.values():
        run(2)  # traces
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            cpu, wall = time.process_time(), time.perf_counter()
            run(arguments.steps)
            images = BATCH * arguments.steps
            rates[name].append((images / (time.process_time() - cpu), images / (time.perf_counter() - wall)))
    print(f"{'batches of 256':<26}{'images/CPU-second':>20}{'images/s':>12}{'ratio':>9}")
    for name, pairs in rates.items():
        cpu, wall = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(a[0] / b[0] for a, b in zip(pairs, rates[LOOP], strict=True))
        print(f"{name:<26}{cpu:>20.1f}{wall:>12.1f}{ratio:>9.3f}")


if __name__ == "__main__":
    main()
