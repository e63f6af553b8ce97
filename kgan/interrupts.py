"""Ctrl-C and SIGTERM while a run trains: the first asks it to stop in order, the second leaves at once."""

import os
import signal


class Interrupts:
    """A context in which SIGINT and SIGTERM are noted instead of raised, until the training looks at them."""

    def __init__(self):
        self._asked: signal.Signals | None = None

    def __enter__(self) -> "Interrupts":
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return self._asked is not None

    def heed(self) -> None:
        """Raises KeyboardInterrupt, with the name of the signal, where one has come."""
        if self._asked is not None:
            raise KeyboardInterrupt(self._asked.name)

    def _note(self, number: int, frame: object) -> None:
        # os.write: print may be in the middle of a line when the signal comes, and cannot be entered twice.
        if self._asked is not None:
            os.write(2, b"\nleft at once\n")
            os._exit(128 + number)
        self._asked = signal.Signals(number)
        os.write(2, b"\nstopping after this step, with a checkpoint; once more leaves at once\n")
