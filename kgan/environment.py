"""What the figures of a run depend on besides its configuration: versions, processor, threads, code."""

import contextlib
import importlib.metadata
import os
import pathlib
import platform
import subprocess

import psutil
import tensorflow as tf

_PACKAGES = ("kgan", "keras", "tensorflow", "numpy", "mlflow")
_DECISIVE = ("version.kgan", "version.keras", "version.tensorflow", "version.numpy", "version.python")
_DECISIVE += ("hardware.cpu", "hardware.threads", "hardware.gpu", "setting.onednn")


def describe() -> dict[str, str]:
    """All that is known, as MLflow tags."""
    tags = {f"version.{name}": importlib.metadata.version(name) for name in _PACKAGES}
    gpus = [tf.config.experimental.get_device_details(d) for d in tf.config.list_physical_devices("GPU")]
    memory = psutil.virtual_memory().total / 2**30
    tags |= {
        "version.python": platform.python_version(),
        "hardware.cpu": _cpu_name(),
        "hardware.cores": str(psutil.cpu_count()),
        "hardware.threads": _threads(),
        "hardware.memory": f"{memory:.0f} GiB",
        "hardware.gpu": ", ".join(gpu.get("device_name", "unknown") for gpu in gpus) or "none",
        "hardware.platform": platform.platform(),
        "setting.onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "default"),
    }
    return tags | _git_commit()


def has_native_bfloat16() -> bool:
    """Whether the GPUs, or the processor where there are none, multiply in bfloat16.

    NVIDIA's do from compute capability 8.0 on, x86 processors with AVX512_BF16 or AMX, by TensorFlow's oneDNN kernels.
    Others have not been measured.
    """
    gpus = [tf.config.experimental.get_device_details(d) for d in tf.config.list_physical_devices("GPU")]
    if gpus:
        return all(gpu.get("compute_capability", (0, 0)) >= (8, 0) for gpu in gpus)
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return False
    return bool({"avx512_bf16", "amx_bf16"}.intersection(_cpu_line("flags").split()))


def decisive() -> dict[str, str]:
    """The part on which the last bits of a figure depend."""
    known = describe()
    return {name: known[name] for name in _DECISIVE}


def _threads() -> str:
    """Threads of one operation: sums are split over them, and so rounded by their number."""
    chosen = tf.config.threading.get_intra_op_parallelism_threads() or os.environ.get("TF_NUM_INTRAOP_THREADS")
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return str(chosen or allowed)


def _cpu_name() -> str:
    return _cpu_line("model name") or platform.processor() or platform.machine()


def _cpu_line(name: str) -> str:
    """What Linux says of the first processor under a name; nothing elsewhere."""
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next((line.split(":")[1].strip() for line in lines if line.startswith(name)), "")
    return ""


def _git_commit() -> dict[str, str]:
    command = ["git", "-C", str(pathlib.Path(__file__).parent), "rev-parse", "HEAD"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        commit = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
        return {"mlflow.source.git.commit": commit}
    return {}
