"""Exports of a tiny model, proved or refused in a fresh process through TensorFlow's C API."""

import dataclasses
import pathlib
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from kgan import verification
from kgan.errors import RunError
from kgan.verification import Case, difference, verify

ODD_TEXTS = [b"a", b"", b"\x00 \xff and more than a short string holds in place"]


class Export(tf.Module):
    """Two signatures over the raw variables of a Keras model."""

    def __init__(self, variables: list[tf.Variable]):
        super().__init__()
        self.weights = variables

    @tf.function(input_signature=[tf.TensorSpec((None, 3), name="x"), tf.TensorSpec((), name="scale")])
    def numbers(self, x, scale=tf.constant(2.0)):  # noqa: B008 - what makes the default of a signature
        with tf.control_dependencies([tf.debugging.assert_less(x, 5.0, message="x: expected below 5")]):
            y = tf.tanh(x @ self.weights[0]) * scale
        return {"y": y, "shape": tf.shape(x), "size": tf.size(x, tf.int64), "positive": y > 0}

    @tf.function(input_signature=[tf.TensorSpec((None, 2, 2, 1), tf.uint8), tf.TensorSpec(None, tf.string)])
    def pictures(self, pixels, names):
        png = tf.map_fn(tf.io.encode_png, pixels, fn_output_signature=tf.string)
        return {"png": png, "names": names, "inverted": 255 - pixels}


def arrays(tensors: dict[str, tf.Tensor]) -> dict[str, np.ndarray]:
    return {name: np.array(tensor.numpy(), tensor.dtype.as_numpy_dtype) for name, tensor in tensors.items()}


def numbers(module: Export, size: int) -> Case:
    inputs = {"x": np.random.default_rng(size).normal(size=(size, 3)).astype("float32"), "scale": np.float32(3)}
    return Case("numbers", inputs, arrays(module.numbers(**inputs)))


def pictures(module: Export, names: np.ndarray) -> Case:
    inputs = {"pixels": np.arange(8, dtype="uint8").reshape(2, 2, 2, 1), "names": names}
    outputs = module.pictures(inputs["pixels"], tf.constant(names.tolist(), tf.string, names.shape))
    return Case("pictures", inputs, arrays(outputs))


def with_output(case: Case, **outputs: np.ndarray) -> Case:
    return dataclasses.replace(case, outputs=case.outputs | outputs)


def save(module: Export, folder: pathlib.Path) -> pathlib.Path:
    tf.saved_model.save(module, str(folder), signatures={"numbers": module.numbers, "pictures": module.pictures})
    return folder


@pytest.fixture(scope="module")
def model():
    import keras

    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, use_bias=False)])


@pytest.fixture(scope="module")
def module(model) -> Export:
    return Export([variable.value for variable in model.variables])


@pytest.fixture(scope="module")
def folder(module, tmp_path_factory) -> pathlib.Path:
    return save(module, tmp_path_factory.mktemp("export") / "model")


@pytest.fixture(scope="module")
def cases(module) -> list[Case]:
    return [numbers(module, 2), pictures(module, np.array(ODD_TEXTS, object))]


def refusal(folder: pathlib.Path, cases: list[Case]) -> str:
    with pytest.raises(RunError) as caught:
        verify(folder, cases)
    reason = str(caught.value)
    assert reason.startswith(f"{folder}: ") and "\n" not in reason
    return reason.removeprefix(f"{folder}: ")


def test_equal_outputs_of_all_types_and_shapes_pass(folder, module, cases):
    names = [np.array(ODD_TEXTS[2], object), np.empty((0, 2), object), np.array([ODD_TEXTS, ODD_TEXTS], object)]
    more = [numbers(module, 0), numbers(module, 5), *(pictures(module, array) for array in names)]
    seen = {array.dtype for case in cases + more for array in case.outputs.values()}
    assert seen == {np.dtype(kind) for kind in ("float32", "int32", "int64", "uint8", "bool", "O")}
    assert 0 < verify(folder, cases + more) < 60


def test_arrays_in_another_order_of_memory_are_the_same(folder, cases):
    def turned(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: np.array(value, order="F") for name, value in values.items()}

    verify(folder, [Case(case.signature, turned(case.inputs), turned(case.outputs)) for case in cases])


