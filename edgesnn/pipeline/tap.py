"""What a stream takes in, kept for a flight recorder: with a state before it, its predictions come again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgesnn.runtime import snapshot

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Frozen:
    """A snapshot whose bytes are not made yet: `encode` may be called later, in any thread.

    Attributes:
        arrays: by `section/name`; nobody changes them.
        model: the model's identity.
        sections: all of them.
    """

    arrays: Arrays
    model: str
    sections: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes of its arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    @property
    def about(self) -> str:
        """Its metadata."""
        return snapshot.about(self.model, self.sections)

    def encode(self) -> bytes:
        """Return the snapshot."""
        return snapshot.encode(self.arrays, self.model, self.sections)


class Tap(Protocol):
    """Of the thread that polls."""

    @property
    def full(self) -> bool:
        """Whether `take` must be called before the next `poll`."""

    def freeze(self) -> Frozen:
        """Return the state behind all that was taken in."""

    def take(self) -> Arrays:
        """Return what was taken in since the last call."""

    def stop(self) -> None:
        """Keep nothing any more."""


class EventTap:
    """Of a threaded pipeline. `take` gives `packets`, int64 rows (events, t_end_us, lost), and `events` of them all.

    Args:
        chain: a `_native.pipeline.ThreadedChain`.
        freeze: makes a snapshot of its arrays.
        most_bytes: from here on it is full.
    """

    def __init__(self, chain: Any, freeze: Callable[[Arrays], Frozen], most_bytes: int) -> None:
        self._chain, self._freeze = chain, freeze
        chain.tap(most_bytes)

    @property
    def full(self) -> bool:
        """Whether `poll` takes nothing in until `take` was called."""
        return bool(self._chain.tap_full)

    def freeze(self) -> Frozen:
        """Return the state of the stages behind the ring."""
        return self._freeze(self._chain.save_behind())

    def take(self) -> Arrays:
        """Return the packets since the last call."""
        packets, events = self._chain.take_tapped()
        return {"packets": packets, "events": events}

    def stop(self) -> None:
        """Keep nothing any more."""
        self._chain.tap(0)


class LineTap:
    """Of a stream of lines. `take` gives `lines`, int64 rows (bytes, bytes of the origin), `text`, which holds both of
    each line, and `idle_ms`, how long its key had been silent, NaN where that was not known.

    Args:
        freeze: makes a snapshot.
        most_bytes: from here on it is full.
    """

    def __init__(self, freeze: Callable[[], Frozen], most_bytes: int) -> None:
        self._freeze, self._most_bytes = freeze, most_bytes
        self._lines: list[tuple[bytes, bytes, float]] = []
        self._bytes = 0
        self._stopped = False

    @property
    def full(self) -> bool:
        """Whether it is time to take."""
        return self._bytes >= self._most_bytes

    def add(self, data: bytes, origin: str, idle_ms: float | None) -> None:
        """Keep a line."""
        if self._stopped:
            return
        sender = origin.encode("utf-8", "surrogatepass")
        self._lines.append((data, sender, np.nan if idle_ms is None else idle_ms))
        self._bytes += len(data) + len(sender) + 24

    def freeze(self) -> Frozen:
        """Return the state between two lines."""
        return self._freeze()

    def take(self) -> Arrays:
        """Return the lines since the last call."""
        lines, self._lines, self._bytes = self._lines, [], 0
        return {
            "lines": np.array([(len(data), len(sender)) for data, sender, _ in lines], np.int64).reshape(-1, 2),
            "text": np.frombuffer(b"".join(part for line in lines for part in line[:2]), np.uint8),
            "idle_ms": np.array([idle_ms for *_, idle_ms in lines], np.float64),
        }

    def stop(self) -> None:
        """Keep nothing any more."""
        self._stopped = True
        self._lines, self._bytes = [], 0


def joined(parts: Sequence[Arrays]) -> Arrays:
    """Return what several calls of `take` gave as if it had been one; at least one."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
