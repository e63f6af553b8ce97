import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kgan.layers.dropout import Dropout
from kgan.noise import Noise, Window, instance_noise, window


def philox4x32(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32-10 by the definition of Salmon et al. 2011, section 3.3, in Python integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c[0], 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c[2], 2**32)
        c = [high1 ^ c[1] ^ k[0], low1, high0 ^ c[3] ^ k[1], low0]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return c


def test_philox_reference_agrees_with_the_published_vector():
    # kat_vectors of the Random123 distribution: philox4x32 10 rounds, counter and key all ones.
    ones = 0xFFFFFFFF
    assert philox4x32([ones] * 4, [ones] * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


def test_numbers_are_philox_of_key_step_and_row():
    noise, step, first_row = Noise(7), 5, 11
    key = int(noise._key("z").numpy())
    drawn = noise.uniform("z", step, (2, 6), first_row).numpy()
    kept = noise.bernoulli("z", step, (2, 6), 0.3, first_row).numpy()
    for row in range(2):
        blocks = [
            philox4x32([(first_row + row) * 2 + block, 0, step, 0], [key % 2**32, key >> 32]) for block in range(2)
        ]
        signed = [bits - 2**32 * (bits >= 2**31) for block in blocks for bits in block][:6]
        assert drawn[row].tolist() == [(bits >> 8) / 2**24 + 0.5 for bits in signed]
        words = philox4x32([first_row + row, 0, step, 0], [key % 2**32, key >> 32])[:3]  # two of a row's six in each
        halves = [word % 2**16 for word in words] + [word >> 16 for word in words]
        halves = [half - 2**16 * (half >= 2**15) for half in halves]
        assert kept[row].tolist() == [half < round(0.3 * 2**16) - 2**15 for half in halves]


@pytest.mark.parametrize("shape", [(20_000,), (4, 5000), (4, 1000, 5)])
@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 1 - 1e-9])
def test_booleans_are_true_as_often_as_asked(shape, p):
    kept = Noise(3).bernoulli("z", 0, shape, p)
    assert kept.shape == shape
    share = np.mean(kept)
    assert abs(share - p) <= 4 * np.sqrt(p * (1 - p) / 20_000) + 2**-16


def test_same_numbers_under_xla():
    draw = Noise(3).uniform
    plain = draw("z", 4, (33, 7), 2)
    compiled = tf.function(lambda step, row: draw("z", step, (33, 7), row), jit_compile=True)
    np.testing.assert_array_equal(plain, compiled(tf.constant(4, tf.int64), tf.constant(2)))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 2**40), st.integers(1, 9), st.integers(0, 9), st.integers(1, 13))
def test_a_row_does_not_depend_on_its_batch(seed, step, rows, offset, width):
    noise = Noise(seed)
    whole = noise.uniform("z", step, (rows + offset, width)).numpy()
    np.testing.assert_array_equal(whole[offset:], noise.uniform("z", step, (rows, width), offset))


def test_seeds_streams_and_steps_are_independent_and_uniform():
    draws = [
        Noise(seed).uniform(stream, step, (2000, 10)).numpy().ravel()
        for seed in (0, 1)
        for stream in ("a", "b")
        for step in (0, 1)
    ]
    correlation = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlation).max() < 5 / np.sqrt(20000)
    for draw in draws:
        assert draw.min() >= 0.0 and draw.max() < 1.0
        assert abs(draw.mean() - 0.5) < 5 * np.sqrt(1 / 12 / 20000)
        assert abs(draw.var() - 1 / 12) < 0.003


def test_a_normal_number_is_the_sum_of_two_quantiles():
    bits = Noise(3)._bits("z", 4, (50, 7), 2).numpy()
    halves = np.stack([bits % 2**16, bits // 2**16 % 2**16])
    expected = scipy.stats.norm.ppf((halves + 0.5) / 2**16).sum(axis=0) / np.sqrt(2)
    np.testing.assert_allclose(Noise(3).normal("z", 4, (50, 7), 2), expected, rtol=1e-4, atol=1e-6)


def test_normal_numbers_have_the_moments_and_the_quantiles():
    drawn = Noise(0).normal("z", 0, (1000, 1000)).numpy().astype("float64")
    assert np.isfinite(drawn).all() and np.abs(drawn).max() > 4.5
    moments = [(drawn**k).mean() for k in range(1, 7)]
    deviations = np.sqrt(np.array([1, 2, 15, 96, 945, 10170]) / drawn.size)
    np.testing.assert_array_less(np.abs(np.array(moments) - [0, 1, 0, 3, 0, 15]), 5 * deviations)
    assert scipy.stats.kstest(drawn.ravel()[:100_000], "norm").pvalue > 1e-3
    assert abs(np.corrcoef(drawn[:, :-1].ravel(), drawn[:, 1:].ravel())[0, 1]) < 5e-3


def test_the_outermost_normal_numbers_are_finite(monkeypatch):
    monkeypatch.setattr(Noise, "_bits", lambda *_: tf.constant([-(2**31), 2**31 - 1, 0, -1, 0x7FFF7FFF, -0x7FFF8000]))
    drawn = Noise(0).normal("z", 0, (6,)).numpy()
    assert np.isfinite(drawn).all() and 5.8 < np.abs(drawn).max() < 6.2


def test_normal_numbers_under_xla_and_of_any_row():
    noise = Noise(3)
    plain = noise.normal("z", 4, (33, 7)).numpy()
    assert plain.dtype == np.float32
    compiled = tf.function(lambda step: noise.normal("z", step, (33, 7)), jit_compile=True)(tf.constant(4, tf.int64))
    np.testing.assert_array_equal(compiled, plain)
    np.testing.assert_array_equal(noise.normal("z", 4, (30, 7), 3), plain[3:])
    np.testing.assert_array_equal(noise.normal("z", tf.constant([9, 4]), (2, 33, 7))[1], plain)


@pytest.mark.parametrize(("step", "stddev"), [(0, 0.5), (25, 0.375), (100, 0.0), (1000, 0.0)])
def test_instance_noise_fades_linearly(step, stddev):
    images = tf.random.stateless_uniform((20, 8, 8, 3), (0, 0), -1.0, 1.0)

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3]), tf.TensorSpec([], tf.int64)])
    def noisy(images, step):
        return instance_noise(Noise(0), "real", step, images, 0.5, 100)

    added = noisy(images, tf.constant(step, tf.int64)) - images
    np.testing.assert_allclose(added, stddev * Noise(0).normal("real", step, (20, 8, 8, 3)), atol=1e-6)


def test_layers_outside_a_scope_are_told():
    with pytest.raises(RuntimeError, match="'drop' draws random numbers"):
        Dropout(0.5, name="drop")(tf.ones((2, 3)), training=True)


def test_a_step_for_each_row():
    """Row i is then what its step gives, its first axis being rows."""
    steps = [4, 9, 4]
    drawn = Noise(3).uniform("z", tf.constant(steps), (3, 5, 7))
    for row, step in zip(drawn, steps, strict=True):
        np.testing.assert_array_equal(row, Noise(3).uniform("z", step, (5, 7)))


def test_a_window_draws_what_the_whole_picture_would():
    layer, whole = Dropout(0.5, name="drop"), tf.ones((2, 12, 10, 3))
    with Noise(0).scope("a", tf.constant([1, 2])):
        expected = layer(whole, training=True)
        # The layer stands behind two halvings: a pixel of it is four of the picture.
        with window(Window(top=16, left=8, height=20, width_of_whole=40)):
            part = layer(whole[:, 4:9, 2:8], training=True)
    np.testing.assert_array_equal(part, expected[:, 4:9, 2:8])
