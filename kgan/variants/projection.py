"""Projection GAN (Miyato & Koyama 2018): the class enters the discriminator by an inner product."""

from typing import ClassVar, Literal

import keras
import tensorflow as tf

from kgan import losses
from kgan.conditional import Conditional
from kgan.errors import InputError, require_choice, require_positive, require_share
from kgan.layers import spectral_normalization
from kgan.networks import resnet
from kgan.optimizers import SCHEDULES, Adam, scheduled
from kgan.priors import Normal
from kgan.variants.base import Player, Variant


@keras.saving.register_keras_serializable("kgan")
class Projection(Conditional, Variant):
    """cGANs with projection discriminator, https://arxiv.org/abs/1802.05637, equation 3.

    The logit is psi(phi(x)) plus the inner product of phi(x) with an embedding of the class; the generator's batch
    norms are conditional. Residual networks with spectral normalisation, hinge loss and five discriminator updates, as
    in section 4 of the paper, with the settings of SN-GAN for small images.

    Args:
        image_shape: (size, size, channels) of the images.
        classes: how many there are.
        latent_dim: size of a latent, normal.
        width: channels of the blocks on the whole image, 64 in the paper; up to 32 px, where all blocks have the same
            channels, they are 4 times as many in the generator and twice in the discriminator.
        n_critic: discriminator updates per generator update, each on fresh rows and fresh latents.
        discriminator_learning_rate: of Adam, at the start; another than the generator's makes two time scales of the
            updates (Heusel et al. 2017), with which fewer discriminator updates may do.
        generator_learning_rate: of Adam, at the start.
        schedule: of both: falling to 0 over the training, "linear" or along a "cosine", or "constant".
        beta_1: of Adam: the decay of the mean gradient ...
        beta_2: ... and of the mean squared one.
        total_steps: over which learning rates fall.
        seed: of every random number that training draws.
    """

    data: ClassVar = "labelled"
    measures: ClassVar = (
        "discriminator_loss",
        "generator_loss",
        "real_score",
        "fake_score",
        "discriminator_gradient_norm",
        "generator_gradient_norm",
    )
    batch_size: ClassVar = 64
    steps: ClassVar = 100_000
    # Setting C of SN-GAN's table 1, faster: with five discriminator steps, or slower, classes come much later.
    small: ClassVar = {
        "width": 8,
        "steps": 2000,
        "n_critic": 1,
        "discriminator_learning_rate": 0.0005,
        "generator_learning_rate": 0.0005,
        "schedule": "constant",
        "beta_1": 0.5,
        "beta_2": 0.999,
    }

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        latent_dim: int = 128,
        width: int = 64,
        n_critic: int = 5,
        discriminator_learning_rate: float = 0.0002,
        generator_learning_rate: float = 0.0002,
        schedule: Literal["linear", "cosine", "constant"] = "linear",
        beta_1: float = 0.0,
        beta_2: float = 0.9,
        total_steps: int = 100_000,
        seed: int = 0,
    ):
        super().__init__(image_shape, seed)
        if self.image_shape[0] != self.image_shape[1]:
            raise InputError(f"image_shape: got {self.image_shape}, expected a square for projection")
        require_positive(classes=classes, latent_dim=latent_dim, width=width, n_critic=n_critic)
        require_choice("schedule", schedule, SCHEDULES)
        require_positive(discriminator_learning_rate=discriminator_learning_rate, total_steps=total_steps)
        require_positive(generator_learning_rate=generator_learning_rate)
        require_share(beta_1=beta_1, beta_2=beta_2)
        self.classes = classes
        self.latent_dim = latent_dim
        self.width = width
        self.n_critic = n_critic
        self.discriminator_learning_rate = discriminator_learning_rate
        self.generator_learning_rate = generator_learning_rate
        self.schedule = schedule
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.total_steps = total_steps
        self.prior = Normal(latent_dim)
        is_small = self.image_shape[0] <= resnet.UNIFORM
        self.generator = resnet.generator(self.image_shape, 4 * width if is_small else width, latent_dim, classes)
        self.discriminator = resnet.discriminator(self.image_shape, 2 * width if is_small else width, classes)
        self.players = (
            Player("discriminator", (self.discriminator,), n_critic),
            Player("generator", (self.generator,)),
        )
        self.built = True

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        discriminator_updates = self.total_steps * self.n_critic
        discriminator_rate = scheduled(self.schedule, self.discriminator_learning_rate, discriminator_updates)
        generator_rate = scheduled(self.schedule, self.generator_learning_rate, self.total_steps)
        return {
            "discriminator": Adam(discriminator_rate, self.beta_1, self.beta_2),
            "generator": Adam(generator_rate, self.beta_1, self.beta_2),
        }

    def train_step(self, data) -> dict[str, tf.Tensor]:
        for i, (real, labels) in enumerate(self.rounds(data, self.n_critic)):
            # Generated images are of the same classes, as equation 3 needs it: p(y) = q(y).
            fake = self.generator([self.sample_prior(f"latents_{i}", tf.shape(real)[0]), labels], training=True)
            spectral_normalization.advance(self.discriminator)  # one power iteration for each of its updates
            with tf.GradientTape() as tape:
                real_logits = self.discriminator([real, labels], training=True)
                fake_logits = self.discriminator([fake, labels], training=True)
                d_loss = losses.discriminator_hinge(real_logits, fake_logits)
            d_norm = self.minimize("discriminator", tape, d_loss)

        latents = self.sample_prior("latents", tf.shape(real)[0])
        with tf.GradientTape() as tape:
            fake = self.generator([latents, labels], training=True)
            g_loss = losses.generator_hinge(self.discriminator([fake, labels], training=True))
        g_norm = self.minimize("generator", tape, g_loss)

        return self.report(
            discriminator_loss=d_loss,
            generator_loss=g_loss,
            real_score=tf.reduce_mean(real_logits),
            fake_score=tf.reduce_mean(fake_logits),
            discriminator_gradient_norm=d_norm,
            generator_gradient_norm=g_norm,
        )
