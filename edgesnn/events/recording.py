"""Recorded event files, read in bounded memory."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from edgesnn.errors import RecordingError, UsageError
from edgesnn.events import registry
from edgesnn.events.decoder import Decoder, check_options
from edgesnn.events.formats.base import (
    HEAD_BYTES,
    NO_COUNTERS,
    Format,
    Head,
    Header,
    Reader,
    ReaderOptions,
    ReadFile,
    Sensor,
    Step,
    chunk_bytes,
    is_container,
    takes_columns,
    takes_topic,
)
from edgesnn.events.packets import regroup
from edgesnn.events.seek import Place, Span, TimeIndex
from edgesnn.events.types import EVENT, TRIGGER

_log = logging.getLogger("edgesnn.events")

Events = npt.NDArray[Any]


def open(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    sensor: Sensor | None = None,
    on_corrupt: str = "strict",
    columns: str | None = None,
    topic: str | None = None,
) -> Recording:
    """Open a recording; its format is found from its content.

    Args:
        path: a file.
        format: a name of `edgesnn.events.registry`, where the content does not tell it.
        sensor: (width, height), instead of what the file says.
        on_corrupt: "strict" raises at the first damage, "skip" counts it and goes on.
        columns: of a table (csv, npy, npz), where it does not name them: "t,x,y,p", "x,y,p,t_s", "-" for one to leave
            out.
        topic: of a bag (rosbag2), where more than one of its topics has events.

    Raises:
        RecordingError: no such file, not a file, empty, or of no known format.
        UsageError: not a path; a wrong format name, sensor, policy, columns or topic.
    """
    check_options(sensor, on_corrupt)
    if not isinstance(path, (str, os.PathLike)):
        raise UsageError("not a path", where="open", found=repr(path), expected="a file's name")
    head = _read_head(path, columns, topic)
    kind = registry.get(format) if format is not None else registry.detect(head)
    if columns is not None and not takes_columns(kind):
        raise UsageError("only tables have columns", where="columns", found=f"{kind.name}, {columns!r}")
    if topic is not None and not takes_topic(kind):
        raise UsageError("only bags have topics", where="topic", found=f"{kind.name}, {topic!r}")
    header = kind.header(head)
    if header.complaint and sensor is None and on_corrupt == "strict":
        raise RecordingError(
            "the sensor size is impossible",
            where=head.where,
            found=header.complaint,
            hint="if the header is wrong pass --sensor, to go on without a sensor pass --on-corrupt=skip",
        )
    return Recording(head, kind, header, sensor=sensor, on_corrupt=on_corrupt)


def format_of(path: str | os.PathLike[str]) -> str | None:
    """Return the name of the format that a file's content tells, None where it tells none that is read.

    Raises:
        RecordingError: no such file, not a file, or empty.
    """
    head = _read_head(path)
    try:
        return registry.detect(head).name
    except RecordingError:
        return None


class Recording:
    """A recorded event file. Every pass opens the file anew and reads it from its beginning; nothing is held open.

    Attributes:
        path: the file.
        format: the format's name.
        verified: the reader of this kind of file was compared with a real file of somebody else's.
        sensor: (width, height), None where neither the file nor the caller says it.
        on_corrupt: "strict" or "skip".
        fields: the lines of the file's header, name -> text.
        variant: what else the header says that a decoder must know; "" if nothing.
        data_offset: where the event data begin.
        size_bytes: the file's size when it was opened.
        counters: of the last pass, so far: docs/formats.md, "Counters".
        warnings: what a person should know of the file, of the last pass.
        trigger_count, t_end_us: of the last pass, so far: external triggers, sensor time reached (None: none yet).
        read_bytes: of the last pass, so far: bytes of the file.
    """

    def __init__(self, head: Head, kind: Format, header: Header, *, sensor: Sensor | None, on_corrupt: str) -> None:
        self.path = Path(head.where)
        self.format = kind.name
        self.verified = kind.verified and header.verified
        self.sensor = (int(sensor[0]), int(sensor[1])) if sensor is not None else header.sensor
        self.on_corrupt = on_corrupt
        self.fields = header.fields
        self.variant = header.variant
        self.data_offset = header.data_offset
        self.size_bytes = head.size
        self.counters: dict[str, int] = dict(NO_COUNTERS)
        self.warnings: list[str] = []
        self.trigger_count = 0
        self.t_end_us: int | None = None
        self.read_bytes = 0
        self._complaint = header.complaint if sensor is None else None
        self._kind = kind
        self._header = header
        self._index = TimeIndex()
        self._told: list[str] = []

    def __repr__(self) -> str:
        return f"Recording({str(self.path)!r}, format={self.format!r}, sensor={self.sensor})"

    def chunks(self, size_bytes: int | None = None, start: int = 0) -> Iterator[bytes]:
        """Yield the event data as bytes from `start` after the header on, for a decoder of `decoder()`.

        Args:
            size_bytes: of a chunk; None: as many as may become some megabytes of events.
            start: where to begin.
        """
        size_bytes = size_bytes or chunk_bytes(self._kind)
        with self.open_data(start) as file:
            while chunk := file.read(size_bytes):
                yield chunk

    def open_data(self, start: int = 0) -> BinaryIO:
        """Return the file, opened `start` bytes after its header; the caller closes it. Raises as `open`."""
        file = _open_file(self.path)
        file.seek(self.data_offset + start)
        return file

    def decoder(self) -> Decoder:
        """Return a new decoder with this recording's format, sensor, policy and place, for the bytes of `chunks`."""
        return Decoder(
            self.format,
            sensor=self.sensor,
            on_corrupt=self.on_corrupt,
            offset=self.data_offset,
            where=str(self.path),
            variant=self.variant,
        )

    def reader(self, start_us: int | None = None) -> Reader:
        """Begin a pass over the file: its events step by step, errors as values. Raises as `open`.

        Args:
            start_us: events before this time need not come.
        """
        self._index.check(_stamp(self.path))
        if is_container(self._kind):
            path = str(self.path)
            options = ReaderOptions(path, self._header, self.sensor, self.on_corrupt, start_us, self._index)
            return self._kind.reader(options)
        return _StreamReader(self, self._index, start_us)

    def packets(
        self,
        duration_us: int | None = None,
        count: int | None = None,
        *,
        start_us: int | None = None,
        stop_us: int | None = None,
    ) -> Iterator[Events]:
        """Yield all events in the file's order, in packets; only one packet and one chunk are held.

        Args:
            duration_us: packets of this length, from the first event on (by the running maximum of t); a packet
                without events is not given.
            count: packets of this many events, the last one may be shorter. Neither: as they come.
            start_us: begin at the first event that is not before this time (by the running maximum of t). A recording
                that was read up to there once is not read from its beginning again.
            stop_us: end before the first event that is not before this time. A part may hold no event.

        Raises:
            RecordingError: strict, at the first damage, after all events before it; or no event in the file's bytes.
        """
        events = (events for events, _ in self.steps(start_us, stop_us))
        yield from regroup(events, duration_us=duration_us, count=count)

    def read(self, *, start_us: int | None = None, stop_us: int | None = None) -> Events:
        """Return all events, or a part, as one array of dtype `edgesnn.EVENT`. Arguments and errors as `packets`."""
        return np.concatenate([np.zeros(0, EVENT), *(events for events, _ in self.steps(start_us, stop_us))])

    def triggers(self) -> npt.NDArray[Any]:
        """Return all external triggers, dtype `edgesnn.events.types.TRIGGER`; reads the whole file.

        Raises as `packets`; a file of triggers alone is no error here.
        """
        steps = self.steps(triggers_count=True)
        return np.concatenate([np.zeros(0, TRIGGER), *(triggers for _, triggers in steps)])

    def steps(
        self, start_us: int | None = None, stop_us: int | None = None, *, triggers_count: bool = False
    ) -> Iterator[tuple[Events, npt.NDArray[Any]]]:
        """Yield (events, triggers) as they come, either may be empty; keep `counters` and `warnings` of the pass.

        Args:
            start_us, stop_us: as `packets`.
            triggers_count: a file of triggers alone is no error.
        """
        span = Span(start_us, stop_us)
        reader = self.reader(start_us)
        total = self.read_bytes = self.trigger_count = 0
        self.warnings = []
        for events, step_bytes, error in reader:
            triggers = span.clip_triggers(reader.triggers())
            self.trigger_count += len(triggers)
            self.counters, self.t_end_us = reader.counters, reader.t_end_us
            total += len(events)
            self.read_bytes += step_bytes
            yield span.clip(events), triggers
            if span.over:
                break
            if error is not None:
                raise error
        total += self.trigger_count if triggers_count else 0
        self._conclude(total if span.whole else max(total, 1), self.read_bytes)

    def _conclude(self, total: int, data_bytes: int) -> None:
        self.warnings = self.conclusions(total, data_bytes, self.counters)
        for warning in self.warnings:
            if warning not in self._told:
                _log.warning("%s: %s", self.path, warning)
        self._told = self.warnings  # a replay that begins again and again says it once

    def conclusions(self, total: int, data_bytes: int, counters: dict[str, int]) -> list[str]:
        """Return the warnings of a whole pass over this file.

        Args:
            total: events that it gave.
            data_bytes: bytes after the header.
            counters: the decoder's.

        Raises:
            RecordingError: there were bytes and no event.
        """
        every = _said(counters, [name for name in counters if name != "unplaced_events"])
        if total == 0 and data_bytes > 0:
            raise RecordingError(
                "no event in the data",
                where=str(self.path),
                offset=self.data_offset,
                found=f"{data_bytes} bytes that hold none" + (f" ({every})" if every else ""),
                expected=f"words of {self.format}",
                hint="if the format is wrong pass --format",
            )
        warnings = []
        if self._complaint:
            warnings.append(f"the sensor size is not known: {self._complaint}")
        if total == 0:
            warnings.append("the recording is empty: a header without any event")
        if counters["unplaced_events"]:
            warnings.append(f"{counters['unplaced_events']} events without a known time or row were left out")
        if lost := _said(counters, ("bad_words", "out_of_range", "truncated_bytes", "lost_packets")):
            warnings.append(f"the data are not as they should be: {lost}")
        if moved := _said(counters, ("time_resyncs", "time_backward")):
            warnings.append(f"its times leap or step back, and are given as they are: {moved}")
        return warnings


