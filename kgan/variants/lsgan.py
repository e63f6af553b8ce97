"""LSGAN (Mao et al. 2017): least squares instead of logarithms."""

from typing import ClassVar

import keras
import tensorflow as tf

from kgan import losses
from kgan.errors import InputError, require_positive, require_share
from kgan.latent import Latent
from kgan.networks import dcgan
from kgan.optimizers import Adam
from kgan.priors import Uniform
from kgan.variants.base import Player, Variant


@keras.saving.register_keras_serializable("kgan")
class LSGAN(Latent, Variant):
    """Least squares generative adversarial networks, https://arxiv.org/abs/1611.04076, equation 9.

    Batches of 64, Adam with a beta_1 of 0.5 and the learning rate of the paper's handwritten characters (section 4),
    on the networks of DCGAN.

    Args:
        image_shape: (size, size, channels) of the images.
        latent_dim: size of a latent, uniform on [-1, 1] in each direction.
        width: channels of the generator's last hidden layer and of the discriminator's first.
        learning_rate: of Adam, for both players.
        beta_1: of Adam: the decay of the mean gradient.
        seed: of every random number that training draws.
    """

    measures: ClassVar = (
        "discriminator_loss",
        "generator_loss",
        "real_score",
        "fake_score",
        "discriminator_gradient_norm",
        "generator_gradient_norm",
    )
    batch_size: ClassVar = 64
    steps: ClassVar = 20_000
    small: ClassVar = {"width": 32, "steps": 2000}

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int = 100,
        width: int = 64,
        learning_rate: float = 0.0002,
        beta_1: float = 0.5,
        seed: int = 0,
    ):
        super().__init__(image_shape, seed)
        if self.image_shape[0] != self.image_shape[1]:
            raise InputError(f"image_shape: got {self.image_shape}, expected a square for LSGAN")
        require_positive(latent_dim=latent_dim, width=width, learning_rate=learning_rate)
        require_share(beta_1=beta_1)
        self.latent_dim = latent_dim
        self.width = width
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.prior = Uniform(latent_dim)
        self.generator = dcgan.generator(self.image_shape, latent_dim, width)
        self.discriminator = dcgan.discriminator(self.image_shape, width)
        self.players = (Player("discriminator", (self.discriminator,)), Player("generator", (self.generator,)))
        self.built = True

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        return {player.name: Adam(self.learning_rate, beta_1=self.beta_1) for player in self.players}

    def train_step(self, data) -> dict[str, tf.Tensor]:
        (real,) = self.rounds(data, 1)
        with tf.GradientTape() as g_tape:
            fake = self.generator(self.sample_prior("latents", tf.shape(real)[0]), training=True)
        with tf.GradientTape() as d_tape:
            real_score = self.discriminator(real, training=True)
            fake_score = self.discriminator(fake, training=True)
            d_loss = losses.discriminator_least_squares(real_score, fake_score)
        d_norm = self.minimize("discriminator", d_tape, d_loss)
        with g_tape:  # the same pictures, judged by the discriminator that has just moved
            g_loss = losses.generator_least_squares(self.discriminator(fake, training=True))
        g_norm = self.minimize("generator", g_tape, g_loss)

        return self.report(
            discriminator_loss=d_loss,
            generator_loss=g_loss,
            real_score=tf.reduce_mean(real_score),
            fake_score=tf.reduce_mean(fake_score),
            discriminator_gradient_norm=d_norm,
            generator_gradient_norm=g_norm,
        )
