"""What the sources that are devices share: a link that survives its device being unplugged, packages, rectangles."""

from __future__ import annotations

import difflib
import logging
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Collection
from importlib import import_module
from typing import Any, NamedTuple, Protocol

import numpy as np

from edgesnn.errors import EdgeSnnError, RecordingError
from edgesnn.events.formats.base import Sensor, printable
from edgesnn.events.sources.address import Address
from edgesnn.events.sources.base import Events, Message, PlainLink
from edgesnn.events.types import EVENT, TRIGGER

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_BIAS = re.compile(r"(\w+):(-?\d{1,6})")
_RECTANGLE = re.compile(r"(\d{1,5}),(\d{1,5}),(\d{1,5})x(\d{1,5})")

_log = logging.getLogger("edgesnn.events")


class GoneError(Exception):
    """The device does not answer any more; the text says why."""


class Found(NamedTuple):
    """A device that is there.

    Attributes:
        address: what opens it.
        name: what it is.
        problem: why it cannot be opened; None: it can, as far as can be seen.
        hint: what to do about that.
    """

    address: str
    name: str
    problem: str | None = None
    hint: str | None = None


class Lists(Protocol):
    """A kind of source that can say which devices are there."""

    nothing: str
    """What to look at where there is none."""

    def devices(self) -> list[Found]:
        """Return them. Raises RecordingError where it cannot be told."""


class Rectangle(NamedTuple):
    """A part of the sensor, its origin the upper left corner."""

    x: int
    y: int
    width: int
    height: int


class DeviceLink(PlainLink, ABC):
    """A device that may go away and come back: tried again after 0.1 s, then twice as long each time, 5 s at most.

    A child has `_open` (raises RecordingError), `_read` (GoneError) and `_release` (raises nothing, may come twice).

    Args:
        url: for messages.
    """

    def __init__(self, url: str) -> None:
        self.url = printable(url)
        self.counters: dict[str, int] = {"disconnections": 0, "failed_connections": 0, "lost_packets": 0}
        self._there = self._new = False
        self._next_s = 0.0
        self._wait_s = _FIRST_WAIT_S

    @property
    def connected(self) -> bool | None:
        """Whether the device is there."""
        return self._there

    def start(self) -> DeviceLink:
        """Open the device for the first time. Raises RecordingError."""
        try:
            self._open()
        except BaseException:
            self._release()
            raise
        self._there = self._new = True
        return self

    def receive(self, wait_s: float) -> Message | None:
        """Return what the device gives, or that it has come or gone."""
        if not self._there:
            return self._again(wait_s)
        if self._new:
            self._new = False
            return Message(begins=True)
        try:
            return self._read(wait_s)
        except GoneError as reason:
            _log.info("%s: the device has gone: %s", self.url, reason)
        self._release()
        self._there = False
        self.counters["disconnections"] += 1
        self._wait_s = _FIRST_WAIT_S
        self._next_s = time.monotonic() + self._wait_s
        return Message(ends=True)

    def close(self) -> None:
        """Let go of the device."""
        self._there = False
        self._release()

    def _again(self, wait_s: float) -> Message | None:
        rest_s = self._next_s - time.monotonic()
        if rest_s > 0:
            time.sleep(min(wait_s, rest_s))
            return None
        try:
            self.start()
        except EdgeSnnError as error:
            self.counters["failed_connections"] += 1
            _log.debug("%s: not yet back: %s", self.url, error)
            self._next_s = time.monotonic() + self._wait_s
            self._wait_s = min(2 * self._wait_s, _LONGEST_WAIT_S)
        return None

    def _keep(self, name: str, value: Any) -> None:
        """Keep what the device says of itself as an attribute; RecordingError where it said otherwise before."""
        known = self.__dict__.get(name, value)
        if known != value:
            raise RecordingError(f"it has another {name} now", where=self.url, found=str(value), expected=str(known))
        setattr(self, name, value)

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _read(self, wait_s: float) -> Message | None: ...

    @abstractmethod
    def _release(self) -> None: ...


def package(name: str, extra: str, where: str) -> Any:
    """Return a package that drives cameras; RecordingError where it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise RecordingError(
            f"{name} cannot be imported",
            where=printable(where),
            found=str(error),
            hint=f"pip install 'edgesnn[{extra}]'",
        ) from None


def rectangle(address: Address, sensor: Sensor) -> Rectangle | None:
    """Return the option `roi` ("X,Y,WxH"), None where it is absent; UsageError where it is not inside the sensor."""
    text = address.options.get("roi")
    if text is None:
        return None
    match = _RECTANGLE.fullmatch(text)
    if match is None:
        raise address.wrong("roi is no rectangle", found=repr(text), expected="X,Y,WxH such as 100,50,320x240")
    x, y, width, height = map(int, match.groups())
    if not width or not height or x + width > sensor[0] or y + height > sensor[1]:
        raise address.wrong("roi is not inside the sensor", found=text, expected=f"inside {sensor[0]}x{sensor[1]}")
    return Rectangle(x, y, width, height)


def biases(address: Address, known: Collection[str]) -> dict[str, int]:
    """Return the option `biases` ("NAME:VALUE,NAME:VALUE"), by name; UsageError where one is not known."""
    values: dict[str, int] = {}
    if "biases" not in address.options:
        return values
    for text in address.options["biases"].split(","):
        match = _BIAS.fullmatch(text)
        if match is None:
            raise address.wrong("not a bias", found=repr(text), expected="NAME:VALUE such as diff_on:20")
        if match[1] not in known:
            close = difflib.get_close_matches(match[1], known, n=1)
            hint = f"did you mean {close[0]}?" if close else None
            expected = f"one of {', '.join(known)}" if known else "none: this camera has none that can be set"
            raise address.wrong(f"no bias {match[1]!r}", expected=expected, hint=hint)
        values[match[1]] = int(match[2])
    return values


def make_events(array: Any, names: tuple[str, str, str, str], sensor: Sensor, counters: dict[str, int]) -> Events:
    """Return events of a package as ours; those outside the sensor are counted ("out_of_range") and left out.

    Args:
        array: a structured array; None: none.
        names: of its time (us), x, y and polarity.
    """
    if array is None:
        return np.zeros(0, EVENT)
    t, x, y, p = (array[name] for name in names)
    inside = (x >= 0) & (x < sensor[0]) & (y >= 0) & (y < sensor[1])
    events = np.zeros(int(inside.sum()), EVENT)
    counters["out_of_range"] += len(array) - len(events)
    for name, column in zip(("t", "x", "y"), (t, x, y), strict=True):
        events[name] = column[inside]
    events["p"] = p[inside] != 0
    return events


def make_triggers(array: Any) -> Events | None:
    """Return triggers of a package (its last column says the edge, 0 is falling) as ours."""
    if array is None or not len(array):
        return None
    triggers = np.zeros(len(array), TRIGGER)
    triggers["t"] = array["t"]
    triggers["p"] = array[array.dtype.names[-1]] != 0
    if "id" in array.dtype.names:
        triggers["id"] = array["id"]
    return triggers
