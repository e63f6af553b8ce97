"""Proof that an exported SavedModel gives the outputs expected where only TensorFlow's C++ is at hand.

A model server never imports Python: it loads the folder with TensorFlow's C++ loader and runs its session. What
`tf.saved_model.load` serves may still fail there, so `verify` goes through the C API, which is that same loader and
session, in a fresh process that cannot import TensorFlow, Keras or kgan.

This file is both sides. As a module it holds `Case` and `verify`; as a script it is that fresh process. Hence it
imports nothing but the standard library and NumPy at the top, and everything else where it is needed.
"""

import collections
import ctypes
import dataclasses
import importlib.abc
import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np

_SCRIPT = pathlib.Path(__file__).absolute()
_BLOCKED = ("tensorflow", "keras", "kgan")
_LIBRARIES = {"linux": "libtensorflow_cc.so.2", "darwin": "libtensorflow_cc.2.dylib"}  # by sys.platform
_TAG = "serve"
_OWN_SIGNATURES = "__saved_model_"  # what TensorFlow's saver adds for itself: restore and init operations
# What decides which device computes and how it rounds, or where its libraries are: the same there as here.
_KEPT_VARIABLES = ("PATH", "LD_LIBRARY_", "DYLD_", "CUDA_", "NVIDIA_", "TF_", "XLA_", "ONEDNN_", "OMP_")
_INVALID_ARGUMENT = 3  # TF_Code
_STRING = 7  # TF_DataType
_STRING_BYTES = 24  # sizeof(TF_TString)
_TYPES = {  # by TF_DataType
    1: np.dtype("float32"),
    3: np.dtype("int32"),
    4: np.dtype("uint8"),
    _STRING: np.dtype(object),
    9: np.dtype("int64"),
    10: np.dtype(bool),
}
_CODES = {kind: code for code, kind in _TYPES.items()}


@dataclasses.dataclass(frozen=True)
class Case:
    """One call of a signature and what must come out of it.

    Attributes:
        signature: The name of the signature.
        inputs: By input name of the signature, float32, int32, int64, uint8, bool or object (bytes) arrays of any
            rank. Inputs that have a default in the signature may be left out; the default is fed, as a server does.
        outputs: By output name, all outputs of the signature, of the same types. Empty where `error` is set.
        error: Where set, the call must fail as an invalid argument whose message contains this text.
    """

    signature: str
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    error: str = ""


@dataclasses.dataclass(frozen=True)
class _Call:
    """A case in the terms of the graph, where a tensor is called "operation:index"."""

    label: str  # names the signature and the batch size
    feeds: dict[str, np.ndarray]  # by tensor
    fetches: dict[str, str]  # output name -> tensor
    outputs: dict[str, np.ndarray]  # by output name
    error: str


class _RefusedError(Exception):
    """Why the model is not what was expected, in one line."""


class _StatusError(Exception):
    """A status of the C API that is not OK.

    Attributes:
        code: The TF_Code.
        message: What the C API says, in a line or more.
    """

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


def verify(folder: pathlib.Path, cases: list[Case]) -> float:
    """Proves in a fresh process, through TensorFlow's C API, that a SavedModel answers every case bit for bit.

    Floats are compared by their bytes: -0.0 is not 0.0 and NaN is only the same NaN. Every signature of the model
    needs a case that compares outputs. The process computes with the devices and the TF_* settings of this one.

    Args:
        folder: The folder that holds `saved_model.pb`.
        cases: What to call and what must come out, in this order, in one session.

    Returns:
        The seconds that loading the model took, without those for loading TensorFlow's library.

    Raises:
        RunError: The folder cannot be read or loaded, a case does not fit its signature, a signature has no case, an
            output differs, or TensorFlow's library is not found. One line that names the signature, the batch size,
            the output and how far it is off, or has the C API's message.
    """
    from kgan.errors import RunError

    try:
        library = _library()
        calls = _calls(folder, cases)
        with tempfile.TemporaryDirectory(prefix="kgan-verify-") as place:
            path = pathlib.Path(place) / "cases.npz"
            _write(path, calls)
            return _seconds(_run_script(library, folder.absolute(), path))
    except (_RefusedError, OSError) as error:
        raise RunError(f"{folder}: {_one_line(error)}") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _library() -> pathlib.Path:
    """Returns TensorFlow's C++ library, which lies beside its Python package. Raises _RefusedError without one."""
    spec = importlib.util.find_spec("tensorflow")
    name = _LIBRARIES.get(sys.platform)
    if name is None:
        raise _RefusedError(f"cannot be verified on {sys.platform}, only on {' and '.join(_LIBRARIES)}")
    if spec is None or not spec.submodule_search_locations:
        raise _RefusedError("cannot be verified, TensorFlow is not installed")
    path = pathlib.Path(spec.submodule_search_locations[0]) / name
    if not path.is_file():
        raise _RefusedError(f"cannot be verified, TensorFlow's library is not there: {path}")
    return path


