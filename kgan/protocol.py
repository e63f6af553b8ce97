"""A figure and the protocol it was measured by. Figures of unlike protocols cannot be compared, and are not."""

import dataclasses
import json
import pathlib

from kgan.errors import InputError
from kgan.files import read_small

_FREE = ("seeds", "versions")  # other draws, or other versions, measure the same thing


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a figure was measured: all that decides what it means.

    Attributes:
        metric: its name.
        features: the network whose features were compared: its name ...
        features_sha256: ... and its digest; empty where there is no network.
        resize: how images came to that network's size.
        data: digest of the data set.
        split: of the data set that was compared with.
        real_count: how many of its images.
        fake_count: how many samples.
        truncation: share of the prior's range.
        ema: whether the weights are a moving average of those that were trained.
        precision: in which the generator computed.
        parameters: of the metric itself, like the number of neighbours.
        seeds: of the samples.
        versions: of what computed it.
    """

    metric: str
    features: str
    features_sha256: str
    resize: str
    data: str
    split: str
    real_count: int
    fake_count: int
    truncation: float
    ema: bool
    precision: str
    parameters: dict[str, int | float | str]
    seeds: tuple[int, ...]
    versions: dict[str, str]

    def differences(self, other: "Protocol") -> list[str]:
        """What makes the two unlike, as "NAME: this and that"; nothing where figures compare."""
        ours, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        return [f"{n}: {ours[n]} and {theirs[n]}" for n in ours if n not in _FREE and ours[n] != theirs[n]]

    def __str__(self) -> str:
        network = f"{self.features} {self.features_sha256[:12]}".strip()
        seeds = ", ".join(map(str, self.seeds))
        compared = f"{self.fake_count} samples of seeds {seeds} and {self.real_count} images of {self.split}"
        parameters = "".join(f", {name} {value}" for name, value in self.parameters.items())
        weights = f"truncation {self.truncation:g}, {'with' if self.ema else 'no'} EMA, {self.precision}"
        return f"{network}, resize {self.resize}; {compared} ({self.data[:19]}){parameters}; {weights}"


@dataclasses.dataclass(frozen=True)
class Value:
    """A figure.

    Attributes:
        name: of the figure, as trackers show it.
        mean: over the seeds of the samples.
        spread: what stands behind the +-, or None ...
        spread_of: ... and what it is.
        better: "lower" or "higher".
        protocol: how it was measured.
        found: what the measurement chose or saw besides, like the width of a window.
    """

    name: str
    mean: float
    spread: float | None
    spread_of: str
    better: str
    protocol: Protocol
    found: dict[str, object]

    def minus(self, other: "Value") -> float:
        """The difference of two figures.

        Raises:
            InputError: their protocols are unlike; it says in what.
        """
        found = self.protocol.differences(other.protocol)
        if found:
            raise InputError(f"{self.name}: the protocols are unlike, the figures do not compare ({'; '.join(found)})")
        return self.mean - other.mean

    def is_better_than(self, other: "Value") -> bool:
        """Whether it is; errors as for `minus`."""
        difference = self.minus(other)
        return difference < 0 if self.better == "lower" else difference > 0

    @property
    def key(self) -> str:
        """The name under which a tracker draws it: figures of unlike protocols should not share a curve."""
        p = self.protocol
        said = [self.name, p.split, str(p.fake_count)]
        said += ["clean"] if p.resize.startswith("clean") else []
        said += [f"truncation {p.truncation:g}"] if p.truncation != 1 else []
        said += [p.precision] if p.precision != "float32" else []
        return " ".join(said)

    def to_json(self) -> dict:
        """What `read` understands, as JSON holds it."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return f"{self.mean:.5g}" if self.spread is None else f"{self.mean:.5g} ± {self.spread:.2g}"


def read(path: pathlib.Path) -> list[Value]:
    """The figures of a file.

    Raises:
        InputError: it is damaged.
    """
    try:
        return [_value(**entry) for entry in json.loads(read_small(path))]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        found = f"{type(error).__name__}: {error}"
        raise InputError(f"{path} is damaged ({found}); remove it, and judge that checkpoint again") from None


def _value(protocol: dict, **others) -> Value:
    value = Value(protocol=Protocol(**{**protocol, "seeds": tuple(protocol["seeds"])}), **others)
    texts = (value.name, value.spread_of, value.better, value.protocol.resize, value.protocol.split)
    numbers = (value.mean, value.protocol.truncation, 0.0 if value.spread is None else value.spread)
    if {type(text) for text in texts} != {str} or not {type(number) for number in numbers} <= {int, float}:
        raise ValueError("not what this program writes")
    return value
