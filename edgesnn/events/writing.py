"""`edgesnn.write` and `Writer`: events into files of any format that is written.

A whole file is written beside its name and renamed when it is done. A live one stands under its name from the start
and is readable at every moment: each packet goes to the file at once, and to the disk within a second.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import RecordingError, UsageError
from edgesnn.events import registry
from edgesnn.events.decoder import check_options
from edgesnn.events.formats.base import (
    EncoderOptions,
    FormatEncoder,
    Sensor,
    WritableFormat,
    first_time_bits,
    is_writable,
    keeps_triggers,
    needs_sensor,
)
from edgesnn.events.formats.checks import TIME_LIMIT_US, check_layout, check_triggers
from edgesnn.events.output import LiveFile, WholeFile
from edgesnn.events.types import EVENT, TRIGGER

UNBOUNDED: Sensor = (65536, 65536)
"""For formats that need no sensor: coordinates have 16 bits."""
_PREFERRED = {".raw": "evt3"}

Events = npt.NDArray[Any]


def write(
    path: str | os.PathLike[str],
    events: Events | Iterable[Events],
    *,
    sensor: Sensor | None = None,
    format: str | None = None,
    compression: str | None = None,
    variant: str = "",
    fields: Mapping[str, str] | None = None,
    triggers: npt.NDArray[Any] | None = None,
    t_end_us: int | None = None,
) -> int:
    """Write events to a file and return how many they were; the file is replaced by rename when it is whole.

    Args:
        path: its suffix tells the format, where `format` does not.
        events: one array of dtype `edgesnn.EVENT`, or an iterable of them, written in bounded memory.
        sensor: (width, height); formats that say it or bound by it need it.
        format: a name of `edgesnn.events.registry` that is written.
        compression: "none", "lz4", "zstd", "deflate", as the format has them; None: its default.
        variant: which of its layouts the format is to write (docs/formats.md names them).
        fields: more lines of the header, for formats that have such lines.
        triggers: external triggers of dtype `edgesnn.events.types.TRIGGER`, for formats that keep them.
        t_end_us: sensor time that the file reaches, where the format can say it.

    Raises:
        UsageError: a format that is not written, a missing sensor, another dtype.
        RecordingError: events that the format cannot hold, or a file that cannot be written; nothing is left of it.
    """
    packets = [events] if isinstance(events, np.ndarray) else events
    with Writer(path, sensor=sensor, format=format, compression=compression, variant=variant, fields=fields) as writer:
        rest = np.zeros(0, TRIGGER) if triggers is None else triggers
        check_triggers(rest)
        for packet in packets:
            check_layout(packet)
            now = _until(rest, packet)
            writer.write(packet, rest[:now])
            rest = rest[now:]
        if len(rest) or t_end_us is not None:
            writer.write(np.zeros(0, EVENT), rest, t_end_us)
    return writer.events


class Writer:
    """Writes events packet by packet. A context manager; an error inside it leaves no file that is not live.

    One thread at a time. Arguments as `write`, and:

    Args:
        live: the file stands under its name from the start, every packet reaches it at once and the disk within a
            second: a crash loses at most the last second and leaves a readable file. None is ever overwritten.
        rotate_bytes: live: begin another file once one has this size. Files are numbered: gate-0000.raw.
        rotate_us: live: begin another file once the events of one span this time.
        rebase: times of each file count from its first event or trigger: for formats that hold few bits of time.

    Attributes:
        events: written so far, in all files.
        size_bytes: of the current file.
        paths: the files so far.
        first_us: time of the first event or trigger of each of them, as it was given; None while there is none.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sensor: Sensor | None = None,
        format: str | None = None,
        compression: str | None = None,
        variant: str = "",
        fields: Mapping[str, str] | None = None,
        live: bool = False,
        rotate_bytes: int | None = None,
        rotate_us: int | None = None,
        rebase: bool = False,
    ) -> None:
        check_options(sensor, "strict")
        self._target = _path(path)
        self._kind = writable(format, self._target)
        if sensor is None and needs_sensor(self._kind):
            raise UsageError("the sensor size is not known", where="sensor", hint="pass --sensor WxH or sensor=(w, h)")
        self._options = EncoderOptions(sensor or UNBOUNDED, compression, variant, dict(fields or {}))
        self._live = live
        self._limits = (_limit(rotate_bytes, "rotate_bytes", live), _limit(rotate_us, "rotate_us", live))
        self._rebase = rebase
        if any(self._limits) and not rebase and first_time_bits(self._kind) < 40:  # twelve days
            raise UsageError(
                "the later files would begin at times that the format cannot say",
                where="rebase",
                found=f"{self._kind.name}, rotated",
                expected="rebase=True: times count from each file's first event, `first_us` has them as they were",
            )
        self._number = -1
        self.events = 0
        self.paths: list[Path] = []
        self.first_us: list[int | None] = []
        self._encoder: FormatEncoder
        self._file: WholeFile | LiveFile | None = None
        self._size = 0
        self._open()

    @property
    def format(self) -> str:
        """The format's name."""
        return self._kind.name

    @property
    def closed(self) -> bool:
        """Whether it takes nothing more."""
        return self._file is None

    @property
    def size_bytes(self) -> int:
        """The size of the current file, or of the last one."""
        return self._size

    def write(self, events: Events, triggers: npt.NDArray[Any] | None = None, t_end_us: int | None = None) -> None:
        """Write a packet, the triggers of its time, and the time reached after it.

        Raises:
            RecordingError: the format cannot hold them: nothing of them is written. Or the disk takes no more: the
                writer is closed, a live file holds the packets before this one.
            UsageError: no events, or the writer is closed.
        """
        if self._file is None:
            raise UsageError("the writer is closed", where=str(self._target))
        check_layout(events)
        if self._full(events):
            self._finish()
            self._open()
        edges = np.zeros(0, TRIGGER) if triggers is None else triggers
        check_triggers(edges)
        _check_time(t_end_us)
        first_us = self.first_us[-1]
        if first_us is None:
            first_us = self._first_us(events, edges)
        try:
            data = self._encoder.encode(*self._rebased(first_us, events, edges, t_end_us))
        except RecordingError as error:
            error.where = error.where or str(self.paths[-1])
            raise
        try:
            self._file.append(data)
        except RecordingError:
            self.discard()
            raise
        self.first_us[-1] = first_us
        self._size += len(data)
        self.events += len(events)

    def close(self) -> None:
        """Finish the file. Twice is once."""
        if self._file is not None:
            self._finish()

    def discard(self) -> None:
        """Give up: a whole file is removed, a live one stays as it is."""
        if self._file is not None:
            self._file.discard()
            self._file = None

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or self._live:
            self.close()
        else:
            self.discard()

    def _open(self) -> None:
        path = self._target
        if any(self._limits):
            path = self._next_path()
        self._encoder = self._kind.encoder(self._options)
        begin = self._encoder.begin()
        file = LiveFile(path) if self._live else WholeFile(path)
        try:
            file.append(begin)
        except RecordingError:
            file.discard()
            raise
        self._file = file
        self._size = len(begin)
        self.first_us.append(None)
        self.paths.append(path)

    def _next_path(self) -> Path:
        """Return the first numbered name that no file has, after those of this writer."""
        while True:
            self._number += 1
            path = self._target.with_name(f"{self._target.stem}-{self._number:04d}{self._target.suffix}")
            if not path.exists():
                return path

    def _full(self, events: Events) -> bool:
        rotate_bytes, rotate_us = self._limits
        first_us = self.first_us[-1]
        if first_us is None or not len(events):
            return False
        long = rotate_us is not None and int(events["t"][0]) - first_us >= rotate_us
        return long or (rotate_bytes is not None and self._size >= rotate_bytes)

    def _first_us(self, events: Events, triggers: npt.NDArray[Any]) -> int | None:
        """Return the time of the first event or trigger that the file keeps, None where there is none."""
        kept = (events, triggers) if keeps_triggers(self._kind) else (events,)
        return min((int(records["t"][0]) for records in kept if len(records)), default=None)

    def _rebased(
        self, first_us: int | None, events: Events, triggers: npt.NDArray[Any], t_end_us: int | None
    ) -> tuple[Events, npt.NDArray[Any], int | None]:
        if not self._rebase:
            return events, triggers, t_end_us
        if first_us is None:  # there is nothing yet to count from
            return events, triggers, None
        events, triggers = events.copy(), triggers.copy()
        events["t"] -= first_us
        triggers["t"] -= first_us
        return events, triggers, None if t_end_us is None else t_end_us - first_us

    def _finish(self) -> None:
        file, self._file = self._file, None
        assert file is not None
        try:
            rest, patches = self._encoder.finish()
            file.append(rest)
            self._size += len(rest)
            for offset, data in patches:
                file.patch(offset, data)
        except BaseException:
            file.discard()
            raise
        file.close()


