"""The events of a bundle as a recording, for what takes recordings: conversion, windows as arrays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import NO_COUNTERS, Head, Header, Reader, ReaderOptions, Sensor, Step, printable
from edgesnn.events.recording import Recording
from edgesnn.events.types import EVENT, TRIGGER
from edgesnn.recorder.bundle import Bundle, read

NO_TIME = -(1 << 63)
"""Of a packet that reached none."""


def recording(path: str | os.PathLike[str], *, sensor: Sensor | None = None) -> Recording:
    """Return what a bundle's stream took in, as `edgesnn.open` returns a recording; it is read once, into memory.

    Args:
        path: of the bundle.
        sensor: (width, height), instead of what it says.

    Raises:
        RecordingError: as `bundle.read`; it holds lines of text.
    """
    found = read(path)
    where = os.fspath(path)
    if found.kind != "events":
        hint = "edgesnn replay prints what its lines gave"
        raise RecordingError("a bundle of lines holds no events", where=printable(where), hint=hint)
    kind = _Bundles(found)
    head = Head(b"", os.path.getsize(path), "", where)
    return Recording(head, kind, kind.header(head), sensor=sensor, on_corrupt="strict")


class _Bundles:
    """The format of one bundle; in no registry, since its room lies above that of the formats."""

    name, title, has_magic, native, verified = "bundle", "a bundle of the flight recorder", True, False, True

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def matches(self, head: Head) -> bool:
        return False

    def header(self, head: Head) -> Header:
        found = self._bundle.about["config"].get("sensor")
        plain = isinstance(found, list) and len(found) == 2
        if not plain or any(type(side) is not int or not 1 <= side <= 65536 for side in found):
            raise RecordingError(
                "no sensor size", where=printable(head.where), found=str(found)[:80], expected="[width, height]"
            )
        return Header(0, (found[0], found[1]))

    def reader(self, options: ReaderOptions) -> Reader:
        return _Packets(self._bundle)


class _Packets:
    """One pass over the packets, as the stream took them in."""

    def __init__(self, bundle: Bundle) -> None:
        self._taken = bundle.taken
        self.t_end_us: int | None = None
        self.counters = {**NO_COUNTERS, "dropped_before": int(self._taken["packets"][:, 2].sum())}

    def __iter__(self) -> Iterator[Step]:
        at = 0
        for count, reached_us, _ in self._taken["packets"].tolist():
            events = self._taken["events"][at : at + count]
            at += count
            if reached_us != NO_TIME:
                self.t_end_us = reached_us
            yield events, count * EVENT.itemsize, None

    def triggers(self) -> npt.NDArray[Any]:
        return np.zeros(0, TRIGGER)
