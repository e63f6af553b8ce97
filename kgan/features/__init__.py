"""Where features come from: networks and plain pixels, as functions from uint8 images to rows of numbers.

What judges samples by features (`kgan.metrics`) takes the arrays that come out. TensorFlow and Keras are imported when
a network is made, not with this package.
"""

from kgan.features.base import Features, compute
from kgan.features.classifier import classifier
from kgan.features.inception import inception
from kgan.features.models import model
from kgan.features.pixels import pixels

__all__ = ["Features", "classifier", "compute", "inception", "model", "pixels"]
