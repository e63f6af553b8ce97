"""kgan's CycleGAN and pix2pix in PyTorch, as one would write them there, on the mirrored maps of peers_torch.py."""

import random
from collections.abc import Callable

import torch
from peers import Job
from steps_torch import Losses, Player, Step, adam, autocast, cross_entropy, frozen, least_squares, with_norms
from torch import nn
from torch.nn import functional as F  # noqa: N812, as everybody calls it

POOL, LAMBDA_CYCLE, LAMBDA_IDENTITY, LAMBDA_L1 = 50, 10.0, 0.5, 100.0


class ResidualBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        first, second = (
            [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=False), nn.InstanceNorm2d(channels)]
            for _ in range(2)
        )
        self.body = nn.Sequential(*first, nn.ReLU(inplace=True), *second)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class ResnetGenerator(nn.Module):
    def __init__(self, width: int, blocks: int):
        super().__init__()

        def normed(convolution: nn.Module, channels: int) -> list[nn.Module]:
            return [convolution, nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]

        stack = [nn.ReflectionPad2d(3), *normed(nn.Conv2d(3, width, 7, bias=False), width)]
        for c in (width, 2 * width):
            stack += normed(nn.Conv2d(c, 2 * c, 3, 2, padding=1, bias=False), 2 * c)
        stack += [ResidualBlock(4 * width) for _ in range(blocks)]
        for c in (2 * width, width):
            up = nn.ConvTranspose2d(2 * c, c, 3, 2, padding=1, output_padding=1, bias=False)
            stack += normed(up, c)
        self.stack = nn.Sequential(*stack, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.stack(x).float())


