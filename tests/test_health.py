import types

import keras
import numpy as np
import pytest

from kgan.health import Health, mean_distance


class Run:
    """A run that keeps what it is told."""

    id = "r"

    def __init__(self):
        self.tags, self.looks, self.logged = {}, {}, []

    def has(self, what: str) -> bool:
        return what in self.tags

    def log_tags(self, tags: dict) -> None:
        self.tags |= tags

    def log_metrics(self, step: int, values: dict, key: str) -> None:
        self.looks[step] = values

    def metrics(self, key: str):
        return self.looks.items() if key == "health" else self.logged


class Watched:
    """Feeds a callback the measures, every 100 steps, and the samples, every 500, of a training."""

    def __init__(self, samples: np.ndarray | None = None):
        self.run, self.said = Run(), []
        self.real = np.random.default_rng(0).integers(0, 256, (16, 4, 4, 1), np.uint8)
        self.samples = self.real if samples is None else samples
        self.health = Health(self.run, 100, 500, None, self.said.append)
        self.step = 0
        self.resumed = False

    def resume(self) -> "Watched":
        """Another process goes on with the run."""
        self.health = Health(self.run, 100, 500, None, self.said.append)
        self.resumed = True
        return self

    def go(self, steps: int, **measures) -> "Watched":
        for _ in range(steps // 100):
            self.step += 100
            model = types.SimpleNamespace(
                step=keras.Variable(self.step, dtype="int64"),
                measures=tuple(measures),
                probes=lambda shown: {"samples": (self.samples, self.real)},
            )
            self.health.set_model(model)
            if self.resumed:
                self.resumed = False
                self.health.on_train_begin()
            self.health.on_train_batch_end(0, measures)
            self.run.logged.append((self.step, measures))
        return self


def test_a_discriminator_that_wins_outright_is_told_once():
    watched = Watched().go(500, discriminator_loss=0.3).go(1000, discriminator_loss=0.001)
    assert not watched.said
    watched.go(3000, discriminator_loss=0.001)
    (said,) = watched.said
    assert "step 1600: discriminator_loss is 0.001: it tells every sample from an image" in said and "try" in said
    assert watched.run.tags["health.discriminator"] in said


def test_a_discriminator_that_loses_now_and_then_is_well():
    watched = Watched()
    for _ in range(20):
        watched.go(900, discriminator_loss=0.001).go(100, discriminator_loss=0.1)
    assert not watched.said


@pytest.mark.parametrize("name", ["critic_loss", "generator_loss", "discriminator_gradient_norm"])
def test_other_measures_may_be_small(name):
    assert not Watched().go(5000, **{name: 1e-9}).said


def test_a_loss_below_zero_is_no_probability():
    assert not Watched().go(5000, discriminator_loss=-3.0).said


def test_a_gradient_that_vanishes_is_told():
    watched = Watched().go(2000, generator_gradient_norm=2.0).go(1000, generator_gradient_norm=0.03)
    assert not watched.said
    watched.go(100, generator_gradient_norm=0.03)
    assert "step 3100: generator_gradient_norm is 0.03, after 2" in watched.said[0]
    assert "health.gradient" in watched.run.tags


def test_a_gradient_that_begins_small_is_well():
    assert not Watched().go(5000, generator_gradient_norm=1e-6).said


def test_no_gradient_at_all_is_told():
    assert Watched().go(1100, generator_gradient_norm=0.0).said


def test_a_constant_generator_is_told():
    watched = Watched(np.zeros((16, 4, 4, 1), np.uint8)).go(1000, generator_loss=1.0)
    assert not watched.said and watched.run.looks[500] == {"samples_distance": 0.0}
    watched.go(500, generator_loss=1.0)
    assert "step 1500: samples lie 0 as far apart as images do" in watched.said[0]
    assert "health.collapse" in watched.run.tags


def test_samples_as_far_apart_as_images_are_well():
    watched = Watched().go(5000, generator_loss=1.0)
    assert not watched.said and watched.run.looks[5000] == {"samples_distance": 1.0}


def test_the_distance_is_the_mean_over_pairs():
    images = np.random.default_rng(1).integers(0, 256, (5, 3, 2, 1), np.uint8)
    rows = images.reshape(5, -1) / 255.0
    pairs = [np.sqrt(np.mean((a - b) ** 2)) for i, a in enumerate(rows) for b in rows[:i]]
    assert mean_distance(images) == pytest.approx(np.mean(pairs), rel=1e-12)
    assert mean_distance(images[:1]) == 0.0
    black_and_white = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1).repeat(4, axis=1)
    assert mean_distance(black_and_white) == 1.0


def test_a_run_that_goes_on_remembers_what_it_saw():
    watched = Watched(np.zeros((16, 4, 4, 1), np.uint8))
    measures = {"discriminator_loss": 0.001, "generator_gradient_norm": 0.001}
    watched.go(300, discriminator_loss=0.5, generator_gradient_norm=1.0)
    watched.go(500, **measures).resume().go(400, **measures)
    assert not watched.said
    watched.resume().go(600, **measures)
    assert set(watched.run.tags) == {"health.discriminator", "health.gradient", "health.collapse"}
    assert len(watched.resume().go(2000, **measures).said) == 3
