"""How fast a system trains, samples and is served on this machine, and what that takes.

A rate is the median of repeats after a warm-up, by the clock and by CPU time: the second moves far less with the
neighbours of a shared machine, and says nothing of what a GPU does.
"""

import collections
import contextlib
import dataclasses
import io
import math
import pathlib
import re
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import psutil
import tensorflow as tf

from kgan import images, serving, training
from kgan.configuration import Configuration
from kgan.datasets import Data
from kgan.latent import Latent
from kgan.variants.base import Variant

_REPEATS = 5
_SECONDS = 1.0  # of a repeat, at least
_WARM_UP = 3  # steps or calls
_SERVED = 64  # images of a call ...
_PICTURES = 8  # ... where they are translated
_LISTED = 5  # kinds of operations
_OPTIMIZED = ("_Mkl", "_Fused")  # begin the names that TensorFlow's optimizer gives operations, oneDNN's first
_OPTIMIZED_PREFIX = "^_(MklNative|Mkl)?"
_MATRIX = 2048  # side of the matrices whose product is the machine's measured limit


@dataclasses.dataclass(frozen=True)
class Rate:
    """Images per second of the clock, and of CPU time over all cores."""

    images_per_second: float
    images_per_cpu_second: float


@dataclasses.dataclass(frozen=True)
class Figures:
    """What `measure` found.

    Attributes:
        variant, data, image_shape, batch_size, precision, jit, recipe: what was measured.
        train: the training step under `fit`; its images are the real ones that it takes.
        input: the same batches from the input pipeline alone.
        sample: images made, or translated, by the model in memory.
        served: those of its export, loaded again, by calls of 64 images, where they are translated of 8.
        seconds_to_first_step: since the process started, with all imports.
        waiting: share of the time of a training that its steps wait for data.
        gflop_per_image: floating-point operations of a training step for each image of its batches, in 1e9.
        matrix_product_gflops: of a product of two square matrices of 2048 in this precision, by CPU second, on a GPU
            by second.
        share_of_matrix_product: of that rate, how much a training step reaches.
        operations: of a training step on the host, the kinds that take the most time and their shares of it; compiled
            by XLA it is one.
        peak_memory_mib: of the host's memory until the end of the trainings ...
        peak_gpu_memory_mib: ... and of the GPU's, None where there is none.
    """

    variant: str
    data: str
    image_shape: tuple[int, int, int]
    batch_size: int
    precision: str
    jit: str
    recipe: dict[str, object]
    train: Rate
    input: Rate
    sample: Rate
    served: Rate
    seconds_to_first_step: float
    waiting: float
    gflop_per_image: float
    matrix_product_gflops: float
    share_of_matrix_product: float
    operations: dict[str, float]
    peak_memory_mib: float
    peak_gpu_memory_mib: float | None


