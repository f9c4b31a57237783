"""The packets of AEDAT4, of a file or a connection, fed in any split. docs/formats.md, "AEDAT4"."""

from __future__ import annotations

import re
import struct
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from edgesnn.events.formats import aedat4_header
from edgesnn.events.formats.aedat4_frames import FrameError, frame
from edgesnn.events.formats.aedat4_header import IoHeader
from edgesnn.events.formats.base import NO_COUNTERS, Result, Sensor, printable
from edgesnn.events.seek import State
from edgesnn.events.types import EVENT, TRIGGER

_HEAD = struct.Struct("<ii4s")  # stream, size, and the first four bytes of the content
_HEAD_BYTES = 8
_LENGTH = struct.Struct("<I")
_MOST_HEADER = 1 << 20
_MOST_PACKET = 1 << 28
_JOINED_BYTES = 1 << 20
_MOST_RATIO = 64  # of a packet's size after and before unpacking, beyond the first MiB
_IDENTIFIER = re.compile(rb"[A-Z]{4}")
_MOST_WAITING = 1 << 18  # events; as native/events/decode/aedat4.hpp has it
_CONTENTS = {"EVTS": False, "TRIG": True}  # types that are read -> are triggers


T = TypeVar("T")
Steps = Generator[Result, None, T]
"""Yields parts where many events wait, returns what is left to do."""


