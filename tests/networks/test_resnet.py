import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan import losses, penalties
from kgan.errors import InputError
from kgan.layers.batch_norm import BatchNorm
from kgan.layers.conditional_batch_norm import ConditionalBatchNorm
from kgan.layers.spectral_normalization import SpectralNormalization, advance
from kgan.networks import resnet
from kgan.networks.resnet import critic, discriminator, generator

SIZES = [8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96, 128, 256]


def convolution(kernel: int, before: int, after: int, bias: bool) -> int:
    return kernel**2 * before * after + bias * after


def growing(before: int, after: int, tables: int = 1) -> int:
    """Parameters of a block of the generator: two norms, two convolutions, the shortcut's."""
    norms = (2 + 2 * tables) * (before + after)
    kernels = convolution(3, before, after, False) + convolution(3, after, after, False)
    return norms + kernels + convolution(1, before, after, False)


def shrinking(before: int, after: int, shortcut: bool = True) -> int:
    hidden = after if before == 3 else before
    kernels = convolution(3, before, hidden, True) + convolution(3, hidden, after, True)
    return kernels + shortcut * convolution(1, before, after, True)


BATCH_NORMS = (BatchNorm, ConditionalBatchNorm)


def vectors(model: keras.Model) -> int:
    """The numbers of the power iterations, one for each output channel."""
    return sum(int(np.prod(v.shape)) for v in model.variables if v.name == "u")


# Resolution, channels of the projection and of the generator's blocks, (channels, whether it halves) of the critic's.
TABLES = {
    "WGAN-GP, appendix F": (32, 128, 4, [128] * 4, 128, [(128, True)] * 2 + [(128, False)] * 2),
    "SN-GAN, table 4": (32, 256, 4, [256] * 4, 128, [(128, True)] * 2 + [(128, False)] * 2),
    "SN-GAN, table 5": (
        48,
        64,
        6,
        [512, 256, 128, 64],
        64,
        [(64, True), (128, True), (256, True), (512, True), (1024, False)],
    ),
    "SN-GAN, table 6": (
        128,
        64,
        4,
        [1024, 1024, 512, 256, 128, 64],
        64,
        [(64, True), (128, True), (256, True), (512, True), (1024, True), (1024, False)],
    ),
}


@pytest.mark.parametrize("table", TABLES)
def test_as_many_parameters_as_the_paper_s_tables(table):
    size, width, start, maps, d_width, blocks = TABLES[table]
    shape = (size, size, 3)
    expected = (128 + 1) * start**2 * maps[0] + 4 * maps[-1] + convolution(3, maps[-1], 3, True)
    expected += sum(growing(before, after) for before, after in itertools.pairwise(maps))
    assert generator(shape, width).count_params() == expected
    befores = [3] + [channels for channels, _ in blocks]
    of_blocks = sum(
        shrinking(before, after, halves or before != after)
        for before, (after, halves) in zip(befores, blocks, strict=False)
    )
    last = blocks[-1][0]
    network = discriminator(shape, d_width)
    assert network.count_params() - vectors(network) == of_blocks + last + 1
    assert critic(shape, d_width).count_params() == of_blocks + last


def test_sides_and_channels_of_the_tables():
    network = generator((48, 48, 3), 64)
    added = [layer.output.shape[1:] for layer in network.layers if layer.name.endswith("_add")]
    assert added == [(12, 12, 256), (24, 24, 128), (48, 48, 64)]
    network = discriminator((128, 128, 3), 64)
    added = [layer.output.shape[1:] for layer in network.layers if layer.name.endswith("_add")]
    assert added == [(64, 64, 64), (32, 32, 128), (16, 16, 256), (8, 8, 512), (4, 4, 1024), (4, 4, 1024)]
    network = discriminator((64, 64, 3), 64)
    added = [layer.output.shape[1:] for layer in network.layers if layer.name.endswith("_add")]
    assert added == [(32, 32, 64), (16, 16, 128), (8, 8, 256), (4, 4, 512), (4, 4, 1024)]
    assert generator((64, 64, 3), 64).get_layer("map").output.shape[1:] == (4, 4, 1024)
    assert generator((28, 28, 1), 8).get_layer("map").output.shape[1:] == (7, 7, 8)


