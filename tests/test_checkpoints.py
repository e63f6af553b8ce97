"""Checkpoints as files. The writer is killed in a process of its own, without TensorFlow."""

import json
import pathlib
import random
import resource
import signal
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from kgan import checkpoints
from kgan.checkpoints import Checkpoint
from kgan.errors import InputError, RunError

REPOSITORY = pathlib.Path(__file__).parents[1]


def checkpoint(step: int = 7) -> Checkpoint:
    arrays = {
        "kernel": np.arange(12, dtype="float32").reshape(3, 4) / step,
        "step": np.asarray(step, "int64"),
        "flags": np.array([True, False]),
        "none": np.empty((0, 3), "float32"),
    }
    return Checkpoint(step, '{"width": 3}', '{"cpu": "fast"}', arrays)


def same(a: Checkpoint, b: Checkpoint) -> bool:
    texts = (a.step, a.configuration, a.environment) == (b.step, b.configuration, b.environment)
    arrays = a.arrays.keys() == b.arrays.keys() and all(
        a.arrays[k].dtype == b.arrays[k].dtype and np.array_equal(a.arrays[k], b.arrays[k]) for k in a.arrays
    )
    return texts and arrays


def test_what_is_written_is_read(tmp_path):
    place = checkpoints.write(tmp_path / "new", checkpoint(), keep=1)
    assert place == checkpoints.path(tmp_path / "new", 7) and place.name == "step-0000007.safetensors"
    assert same(checkpoints.read(place), checkpoint())
    header = checkpoints.read_header(place)
    assert (header.step, header.configuration, header.environment) == (7, '{"width": 3}', '{"cpu": "fast"}')
    assert header.shapes == {
        "kernel": ((3, 4), "F32"),
        "step": ((), "I64"),
        "flags": ((2,), "BOOL"),
        "none": ((0, 3), "F32"),
    }


def test_the_digest_tells_states_apart(tmp_path):
    first, again, other = (
        checkpoints.read_header(checkpoints.write(tmp_path / name, state, keep=1)).digest
        for name, state in (("a", checkpoint()), ("b", checkpoint()), ("c", checkpoint(8)))
    )
    assert first == again != other


def test_the_newest_are_kept(tmp_path):
    for step in (1, 3, 9, 12, 10_000_000):
        checkpoints.write(tmp_path, checkpoint(step), keep=3)
    assert checkpoints.steps(tmp_path) == [9, 12, 10_000_000]
    assert len(list(tmp_path.iterdir())) == 3
    # A run that went on from an earlier one: later ones, which may be damaged, do not take the place of good ones.
    checkpoints.write(tmp_path, checkpoint(11), keep=1)
    assert checkpoints.steps(tmp_path) == [11]
    assert checkpoints.steps(tmp_path / "nothing") == []


@settings(max_examples=300, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_seen(tmp_path_factory, place, bit):
    folder = tmp_path_factory.mktemp("flip")
    file = checkpoints.write(folder, checkpoint(), keep=1)
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    file.write_bytes(content)
    try:
        assert same(checkpoints.read(file), checkpoint())  # white space between two words of the header
    except InputError as error:
        assert str(file) in str(error) and "\n" not in str(error)


def test_half_a_file_is_seen(tmp_path):
    file = checkpoints.write(tmp_path, checkpoint(), keep=1)
    content = file.read_bytes()
    for length in range(len(content)):
        file.write_bytes(content[:length])
        with pytest.raises(InputError, match="is damaged or no checkpoint"):
            checkpoints.read(file)
    file.write_bytes(content + b"\0")
    with pytest.raises(InputError, match="is damaged or no checkpoint"):
        checkpoints.read(file)


def lying_header(shape: list[int], end: int) -> bytes:
    header = json.dumps({"kernel": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}).encode()
    return struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize(
    "content",
    [
        b"not a checkpoint",
        b"\x80\x04\x95" + b"cos\nsystem\n(S'false'\ntR.",  # a pickle
        safetensors.numpy.save({"a": np.zeros(3)}),
        safetensors.numpy.save({"a": np.zeros(3)}, {"format": "pt"}),
        lying_header([2**40], 2**42),
        lying_header([2**62, 2**62], 2**63),
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**33) + b"{}",
    ],
)
def test_foreign_files_are_refused(tmp_path, content):
    place = checkpoints.path(tmp_path, 1)
    place.write_bytes(content)
    for reader in (checkpoints.read, checkpoints.read_header):
        with pytest.raises(InputError, match="is damaged or no checkpoint"):
            reader(place)


