import keras
import numpy as np
import pytest
import tensorflow as tf

from kgan.errors import InputError
from kgan.layers.spectral_normalization import SpectralNormalization, advance

IMAGES = np.random.default_rng(0).normal(size=(3, 6, 6, 4)).astype("float32")
ROWS = IMAGES.reshape(3, -1)
CLASSES = np.array([2, 0, 2], "int32")

KINDS = {
    # layer, its inputs, the axis of its kernel for the output channels
    "dense": (lambda **options: keras.layers.Dense(5, name="layer", **options), ROWS, 1),
    "conv": (lambda **options: keras.layers.Conv2D(5, 3, 2, "same", name="layer", **options), IMAGES, 3),
    "transposed": (
        lambda **options: keras.layers.Conv2DTranspose(5, 4, 2, "same", name="layer", **options),
        IMAGES,
        2,
    ),
    "embedding": (lambda **options: keras.layers.Embedding(6, 5, name="layer", **options), CLASSES, 1),
}


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


def make(kind: str, **options) -> SpectralNormalization:
    keras.utils.set_random_seed(1)
    layer = SpectralNormalization(KINDS[kind][0](**options))
    layer(KINDS[kind][1])
    layer.kernel.assign(np.random.default_rng(2).normal(size=layer.kernel.shape))
    return layer


def matrix(kind: str, kernel) -> np.ndarray:
    """One row for each output channel, float64."""
    kernel = np.moveaxis(np.asarray(kernel, "float64"), KINDS[kind][2], 0)
    return kernel.reshape(len(kernel), -1)


def converge(layer: SpectralNormalization) -> None:
    @tf.function
    def many():
        for _ in tf.range(500):
            layer.advance()

    many()


def test_largest_singular_value_is_1_after_convergence(kind):
    layer = make(kind)
    converge(layer)
    raw = matrix(kind, layer.kernel.value)
    assert np.linalg.norm(raw, 2) > 2
    normalized = matrix(kind, layer.normalized())
    assert np.linalg.norm(normalized, 2) == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(normalized * np.linalg.norm(raw, 2), raw, rtol=1e-3, atol=1e-6)


def test_power_iteration_is_algorithm_1(kind):
    layer = make(kind)
    w, u = matrix(kind, layer.kernel.value), np.asarray(layer.u.value, "float64")
    assert np.linalg.norm(u) == pytest.approx(1.0)
    for _ in range(3):
        layer.advance()
        v = w.T @ u / np.linalg.norm(w.T @ u)
        u = w @ v / np.linalg.norm(w @ v)
        np.testing.assert_allclose(layer.u, u, atol=1e-5)
    v = w.T @ u / np.linalg.norm(w.T @ u)
    np.testing.assert_allclose(matrix(kind, layer.normalized()), w / (u @ w @ v), rtol=1e-4, atol=1e-6)


def test_gradient_goes_through_sigma(kind):
    layer = make(kind)
    layer.advance()
    factors = np.random.default_rng(3).normal(size=layer.kernel.shape)
    w, g, u = matrix(kind, layer.kernel.value), matrix(kind, factors), np.asarray(layer.u.value, "float64")

    def loss(w: np.ndarray) -> float:
        return float((g * w / np.linalg.norm(w.T @ u)).sum() ** 2)

    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer.normalized() * tf.constant(factors, tf.float32)) ** 2
    found = matrix(kind, tape.gradient(value, layer.kernel.value))
    assert float(value) == pytest.approx(loss(w), rel=1e-4)
    v = w.T @ u / np.linalg.norm(w.T @ u)
    sigma = u @ w @ v
    inner = (g * w).sum() / sigma
    np.testing.assert_allclose(found, 2 * inner * (g - inner * np.outer(u, v)) / sigma, rtol=1e-3, atol=1e-4)  # eq. 12
    for index in [(0, 0), (2, 1), (4, w.shape[1] - 1)]:
        shift = np.zeros_like(w)
        shift[index] = 1e-6
        assert found[index] == pytest.approx((loss(w + shift) - loss(w - shift)) / 2e-6, rel=1e-3, abs=1e-3)


def test_a_pass_uses_the_normalized_kernel_and_moves_nothing(kind):
    layer, (plain_layer, inputs, _) = make(kind), KINDS[kind]
    plain = plain_layer()
    plain(inputs)
    before = [np.asarray(v.value).copy() for v in layer.variables]
    first = layer(inputs, training=True)
    plain.set_weights([layer.normalized(), *layer.layer.get_weights()[1:]])
    np.testing.assert_array_equal(first, plain(inputs))
    for training in (True, False):
        np.testing.assert_array_equal(first, layer(inputs, training=training))
    for v, old in zip(layer.variables, before, strict=True):
        np.testing.assert_array_equal(v, old)
    assert [v.path for v in layer.trainable_variables] == [v.path for v in layer.layer.trainable_variables]
    assert [v.path for v in layer.non_trainable_variables] == ["layer/u"]


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1e8, 1e30])
def test_the_size_of_a_kernel_does_not_matter(kind, scale):
    layer = make(kind)
    layer.advance()
    expected, u = layer.normalized(), np.asarray(layer.u.value)
    layer.kernel.assign(layer.kernel * scale)
    np.testing.assert_allclose(layer.normalized(), expected, rtol=1e-4, atol=1e-6)
    layer.advance()
    assert np.linalg.norm(layer.u) == pytest.approx(1.0)
    assert u @ np.asarray(layer.u) > 0.9


