"""Decoders of live streams: by format, and for datagrams of which one may be missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edgesnn.errors import RecordingError
from edgesnn.events import registry
from edgesnn.events.formats import raw_header
from edgesnn.events.formats.aedat4_packets import Packets
from edgesnn.events.formats.base import (
    HEAD_BYTES,
    DecoderOptions,
    FormatDecoder,
    Head,
    Result,
    StreamFormat,
    is_stream,
    printable,
)
from edgesnn.events.sources.address import Address
from edgesnn.events.sources.base import Link
from edgesnn.events.types import EVENT

_HEADED = ("dat", "evt2", "evt21", "evt3")
_HEADER = b"% "
_END = b"% end\n"
_LONGEST_LINE = 1 << 12
_FIRST_BYTES = 8  # behind a header: what it may lean on
_WORD_BYTES = {"dat": 8, "evt2": 4, "evt21": 8, "evt3": 2, "nmnist": 5}
_DAMAGE = ("bad_words", "out_of_range", "unplaced_events", "time_resyncs", "time_backward")
"""What words that are read from a wrong place count."""
AEDAT4 = "aedat4"
"""What iniVation's runtime sends over a connection is not what its files hold."""
TIME_WORDS = ("evt2", "evt21", "evt3")
"""Formats whose decoders count every jump of their time (`time_resyncs`)."""
_NOTHING: Result = (np.zeros(0, EVENT), None, None)


def check_format(name: str | None, datagrams: bool, address: Address) -> str:
    """Return the name of a format that a stream, or one of datagrams, can have; UsageError where it is none."""
    streams = [AEDAT4, *(one for one in registry.names() if is_stream(registry.get(one)))]
    if name == AEDAT4 and not datagrams:
        return name
    if name is None:
        expected = f"one of {', '.join(streams)}"
        raise address.wrong("the format is not said", expected=expected, hint="add ?format=NAME, such as ?format=evt3")
    if not is_stream(registry.get(name)):
        raise address.wrong("not the format of a stream", found=repr(name), expected=f"one of {', '.join(streams)}")
    return name


def make_decoder(name: str, link: Link, options: DecoderOptions) -> FormatDecoder:
    """Make the decoder of a new connection."""
    if name == AEDAT4:
        return ConnectionDecoder(options)
    kind = registry.get(name)
    assert is_stream(kind)
    if not link.datagrams:
        return HeadedDecoder(kind, options) if name in _HEADED else kind.decoder(options)
    size = word_bytes(name)
    return DatagramDecoder(kind.decoder(options), size) if size > 1 else kind.decoder(options)


def word_bytes(name: str | None) -> int:
    """Return the size of a format's words, 1 where it has none."""
    return _WORD_BYTES.get(name or "", 1)


class _Wrapped:
    """A decoder by means of another; a child adds what it does otherwise."""

    _decoder: FormatDecoder

    @property
    def t_end_us(self) -> int | None:
        return self._decoder.t_end_us

    @property
    def counters(self) -> dict[str, int]:
        return self._decoder.counters

    def finish(self) -> Result:
        """Say that no byte follows."""
        return self._decoder.finish()

    def triggers(self) -> Any:
        """Return the triggers since the last call."""
        return self._decoder.triggers()

    def lost(self) -> None:
        """Say that bytes are missing before the next."""
        self._decoder.lost()

    def save(self) -> dict[str, Any]:
        """Return the decoder's state."""
        return self._decoder.save()

    def load(self, arrays: dict[str, Any], /) -> None:
        """Take the decoder's state."""
        self._decoder.load(arrays)


