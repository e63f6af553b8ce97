import platform

import keras
import pytest
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


@pytest.mark.parametrize(
    ("flags", "native"),
    [("fpu avx512_bf16 sse", True), ("amx_bf16", True), ("avx512f avx512_vnni", False), ("", False)],
)
def test_a_processor_says_whether_it_multiplies_in_bfloat16(monkeypatch, flags, native):
    monkeypatch.setattr(environment, "_cpu_line", lambda name: {"flags": flags}[name])
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    assert environment.has_native_bfloat16() is native
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert not environment.has_native_bfloat16()


@pytest.mark.parametrize(("capability", "native"), [((8, 0), True), ((7, 5), False), (None, False)])
def test_gpus_say_whether_they_multiply_in_bfloat16(monkeypatch, capability, native):
    details = {} if capability is None else {"compute_capability": capability}
    monkeypatch.setattr(environment, "_cpu_line", lambda name: "avx512_bf16")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: details)
    assert environment.has_native_bfloat16() is native
