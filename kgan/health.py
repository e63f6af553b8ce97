"""Signs that a training goes wrong, out of numbers that it gives anyway: each with what to try."""

import re
from collections.abc import Callable

import keras
import numpy as np

from kgan.tracking import Run

_LASTING = 1000  # steps through which a sign has been seen at every look before it counts
_SURE = 0.02  # a discriminator's loss: below, it is right with a probability of 0.99 on images and on samples
_VANISHED = 0.02  # of the largest gradient norm so far; in trainings that go well it stays above 0.1
_ALIKE = 0.1  # of the mean distance between images

_TRY = {
    "discriminator": "the generator learns little from it: try a lower learning rate of the discriminator, a smaller "
    "one, more updates of the generator, or more data",
    "gradient": "the generator hardly moves: try the non-saturating loss, a weaker discriminator, or another seed",
    "collapse": "the generator has collapsed: try lower learning rates, larger batches, another seed, or go on from "
    "an earlier checkpoint",
}


class Health(keras.callbacks.Callback):
    """Warns, once for each kind, and marks the run by a tag `health.KIND`.

    Args:
        run: that is watched.
        every: steps over which the measures are averaged ...
        sample_every: ... and steps between two looks at samples.
        shown: what `model.probes` takes.
        say: prints one line for a person.
    """

    def __init__(self, run: Run, every: int, sample_every: int, shown, say: Callable[[str], None]):
        super().__init__()
        self.run = run
        self.every = every
        self.sample_every = sample_every
        self.shown = shown
        self.say = say
        self.since: dict[str, int] = {}  # the step at which a sign was seen first
        self.largest: dict[str, float] = {}

    def on_train_begin(self, logs=None):
        """Looks once more at what a run that goes on has logged: a sign may have been there for long."""
        done = int(self.model.step.numpy())
        self.since, self.largest = {}, {}
        for step, values in self.run.metrics("metrics"):
            if step <= done and step % self.every == 0:
                self._look_at_measures(step, values)
        for step, shares in self.run.metrics("health"):
            if step <= done:
                self._look_at_shares(step, shares)

    def on_train_batch_end(self, batch, logs=None):
        step = int(self.model.step.numpy())
        if step % self.every == 0:
            self._look_at_measures(step, logs)
        if step % self.sample_every == 0:
            self._look_at_samples(step)

    def _look_at_measures(self, step: int, logs: dict[str, float]) -> None:
        for name in self.model.measures:
            value = float(logs[name])
            if re.fullmatch(r"discriminator.*_loss", name):
                found = f"{name} is {value:.2g}: it tells every sample from an image"
                self._heed("discriminator", name, 0 <= value < _SURE, step, found)
            if re.fullmatch(r"generator.*_gradient_norm", name):
                largest = self.largest[name] = max(value, self.largest.get(name, 0.0))
                found = f"{name} is {value:.2g}, after {largest:.2g}"
                self._heed("gradient", name, value < _VANISHED * largest or value == 0, step, found)

    def _look_at_samples(self, step: int) -> None:
        shares = {}
        for name, (samples, real) in self.model.probes(self.shown).items():
            if len(real) < 2:
                continue
            shares[f"{name}_distance"] = mean_distance(samples) / max(mean_distance(real), 1e-12)
        self._look_at_shares(step, shares)
        self.run.log_metrics(step, shares, "health")

    def _look_at_shares(self, step: int, shares: dict[str, float]) -> None:
        for name, share in shares.items():
            found = f"{name.removesuffix('_distance')} lie {share:.2g} as far apart as images do"
            self._heed("collapse", name, share < _ALIKE, step, found)

    def _heed(self, kind: str, name: str, ill: bool, step: int, found: str) -> None:
        """Says of a sign that has lasted what it is, once for each kind."""
        if not ill:
            self.since.pop(name, None)
        elif step - self.since.setdefault(name, step) >= _LASTING and not self.run.has(f"health.{kind}"):
            said = f"step {step}: {found}; {_TRY[kind]}"
            self.run.log_tags({f"health.{kind}": said})
            self.say(f"run {self.run.id}: warning: {said}")


def mean_distance(images: np.ndarray) -> float:
    """The root mean square difference of two of them, from 0 to 1, averaged over all pairs.

    Args:
        images: uint8 `[n, ...]`; of one image it is 0.
    """
    rows = images.reshape(len(images), -1).astype(np.float64) / 255.0
    apart = [np.sqrt(((rows[i + 1 :] - rows[i]) ** 2).mean(axis=1)) for i in range(len(rows) - 1)]
    return float(np.concatenate(apart).mean()) if apart else 0.0
