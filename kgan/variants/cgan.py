"""CGAN (Mirza & Osindero 2014): the minimax game of two multilayer perceptrons that are both told the class."""

from typing import ClassVar

import keras
import tensorflow as tf

from kgan import losses
from kgan.conditional import Conditional
from kgan.errors import require_at_least, require_positive, require_share
from kgan.networks import mlp
from kgan.optimizers import SGD, ExponentialDecay
from kgan.priors import Uniform
from kgan.variants.base import Player, Variant


@keras.saving.register_keras_serializable("kgan")
class CGAN(Conditional, Variant):
    """Conditional generative adversarial nets, https://arxiv.org/abs/1411.1784, equation 2.

    Defaults are the MNIST experiment of section 4.1: batches of 100, maxout discriminator with dropout of 0.5, SGD
    whose learning rate falls and whose momentum grows. Three things differ. The paper's latents are uniform in the
    unit hypercube; here they have mean 0 and variance 1 as in the 2014 GAN, which is another start of the first layer.
    And the paper has dropout in the generator too (`generator_dropout` of 0.5): the masks then take the place of the
    latents, and without masks all pictures of a class are the same. The generator learns by the non-saturating loss.

    Args:
        image_shape: (height, width, channels) of the images.
        classes: how many there are.
        latent_dim: size of a latent, uniform on [-sqrt(3), sqrt(3)] in each direction (variance 1).
        width: units of the generator's joint layer; the discriminator's has a fifth as many maxout units.
        generator_dropout: of the generator's layers while it trains.
        learning_rate: of SGD, at the start, for both players.
        decay: a learning rate is divided by this at each update of its player ...
        minimum_learning_rate: ... down to this.
        momentum: of SGD, at the start.
        final_momentum: of SGD, at the end of its linear growth.
        momentum_steps: length of that growth in updates; the paper does not give it: that of the 2014 GAN.
        seed: of every random number that training draws.
    """

    data: ClassVar = "labelled"
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
    small: ClassVar = {"width": 480, "steps": 10_000}

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        latent_dim: int = 100,
        width: int = 1200,
        generator_dropout: float = 0.0,
        learning_rate: float = 0.1,
        decay: float = 1.00004,
        minimum_learning_rate: float = 0.000001,
        momentum: float = 0.5,
        final_momentum: float = 0.7,
        momentum_steps: int = 125_000,
        seed: int = 0,
    ):
        super().__init__(image_shape, seed)
        require_positive(classes=classes, latent_dim=latent_dim, width=width, learning_rate=learning_rate)
        require_at_least(1, decay=decay)
        require_at_least(0, minimum_learning_rate=minimum_learning_rate)
        require_positive(momentum_steps=momentum_steps)
        require_share(momentum=momentum, final_momentum=final_momentum, generator_dropout=generator_dropout)
        self.classes = classes
        self.latent_dim = latent_dim
        self.width = width
        self.generator_dropout = generator_dropout
        self.learning_rate = learning_rate
        self.decay = decay
        self.minimum_learning_rate = minimum_learning_rate
        self.momentum = momentum
        self.final_momentum = final_momentum
        self.momentum_steps = momentum_steps
        self.prior = Uniform(latent_dim, bound=3**0.5)
        self.generator = mlp.conditional_generator(self.image_shape, classes, latent_dim, width, generator_dropout)
        units = max(1, width // 5)
        self.discriminator = mlp.conditional_maxout_discriminator(self.image_shape, classes, units)
        self.players = (Player("discriminator", (self.discriminator,)), Player("generator", (self.generator,)))
        self.built = True

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        schedule = ExponentialDecay(self.learning_rate, self.decay, self.minimum_learning_rate)
        return {
            player.name: SGD(schedule, self.momentum, self.final_momentum, self.momentum_steps)
            for player in self.players
        }

    def train_step(self, data) -> dict[str, tf.Tensor]:
        ((real, labels),) = self.rounds(data, 1)
        rows = tf.shape(real)[0]

        fake = self._paint("fake", self.sample_prior("latents_d", rows), labels)
        with tf.GradientTape() as tape:
            real_logits = self._judge("real", real, labels)
            fake_logits = self._judge("fake", fake, labels)
            d_loss = losses.discriminator_minimax(real_logits, fake_logits)
        d_norm = self.minimize("discriminator", tape, d_loss)

        latents = self.sample_prior("latents_g", rows)
        with tf.GradientTape() as tape:
            logits = self._judge("generator", self._paint("generator", latents, labels), labels)
            g_loss = losses.generator_non_saturating(logits)
        g_norm = self.minimize("generator", tape, g_loss)

        return self.report(
            discriminator_loss=d_loss,
            generator_loss=g_loss,
            p_real=tf.reduce_mean(tf.sigmoid(real_logits)),
            p_fake=tf.reduce_mean(tf.sigmoid(fake_logits)),
            discriminator_gradient_norm=d_norm,
            generator_gradient_norm=g_norm,
        )

    def _paint(self, stream: str, latents: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with self.noise.scope(f"paint {stream}", self.step):
            return self.generator([latents, labels], training=True)

    def _judge(self, stream: str, pictures: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with self.noise.scope(f"judge {stream}", self.step):
            return self.discriminator([pictures, labels], training=True)
