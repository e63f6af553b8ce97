"""Features of the field's network: the Inception v3 of 2015-12-05, as the frozen graph that FID and IS were made with.

Heusel et al. 2017 ("GANs Trained by a Two Time-Scale Update Rule") took `pool_3` of it for the Fréchet distance and
Salimans et al. 2016 ("Improved Techniques for Training GANs") its classes for the Inception score. Networks of that
name with other weights give other numbers.
"""

import gzip
import hashlib
import http.client
import io
import pathlib
import queue
import tarfile
import threading
import typing
import urllib.request
import zlib
from collections.abc import Callable

import numpy as np

from kgan.errors import InputError, require_choice
from kgan.features import resizing
from kgan.features.base import Features, one_line, require_images
from kgan.files import cache_folder, require_regular, write_atomic

if typing.TYPE_CHECKING:
    import tensorflow as tf

# The same file as http://download.tensorflow.org/models/image/imagenet/..., the address in the authors' code, but safe
# from changes on the way: the bucket of that name is served by https here.
ADDRESS = "https://storage.googleapis.com/download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz"
GRAPH = "classify_image_graph_def.pb"
SIDE = 299  # pixels; the graph's own ResizeBilinear brings images there

_LARGEST = 2**28  # bytes of the archive's content; the graph has some 96 million
_PATIENCE = 5.0  # seconds without an answer
_NODES = ("ExpandDims", "pool_3", "softmax/logits/MatMul")


def inception(path: str | None = None, resize: resizing.Method = "legacy") -> Features:
    """The Inception network of 2015-12-05, run by TensorFlow as it was frozen.

    Features are `pool_3:0`, `[n, 2048]`. Logits are these times the weights of `softmax/logits/MatMul`, without the
    bias, `[n, 1008]`: the code of Salimans et al. does so, as the graph itself reshapes to a batch of 1 there, and the
    published Inception scores are of these logits. Grey images are repeated to 3 channels.

    "legacy" leaves resizing to the graph, which knows TensorFlow 1's bilinear method only; so did the authors of both
    scores. "clean" is that of Parmar et al. 2022 ("On Aliased Resizing"), before the graph.

    A graph is a program: use a file of your own only if you trust who made it.

    Args:
        path: the graph, `classify_image_graph_def.pb`, or the archive `inception-2015-12-05.tgz` with it. Without,
            the one in the folder `inception` of the cache, where it is put, fetched once, if it is not there.
        resize: "legacy" or "clean".

    Returns:
        Features with the digest of the graph's file.

    Raises:
        InputError: the file is missing, cannot be fetched, or is no such graph.
    """
    require_choice("resize", resize, typing.get_args(resizing.Method))
    content, run = _read(pathlib.Path(path).expanduser()) if path else _kept()
    digest = hashlib.sha256(content).hexdigest()

    def extract(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        images = resizing.with_channels(require_images(images), 3, "inception")
        images = resizing.resized(images, "clean", SIDE, SIDE) if resize == "clean" else images.astype(np.float32)
        return tuple(run(images))

    return Features("inception", digest, resizing.words(resize, SIDE, SIDE), extract)


def _read(place: pathlib.Path) -> tuple[bytes, Callable]:
    """Reads a graph, alone or in the archive; returns its bytes and the function that it is."""
    try:
        require_regular(place)
        with place.open("rb") as file:
            content = file.read(_LARGEST + 1)
        return _graph(content)
    except FileNotFoundError:
        raise InputError(f"the Inception graph {place}: there is no such file, expected {GRAPH} or the .tgz") from None
    except (OSError, ValueError) as error:
        said = one_line(error)
        raise InputError(f"the Inception graph {place}: got no such graph ({said}), expected {GRAPH}") from error


def _graph(content: bytes) -> tuple[bytes, Callable]:
    """Takes the graph out of the archive, where it is one.

    Raises:
        ValueError: it is neither the graph nor the archive.
    """
    if len(content) > _LARGEST:
        raise ValueError(f"it has more than {_LARGEST} bytes")
    if content[:2] == b"\x1f\x8b":
        content = _member(content)
    return content, _function(content)


def _member(archive: bytes) -> bytes:
    """The graph in the archive; nothing is written. Raises ValueError where there is none, or far more than that."""
    try:
        with gzip.open(io.BytesIO(archive)) as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ValueError(f"it unpacks to more than {_LARGEST} bytes")
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as members:
            for member in members:
                if member.isfile() and pathlib.PurePosixPath(member.name).name == GRAPH:
                    return members.extractfile(member).read()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"the archive is damaged: {error}") from error
    raise ValueError(f"the archive has no {GRAPH}")


def _function(content: bytes) -> Callable:
    """The function images -> (pool_3, logits) of a graph. Raises ValueError where it is another graph, or none."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        graph = tf.compat.v1.GraphDef.FromString(content)
    except DecodeError as error:
        raise ValueError("it is no graph") from error
    missing = set(_NODES) - {node.name for node in graph.node}
    if missing:
        raise ValueError(f"the graph has no {', '.join(sorted(missing))}")

    try:
        return _callable(graph)
    except tf.errors.OpError as error:
        raise ValueError(error.message) from error


def _callable(definition: "tf.compat.v1.GraphDef") -> Callable:
    """A session, as in the authors' time: a function of TensorFlow 2 is of today's version when it runs, which has
    no BatchNormWithGlobalNormalization any more; a graph keeps the version of its oldest part.
    """
    import tensorflow as tf

    tf.config.list_logical_devices()  # starts the devices as the process has set them, before the session does
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3])
        pool, product = tf.graph_util.import_graph_def(
            definition, {"ExpandDims:0": images}, ["pool_3:0", "softmax/logits/MatMul"], name="inception"
        )
        pool = tf.squeeze(pool, [1, 2])
        logits = tf.matmul(pool, product.inputs[1])
    return tf.compat.v1.Session(graph=graph).make_callable([pool, logits], [images])


def _kept() -> tuple[bytes, Callable]:
    """The graph in the cache, fetched if it is not there."""
    folder = cache_folder() / "inception"
    for name in (GRAPH, ADDRESS.rpartition("/")[2]):
        if (folder / name).exists():
            return _read(folder / name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"KGAN_CACHE {cache_folder()}: cannot be written ({error.strerror}); name another") from error
    try:
        content, run = _graph(_fetch())
        write_atomic(folder / GRAPH, content)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise InputError(
            f"the Inception graph cannot be fetched ({one_line(error)}); place {ADDRESS} in {folder}, or what is in "
            f"it at {folder / GRAPH}"
        ) from error
    return content, run


def _fetch() -> bytes:
    print(f"fetching {ADDRESS}", flush=True)
    with _answer() as answer:
        return answer.read(_LARGEST + 1)


def _answer() -> http.client.HTTPResponse:
    """Connects, in a few seconds or not at all: urlopen's timeout is for each of a server's many addresses."""
    answers: queue.SimpleQueue = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(ADDRESS, timeout=_PATIENCE))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=_PATIENCE)
    except queue.Empty:
        raise TimeoutError(f"no answer in {_PATIENCE:g} seconds") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