class DatagramDecoder(_Wrapped):
    """A decoder that finds the words' beginning again after a datagram that split one is lost.

    A datagram of whole words begins with one. One that gives many words that are none was read from a wrong place, or
    is no sender's of ours: what it left behind is forgotten. Where datagrams split words it is read again from every
    place where a word may begin: read from the right one it gives next to none, from the others one in three.
    """

    def __init__(self, decoder: FormatDecoder, word_bytes: int) -> None:
        self._decoder = decoder
        self._word_bytes = word_bytes
        self._half = 0

    def feed(self, buffer: Any, /) -> Result:
        """Decode a datagram, or several of whole words."""
        size = len(buffer)
        if self._half and size % self._word_bytes == 0:
            self.lost()
        self._half = (self._half + size) % self._word_bytes
        if self._half == 0 and size % self._word_bytes == 0:
            result, damage = self._fed(buffer, ("bad_words",))
        else:
            result, damage = self._fed_anywhere(buffer)
        if 8 * damage * self._word_bytes > size:
            self.lost()
        return result

    def lost(self) -> None:
        """Say that bytes are missing before the next."""
        self._decoder.lost()
        self._half = 0

    def _fed(self, buffer: Any, names: tuple[str, ...] = _DAMAGE) -> tuple[Result, int]:
        """Decode, and count the words that were none."""
        before = self._decoder.counters
        result = self._decoder.feed(buffer)
        after = self._decoder.counters
        return result, sum(after[name] - before[name] for name in names)

    def _fed_anywhere(self, buffer: Any) -> tuple[Result, int]:
        """Decode a datagram that goes on with half a word, or ends with one; from another place where it must be."""
        before = self._decoder.save()
        result, damage = self._fed(buffer)
        if not damage:
            return result, damage
        after = self._decoder.save()
        for skipped in range(min(self._word_bytes, len(buffer))):
            self._decoder.load(before)
            self._decoder.lost()
            other, less = self._fed(buffer[skipped:])
            if less < damage:
                result, damage, after = other, less, self._decoder.save()
                self._half = (len(buffer) - skipped) % self._word_bytes
        self._decoder.load(after)
        return result, damage


class ConnectionDecoder:
    """AEDAT4 over a connection: an IOHeader, which says the sensor, then packets. docs/formats.md, "AEDAT4".

    Attributes:
        sensor: (width, height), None before the header.
    """

    def __init__(self, options: DecoderOptions) -> None:
        self._packets = Packets(None, sensor=options.sensor, on_corrupt="skip", where=options.where)
        self.feed = self._packets.feed
        self.finish = self._packets.finish
        self.triggers = self._packets.triggers

    @property
    def sensor(self) -> tuple[int, int] | None:
        return self._packets.sensor

    @property
    def t_end_us(self) -> int | None:
        return self._packets.t_end_us

    @property
    def counters(self) -> dict[str, int]:
        return self._packets.counters

    def lost(self) -> None:
        """Nothing: a connection loses nothing."""

    def save(self) -> dict[str, Any]:
        """Return nothing: it is not saved."""
        return {}

    def load(self, arrays: dict[str, Any], /) -> None:
        """Take nothing."""


def options(link: Link, address: Address, sensor: tuple[int, int] | None) -> DecoderOptions:
    """Return how the decoders of this source are made: damage is counted, never an end."""
    variant = address.options.get("variant", link.variant)
    return DecoderOptions(sensor, "skip", 0, printable(address.url), variant)


class HeadedDecoder(_Wrapped):
    """A decoder of a stream that may begin as a file does: with a text header, which says sensor and variant.

    Attributes:
        sensor: (width, height), None where nobody has said it yet.
    """

    def __init__(self, kind: StreamFormat, options: DecoderOptions) -> None:
        self.sensor = options.sensor
        self._kind = kind
        self._options = options
        self._begun: bytearray | None = bytearray()
        self._decoder = kind.decoder(options)

    def feed(self, buffer: Any, /) -> Result:
        """Decode bytes; those of a header wait until it ends."""
        if self._begun is None:
            return self._decoder.feed(buffer)
        self._begun += buffer
        return self._start() if _ends_header(self._begun) else _NOTHING

    def finish(self) -> Result:
        """Decode what waits, and say that no byte follows."""
        begun, t_end_us, error = self._start() if self._begun else _NOTHING
        events, end_us, last_error = self._decoder.finish()
        return np.concatenate([begun, events]), end_us or t_end_us, error or last_error

    def _start(self) -> Result:
        """Decode the first bytes, after the header if there is one."""
        assert self._begun is not None
        begun, self._begun = bytes(self._begun), None
        if raw_header.split(begun)[1] == 0:
            return self._decoder.feed(begun)
        try:
            header = self._kind.header(Head(begun, len(begun), "", self._options.where))
        except RecordingError as error:
            return np.zeros(0, EVENT), None, error
        self.sensor = self.sensor or header.sensor
        variant = self._options.variant or header.variant
        self._decoder = self._kind.decoder(replace(self._options, sensor=self.sensor, variant=variant))
        return self._decoder.feed(begun[header.data_offset :])


def _ends_header(begun: bytearray) -> bool:
    """Say whether a stream that begins so has no text header, or all of it is here, and some bytes behind it."""
    if not begun.startswith(_HEADER[: len(begun)]) or len(begun) > HEAD_BYTES:
        return True
    end = raw_header.split(bytes(begun))[1]
    rest = begun[end:]
    ended = begun[:end].endswith(_END) or not rest.startswith(b"%") or len(rest) > _LONGEST_LINE
    return ended and len(rest) >= _FIRST_BYTES
