"""Where images come from: a name or a path becomes uint8 rows, and those become a `tf.data.Dataset`.

Importing this package imports nothing heavy; `load` does, when it is called.
"""

from pipelines.sources import SOURCES, load

__all__ = ["SOURCES", "load"]
