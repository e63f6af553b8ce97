"""Keras callbacks that watch and write a run while it trains. The step is the model's own: epochs do not matter."""

import sys
import time
from collections.abc import Callable

import keras
import numpy as np
from tqdm import tqdm

from kgan import evaluating, images
from kgan.errors import RunError
from kgan.interrupts import Interrupts
from kgan.protocol import Value
from kgan.tracking import Run
from kgan.variants.base import Variant

_SECONDS_PER_LINE = 10


class NonFiniteError(RunError):
    """A step made a measure or a weight NaN or infinite."""


class Finite(keras.callbacks.Callback):
    """Stops the training within the step that made a measure or a weight NaN or infinite.

    Raises:
        NonFiniteError: it names the step, the measures, the network and the tensor.
    """

    def on_train_batch_end(self, batch, logs=None):
        if logs["finite"]:
            return
        found = nonfinite(self.model, logs)
        if found:  # else the sum of huge but finite weights was too large
            raise NonFiniteError(f"step {_step(self.model)} made numbers that are not finite: {'; '.join(found)}")


def nonfinite(model: Variant, measures: dict[str, float]) -> list[str]:
    """What is NaN or infinite: "MEASURE is nan" of each measure, "NETWORK: TENSOR and N more of M" of each network."""
    found = [f"{name} is {value:g}" for name, value in measures.items() if not np.isfinite(value)]
    networks = {id(network): network for player in model.players for network in player.networks}
    for network in networks.values():
        broken = [v.path for v in network.variables if not np.isfinite(np.asarray(v.value)).all()]
        if broken:
            others = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
            found.append(f"{network.name}: {broken[0]}{others} of {len(network.variables)} tensors")
    return found


class Measures(keras.callbacks.Callback):
    """Logs the means of the model's measures over each `every` steps, and images per second.

    Args:
        run: where to.
        every: steps of a window.
        last: the step after which the training ends, and the last window with it.
        rows: images of a step.
        show: called with (step, values) after each window.
    """

    def __init__(self, run: Run, every: int, last: int, rows: int, show: Callable[[int, dict[str, float]], None]):
        super().__init__()
        self.run = run
        self.every = every
        self.last = last
        self.rows = rows
        self.show = show

    def on_train_begin(self, logs=None):
        self.begun = _step(self.model)
        self.time = time.monotonic()
        # Keras resets the means when an epoch begins; a window that a resumed run is in the middle of goes on.
        self.held = [(v, v.numpy().copy()) for metric in self.model.metrics for v in metric.variables]

    def on_epoch_begin(self, epoch, logs=None):
        for variable, value in self.held:
            variable.assign(value)
        self.held = []

    def on_train_batch_end(self, batch, logs=None):
        step = _step(self.model)
        if step % self.every and step != self.last:
            return
        values = {name: float(logs[name]) for name in self.model.measures}
        now = time.monotonic()
        values["images_per_second"] = self.rows * (step - self.begun) / (now - self.time)
        self.run.log_metrics(step, values)
        self.model.reset_metrics()
        self.begun, self.time = step, now
        self.show(step, values)


class Samples(keras.callbacks.Callback):
    """Logs the model's grids before the first step, every `every` steps and after the last.

    Args:
        run: where to.
        every: steps between two grids.
        last: the step after which the training ends.
        shown: what `model.grids` takes.
    """

    def __init__(self, run: Run, every: int, last: int, shown=None):
        super().__init__()
        self.shown = shown
        self.run = run
        self.every = every
        self.last = last

    def on_train_begin(self, logs=None):
        if _step(self.model) == 0:
            self._log(0)

    def on_train_batch_end(self, batch, logs=None):
        step = _step(self.model)
        if step % self.every == 0 or step == self.last:
            self._log(step)

    def _log(self, step: int) -> None:
        if self.run.has(self.model.grid_names[-1], step):
            return
        for name, grid in self.model.grids(self.shown).items():
            if not self.run.has(name, step):
                self.run.log_image(name, step, images.to_pil(images.enlarge(grid, self.model.image_shape[1])))


class Evaluates(keras.callbacks.Callback):
    """Measures what the samples are worth every `every` steps and after the last, and keeps the best state so far.

    Args:
        run: where figures are logged.
        measure: gives the figures of a model; the first decides what is best.
        keep: called with the model when it is the best so far.
        known: figures of the best so far, of a run that goes on.
        every: steps between two measurements.
        last: the step after which the training ends.
    """

    def __init__(
        self,
        run: Run,
        measure: Callable[[Variant], list[Value]],
        keep: Callable[[Variant], object],
        known: list[Value],
        every: int,
        last: int,
    ):
        super().__init__()
        self.run = run
        self.measure = measure
        self.keep = keep
        self.known = known
        self.every = every
        self.last = last

    def on_train_batch_end(self, batch, logs=None):
        step = _step(self.model)
        if (step % self.every and step != self.last) or self.run.has("evaluation", step):
            return
        first, *others = self.measure(self.model)
        # A run that was resumed with another protocol begins anew.
        best = [value for value in self.known if not value.protocol.differences(first.protocol)]
        if not best or first.is_better_than(best[0]):
            self.known = [first]
            self.keep(self.model)  # before it is logged: a run that is killed in between measures it once more
        evaluating.log_values(self.run, step, [first, *others])


class Saves(keras.callbacks.Callback):
    """Saves every `every` steps, after the last and when asked to stop; then raises KeyboardInterrupt.

    The last callback of a list: what the others do in a step is part of what is saved.

    Args:
        save: called without arguments.
        every: steps between two calls.
        last: the step after which the training ends.
        interrupts: whether somebody asked to stop.
    """

    def __init__(self, save: Callable[[], object], every: int, last: int, interrupts: Interrupts):
        super().__init__()
        self.save = save
        self.every = every
        self.last = last
        self.interrupts = interrupts

    def on_train_batch_end(self, batch, logs=None):
        step = _step(self.model)
        if step % self.every == 0 or step == self.last or self.interrupts.asked:
            self.save()
        if step != self.last:
            self.interrupts.heed()


class Progress(keras.callbacks.Callback):
    """A bar with the time left on a terminal; elsewhere a line now and then.

    Args:
        last: the step after which the training ends.
    """

    def __init__(self, last: int):
        super().__init__()
        self.last = last
        self.bar = None

    def on_train_begin(self, logs=None):
        self.close()
        self.start = time.monotonic()
        self.begun = _step(self.model)
        self.shown = 0.0
        if sys.stderr.isatty():
            self.bar = tqdm(total=self.last, initial=self.begun, unit="step", dynamic_ncols=True)

    def on_train_batch_end(self, batch, logs=None):
        if self.bar is not None:
            self.bar.update(_step(self.model) - self.bar.n)

    def on_train_end(self, logs=None):
        self.close()

    def close(self) -> None:
        """Leaves the terminal in order; also after an error."""
        if self.bar is not None:
            self.bar.close()

    def show(self, step: int, values: dict[str, float]) -> None:
        """Shows the measures of a window."""
        text = "  ".join(f"{name} {value:.4g}" for name, value in values.items() if "norm" not in name)
        if self.bar is not None:
            self.bar.set_postfix_str(text)
        elif time.monotonic() - self.shown > _SECONDS_PER_LINE or step == self.last:
            self.shown = time.monotonic()
            left = (self.shown - self.start) / (step - self.begun) * (self.last - step)
            print(f"step {step}/{self.last}  {text}  ETA {tqdm.format_interval(left)}", flush=True)


def _step(model: Variant) -> int:
    return int(model.step.numpy())
