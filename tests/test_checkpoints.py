import json

import numpy as np
import pytest

from kgan import checkpoints
from kgan.errors import InputError
from kgan.variants.dcgan import DCGAN

SHAPE = (16, 16, 1)  # both networks have a layer norm_8
CONFIG = {
    "variant": "dcgan",
    "seed": 3,
    "precision": "float32",
    "recipe": {"width": 2, "latent_dim": 3},
    "data": {"image_shape": [16, 16, 1]},
}


@pytest.fixture
def run(tmp_path):
    """The folder of a finished run, and its model."""
    model = DCGAN(SHAPE, width=2, latent_dim=3, seed=3)
    model.fit(np.random.default_rng(0).integers(0, 256, (8, *SHAPE), dtype=np.uint8), batch_size=4, verbose=0)
    checkpoints.save_weights(model, tmp_path / "weights.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path, model


def test_the_model_of_a_run_comes_back_exactly(run):
    folder, model = run
    again = checkpoints.load_model(folder)
    assert again.seed == 3 and int(again.step) == 2
    for v, w in zip(model.variables, again.variables, strict=True):
        np.testing.assert_array_equal(v, w, err_msg=v.path)
    np.testing.assert_array_equal(again.generate(3), model.generate(3))


def test_missing_damaged_and_foreign_files_are_told(run, tmp_path):
    folder, _ = run
    weights = folder / "weights.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="is damaged"):
        checkpoints.load_model(folder)
    weights.unlink()
    with pytest.raises(InputError, match="has not saved its weights"):
        checkpoints.load_model(folder)
    checkpoints.save_weights(DCGAN(SHAPE, width=4, latent_dim=3), weights)
    with pytest.raises(InputError, match="weights of another model"):
        checkpoints.load_model(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        checkpoints.load_model(folder)
    (folder / "config.json").write_text("[]")
    with pytest.raises(InputError, match="damaged"):
        checkpoints.load_model(folder)
    with pytest.raises(InputError, match="is no run"):
        checkpoints.load_model(folder / "nothing")
