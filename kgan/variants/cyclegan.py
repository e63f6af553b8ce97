"""CycleGAN (Zhu et al. 2017): image translation learned from two unpaired sets, by cycle consistency."""

from typing import ClassVar, Literal

import keras
import tensorflow as tf

from kgan import losses
from kgan.errors import require_at_least, require_choice, require_positive, require_share
from kgan.layers.image_pool import ImagePool
from kgan.networks import cyclegan, patchgan
from kgan.optimizers import Adam, LinearDecay
from kgan.translation import Translation
from kgan.variants.base import Player, Variant

_GAN_LOSSES = {
    "lsgan": (losses.discriminator_least_squares, losses.generator_least_squares),
    "non-saturating": (losses.discriminator_minimax, losses.generator_non_saturating),
}


@keras.saving.register_keras_serializable("kgan")
class CycleGAN(Translation, Variant):
    """Cycle-consistent adversarial networks, https://arxiv.org/abs/1703.10593.

    Defaults are section 4 and appendix 7.1 of the paper: batches of one, Adam of 0.0002 and beta_1 0.5, 200 epochs, in
    the second half of which the learning rate falls linearly to 0.

    Args:
        image_shape: (height, width, channels) of the images.
        width: channels of the first layer of each network.
        blocks: residual blocks of a generator; where none is given the paper's 6 up to 128 px and 9 above.
        upsample: "transpose" grows by the paper's transposed convolutions, "resize" by repeated pixels and a
            convolution, which leaves no checkerboard.
        patch: size in pixels of the patches that a discriminator judges: 1, 16, 70 or 286.
        gan_loss: "lsgan" is the paper's least squares, "non-saturating" the loss of section 3.1.
        lambda_cycle: weight of the cycle-consistency loss (lambda in eq. 3).
        lambda_identity: weight of the identity loss, as a share of `lambda_cycle` (section 5.2); 0 leaves it out,
            which saves a third of the time.
        pool: how many generated images a discriminator's history holds; 0 for none.
        learning_rate: of Adam, for both players.
        beta_1: of Adam: the decay of the mean gradient.
        total_steps: over which the learning rate falls.
        seed: of every random number that training draws.
    """

    data: ClassVar = "unpaired"
    measures: ClassVar = (
        "a_to_b_loss",
        "b_to_a_loss",
        "cycle_a_loss",
        "cycle_b_loss",
        "identity_a_loss",
        "identity_b_loss",
        "discriminator_a_loss",
        "discriminator_b_loss",
        "generators_gradient_norm",
        "discriminators_gradient_norm",
    )
    batch_size: ClassVar = 1
    epochs: ClassVar = 200
    load_scale: ClassVar = 286 / 256  # the jitter of the authors' code: resized to 286, cropped to 256
    flip: ClassVar = True
    small: ClassVar = {"width": 16, "steps": 1500}
    stride: ClassVar = cyclegan.STRIDE
    least: ClassVar = 2 * cyclegan.STRIDE  # for the generator's own padding by mirrored pixels

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        width: int = 64,
        blocks: int | None = None,
        upsample: Literal["transpose", "resize"] = "transpose",
        patch: Literal[1, 16, 70, 286] = 70,
        gan_loss: Literal["lsgan", "non-saturating"] = "lsgan",
        lambda_cycle: float = 10.0,
        lambda_identity: float = 0.5,
        pool: int = 50,
        learning_rate: float = 0.0002,
        beta_1: float = 0.5,
        total_steps: int = 266_800,
        seed: int = 0,
    ):
        super().__init__(image_shape, seed)
        require_positive(width=width, lambda_cycle=lambda_cycle, learning_rate=learning_rate, total_steps=total_steps)
        require_share(beta_1=beta_1)
        require_choice("upsample", upsample, ("transpose", "resize"))
        patchgan.check(patch, self.image_shape)
        require_choice("gan_loss", gan_loss, _GAN_LOSSES)
        require_at_least(0, lambda_identity=lambda_identity, pool=pool)
        if blocks is not None:
            require_at_least(1, blocks=blocks)
        self.width = width
        self.blocks = blocks
        self.upsample = upsample
        self.patch = patch
        self.gan_loss = gan_loss
        self.lambda_cycle = lambda_cycle
        self.lambda_identity = lambda_identity
        self.pool = pool
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.total_steps = total_steps

        channels = self.image_shape[-1]
        self._blocks = blocks = blocks or (6 if max(self.image_shape) <= 128 else 9)
        self.a_to_b = cyclegan.generator(channels, width, blocks, upsample, name="a_to_b")
        self.b_to_a = cyclegan.generator(channels, width, blocks, upsample, name="b_to_a")
        self.discriminator_a = patchgan.discriminator(self.image_shape, width, patch, name="discriminator_a")
        self.discriminator_b = patchgan.discriminator(self.image_shape, width, patch, name="discriminator_b")
        self.pool_a = ImagePool(pool, self.image_shape, name="pool_a")
        self.pool_b = ImagePool(pool, self.image_shape, name="pool_b")
        self.players = (
            Player("generators", (self.a_to_b, self.b_to_a)),
            Player("discriminators", (self.discriminator_a, self.discriminator_b)),
        )
        self.built = True

    @property
    def directions(self) -> dict[str, keras.Model]:
        return {"a_to_b": self.a_to_b, "b_to_a": self.b_to_a}

    @property
    def reach(self) -> int:
        return cyclegan.reach(self._blocks)

    @property
    def bytes_per_pixel(self) -> int:
        return 16 * self.width  # measured: 12 to 15

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        schedule = LinearDecay(self.learning_rate, self.total_steps // 2, self.total_steps)
        return {player.name: Adam(schedule, beta_1=self.beta_1) for player in self.players}

    def train_step(self, data) -> dict[str, tf.Tensor]:
        a, b = self.domains(data)
        discriminator_loss, generator_loss = _GAN_LOSSES[self.gan_loss]

        with tf.GradientTape() as tape:
            fake_b, fake_a = self.a_to_b(a, training=True), self.b_to_a(b, training=True)
            a_to_b_loss = generator_loss(self.discriminator_b(fake_b, training=True))
            b_to_a_loss = generator_loss(self.discriminator_a(fake_a, training=True))
            cycle_a_loss = _l1(self.b_to_a(fake_b, training=True), a)
            cycle_b_loss = _l1(self.a_to_b(fake_a, training=True), b)
            identity_a_loss, identity_b_loss = self._identity_losses(a, b)
            loss = a_to_b_loss + b_to_a_loss + self.lambda_cycle * (cycle_a_loss + cycle_b_loss)  # eq. 3
            loss += self.lambda_cycle * self.lambda_identity * (identity_a_loss + identity_b_loss)  # section 5.2
        g_norm = self.minimize("generators", tape, loss)

        with self.noise.scope("pools", self.step):
            earlier_a, earlier_b = self.pool_a(fake_a), self.pool_b(fake_b)
        with tf.GradientTape() as tape:
            real_logits_a = self.discriminator_a(a, training=True)
            real_logits_b = self.discriminator_b(b, training=True)
            # Halved, so that D learns more slowly than G (appendix 7.1).
            d_a_loss = 0.5 * discriminator_loss(real_logits_a, self.discriminator_a(earlier_a, training=True))
            d_b_loss = 0.5 * discriminator_loss(real_logits_b, self.discriminator_b(earlier_b, training=True))
            loss = d_a_loss + d_b_loss
        d_norm = self.minimize("discriminators", tape, loss)

        return self.report(
            a_to_b_loss=a_to_b_loss,
            b_to_a_loss=b_to_a_loss,
            cycle_a_loss=cycle_a_loss,
            cycle_b_loss=cycle_b_loss,
            identity_a_loss=identity_a_loss,
            identity_b_loss=identity_b_loss,
            discriminator_a_loss=d_a_loss,
            discriminator_b_loss=d_b_loss,
            generators_gradient_norm=g_norm,
            discriminators_gradient_norm=d_norm,
        )

    def panels(self, a: tf.Tensor, b: tf.Tensor) -> dict[str, list[tf.Tensor]]:
        """Of each direction: input, translated, reconstructed, and the input as the other generator leaves it."""
        return {
            "a_to_b": [a, fake_b := self.a_to_b(a), self.b_to_a(fake_b), self.b_to_a(a)],
            "b_to_a": [b, fake_a := self.b_to_a(b), self.a_to_b(fake_a), self.a_to_b(b)],
        }

    def _identity_losses(self, a: tf.Tensor, b: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """E|F(a) - a| and E|G(b) - b|: an image that is of the target domain already should stay as it is."""
        if not self.lambda_identity:
            return tf.zeros(()), tf.zeros(())
        return _l1(self.b_to_a(a, training=True), a), _l1(self.a_to_b(b, training=True), b)


def _l1(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.abs(x - y))
