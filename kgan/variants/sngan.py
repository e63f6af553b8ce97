"""SN-GAN (Miyato et al. 2018): every layer of the discriminator divided by its largest singular value."""

from typing import ClassVar, Literal

import keras
import tensorflow as tf

from kgan import losses
from kgan.errors import InputError, require_choice, require_positive, require_share
from kgan.latent import Latent
from kgan.layers import spectral_normalization
from kgan.networks import resnet, sngan_cnn
from kgan.optimizers import SCHEDULES, Adam, scheduled
from kgan.priors import Normal
from kgan.variants.base import Player, Variant

_LOSSES = {
    "hinge": (losses.discriminator_hinge, losses.generator_hinge),
    "non-saturating": (losses.discriminator_minimax, losses.generator_non_saturating),
}


@keras.saving.register_keras_serializable("kgan")
class SNGAN(Latent, Variant):
    """Spectral normalization for GANs, https://arxiv.org/abs/1802.05957, Algorithm 1 and section 4.

    Defaults are the paper's residual networks for CIFAR-10: hinge loss (eq. 16 and 17), five discriminator updates,
    Adam with 0.0002, beta_1 0 and beta_2 0.9, falling to 0 over the training. Its standard CNN is best with
    `--n-critic 1 --beta-1 0.5 --beta-2 0.999` (setting C of table 1).

    Args:
        image_shape: (size, size, channels) of the images.
        network: "resnet" (appendix B.4, table 4) or "cnn" (table 3).
        latent_dim: size of a latent, normal.
        width: channels of the layers on the whole image, 64 in the paper. The residual networks up to 32 px, which
            have the same channels everywhere, have 4 times as many in the generator and twice in the discriminator.
        gan_loss: "hinge" or "non-saturating".
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
    small: ClassVar = {"network": "cnn", "n_critic": 1, "beta_1": 0.5, "beta_2": 0.999, "width": 16, "steps": 2000}

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        network: Literal["resnet", "cnn"] = "resnet",
        latent_dim: int = 128,
        width: int = 64,
        gan_loss: Literal["hinge", "non-saturating"] = "hinge",
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
            raise InputError(f"image_shape: got {self.image_shape}, expected a square for SN-GAN")
        require_choice("network", network, ("resnet", "cnn"))
        require_choice("gan_loss", gan_loss, _LOSSES)
        require_positive(latent_dim=latent_dim, width=width, n_critic=n_critic)
        require_choice("schedule", schedule, SCHEDULES)
        require_positive(discriminator_learning_rate=discriminator_learning_rate, total_steps=total_steps)
        require_positive(generator_learning_rate=generator_learning_rate)
        require_share(beta_1=beta_1, beta_2=beta_2)
        self.network = network
        self.latent_dim = latent_dim
        self.width = width
        self.gan_loss = gan_loss
        self.n_critic = n_critic
        self.discriminator_learning_rate = discriminator_learning_rate
        self.generator_learning_rate = generator_learning_rate
        self.schedule = schedule
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.total_steps = total_steps
        self.prior = Normal(latent_dim)
        if network == "resnet":
            is_small = self.image_shape[0] <= resnet.UNIFORM
            self.generator = resnet.generator(self.image_shape, 4 * width if is_small else width, latent_dim)
            self.discriminator = resnet.discriminator(self.image_shape, 2 * width if is_small else width)
        else:
            self.generator = sngan_cnn.generator(self.image_shape, width, latent_dim)
            self.discriminator = sngan_cnn.discriminator(self.image_shape, width)
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
        discriminator_loss, generator_loss = _LOSSES[self.gan_loss]
        for i, real in enumerate(self.rounds(data, self.n_critic)):
            fake = self.generator(self.sample_prior(f"latents_{i}", tf.shape(real)[0]), training=True)
            spectral_normalization.advance(self.discriminator)  # one power iteration for each of its updates
            with tf.GradientTape() as tape:
                real_logits = self.discriminator(real, training=True)
                fake_logits = self.discriminator(fake, training=True)
                d_loss = discriminator_loss(real_logits, fake_logits)
            d_norm = self.minimize("discriminator", tape, d_loss)

        latents = self.sample_prior("latents", tf.shape(real)[0])
        with tf.GradientTape() as tape:
            logits = self.discriminator(self.generator(latents, training=True), training=True)
            g_loss = generator_loss(logits)
        g_norm = self.minimize("generator", tape, g_loss)

        return self.report(
            discriminator_loss=d_loss,
            generator_loss=g_loss,
            real_score=tf.reduce_mean(real_logits),
            fake_score=tf.reduce_mean(fake_logits),
            discriminator_gradient_norm=d_norm,
            generator_gradient_norm=g_norm,
        )