class UNet(nn.Module):
    """Activations work in place, on skips too: ReLU makes the same of x and of LeakyReLU(x)."""

    def __init__(self, width: int, levels: int):
        super().__init__()
        counts = [width * min(2**i, 8) for i in range(levels)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, c in enumerate(counts):
            leaky = [nn.LeakyReLU(0.2, inplace=True)] if i else []
            normed = 0 < i < levels - 1
            convolution = nn.Conv2d(counts[i - 1] if i else 3, c, 4, 2, padding=1, bias=not normed)
            self.down.append(nn.Sequential(*leaky, convolution, *([batch_norm(c)] if normed else [])))
        for i in reversed(range(levels - 1)):
            c, given = counts[i], counts[i + 1] * (1 if i == levels - 2 else 2)
            up = nn.ConvTranspose2d(given, c, 4, 2, padding=1, bias=False)
            dropout = [nn.Dropout(0.5)] if i >= levels - 4 else []
            self.up.append(nn.Sequential(nn.ReLU(inplace=True), up, batch_norm(c), *dropout))
        self.out = nn.Sequential(nn.ReLU(inplace=True), nn.ConvTranspose2d(2 * width, 3, 4, 2, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        skips.pop()
        for layer in self.up:
            x = torch.cat([layer(x), skips.pop()], dim=1)
        return torch.tanh(self.out(x).float())


class PatchGAN(nn.Module):
    """For patches of 70 px."""

    def __init__(self, channels: int, width: int, norm: Callable[[int], nn.Module]):
        super().__init__()
        stack = [nn.Conv2d(channels, width, 4, 2, padding=1), nn.LeakyReLU(0.2, inplace=True)]
        for c, stride in ((width, 2), (2 * width, 2), (4 * width, 1)):
            stack += [nn.Conv2d(c, 2 * c, 4, stride, padding=1, bias=False), norm(2 * c)]
            stack.append(nn.LeakyReLU(0.2, inplace=True))
        self.stack = nn.Sequential(*stack, nn.Conv2d(8 * width, 1, 4, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.stack(x).float()


def batch_norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, track_running_stats=False)  # kgan's default keeps none either


class ImagePool:
    def __init__(self):
        self.images: list[torch.Tensor] = []

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.stack([self._exchange(image) for image in batch])

    def _exchange(self, image: torch.Tensor) -> torch.Tensor:
        if len(self.images) < POOL:
            self.images.append(image.clone())
            return image
        if random.random() < 0.5:
            return image
        slot = random.randrange(POOL)
        earlier, self.images[slot] = self.images[slot], image.clone()
        return earlier


def cyclegan(job: Job, networks: dict[str, nn.Module], a: torch.Tensor, b: torch.Tensor) -> Step:
    a_to_b, b_to_a = networks["a_to_b"], networks["b_to_a"]
    d_a, d_b = networks["discriminator_a"], networks["discriminator_b"]
    generators, discriminators = (
        Player(pair, adam(pair)) for pair in (nn.ModuleList([a_to_b, b_to_a]), nn.ModuleList([d_a, d_b]))
    )
    pool_a, pool_b = ImagePool(), ImagePool()
    if not job.check:  # as they are for nearly all of a training
        pool_a.images, pool_b.images = (list(torch.rand(POOL, *a.shape[1:]) * 2 - 1) for _ in range(2))

    def step() -> Losses:
        with autocast(job), frozen(discriminators.network):
            fake_b, fake_a = a_to_b(a), b_to_a(b)
            a_to_b_loss, b_to_a_loss = least_squares(d_b(fake_b), 1.0), least_squares(d_a(fake_a), 1.0)
            cycle_a_loss, cycle_b_loss = F.l1_loss(b_to_a(fake_b), a), F.l1_loss(a_to_b(fake_a), b)
            identity_a_loss, identity_b_loss = F.l1_loss(b_to_a(a), a), F.l1_loss(a_to_b(b), b)
            loss = a_to_b_loss + b_to_a_loss + LAMBDA_CYCLE * (cycle_a_loss + cycle_b_loss)
            loss = loss + LAMBDA_CYCLE * LAMBDA_IDENTITY * (identity_a_loss + identity_b_loss)
        generators.move(loss)

        earlier_a, earlier_b = pool_a(fake_a.detach()), pool_b(fake_b.detach())
        with autocast(job):
            d_a_loss = 0.5 * (least_squares(d_a(a), 1.0) + least_squares(d_a(earlier_a), 0.0))
            d_b_loss = 0.5 * (least_squares(d_b(b), 1.0) + least_squares(d_b(earlier_b), 0.0))
            loss = d_a_loss + d_b_loss
        discriminators.move(loss)
        return {
            "a_to_b_loss": a_to_b_loss,
            "b_to_a_loss": b_to_a_loss,
            "cycle_a_loss": cycle_a_loss,
            "cycle_b_loss": cycle_b_loss,
            "identity_a_loss": identity_a_loss,
            "identity_b_loss": identity_b_loss,
            "discriminator_a_loss": d_a_loss,
            "discriminator_b_loss": d_b_loss,
        }

    modules = {"generators": generators.network, "discriminators": discriminators.network}
    return with_norms(step, modules) if job.check else step


def pix2pix(job: Job, networks: dict[str, nn.Module], x: torch.Tensor, y: torch.Tensor) -> Step:
    generator, discriminator = (Player(networks[n], adam(networks[n])) for n in ("generator", "discriminator"))

    def judge(y: torch.Tensor, real: float) -> torch.Tensor:
        return cross_entropy(discriminator.network(torch.cat([x, y], dim=1)), real)

    def step() -> Losses:
        with autocast(job):
            fake = generator.network(x)
            d_loss = 0.5 * (judge(y, 1.0) + judge(fake.detach(), 0.0))
        discriminator.move(d_loss)

        with autocast(job), frozen(discriminator.network):
            g_loss = judge(fake, 1.0)
            l1_loss = F.l1_loss(fake, y)
            loss = g_loss + LAMBDA_L1 * l1_loss
        generator.move(loss)
        return {"generator_loss": g_loss, "l1_loss": l1_loss, "discriminator_loss": d_loss}

    return with_norms(step, networks) if job.check else step


def make_networks(job: Job) -> dict[str, nn.Module]:
    if job.variant == "pix2pix":
        levels = min(8, (job.size & -job.size).bit_length() - 1)  # as often as the size can be halved
        return {"generator": UNet(job.width, levels), "discriminator": PatchGAN(6, job.width, batch_norm)}
    generators = {name: ResnetGenerator(job.width, 6 if job.size <= 128 else 9) for name in ("a_to_b", "b_to_a")}
    names = ("discriminator_a", "discriminator_b")
    return generators | {name: PatchGAN(3, job.width, nn.InstanceNorm2d) for name in names}


def make_step(job: Job, networks: dict[str, nn.Module], a: torch.Tensor, b: torch.Tensor) -> Step:
    """A step on images `[n, channels, height, width]` of both domains."""
    return {"cyclegan": cyclegan, "pix2pix": pix2pix}[job.variant](job, networks, a, b)
