"""kgan: train, judge and ship generative adversarial networks on Keras 3 with the TensorFlow backend."""

__version__ = "0.1.0"
