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
        left_out: gives the seconds so far that were spent on something else than training.
    """

    def __init__(
        self,
        run: Run,
        every: int,
        last: int,
        rows: int,
        show: Callable[[int, dict[str, float]], None],
        left_out: Callable[[], float],
    ):
        super().__init__()
        self.run = run
        self.left_out = left_out
        self.every = every
        self.last = last
        self.rows = rows
        self.show = show

    def on_train_begin(self, logs=None):
        self.begun = _step(self.model)
        self.time = self._time()
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
        now = self._time()
        values["images_per_second"] = self.rows * (step - self.begun) / (now - self.time)
        self.run.log_metrics(step, values)
        self.model.reset_metrics()
        self.begun, self.time = step, now
        self.show(step, values)

    def _time(self) -> float:
        return time.monotonic() - self.left_out()


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
        best: gives the model that is the best so far; None where there is none.
        save: saves the model's state; done before each measurement, which may take long or fail.
        keep: called with the model when it is the best so far.
        every: steps between two measurements.
        last: the step after which the training ends.
    """

    def __init__(
        self,
        run: Run,
        measure: Callable[[Variant], list[Value]],
        best: Callable[[], Variant | None],
        save: Callable[[], object],
        keep: Callable[[Variant], object],
        every: int,
        last: int,
    ):
        super().__init__()
        self.run = run
        self.measure = measure
        self.best = best
        self.save = save
        self.keep = keep
        self.every = every
        self.last = last
        self.seconds = 0.0  # that measurements have taken

    def on_train_batch_end(self, batch, logs=None):
        if self._is_due(self.model):
            self.save()
            self._judge(self.model)

    def catch_up(self, model: Variant) -> None:
        """Measures the step that a run goes on after, where it was stopped before it had."""
        if self._is_due(model):
            self._judge(model)

    def _is_due(self, model: Variant) -> bool:
        step = _step(model)
        return step > 0 and (step % self.every == 0 or step == self.last) and not self.run.has("evaluation", step)

    def _judge(self, model: Variant) -> None:
        start = time.monotonic()
        first, *others = self.measure(model)
        best = self._figure_of_best(first)
        if best is None or first.is_better_than(best):
            self.keep(model)  # before it is logged: a run that is killed in between measures it once more
        evaluating.log_values(self.run, _step(model), [first, *others])
        self.seconds += time.monotonic() - start

    def _figure_of_best(self, figure: Value) -> Value | None:
        """The figure of the best state so far by the protocol of another figure, measured anew where there is none."""
        known = evaluating.like(figure, evaluating.values_of_best(self.run.folder))
        model = None if known else self.best()
        if model is None:
            return known
        values = self.measure(model)
        evaluating.log_values(self.run, _step(model), values)
        return values[0]


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
