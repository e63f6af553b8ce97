"""Steps of kgan's systems that make images from latents, as one would write them in PyTorch.

A spectrally normalised layer of PyTorch makes a power iteration at each forward pass in training; kgan makes one for
each update of the discriminator, as the paper's algorithm does. PyTorch's SGD keeps the learning rate out of the
velocity, kgan's has it inside: the same while the rate stays, which falls by 0.004 % or less from step to step.
"""

from functools import partial

import latent_networks_torch
import numpy as np
import torch
from peers import SQUARES, Job
from steps_torch import Course, Losses, Player, Step, adam, autocast, cross_entropy, frozen, least_squares, with_norms
from torch import nn
from torch.nn import functional as F  # noqa: N812, as everybody calls it

CLIP, LAMBDA_GP, TOTAL_STEPS = 0.01, 10.0, 100_000
BOUNDS = {"gan": 3**0.5, "cgan": 3**0.5, "dcgan": 1.0, "lsgan": 1.0}  # of uniform latents; the others' are normal
LATENTS = {"wgan-gp": 128, "sngan": 128, "projection": 128}  # 100 elsewhere


class Draws:
    """Random numbers of a step. Where both sides must draw the same they are kgan's, which were handed over."""

    def __init__(self, job: Job, handed: dict[str, np.ndarray]):
        self.shape, self.bound = (job.batch, latent_dim(job)), BOUNDS.get(job.variant)
        names = ("latents", "epsilon") if job.check else ()
        self.handed = {name: iter(torch.from_numpy(handed[name])) for name in names}

    def latents(self) -> torch.Tensor:
        if self.handed:
            return next(self.handed["latents"])
        return torch.empty(self.shape).uniform_(-self.bound, self.bound) if self.bound else torch.randn(self.shape)

    def epsilon(self) -> torch.Tensor:
        """The real share of points between real and generated images."""
        return next(self.handed["epsilon"]) if self.handed else torch.rand(self.shape[0], 1, 1, 1)


