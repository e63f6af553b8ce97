"""WGAN (Arjovsky et al. 2017): a critic with clipped weights estimates the Wasserstein distance."""

from typing import ClassVar

import keras
import tensorflow as tf

from kgan import losses
from kgan.errors import InputError, require_positive
from kgan.latent import Latent
from kgan.networks import dcgan
from kgan.priors import Normal
from kgan.variants.base import Player, Variant


@keras.saving.register_keras_serializable("kgan")
class WGAN(Latent, Variant):
    """Wasserstein GAN, https://arxiv.org/abs/1701.07875, Algorithm 1 with its default values.

    The networks are DCGAN's, as in section 4.2, the critic without a bias at its output: the loss, a difference of
    outputs, does not depend on it. RMSprop averages over a hundred steps, as in the authors' code.

    Args:
        image_shape: (size, size, channels) of the images.
        latent_dim: size of a latent, normal.
        width: channels of the generator's last hidden layer and of the critic's first.
        n_critic: critic updates per generator update, each on fresh rows and fresh latents.
        clip: weights of the critic lie in [-clip, clip] after each of its updates (c in Algorithm 1).
        learning_rate: of RMSprop, for both players (alpha in Algorithm 1).
        seed: of every random number that training draws.
    """

    measures: ClassVar = (
        "critic_loss",
        "generator_loss",
        "wasserstein",
        "critic_gradient_norm",
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
        n_critic: int = 5,
        clip: float = 0.01,
        learning_rate: float = 0.00005,
        seed: int = 0,
    ):
        super().__init__(image_shape, seed)
        if self.image_shape[0] != self.image_shape[1]:
            raise InputError(f"image_shape: got {self.image_shape}, expected a square for WGAN")
        require_positive(latent_dim=latent_dim, width=width, n_critic=n_critic, clip=clip, learning_rate=learning_rate)
        self.latent_dim = latent_dim
        self.width = width
        self.n_critic = n_critic
        self.clip = clip
        self.learning_rate = learning_rate
        self.prior = Normal(latent_dim)
        self.generator = dcgan.generator(self.image_shape, latent_dim, width)
        self.critic = dcgan.discriminator(self.image_shape, width, output_bias=False)
        self.players = (Player("critic", (self.critic,), n_critic), Player("generator", (self.generator,)))
        self.built = True

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        # Keras adds epsilon to the mean square, whose root it takes: the default would outweigh a clipped critic's
        # gradients.
        return {
            player.name: keras.optimizers.RMSprop(self.learning_rate, rho=0.99, epsilon=1e-16)
            for player in self.players
        }

    def train_step(self, data) -> dict[str, tf.Tensor]:
        for i, real in enumerate(self.rounds(data, self.n_critic)):
            fake = self.generator(self.sample_prior(f"latents_{i}", tf.shape(real)[0]), training=True)
            with tf.GradientTape() as tape:
                real_scores, fake_scores = self.critic(real, training=True), self.critic(fake, training=True)
                critic_loss = losses.critic_wasserstein(real_scores, fake_scores)
            critic_norm = self.minimize("critic", tape, critic_loss)
            self._clip_weights()

        latents = self.sample_prior("latents", tf.shape(real)[0])
        with tf.GradientTape() as tape:
            fake_scores = self.critic(self.generator(latents, training=True), training=True)
            g_loss = losses.generator_wasserstein(fake_scores)
        g_norm = self.minimize("generator", tape, g_loss)

        return self.report(
            critic_loss=critic_loss,
            generator_loss=g_loss,
            wasserstein=-critic_loss,
            critic_gradient_norm=critic_norm,
            generator_gradient_norm=g_norm,
        )

    def _clip_weights(self) -> None:
        for variable in self.critic.trainable_variables:
            variable.assign(tf.clip_by_value(variable, -self.clip, self.clip))
