"""Events of the messages of one topic, message by message. docs/formats.md, "ROS messages"."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import DecoderOptions, Result, Sensor, native_decoder
from edgesnn.events.formats.ros_messages import DVS, EventMessage
from edgesnn.events.seek import State

FEED_BYTES = 1 << 16
_PLACES = 4096  # messages whose places are remembered: a decoder may complain of an earlier one

# As native/events/decode/ros.hpp has it.
_FRAME = struct.Struct("<4sBBxxqqq")
_KINDS = {"mono": 2, "libcaer": 3, "libcaer_cmp": 4}
_PACKED, _ALIGNED = 0, 1
_FIRST_BYTES = 14  # of aligned events the first is packed, with a byte of padding


class Place(NamedTuple):
    """Where a message lies, for errors.

    Attributes:
        where: the file.
        number: of the message.
        at: where it begins; of one in pieces or packed, where the first of them or the pack does.
        exact: it lies there in one piece, not packed.
    """

    where: str
    number: int
    at: int
    exact: bool = True


class RosEvents:
    """Decodes the messages of one topic; what one leaves open goes on in the next. One thread at a time.

    Args:
        encoding: of all of them.
        sensor: (width, height), None: not known.
        on_corrupt: "strict" ends at the first damage, "skip" counts it and goes on.
    """

    def __init__(self, encoding: str, sensor: Sensor | None, on_corrupt: str) -> None:
        self.encoding = encoding
        self._words = encoding == "evt3"
        self._decoder = native_decoder("evt3" if self._words else "ros", DecoderOptions(sensor, on_corrupt))
        self._places: list[tuple[int, Place, int]] = []
        self._bytes = 0  # of events, of all messages so far
        self._waiting: list[Any] = []
        self._waiting_bytes = 0
        self._gap = False
        self.triggers = self._decoder.triggers

    @property
    def t_end_us(self) -> int | None:
        """The largest sensor time reached, None before the first."""
        return self._decoder.t_end_us

    @property
    def counters(self) -> dict[str, int]:
        """Every departure so far."""
        return self._decoder.counters

    def save(self) -> tuple[State, tuple[Any, ...]]:
        """Return the decoder's state and what else is open, where no message waits."""
        return self._decoder.save(), (self._places[-1:], self._bytes, self._gap)

    def load(self, state: State, more: tuple[Any, ...]) -> None:
        """Go on there."""
        self._decoder.load(state)
        places, self._bytes, self._gap = more
        self._places = list(places)

    def lost(self) -> Iterator[Result]:
        """Messages are missing before the next: rows and columns that later words lean on are not known any more."""
        yield from self.flush()
        self._gap = True
        self._decoder.lost()

    def take(self, message: EventMessage, place: Place) -> Iterator[Result]:
        """Decode a message; small ones wait for those behind them."""
        self._places.append((self._bytes, place, message.at))
        if len(self._places) > 2 * _PLACES:
            del self._places[:_PLACES]
        parts = [message.data] if self._words else self._framed(message)
        self._bytes += len(message.data)
        self._gap = False
        size = sum(map(len, parts))
        if size < FEED_BYTES:
            self._waiting += map(bytes, parts)  # not views of what may be a large buffer
            self._waiting_bytes += size
            if self._waiting_bytes >= FEED_BYTES:
                yield from self.flush()
            return
        yield from self.flush()
        for part in parts:
            for start in range(0, len(part), FEED_BYTES):
                yield self._placed(self._decoder.feed(part[start : start + FEED_BYTES]))

    def flush(self) -> Iterator[Result]:
        """Decode the messages that wait."""
        if self._waiting:
            data, self._waiting, self._waiting_bytes = b"".join(self._waiting), [], 0
            yield self._placed(self._decoder.feed(data))

    def finish(self) -> Iterator[Result]:
        """Say that no message follows."""
        yield from self.flush()
        yield self._placed(self._decoder.finish())

    def _framed(self, message: EventMessage) -> list[Any]:
        data = message.data
        if message.encoding != DVS:
            return [self._frame(_KINDS[message.encoding], message.base_ns, len(data), 0), data]
        if not message.aligned or not len(data):
            return [self._frame(_PACKED, 0, len(data), 0), data]
        first, rest = data[: _FIRST_BYTES - 1], data[_FIRST_BYTES:]
        parts = [self._frame(_PACKED, 0, len(first), 0), first]
        if len(rest):
            parts += [self._frame(_ALIGNED, 0, len(rest) + 1, _FIRST_BYTES), rest, b"\0"]
        return parts

    def _frame(self, kind: int, base_ns: int, size: int, skipped: int) -> bytes:
        base_ns = base_ns if base_ns < 1 << 63 else -1
        return _FRAME.pack(b"EVPK", kind, self._gap, base_ns, size, self._bytes + skipped)

    def _placed(self, result: Result) -> Result:
        """Say of an error in which message of the file it lies."""
        events, t_end_us, error = result
        if not isinstance(error, RecordingError) or error.offset is None or not self._places:
            return result
        at = max(bisect_right(self._places, error.offset, key=lambda one: one[0]) - 1, 0)
        start, place, data_at = self._places[at]
        within = data_at + error.offset - start
        return events, t_end_us, place_error(error.what, place, within, hint=error.hint)


def place_error(what: str, place: Place, within: int = 0, *, hint: str | None = None) -> RecordingError:
    """Make the error of a message, at this byte of it."""
    hint = hint or "to go on pass --on-corrupt=skip"
    if place.exact:
        return RecordingError(f"message {place.number}: {what}", where=place.where, offset=place.at + within, hint=hint)
    what = f"message {place.number}, byte {within} of it: {what}"
    return RecordingError(what, where=place.where, offset=place.at, hint=hint)
