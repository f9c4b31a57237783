"""A live source: what all of them have in common. Packets of events, a clock that goes on, states, counters."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from edgesnn.errors import UsageError
from edgesnn.events.formats.base import NO_COUNTERS, FormatDecoder, Sensor, printable
from edgesnn.events.sources import framing
from edgesnn.events.sources.address import Address
from edgesnn.events.sources.base import TICK_S, Events, Foreseeing, Link, Message, Packet, Schedule
from edgesnn.events.sources.recorder import Recorder
from edgesnn.events.sources.timeline import Timeline
from edgesnn.events.types import EVENT, TRIGGER
from edgesnn.events.writing import Writer

OPTIONS = {
    "format": "of the bytes: evt3, evt2, evt21, ...",
    "sensor": "WxH, where the source does not say it",
    "variant": "of the format: legacy of evt21, the columns of csv",
    "idle_close_ms": "how far time stays behind the clock while nothing comes (50)",
    "dead_ms": "a sender without a connection that is silent for so long is gone (2000)",
}
"""What every address may say."""
_WAIT_S = 0.1  # a message is waited for, where time does not go on; `close` waits for it
_FIRST_WAIT_S = 0.25  # the same before the first: a sender that has not come costs little
_QUIET_S = 1.0
_NOTICE_S = 60.0
_MOST_TRIGGERS = 1 << 16

_log = logging.getLogger("edgesnn.events")


def times(address: Address) -> tuple[int, int]:
    """Return `idle_close_ms` and `dead_ms` of an address; UsageError where one cannot be."""
    return address.number("idle_close_ms", 50, 0, 60_000), address.number("dead_ms", 2000, 10, 3_600_000)


class LiveSource:
    """Events as they come. An iterator of `Packet`, a context manager.

    It waits for its sender, and again when that has gone away. Damage is counted, never an error. One thread reads;
    `close`, `state` and `counters` may be used from any.

    Attributes:
        url: its address.
        format: of its bytes.
        sensor: (width, height), None where nobody says it; of AEDAT4 once a connection has.
        can_wait: the sender waits while nobody reads, and loses nothing.
        port: the one that it listens at (the system chooses where the address says 0); None: at none.
        t_end_us: time reached, None before the first event or word.
    """

    def __init__(self, address: Address, link: Link, sensor: Sensor | None) -> None:
        self.url = address.url
        self.can_wait = link.can_wait
        self.port = link.port
        self._link = link
        self._foresees = link if isinstance(link, Foreseeing) else None
        named = address.options.get("format", link.format)
        self.format = str(link.format) if link.gives_events else framing.check_format(named, link.datagrams, address)
        self.sensor = sensor or link.sensor
        self._options = framing.options(link, address, self.sensor)
        self._decoder: FormatDecoder | None = self._new_decoder()
        idle_close_ms, dead_ms = times(address)
        self._timeline = Timeline(1000 * idle_close_ms)
        self._dead_s = dead_ms / 1000
        self._lock = threading.Lock()
        self._closed = self.ended = False
        self._begun = self._fresh = False
        self._heard_s: float | None = None
        self._events_s = 0.0
        self._counts = Counter({"events": 0, "bytes": 0, "connections": 0})
        self._past: Mapping[str, int] = {}  # of the decoders of connections before this one
        self._decoded: Mapping[str, int] = {}  # of the decoder, after the last message
        self._triggers: list[Events] = []
        self._complaint = ""
        self._was_there = True
        self._noticed_s = 0.0
        self._recorder: Recorder | None = None
        self._unrecorded: list[Events] = []

    def __repr__(self) -> str:
        return f"LiveSource({printable(self.url)!r}, format={self.format!r}, sensor={self.sensor}, {self.state})"

    def __iter__(self) -> LiveSource:
        return self

    def __next__(self) -> Packet:
        """Wait for the next packet; the iteration ends with the stream, or when the source is closed."""
        while not self.ended and not self._closed:
            packet = self._read(_FIRST_WAIT_S)
            if packet is not None:
                return packet
        raise StopIteration

    def read(self, wait_s: float = 0.0) -> Packet | None:
        """Return the next packet; None where none came for so long. A quiet source gives packets without events.

        Raises:
            UsageError: the source is closed.
        """
        if self._closed:
            raise UsageError("the source is closed", where=printable(self.url))
        return self._read(wait_s)

    def ahead(self) -> Schedule | None:
        """Return packets that are known before they are due, which count as read; None: iterate, nobody knows.

        What takes them says by `given` how late each was.
        """
        with self._lock:
            if self._foresees is None or self._closed or self._recorder is not None or self._fresh:
                return None
            before_us, ahead = self._timeline.reached_us, self._foresees.ahead()
            if ahead is None:
                return None
            now_s = time.monotonic()
            self._begun, self._heard_s, self._events_s = True, now_s, now_s
            self._place(ahead.events, None, now_s, self._link.clock_sure, [])
            self._keep(ahead.triggers)
            self._counts["events"] += len(ahead.events)
            times = ahead.events["t"]
            before_us = int(times[0]) if before_us is None else before_us
            reached_us = np.maximum(np.maximum.accumulate(times)[np.array(ahead.ends) - 1], before_us)
            return Schedule(ahead.events, np.column_stack([ahead.ends, reached_us, ahead.due_ns]), before_us)

    def given(self, ahead: Schedule, late_ns: Sequence[int]) -> None:
        """Take note of how late, in ns, the first packets of a schedule were given; the others never will be."""
        given = int(ahead.rows[len(late_ns) - 1, 0]) if len(late_ns) else 0
        self._counts["events"] -= len(ahead.events) - given
        if self._foresees is not None:
            self._foresees.given(late_ns)

    @property
    def t_end_us(self) -> int | None:
        """The stream time reached."""
        return self._timeline.reached_us

    @property
    def state(self) -> str:
        """How it stands.

        "waiting": nothing has come yet; "live": events come; "quiet": the sender is there, and no events; "dead": it is
        gone, time stands still; "ended": nothing will follow; "closed".
        """
        if self._closed or self.ended:
            return "closed" if self._closed else "ended"
        if self._heard_s is None:
            return "quiet" if self._link.connected else "waiting"
        now_s = time.monotonic()
        if not self._there(now_s):
            return "dead"
        return "live" if now_s - self._events_s <= _QUIET_S else "quiet"

    @property
    def counters(self) -> dict[str, int]:
        """What came and what was lost, by name: docs/sources.md, "Counters"."""
        recorded = self._recorder.counters if self._recorder is not None else {}
        counters = {**NO_COUNTERS, "clock_resyncs": self._timeline.resyncs}
        for part in (self._past, self._decoded, self._link.counters, self._counts, recorded):
            for name, count in dict(part).items():  # a copy: the thread that reads goes on
                counters[name] = counters.get(name, 0) + count
        return counters

    @property
    def details(self) -> dict[str, Any]:
        """What else its kind of source tells, as JSON values: the jitter of a replay."""
        return dict(self._link.details())

    def triggers(self) -> Events:
        """Return the external triggers since the last call, dtype `edgesnn.events.types.TRIGGER`; the last 65,536."""
        triggers, self._triggers = self._triggers, []
        return np.concatenate([np.zeros(0, TRIGGER), *triggers])

    def record(
        self,
        path: str | os.PathLike[str],
        *,
        format: str | None = None,
        compression: str | None = None,
        rotate_bytes: int | None = None,
        rotate_us: int | None = None,
    ) -> Writer:
        """Write what comes from now on to a file too, until `close`; a crash loses at most the last second.

        Times of a file count from its first event. What a file cannot hold or a disk does not take is counted
        (`record_lost_events`) and never stops the stream.

        Args:
            path, format, compression, rotate_bytes, rotate_us: as `edgesnn.Writer` of a live recording.

        Returns:
            The writer: its `paths` and `first_us` say what was written. It is not to be used.

        Raises:
            RecordingError: the file is there already, or cannot be made.
            UsageError: the source records already; a format that is not written; a sensor that nobody has said.
        """
        if self._recorder is not None:
            raise UsageError("the source records already", where=str(path))
        writer = Writer(
            path,
            sensor=self.sensor,
            format=format,
            compression=compression,
            live=True,
            rebase=True,
            rotate_bytes=rotate_bytes,
            rotate_us=rotate_us,
        )
        with self._lock:
            self._recorder = Recorder(writer)
        return writer

    def resume(self, reached_us: int) -> None:
        """Go on from this stream time: what comes first is not before it."""
        self._timeline.resume(reached_us, time.monotonic())
        self._fresh = True

    def close(self) -> None:
        """Let go of the sender; an iteration in another thread ends. Twice is once."""
        closed, self._closed = self._closed, True
        if not closed:
            with self._lock:
                self._link.close()
                if self._recorder is not None:
                    self._recorder.close()

    def __enter__(self) -> LiveSource:
        return self

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, wait_s: float) -> Packet | None:
        until_s = time.monotonic() + wait_s
        while True:
            with self._lock:
                if self._closed:
                    return None
                packet = self._step(until_s)
                if self._recorder is not None:
                    self._record(self._recorder, packet)
            if packet is not None or self.ended or time.monotonic() >= until_s:
                return packet

    def _new_decoder(self) -> FormatDecoder | None:
        return None if self._link.gives_events else framing.make_decoder(self.format, self._link, self._options)

    def _there(self, now_s: float) -> bool:
        connected = self._link.connected
        if connected is None:
            return self._heard_s is not None and now_s - self._heard_s <= self._dead_s
        return connected

    def _step(self, until_s: float) -> Packet | None:
        now_s = time.monotonic()
        soon = self._link.clock_sure or (self._idles(now_s) and now_s - self._events_s <= _QUIET_S)
        most_s = TICK_S if soon else _WAIT_S if self._heard_s is not None else _FIRST_WAIT_S
        message = self._link.receive(max(0.0, min(most_s, until_s - now_s)))
        now_s = time.monotonic()
        if message is not None:
            packet = self._take(message, now_s)
            self._notice(now_s)
            return packet
        self._notice(now_s)
        if self._idles(now_s) and self._timeline.idle(now_s):
            return self._packet(np.zeros(0, EVENT))
        return None

    def _idles(self, now_s: float) -> bool:
        """Say whether time goes on while nothing comes."""
        told = not self._link.clock_sure and not self._fresh and self._timeline.reached_us is not None
        return told and self._there(now_s)

    def _notice(self, now_s: float) -> None:
        """Say that the sender has gone, or is back; not more than once in a while."""
        there = self._there(now_s)
        if there == self._was_there or self._heard_s is None or self.ended:
            return
        self._was_there = there
        if not there and now_s - self._noticed_s > _NOTICE_S:
            self._noticed_s = now_s
            _log.warning("%s: the sender is gone; waiting for it", printable(self.url))
        elif there and self._noticed_s:
            _log.info("%s: a sender is there", printable(self.url))

    def _packet(self, events: Events) -> Packet:
        assert self._timeline.reached_us is not None
        return Packet(events, self._timeline.reached_us)

    def _take(self, message: Message, now_s: float) -> Packet | None:
        parts: list[Events] = []
        if message.begins:
            self._finish(now_s, parts)
            self._begin()
        if message.lost and self._decoder is not None:
            self._decoder.lost()
        if len(message.data) or message.events is not None:
            self._begun = True
            self._heard_s = now_s
            self._decode(message, now_s, parts)
        if message.ends or message.last:
            self._finish(now_s, parts)
        self.ended = self.ended or message.last
        events = parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, EVENT), *parts])
        if len(events):
            self._events_s = now_s
            self._counts["events"] += len(events)
        return self._packet(events) if parts and self._timeline.reached_us is not None else None

    def _begin(self) -> None:
        self._counts["connections"] += 1
        self._fresh = True

    def _decode(self, message: Message, now_s: float, parts: list[Events]) -> None:
        if self._decoder is None:
            events = np.zeros(0, EVENT) if message.events is None else message.events
            t_end_us = message.t_end_us
            self._place(events, t_end_us, now_s, self._link.clock_sure, parts)
            self._keep(message.triggers)
            return
        self._counts["bytes"] += len(message.data)
        resyncs = self._decoded.get("time_resyncs", 0)
        events, t_end_us, error = self._decoder.feed(message.data)
        self._decoded = self._decoder.counters
        if error is not None:
            self._drop(error)
        self.sensor = self.sensor or getattr(self._decoder, "sensor", None)
        told = self._link.can_wait and self.format in framing.TIME_WORDS  # others send as their time passes
        sure = told and self._decoded["time_resyncs"] == resyncs
        self._place(events, t_end_us, now_s, sure, parts)
        self._keep(self._decoder.triggers())

    def _drop(self, error: Exception) -> None:
        """End a connection that cannot be read, and say why, once."""
        self._counts["dropped_connections"] += 1
        if str(error) != self._complaint:
            self._complaint = str(error)
            _log.warning("%s: the connection is dropped: %s", printable(self.url), error)
        self._link.drop()

    def _place(self, events: Events, t_end_us: int | None, now_s: float, sure: bool, parts: list[Events]) -> None:
        fresh, resyncs = self._fresh, self._timeline.resyncs
        if self._timeline.place(events, t_end_us, now_s, sure=sure and not fresh, fresh=fresh):
            self._fresh = False
            parts.append(events)
        if self._timeline.resyncs > resyncs:
            _log.debug("%s: the clock jumped", printable(self.url))

    def _finish(self, now_s: float, parts: list[Events]) -> None:
        """End the decoder of a connection, with the events that waited in it; the next one begins anew."""
        if self._decoder is None or not self._begun:
            return
        events, t_end_us, _ = self._decoder.finish()
        self._place(events, t_end_us, now_s, True, parts)
        self._keep(self._decoder.triggers())
        past, self._decoded = Counter(self._past), {}
        past.update(self._decoder.counters)
        self._past = past
        self._decoder = self._new_decoder()
        self._begun = False

    def _record(self, recorder: Recorder, packet: Packet | None) -> None:
        if packet is None and self._unrecorded and self._timeline.reached_us is not None:
            packet = self._packet(np.zeros(0, EVENT))
        triggers, self._unrecorded = self._unrecorded, []
        if packet is not None:
            recorder.write(packet, np.concatenate([np.zeros(0, TRIGGER), *triggers]))

    def _keep(self, triggers: Events | None) -> None:
        if triggers is None or not len(triggers):
            return
        triggers["t"] += self._timeline.offset_us
        self._triggers.append(triggers)
        if self._recorder is not None:
            self._unrecorded.append(triggers)
        if sum(map(len, self._triggers)) > _MOST_TRIGGERS:
            self._triggers = [np.concatenate(self._triggers)[-_MOST_TRIGGERS:]]