def measure(config: Configuration, data: Data) -> Figures:
    """Measures a system in this process, which should have done nothing else yet.

    Args:
        config: resolved; its steps do not matter.
        data: what it trains on.
    """
    model = training.compiled(config)
    batches = training.batches(config, model, data, 0)
    rows = config.settings.batch_size * model.rounds_per_step
    model.fit(batches, steps_per_epoch=1, verbose=0)
    first = time.time() - psutil.Process().create_time()

    train = rate(lambda steps: model.fit(batches, steps_per_epoch=steps, verbose=0), rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    gpu = bool(tf.config.list_physical_devices("GPU"))
    peak_gpu = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20 if gpu else None
    batch = next(iter(batches))
    gflop = flop(model.train_step.python_function, batch) / rows / 1e9  # inside calls of functions nothing counts
    limit = matrix_product(config.settings.precision, gpu)
    speed = train.images_per_second if gpu else train.images_per_cpu_second
    return Figures(
        variant=config.settings.variant,
        data=data.name,
        image_shape=tuple(data.image_shape),
        batch_size=config.settings.batch_size,
        precision=config.settings.precision,
        jit=config.settings.jit,
        recipe=config.recipe,
        train=train,
        input=rate(lambda steps: _draw(batches, steps), rows),
        sample=_sampling(model, batch),
        served=_serving(model),
        seconds_to_first_step=first,
        waiting=_waiting(model, batches),
        gflop_per_image=gflop,
        matrix_product_gflops=limit,
        share_of_matrix_product=gflop * speed / limit,
        operations=_operations(model, batches),
        peak_memory_mib=peak,
        peak_gpu_memory_mib=peak_gpu,
    )


def rate(work: Callable[[int], object], images: int) -> Rate:
    """The rate of something that can be done any number of times.

    Args:
        work: does it so many times and returns when all is done.
        images: of one time.
    """
    work(_WARM_UP)
    started = time.perf_counter()
    work(1)
    times = math.ceil(_SECONDS / (time.perf_counter() - started))
    rates = []
    for _ in range(_REPEATS):
        cpu, clock = time.process_time(), time.perf_counter()
        work(times)
        rates.append((images * times / (time.perf_counter() - clock), images * times / (time.process_time() - cpu)))
    return Rate(*map(statistics.median, zip(*rates, strict=True)))


def matrix_product(precision: str, gpu: bool) -> float:
    """What a product of two square matrices reaches here, in 1e9 operations a CPU second; on a GPU a second."""
    kind = tf.bfloat16 if precision == "mixed_bfloat16" else tf.float32
    one = tf.cast(tf.random.stateless_normal((_MATRIX, _MATRIX), (0, 1)), kind)

    def work(times: int) -> None:
        for _ in range(times):
            product = tf.matmul(one, one)
        product[0, 0].numpy()  # waits for a GPU, without the copy of it all

    found = rate(work, 1)
    return 2 * _MATRIX**3 * (found.images_per_second if gpu else found.images_per_cpu_second) / 1e9


def _draw(batches: tf.data.Dataset, steps: int) -> None:
    for _ in batches.take(steps):
        pass


def flop(function: Callable, *inputs) -> int:
    """Floating-point operations of a function: those of which TensorFlow knows the cost, a multiply-add as two."""
    graph = tf.function(function, autograph=False).get_concrete_function(*inputs).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return tf.compat.v1.profiler.profile(graph, options=options).total_float_ops


def _operations(model: Variant, batches: tf.data.Dataset) -> dict[str, float]:
    """Shares of the time of all operations of the host, by kind, the largest first."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    times: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            model.fit(batches, steps_per_epoch=_WARM_UP, verbose=0)
        (file,) = pathlib.Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(file.read_bytes())
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            _, _, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
            is_operation = hasattr(tf.raw_ops, kind) or kind.startswith(_OPTIMIZED)
            if is_operation and not kind.endswith(("Dataset", "IteratorGetNext")):  # these wait
                times[re.sub(_OPTIMIZED_PREFIX, "", kind)] += event.duration_ps
    return {kind: time / times.total() for kind, time in times.most_common(_LISTED)}


def _waiting(model: Variant, batches: tf.data.Dataset) -> float:
    """The share of a training's time in which the next batch is not there yet."""
    iterator = iter(batches)
    model.train_function(iter([next(iterator)]))  # is traced
    waited = total = 0.0
    started = time.perf_counter()
    while total < _REPEATS * _SECONDS:
        asked = time.perf_counter()
        batch = next(iterator)
        waited += time.perf_counter() - asked
        float(model.train_function(iter([batch]))["finite"])  # until it is done
        total = time.perf_counter() - started
    return waited / total


def _sampling(model: Variant, batch) -> Rate:
    if isinstance(model, Latent):
        return rate(lambda times: model.generate(times * _SERVED), _SERVED)
    pictures = images.to_uint8(images.to_float(batch[0])).numpy()
    (direction, *_) = model.directions
    return rate(lambda times: [model.translate(pictures, direction) for _ in range(times)], len(pictures))


def _serving(model: Variant) -> Rate:
    """Of `sample` or of the first direction, called as an export, in this process."""
    name = model.pyfunc_signature
    with tempfile.TemporaryDirectory() as folder:
        serving.write(model.signatures(), pathlib.Path(folder))
        function = tf.saved_model.load(folder).signatures[name]
        inputs = {key: tf.constant(value) for key, value in _request(model, name).items()}
        rows = len(next(iter(inputs.values())))

        def work(times: int) -> None:
            for _ in range(times):
                outputs = function(**inputs)
            [value.numpy() for value in outputs.values()]

        return rate(work, rows)


def _request(model: Variant, name: str) -> dict[str, np.ndarray]:
    """A batch of what a client asks for; pictures are of the size that was trained on."""
    if isinstance(model, Latent):
        return model.serving_examples(_SERVED)[name]
    request = model.serving_examples(_PICTURES)[name]
    grain = np.random.default_rng(0).integers(0, 256, (_PICTURES, *model.image_shape), dtype=np.uint8)
    return request | {"images": grain}