def _calls(folder: pathlib.Path, cases: list[Case]) -> list[_Call]:
    signatures = _signatures(folder)
    compared = {case.signature for case in cases if not case.error}
    for name in sorted(signatures.keys() - compared):
        raise _RefusedError(f"signature {name!r} has no case that compares its outputs")
    return [_call(case, signatures) for case in cases]


def _signatures(folder: pathlib.Path) -> dict:
    """Returns the SignatureDef protos that can be served, by name. Raises _RefusedError for a damaged file."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise _RefusedError(f"saved_model.pb is damaged: {error}") from None
    for graph in model.meta_graphs:
        if list(graph.meta_info_def.tags) == [_TAG]:
            named = graph.signature_def.items()
            return {name: signature for name, signature in named if not name.startswith(_OWN_SIGNATURES)}
    raise _RefusedError(f"saved_model.pb is damaged or no export for serving: it has no graph tagged {_TAG!r}")


def _call(case: Case, signatures: dict) -> _Call:
    """Translates a case. Raises _RefusedError where its names or types do not fit the signature."""
    label = _label(case)
    signature = signatures.get(case.signature)
    if signature is None:
        raise _RefusedError(f"{label}: no such signature, the model has {sorted(signatures)}")
    _require_types(label, signature)
    inputs = _defaults(signature) | case.inputs
    _require_names(f"{label}: inputs", inputs, signature.inputs)
    if not case.error:
        _require_names(f"{label}: outputs", case.outputs, signature.outputs)
    return _Call(
        label,
        {signature.inputs[name].name: _array(f"{label}, input {name!r}", inputs[name]) for name in inputs},
        {name: signature.outputs[name].name for name in sorted(signature.outputs)},
        {name: _array(f"{label}, output {name!r}", value) for name, value in case.outputs.items()},
        case.error,
    )


def _label(case: Case) -> str:
    """Names the signature and the first dimension of what comes out, or goes in where no output has one."""
    shapes = [np.shape(value) for value in (*case.outputs.values(), *case.inputs.values())]
    size = next((f"batch size {shape[0]}" for shape in shapes if shape), "no batch")
    return f"signature {case.signature!r}, {size}"


def _require_types(label: str, signature) -> None:
    from tensorflow.dtypes import as_dtype

    for name, info in signature.outputs.items():
        if info.dtype not in _TYPES:
            raise _RefusedError(f"{label}, output {name!r}: data type {as_dtype(info.dtype).name} cannot be verified")


def _defaults(signature) -> dict[str, np.ndarray]:
    from tensorflow import make_ndarray

    return {name: make_ndarray(proto) for name, proto in signature.defaults.items()}


def _require_names(what: str, given: collections.abc.Iterable[str], known: collections.abc.Iterable[str]) -> None:
    if set(given) != set(known):
        raise _RefusedError(f"{what} are {sorted(given)}, expected {sorted(known)}")


def _array(what: str, value: np.ndarray) -> np.ndarray:
    """Returns the value as an array in C order of one of the known types. Raises _RefusedError for another type."""
    array = np.asarray(value, order="C")
    if array.dtype not in _CODES:
        raise _RefusedError(f"{what}: data type {array.dtype} cannot be verified")
    if array.dtype == object and not all(isinstance(text, bytes) for text in array.flat):
        raise _RefusedError(f"{what}: an object array may hold nothing but bytes")
    return array


def _run_script(library: pathlib.Path, folder: pathlib.Path, path: pathlib.Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith(_KEPT_VARIABLES)}
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}  # this process may hold GPU memory
    command = [sys.executable, "-I", "-X", "utf8", _SCRIPT, library, folder, path]
    return subprocess.run(
        command,
        cwd=path.parent,
        env=kept | quiet,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def _seconds(done: subprocess.CompletedProcess[str]) -> float:
    """Returns what the script measured. Raises _RefusedError with its reason, or with how it died without one."""
    printed = done.stdout.splitlines()
    if done.returncode == 0 and printed:
        return json.loads(printed[-1])["seconds"]
    if done.returncode == 1 and printed:
        raise _RefusedError(printed[-1])
    if done.returncode < 0:
        end = f"was killed by {signal.Signals(-done.returncode).name}"
    else:
        end = f"left with exit code {done.returncode}"
    last = (done.stderr.splitlines() or ["it said nothing"])[-1]
    raise _RefusedError(f"the process that verifies {end}: {last}")


def _write(path: pathlib.Path, calls: list[_Call]) -> None:
    """Writes the calls as an .npz without pickled objects: texts as JSON, strings as their bytes and lengths."""
    arrays, texts = {}, []
    for call in calls:
        text = dataclasses.asdict(dataclasses.replace(call, feeds={}, outputs={}))
        for part, values in (("feeds", call.feeds), ("outputs", call.outputs)):
            for name, value in values.items():
                text[part][name] = key = str(len(arrays))
                arrays |= _packed(key, value)
        texts.append(text)
    np.savez(path, calls=np.frombuffer(json.dumps(texts).encode(), np.uint8), **arrays)


def _read(path: str) -> list[_Call]:
    """Reads what `_write` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        texts = json.loads(arrays["calls"].tobytes())
        for text in texts:
            for part in ("feeds", "outputs"):
                text[part] = {name: _unpacked(arrays, key) for name, key in text[part].items()}
    return [_Call(**text) for text in texts]


