"""Windows of events as dense arrays: frames of counts, voxel grids, surfaces of time, points (docs/encoders.md)."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt

from edgesnn import _native
from edgesnn.encode.registry import ENCODERS
from edgesnn.errors import UsageError
from edgesnn.events.decoder import whole_sensor
from edgesnn.events.described import Written, parse
from edgesnn.events.filters import Chain, FilterLike, parse_filters
from edgesnn.events.recording import Recording
from edgesnn.events.recording import open as open_recording
from edgesnn.units import parse_duration_us

Array = npt.NDArray[Any]
Duration = str | int
"""A text with its unit ("50ms"), or whole microseconds."""


@dataclass(frozen=True)
class Encoder(Written):
    """An encoder with all its parameters."""

    word: ClassVar[str] = "encoder"
    known = ENCODERS


EncoderLike = str | Mapping[str, Any] | Encoder


@dataclass(frozen=True, eq=False)
class ArrayWindow:
    """One window of a stream.

    Attributes:
        number: in the stream.
        t0_us, t1_us: by time: its start and end; by count: its first and its last event's time.
        events: how many it has.
        array: what the encoder made of them; yours.
    """

    number: int
    t0_us: int
    t1_us: int
    events: int
    array: Array


def parse_encoder(source: EncoderLike, *, where: str = "encoder") -> Encoder:
    """Return the encoder of a text or of a JSON object; defaults are filled in.

    Raises:
        UsageError: an unknown encoder or parameter, or a value that it cannot have.

    >>> parse_encoder("surface:tau=20ms").json
    {'encoder': 'surface', 'tau_us': 20000, 'memory': 'stream', 'polarity': 'split'}
    """
    return parse(Encoder, source, where)


def encode_array(
    events: Array,
    encoder: EncoderLike,
    sensor: tuple[int, int],
    *,
    t0_us: int | None = None,
    t1_us: int | None = None,
    first_event: int = 0,
    out: Array | None = None,
) -> Array:
    """Return one window as an array: `out`, or a new one.

    Args:
        events: of dtype `edgesnn.EVENT`, in stream order; times that step back count as the largest before them, and
            those outside the window as its end that is nearer.
        encoder: such as "voxel:bins=5".
        sensor: (width, height).
        t0_us, t1_us: the window; default the first event's time and the last reached.
        first_event: index in the stream of `events[0]`; only `points` draws by it.
        out: of the encoder's shape and dtype, C-contiguous; every element is written.

    Raises:
        UsageError: an encoder that cannot be, another dtype, an `out` that does not fit.
        RecordingError: an event outside the sensor.

    >>> import numpy as np
    >>> from edgesnn.events.types import EVENT
    >>> events = np.array([(0, 1, 0, 1), (30, 1, 0, 1), (99, 0, 1, 0)], EVENT)
    >>> encode_array(events, "frames:steps=2,polarity=merged", (2, 2), t0_us=0, t1_us=100).tolist()
    [[[[0, 2], [0, 0]]], [[[0, 0], [1, 0]]]]
    """
    chosen = parse_encoder(encoder)
    native = _native.encode.ArrayEncoder(chosen.name, chosen.numbers, whole_sensor(sensor))
    made: Array = native.encode(events, t0_us, t1_us, first_event, out)
    return made


class ArrayStream:
    """Windows of a stream as arrays; the same ones for any packets. One thread at a time uses it.

    Args:
        encoder: such as "frames:steps=4".
        sensor: (width, height) of the events.
        window, hop: of windows by time (docs/pipeline.md): "50ms" or microseconds; `hop` is `window` by default.
        window_events, hop_events: of windows by count instead.

    Raises:
        UsageError: an encoder that cannot be, or not exactly one kind of window.

    >>> import numpy as np
    >>> from edgesnn.events.types import EVENT
    >>> stream = ArrayStream("frames", (2, 1), window="1ms")
    >>> stream.push(np.array([(0, 0, 0, 1), (400, 1, 0, 1), (1000, 1, 0, 1)], EVENT))
    >>> [(w.number, w.t0_us, w.t1_us, w.events, w.array.sum()) for w in iter(stream.poll, None)]
    [(0, 0, 1000, 2, np.uint64(2))]
    """

    def __init__(
        self,
        encoder: EncoderLike,
        sensor: tuple[int, int],
        *,
        window: Duration | None = None,
        hop: Duration | None = None,
        window_events: int | None = None,
        hop_events: int | None = None,
    ) -> None:
        self.encoder = parse_encoder(encoder)
        windows = _windows(window, hop, window_events, hop_events)
        self._native = _native.encode.ArrayStream(
            self.encoder.name, self.encoder.numbers, whole_sensor(sensor), *windows
        )

    def push(self, events: Array, *, t_end_us: int | None = None) -> None:
        """Give the next packet; it is copied. `poll` until None before the next one.

        Raises:
            UsageError: another dtype, windows of the packet before it wait to be polled, or `finish` was called.
            RecordingError: an event outside the sensor; nothing changes then.
        """
        self._native.push(events, t_end_us)

    def poll(self) -> ArrayWindow | None:
        """Return the next window that the packets so far complete, or None. A window without an event comes too."""
        made = self._native.poll()
        return None if made is None else ArrayWindow(*made)

    def finish(self) -> None:
        """Say that no packet follows: behind the windows that wait, an unfinished one is dropped and counted."""
        self._native.finish()

    def save(self) -> dict[str, Array]:
        """Return the state between two packets, name -> array.

        Raises:
            UsageError: windows wait to be polled.
        """
        state: dict[str, Array] = self._native.save()
        return state

    def load(self, state: Mapping[str, Array]) -> None:
        """Go on from a state of the same encoder, sensor and windows; what waits to be polled is forgotten.

        Raises:
            ModelError: it is of others, or contradicts itself; nothing changes then.
        """
        self._native.load(dict(state))

    @property
    def counters(self) -> dict[str, int]:
        """Counters by name, those of a pipeline's windows (docs/pipeline.md)."""
        counters: dict[str, int] = self._native.counters()
        return counters


