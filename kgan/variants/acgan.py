"""ACGAN (Odena et al. 2017): the discriminator also tells the class, for which the generator is rewarded."""

from typing import ClassVar

import keras
import tensorflow as tf

from kgan import losses
from kgan.conditional import Conditional
from kgan.errors import InputError, require_positive, require_share
from kgan.networks import acgan
from kgan.optimizers import Adam
from kgan.priors import Normal
from kgan.variants.base import Player, Variant


@keras.saving.register_keras_serializable("kgan")
class ACGAN(Conditional, Variant):
    """Conditional image synthesis with auxiliary classifier GANs, https://arxiv.org/abs/1610.09585, section 3.

    Defaults are the CIFAR-10 experiment of appendix A: batches of 100, Adam with 0.0002 and beta_1 0.5, dropout in the
    discriminator, weights from N(0, 0.02).

    Args:
        image_shape: (size, size, channels) of the images.
        classes: how many there are.
        latent_dim: size of a latent, normal; the class is appended to it.
        width: channels of the generator's first map; the discriminator's first layer has a 24th as many.
        learning_rate: of Adam, for both players.
        beta_1: of Adam: the decay of the mean gradient.
        seed: of every random number that training draws.
    """

    data: ClassVar = "labelled"
    measures: ClassVar = (
        "discriminator_loss",
        "generator_loss",
        "source_loss",
        "class_loss",
        "p_real",
        "p_fake",
        "class_accuracy_real",
        "class_accuracy_fake",
        "discriminator_gradient_norm",
        "generator_gradient_norm",
    )
    batch_size: ClassVar = 100
    steps: ClassVar = 50_000
    small: ClassVar = {"width": 192, "steps": 2000}

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        latent_dim: int = 100,
        width: int = 384,
        learning_rate: float = 0.0002,
        beta_1: float = 0.5,
        seed: int = 0,
    ):
        super().__init__(image_shape, seed)
        if self.image_shape[0] != self.image_shape[1]:
            raise InputError(f"image_shape: got {self.image_shape}, expected a square for ACGAN")
        require_positive(classes=classes, latent_dim=latent_dim, width=width, learning_rate=learning_rate)
        require_share(beta_1=beta_1)
        self.classes = classes
        self.latent_dim = latent_dim
        self.width = width
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.prior = Normal(latent_dim)
        self.generator = acgan.generator(self.image_shape, classes, latent_dim, width)
        self.discriminator = acgan.discriminator(self.image_shape, classes, max(1, width // 24))
        self.players = (Player("discriminator", (self.discriminator,)), Player("generator", (self.generator,)))
        self.built = True

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        return {player.name: Adam(self.learning_rate, beta_1=self.beta_1) for player in self.players}

    def train_step(self, data) -> dict[str, tf.Tensor]:
        ((real, labels),) = self.rounds(data, 1)
        rows = tf.shape(real)[0]
        asked = labels  # c ~ p_c: classes as frequent as in the data
        with tf.GradientTape() as g_tape:
            fake = self.generator([self.sample_prior("latents", rows), asked], training=True)

        with tf.GradientTape() as d_tape:  # maximises L_S + L_C
            real_logits, real_classes = self._judge("real", real)
            fake_logits, fake_classes = self._judge("fake", fake)
            source_loss = losses.discriminator_minimax(real_logits, fake_logits)
            class_loss = losses.classes(real_classes, labels) + losses.classes(fake_classes, asked)
            d_loss = source_loss + class_loss
        d_norm = self.minimize("discriminator", d_tape, d_loss)

        # Maximises L_C - L_S, the second by the non-saturating loss, on the same pictures, judged by the discriminator
        # that has just moved.
        with g_tape:
            logits, said = self._judge("fake again", fake)
            g_loss = losses.generator_non_saturating(logits) + losses.classes(said, asked)
        g_norm = self.minimize("generator", g_tape, g_loss)

        return self.report(
            discriminator_loss=d_loss,
            generator_loss=g_loss,
            source_loss=source_loss,
            class_loss=class_loss,
            p_real=tf.reduce_mean(tf.sigmoid(real_logits)),
            p_fake=tf.reduce_mean(tf.sigmoid(fake_logits)),
            class_accuracy_real=_accuracy(real_classes, labels),
            class_accuracy_fake=_accuracy(fake_classes, asked),
            discriminator_gradient_norm=d_norm,
            generator_gradient_norm=g_norm,
        )

    def _judge(self, stream: str, pictures: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with self.noise.scope(stream, self.step):
            return self.discriminator(pictures, training=True)


def _accuracy(class_logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The share of rows whose class is told right."""
    told = tf.argmax(class_logits, axis=1, output_type=tf.int32)
    return tf.reduce_mean(tf.cast(told == labels, tf.float32))