@pytest.mark.parametrize("size", SIZES)
def test_every_size_has_networks(size):
    assert generator((size, size, 1), 1, 4).output_shape == (None, size, size, 1)
    assert critic((size, size, 1), 1).output_shape == (None, 1)
    assert discriminator((size, size, 1), 1).output_shape == (None, 1)


@pytest.mark.parametrize("shape", [(36, 36, 1), (32, 64, 3), (100, 100, 3), (52, 52, 1)])
def test_sizes_that_have_none(shape):
    for network in (generator, critic, discriminator):
        with pytest.raises(InputError, match=r"image_shape: got .*, expected a square with sides of 4, 5, 6 or 7"):
            network(shape, 4)


def test_no_image_is_judged_by_the_others():
    images = np.random.default_rng(0).normal(size=(5, 16, 16, 3)).astype("float32")
    for network in (critic((16, 16, 3), 6), discriminator((16, 16, 3), 6)):
        assert not any(isinstance(layer, BATCH_NORMS) for layer in network.layers)
        np.testing.assert_allclose(network(images, training=True)[:2], network(images[:2]), rtol=1e-4, atol=1e-5)


def test_spectral_normalization_is_on_every_layer_with_weights():
    network = discriminator((48, 48, 3), 2, classes=3)
    weighty = [layer for layer in network.layers if layer.trainable_variables]
    assert weighty and all(isinstance(layer, SpectralNormalization) for layer in weighty)


def test_a_spectrally_normalized_network_is_lipschitz():
    """A 3x3 convolution has norm 3 at most, a residual block 1 + 9, sum pooling of 16 pixels 4."""
    keras.utils.set_random_seed(0)
    network = discriminator((16, 16, 3), 4)
    for v in network.trainable_variables:
        v.assign(v * 100.0)
    for _ in range(30):
        advance(network)
    images = tf.random.stateless_normal((2, 16, 16, 3), (0, 0))
    _, norm = penalties.r1(network, images)
    assert float(norm) < 4 * 10**4


def test_projection_is_equation_3():
    network = discriminator((16, 16, 1), 4, classes=3)
    images = np.random.default_rng(0).normal(size=(3, 16, 16, 1)).astype("float32")
    labels = np.array([2, 0, 1], "int32")
    features = keras.Model(network.inputs[0], network.get_layer("sum").output)(images).numpy()
    relu = keras.Model(network.inputs[0], network.get_layer("out_relu").output)(images).numpy()
    np.testing.assert_allclose(features, relu.sum((1, 2)), rtol=1e-5)
    output, embedding = (network.get_layer(name) for name in ("logits", "embed"))
    psi = np.asarray(output(np.eye(features.shape[1], dtype="float32")), "float64")
    table = np.asarray(embedding(np.arange(3)), "float64")
    expected = features @ psi + (table[labels] * features).sum(1, keepdims=True)
    np.testing.assert_allclose(network([images, labels]), expected, rtol=1e-4, atol=1e-5)


def test_a_critic_pools_by_the_mean():
    network = critic((16, 16, 1), 4)
    images = np.random.default_rng(0).normal(size=(3, 16, 16, 1)).astype("float32")
    relu = keras.Model(network.inputs[0], network.get_layer("out_relu").output)(images).numpy()
    kernel = np.asarray(network.get_layer("values").kernel)
    np.testing.assert_allclose(network(images), relu.mean((1, 2)) @ kernel, rtol=1e-4, atol=1e-6)