def encode_windows(
    source: str | os.PathLike[str] | Recording | Iterable[Array],
    encoder: EncoderLike,
    *,
    sensor: tuple[int, int] | None = None,
    window: Duration | None = None,
    hop: Duration | None = None,
    window_events: int | None = None,
    hop_events: int | None = None,
    filters: Iterable[FilterLike] = (),
) -> Iterator[ArrayWindow]:
    """Yield the windows of a recording, or of packets, as arrays; in bounded memory.

    Args:
        source: a path, a `Recording`, or an iterable of event arrays.
        encoder, window, hop, window_events, hop_events: as `ArrayStream`.
        sensor: (width, height), where the source does not say it.
        filters: before the windows (docs/filters.md).

    Raises:
        RecordingError: what cannot be read, or an event outside the sensor.
        UsageError: as `ArrayStream`; or the sensor is not known.
    """
    opened = open_recording(source, sensor=sensor) if isinstance(source, (str, os.PathLike)) else source
    if not isinstance(opened, (Recording, Iterable)):
        raise UsageError("not a recording", where="source", found=type(opened).__name__, expected="a file, or packets")
    size = opened.sensor or sensor if isinstance(opened, Recording) else sensor
    if size is None:
        raise UsageError("encoders need the sensor size", where="sensor", hint="pass --sensor WxH or sensor=(w, h)")
    chain = Chain(chosen, sensor=size) if (chosen := parse_filters(filters)) else None
    lengths: dict[str, Any] = {"window_events": window_events, "hop_events": hop_events}
    stream = ArrayStream(encoder, chain.sensor if chain else size, window=window, hop=hop, **lengths)
    return _encoded(_packets(opened), chain, stream)


def _encoded(
    packets: Iterable[tuple[Array, int | None]], chain: Chain | None, stream: ArrayStream
) -> Iterator[ArrayWindow]:
    for events, t_end_us in packets:
        if chain is not None:
            latest = int(events["t"].max()) if len(events) else t_end_us
            t_end_us = latest if t_end_us is None or latest is None else max(latest, t_end_us)
            events = chain.push(events, t_end_us=t_end_us)
        stream.push(events, t_end_us=t_end_us)
        yield from iter(stream.poll, None)
    stream.finish()


def _packets(opened: Recording | Iterable[Array]) -> Iterator[tuple[Array, int | None]]:
    """Yield packets, and the time reached at their end where that is known."""
    if isinstance(opened, Recording):
        for events, _ in opened.steps():
            yield events, opened.t_end_us
    else:
        yield from ((packet, None) for packet in opened)


def _windows(window: Any, hop: Any, window_events: Any, hop_events: Any) -> tuple[int, int, bool]:
    """Return (length, hop, by count)."""
    if (window is None) == (window_events is None):
        raise UsageError("windows are by time or by count", where="window", expected="window or window_events")
    if (hop if window is None else hop_events) is not None:
        raise UsageError("the hop is of the other kind of window", where="hop", expected="that of the window")
    kind, length, step = ("", window, hop) if window is not None else ("_events", window_events, hop_events)
    number = _length(length, f"window{kind}")
    return number, number if step is None else _length(step, f"hop{kind}"), window is None


def _length(value: Any, where: str) -> int:
    unit = "events" if where.endswith("events") else "microseconds"
    try:
        is_text = isinstance(value, str) and unit != "events"
        number = parse_duration_us(value, where=where) if is_text else operator.index(value)
    except TypeError:
        number = 0
    bits = 22 if where == "window_events" else 40  # so many events may wait
    if not 1 <= number <= 1 << bits:
        raise UsageError("not a window", where=where, found=repr(value), expected=f"1 to 2^{bits} {unit}")
    return number
