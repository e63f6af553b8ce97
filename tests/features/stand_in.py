"""A small graph with the names, old operations and version of the Inception graph, and what it computes, by NumPy."""

import functools

import numpy as np
import tensorflow as tf

PRODUCER = 8  # BatchNormWithGlobalNormalization is refused from 9 on
POOL = 75  # pixels, after a convolution of 299 by 3 in steps of 4


@functools.cache
def weights() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {"softmax/weights": (16, 12), "softmax/biases": (12,)}
    for conv in ("conv", "conv_1"):
        shapes |= {f"{conv}/conv2d_params": (3, 3, 3, 8), f"{conv}/batchnorm/mean": (8,)}
        shapes |= {f"{conv}/batchnorm/beta": (8,), f"{conv}/batchnorm/gamma": (8,)}
    drawn = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    variances = {
        f"{conv}/batchnorm/variance": random.uniform(0.5, 2, 8).astype(np.float32) for conv in ("conv", "conv_1")
    }
    return drawn | variances


def graph(producer: int = PRODUCER) -> bytes:
    """The graph as the content of a file."""
    definition = tf.compat.v1.GraphDef()
    definition.versions.producer = producer
    node = functools.partial(_node, definition)
    constants = weights() | {
        "DecodeJpeg/contents": np.array(b"", object),
        "ExpandDims/dim": np.int32(0),
        "ResizeBilinear/size": np.array([299, 299], np.int32),
        "Sub/y": np.float32(128),
        "Mul/y": np.float32(1 / 128),
        "join/concat_dim": np.int32(3),
        "pool_3/_reshape/shape": np.array([1, 16], np.int32),
    }
    for name, value in constants.items():
        tensor = tf.make_tensor_proto(value)
        node(name, "Const", [], value=tf.compat.v1.AttrValue(tensor=tensor), dtype=tensor.dtype)
    node("DecodeJpeg", "DecodeJpeg", ["DecodeJpeg/contents"], channels=3)
    node("Cast", "Cast", ["DecodeJpeg"], SrcT=tf.uint8, DstT=tf.float32)
    node("ExpandDims", "ExpandDims", ["Cast", "ExpandDims/dim"], T=tf.float32)
    node("ResizeBilinear", "ResizeBilinear", ["ExpandDims", "ResizeBilinear/size"], T=tf.float32)
    node("Sub", "Sub", ["ResizeBilinear", "Sub/y"], T=tf.float32)
    node("Mul", "Mul", ["Sub", "Mul/y"], T=tf.float32)
    for conv in ("conv", "conv_1"):
        _convolution(node, conv)
    node("join", "Concat", ["join/concat_dim", "conv", "conv_1"], N=2, T=tf.float32)
    window = {"ksize": [1, POOL, POOL, 1], "strides": [1, 1, 1, 1], "padding": b"VALID"}
    node("pool_3", "AvgPool", ["join"], T=tf.float32, **window)
    node("pool_3/_reshape", "Reshape", ["pool_3", "pool_3/_reshape/shape"], T=tf.float32)
    node("softmax/logits/MatMul", "MatMul", ["pool_3/_reshape", "softmax/weights"], T=tf.float32)
    node("softmax/logits", "BiasAdd", ["softmax/logits/MatMul", "softmax/biases"], T=tf.float32)
    node("softmax", "Softmax", ["softmax/logits"], T=tf.float32)
    return definition.SerializeToString()


def _convolution(node, name: str) -> None:
    stride = {"strides": [1, 4, 4, 1], "padding": b"VALID"}
    node(f"{name}/Conv2D", "Conv2D", ["Mul", f"{name}/conv2d_params"], T=tf.float32, **stride)
    parts = [f"{name}/batchnorm/{part}" for part in ("mean", "variance", "beta", "gamma")]
    node(
        f"{name}/batchnorm",
        "BatchNormWithGlobalNormalization",
        [f"{name}/Conv2D", *parts],
        T=tf.float32,
        variance_epsilon=0.001,
        scale_after_normalization=False,
    )
    node(f"{name}/CheckNumerics", "CheckNumerics", [f"{name}/batchnorm"], T=tf.float32, message=name.encode())
    node(f"{name}/control_dependency", "Identity", [f"{name}/batchnorm", f"^{name}/CheckNumerics"], T=tf.float32)
    node(name, "Relu", [f"{name}/control_dependency"], T=tf.float32)


def _node(definition: tf.compat.v1.GraphDef, name: str, op: str, inputs: list[str], **attributes: object) -> None:
    made = definition.node.add(name=name, op=op, input=inputs)
    for key, value in attributes.items():
        into = made.attr[key]
        if isinstance(value, tf.compat.v1.AttrValue):
            into.CopyFrom(value)
        elif isinstance(value, tf.DType):
            into.type = value.as_datatype_enum
        elif isinstance(value, list):
            into.list.i.extend(value)
        elif isinstance(value, bytes):
            into.s = value
        elif isinstance(value, bool):
            into.b = value
        elif isinstance(value, float):
            into.f = value
        elif key == "dtype":
            into.type = value
        else:
            into.i = value


def expected(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(pool_3, logits without the bias) of images `[n, 299, 299, 3]` in 0..255, in float64."""
    x = (images.astype(np.float64) - 128) / 128
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))[:, ::4, ::4]
    pool = np.concatenate([_branch(windows, conv) for conv in ("conv", "conv_1")], axis=-1).mean(axis=(1, 2))
    return pool, pool @ weights()["softmax/weights"].astype(np.float64)


def _branch(windows: np.ndarray, name: str) -> np.ndarray:
    own = {key: value.astype(np.float64) for key, value in weights().items()}
    x = np.einsum("nhwcij,ijco->nhwo", windows, own[f"{name}/conv2d_params"], optimize=True)
    x = (x - own[f"{name}/batchnorm/mean"]) / np.sqrt(own[f"{name}/batchnorm/variance"] + 0.001)
    return np.maximum(x + own[f"{name}/batchnorm/beta"], 0)


def bilinear(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """TensorFlow 1's resize_bilinear with align_corners=False, in float64."""
    x = images.astype(np.float64)
    for axis, size in ((1, height), (2, width)):
        at = np.arange(size) * (x.shape[axis] / size)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, x.shape[axis] - 1)
        shape = [1] * x.ndim
        shape[axis] = size
        share = (at - low).reshape(shape)
        x = x.take(low, axis) * (1 - share) + x.take(high, axis) * share
    return x
