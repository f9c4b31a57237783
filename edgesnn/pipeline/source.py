"""Where a pipeline's packets come from: a recorded file, a live source, or any iterable of event arrays."""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Protocol

import numpy as np

from edgesnn import _native
from edgesnn.errors import ModelError, UsageError
from edgesnn.events import opening, registry
from edgesnn.events.decoder import Decoder
from edgesnn.events.formats.base import printable
from edgesnn.events.recording import Recording
from edgesnn.events.sources.base import Schedule
from edgesnn.events.sources.live import LiveSource
from edgesnn.events.types import EVENT
from edgesnn.pipeline.pace import Clock, paced

_PIECE_BYTES = 1 << 15
_PIECE_EVENTS = 1 << 13
_PACED_US = 2_000
_PRIMING_BYTES = 1 << 16
_WORDS_BYTES = 320  # whole words of every format that has words
_NEVER = -(1 << 62)  # no time was reached

_log = logging.getLogger("edgesnn.pipeline")


def check_native(format: str) -> None:
    """Raise UsageError unless the native chain decodes bytes of this format itself."""
    if not registry.get(format).native:
        expected = ", ".join(registry.native_names())
        raise UsageError("no native decoder of this name", where="format", found=repr(format), expected=expected)


class Source(Protocol):
    """Gives a chain its packets.

    Attributes:
        cursor: how much has been given: bytes after the header, or packets.
        counted: the counter that says the same; None: it is right at any moment.
    """

    @property
    def cursor(self) -> int: ...

    counted: str | None

    def feed(self, chain: Any) -> bool:
        """Push the next packet into the native chain; False at the end."""

    def seek(self, cursor: int) -> None:
        """Go on from there."""

    def conclude(self, counters: Mapping[str, int]) -> None:
        """Say what is to be said after the last event; raise RecordingError where there was none."""

    def close(self) -> None:
        """Let go of the file; twice is once."""


class RecordingSource:
    """A recorded file.

    Args:
        recording: of a format that the native chain decodes itself; others go through `Recording.packets`.
        clock: paces it; None: as fast as it is asked.
    """

    counted: str | None = "bytes_in"

    def __init__(self, recording: Recording, clock: Clock | None = None) -> None:
        self.cursor = 0
        self._recording = recording
        self._clock = clock
        self._pieces = self._read(0)

    @property
    def paced(self) -> bool:
        """Whether a clock paces it."""
        return self._clock is not None

    @property
    def name(self) -> str:
        """What messages call it."""
        return printable(str(self._recording.path))

    def open(self) -> BinaryIO:
        """Return the file at the place that comes next, for a reader of its own; the caller closes it."""
        return self._recording.open_data(self.cursor)

    def feed(self, chain: Any) -> bool:
        """Push the next bytes; False at the end of the file."""
        piece = next(self._pieces, None)
        if piece is None:
            return False
        chain.push_bytes(piece)
        self.cursor += len(piece)
        return True

    def seek(self, cursor: int) -> None:
        """Go on `cursor` bytes after the header."""
        if not 0 <= cursor <= self._recording.size_bytes - self._recording.data_offset:
            raise ModelError("snapshot's place is not in this recording", where="source/cursor", found=str(cursor))
        self.close()
        self.cursor = cursor
        self._pieces = self._read(cursor)

    def conclude(self, counters: Mapping[str, int]) -> None:
        """Log the file's warnings; raise RecordingError where its bytes held no event."""
        found = {name.partition(".")[2]: n for name, n in counters.items() if name.startswith("decoder.")}
        for warning in self._recording.conclusions(counters["events_in"], counters["bytes_in"], found):
            _log.warning("%s: %s", self._recording.path, warning)

    def close(self) -> None:
        """Close the file."""
        self._pieces.close()

    def _read(self, start: int) -> Any:
        return self._paced(start, self._clock) if self._clock else self._plain(start)

    def _plain(self, start: int) -> Iterator[bytes]:
        with self._recording.open_data(start) as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece

    def _paced(self, start: int, clock: Clock) -> Iterator[bytes]:
        # only for the time; the chain's one checks
        decoder = Decoder(self._recording.format, on_corrupt="skip", variant=self._recording.variant)

        def reached_us(piece: bytes) -> int | None:
            decoder.feed_some(piece)
            return decoder.t_end_us

        before = max(0, start - _PRIMING_BYTES) // _WORDS_BYTES * _WORDS_BYTES  # the place may be inside a word
        with self._recording.open_data(before) as file:
            reached_us(file.read(start - before))
            yield from paced(file.read, reached_us, clock)


class PacketSource:
    """Any iterable of arrays of dtype `edgesnn.EVENT`, a packet each."""

    counted: str | None = "packets_in"

    def __init__(self, packets: Iterable[Any], clock: Clock | None = None) -> None:
        self.cursor = 0
        self._packets = iter(packets)
        self._clock = clock

    def feed(self, chain: Any) -> bool:
        """Push the next packet; False after the last."""
        packet = next(self._packets, None)
        if packet is None:
            return False
        t_end_us = self._end_us(packet)
        if self._clock is not None:
            due_us = int(packet["t"].max()) if len(packet) else t_end_us
            if due_us is not None:
                self._clock.wait(due_us)
        chain.push_events(packet, t_end_us)
        self.cursor += 1
        return True

    def _end_us(self, packet: Any) -> int | None:
        """Return the time reached at its end, where that is not its last event's."""
        return None

    def seek(self, cursor: int) -> None:
        """Leave out packets until `cursor` of them are gone; the iterable must be at its beginning."""
        ahead = cursor - self.cursor
        if ahead < 0 or sum(1 for _ in itertools.islice(self._packets, ahead)) < ahead:
            raise ModelError("snapshot's place is not in this source", where="source/cursor", found=str(cursor))
        self.cursor = cursor

    def conclude(self, counters: Mapping[str, int]) -> None:
        """Nothing to say: an iterable may be empty."""

    def close(self) -> None:
        """Nothing is held open."""