def test_a_kernel_of_zeros_stays_and_can_be_left():
    layer = make("dense")
    layer.kernel.assign(tf.zeros_like(layer.kernel))
    u = np.asarray(layer.u.value).copy()
    layer.advance()
    np.testing.assert_array_equal(layer.u, u)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(layer(ROWS))
    assert value == 0.0
    np.testing.assert_allclose(tape.gradient(value, layer.kernel.value), np.tile(ROWS.sum(0)[:, None], 5), rtol=1e-5)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("kind", ["dense", "conv", "transposed"])
def test_compiled_steps_and_second_derivatives(kind, jit):
    layer, (_, inputs, _) = make(kind), KINDS[kind]

    @tf.function(jit_compile=jit)
    def step(x):
        layer.advance()
        with tf.GradientTape() as tape:
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.tanh(layer(x))
            loss = tf.reduce_sum(inner.gradient(y, x) ** 2)
        return layer.u.value, loss, tape.gradient(loss, layer.kernel.value)

    u, loss, gradient = step(tf.constant(inputs))
    other = make(kind)
    other.advance()
    np.testing.assert_allclose(u, other.u, atol=1e-5)
    kernel = tf.Variable(other.kernel.value)

    def penalty(kernel) -> float:
        other.kernel.assign(kernel)
        with tf.GradientTape() as tape:
            x = tf.constant(inputs)
            tape.watch(x)
            y = tf.tanh(other(x))
        return float(tf.reduce_sum(tape.gradient(y, x) ** 2))

    assert float(loss) == pytest.approx(penalty(kernel), rel=1e-4)
    direction = gradient / tf.norm(gradient)
    slope = (penalty(kernel + 1e-2 * direction) - penalty(kernel - 1e-2 * direction)) / 2e-2
    assert float(tf.norm(gradient)) == pytest.approx(slope, rel=2e-2)


def test_float32_inside_a_bfloat16_layer(kind):
    layer, (plain_layer, inputs, _) = make(kind, dtype="mixed_bfloat16"), KINDS[kind]
    plain = plain_layer(dtype="mixed_bfloat16")
    plain(inputs)
    plain.set_weights([layer.normalized(), *layer.layer.get_weights()[1:]])
    assert {v.dtype for v in layer.variables} == {"float32"} and layer.normalized().dtype == tf.float32
    y = layer(inputs)
    assert y.dtype == tf.bfloat16
    np.testing.assert_array_equal(tf.cast(y, tf.float32), tf.cast(plain(inputs), tf.float32))


def network(dtype: str | None = None) -> keras.Model:
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 1))
    x = SpectralNormalization(keras.layers.Conv2D(4, 3, name="conv", dtype=dtype))(images)
    inner = keras.Input((6, 6, 4))
    nested = keras.Model(inner, SpectralNormalization(keras.layers.Conv2D(2, 3, name="inner", dtype=dtype))(inner))
    x = keras.layers.Flatten()(nested(x))
    logits = SpectralNormalization(keras.layers.Dense(3, name="logits", dtype="float32"))(x)
    return keras.Model(images, logits)


@pytest.mark.parametrize("dtype", [None, "mixed_bfloat16"])
def test_every_layer_of_a_network_advances_and_comes_back_exactly(dtype, tmp_path):
    model, images = network(dtype), np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype("float32")
    vectors = model.non_trainable_variables
    assert len(vectors) == 3 and model.output.dtype == "float32"
    before = [np.asarray(v.value).copy() for v in vectors]
    first = model(images)
    advance(model)
    assert not any(np.array_equal(v, old) for v, old in zip(vectors, before, strict=True))
    assert np.abs(model(images) - first).max() > 0
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(images), model(images))
    for v, w in zip(model.variables, again.variables, strict=True):
        np.testing.assert_array_equal(v, w)
    tf.saved_model.save(model, str(tmp_path / "export"))
    served = tf.saved_model.load(str(tmp_path / "export")).signatures["serving_default"]
    (logits,) = served(tf.constant(images)).values()
    np.testing.assert_allclose(logits, model(images), rtol=1e-5, atol=1e-6)


def test_other_layers_are_refused():
    with pytest.raises(InputError, match="layer: got BatchNormalization, expected one of Dense, Conv2D"):
        SpectralNormalization(keras.layers.BatchNormalization())
