"""What the steps of PyTorch's side of peers.py are written with: optimizers, precision, losses of logits."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator

import torch
from peers import Job
from torch import nn
from torch.nn import functional as F  # noqa: N812, as everybody calls it

Losses = dict[str, torch.Tensor]
Step = Callable[[], Losses]
Course = Callable[[int], dict[str, float]]  # an optimizer's settings, by the number of updates before


@dataclasses.dataclass
class Player:
    """Networks, what moves them, and what changes of it from update to update."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    course: Course = lambda update: {}
    updates: int = 0

    def move(self, loss: torch.Tensor) -> None:
        self.optimizer.param_groups[0].update(self.course(self.updates))
        self.updates += 1
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def adam(module: nn.Module, rate: float = 0.0002, beta_1: float = 0.5, beta_2: float = 0.999) -> torch.optim.Optimizer:
    # Keras adds its epsilon of 1e-7 before the bias is corrected: of the first step that is this in PyTorch's terms.
    epsilon = 1e-7 / math.sqrt(1 - beta_2)
    # Fused: one pass over the weights, where the default makes one for each operation.
    return torch.optim.Adam(module.parameters(), lr=rate, betas=(beta_1, beta_2), eps=epsilon, fused=True)


def autocast(job: Job) -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=job.precision == "bfloat16")


@contextlib.contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """What is computed inside the block asks for no gradients of this network's weights."""
    network.requires_grad_(False)
    yield
    network.requires_grad_(True)


def cross_entropy(logits: torch.Tensor, target: float) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def least_squares(logits: torch.Tensor, target: float) -> torch.Tensor:
    return F.mse_loss(logits, torch.full_like(logits, target))


def with_norms(step: Step, modules: dict[str, nn.Module]) -> Step:
    """Adds the norms of the gradients that a step leaves behind."""

    def norm(module: nn.Module) -> torch.Tensor:
        return torch.cat([p.grad.flatten() for p in module.parameters()]).norm()

    return lambda: step() | {f"{name}_gradient_norm": norm(module) for name, module in modules.items()}