def _packed(key: str, array: np.ndarray) -> dict[str, np.ndarray]:
    if array.dtype != object:
        return {key: array}
    texts = array.ravel().tolist()
    lengths = np.array([len(text) for text in texts], np.int64).reshape(array.shape)
    return {key: np.frombuffer(b"".join(texts), np.uint8), f"{key}.lengths": lengths}


def _unpacked(arrays: collections.abc.Mapping[str, np.ndarray], key: str) -> np.ndarray:
    if f"{key}.lengths" not in arrays:
        return arrays[key]
    lengths, whole = arrays[f"{key}.lengths"], arrays[key].tobytes()
    ends = np.cumsum(lengths).tolist()
    texts = [whole[end - length : end] for end, length in zip(ends, lengths.flat, strict=True)]
    return np.array(texts, object).reshape(lengths.shape)


def main(arguments: list[str]) -> int:
    """Is the fresh process: loads the model, runs every case, prints one line of JSON or of why it is refused.

    Args:
        arguments: TensorFlow's library, the folder of the SavedModel and the file of the cases.

    Returns:
        The exit code: 0, or 1 with a reason on standard output.
    """
    block_imports()
    library, folder, path = arguments
    calls = _read(path)
    try:
        api = _api(library)
        start = time.perf_counter()
        session = _Session(api, folder)
        seconds = time.perf_counter() - start
        for call in calls:
            _require_outcome(session, call)
        session.close()
    except _RefusedError as error:
        print(_one_line(error))
        return 1
    print(json.dumps({"seconds": seconds}))
    return 0


def block_imports() -> None:
    """Makes every import of TensorFlow, Keras and kgan an ImportError from now on."""
    sys.meta_path.insert(0, _Blocker())


class _Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname: str, path=None, target=None) -> None:
        if fullname.partition(".")[0] in _BLOCKED:
            raise ImportError(f"{fullname} is blocked: the model must run without it")


def _require_outcome(session: "_Session", call: _Call) -> None:
    """Runs a call. Raises _RefusedError where it does not end as expected."""
    try:
        outputs = session.run(call.feeds, list(call.fetches.values()))
    except _RefusedError as error:
        raise _RefusedError(f"{call.label}: {error}") from None
    except _StatusError as error:
        if not call.error:
            raise _RefusedError(f"{call.label}: {error.message}") from None
        if error.code != _INVALID_ARGUMENT or call.error not in error.message:
            expected = f"code {_INVALID_ARGUMENT} (invalid argument) and {call.error!r}"
            raise _RefusedError(
                f"{call.label}: error code {error.code}: {error.message}, expected {expected}"
            ) from None
        return
    if call.error:
        raise _RefusedError(f"{call.label}: it ran, expected an error with {call.error!r}")
    for name, output in zip(call.fetches, outputs, strict=True):
        if off := difference(output, call.outputs[name]):
            raise _RefusedError(f"{call.label}, output {name!r}: {off}")