def test_one_ulp_is_refused_and_named(folder, cases):
    y = cases[0].outputs["y"].copy()
    y[1, 2] = np.nextafter(y[1, 2], np.float32(9))
    reason = refusal(folder, [with_output(cases[0], y=y), cases[1]])
    assert reason.startswith("signature 'numbers', batch size 2, output 'y': 1 of 8 values differ, by at most ")
    assert " or 1 ulp, first at [1, 2]: " in reason and reason.endswith(f"expected {y[1, 2]}")


def test_a_changed_weight_is_refused(module, cases, tmp_path):
    (weight,) = module.weights
    value = weight.numpy()
    weight[0, 1].assign(value[0, 1] + 1e-3)
    try:
        changed = save(module, tmp_path / "changed")
    finally:
        weight.assign(value)
    assert "'numbers', batch size 2, output 'y': 2 of 8 values differ" in refusal(changed, cases)


@pytest.mark.parametrize(
    "outputs, expected",
    [
        ({"y": np.zeros((2, 4), "int32")}, "output 'y': data type float32, expected int32"),
        ({"y": np.zeros((2, 5), "float32")}, "output 'y': shape (2, 4), expected (2, 5)"),
        ({"size": np.int64(7)}, "output 'size': 1 of 1 values differ, by at most 1, first at []: 6, expected 7"),
    ],
)
def test_another_type_shape_or_integer_is_refused(folder, cases, outputs, expected):
    assert expected in refusal(folder, [with_output(cases[0], **outputs), cases[1]])


def test_another_string_is_refused(folder, cases):
    png = cases[1].outputs["png"].copy()
    png[1] += b"."
    reason = refusal(folder, [cases[0], with_output(cases[1], png=png)])
    assert "'pictures', batch size 2, output 'png': 1 of 2 values differ, first at [1]: " in reason


def test_a_model_that_only_python_can_serve_is_refused(model, module, tmp_path):
    class Trap(Export):
        def __init__(self):
            super().__init__([])
            self.model = model

        @tf.function(input_signature=[tf.TensorSpec((None, 3), name="x")])
        def numbers(self, x):
            return {"y": self.model(x)}

    trap = Trap()
    tf.saved_model.save(trap, str(tmp_path / "trap"), signatures={"numbers": trap.numbers})
    x = np.ones((2, 3), "float32")
    served = tf.saved_model.load(str(tmp_path / "trap")).signatures["numbers"](x=tf.constant(x))["y"].numpy()
    reason = refusal(tmp_path / "trap", [Case("numbers", {"x": x}, {"y": served})])
    assert reason.startswith("signature 'numbers', batch size 2: Could not find variable")


def test_a_default_is_fed_where_an_input_is_left_out(folder, module, cases):
    x = cases[0].inputs["x"]
    outputs = arrays(module.numbers(x))
    assert not np.array_equal(outputs["y"], cases[0].outputs["y"])
    verify(folder, [Case("numbers", {"x": x}, outputs), cases[1]])


def test_an_expected_error_passes(folder, cases):
    wrong = Case("numbers", {"x": np.full((4, 3), 9, "float32")}, {}, error="x: expected below 5")
    verify(folder, [*cases, wrong])


@pytest.mark.parametrize(
    "value, error, expected",
    [
        (1, "below 5", "it ran, expected an error with 'below 5'"),
        (9, "below 6", "error code 3: assertion failed: [x: expected below 5]"),
        (9, "", "batch size 2: assertion failed: [x: expected below 5]"),
    ],
)
def test_the_wrong_error_or_none_is_refused(folder, cases, value, error, expected):
    x = np.full((2, 3), value, "float32")
    case = Case("numbers", {"x": x}, {} if error else cases[0].outputs, error)
    reason = refusal(folder, [*cases, case])
    assert reason.startswith("signature 'numbers', batch size 2: ") and expected in reason


