"""The networks of kgan's systems that make images from latents, in PyTorch, on the mirrored maps of peers_torch.py.

Layers are in the order of kgan's weights. Generators take latents `[batch, dim]`, those that are told a class labels
`[batch]` too, and make float32 images; discriminators give float32 logits `[batch, 1]`.
"""

import itertools
import math

import torch
from peers import CLASSES, Job
from torch import nn
from torch.nn import functional as F  # noqa: N812, as everybody calls it
from torch.nn.utils.parametrizations import spectral_norm

Map = tuple[int, int, int]  # channels, height, width
UNIFORM, WIDEST, HALVINGS = 32, 16, 2  # of the residual networks, as in kgan.networks.resnet


class ToMap(nn.Linear):
    """A linear layer whose outputs are a map."""

    def __init__(self, features: int, shape: Map, bias: bool = True):
        super().__init__(features, math.prod(shape), bias)
        self.shape = shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).unflatten(1, self.shape)


class OfMap(nn.Linear):
    """A linear layer whose inputs are a map."""

    def __init__(self, shape: Map, features: int, bias: bool = True):
        super().__init__(math.prod(shape), features, bias)
        self.shape = shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.flatten(1))


class Maxout(nn.Module):
    def __init__(self, linear: nn.Linear, pieces: int):
        super().__init__()
        self.linear, self.pieces = linear, pieces

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).unflatten(1, (self.pieces, -1)).amax(1)


class Perceptron(nn.Sequential):
    """The generator of GAN."""

    def __init__(self, latents: int, width: int, image: Map):
        layers = [nn.Linear(latents, width), nn.ReLU(inplace=True), nn.Linear(width, width), nn.ReLU(inplace=True)]
        super().__init__(*layers, ToMap(width, image))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return 2.0 * torch.sigmoid(super().forward(z).float()) - 1.0


