"""What makes SN-GAN that system: the spectral norm of every layer, one power iteration for each update."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.layers.spectral_normalization import SpectralNormalization
from kgan.variants.sngan import SNGAN

SHAPE = (16, 16, 1)
IMAGES = np.random.default_rng(0).integers(0, 256, (12, *SHAPE), dtype=np.uint8)


def make(**arguments) -> SNGAN:
    keras.utils.set_random_seed(0)
    model = SNGAN(SHAPE, **{"width": 8, "n_critic": 2, "latent_dim": 6, **arguments})
    model.compile(run_eagerly=True)
    return model


def normalised(model: SNGAN) -> list[SpectralNormalization]:
    return [layer for layer in model.discriminator.layers if isinstance(layer, SpectralNormalization)]


@pytest.mark.parametrize("network", ["resnet", "cnn"])
def test_every_layer_with_a_kernel_is_normalised(network):
    model = make(network=network)
    kernels = {id(layer.kernel) for layer in normalised(model)}
    assert kernels == {id(v) for v in model.discriminator.trainable_variables if v.path.endswith("kernel")}
    assert not [layer for layer in model.generator.layers if isinstance(layer, SpectralNormalization)]


def test_directions_move_once_for_each_discriminator_update(monkeypatch):
    model = make(network="cnn")
    moves = []
    advance = SpectralNormalization.advance

    def counted(layer):
        moves.append((layer.name, int(model.optimizers["discriminator"].iterations)))
        advance(layer)

    monkeypatch.setattr(SpectralNormalization, "advance", counted)
    model.train_on_batch(IMAGES)
    names = [layer.name for layer in normalised(model)]
    assert moves == [(name, update) for update in (0, 1) for name in names]


@pytest.mark.parametrize("gan_loss", ["hinge", "non-saturating"])
def test_losses_are_those_of_what_was_judged(monkeypatch, gan_loss):
    model = make(network="cnn", gan_loss=gan_loss)
    judged = []
    call = model.discriminator.call

    def watched(*arguments, **named):
        judged.append(call(*arguments, **named))
        return judged[-1]

    monkeypatch.setattr(model.discriminator, "call", watched)
    logs = model.train_step(tf.constant(IMAGES))
    *_, real, fake, of_generator = (np.asarray(logits, "float64") for logits in judged)
    assert len(judged) == 5
    if gan_loss == "hinge":
        expected = np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(), -of_generator.mean()
    else:
        d_loss = np.logaddexp(0, -real).mean() + np.logaddexp(0, fake).mean()
        expected = d_loss, np.logaddexp(0, -of_generator).mean()
    found = [float(logs[name]) for name in ("discriminator_loss", "generator_loss")]
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("size", "channels"), [(32, (256, 128)), (48, (64, 64))])
def test_the_residual_networks_have_the_widths_of_the_paper(size, channels):
    model = SNGAN((size, size, 3), n_critic=1)
    last, first = (
        network.get_layer(name)
        for network, name in ((model.generator, f"grow_{size}_2"), (model.discriminator, "block_0_add"))
    )
    assert (last.filters, first.output.shape[-1]) == channels


def test_two_time_scales():
    model = make(network="cnn", discriminator_learning_rate=0.0004, generator_learning_rate=0.0001, schedule="cosine")
    rates = {name: np.float32(optimizer.learning_rate) for name, optimizer in model.optimizers.items()}
    assert rates == {"discriminator": np.float32(0.0004), "generator": np.float32(0.0001)}
    assert type(model.optimizers["generator"]._learning_rate) is keras.optimizers.schedules.CosineDecay


def test_the_recipe_is_that_of_the_paper():
    model = SNGAN(SHAPE, width=8, total_steps=1000)
    model.compile()
    assert (model.n_critic, model.batch_size, model.gan_loss) == (5, 64, "hinge")
    for name, end in (("discriminator", 5000), ("generator", 1000)):
        optimizer = model.optimizers[name]
        assert (optimizer.beta_1, optimizer.beta_2) == (0.0, 0.9)
        schedule = optimizer._learning_rate
        assert float(schedule(0)) == np.float32(2e-4) and float(schedule(end)) == 0.0 < float(schedule(end - 1))
