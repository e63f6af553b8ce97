"""GAN (Goodfellow et al. 2014): the minimax game of two multilayer perceptrons."""

from typing import ClassVar, Literal

import keras
import tensorflow as tf

from kgan import losses
from kgan.errors import require_at_least, require_choice, require_positive, require_share
from kgan.latent import Latent
from kgan.networks import mlp
from kgan.optimizers import SGD, ExponentialDecay
from kgan.priors import Uniform
from kgan.variants.base import Player, Variant


@keras.saving.register_keras_serializable("kgan")
class GAN(Latent, Variant):
    """Generative adversarial nets, https://arxiv.org/abs/1406.2661, Algorithm 1.

    Defaults are the MNIST experiment of section 5, with the settings of the code released with the paper where the
    paper gives none: batches of 100, ReLU generator of 1200-1200, maxout discriminator of 240-240 with dropout, SGD
    whose learning rate falls and whose momentum grows. That code halves the discriminator's loss; here the loss is
    the paper's and the learning rate is half.

    Args:
        image_shape: (height, width, channels) of the images.
        latent_dim: size of a latent, uniform on [-sqrt(3), sqrt(3)] in each direction (variance 1).
        width: units of the generator's hidden layers; the discriminator has a fifth as many maxout units.
        k: discriminator steps per generator step, each on fresh rows and fresh latents.
        generator_loss: "non-saturating" maximises log D(G(z)), as in the experiments (end of section 3); "minimax"
            minimises log(1 - D(G(z))), as in Algorithm 1.
        generator_learning_rate: of SGD, at the start.
        discriminator_learning_rate: of SGD, at the start.
        decay: a learning rate is divided by this at each update of its player ...
        minimum_learning_rate: ... down to this.
        momentum: of SGD, at the start.
        final_momentum: of SGD, at the end of its linear growth.
        momentum_steps: length of that growth in updates: 250 epochs of 50,000 images.
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
    batch_size: ClassVar = 100
    steps: ClassVar = 100_000
    small: ClassVar = {"width": 400, "steps": 10_000}

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        latent_dim: int = 100,
        width: int = 1200,
        k: int = 1,
        generator_loss: Literal["non-saturating", "minimax"] = "non-saturating",
        generator_learning_rate: float = 0.1,
        discriminator_learning_rate: float = 0.05,
        decay: float = 1.000004,
        minimum_learning_rate: float = 0.000001,
        momentum: float = 0.5,
        final_momentum: float = 0.7,
        momentum_steps: int = 125_000,
        seed: int = 0,
    ):
        super().__init__(image_shape, seed)
        require_positive(latent_dim=latent_dim, width=width, k=k, momentum_steps=momentum_steps)
        require_at_least(1, decay=decay)
        require_at_least(0, minimum_learning_rate=minimum_learning_rate)
        require_positive(generator_learning_rate=generator_learning_rate)
        require_positive(discriminator_learning_rate=discriminator_learning_rate)
        require_share(momentum=momentum, final_momentum=final_momentum)
        require_choice("generator_loss", generator_loss, ("non-saturating", "minimax"))
        self.latent_dim = latent_dim
        self.width = width
        self.k = k
        self.generator_loss = generator_loss
        self.generator_learning_rate = generator_learning_rate
        self.discriminator_learning_rate = discriminator_learning_rate
        self.decay = decay
        self.minimum_learning_rate = minimum_learning_rate
        self.momentum = momentum
        self.final_momentum = final_momentum
        self.momentum_steps = momentum_steps
        self.prior = Uniform(latent_dim, bound=3**0.5)
        self.generator = mlp.generator(self.image_shape, latent_dim, width)
        self.discriminator = mlp.maxout_discriminator(self.image_shape, units=max(1, width // 5))
        self.players = (Player("discriminator", (self.discriminator,), k), Player("generator", (self.generator,)))
        self.built = True

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        return {
            "discriminator": self._sgd(self.discriminator_learning_rate),
            "generator": self._sgd(self.generator_learning_rate),
        }

    def train_step(self, data) -> dict[str, tf.Tensor]:
        for i, real in enumerate(self.rounds(data, self.k)):
            fake = self.generator(self.sample_prior(f"latents_{i}", tf.shape(real)[0]), training=True)
            with tf.GradientTape() as tape:
                with self.noise.scope(f"real_{i}", self.step):
                    real_logits = self.discriminator(real, training=True)
                with self.noise.scope(f"fake_{i}", self.step):
                    fake_logits = self.discriminator(fake, training=True)
                d_loss = losses.discriminator_minimax(real_logits, fake_logits)
            d_norm = self.minimize("discriminator", tape, d_loss)

        latents = self.sample_prior("latents", tf.shape(real)[0])
        with tf.GradientTape() as tape, self.noise.scope("generator", self.step):
            logits = self.discriminator(self.generator(latents, training=True), training=True)
            minimax = self.generator_loss == "minimax"
            g_loss = losses.generator_minimax(logits) if minimax else losses.generator_non_saturating(logits)
        g_norm = self.minimize("generator", tape, g_loss)

        return self.report(
            discriminator_loss=d_loss,
            generator_loss=g_loss,
            p_real=tf.reduce_mean(tf.sigmoid(real_logits)),
            p_fake=tf.reduce_mean(tf.sigmoid(fake_logits)),
            discriminator_gradient_norm=d_norm,
            generator_gradient_norm=g_norm,
        )

    def _sgd(self, learning_rate: float) -> SGD:
        schedule = ExponentialDecay(learning_rate, self.decay, self.minimum_learning_rate)
        return SGD(schedule, self.momentum, self.final_momentum, self.momentum_steps)