class _StreamReader:
    """A pass over a file of a stream format: each step is a chunk of bytes through one decoder."""

    def __init__(self, recording: Recording, index: TimeIndex, start_us: int | None) -> None:
        self._decoder = recording.decoder()
        self._index = index
        self._offset = 0
        if start_us is not None and (place := index.before(start_us)):
            self._decoder.load(place.state)
            self._offset = place.offset
        self._chunks = recording.chunks(start=self._offset)
        self.triggers = self._decoder.triggers

    @property
    def t_end_us(self) -> int | None:
        return self._decoder.t_end_us

    @property
    def counters(self) -> dict[str, int]:
        return self._decoder.counters

    def __iter__(self) -> Iterator[Step]:
        for chunk in self._chunks:
            events, reached_us, error = self._decoder.feed_some(chunk)
            yield events, len(chunk), error
            self._offset += len(chunk)
            if reached_us is not None and self._index.wants(self._offset):
                self._index.add(Place(reached_us, self._offset, self._decoder.save()))
        events, _, error = self._decoder.finish_some()
        yield events, 0, error


def _said(counters: dict[str, int], names: Iterable[str]) -> str:
    """Return those of these counters that counted something, for a person to read."""
    return ", ".join(f"{name} {counters[name]}" for name in names if counters[name])


def _read_head(path: str | os.PathLike[str], columns: str | None = None, topic: str | None = None) -> Head:
    where = os.fspath(path)
    with _open_file(where) as file:
        size = os.fstat(file.fileno()).st_size
        data = _read_fully(file, HEAD_BYTES)
    if not data:
        raise RecordingError("the file is empty", where=where, found="0 bytes", expected="a recording")
    return Head(data, size, Path(where).suffix.lower(), where, columns, topic)


def _stamp(path: Path) -> tuple[int, int]:
    """Return what changes when a file does."""
    with contextlib.suppress(OSError):
        facts = os.stat(path)
        return facts.st_size, facts.st_mtime_ns
    return 0, 0


def _read_fully(file: BinaryIO, count: int) -> bytes:
    parts = []
    while count > 0 and (part := file.read(count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for read(2); a pipe or device could block or never end."""
    where = os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(where).st_mode):
            hint = "of a ROS 2 bag name the .db3 or .mcap file in it" if os.path.isdir(where) else None
            raise RecordingError("not a regular file", where=where, expected="a recorded file", hint=hint)
        return ReadFile(where)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise RecordingError(f"cannot be opened: {reason.lower()}", where=str(where)) from None
