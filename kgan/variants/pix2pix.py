"""pix2pix (Isola et al. 2016): image translation learned from pairs, by a conditional GAN and an L1 term."""

from functools import partial
from typing import ClassVar, Literal

import keras
import tensorflow as tf

from kgan import losses
from kgan.errors import require_at_least, require_choice, require_positive, require_share
from kgan.layers.batch_norm import BatchNorm
from kgan.networks import patchgan, unet
from kgan.optimizers import Adam
from kgan.translation import Translation
from kgan.variants.base import Player, Variant


@keras.saving.register_keras_serializable("kgan")
class Pix2Pix(Translation, Variant):
    """Conditional adversarial networks for image-to-image translation, https://arxiv.org/abs/1611.07004.

    Defaults are section 2 and appendix 6.2 of the paper: batches of one, Adam of 0.0002 and beta_1 0.5, 200 epochs.
    The noise z is dropout, at test as in training (section 2.2): a picture has a translation for each seed.

    Args:
        image_shape: (height, width, channels) of the images.
        width: channels of the first layer of each network.
        direction: what becomes of what.
        patch: size in pixels of the patches that the discriminator judges: 1, 16, 70 or 286.
        norm_at_test: statistics that batch norm goes by at test: "instance", each image's own, as the paper's batches
            of one; or "moving", the running means of training.
        lambda_l1: weight of the L1 loss (lambda in eq. 4).
        learning_rate: of Adam, for both players.
        beta_1: of Adam: the decay of the mean gradient.
        seed: of every random number that training draws.
    """

    data: ClassVar = "paired"
    measures: ClassVar = (
        "generator_loss",
        "l1_loss",
        "discriminator_loss",
        "generator_gradient_norm",
        "discriminator_gradient_norm",
    )
    batch_size: ClassVar = 1
    epochs: ClassVar = 200
    load_scale: ClassVar = 286 / 256  # resized to 286, cropped to 256 (appendix 6.2)
    flip: ClassVar = True
    small: ClassVar = {"width": 16, "steps": 3000}
    draws: ClassVar = True

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        width: int = 64,
        direction: Literal["a-to-b", "b-to-a"] = "a-to-b",
        patch: Literal[1, 16, 70, 286] = 70,
        norm_at_test: Literal["instance", "moving"] = "instance",
        lambda_l1: float = 100.0,
        learning_rate: float = 0.0002,
        beta_1: float = 0.5,
        seed: int = 0,
    ):
        super().__init__(image_shape, seed)
        require_positive(width=width, learning_rate=learning_rate)
        require_share(beta_1=beta_1)
        require_choice("direction", direction, ("a-to-b", "b-to-a"))
        require_choice("norm_at_test", norm_at_test, ("instance", "moving"))
        patchgan.check(patch, self.image_shape)
        require_at_least(0, lambda_l1=lambda_l1)
        self.width = width
        self.direction = direction
        self.patch = patch
        self.norm_at_test = norm_at_test
        self.lambda_l1 = lambda_l1
        self.learning_rate = learning_rate
        self.beta_1 = beta_1

        height, columns, channels = self.image_shape
        self._levels = unet.levels(self.image_shape)
        self.generator = unet.generator(channels, width, self._levels, norm_at_test)
        judged = (height, columns, 2 * channels)  # the discriminator sees the input too (section 2)
        self.discriminator = patchgan.discriminator(judged, width, patch, partial(BatchNorm, norm_at_test))
        self.players = (
            Player("generator", (self.generator,)),
            Player("discriminator", (self.discriminator,)),
        )
        self.built = True

    @property
    def directions(self) -> dict[str, keras.Model]:
        return {self.direction.replace("-", "_"): self.generator}

    @property
    def stride(self) -> int:
        return 2**self._levels

    least = stride

    @property
    def reach(self) -> int:
        return unet.reach(self._levels)

    @property
    def bytes_per_pixel(self) -> int:
        return 8 * self.width  # measured: 5

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        return {p.name: Adam(self.learning_rate, beta_1=self.beta_1) for p in self.players}

    def train_step(self, data) -> dict[str, tf.Tensor]:
        x, y = self._source_and_target(*self.domains(data))
        with tf.GradientTape() as g_tape, self.noise.scope("generator", self.step):
            fake = self.generator(x, training=True)

        # One step on D, then one on G (section 2.3).
        with tf.GradientTape() as d_tape:
            # Halved, so that D learns more slowly than G (section 2.3).
            d_loss = 0.5 * losses.discriminator_minimax(self._judge(x, y), self._judge(x, fake))
        d_norm = self.minimize("discriminator", d_tape, d_loss)

        with g_tape:  # the same picture, judged by the discriminator that has just moved
            g_loss = losses.generator_non_saturating(self._judge(x, fake))
            l1_loss = tf.reduce_mean(tf.abs(y - fake))
            loss = g_loss + self.lambda_l1 * l1_loss  # eq. 4
        g_norm = self.minimize("generator", g_tape, loss)

        return self.report(
            generator_loss=g_loss,
            l1_loss=l1_loss,
            discriminator_loss=d_loss,
            generator_gradient_norm=g_norm,
            discriminator_gradient_norm=d_norm,
        )

    def panels(self, a: tf.Tensor, b: tf.Tensor) -> dict[str, list[tf.Tensor]]:
        """Input, translated, and what it should be."""
        x, y = self._source_and_target(a, b)
        (direction,) = self.directions
        return {direction: [x, self.translated(direction, x, tf.zeros(len(x), tf.int32)), y]}

    def _source_and_target(self, a: tf.Tensor, b: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return (a, b) if self.direction == "a-to-b" else (b, a)

    def _judge(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return self.discriminator(tf.concat([x, y], axis=-1), training=True)
