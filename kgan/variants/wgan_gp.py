"""WGAN-GP (Gulrajani et al. 2017): a penalty on the critic's gradient instead of clipped weights."""

from typing import ClassVar, Literal

import keras
import tensorflow as tf

from kgan import losses, penalties
from kgan.errors import InputError, require_choice, require_positive, require_share
from kgan.latent import Latent
from kgan.networks import dcgan, resnet
from kgan.optimizers import SCHEDULES, Adam, scheduled
from kgan.priors import Normal
from kgan.variants.base import Player, Variant

_PENALTIES = {"two-sided": penalties.two_sided, "one-sided": penalties.one_sided}


@keras.saving.register_keras_serializable("kgan")
class WGANGP(Latent, Variant):
    """Improved training of Wasserstein GANs, https://arxiv.org/abs/1704.00028, Algorithm 1 with its default values.

    The default values are the algorithm's, whatever the network. The networks are the residual ones of appendix F, or
    DCGAN's, the critic then without batch norm (section 4). It has no bias at its output: the loss does not depend on
    it.

    Args:
        image_shape: (size, size, channels) of the images.
        network: "resnet" (appendix F) or "dcgan".
        latent_dim: size of a latent, normal.
        width: channels of the layers on the whole image, 64 in the paper; the residual networks up to 32 px, which
            have the same channels everywhere, have twice as many.
        n_critic: critic updates per generator update, each on fresh rows and fresh latents.
        lambda_gp: weight of the penalty.
        penalty: "two-sided" draws the gradient's norm to 1 (eq. 3); "one-sided" only pushes it down to 1.
        critic_learning_rate: of Adam, at the start; another than the generator's makes two time scales of the updates
            (Heusel et al. 2017), with which fewer critic updates may do.
        generator_learning_rate: of Adam, at the start.
        schedule: of both: "constant", or falling to 0 over the training, "linear" or along a "cosine".
        beta_1: of Adam: the decay of the mean gradient ...
        beta_2: ... and of the mean squared one.
        total_steps: over which learning rates fall.
        seed: of every random number that training draws.
    """

    measures: ClassVar = (
        "critic_loss",
        "generator_loss",
        "wasserstein",
        "gradient_penalty",
        "input_gradient_norm",
        "critic_gradient_norm",
        "generator_gradient_norm",
    )
    batch_size: ClassVar = 64
    steps: ClassVar = 100_000
    small: ClassVar = {"network": "dcgan", "width": 32, "steps": 2000}

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        network: Literal["resnet", "dcgan"] = "resnet",
        latent_dim: int = 128,
        width: int = 64,
        n_critic: int = 5,
        lambda_gp: float = 10.0,
        penalty: Literal["two-sided", "one-sided"] = "two-sided",
        critic_learning_rate: float = 0.0001,
        generator_learning_rate: float = 0.0001,
        schedule: Literal["constant", "linear", "cosine"] = "constant",
        beta_1: float = 0.0,
        beta_2: float = 0.9,
        total_steps: int = 100_000,
        seed: int = 0,
    ):
        super().__init__(image_shape, seed)
        if self.image_shape[0] != self.image_shape[1]:
            raise InputError(f"image_shape: got {self.image_shape}, expected a square for WGAN-GP")
        require_choice("network", network, ("resnet", "dcgan"))
        require_choice("penalty", penalty, _PENALTIES)
        require_choice("schedule", schedule, SCHEDULES)
        require_positive(latent_dim=latent_dim, width=width, n_critic=n_critic, lambda_gp=lambda_gp)
        require_positive(critic_learning_rate=critic_learning_rate, generator_learning_rate=generator_learning_rate)
        require_positive(total_steps=total_steps)
        require_share(beta_1=beta_1, beta_2=beta_2)
        self.network = network
        self.latent_dim = latent_dim
        self.width = width
        self.n_critic = n_critic
        self.lambda_gp = lambda_gp
        self.penalty = penalty
        self.critic_learning_rate = critic_learning_rate
        self.generator_learning_rate = generator_learning_rate
        self.schedule = schedule
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.total_steps = total_steps
        self.prior = Normal(latent_dim)
        if network == "resnet":
            blocks = 2 * width if self.image_shape[0] <= resnet.UNIFORM else width
            self.generator = resnet.generator(self.image_shape, blocks, latent_dim)
            self.critic = resnet.critic(self.image_shape, blocks)
        else:
            self.generator = dcgan.generator(self.image_shape, latent_dim, width)
            self.critic = dcgan.discriminator(self.image_shape, width, batch_norm=False, output_bias=False)
        self.players = (Player("critic", (self.critic,), n_critic), Player("generator", (self.generator,)))
        self.built = True

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        critic_rate = scheduled(self.schedule, self.critic_learning_rate, self.total_steps * self.n_critic)
        generator_rate = scheduled(self.schedule, self.generator_learning_rate, self.total_steps)
        return {
            "critic": Adam(critic_rate, self.beta_1, self.beta_2),
            "generator": Adam(generator_rate, self.beta_1, self.beta_2),
        }

    def train_step(self, data) -> dict[str, tf.Tensor]:
        for i, real in enumerate(self.rounds(data, self.n_critic)):
            rows = tf.shape(real)[0]
            fake = self.generator(self.sample_prior(f"latents_{i}", rows), training=True)
            epsilon = self.noise.uniform(f"epsilon_{i}", self.step, [rows, 1, 1, 1])
            points = penalties.between(real, fake, epsilon)
            with tf.GradientTape() as tape:
                wasserstein = -losses.critic_wasserstein(self._judge(real), self._judge(fake))
                penalty, input_norm = _PENALTIES[self.penalty](self._judge, points)
                critic_loss = -wasserstein + self.lambda_gp * penalty
            critic_norm = self.minimize("critic", tape, critic_loss)

        latents = self.sample_prior("latents", tf.shape(real)[0])
        with tf.GradientTape() as tape:
            g_loss = losses.generator_wasserstein(self._judge(self.generator(latents, training=True)))
        g_norm = self.minimize("generator", tape, g_loss)

        return self.report(
            critic_loss=critic_loss,
            generator_loss=g_loss,
            wasserstein=wasserstein,
            gradient_penalty=penalty,
            input_gradient_norm=input_norm,
            critic_gradient_norm=critic_norm,
            generator_gradient_norm=g_norm,
        )

    def _judge(self, pictures: tf.Tensor) -> tf.Tensor:
        return self.critic(pictures, training=True)