class System:
    """The discriminator is updated on fresh rows and fresh fakes in each round, then the generator on fresh fakes."""

    def __init__(self, job: Job, networks: dict[str, nn.Module], draws: Draws):
        self.job, self.draws = job, draws
        self.discriminate, self.generate = networks.values()
        self.discriminator, self.generator = players(job, self.discriminate, self.generate)
        self.d_loss, self.g_loss = LOSSES[job.variant]

    def step(self, images: torch.Tensor, *labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rounds = (tensor.split(self.job.batch) for tensor in (images, *labels))
        for real, *told in zip(*rounds, strict=True):
            with autocast(self.job):
                with torch.no_grad():
                    fake = self.generate(self.draws.latents(), *told)
                d_loss = self.discriminator_loss(real, fake, *told)
            self.move_discriminator(d_loss)
        with autocast(self.job), frozen(self.discriminate):
            g_loss = self.generator_loss(self.generate(self.draws.latents(), *told), *told)
        self.generator.move(g_loss)
        return d_loss, g_loss

    def discriminator_loss(self, real: torch.Tensor, fake: torch.Tensor, *told: torch.Tensor) -> torch.Tensor:
        return self.d_loss(self.discriminate(real, *told), self.discriminate(fake, *told))

    def generator_loss(self, fake: torch.Tensor, *told: torch.Tensor) -> torch.Tensor:
        return self.g_loss(self.discriminate(fake, *told))

    def move_discriminator(self, loss: torch.Tensor) -> None:
        self.discriminator.move(loss)


class Shared(System):
    """The generator is updated on the fakes that the discriminator has seen."""

    def step(self, real: torch.Tensor, *told: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with autocast(self.job):
            fake = self.generate(self.draws.latents(), *told)
            d_loss = self.discriminator_loss(real, fake.detach(), *told)
        self.move_discriminator(d_loss)
        with autocast(self.job), frozen(self.discriminate):
            g_loss = self.generator_loss(fake, *told)
        self.generator.move(g_loss)
        return d_loss, g_loss


class Classified(Shared):
    """AC-GAN: the discriminator is not told the class but tells it."""

    def discriminator_loss(self, real: torch.Tensor, fake: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        (real_logits, real_classes), (fake_logits, fake_classes) = self.discriminate(real), self.discriminate(fake)
        of_class = F.cross_entropy(real_classes, told) + F.cross_entropy(fake_classes, told)
        return self.d_loss(real_logits, fake_logits) + of_class

    def generator_loss(self, fake: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        logits, classes = self.discriminate(fake)
        return self.g_loss(logits) + F.cross_entropy(classes, told)


class Clipped(System):
    def move_discriminator(self, loss: torch.Tensor) -> None:
        super().move_discriminator(loss)
        with torch.no_grad():
            for parameter in self.discriminate.parameters():
                parameter.clamp_(-CLIP, CLIP)


class Penalised(System):
    def discriminator_loss(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return super().discriminator_loss(real, fake) + LAMBDA_GP * self.penalty(real, fake)

    def penalty(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        points = torch.lerp(fake, real, self.draws.epsilon()).requires_grad_()
        (gradient,) = torch.autograd.grad(self.discriminate(points).sum(), points, create_graph=True)
        return ((gradient.float().flatten(1).norm(dim=1) - 1.0) ** 2).mean()


SYSTEMS = {"dcgan": Shared, "lsgan": Shared, "acgan": Classified, "wgan": Clipped, "wgan-gp": Penalised}


def minimax(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    return cross_entropy(real, 1.0) + cross_entropy(fake, 0.0)


def non_saturating(fake: torch.Tensor) -> torch.Tensor:
    return cross_entropy(fake, 1.0)


def squares(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    return least_squares(real, 1.0) + least_squares(fake, 0.0)


def squares_of_generator(fake: torch.Tensor) -> torch.Tensor:
    return least_squares(fake, 1.0)


def wasserstein(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    return fake.mean() - real.mean()


def hinge(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    return F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()


def negated(fake: torch.Tensor) -> torch.Tensor:
    return -fake.mean()


# Of the discriminator, given logits of real and generated images; of the generator, given those of its own.
LOSSES = {
    **dict.fromkeys(("gan", "cgan", "dcgan", "acgan"), (minimax, non_saturating)),
    "lsgan": (squares, squares_of_generator),
    **dict.fromkeys(("wgan", "wgan-gp"), (wasserstein, negated)),
    **dict.fromkeys(("sngan", "projection"), (hinge, negated)),
}


def players(job: Job, discriminator: nn.Module, generator: nn.Module) -> tuple[Player, Player]:
    if job.variant in ("gan", "cgan"):
        rate, decay = (0.05, 1.000004) if job.variant == "gan" else (0.1, 1.00004)
        return descent(discriminator, rate, decay), descent(generator, 0.1, decay)
    if job.variant in ("sngan", "projection"):
        updates = {discriminator: TOTAL_STEPS * job.rounds, generator: TOTAL_STEPS}
        return tuple(Player(n, adam(n, 0.0002, 0.0, 0.9), falling(0.0002, steps)) for n, steps in updates.items())
    if job.variant == "wgan":
        optimizer = partial(rmsprop, job)
    else:
        optimizer = partial(adam, rate=0.0001, beta_1=0.0, beta_2=0.9) if job.variant == "wgan-gp" else adam
    return tuple(Player(network, optimizer(network)) for network in (discriminator, generator))


def rmsprop(job: Job, network: nn.Module) -> torch.optim.Optimizer:
    # kgan's epsilon of 1e-16 is in the root, where it counts for less than 1e-8 does outside.
    optimizer = torch.optim.RMSprop(network.parameters(), lr=0.00005, alpha=0.99, eps=1e-10)
    for parameter in network.parameters() if job.check else ():
        optimizer.state[parameter] = {"step": torch.zeros(()), "square_avg": torch.full_like(parameter, SQUARES)}
    return optimizer


def descent(network: nn.Module, rate: float, decay: float) -> Player:
    """Gradient descent whose learning rate falls and whose momentum grows."""

    def course(update: int) -> dict[str, float]:
        momentum = 0.5 + 0.2 * min(update / 125_000, 1.0)
        return {"lr": max(rate / decay**update, 0.000001), "momentum": momentum}

    return Player(network, torch.optim.SGD(network.parameters(), lr=rate, momentum=0.5, fused=True), course)


def falling(rate: float, updates: int) -> Course:
    return lambda update: {"lr": rate * max(0.0, 1.0 - update / updates)}


def latent_dim(job: Job) -> int:
    return LATENTS.get(job.variant, 100)


def make_networks(job: Job) -> dict[str, nn.Module]:
    return latent_networks_torch.make_networks(job, latent_dim(job))


def make_step(job: Job, networks: dict[str, nn.Module], data: list[torch.Tensor], draws: Draws) -> Step:
    """A step on images `[n, channels, height, width]` and, where a system is told them, labels `[n]`."""
    system = SYSTEMS.get(job.variant, System)(job, networks, draws)
    names = ("critic" if job.variant in ("wgan", "wgan-gp") else "discriminator", "generator")

    def step() -> Losses:
        return {f"{name}_loss": loss for name, loss in zip(names, system.step(*data), strict=True)}

    return with_norms(step, dict(zip(names, networks.values(), strict=True))) if job.check else step