def test_only_names_that_this_program_gives_count(tmp_path):
    checkpoints.write(tmp_path, checkpoint(61), keep=1)
    for name in ("step-61.safetensors", "step-00000062.safetensors", "step-٠٠٠٠٠٦٣.safetensors", "step-x.safetensors"):
        (tmp_path / name).touch()
    assert checkpoints.steps(tmp_path) == [61]
    checkpoints.write(tmp_path, checkpoint(63), keep=1)
    assert checkpoints.steps(tmp_path) == [63]


def test_a_checkpoint_under_the_name_of_another_step_is_refused(tmp_path):
    checkpoints.write(tmp_path, checkpoint(61), keep=1).rename(checkpoints.path(tmp_path, 99))
    for reader in (checkpoints.read, checkpoints.read_header):
        with pytest.raises(InputError, match=r"step-0000099.* \(it is of step 61\)"):
            reader(checkpoints.path(tmp_path, 99))


def test_missing_files_and_folders_are_told(tmp_path):
    (tmp_path / "step-0000002.safetensors").mkdir()
    for step in (1, 2):
        with pytest.raises(InputError, match="is missing"):
            checkpoints.read(checkpoints.path(tmp_path, step))
    (tmp_path / "a file").touch()
    with pytest.raises(RunError, match=r"cannot be written \(File exists\); there is no earlier one"):
        checkpoints.write(tmp_path / "a file", checkpoint(), keep=1)


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path):
    checkpoints.write(tmp_path, checkpoint(1), keep=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # the kernel stops the write in its middle
    try:
        with pytest.raises(RunError, match=r"step-0000002.* \(File too large\); the one of step 1 stands"):
            checkpoints.write(tmp_path, checkpoint(2), keep=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [file.name for file in tmp_path.iterdir()] == ["step-0000001.safetensors"]
    assert same(checkpoints.read(checkpoints.path(tmp_path, 1)), checkpoint(1))


WRITER = """
    import pathlib, sys
    import numpy as np
    from kgan import checkpoints
    assert "tensorflow" not in sys.modules and "keras" not in sys.modules
    folder = pathlib.Path(sys.argv[1])
    checkpoints.clean(folder)
    step = (checkpoints.steps(folder) or [0])[-1]
    print("writing", flush=True)
    while True:
        step += 1
        arrays = {f"w{i}": np.full(250_000, step, "float32") for i in range(8)}
        checkpoints.write(folder, checkpoints.Checkpoint(step, "{}", "{}", arrays), keep=2)
"""


def test_twenty_kills_of_the_writer(tmp_path):
    draw, kills, inside, newest = random.Random(0), 0, 0, 0
    while kills < 20 or (inside < 5 and kills < 100):
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), tmp_path],
            env={"PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout.readline() == b"writing\n"
            try:
                process.wait(draw.uniform(0.0, 0.2))
            except subprocess.TimeoutExpired:
                process.kill()
            assert process.wait() == -signal.SIGKILL
        kills += 1
        inside += any(tmp_path.glob(".step-*"))  # what the writer was at
        steps = checkpoints.steps(tmp_path)
        for step in steps:
            read = checkpoints.read(checkpoints.path(tmp_path, step))
            assert read.step == step
            assert all((array == step).all() and array.shape == (250_000,) for array in read.arrays.values())
        assert 0 <= len(steps) <= 3 and (not steps or steps[-1] >= newest)  # 3: killed before it deleted the oldest
        newest = steps[-1] if steps else 0
    assert inside >= 5
    assert newest > 20
    checkpoints.clean(tmp_path)
    assert len(list(tmp_path.iterdir())) == len(checkpoints.steps(tmp_path))
