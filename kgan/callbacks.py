"""Keras callbacks that write a run while it trains."""

import sys
import time
from collections.abc import Callable

import keras
from tqdm import tqdm

from kgan import images
from kgan.tracking import Run

_SECONDS_PER_LINE = 10


class Measures(keras.callbacks.Callback):
    """Logs the means of the model's measures over each `every` steps, and images per second.

    Args:
        run: where to.
        every: steps of a window.
        rows: images of a step.
        show: called with (step, values) after each window.
    """

    def __init__(self, run: Run, every: int, rows: int, show: Callable[[int, dict[str, float]], None]):
        super().__init__()
        self.run = run
        self.every = every
        self.rows = rows
        self.show = show

    def on_train_begin(self, logs=None):
        self.first = self.last = int(self.model.step.numpy())
        self.time = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        step = self.first + batch + 1
        if step % self.every and batch + 1 != self.params["steps"]:
            return
        values = {name: float(value) for name, value in logs.items()}
        now = time.monotonic()
        values["images_per_second"] = self.rows * (step - self.last) / (now - self.time)
        self.run.log_metrics(step, values)
        self.model.reset_metrics()
        self.last, self.time = step, now
        self.show(step, values)


class Samples(keras.callbacks.Callback):
    """Logs the model's grid before the first step, every `every` steps and after the last."""

    def __init__(self, run: Run, every: int):
        super().__init__()
        self.run = run
        self.every = every

    def on_train_begin(self, logs=None):
        self.first = int(self.model.step.numpy())
        self._log(self.first)

    def on_train_batch_end(self, batch, logs=None):
        step = self.first + batch + 1
        if step % self.every == 0 or batch + 1 == self.params["steps"]:
            self._log(step)

    def _log(self, step: int) -> None:
        tile = self.model.image_shape[1]
        self.run.log_image("samples", step, images.to_pil(images.enlarge(self.model.grid(), tile)))


class Progress(keras.callbacks.Callback):
    """A bar with the time left on a terminal; elsewhere a line now and then."""

    def on_train_begin(self, logs=None):
        self.start = time.monotonic()
        self.shown = 0.0
        self.bar = tqdm(total=self.params["steps"], unit="step", dynamic_ncols=True) if sys.stderr.isatty() else None

    def on_train_batch_end(self, batch, logs=None):
        if self.bar is not None:
            self.bar.update(batch + 1 - self.bar.n)

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
        elif time.monotonic() - self.shown > _SECONDS_PER_LINE or step == self.params["steps"]:
            self.shown = time.monotonic()
            left = (self.shown - self.start) / step * (self.params["steps"] - step)
            print(f"step {step}/{self.params['steps']}  {text}  ETA {tqdm.format_interval(left)}", flush=True)