class Packets:
    """Turns the bytes of packets, in any split, into events and triggers. One thread at a time.

    Args:
        header: what the IOHeader says; None: a connection, whose first bytes are a length and the IOHeader.
        sensor: (width, height), instead of what the header says.
        on_corrupt: "strict" ends at the first damage, "skip" counts it and goes on with the next packet.
        where: the file or source, for messages.
        offset: where the first byte lies in the file.
        end: where the packets end in the file, None where that is not known.
    """

    def __init__(
        self,
        header: IoHeader | None,
        *,
        sensor: Sensor | None = None,
        on_corrupt: str = "strict",
        where: str = "",
        offset: int = 0,
        end: int | None = None,
    ) -> None:
        self.header: IoHeader | None = None
        self.sensor = sensor
        self._where = where
        self._strict = on_corrupt == "strict"
        self._offset = offset  # of the next byte
        self._end = end
        self._error: Exception | None = None
        self._begun = bytearray()  # a packet's header or the IOHeader, as far as it is here
        self._lost: bytearray | None = None  # searched for the next packet
        self._start = 0  # of the packet
        self._size = 0
        self._left = 0  # bytes of its content to come
        self._triggers: bool | None = None  # what it holds, None: it is passed over
        self._joined = bytearray()  # of its content, where it comes in pieces: the first _have bytes
        self._have = 0
        self._piecewise_until = 0
        self._produced = 0  # bytes that were unpacked
        if header is not None:
            self._open(header)

    @property
    def t_end_us(self) -> int | None:
        """The largest sensor time reached, None before the first."""
        return self._native.t_end_us if self.header is not None else None

    @property
    def counters(self) -> dict[str, int]:
        """Every departure so far."""
        return self._native.counters if self.header is not None else dict(NO_COUNTERS)

    def feed(self, buffer: Any) -> Result:
        """Decode more bytes; returns (events, t_end_us, error): the events before an error are not lost."""
        return _joined(self.parts(buffer))

    def finish(self) -> Result:
        """Say that no byte follows. Returns as `feed` does."""
        return _joined(self.last_parts())

    def parts(self, buffer: Any) -> Iterator[Result]:
        """Decode more bytes as `feed` does, some megabytes of events at once; the last part has the error."""
        view = memoryview(buffer).cast("B")
        while len(view) and self._error is None:
            if self.header is None:
                view = self._io_header(view)
            elif self._lost is not None:
                view = self._search(view)
            elif self._left:
                view = yield from self._content(view)
            else:
                view = view if self._begun else self._run(view)
                if self._full:
                    yield self._result()
                else:
                    view = yield from self._head(view)
        yield self._result()

    def last_parts(self) -> Iterator[Result]:
        """Finish as `finish` does, in parts."""
        if self._error is None and self.header is None and self._begun:
            self._error = aedat4_header.damaged("the header is cut", self._where, 0)
        if self._error is None and self.header is not None:
            yield from self._end_packet()
        if self._error is None and self.header is not None:
            self._error = self._native.finish()
        yield self._result()

    def _end_packet(self) -> Steps[None]:
        """The last packet is whole, or it is counted as cut."""
        start, have = self._native.unfinished()
        if not have:
            view = self._pending(memoryview(b""))
            while len(view):
                view = yield from (self._content(view) if self._left else self._head(view))
            if self._have:
                yield from self._unpack_cut()
            start = self._start
            have = len(self._begun) if self._begun else self._size - self._left + _HEAD_BYTES if self._left else 0
        if have and self._error is None:
            self._error = self._native.cut(start, have, f"the last AEDAT4 packet is cut after {have} bytes")

    @property
    def _full(self) -> bool:
        """Many events wait to be handed on."""
        return self.header is not None and self._error is None and self._native.waiting >= _MOST_WAITING

    def lacks(self) -> int:
        """Return how many bytes are missing to the end of a packet; 0: none is begun, -1: that is not known."""
        if self.header is None or self._error is not None or self._lost is not None or self._begun:
            return -1
        return self._left or int(self._native.lacks())

    def save(self) -> State:
        """Return the state, where no packet is begun."""
        state: State = self._native.save()
        return state

    def load(self, state: State, offset: int) -> None:
        """Take it, for bytes that begin there in the file."""
        self._native.load(state)
        self._offset = offset

    def triggers(self) -> npt.NDArray[Any]:
        """Return the triggers decoded since the last call."""
        return self._native.triggers() if self.header is not None else np.zeros(0, TRIGGER)

    def refuse(self, offset: int, what: str) -> None:
        """Count damage at this byte of the file; where strict, it is the error from here on."""
        self._error = self._error or self._native.refuse(offset, what)

    def _result(self) -> Result:
        if self.header is None:
            return np.zeros(0, EVENT), None, self._error
        return self._native.take(), self._native.t_end_us, self._error

    def _open(self, header: IoHeader) -> None:
        from edgesnn import _native

        self.header = header
        self.sensor = self.sensor or header.sensor()[0]
        width, height = self.sensor or (0, 0)
        self._native = _native.events.Aedat4Packets(width, height, self._strict, printable(self._where))
        self._frame = frame(header.compression, self._where)
        self._read = {header.first(kind): triggers for kind, triggers in _CONTENTS.items()}
        events, triggers = (-1 if (number := header.first(kind)) is None else number for kind in _CONTENTS)
        unpack = getattr(self._frame, "whole", None)
        self._native.set_streams(list(header.streams), events, triggers, header.compression, unpack)

    def _io_header(self, view: memoryview) -> memoryview:
        """Take bytes of the connection's IOHeader."""
        need = _LENGTH.size
        if len(self._begun) >= need:
            need += _LENGTH.unpack_from(self._begun)[0]
        if need > _MOST_HEADER:
            self._error = aedat4_header.damaged("the IOHeader is no such", self._where, self._offset)
            return view
        used = need - len(self._begun)
        self._begun += view[:used]
        self._offset += min(used, len(view))
        if len(self._begun) == need > _LENGTH.size:
            try:
                self._open(aedat4_header.read(self._begun, self._where, 0))
            except Exception as error:  # of the peer's bytes or a package that is not installed
                self._error = error
            self._begun = bytearray()
        return view[used:]

    def _run(self, view: memoryview) -> memoryview:
        """Take the packets that need no care; what is left begins with one that needs some."""
        used, odd, self._error = self._native.run(view, self._offset, -1 if self._end is None else self._end)
        self._offset += used
        return self._pending(view[used:]) if odd else view[used:]

    def _pending(self, rest: memoryview) -> memoryview:
        """Return what waits in the native part, and the rest behind it."""
        pending = self._native.take_pending()
        self._offset -= len(pending)
        return memoryview(pending + rest)

    def _head(self, view: memoryview) -> Steps[memoryview]:
        """Take bytes of a packet's header, and look at those behind it."""
        if not len(view) or self._error is not None:
            return view
        if not self._begun:
            self._start = self._offset
        used = _HEAD.size - len(self._begun)
        self._begun += view[:used]
        if len(self._begun) < _HEAD.size:
            self._offset += len(view)
            return view[len(view) :]
        head, self._begun = bytes(self._begun), bytearray()
        complaint = self._complaint(head, self._start)
        if complaint is not None:
            self._error = self._native.refuse(self._start, complaint)
            self._lost = bytearray(head[1:])
            self._offset += used
            return view[used:]
        self._begin(head)
        if used >= len(head) - _HEAD_BYTES:  # the content begins in this view
            back = len(head) - _HEAD_BYTES
            self._offset = self._start + _HEAD_BYTES
            return view[used - back :]
        self._offset = self._start + _HEAD_BYTES
        yield from self._content(memoryview(head)[_HEAD_BYTES:])
        return view[used:]

    def _complaint(self, head: bytes, start: int) -> str | None:
        """Say why this is no packet's header; None where it is one."""
        assert self.header is not None
        stream, size, mark = _HEAD.unpack(head)
        if stream not in self.header.streams:
            return f"the header names no stream {stream}"
        if not 4 <= size <= _MOST_PACKET or (self._end is not None and size > self._end - start - _HEAD_BYTES):
            return f"it cannot have {size} bytes"
        if mark != (self._frame.magic or _LENGTH.pack(size - 4)):
            return f"its content is not {self.header.compression}"
        return None

    def _begin(self, head: bytes) -> None:
        stream, self._size, _ = _HEAD.unpack(head)
        self._left = self._size
        self._produced = 0
        self._triggers = self._read.get(stream)
        if self._triggers is not None:
            self._native.begin(self._triggers, self._start)
            self._frame.begin(self._size)

    def _content(self, view: memoryview) -> Steps[memoryview]:
        """Take bytes of a packet's content; a small one is unpacked when all of it is here."""
        piece, rest = view[: self._left], view[self._left :]
        self._left -= len(piece)
        self._offset += len(piece)
        if self._triggers is None:
            return rest
        piecewise = self._size > _JOINED_BYTES or self._start < self._piecewise_until or not self._frame.magic
        if piecewise or len(piece) == self._size:
            unused = yield from self._unpack(piece)
            return view[len(piece) - unused :]
        if len(self._joined) < self._size:
            self._joined = bytearray(min(2 * self._size, _JOINED_BYTES))
        self._joined[self._have : self._have + len(piece)] = piece
        self._have += len(piece)
        if self._left:
            return rest
        joined, self._have = memoryview(self._joined)[: self._have], 0
        unused = yield from self._unpack(joined)
        return memoryview(bytes(joined[len(joined) - unused :]) + rest) if unused else rest

    def _unpack(self, piece: memoryview) -> Steps[int]:
        """Unpack and decode; return how many of the bytes are not this packet's, though its size says so."""
        if self._frame.magic and len(piece) == self._size:
            unpacked, error = self._native.unpack(piece)
            if unpacked:
                self._error = error
                return 0
        try:
            for out in self._frame.pieces(piece, len(piece) == self._size):
                self._produced += len(out)
                if self._produced > _MOST_RATIO * self._size + (1 << 20):
                    raise FrameError(f"it unpacks to more than {_MOST_RATIO} times its size")
                self._error = self._error or self._native.feed(out)
                if self._full:
                    yield self._result()
            if not self._left and not self._frame.done:
                raise FrameError("its content is cut")
        except FrameError as error:
            self._error = self._error or self._native.refuse(self._start, str(error))
            self._triggers = None
            return 0
        if self._frame.done:
            self._error = self._error or self._native.end()
        if not self._frame.done or not (self._left or self._frame.unused):
            return 0
        what = f"it has {self._size} bytes and its content fewer"
        self._error = self._error or self._native.refuse(self._start, what)
        # Packets inside are taken as they come: sizes that lie cannot make us join the same bytes again and again.
        self._piecewise_until = max(self._piecewise_until, self._start + _HEAD_BYTES + self._size)
        self._left = 0
        self._offset -= self._frame.unused
        return self._frame.unused

    def _unpack_cut(self) -> Steps[None]:
        """Decode what is here of the last packet."""
        try:
            for out in self._frame.pieces(memoryview(self._joined)[: self._have], False):
                self._error = self._error or self._native.feed(out)
                if self._full:
                    yield self._result()
        except FrameError:
            pass  # it is counted as cut

    def _search(self, view: memoryview) -> memoryview:
        """Look for the header of a packet; what is before it is lost."""
        assert self._lost is not None
        first = self._offset - len(self._lost)
        self._lost += view
        self._offset += len(view)
        mark = self._frame.magic
        back = _HEAD_BYTES if mark else _HEAD_BYTES + 8
        at = 0
        while (at := self._mark(at)) >= 0:
            start = at - back
            if start >= 0 and self._complaint(bytes(self._lost[start : start + _HEAD.size]), first + start) is None:
                found = memoryview(bytes(self._lost[start:]))
                self._lost = None
                self._offset = first + start
                return found
            at += 1
        del self._lost[: max(len(self._lost) - back - _HEAD.size, 0)]
        return view[len(view) :]

    def _mark(self, at: int) -> int:
        """Return where the next content's mark lies, from `at` on; -1: there is none."""
        assert self._lost is not None
        if self._frame.magic:
            return self._lost.find(self._frame.magic, at)
        match = _IDENTIFIER.search(self._lost, at)
        return match.start() if match else -1


def _joined(parts: Iterator[Result]) -> Result:
    """Return parts as one."""
    every = list(parts)
    _, t_end_us, error = every[-1]
    return (every[0][0] if len(every) == 1 else np.concatenate([events for events, _, _ in every])), t_end_us, error
