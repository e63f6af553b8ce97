"""What makes ACGAN that system: the discriminator also tells the class."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.layers.dropout import Dropout
from kgan.variants.acgan import ACGAN

SHAPE = (16, 16, 1)
CLASSES = 4
IMAGES = np.random.default_rng(0).integers(0, 256, (12, *SHAPE), dtype=np.uint8)
LABELS = np.arange(12) % CLASSES


def softmax_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    logits = logits.astype("float64")
    return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x.astype("float64"))


def test_a_step_maximises_both_sums(monkeypatch):
    keras.utils.set_random_seed(0)
    model = ACGAN(SHAPE, classes=CLASSES, width=48, latent_dim=6)
    model.compile(run_eagerly=True)
    for v in model.discriminator.trainable_variables:
        v.assign(v * 3)  # else all logits are nearly 0
    judged = []
    call = model.discriminator.call

    def watched(*arguments, **named):
        found = call(*arguments, **named)
        judged.append([logits.numpy() for logits in found])
        return found

    monkeypatch.setattr(model.discriminator, "call", watched)
    logs = {name: float(log) for name, log in model.train_step((tf.constant(IMAGES), tf.constant(LABELS))).items()}
    (real, real_said), (fake, fake_said), (again, again_said) = judged
    asked = LABELS
    expected = {
        "source_loss": softplus(-real).mean() + softplus(fake).mean(),  # -L_S
        "class_loss": softmax_loss(real_said, LABELS) + softmax_loss(fake_said, asked),  # -L_C
        "discriminator_loss": logs["source_loss"] + logs["class_loss"],
        "generator_loss": softplus(-again).mean() + softmax_loss(again_said, asked),
        "class_accuracy_real": (real_said.argmax(axis=1) == LABELS).mean(),
        "class_accuracy_fake": (fake_said.argmax(axis=1) == asked).mean(),
    }
    assert {name: logs[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def test_the_networks_are_those_of_the_paper():
    model = ACGAN((32, 32, 3), classes=10)
    g = [layer.output.shape[1:] for layer in model.generator.layers if layer.name.startswith(("map", "up"))]
    assert g == [(4, 4, 384), (8, 8, 192), (16, 16, 96), (32, 32, 3)]
    d = [layer for layer in model.discriminator.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters for layer in d] == [16, 32, 64, 128, 256, 512]
    assert [layer.strides[0] for layer in d] == [2, 1, 2, 1, 2, 1]
    drops = [layer.rate for layer in model.discriminator.layers if isinstance(layer, Dropout)]
    assert drops == [0.5] * 6
    assert [tuple(output.shape[1:]) for output in model.discriminator.outputs] == [(1,), (10,)]


def test_large_images_do_not_make_it_wider_than_the_paper():
    discriminator = ACGAN((64, 64, 3), classes=10).discriminator
    filters = [layer.filters for layer in discriminator.layers if isinstance(layer, keras.layers.Conv2D)]
    assert filters == [16, 32, 64, 128, 256, 512, 512, 512]


def test_the_class_matters_to_the_generator():
    keras.utils.set_random_seed(0)
    model = ACGAN(SHAPE, classes=CLASSES, width=48, latent_dim=6)
    for v in model.generator.trainable_variables:
        v.assign(v * 5)
    pictures = {model.decode(model.latents(1), tf.constant([label])).tobytes() for label in range(CLASSES)}
    assert len(pictures) == CLASSES
