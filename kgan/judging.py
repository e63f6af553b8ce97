"""Judging samples: which images are compared with which, in what features, and the figures that come out."""

import collections
import contextlib
import dataclasses
import functools
import re
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import tensorflow as tf

from kgan import conditional, environment, features, figures, images, metrics, references, variants
from kgan.conditional import Conditional
from kgan.configuration import Configuration
from kgan.datasets import Splits
from kgan.errors import InputError, MissingSplitError, near_misses, require_at_least
from kgan.features import Features
from kgan.figures import METRICS, Figure, Sets
from kgan.latent import Latent
from kgan.protocol import Protocol, Value
from kgan.variants.base import Variant
from pipelines.images import Images

_AT_ONCE = 16  # pictures translated at once
_OF_UNSEEN = ("parzen", "memorisation")  # metrics that need images that the training has not seen
_VERSIONS = ("version.kgan", "version.keras", "version.tensorflow", "version.numpy")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Attributes:
        metrics: names out of `METRICS`.
        features: where features come from: auto (classifier for data with labels, else inception), inception,
            classifier, pixels, or the path of a Keras model or SavedModel.
        inception: path of the inception graph, where it is not in the cache.
        resize: how images come to the size of inception or of a model: legacy or clean.
        num: samples of a seed; systems that translate take all images of the split.
        seeds: of the sets of samples.
        truncation: share of the prior.
        split: compared with; train, or test for systems that translate, where none is given.
    """

    metrics: tuple[str, ...]
    features: str = "auto"
    inception: str | None = None
    resize: Literal["legacy", "clean"] = "legacy"
    num: int = 10_000
    seeds: tuple[int, ...] = (0,)
    truncation: float = 1.0
    split: str | None = None

    def __post_init__(self) -> None:
        for name in self.metrics:
            if name not in METRICS:
                known = f"some of {','.join(METRICS)}"
                raise InputError(f"--metrics: got {name!r}, expected {known}.{near_misses(name, METRICS)}")
        twice = [name for i, name in enumerate(self.metrics) if name in self.metrics[:i]]
        if twice:
            raise InputError(f"--metrics: got {twice[0]} twice, expected each once")
        require_at_least(1, **{"--seeds": len(self.seeds)})
        require_at_least(2, **{"--num": self.num})
        if not 0 < self.truncation <= 1:
            raise InputError(f"--truncation: got {self.truncation}, expected a number above 0 and up to 1")
        if self.inception is not None and self.features not in ("auto", "inception"):
            raise InputError(
                f"--inception: got {self.inception} with --features {self.features}, which has no use for it"
            )


class Judge:
    """Judges models of one configuration; features of real images are computed once.

    Args:
        config: of the run.
        plan: what to measure.
        splits: of the run's data.
        advance: called with numbers of images that were seen.

    Raises:
        InputError: the data or the features cannot be had, or a metric cannot be measured on them.
    """

    def __init__(
        self, config: Configuration, plan: Plan, splits: Splits, advance: Callable[[int], object] = lambda _: None
    ):
        self.config = config
        self.plan = plan
        self.splits = splits
        variant = variants.load(config.settings.variant)
        self.latent = issubclass(variant, Latent)
        self.conditional = issubclass(variant, Conditional)
        self.advance = advance
        self.split = plan.split or ("train" if self.latent else "test")
        if not self.latent:
            self._check_translation()
        self.unseen = self._find_unseen()
        data = getattr(splits, self.split)
        self.domains = {"": data} if self.latent else {"a": data.a, "b": data.b}
        self.network = features.pixels()
        if self._compares:
            self.network = self._choose_network()
            count = plan.num if self.latent else min(images.size for images in self.domains.values())
            figures.check(plan.metrics, self.network.name, count, self.conditional)
        if "intra" in plan.metrics:
            self._check_classes()

    def judge(self, model: Variant, precision: str = "float32") -> list[Value]:
        """Measures everything of the plan.

        Args:
            model: of the configuration.
            precision: in which it computes.
        """
        if self.latent:
            return self._judge("", self.domains[""], lambda seed: self._made(model, seed), precision)
        found = []
        for direction in model.directions:
            source, target = direction[0], direction[-1]

            def translated(seed: int, direction: str = direction, images: Images = self.domains[source]):
                return self._translated(model, direction, images, seed)

            found += self._judge(f"{direction}_", self.domains[target], translated, precision)
        return found

    def pictures(self, model: Variant, values: list[Value]) -> dict[str, np.ndarray]:
        """What is to be seen of figures: of memorised samples (left) the nearest training images (right), uint8."""
        found = {}
        for value in values:
            if "pairs" in value.found:
                several = len(self.plan.seeds) > 1
                pairs = value.found["pairs"][0] if several else value.found["pairs"]  # of the first seed
                samples, nearest = ([pair[i] for pair in pairs] for i in (0, 1))
                inputs = model.inputs(self.plan.num, self.plan.seeds[0], self.plan.truncation)
                made = model.decode(*(tf.gather(rows, samples) for rows in inputs))
                tiles = np.stack([made, self.splits.train.images[nearest]], axis=1)
                tiles = tiles.reshape(-1, *tiles.shape[2:])
                found["memorisation"] = images.enlarge(images.grid(tiles, 4), tiles.shape[2])
        return found

    def _asked(self, seed: int) -> np.ndarray | None:
        """The classes that the samples of a seed are asked to be of."""
        if not self.conditional:
            return None
        return conditional.drawn_labels(self.plan.num, seed, len(self.config.data["class_names"])).numpy()

    def _judge(
        self, prefix: str, real: Images, fakes: Callable[[int], Iterator[np.ndarray]], precision: str
    ) -> list[Value]:
        known, logits = None, None
        if self._compares:
            known, logits = references.compute(self.network, real, self.advance)
        statistics = functools.cache(lambda: metrics.feature_statistics(known))
        class_statistics = functools.cache(lambda label: metrics.feature_statistics(known[real.labels == label]))
        by_seed = []
        for seed in self.plan.seeds:
            fake, fake_logits, pixels = self._features(fakes(seed))
            sets = Sets(
                self.network,
                *(known, logits, statistics),
                *(fake, fake_logits, pixels),
                *(self._unseen_pixels, *self._seen_and_unseen),
                *(class_statistics, self._asked(seed)),
            )
            by_seed.append([(name, figure) for name in self.plan.metrics for figure in METRICS[name](sets)])
        count = len(pixels if fake is None else fake)
        return [self._value(prefix, precision, real, count, list(same)) for same in zip(*by_seed, strict=True)]

    def _features(self, batches: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Features and logits of samples, and their pixels where a metric asks for them; from one pass."""
        pixels = []

        def seen() -> Iterator[np.ndarray]:
            for batch in batches:
                if "parzen" in self.plan.metrics:
                    pixels.append(_flat(batch))
                yield batch
                self.advance(len(batch))

        found, logits = None, None
        if self._compares:
            found, logits = features.compute(self.network, seen())
        else:
            collections.deque(seen(), maxlen=0)
        return found, logits, np.concatenate(pixels) if pixels else None

    def _value(self, prefix: str, precision: str, real: Images, count: int, same: list[tuple[str, Figure]]) -> Value:
        """One value of the figures of all seeds."""
        metric, figure = same[0]
        values = np.array([f.value for _, f in same])
        spread, spread_of = figure.error, figure.error_of
        if len(values) > 1:
            spread, spread_of = float(values.std(ddof=1)), f"standard deviation over {len(values)} sets of samples"
        of_pixels = metric == "parzen"
        plain = of_pixels or metric in ("coverage", "accuracy") or self.network.name == "inception"
        network = features.pixels() if of_pixels else self.network
        short = "" if plain else f"{re.sub(r'[^A-Za-z0-9]+', '_', network.name)}_"
        compared = self.unseen[-1] if of_pixels else self.splits.train if metric == "memorisation" else real
        versions = environment.decisive()
        protocol = Protocol(
            metric=figure.name,
            features=network.name,
            features_sha256=network.sha256,
            resize=network.resize,
            data=compared.digest,
            split=compared.split,
            real_count=figure.real_count or compared.size,
            fake_count=count,
            truncation=float(self.plan.truncation),
            ema=False,
            precision=precision,
            parameters=figure.parameters,
            seeds=self.plan.seeds,
            versions={name.removeprefix("version."): versions[name] for name in _VERSIONS},
        )
        found = figure.found if len(same) == 1 else {name: [f.found[name] for _, f in same] for name in figure.found}
        name = f"{prefix}{short}{figure.name}"
        return Value(name, float(values.mean()), spread, spread_of, figure.better, protocol, found)

    def _check_translation(self) -> None:
        variant = variants.load(self.config.settings.variant)
        if self.plan.truncation != 1:
            raise InputError(f"--truncation: got {self.plan.truncation}, but {variant.__name__} draws no latents")
        if len(self.plan.seeds) > 1 and not variant.draws:
            raise InputError(f"--seeds: got {len(self.plan.seeds)}, but {variant.__name__} draws nothing: expected 1")

    def _check_classes(self) -> None:
        """Raises InputError where a class has too few images or samples for a distance."""
        labels, names = self.domains[""].labels, self.config.data["class_names"]
        if labels is None:
            raise InputError(f"--metrics: intra needs labels, which the images of {self.split} do not have")
        for seed in self.plan.seeds:
            for label, name in enumerate(names):
                real, fake = (int(np.sum(all_of == label)) for all_of in (labels, self._asked(seed)))
                if min(real, fake) < 2:
                    found = f"{real} images and {fake} samples of class {name!r}"
                    raise InputError(f"--metrics: intra got {found}, expected 2 or more of each; try a larger --num")

    def _made(self, model: Latent, seed: int) -> Iterator[np.ndarray]:
        return model.pictures(self.plan.num, seed, self.plan.truncation)

    def _translated(self, model, direction: str, images: Images, seed: int) -> Iterator[np.ndarray]:
        for start in range(0, images.size, _AT_ONCE):
            yield model.translate(np.asarray(images.images[start : start + _AT_ONCE]), direction, seed)

    def _find_unseen(self) -> list[Images]:
        """What `_all_unseen` finds, where a metric needs it."""
        needing = [name for name in self.plan.metrics if name in _OF_UNSEEN]
        if not needing:
            return []
        if not self.latent:
            raise InputError(f"--metrics: {needing[0]} is for systems that draw latents, not those that translate")
        found = self._all_unseen()
        if not found:
            raise InputError(
                f"--metrics: {needing[0]} needs images that the training has not seen: data with a test split, or a "
                "run that was trained with --hold-out N"
            )
        return found

    @property
    def _compares(self) -> bool:
        """Whether a metric compares features: Parzen's does not."""
        return set(self.plan.metrics) != {"parzen"}

    @functools.cached_property
    def _unseen_pixels(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Pixels to choose by and pixels to measure on."""
        if "parzen" not in self.plan.metrics:
            return None
        first, last = (_flat(np.asarray(self.unseen[i].images)) for i in (0, -1))
        return (first, last) if len(self.unseen) > 1 else (first[::2], first[1::2])

    @functools.cached_property
    def _seen_and_unseen(self) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
        """Features of what was trained on, and of what was not."""
        if "memorisation" not in self.plan.metrics:
            return None, None
        sets = (self.splits.train, self.unseen[-1])
        return tuple(references.compute(self.network, images, self.advance)[0] for images in sets)

    def _all_unseen(self) -> list[Images]:
        """What the training has not seen, as far as it is there: what was held out, and the test split.

        Where one chooses by what was held out, that is all: nothing may be chosen by the test split.
        """
        if self.split == "validation":
            return [self.splits.validation]
        found = [] if self.config.settings.hold_out is None else [self.splits.validation]
        with contextlib.suppress(MissingSplitError):  # most sets have none; a damaged one is an error
            found.append(self.splits.test)
        return found

    def _choose_network(self) -> Features:
        labelled = self.latent and self.splits.train.labels is not None
        name = self.plan.features
        if name == "auto":
            name = "classifier" if labelled else "inception"
        if name in ("classifier", "pixels") and self.plan.resize != "legacy":
            raise InputError(f"--resize: got {self.plan.resize}, but {name} takes images of their own size")
        if name == "classifier":
            if not labelled:
                expected = "expected inception or a path"
                raise InputError(f"--features: got classifier, but the data have no labels; {expected}")
            if self.plan.inception is not None:
                raise InputError(f"--inception: got {self.plan.inception}, but the features are those of a classifier")
            return self._classifier()
        if name == "inception":
            return features.inception(self.plan.inception, self.plan.resize)
        return features.pixels() if name == "pixels" else features.model(name, self.plan.resize)

    def _classifier(self) -> Features:
        """Of the labels of what was trained on; how good it is shows on what was not."""
        train = self.splits.train
        known = train.labels.max()
        others = [
            images for images in self._all_unseen() if images.labels is not None and images.labels.max() <= known
        ]
        test = (others[-1].images, others[-1].labels) if others else None
        return features.classifier((train.images, train.labels), test, f"{train.digest} {train.size}")


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255.0