def writable(format: str | None, path: Path) -> WritableFormat:
    """Return the format of this name, else the one whose files have the path's suffix.

    Raises:
        UsageError: no such format, or one that is not written.
    """
    known = [kind for name in registry.names() if is_writable(kind := registry.get(name))]
    names = ", ".join(kind.name for kind in known)
    if format is not None:
        if found := next((kind for kind in known if kind.name == format), None):
            return found
        wrong = "this format is not written" if format in registry.names() else "no such format"
        raise UsageError(wrong, where="format", found=repr(format), expected=f"one of {names}")
    suffix = path.suffix.lower()
    fitting = [kind for kind in known if suffix in kind.suffixes]
    fitting.sort(key=lambda kind: kind.name != _PREFERRED.get(suffix))
    if not fitting:
        raise UsageError(
            "the name does not say the format",
            where=str(path),
            found=f"suffix {suffix!r}",
            expected=f"one of {', '.join(sorted({suffix for kind in known for suffix in kind.suffixes}))}",
            hint=f"pass format=, --format: one of {names}",
        )
    return fitting[0]


def _until(triggers: npt.NDArray[Any], events: Events) -> int:
    """Return how many of the triggers go with these events: those up to their latest time."""
    if not len(events) or not len(triggers):
        return 0
    return int(np.searchsorted(np.maximum.accumulate(triggers["t"]), events["t"].max(), side="right"))


def _check_time(t_end_us: int | None) -> None:
    if t_end_us is None or (isinstance(t_end_us, (int, np.integer)) and abs(t_end_us) < TIME_LIMIT_US):
        return
    raise UsageError("not a time", where="t_end_us", found=repr(t_end_us), expected="microseconds, below 2^60")


def _path(path: object) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise UsageError("not a path", where="path", found=repr(path), expected="a file's name")
    return Path(path)


def _limit(value: int | None, name: str, live: bool) -> int | None:
    if value is None:
        return None
    if not live:
        raise UsageError("only live recordings are rotated", where=name, hint="pass live=True")
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise UsageError("not a limit", where=name, found=repr(value), expected="1 or more")
    return int(value)
