import dataclasses
import json

import keras
import numpy as np
import psutil
import pytest

from kgan import checkpoints, configuration, state
from kgan.configuration import Configuration
from kgan.errors import InputError
from kgan.settings import Settings
from kgan.variants.base import Variant

RECIPE = {"latent_dim": 3, "width": 2, "learning_rate": 0.0002, "beta_1": 0.5, "update": "alternating"}
DATA = {"digest": "sha256:ab", "image_shape": [16, 16, 1]}  # both networks have a layer norm_8
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 1), dtype=np.uint8)


def config(**recipe) -> Configuration:
    settings = Settings(variant="dcgan", seed=3, precision="float32", jit="off")
    return Configuration(settings, {**RECIPE, **recipe}, DATA)


def trained(settings: Configuration) -> Variant:
    """A model after two steps."""
    keras.utils.set_random_seed(1)
    model = state.build(settings)
    model.fit(IMAGES, batch_size=4, verbose=0)
    return model


@pytest.fixture
def run(tmp_path):
    """The folder of a run that was stopped after two steps, and its model."""
    model = trained(config())
    config().write(tmp_path)
    state.save(model, tmp_path, config(), keep=2)
    return tmp_path, model


def equal(model: Variant, other: Variant) -> None:
    for v, w in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(v, w, err_msg=v.path)


def test_the_model_of_a_run_comes_back_exactly(run):
    folder, model = run
    again = state.load_model(folder)
    assert again.seed == 3 and int(again.step) == 2
    equal(model, again)
    np.testing.assert_array_equal(again.generate(3), model.generate(3))


def test_a_checkpoint_is_all_that_the_next_step_depends_on(run):
    folder, model = run
    keras.utils.set_random_seed(2)
    again = state.build(config())
    again.compile()
    checkpoint, notes = state.restore_newest(again, folder, config())
    assert checkpoint.step == 2 and notes == []
    for twin in (model, again):
        twin.train_on_batch(IMAGES[:4])
    equal(model, again)
    for player in model.optimizers:
        for v, w in zip(model.optimizers[player].variables, again.optimizers[player].variables, strict=True):
            np.testing.assert_array_equal(v, w, err_msg=v.path)
    for name in model.measures:
        assert float(model.trackers[name].result()) == float(again.trackers[name].result())


def test_checkpoints_are_chosen_by_their_step(run):
    folder, model = run
    model.fit(IMAGES, batch_size=8, verbose=0)
    state.save(model, folder, config(), keep=2)
    assert int(state.load_model(folder).step) == 3
    assert int(state.load_model(folder, "2").step) == 2
    for wrong in ("7", "first", "-1", "2.0"):
        with pytest.raises(InputError, match=f"--checkpoint: got '{wrong}', expected last, best or one of 2, 3"):
            state.load_model(folder, wrong)


def test_the_earlier_checkpoint_is_taken_where_the_newest_is_damaged(run):
    folder, model = run
    model.fit(IMAGES, batch_size=8, verbose=0)
    newest = state.save(model, folder, config(), keep=2)
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    with pytest.raises(InputError, match=r"step-0000003\.safetensors is damaged"):
        state.load_model(folder)
    assert int(state.load_model(folder, "2").step) == 2
    again = state.build(config())
    again.compile()
    checkpoint, notes = state.restore_newest(again, folder, config())
    assert checkpoint.step == int(again.step) == 2
    (note,) = notes
    assert "step-0000003.safetensors is damaged" in note
    checkpoints.path(folder / "checkpoints", 2).write_bytes(b"")
    with pytest.raises(InputError, match=r"no checkpoint of .* can be used.*0003.*0002"):
        state.restore_newest(again, folder, config())


def test_checkpoints_of_other_runs_are_refused(run):
    folder, _ = run
    place = state.find(folder, "last")
    config(width=4).write(folder)
    with pytest.raises(InputError, match="another configuration than the"):
        state.load_model(folder)
    # Another model under the same configuration, as after a change of the program.
    config().write(folder)
    other = trained(config(width=4))
    state.save(other, folder, config(), keep=2)
    with pytest.raises(InputError, match=r"does not fit the run \(it has .* where the model has model/0002/project"):
        state.load_model(folder)
    model = state.build(config())
    model.compile()
    with pytest.raises(InputError, match="does not fit the run"):
        state.restore(model, place, config())


def test_a_step_that_the_optimizers_do_not_agree_with_is_refused(run):
    folder, model = run
    model.optimizers["generator"].iterations.assign(5)
    place = state.save(model, folder, config(), keep=2)
    with pytest.raises(InputError, match="of 2 steps, but its optimizer of the generator has made 5 updates"):
        state.restore(model, place, config())


def test_numbers_beside_those_of_the_model_are_not_read(run):
    folder, _ = run
    place = state.find(folder, "last")
    read = checkpoints.read(place)
    extra = dataclasses.replace(read, arrays=read.arrays | {"optimizers/x": np.zeros(10**6, "uint8")})
    checkpoints.write(folder / "checkpoints", extra, keep=1)
    with pytest.raises(InputError, match="far more numbers than the model and its optimizers"):
        state.load_model(folder)


@pytest.mark.parametrize("text", ["[]", "3", "x", "[" * 10_000])
def test_an_environment_that_is_none_is_refused(run, text):
    folder, _ = run
    place = state.find(folder, "last")
    checkpoints.write(folder / "checkpoints", dataclasses.replace(checkpoints.read(place), environment=text), keep=1)
    with pytest.raises(InputError, match="does not fit the run"):
        state.load_model(folder)


@pytest.mark.parametrize("width", [10**6, 10**9, 10**30])
def test_absurd_shapes_take_no_memory(run, width):
    folder, _ = run
    before = psutil.Process().memory_info().rss
    with pytest.raises(InputError, match=r"the networks would take .* GiB; there are|no model can be built"):
        state.build(config(width=width))
    absurd = config(width=width)
    absurd.write(folder)
    with pytest.raises(InputError):
        state.load_model(folder)
    assert psutil.Process().memory_info().rss - before < 200 * 2**20


def test_the_shapes_of_a_model_are_known_before_it_is_made():
    shapes = state.shapes_of(config())
    model = state.build(config())
    assert list(shapes.values()) == [(tuple(v.shape), v.dtype) for v in model.variables]


def test_another_precision_does_not_stay(run):
    policy = keras.config.dtype_policy()
    bf16 = dataclasses.replace(config(), settings=dataclasses.replace(config().settings, precision="mixed_bfloat16"))
    assert state.build(bf16).generator.layers[1].compute_dtype == "bfloat16"
    assert keras.config.dtype_policy() is policy


def test_a_folder_without_a_run_or_checkpoint(tmp_path):
    with pytest.raises(InputError, match="has no config"):
        state.load_model(tmp_path)
    config().write(tmp_path)
    with pytest.raises(InputError, match="has no checkpoint"):
        state.load_model(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["digest"] == configuration.load(tmp_path).digest
