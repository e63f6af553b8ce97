"""Figures of speed: that they are there, that they fit each other, and the counts behind them."""

import dataclasses
import itertools
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan import benchmarking, datasets, training, variants
from kgan.benchmarking import Rate
from tests import tiny


@pytest.fixture
def quick(monkeypatch) -> None:
    monkeypatch.setattr(benchmarking, "_SECONDS", 0.01)
    monkeypatch.setattr(benchmarking, "_REPEATS", 2)
    monkeypatch.setattr(benchmarking, "_MATRIX", 64)


@pytest.mark.parametrize("variant", tiny.OF_EACH_KIND)
def test_every_kind_of_system_is_measured(quick, variant):
    settings = tiny.settings(variant)
    data = datasets.for_training(settings).train
    config = training.resolve(settings, tiny.recipe(variant), data)
    figures = benchmarking.measure(config, data)
    assert (figures.variant, figures.batch_size, figures.precision, figures.jit) == (variant, 8, "float32", "off")
    for rate in (figures.train, figures.input, figures.sample, figures.served):
        assert rate.images_per_second > 0 and rate.images_per_cpu_second > 0
    assert 0 < figures.waiting < 1
    assert figures.seconds_to_first_step > 0 and figures.peak_memory_mib > 100
    reached = figures.gflop_per_image * figures.train.images_per_cpu_second / figures.matrix_product_gflops
    assert figures.share_of_matrix_product == pytest.approx(reached) and reached > 0
    shares = list(figures.operations.values())
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1
    assert not any("Dataset" in kind for kind in figures.operations)
    assert any("MatMul" in kind or "Conv2D" in kind for kind in figures.operations)
    assert set(dataclasses.asdict(figures)["recipe"]) == set(variants.recipe(variants.load(variant)))


def test_operations_are_counted():
    x, w = tf.zeros((4, 32)), tf.Variable(tf.zeros((32, 16)))

    def gradient():
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(tf.matmul(x, w) ** 2)
        return tape.gradient(y, w)

    product = 2 * 4 * 32 * 16
    assert 2 * product <= benchmarking.flop(gradient) < 2.1 * product  # forwards, and for the weights


def test_operations_of_convolutions_are_counted():
    x = tf.zeros((2, 8, 8, 3))
    kernel = tf.Variable(tf.zeros((3, 3, 3, 5)))

    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(tf.nn.conv2d(x, kernel, 2, "SAME"))
        return tape.gradient(y, [x, kernel])

    convolution = 2 * 2 * 4 * 4 * 5 * 3 * 3 * 3
    assert 3 * convolution == pytest.approx(benchmarking.flop(gradients, x), rel=0.05)


def test_a_rate_is_the_median_of_its_repeats(monkeypatch):
    now = 0.0
    seconds = iter([0, 0.5, 2, 1, 4])  # warm-up, a first look, three repeats of 2 calls

    def work(times: int) -> None:
        nonlocal now
        now += next(seconds)

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    monkeypatch.setattr(time, "process_time", lambda: 2 * now)
    monkeypatch.setattr(benchmarking, "_REPEATS", 3)
    assert benchmarking.rate(work, images=10) == Rate(10.0, 5.0)


def test_the_share_of_time_that_a_step_waits(monkeypatch):
    now = 0.0

    def after(seconds: float, result):
        nonlocal now
        now += seconds
        return result

    class Model:
        def train_function(self, iterator):
            return after(1.0, {"finite": next(iterator)})

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    batches = (after(3.0, 1.0) for _ in itertools.count())
    assert benchmarking._waiting(Model(), batches) == 0.75


def test_an_export_is_what_is_measured(quick, monkeypatch):
    keras.utils.set_random_seed(0)
    model = variants.load("gan")((8, 8, 1), **tiny.recipe("gan"))
    calls = []
    load = tf.saved_model.load

    def loaded(folder):
        function = load(folder).signatures["sample"]

        def counted(**inputs):
            calls.append({name: value.shape[0] for name, value in inputs.items()})
            return function(**inputs)

        return type("Loaded", (), {"signatures": {"sample": counted}})

    monkeypatch.setattr(tf.saved_model, "load", loaded)
    benchmarking._serving(model)
    assert calls and calls[0] == {"seed": 64, "truncation": 64}
    assert np.unique([sorted(call.items()) == sorted(calls[0].items()) for call in calls]).tolist() == [True]
