"""The journal of a run: one JSON object per line, everything the run has to say, and how much of it a tracker has."""

import contextlib
import errno
import json
import os
import pathlib
import time

from kgan.errors import InputError, RunError
from kgan.files import read_small, write_atomic

_JOURNAL = "journal.jsonl"
_SENT = "journal.sent"
_TAIL = 2**16  # bytes in which the last lines are found
_AFTERWARDS = ("evaluation", "image")  # kinds of entries that may follow the last word
_LINE = 2**20  # bytes, more than any line has
_LONGEST = 2**30  # bytes of a journal that is read; a step that is logged takes some 300


class Journal:
    """The journal in a run's folder. Only the process that holds the run's lock may append to it."""

    def __init__(self, folder: pathlib.Path):
        self.path = folder / _JOURNAL
        self._sent = folder / _SENT

    def append(self, **entry) -> None:
        """Adds an entry with its time, now where it has none, whole or not at all.

        Raises:
            RunError: the disk is full, the folder is gone ...
        """
        line = json.dumps({"time": int(time.time() * 1000), **entry}).encode() + b"\n"
        try:
            with self.path.open("ab", buffering=0) as file:
                start = os.fstat(file.fileno()).st_size
                if file.write(line) != len(line):
                    file.truncate(start)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise RunError(f"the run cannot write {self.path} ({error.strerror})") from error

    def flush(self) -> None:
        """Makes what was appended last through a power cut: done before anything that says it is there."""
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            os.fsync(file.fileno())

    def entries(self) -> list[dict]:
        """All entries."""
        return [entry for _, entry in self._read(0)]

    def unsent(self) -> list[tuple[int, dict]]:
        """What the tracker has not taken: (bytes, entry) of each."""
        return self._read(self.position)

    @property
    def position(self) -> int:
        """How many bytes the tracker has taken; 0 where that is not known."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            position = int(read_small(self._sent))
            if position == 0 or self._ends_line(position):
                return position
        return 0

    @position.setter
    def position(self, value: int) -> None:
        self.flush()
        write_atomic(self._sent, str(value).encode())

    @property
    def is_sent(self) -> bool:
        """Whether the tracker has taken everything so far."""
        return not self.path.exists() or self.position == self.path.stat().st_size

    @property
    def status(self) -> str | None:
        """The status that ends the journal, or None while the run has not said its last word."""
        return (self.last_word or {}).get("status")

    @property
    def last_word(self) -> dict | None:
        """The entry of the status that ends the journal, or None while the run has not said it.

        What was found out about a run afterwards does not take it back.
        """
        with (
            contextlib.suppress(FileNotFoundError, IndexError, ValueError, KeyError, TypeError, RecursionError),
            self.path.open("rb") as file,
        ):
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            for line in reversed(file.read().splitlines()):
                entry = json.loads(line)
                if entry["kind"] not in _AFTERWARDS:
                    return {"kind": "status", "status": entry["status"], "time": entry["time"]}
        return None

    def settle(self) -> None:
        """Ends the journal of a dead process: as KILLED, when it last wrote.

        Raises:
            OSError: it cannot be written.
        """
        with self.path.open("ab"):  # made where it is missing
            pass
        changed = int(self.path.stat().st_mtime * 1000)
        self.mend()
        if self.status is None:
            with self.path.open("ab") as file:
                file.write(json.dumps({"kind": "status", "status": "KILLED", "time": changed}).encode() + b"\n")

    def mend(self) -> None:
        """Drops the line that a dead process left half written."""
        with self.path.open("a+b") as file:
            start = file.seek(max(0, file.seek(0, os.SEEK_END) - _LINE))
            whole = start + file.read().rfind(b"\n") + 1
            if whole < file.tell():
                file.truncate(whole)

    def _ends_line(self, position: int) -> bool:
        if not 0 < position <= self.path.stat().st_size:
            return False
        with self.path.open("rb") as file:
            file.seek(position - 1)
            return file.read(1) == b"\n"

    def _read(self, position: int) -> list[tuple[int, dict]]:
        try:
            with self.path.open("rb") as file:
                if file.seek(0, os.SEEK_END) - position > _LONGEST:
                    raise InputError(f"{self.path} is damaged: it has more than {_LONGEST} bytes")
                file.seek(position)
                lines = file.readlines()
        except FileNotFoundError:
            return []
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        return [(len(line), _parse(line)) for line in lines]


def _parse(line: bytes) -> dict:
    """The entry of a line. A damaged line is an entry of no kind: the others still count."""
    with contextlib.suppress(ValueError, RecursionError):
        entry = json.loads(line)
        if isinstance(entry, dict) and _is_whole(entry):
            return entry
    return {"kind": "damaged"}


def _is_whole(entry: dict) -> bool:
    needed = _KINDS.get(entry.get("kind") if isinstance(entry.get("kind"), str) else None)
    if needed is None or not all(type(entry.get(key)) is kind for key, kind in (needed | {"time": int}).items()):
        return False
    values = entry.get("values", {})
    if entry["kind"] in ("metrics", "evaluation"):
        return all(type(value) in (int, float) for value in values.values())
    return all(type(value) is str for value in values.values()) and abs(entry.get("step", 0)) < 2**63


_KINDS = {
    "params": {"values": dict},
    "tags": {"values": dict},
    "metrics": {"step": int, "values": dict},
    "data": {"name": str, "digest": str, "profile": dict},
    "image": {"key": str, "step": int, "file": str},
    "artifact": {"file": str},
    "evaluation": {"step": int, "file": str, "values": dict},
    "resumed": {"step": int},
    "status": {"status": str},
}
