"""PyTorch's side of peers.py: networks with kgan's weights, and the step of a system.

Keras' "same" puts the odd row of padding at the end, that of PyTorch's plain layers comes at the start (and so for
what a transposed convolution cuts). So all maps are mirrored here: on mirrored images, with mirrored weights, they
compute what kgan's do, and no time goes into padding and cropping by hand.
"""

import math
from collections.abc import Iterator

import latent_torch
import numpy as np
import torch
import translation_torch
from latent_networks_torch import Map, OfMap, ToMap
from peers import Job
from steps_torch import Step
from torch import nn
from torch.nn import functional as F  # noqa: N812, as everybody calls it
from torch.nn.utils import parametrize


def build(job: Job, handed: dict[str, np.ndarray], data: tuple[np.ndarray, ...]) -> tuple[dict[str, int], Step]:
    """Parameters of each network, and one training step.

    Args:
        job: what is to be done.
        handed: kgan's weights, and what else both sides must have in common.
        data: images `[n, height, width, channels]` of each domain, or images and labels `[n]`.
    """
    networks = (translation_torch if job.translates else latent_torch).make_networks(job)
    layout = getattr(torch, job.layout)
    for name, network in networks.items():
        fill(network, *(given(handed, f"{name}/{kind}/") for kind in ("weights", "directions")))
        network.to(memory_format=layout)
        if job.check:  # the two sides draw other masks
            network.apply(lambda module: isinstance(module, nn.Dropout) and setattr(module, "p", 0.0))
    counts = {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}
    tensors = [tensor(array, layout) for array in data]
    if job.translates:
        return counts, translation_torch.make_step(job, networks, *tensors)
    return counts, latent_torch.make_step(job, networks, tensors, latent_torch.Draws(job, handed))


def given(handed: dict[str, np.ndarray], prefix: str) -> Iterator[torch.Tensor]:
    return (torch.from_numpy(value) for key, value in handed.items() if key.startswith(prefix))


def tensor(array: np.ndarray, layout: torch.memory_format) -> torch.Tensor:
    """Of images, mirrored, or of labels."""
    if array.ndim == 1:
        return torch.from_numpy(array)
    return torch.from_numpy(array).flip(1, 2).permute(0, 3, 1, 2).contiguous(memory_format=layout)


@torch.no_grad()
def fill(network: nn.Module, weights: Iterator[torch.Tensor], directions: Iterator[torch.Tensor]) -> None:
    """Gives a network kgan's weights, and its spectral norms kgan's singular vectors: layers have kgan's order."""
    for module in network.modules():
        for name, parameter in parameters(module).items():
            parameter.copy_(converted(module, name, next(weights)))
        if parametrize.is_parametrized(module):
            point(module, next(directions))


def parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """A layer's own, those of its parts left out."""
    found = dict(module.named_parameters(recurse=False))
    if parametrize.is_parametrized(module):
        found["weight"] = module.parametrizations.weight.original
    return {name: found[name] for name in ("weight", "bias") if name in found}


def converted(module: nn.Module, name: str, value: torch.Tensor) -> torch.Tensor:
    """kgan's weight of a layer, in PyTorch's order and mirrored."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and name == "weight":
        return value.flip(0, 1).permute(3, 2, 0, 1)
    if isinstance(module, ToMap):
        value = value[..., places(module.shape)]
    if isinstance(module, OfMap) and name == "weight":
        value = value[places(module.shape)]
    return value.T if isinstance(module, nn.Linear) and name == "weight" else value


def places(shape: Map) -> torch.Tensor:
    """Where kgan's flattened maps have what is in the flattened maps here."""
    channels, height, width = shape
    return torch.arange(math.prod(shape)).reshape(height, width, channels).flip(0, 1).permute(2, 0, 1).flatten()


def point(module: nn.Module, u: torch.Tensor) -> None:
    """Gives a spectral norm kgan's left singular vector; an embedding's matrix is transposed there."""
    norm, matrix = module.parametrizations.weight[0], module.parametrizations.weight.original.flatten(1)
    if isinstance(module, nn.Embedding):
        norm._v.copy_(u), norm._u.copy_(F.normalize(matrix @ u, dim=0))
    else:
        norm._u.copy_(u), norm._v.copy_(F.normalize(matrix.T @ u, dim=0))