class ContainerSource(PacketSource):
    """A recorded file whose events the chain does not decode itself; behind the last a packet of the time that passed.

    Args:
        recording: what is read.
        clock: paces it; None: as fast as it is asked.
    """

    def __init__(self, recording: Recording, clock: Clock | None = None) -> None:
        self._recording = recording
        size = {"duration_us": _PACED_US} if clock else {"count": _PIECE_EVENTS}
        super().__init__(itertools.chain(recording.packets(**size), [np.zeros(0, EVENT)]), clock)

    def _end_us(self, packet: Any) -> int | None:
        return None if len(packet) else self._recording.t_end_us


class LiveFeed:
    """A live source. Its cursor is the time reached: a pipeline that is restored goes on with what comes.

    Args:
        source: what is read.
        sensor: that of the chain.
    """

    counted: str | None = None

    def __init__(self, source: LiveSource, sensor: tuple[int, int]) -> None:
        self._source = source
        self._sensor = sensor
        self._ahead: Schedule | None = None

    @property
    def cursor(self) -> int:
        """The time reached."""
        ahead = self._ahead
        reached_us = self._source.t_end_us if ahead is None else ahead.reached_us(time.monotonic_ns())
        return _NEVER if reached_us is None else reached_us

    def feed(self, chain: Any) -> bool:
        """Wait for the next packet and push it; False at the end of the stream.

        Into a chain with threads those that are known before they are due go at once: it waits without the GIL.

        Raises:
            UsageError: the stream says a sensor, and another was taken before that.
        """
        ahead = self._source.ahead() if isinstance(chain, _native.pipeline.ThreadedChain) else None
        if ahead is not None:
            self._push_ahead(chain, ahead)
            return True
        packet = next(self._source, None)
        if packet is None:
            return False
        if self._source.sensor not in (None, self._sensor):
            raise self._other_sensor()
        chain.push_events(packet.events, packet.t_end_us)
        return True

    def _push_ahead(self, chain: Any, ahead: Schedule) -> None:
        self._ahead = ahead
        self._source.given(ahead, chain.push_paced(ahead.events, ahead.rows))
        self._ahead = None

    def _other_sensor(self) -> UsageError:
        found, taken = ("{}x{}".format(*size) for size in (self._source.sensor, self._sensor) if size is not None)
        hint = f"say it beforehand: --sensor {found}, or sensor={found} in the address"
        return UsageError(
            "the stream is of another sensor", where=printable(self._source.url), found=found, expected=taken, hint=hint
        )

    def seek(self, cursor: int) -> None:
        """Let the stream's time go on from there."""
        if cursor != _NEVER:
            self._source.resume(cursor)

    def conclude(self, counters: Mapping[str, int]) -> None:
        """Nothing to say: nobody may have sent."""

    def close(self) -> None:
        """Close the source; a feed in another thread ends."""
        self._source.close()


def open_source(
    source: Any,
    *,
    sensor: tuple[int, int] | None,
    on_corrupt: str | None,
    format: str | None,
    columns: str | None = None,
) -> Recording | LiveSource | Iterable[Any] | None:
    """Return what `source` names: a path or an address is opened, everything else is given back.

    Raises:
        RecordingError: a file that cannot be read.
        UsageError: neither a path nor an iterable; columns of something else than a path.
    """
    if columns is not None and not isinstance(source, (str, os.PathLike)):
        raise UsageError("only a path to a table has columns", where="columns", found=repr(columns))
    if source is None or isinstance(source, (Recording, LiveSource)):
        return source
    if isinstance(source, (str, os.PathLike)):
        opened: Recording | LiveSource = opening.open(
            source, format=format, sensor=sensor, on_corrupt=on_corrupt, columns=columns
        )
        return opened
    if isinstance(source, Iterable):
        return source
    raise UsageError(
        "not a source",
        where="source",
        found=type(source).__name__,
        expected="a path, a recording, a live source or event arrays",
    )


def make_source(
    opened: Recording | LiveSource | Iterable[Any] | None, speed: float | None, sensor: tuple[int, int]
) -> Source | None:
    """Return the source of what `open_source` gave, for a chain of this sensor; UsageError on a speed of a live one."""
    if isinstance(opened, LiveSource):
        if speed is not None:
            hint = "of a replay the address says it: replay:FILE?speed=4x"
            raise UsageError("a live source has its own pace", where="speed", found=f"{speed:g}x", hint=hint)
        return LiveFeed(opened, sensor)
    clock = None if speed is None else Clock(speed)
    if opened is None:
        return None
    if not isinstance(opened, Recording):
        return PacketSource(opened, clock)
    return RecordingSource(opened, clock) if is_native(opened) else ContainerSource(opened, clock)


def is_native(recording: Recording) -> bool:
    """Say whether the native chain decodes the bytes of this recording itself."""
    return registry.get(recording.format).native
