import keras
import numpy as np

from kgan.layers.maxout import Maxout


def test_takes_the_largest_of_its_linear_pieces():
    layer = Maxout(3, 4, name="h")
    x = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    out = layer(x)
    layer.bias.assign(np.random.default_rng(1).normal(size=12))
    kernel, bias = np.asarray(layer.kernel, "float64"), np.asarray(layer.bias, "float64")
    expected = np.empty((5, 3))
    for unit in range(3):
        columns = slice(unit, None, 3)
        expected[:, unit] = (x.astype("float64") @ kernel[:, columns] + bias[columns]).max(axis=1)
    assert out.shape == (5, 3)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-6)


def test_survives_serialisation():
    layer = Maxout(3, 4, keras.initializers.RandomUniform(-0.005, 0.005), name="h")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
