import platform

import keras
import tensorflow as tf

from kgan import environment


def test_what_decides_the_last_bits_is_known():
    known = environment.decisive()
    assert known["version.keras"] == keras.__version__
    assert known["version.tensorflow"] == tf.__version__
    assert known["version.python"] == platform.python_version()
    assert int(known["hardware.threads"]) >= 1
    assert known["hardware.cpu"] and known["hardware.gpu"]
    assert known.items() <= environment.describe().items()


def test_chosen_threads_count(monkeypatch):
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 5)
    assert environment.decisive()["hardware.threads"] == "5"