def difference(got: np.ndarray, expected: np.ndarray) -> str:
    """Returns how far two arrays of any shapes and of the types of a case are apart, or "" where no bit differs."""
    if got.dtype != expected.dtype:
        return f"data type {_type_name(got)}, expected {_type_name(expected)}"
    if got.shape != expected.shape:
        return f"shape {got.shape}, expected {expected.shape}"
    differing = _bits(got) != _bits(expected)
    if not differing.any():
        return ""
    first = np.unravel_index(differing.argmax(), got.shape)
    place = [int(index) for index in first]
    count = f"{differing.sum()} of {differing.size} values differ"
    if got.dtype == object:
        return f"{count}, first at {place}: {_bytes_apart(got[first], expected[first])}"
    return f"{count}, {_most_apart(got, expected)}, first at {place}: {got[first]}, expected {expected[first]}"


def _type_name(array: np.ndarray) -> str:
    return "string" if array.dtype == object else str(array.dtype)


def _bits(array: np.ndarray) -> np.ndarray:
    """Returns the values in one dimension, floats as the integers of the same bits."""
    return array.ravel().view(np.int32) if array.dtype == np.float32 else array.ravel()


def _bytes_apart(got: bytes, expected: bytes) -> str:
    pairs = enumerate(zip(got, expected, strict=False))
    at = next((index for index, pair in pairs if pair[0] != pair[1]), min(len(got), len(expected)))
    return f"{len(got)} bytes, expected {len(expected)}, the same up to byte {at}"


def _most_apart(got: np.ndarray, expected: np.ndarray) -> str:
    if got.dtype != np.float32:
        high, low = (choose(got, expected).astype(np.int64).view(np.uint64) for choose in (np.maximum, np.minimum))
        return f"by at most {(high - low).max()}"  # without a sign no difference of two int64 overflows
    with np.errstate(invalid="ignore"):  # infinity less itself
        most = np.abs(got.astype(np.float64) - expected.astype(np.float64)).max()
    steps = np.abs(_ranks(got) - _ranks(expected)).max()
    return f"by at most {most:.3g} or {steps} ulp"


def _ranks(array: np.ndarray) -> np.ndarray:
    """Returns the place of each float32 among all float32: neighbours are 1 apart, and so are -0.0 and 0.0."""
    bits = _bits(array).astype(np.int64)
    return np.where(bits < 0, -1 - (bits & 0x7FFFFFFF), bits)


class _Output(ctypes.Structure):
    """TF_Output: a tensor of the graph."""

    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


_P, _INT, _SIZE, _TEXT = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t, ctypes.c_char_p
_FUNCTIONS = {  # name -> what it returns, what it takes; _P is a pointer to anything
    "TF_NewStatus": (_P, ()),
    "TF_DeleteStatus": (None, (_P,)),
    "TF_GetCode": (_INT, (_P,)),
    "TF_Message": (_TEXT, (_P,)),
    "TF_NewGraph": (_P, ()),
    "TF_DeleteGraph": (None, (_P,)),
    "TF_GraphOperationByName": (_P, (_P, _TEXT)),
    "TF_NewSessionOptions": (_P, ()),
    "TF_DeleteSessionOptions": (None, (_P,)),
    "TF_LoadSessionFromSavedModel": (_P, (_P, _P, _TEXT, _P, _INT, _P, _P, _P)),
    "TF_SessionRun": (None, (_P, _P, _P, _P, _INT, _P, _P, _INT, _P, _INT, _P, _P)),
    "TF_CloseSession": (None, (_P, _P)),
    "TF_DeleteSession": (None, (_P, _P)),
    "TF_AllocateTensor": (_P, (_INT, _P, _INT, _SIZE)),
    "TF_DeleteTensor": (None, (_P,)),
    "TF_TensorType": (_INT, (_P,)),
    "TF_NumDims": (_INT, (_P,)),
    "TF_Dim": (ctypes.c_int64, (_P, _INT)),
    "TF_TensorByteSize": (_SIZE, (_P,)),
    "TF_TensorData": (_P, (_P,)),
    "TF_StringInit": (None, (_P,)),
    "TF_StringCopy": (None, (_P, _TEXT, _SIZE)),
    "TF_StringGetDataPointer": (_P, (_P,)),
    "TF_StringGetSize": (_SIZE, (_P,)),
    "TF_StringDealloc": (None, (_P,)),
}


