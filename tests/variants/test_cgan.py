"""What makes CGAN that system: both networks are told the class, as in section 4.1 of the paper."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.errors import InputError
from kgan.variants.cgan import CGAN

SHAPE = (28, 28, 1)


def test_the_networks_are_those_of_the_paper():
    model = CGAN(SHAPE, classes=10)
    g = {layer.name: layer for layer in model.generator.layers}
    assert (g["h_latents"].units, g["h_class"].units, g["h_joint"].units, g["y"].units) == (200, 1000, 1200, 784)
    d = {layer.name: layer for layer in model.discriminator.layers}
    assert [(d[n].units, d[n].pieces) for n in ("h_x", "h_y", "h_joint")] == [(240, 5), (50, 5), (240, 4)]
    assert dropouts(model.generator) == [0.0] * 3 and dropouts(model.discriminator) == [0.5] * 3
    assert dropouts(CGAN(SHAPE, classes=10, generator_dropout=0.5).generator) == [0.5] * 3
    # 100 x 200, 10 x 1000, 1200 x 1200, 1200 x 784; 784 x 1200, 10 x 250, 290 x 960, 240 x 1; each with biases
    assert model.generator.count_params() == 20_200 + 11_000 + 1_441_200 + 941_584
    assert model.discriminator.count_params() == 942_000 + 2_750 + 279_360 + 241


def dropouts(network: keras.Model) -> list[float]:
    return [layer.rate for layer in network.layers if layer.name.startswith("drop")]


def test_the_class_matters_to_both():
    keras.utils.set_random_seed(0)
    model = CGAN((8, 8, 1), classes=4, width=24)
    for v in model.trainable_variables:
        v.assign(v * 20)
    latents = model.latents(1)
    pictures = [model.decode(latents, tf.constant([label])) for label in range(4)]
    assert len({picture.tobytes() for picture in pictures}) == 4
    image = tf.ones((1, 8, 8, 1)) * 0.3
    judged = [float(model.discriminator([image, tf.constant([label])])[0, 0]) for label in range(4)]
    assert len(set(judged)) == 4


def test_a_step_paints_and_judges_under_the_labels_of_the_data(monkeypatch):
    keras.utils.set_random_seed(0)
    model = CGAN((8, 8, 1), classes=4, width=24)
    model.compile()
    seen = []
    paint, judge = model._paint, model._judge

    def watched_painter(stream, latents, labels):
        seen.append((f"paint {stream}", labels.numpy().tolist()))
        return paint(stream, latents, labels)

    def watched_judge(stream, pictures, labels):
        seen.append((f"judge {stream}", labels.numpy().tolist()))
        return judge(stream, pictures, labels)

    monkeypatch.setattr(model, "_paint", watched_painter)
    monkeypatch.setattr(model, "_judge", watched_judge)
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
    given = [0, 1, 2, 3, 1, 0]
    model.train_step((tf.constant(images), tf.constant(given)))
    order = ["paint fake", "judge real", "judge fake", "paint generator", "judge generator"]
    assert seen == [(name, given) for name in order]


def test_the_first_value_of_the_game_is_that_of_chance():
    keras.utils.set_random_seed(0)
    model = CGAN((8, 8, 1), classes=4, width=24)
    model.compile()
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1), dtype=np.uint8)
    logs = model.train_step((tf.constant(images), tf.constant(np.arange(8) % 4)))
    assert float(logs["discriminator_loss"]) == pytest.approx(2 * np.log(2), rel=0.01)
    assert float(logs["generator_loss"]) == pytest.approx(np.log(2), rel=0.01)


@pytest.mark.parametrize(
    "arguments", [{"decay": 0.5}, {"minimum_learning_rate": -1.0}, {"momentum": 1.0}, {"generator_dropout": 1.0}]
)
def test_what_cannot_be_is_named(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(InputError, match=f"{name}: got {value}"):
        CGAN(SHAPE, classes=4, **arguments)


def test_the_learning_rate_falls_to_its_minimum():
    model = CGAN(SHAPE, classes=4, width=24, decay=2.0, minimum_learning_rate=0.03)
    model.compile()
    for optimizer in model.optimizers.values():
        rates = [float(optimizer._learning_rate(step)) for step in range(4)]
        assert rates == pytest.approx([0.1, 0.05, 0.03, 0.03])


def test_classes_must_be_there():
    with pytest.raises(InputError, match="classes: got 0"):
        CGAN(SHAPE, classes=0)
