"""The smallest runs of each variant."""

import numpy as np

from kgan import variants
from kgan.settings import Settings

# One variant of each kind of input: latents, latents and labels, pictures, pictures with draws. What depends on
# nothing else about a variant is tested on these.
OF_EACH_KIND = ("gan", "cgan", "cyclegan", "pix2pix")

_SMALL = {"width": 10, "latent_dim": 6, "blocks": 1, "patch": 16, "pool": 8, "n_critic": 1}


def recipe(variant: str, **others) -> dict[str, object]:
    """Hyper-parameters of a model that takes no time, for images from 8 pixels on."""
    loaded = variants.load(variant)
    known = variants.recipe(loaded)
    network = {name: value for name, value in loaded.small.items() if name == "network"}
    return {name: value for name, value in {**_SMALL, **network, **others}.items() if name in known}


def settings(variant: str, **others) -> Settings:
    """Settings of a run of few steps on the data that come with the program."""
    short = {"image_size": 8, "steps": 3, "batch_size": 8, "log_every": 1, "precision": "float32", "jit": "off"}
    return Settings(**{"variant": variant, **short, **others})


def lively(model):
    """A system that translates, its weights scaled so that all parts of it show in a picture of all levels.

    With the initial ones of 0.02 what is deep inside makes no difference of a level.
    """
    for network in model.directions.values():
        for v in network.trainable_variables:
            if v.path.endswith("kernel"):
                v.assign(v * (75.0 / np.sqrt(np.prod(v.shape[:3]))))
    return model


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """A picture with slopes, so that its parts have other means than the whole, and grain: uint8."""
    y, x, c = np.mgrid[:height, :width, :channels]
    slopes = 160 * (c == 0) * y / height + 160 * (c > 0) * x / width + 40 * np.sin(x / 7 + y / 5 + c)
    grain = np.random.default_rng(seed).integers(0, 80, slopes.shape)
    return np.clip(slopes + grain, 0, 255).astype(np.uint8)