class MaxoutDiscriminator(nn.Sequential):
    def __init__(self, units: int, image: Map):
        layers = [nn.Dropout(0.2), Maxout(OfMap(image, 5 * units), 5)]
        layers += [nn.Dropout(0.5), Maxout(nn.Linear(units, 5 * units), 5), nn.Dropout(0.5), nn.Linear(units, 1)]
        super().__init__(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(0.5 * x + 0.5).float()


class ToldPerceptron(nn.Module):
    """The generator of CGAN."""

    def __init__(self, latents: int, width: int, image: Map):
        super().__init__()
        of_latents, of_class = max(1, width // 6), max(1, width * 5 // 6)
        self.of_latents, self.of_class = nn.Linear(latents, of_latents), nn.Linear(CLASSES, of_class)
        self.joint, self.image = nn.Linear(of_latents + of_class, width), ToMap(width, image)

    def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        told = torch.cat([self.of_latents(z), self.of_class(one_hot(labels))], dim=1)
        return 2.0 * torch.sigmoid(self.image(F.relu(self.joint(F.relu(told)))).float()) - 1.0


class ToldMaxoutDiscriminator(nn.Module):
    def __init__(self, units: int, image: Map):
        super().__init__()
        of_class = max(1, units * 50 // 240)
        self.of_image = nn.Sequential(Maxout(OfMap(image, 5 * units), 5), nn.Dropout(0.5))
        self.of_class = nn.Sequential(Maxout(nn.Linear(CLASSES, 5 * of_class), 5), nn.Dropout(0.5))
        self.joint = nn.Sequential(Maxout(nn.Linear(units + of_class, 4 * units), 4), nn.Dropout(0.5))
        self.logits = nn.Linear(units, 1)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        told = torch.cat([self.of_image(0.5 * x + 0.5), self.of_class(one_hot(labels))], dim=1)
        return self.logits(self.joint(told)).float()


class Generator(nn.Sequential):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.tanh(super().forward(z).float())


class ToldGenerator(Generator):
    """Of AC-GAN: the class is appended to the latent."""

    def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return super().forward(torch.cat([z, one_hot(labels)], dim=1))


class Discriminator(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).float()


class Classifier(nn.Module):
    """The discriminator of AC-GAN, which gives class logits too."""

    def __init__(self, features: nn.Module, shape: Map):
        super().__init__()
        self.features, self.logits, self.classes = features, OfMap(shape, 1), OfMap(shape, CLASSES)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.features(x)
        return self.logits(x).float(), self.classes(x).float()


class ConditionalBatchNorm(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale, self.shift = nn.Embedding(CLASSES, channels), nn.Embedding(CLASSES, channels)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        scale, shift = (table(labels)[:, :, None, None].to(x.dtype) for table in (self.scale, self.shift))
        return torch.addcmul(shift, self.norm(x), scale)


class GrowingBlock(nn.Module):
    def __init__(self, given: int, channels: int, told: bool):
        super().__init__()
        self.norm_1, self.convolution_1 = batch_norm(given, told), nn.Conv2d(given, channels, 3, padding=1, bias=False)
        self.norm_2, self.shortcut = batch_norm(channels, told), nn.Conv2d(given, channels, 1, bias=False)
        self.convolution_2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, x: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        y = self.convolution_1(F.relu(self.norm_1(x, *labels), inplace=True))
        y = self.convolution_2(self.up(F.relu(self.norm_2(y, *labels), inplace=True)))
        return self.up(self.shortcut(x)) + y


class ResidualGenerator(nn.Module):
    def __init__(self, latents: int, width: int, image: Map, told: bool):
        super().__init__()
        start = image[1]
        while start > 7:
            start //= 2
        doublings = (image[1] // start).bit_length() - 1
        counts = [width * (1 if image[1] <= UNIFORM else min(2**i, WIDEST)) for i in range(doublings, -1, -1)]
        self.project = ToMap(latents, (counts[0], start, start))
        self.blocks = nn.ModuleList([GrowingBlock(*pair, told) for pair in itertools.pairwise(counts)])
        self.norm, self.out = batch_norm(width, told), nn.Conv2d(width, image[0], 3, padding=1)

    def forward(self, z: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        x = self.project(z)
        for block in self.blocks:
            x = block(x, *labels)
        return torch.tanh(self.out(F.relu(self.norm(x, *labels), inplace=True)).float())


class ShrinkingBlock(nn.Module):
    def __init__(self, given: int, channels: int, halves: bool, is_first: bool, spectral: bool):
        super().__init__()
        hidden = channels if is_first else given
        self.convolution_1 = normed(nn.Conv2d(given, hidden, 3, padding=1), spectral)
        self.convolution_2 = normed(nn.Conv2d(hidden, channels, 3, padding=1), spectral)
        plain = not halves and given == channels
        self.shortcut = nn.Identity() if plain else normed(nn.Conv2d(given, channels, 1), spectral)
        self.pool = nn.AvgPool2d(2) if halves else nn.Identity()
        self.is_first = is_first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.convolution_1(x if self.is_first else F.relu(x))
        y = self.convolution_2(F.relu(y, inplace=True))
        return self.shortcut(self.pool(x)) + self.pool(y)


class ResidualFeatures(nn.Sequential):
    """The blocks of a critic or a discriminator. `width` is that of the first, `channels` of the last."""

    def __init__(self, image: Map, width: int, spectral: bool):
        plan = shrinking_plan(image[1], width)
        counts = [image[0], *(channels for channels, _ in plan)]
        blocks = [ShrinkingBlock(counts[i], *pair, i == 0, spectral) for i, pair in enumerate(plan)]
        super().__init__(*blocks, nn.ReLU(inplace=True))
        self.channels = counts[-1]


class ResidualCritic(nn.Module):
    def __init__(self, image: Map, width: int):
        super().__init__()
        self.features = ResidualFeatures(image, width, spectral=False)
        self.values = nn.Linear(self.features.channels, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.values(self.features(x).float().mean((2, 3))).float()


class ResidualDiscriminator(nn.Module):
    def __init__(self, image: Map, width: int, told: bool):
        super().__init__()
        self.features = ResidualFeatures(image, width, spectral=True)
        self.embed = spectral_norm(nn.Embedding(CLASSES, self.features.channels)) if told else None
        self.logits = spectral_norm(nn.Linear(self.features.channels, 1))

    def forward(self, x: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        x = self.features(x).float().sum((2, 3))
        logits = self.logits(x).float()
        return logits + (self.embed(*labels) * x).sum(1, keepdim=True) if labels else logits


def shrinking_plan(size: int, width: int) -> list[tuple[int, bool]]:
    """Channels of each block and whether it halves the sides."""
    if size <= UNIFORM:
        return [(width, i < HALVINGS) for i in range(HALVINGS + 2)]
    plan = []
    while size > 4 and size % 2 == 0:
        plan.append((min(2 ** len(plan), WIDEST) * width, True))
        size //= 2
    return [*plan, (min(2 ** len(plan), WIDEST) * width, False)]


def dcgan_generator(latents: int, width: int, image: Map) -> nn.Module:
    lengths = sides(image[1])
    counts = [image[0], *(width * 2**i for i in range(len(lengths) - 1))]
    stack = [ToMap(latents, (counts[-1], lengths[-1], lengths[-1]), bias=False)]
    for i in range(len(lengths) - 1, 0, -1):
        stack += [nn.BatchNorm2d(counts[i]), nn.ReLU(inplace=True)]
        stack += grow(counts[i], counts[i - 1], lengths[i - 1], bias=i == 1)
    return Generator(*stack)


def dcgan_discriminator(width: int, image: Map, has_norms: bool = True, output_bias: bool = True) -> nn.Module:
    lengths = sides(image[1])
    stack, given = [], image[0]
    for i in range(len(lengths) - 1):
        bare = i == 0 or not has_norms
        count = width * 2**i
        stack.append(nn.Conv2d(given, count, 5, 2, padding=2, bias=bare))
        stack += (
            [nn.LeakyReLU(0.2, inplace=True)] if bare else [nn.BatchNorm2d(count), nn.LeakyReLU(0.2, inplace=True)]
        )
        given = count
    return Discriminator(*stack, OfMap((given, lengths[-1], lengths[-1]), 1, bias=output_bias))


def acgan_generator(latents: int, width: int, image: Map) -> nn.Module:
    lengths = sides(image[1])
    stack = [ToMap(latents + CLASSES, (width, lengths[-1], lengths[-1])), nn.ReLU(inplace=True)]
    given = width
    for i, side in enumerate(lengths[-2:0:-1], start=1):
        count = max(1, width // 2**i)
        stack += [*grow(given, count, side, bias=False), nn.BatchNorm2d(count), nn.ReLU(inplace=True)]
        given = count
    return ToldGenerator(*stack, *grow(given, image[0], image[1], bias=True))


def acgan_discriminator(width: int, image: Map) -> nn.Module:
    stack, given, side = [], image[0], image[1]
    for i in range(2 * math.ceil(math.log2(side / 4))):
        stride = 1 if i % 2 else 2
        side, count = -(-side // stride), width * min(2**i, 32)
        stack.append(nn.Conv2d(given, count, 3, stride, padding=1, bias=i == 0))
        stack += [nn.BatchNorm2d(count)] if i else []
        stack += [nn.LeakyReLU(0.2, inplace=True), nn.Dropout(0.5)]
        given = count
    return Classifier(nn.Sequential(*stack), (given, side, side))


def cnn_generator(latents: int, width: int, image: Map) -> nn.Module:
    lengths = [-(-image[1] // 2**i) for i in range(4)]
    stack = [ToMap(latents, (8 * width, lengths[-1], lengths[-1]))]
    for i, side in zip((4, 2, 1), lengths[-2::-1], strict=True):
        odd = side % 2
        up = nn.ConvTranspose2d(2 * i * width, i * width, 4, 2, padding=1 + odd, output_padding=odd, bias=False)
        stack += [up, nn.BatchNorm2d(i * width), nn.ReLU(inplace=True)]
    return Generator(*stack, nn.Conv2d(width, image[0], 3, padding=1))


def cnn_discriminator(width: int, image: Map) -> nn.Module:
    stack, given, side = [], image[0], image[1]
    for i in (1, 2, 4):
        stack += [spectral_norm(nn.Conv2d(given, i * width, 3, padding=1)), nn.LeakyReLU(0.1, inplace=True)]
        down = nn.Conv2d(i * width, i * width, 4, 2, padding=1 + side % 2)
        stack += [spectral_norm(down), nn.LeakyReLU(0.1, inplace=True)]
        given, side = i * width, -(-side // 2)
    stack += [spectral_norm(nn.Conv2d(given, 8 * width, 3, padding=1)), nn.LeakyReLU(0.1, inplace=True)]
    return Discriminator(*stack, spectral_norm(OfMap((8 * width, side, side), 1)))


def sides(size: int) -> list[int]:
    """From the image's down to the smallest map's: 28, 14, 7."""
    lengths = [size]
    while lengths[-1] > 7:
        lengths.append(-(-lengths[-1] // 2))
    return lengths


def grow(given: int, channels: int, side: int, bias: bool) -> list[nn.Module]:
    """Twice the side, or one less: kgan leaves the last row out, here that is the first."""
    up = nn.ConvTranspose2d(given, channels, 5, 2, padding=2, output_padding=1, bias=bias)
    return [up, nn.ZeroPad2d((-1, 0, -1, 0))] if side % 2 else [up]


def batch_norm(channels: int, told: bool) -> nn.Module:
    return ConditionalBatchNorm(channels) if told else nn.BatchNorm2d(channels)


def normed(convolution: nn.Conv2d, spectral: bool) -> nn.Module:
    return spectral_norm(convolution) if spectral else convolution


def one_hot(labels: torch.Tensor) -> torch.Tensor:
    return F.one_hot(labels, CLASSES).float()


def make_networks(job: Job, latents: int) -> dict[str, nn.Module]:
    width, image = job.width, (job.channels, job.size, job.size)
    is_small = job.size <= UNIFORM  # the widths of residual networks are in multiples then
    of_discriminator, of_generator = (2 * width, 4 * width) if is_small else (width, width)

    def dcgan(**options: bool) -> tuple[nn.Module, nn.Module]:
        return dcgan_discriminator(width, image, **options), dcgan_generator(latents, width, image)

    def residual(told: bool) -> tuple[nn.Module, nn.Module]:
        generator = ResidualGenerator(latents, of_generator, image, told)
        return ResidualDiscriminator(image, of_discriminator, told), generator

    def critics() -> tuple[nn.Module, nn.Module]:
        generator = ResidualGenerator(latents, of_discriminator, image, told=False)
        return ResidualCritic(image, of_discriminator), generator

    units = max(1, width // 5)
    make = {
        "gan": lambda: (MaxoutDiscriminator(units, image), Perceptron(latents, width, image)),
        "cgan": lambda: (ToldMaxoutDiscriminator(units, image), ToldPerceptron(latents, width, image)),
        "dcgan": dcgan,
        "lsgan": dcgan,
        "wgan": lambda: dcgan(output_bias=False),
        "wgan-gp dcgan": lambda: dcgan(has_norms=False, output_bias=False),
        "wgan-gp resnet": critics,
        "sngan cnn": lambda: (cnn_discriminator(width, image), cnn_generator(latents, width, image)),
        "sngan resnet": lambda: residual(told=False),
        "acgan": lambda: (acgan_discriminator(max(1, width // 24), image), acgan_generator(latents, width, image)),
        "projection": lambda: residual(told=True),
    }
    discriminator = "critic" if job.name == "wgan-gp resnet" else "discriminator"  # what kgan's models are called
    return dict(zip((discriminator, "generator"), make[job.name](), strict=True))
