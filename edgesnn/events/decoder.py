"""`edgesnn.Decoder`: the one incremental decoder, under files, pipes, cameras and ROS packets."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import UsageError
from edgesnn.events import registry
from edgesnn.events.formats.base import DecoderOptions, Sensor, is_stream
from edgesnn.events.types import EVENT

ON_CORRUPT = ("strict", "skip")
_NONE: npt.NDArray[Any] = np.zeros(0, EVENT)


class Decoder:
    """Turns bytes, in any split, into events and the sensor time reached. One thread at a time.

    Args:
        format: "evt3", "evt2", "nmnist": a name of `edgesnn.events.registry`.
        sensor: (width, height); no event outside it is ever returned. None: only the format bounds coordinates.
        on_corrupt: "strict" raises RecordingError at the first damage, "skip" counts it and goes on.
        offset: where the first byte lies in its file, for error messages.
        where: the name of the file or source, for error messages.
        variant: what the format's header says that its bytes do not (docs/formats.md names them); "" if nothing.

    Raises:
        UsageError: a wrong sensor, policy or variant; no such format, or one that is read as a file only.

    >>> decoder = Decoder("evt3", sensor=(640, 480))
    >>> events, t_end_us = decoder.feed(bytes.fromhex("0080 0560 0100 0228"))
    >>> len(events), decoder.finish()[0].tolist()
    (0, [(5, 2, 1, 1)])
    """

    def __init__(
        self,
        format: str,
        *,
        sensor: Sensor | None = None,
        on_corrupt: str = "strict",
        offset: int = 0,
        where: str | None = None,
        variant: str = "",
    ) -> None:
        check_options(sensor, on_corrupt)
        self._format = registry.get(format)
        if not is_stream(self._format):
            raise UsageError("not a stream of bytes", where="format", found=repr(format), hint="read it as a file")
        self._decoder = self._format.decoder(DecoderOptions(sensor, on_corrupt, offset, where or "", variant))
        self._waiting = _NONE

    @property
    def format(self) -> str:
        """The format's name."""
        return self._format.name

    @property
    def t_end_us(self) -> int | None:
        """The largest sensor time reached; words without events advance it too. None before the first time."""
        return self._decoder.t_end_us

    @property
    def counters(self) -> dict[str, int]:
        """Every departure so far, by name: docs/formats.md, "Counters"."""
        return self._decoder.counters

    @property
    def waiting(self) -> int:
        """Events that found no room in an `out`; the next call gives them first."""
        return len(self._waiting)

    def feed(self, buffer: Any, *, out: npt.NDArray[Any] | None = None) -> tuple[npt.NDArray[Any], int | None]:
        """Decode more bytes.

        Args:
            buffer: a contiguous buffer of bytes (bytes, bytearray, memoryview, uint8 array); not kept.
            out: write the events there, as many as it has room for; the others wait (`feed(b"", out=out)` gives the
                next ones).

        Returns:
            (events, t_end_us): a new array of dtype `edgesnn.EVENT`, or the beginning of `out`, and the time reached;
            while events wait, that of the last given. Arrays that are let go are written again: who drops each before
            the next decodes into the same memory.

        Raises:
            RecordingError: strict, at the first damage, with its byte offset; every later call raises it again (what
                waits is still there for `feed_some`).
            UsageError: `out` is no writable, contiguous array of dtype `edgesnn.EVENT`; nothing is decoded then.
        """
        _check_out(out)
        events, t_end_us, error = self._decoder.feed(buffer)
        if error is not None:
            raise error
        events = self._after_waiting(events)
        return (events, t_end_us) if out is None else self._into(out, events, t_end_us)

    def feed_some(self, buffer: Any) -> tuple[npt.NDArray[Any], int | None, Exception | None]:
        """Decode as `feed` does, but return (events, t_end_us, error): the events before an error are not lost."""
        events, t_end_us, error = self._decoder.feed(buffer)
        return self._after_waiting(events), t_end_us, error

    def _after_waiting(self, events: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if not len(self._waiting):
            return events
        waiting, self._waiting = self._waiting, _NONE
        return np.concatenate([waiting, events])

    def _into(
        self, out: npt.NDArray[Any], events: npt.NDArray[Any], t_end_us: int | None
    ) -> tuple[npt.NDArray[Any], int | None]:
        count = min(len(out), len(events))
        size = count * EVENT.itemsize
        out.view(np.uint8)[:size] = events.view(np.uint8)[:size]
        self._waiting = events[count:]
        if len(self._waiting):
            t_end_us = int(out["t"][count - 1]) if count else None
        return out[:count], t_end_us

    def finish(self) -> tuple[npt.NDArray[Any], int | None]:
        """Say that no byte follows; return the events that waited for one. Raises as `feed` does. Call once."""
        events, t_end_us, error = self._decoder.finish()
        if error is not None:
            raise error
        return self._after_waiting(events), t_end_us

    def finish_some(self) -> tuple[npt.NDArray[Any], int | None, Exception | None]:
        """Finish as `finish` does, but return (events, t_end_us, error)."""
        events, t_end_us, error = self._decoder.finish()
        return self._after_waiting(events), t_end_us, error

    def lost(self) -> None:
        """Say that bytes are missing before the next: half a word is forgotten, and rows that later words lean on.

        Of the formats of words (EVT2, EVT2.1, EVT3); the others lean on none.
        """
        self._decoder.lost()

    def triggers(self) -> npt.NDArray[Any]:
        """Return the external triggers decoded since the last call, dtype `edgesnn.events.types.TRIGGER`."""
        return self._decoder.triggers()

    def save(self) -> dict[str, npt.NDArray[Any]]:
        """Return the whole state, name -> array, for a snapshot. Options are not part of it.

        Raises:
            UsageError: events wait for room in an `out`.
        """
        if len(self._waiting):
            raise UsageError("events wait for room", where="save", found=str(self.waiting), hint="take them first")
        return self._decoder.save()

    def load(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Go on from what `save` gave, of a decoder with the same options.

        Raises:
            ModelError: it is no such state; nothing has changed.
        """
        self._decoder.load(state)
        self._waiting = _NONE


def _check_out(out: Any) -> None:
    if out is None:
        return
    fits = isinstance(out, np.ndarray) and out.dtype == EVENT and out.ndim == 1
    if not fits or not out.flags.c_contiguous or not out.flags.writeable or not len(out):
        found = f"{out.dtype} {list(out.shape)}" if isinstance(out, np.ndarray) else type(out).__name__
        expected = "a writable, contiguous array of dtype edgesnn.EVENT, not empty"
        raise UsageError("out does not fit", where="out", found=found, expected=expected)


def check_options(sensor: Sensor | None, on_corrupt: str) -> None:
    """Raise UsageError where these are not a sensor size and a policy."""
    if on_corrupt not in ON_CORRUPT:
        raise UsageError("no such policy", where="on_corrupt", found=repr(on_corrupt), expected="'strict' or 'skip'")
    if sensor is not None:
        whole_sensor(sensor)


def whole_sensor(sensor: Any) -> Sensor:
    """Return a sensor size as two ints; UsageError where it is none."""
    sides = tuple(sensor) if isinstance(sensor, (tuple, list)) else ()
    if len(sides) != 2 or not all(isinstance(side, (int, np.integer)) and 0 < side <= 65536 for side in sides):
        expected = "(width, height), each 1 to 65536"
        raise UsageError("not a sensor size", where="sensor", found=repr(sensor)[:80], expected=expected)
    return int(sides[0]), int(sides[1])