def _api(library: str) -> ctypes.CDLL:
    """Returns the library with its functions typed. Raises _RefusedError where it is no TensorFlow library."""
    try:
        api = ctypes.CDLL(library)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(api, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise _RefusedError(f"TensorFlow's library cannot be used: {error}") from None
    return api


class _Session:
    """A SavedModel loaded through the C API.

    Raises:
        _RefusedError: It cannot be loaded; the message is that of the C API.
    """

    def __init__(self, api: ctypes.CDLL, folder: str):
        self._api = api
        self._status = api.TF_NewStatus()
        self._graph = api.TF_NewGraph()
        options = api.TF_NewSessionOptions()
        tags = (_TEXT * 1)(_TAG.encode())
        self._session = api.TF_LoadSessionFromSavedModel(
            options, None, os.fsencode(folder), tags, len(tags), self._graph, None, self._status
        )
        api.TF_DeleteSessionOptions(options)
        try:
            self._require_ok()
        except _StatusError as error:
            raise _RefusedError(f"cannot be loaded: {error.message}") from None

    def close(self) -> None:
        """Frees what the session holds."""
        self._api.TF_CloseSession(self._session, self._status)
        self._api.TF_DeleteSession(self._session, self._status)
        self._api.TF_DeleteGraph(self._graph)
        self._api.TF_DeleteStatus(self._status)

    def run(self, feeds: dict[str, np.ndarray], fetches: list[str]) -> list[np.ndarray]:
        """Returns the fetched tensors. Raises _StatusError where the run fails."""
        inputs, outputs = self._outputs(feeds), self._outputs(fetches)
        given = (_P * len(inputs))(*[self._tensor(array) for array in feeds.values()])
        results = (_P * len(outputs))()
        try:
            fed, fetched = (inputs, given, len(given)), (outputs, results, len(results))
            self._api.TF_SessionRun(self._session, None, *fed, *fetched, None, 0, None, self._status)
            self._require_ok()
            return [self._array(tensor) for tensor in results]
        finally:
            self._free(given, results)

    def _require_ok(self) -> None:
        if code := self._api.TF_GetCode(self._status):
            raise _StatusError(code, self._api.TF_Message(self._status).decode(errors="replace"))

    def _outputs(self, tensors: collections.abc.Iterable[str]) -> ctypes.Array:
        """Returns TF_Outputs for tensors called "operation:index". Raises _RefusedError where one is not there."""
        outputs = []
        for tensor in tensors:
            name, _, index = tensor.rpartition(":")
            operation = self._api.TF_GraphOperationByName(self._graph, name.encode())
            if operation is None:
                raise _RefusedError(f"the graph has no tensor {tensor!r}")
            outputs.append(_Output(operation, int(index)))
        return (_Output * len(outputs))(*outputs)

    def _tensor(self, array: np.ndarray) -> int:
        """Returns a new TF_Tensor of the array, of any shape."""
        size = array.size * _STRING_BYTES if array.dtype == object else array.nbytes
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        tensor = self._api.TF_AllocateTensor(_CODES[array.dtype], shape, array.ndim, size)
        if array.dtype != object:
            ctypes.memmove(self._api.TF_TensorData(tensor), array.tobytes(), size)
            return tensor
        for place, text in zip(self._strings(tensor), array.flat, strict=True):
            self._api.TF_StringInit(place)
            self._api.TF_StringCopy(place, text, len(text))
        return tensor

    def _array(self, tensor: int) -> np.ndarray:
        """Returns a copy of a TF_Tensor of one of the known types."""
        code = self._api.TF_TensorType(tensor)
        shape = [self._api.TF_Dim(tensor, axis) for axis in range(self._api.TF_NumDims(tensor))]
        if code == _STRING:
            return np.array([self._text(place) for place in self._strings(tensor)], object).reshape(shape)
        whole = ctypes.string_at(self._api.TF_TensorData(tensor), self._api.TF_TensorByteSize(tensor))
        return np.frombuffer(whole, _TYPES[code]).reshape(shape)

    def _strings(self, tensor: int) -> range:
        """Returns the addresses of the TF_TStrings of a string tensor."""
        start = self._api.TF_TensorData(tensor) or 0  # an empty tensor has no memory
        return range(start, start + self._api.TF_TensorByteSize(tensor), _STRING_BYTES)

    def _text(self, place: int) -> bytes:
        return ctypes.string_at(self._api.TF_StringGetDataPointer(place), self._api.TF_StringGetSize(place))

    def _free(self, given: ctypes.Array, results: ctypes.Array) -> None:
        """Deletes tensors. Who made a tensor frees its strings, so those of the results are freed with it."""
        for tensor in given:
            if self._api.TF_TensorType(tensor) == _STRING:
                for place in self._strings(tensor):
                    self._api.TF_StringDealloc(place)
        for tensor in (*given, *results):
            if tensor is not None:  # no results where the run failed
                self._api.TF_DeleteTensor(tensor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
