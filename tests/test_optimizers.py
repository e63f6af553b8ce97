import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.optimizers import SGD, Adam, ExponentialDecay, scheduled


def test_decay_has_a_floor():
    schedule = ExponentialDecay(0.1, 1.000004, 0.000001)
    np.testing.assert_allclose(schedule(0), 0.1)
    np.testing.assert_allclose(schedule(100_000), 0.1 / 1.000004**100_000, rtol=1e-5)
    np.testing.assert_allclose(schedule(10_000_000), 0.000001)


def test_momentum_grows_linearly_then_stays():
    # v <- m(t) v - lr g; w <- w + v, in float64
    optimizer = SGD(0.1, momentum=0.5, final_momentum=0.7, momentum_steps=4)
    w = keras.Variable([1.0])
    velocity, expected = 0.0, 1.0
    for t in range(7):
        gradient = 0.3 + t
        optimizer.apply([np.array([gradient], "float32")], [w])
        velocity = min(0.5 + 0.05 * t, 0.7) * velocity - 0.1 * gradient
        expected += velocity
        np.testing.assert_allclose(np.asarray(w), [expected], rtol=1e-5)


def test_momentum_may_start_at_zero():
    optimizer = SGD(1.0, momentum=0.0, final_momentum=0.5, momentum_steps=1)
    w = keras.Variable([0.0])
    for expected in (-1.0, -2.5):
        optimizer.apply([np.ones(1, "float32")], [w])
        np.testing.assert_allclose(np.asarray(w), [expected])


@pytest.mark.parametrize("options", [{}, {"amsgrad": True}, {"weight_decay": 0.1, "clipnorm": 0.5}])
def test_adam_is_keras_adam(options):
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 5)
    pairs = [
        (kind(schedule, 0.5, 0.9, name="adam", **options), keras.Variable(np.ones((3, 2)), name="w"))
        for kind in (Adam, keras.optimizers.Adam)
    ]
    for step in range(5):
        for optimizer, variable in pairs:
            optimizer.apply([np.random.default_rng(step).normal(size=(3, 2)).astype("float32")], [variable])
        (ours, w), (theirs, expected) = pairs
        for one, other in zip([w, *ours.variables], [expected, *theirs.variables], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    assert [v.path for v in ours.variables] == [v.path for v in theirs.variables]  # as old checkpoints name them


def test_adam_under_xla():
    def moved(jit_compile):
        optimizer, variable = Adam(0.1), keras.Variable([1.0, 2.0])
        optimizer.build([variable])
        tf.function(lambda: optimizer.apply([tf.constant([0.3, -4.0])], [variable]), jit_compile=jit_compile)()
        return np.asarray(variable)

    np.testing.assert_allclose(moved(True), moved(False), rtol=1e-6)


def test_survives_serialisation():
    optimizer = SGD(ExponentialDecay(0.1, 1.01, 0.001), 0.5, 0.7, 9)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert (again.momentum, again.final_momentum, again.momentum_steps) == (0.5, 0.7, 9)
    np.testing.assert_allclose(again._learning_rate(3), 0.1 / 1.01**3, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "middle", "end"), [("constant", 0.2, 0.2), ("linear", 0.1, 0.0), ("cosine", 0.1, 0.0)]
)
def test_schedules_by_name(name, middle, end):
    optimizer = keras.optimizers.SGD(scheduled(name, 0.2, 8))
    for step, rate in ((0, 0.2), (4, middle), (8, end), (100, end)):
        optimizer.iterations.assign(step)
        np.testing.assert_allclose(optimizer.learning_rate, rate, atol=1e-7)


def test_a_linear_and_a_cosine_schedule_differ_between():
    linear, cosine = (scheduled(name, 1.0, 4)(1) for name in ("linear", "cosine"))
    np.testing.assert_allclose([linear, cosine], [0.75, (1 + np.cos(np.pi / 4)) / 2], rtol=1e-6)