def test_a_label_changes_the_image():
    network = generator((8, 8, 1), 4, 6, classes=3)
    for norm in (layer for layer in network.layers if isinstance(layer, ConditionalBatchNorm)):
        norm.shift.assign(np.random.default_rng(0).normal(size=norm.shift.shape))
    latents = np.ones((3, 6), "float32")
    images = network([latents, np.array([0, 1, 0], "int32")]).numpy()
    np.testing.assert_allclose(images[0], images[2], atol=1e-6)
    assert np.abs(images[0] - images[1]).max() > 0.01
    assert images.min() >= -1 and images.max() <= 1


def networks(dtype: str = "float32") -> list[keras.Model]:
    """A conditional generator, a critic and a projection discriminator."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(dtype)
    try:
        shape = (8, 8, 1)
        return [generator(shape, 6, 8, classes=3), critic(shape, 6), discriminator(shape, 6, classes=3)]
    finally:
        keras.config.set_dtype_policy("float32")


def test_outputs_are_float32_in_bfloat16():
    for network in networks("mixed_bfloat16"):
        assert network.output.dtype == "float32"
        hidden = [layer.compute_dtype for layer in network.layers if "relu" in layer.name]
        assert set(hidden) == {"bfloat16"}
        assert {v.dtype for v in network.variables} == {"float32"}


def gradients(networks: list[keras.Model], jit: bool = False) -> list[tuple[str, np.ndarray]]:
    """Of a game of generator and discriminator, and of WGAN-GP's loss for the critic; with the weights' names."""
    painter, judge, projecting = networks
    real = tf.random.stateless_uniform((6, 8, 8, 1), (0, 1), -1.0, 1.0)
    latents = tf.random.stateless_normal((6, 8), (0, 2))
    epsilon = tf.random.stateless_uniform((6, 1, 1, 1), (0, 3))
    labels = tf.constant([0, 1, 2, 0, 1, 2])

    @tf.function(jit_compile=jit)
    def step():
        advance(projecting)
        with tf.GradientTape(persistent=True) as tape:
            fake = painter([latents, labels], training=True)
            fake_logits = projecting([fake, labels])
            g_loss = losses.generator_hinge(fake_logits)
            d_loss = losses.discriminator_minimax(projecting([real, labels]), fake_logits)
            penalty, _ = penalties.two_sided(judge, penalties.between(real, tf.stop_gradient(fake), epsilon))
            critic_loss = losses.critic_wasserstein(judge(real), judge(fake)) + 10.0 * penalty
        pairs = zip(networks, (g_loss, critic_loss, d_loss), strict=True)
        return [tape.gradient(loss, network.trainable_variables) for network, loss in pairs]

    names = [v.path for network in networks for v in network.trainable_variables]
    return list(zip(names, map(np.asarray, tf.nest.flatten(step())), strict=True))


def test_every_weight_has_a_gradient_the_same_under_xla():
    plain, compiled = gradients(networks()), gradients(networks(), jit=True)
    for (name, gradient), (_, other) in zip(plain, compiled, strict=True):
        assert np.linalg.norm(gradient) > 1e-6, name
        assert np.linalg.norm(gradient - other) <= 1e-3 * np.linalg.norm(gradient), name


def test_every_weight_has_a_gradient_in_bfloat16():
    for name, gradient in gradients(networks("mixed_bfloat16")):
        assert gradient.dtype == np.float32
        assert np.isfinite(gradient).all() and np.linalg.norm(gradient) > 1e-6, name


def test_initial_weights():
    keras.utils.set_random_seed(0)
    network = discriminator((32, 32, 3), 128)
    block, shortcut, table = (
        np.asarray(network.get_layer(n).kernel) for n in ("block_2_1", "block_1_shortcut", "logits")
    )
    assert block.std() == pytest.approx(np.sqrt(2 / (9 * 128)), rel=0.02)
    assert shortcut.std() == pytest.approx(np.sqrt(1 / 128), rel=0.02)
    assert np.abs(table).max() <= np.sqrt(6 / 129)


def test_resnet_knows_its_smallest_maps():
    assert [resnet._start(size) for size in (28, 32, 48, 64, 128)] == [7, 4, 6, 4, 4]
