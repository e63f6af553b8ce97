"""What makes the projection GAN that system: the class enters by an inner product."""

import keras
import numpy as np
import tensorflow as tf

from kgan.layers.conditional_batch_norm import ConditionalBatchNorm
from kgan.layers.spectral_normalization import SpectralNormalization
from kgan.variants.projection import Projection

SHAPE = (16, 16, 1)
CLASSES = 4
IMAGES = np.random.default_rng(0).integers(0, 256, (12, *SHAPE), dtype=np.uint8)


def make() -> Projection:
    keras.utils.set_random_seed(0)
    model = Projection(SHAPE, classes=CLASSES, width=16, n_critic=2, latent_dim=6)
    model.compile(run_eagerly=True)
    return model


def test_the_logit_is_psi_of_phi_plus_the_inner_product():
    model = make()
    d = model.discriminator
    images = tf.constant(IMAGES / 127.5 - 1, tf.float32)
    labels = np.arange(12) % CLASSES
    phi = keras.Model(d.inputs[0], d.get_layer("sum").output)(images).numpy().astype("float64")
    psi, embed = d.get_layer("logits"), d.get_layer("embed")
    weights = psi.normalized().numpy().astype("float64")
    table = embed.normalized().numpy().astype("float64")
    expected = phi @ weights + psi.layer.bias.numpy() + (phi * table[labels]).sum(axis=1, keepdims=True)
    found = d([images, tf.constant(labels, tf.int32)])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert isinstance(psi, SpectralNormalization) and isinstance(embed, SpectralNormalization)


def test_the_generator_is_told_by_its_batch_norms():
    norms = [layer for layer in make().generator.layers if "BatchNorm" in type(layer).__name__]
    assert norms and all(isinstance(layer, ConditionalBatchNorm) and layer.classes == CLASSES for layer in norms)


def test_a_step_judges_images_and_samples_under_the_labels_of_the_data(monkeypatch):
    model = make()
    judged = []
    call = model.discriminator.call

    def watched(inputs, *arguments, **named):
        judged.append(inputs[1].numpy().tolist())
        return call(inputs, *arguments, **named)

    monkeypatch.setattr(model.discriminator, "call", watched)
    labels = np.arange(12) % CLASSES
    model.train_step((tf.constant(IMAGES), tf.constant(labels)))
    first, second = labels[:6].tolist(), labels[6:].tolist()
    assert judged == [first, first, second, second, second]