@pytest.mark.parametrize(
    "change, expected",
    [
        (lambda a, b: [a], "signature 'pictures' has no case that compares its outputs"),
        (lambda a, b: [a, b, Case("other", {}, {})], "signature 'other', no batch: no such signature, the model has"),
        (lambda a, b: [Case("numbers", {}, a.outputs), b], "inputs are ['scale'], expected ['scale', 'x']"),
        (
            lambda a, b: [Case("numbers", a.inputs, {"y": a.outputs["y"]}), b],
            "outputs are ['y'], expected ['positive'",
        ),
        (lambda a, b: [with_output(a, y=np.zeros((2, 4))), b], "output 'y': data type float64 cannot be verified"),
        (lambda a, b: [a, with_output(b, png=np.array(["text"], object))], "output 'png': an object array may hold"),
    ],
)
def test_cases_that_do_not_fit_the_signatures_are_refused(folder, cases, change, expected):
    assert expected in refusal(folder, change(*cases))


def test_an_input_of_another_type_is_refused_by_the_session(folder, cases):
    x = np.ones((2, 3), "int32")
    reason = refusal(folder, [Case("numbers", {"x": x}, cases[0].outputs), cases[1]])
    assert reason.startswith("signature 'numbers', batch size 2: Expects arg[1] to be float but int32 is provided")


def test_an_output_type_that_no_case_can_hold_is_named(tmp_path):
    class Half(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,), name="x")])
        def half(self, x):
            return {"y": tf.cast(x, tf.float16)}

    half = Half()
    tf.saved_model.save(half, str(tmp_path / "half"), signatures={"half": half.half})
    x = np.ones(2, "float32")
    reason = refusal(tmp_path / "half", [Case("half", {"x": x}, {"y": x})])
    assert reason == "signature 'half', batch size 2, output 'y': data type float16 cannot be verified"


def test_a_missing_folder_is_named(tmp_path, cases):
    assert "No such file or directory" in refusal(tmp_path / "none", cases)


def copy_with(folder: pathlib.Path, to: pathlib.Path, graph: bytes) -> pathlib.Path:
    shutil.copytree(folder, to)
    (to / "saved_model.pb").write_bytes(graph)
    return to


