"""Where images come from: a name or a path becomes uint8 rows, and those become a `tf.data.Dataset`.

Importing this package imports nothing heavy; `load` and `load_pairs` do, when they are called.
"""

from pipelines.domains import PAIR_SOURCES, load_pairs
from pipelines.sources import SOURCES, load

__all__ = ["PAIR_SOURCES", "SOURCES", "load", "load_pairs"]
