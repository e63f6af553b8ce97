"""DCGAN (Radford et al. 2015): strided convolutions, batch norm, no pooling, no hidden dense layers."""

from typing import ClassVar, Literal

import keras
import tensorflow as tf

from kgan import losses
from kgan.errors import InputError, require_at_least, require_choice, require_positive, require_share
from kgan.latent import Latent
from kgan.networks import dcgan
from kgan.noise import instance_noise
from kgan.optimizers import Adam
from kgan.priors import Uniform
from kgan.variants.base import Player, Variant


@keras.saving.register_keras_serializable("kgan")
class DCGAN(Latent, Variant):
    """Deep convolutional GAN, https://arxiv.org/abs/1511.06434.

    Defaults are section 4 of the paper: batches of 128, weights from N(0, 0.02), Adam of 0.0002 and beta_1 0.5, a
    uniform prior on [-1, 1]^100.

    Args:
        image_shape: (size, size, channels) of the images.
        latent_dim: size of a latent.
        width: channels of the generator's last hidden layer and of the discriminator's first.
        learning_rate: of Adam, for both players.
        beta_1: of Adam: the decay of the mean gradient.
        update: "alternating" moves D, then G against the new D; "simultaneous" takes both gradients from one pass.
        label_smoothing: the discriminator's target for real images is 1 less this (Salimans et al. 2016, section 3.4).
        instance_noise: standard deviation, at the start, of noise on all images that the discriminator sees; it falls
            linearly (Arjovsky & Bottou 2017, section 3) ...
        instance_noise_steps: ... to 0 after so many steps.
        generator: a model of latents `[batch, latent_dim]` to images in [-1, 1] instead of the paper's.
        discriminator: a model of images to logits `[batch, 1]` instead of the paper's.
        seed: of every random number that training draws.
    """

    measures: ClassVar = (
        "discriminator_loss",
        "generator_loss",
        "p_real",
        "p_fake",
        "discriminator_gradient_norm",
        "generator_gradient_norm",
    )
    batch_size: ClassVar = 128
    steps: ClassVar = 10_000
    small: ClassVar = {"width": 32, "steps": 2000, "batch_size": 64}

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int = 100,
        width: int = 128,
        learning_rate: float = 0.0002,
        beta_1: float = 0.5,
        update: Literal["alternating", "simultaneous"] = "alternating",
        label_smoothing: float = 0.0,
        instance_noise: float = 0.0,
        instance_noise_steps: int = 10_000,
        generator: keras.Model | None = None,
        discriminator: keras.Model | None = None,
        seed: int = 0,
    ):
        super().__init__(image_shape, seed)
        if self.image_shape[0] != self.image_shape[1]:
            raise InputError(f"image_shape: got {self.image_shape}, expected a square for DCGAN")
        require_positive(latent_dim=latent_dim, width=width, learning_rate=learning_rate)
        require_positive(instance_noise_steps=instance_noise_steps)
        require_share(beta_1=beta_1, label_smoothing=label_smoothing)
        require_at_least(0, instance_noise=instance_noise)
        require_choice("update", update, ("alternating", "simultaneous"))
        self.latent_dim = latent_dim
        self.width = width
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.update = update
        self.label_smoothing = label_smoothing
        self.instance_noise = instance_noise
        self.instance_noise_steps = instance_noise_steps
        self.prior = Uniform(latent_dim)
        self.generator = generator or dcgan.generator(self.image_shape, latent_dim, width)
        self.discriminator = discriminator or dcgan.discriminator(self.image_shape, width)
        self.players = (Player("discriminator", (self.discriminator,)), Player("generator", (self.generator,)))
        self.built = True

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        return {player.name: Adam(self.learning_rate, beta_1=self.beta_1) for player in self.players}

    def train_step(self, data) -> dict[str, tf.Tensor]:
        (real,) = self.rounds(data, 1)
        latents = self.sample_prior("latents", tf.shape(real)[0])
        return self._simultaneous(real, latents) if self.update == "simultaneous" else self._alternating(real, latents)

    def _alternating(self, real: tf.Tensor, latents: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as g_tape:
            fake = self._paint(latents)
        with tf.GradientTape() as d_tape:
            real_logits = self._judge("real", real)
            fake_logits = self._judge("fake", fake)
            d_loss = losses.discriminator_minimax(real_logits, fake_logits, self.label_smoothing)
        d_norm = self.minimize("discriminator", d_tape, d_loss)
        with g_tape:  # the same pictures, judged by the discriminator that has just moved
            g_loss = losses.generator_non_saturating(self._judge("fake again", fake))
        g_norm = self.minimize("generator", g_tape, g_loss)
        return self._report(real_logits, fake_logits, d_loss, g_loss, d_norm, g_norm)

    def _simultaneous(self, real: tf.Tensor, latents: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape(persistent=True) as tape:
            fake = self._paint(latents)
            real_logits = self._judge("real", real)
            fake_logits = self._judge("fake", fake)
            d_loss = losses.discriminator_minimax(real_logits, fake_logits, self.label_smoothing)
            g_loss = losses.generator_non_saturating(fake_logits)
        d_norm = self.minimize("discriminator", tape, d_loss)
        g_norm = self.minimize("generator", tape, g_loss)
        return self._report(real_logits, fake_logits, d_loss, g_loss, d_norm, g_norm)

    # The scopes are for dropout, which the paper's networks do not have but other networks may.

    def _paint(self, latents: tf.Tensor) -> tf.Tensor:
        with self.noise.scope("generator", self.step):
            return self.generator(latents, training=True)

    def _judge(self, stream: str, pictures: tf.Tensor) -> tf.Tensor:
        if self.instance_noise:
            fading = self.instance_noise, self.instance_noise_steps
            pictures = instance_noise(self.noise, f"noise on {stream}", self.step, pictures, *fading)
        with self.noise.scope(stream, self.step):
            return self.discriminator(pictures, training=True)

    def _report(self, real_logits, fake_logits, d_loss, g_loss, d_norm, g_norm) -> dict[str, tf.Tensor]:
        return self.report(
            discriminator_loss=d_loss,
            generator_loss=g_loss,
            p_real=tf.reduce_mean(tf.sigmoid(real_logits)),
            p_fake=tf.reduce_mean(tf.sigmoid(fake_logits)),
            discriminator_gradient_norm=d_norm,
            generator_gradient_norm=g_norm,
        )