def test_a_damaged_graph_is_refused(folder, cases, tmp_path):
    graph = (folder / "saved_model.pb").read_bytes()
    for name, damaged in (("half", graph[: len(graph) // 2]), ("noise", b"\xff" * 99), ("empty", b"")):
        assert "saved_model.pb is damaged" in refusal(copy_with(folder, tmp_path / name, damaged), cases)
    retagged = graph.replace(b"\x05serve", b"\x05train")
    assert "no graph tagged 'serve'" in refusal(copy_with(folder, tmp_path / "retagged", retagged), cases)


def test_a_signature_of_a_tensor_that_is_not_there_is_refused(folder, cases, tmp_path):
    renamed = (folder / "saved_model.pb").read_bytes().replace(b"numbers_scale:0", b"numbers_other:0")
    reason = refusal(copy_with(folder, tmp_path / "renamed", renamed), cases)
    assert reason == "signature 'numbers', batch size 2: the graph has no tensor 'numbers_other:0'"


def test_damaged_or_missing_weights_are_refused(folder, cases, tmp_path):
    copied = pathlib.Path(shutil.copytree(folder, tmp_path / "copied"))
    (weights,) = (copied / "variables").glob("variables.data-*")
    weights.write_bytes(weights.read_bytes()[:8])
    assert refusal(copied, cases).startswith("cannot be loaded: ")
    shutil.rmtree(copied / "variables")
    assert "Could not find variable" in refusal(copied, cases)


def child(body: str) -> subprocess.CompletedProcess[str]:
    text = f"import runpy\nscript = runpy.run_path({verification.__file__!r})\n{textwrap.dedent(body)}"
    return subprocess.run([sys.executable, "-I", "-c", text], capture_output=True, text=True, check=False)


def test_the_fresh_process_cannot_import_python_tensorflow_keras_or_kgan():
    done = child("""
        import importlib, sys
        try:
            script["main"](["no library", "no folder", "no cases"])
        except FileNotFoundError:
            print("started")
        for name in ("tensorflow", "tensorflow.python", "keras", "kgan", "kgan.errors"):
            try:
                importlib.import_module(name)
            except ImportError as error:
                print(error)
        print([name for name in sys.modules if name.partition(".")[0] in ("tensorflow", "keras", "kgan")])
    """)
    assert done.returncode == 0, done.stderr
    first, *refused, loaded = done.stdout.splitlines()
    assert first == "started" and loaded == "[]"
    assert len(refused) == 5 and all("is blocked: the model must run without it" in line for line in refused)


def test_the_environment_of_the_fresh_process_has_what_decides_the_numbers(folder, cases, tmp_path, monkeypatch):
    (tmp_path / "script.py").write_text("import os; print(sorted(os.environ)); raise SystemExit(1)")
    monkeypatch.setattr(verification, "_SCRIPT", tmp_path / "script.py")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setenv("PYTHONPATH", "somewhere")
    names = refusal(folder, cases)
    assert "'TF_ENABLE_ONEDNN_OPTS'" in names and "'TF_FORCE_GPU_ALLOW_GROWTH'" in names and "PYTHON" not in names


@pytest.mark.parametrize(
    "body, expected",
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL: it said nothing"),
        ("raise KeyError('lost')", "left with exit code 1: KeyError: 'lost'"),
        ("", "left with exit code 0: it said nothing"),
    ],
)
def test_a_process_that_dies_is_reported(folder, cases, tmp_path, monkeypatch, body, expected):
    (tmp_path / "script.py").write_text(body)
    monkeypatch.setattr(verification, "_SCRIPT", tmp_path / "script.py")
    assert refusal(folder, cases) == f"the process that verifies {expected}"


def test_without_the_library_nothing_is_verified(folder, cases, tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "_LIBRARIES", {"beos": "x"})
    assert refusal(folder, cases) == f"cannot be verified on {sys.platform}, only on beos"
    monkeypatch.setattr(verification, "_LIBRARIES", {sys.platform: "none.so"})
    assert "TensorFlow's library is not there: " in refusal(folder, cases)
    monkeypatch.setattr(verification.importlib.util, "find_spec", lambda name: None)
    assert refusal(folder, cases) == "cannot be verified, TensorFlow is not installed"


def test_a_library_that_is_not_tensorflow_is_refused(folder, cases, tmp_path, monkeypatch):
    (tmp_path / "library.so").write_text("text")
    monkeypatch.setattr(verification, "_library", lambda: tmp_path / "library.so")
    assert refusal(folder, cases).startswith("TensorFlow's library cannot be used: ")


def f32(*values: float) -> np.ndarray:
    return np.array(values, "float32")


NAN = f32(np.nan)
OTHER_NAN = (NAN.view("int32") + 1).view("float32")


@pytest.mark.parametrize(
    "got, expected, reason",
    [
        (f32(1, 2), f32(1, 2), ""),
        (NAN, NAN.copy(), ""),
        (np.empty((0, 3), "uint8"), np.empty((0, 3), "uint8"), ""),
        (f32(1, -0.0), f32(1, 0.0), "1 of 2 values differ, by at most 0 or 1 ulp, first at [1]: -0.0, expected 0.0"),
        (NAN, OTHER_NAN, "1 of 1 values differ, by at most nan or 1 ulp, first at [0]: nan, expected nan"),
        (f32(2, np.inf), f32(1, 1), "2 of 2 values differ, by at most inf or 1073741824 ulp"),
        (f32(1e-45), f32(-1e-45), "by at most 2.8e-45 or 3 ulp"),
        (np.array([0, 5], "uint8"), np.array([255, 5], "uint8"), "1 of 2 values differ, by at most 255, first at [0]"),
        (np.array([-(2**63)]), np.array([2**63 - 1]), f"by at most {2**64 - 1}"),
        (np.array([2**53]), np.array([2**53 + 1]), "by at most 1,"),
        (np.array(True), np.array(False), "1 of 1 values differ, by at most 1, first at []: True, expected False"),
        (np.array(b"ab", object), np.array(b"abc", object), "first at []: 2 bytes, expected 3, the same up to byte 2"),
        (np.array([b"a"], object), f32(1), "data type string, expected float32"),
        (f32(1), np.array(1, "float32"), "shape (1,), expected ()"),
    ],
)
def test_differences(got, expected, reason):
    found = difference(got, expected)
    assert reason in found and bool(found) == bool(reason)
