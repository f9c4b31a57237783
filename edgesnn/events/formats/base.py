"""What a recording format offers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy.typing as npt

Sensor = tuple[int, int]
"""(width, height)."""


@dataclass(frozen=True)
class Head:
    """The beginning of a file, from which its format is told.

    Attributes:
        data: its first bytes (at most `HEAD_BYTES`).
        size: the file's size in bytes.
        suffix: lower case, with the dot; "" if there is none.
        where: the file's name, for messages.
    """

    data: bytes
    size: int
    suffix: str
    where: str


HEAD_BYTES = 65_536


@dataclass(frozen=True)
class Header:
    """What a file says before its first event.

    Attributes:
        data_offset: where the event data begin.
        sensor: (width, height), None where the file does not say it.
        fields: the header's lines, name -> text.
        complaint: what is wrong with the sensor size that the file names, None if nothing is.
    """

    data_offset: int = 0
    sensor: Sensor | None = None
    fields: dict[str, str] = field(default_factory=dict)
    complaint: str | None = None


@dataclass(frozen=True)
class DecoderOptions:
    """How a decoder is made: see `edgesnn.Decoder`. `offset`: where the first fed byte lies in the file."""

    sensor: Sensor | None = None
    on_corrupt: str = "strict"
    offset: int = 0
    where: str = ""


Result = tuple[npt.NDArray[Any], "int | None", "Exception | None"]
"""(events, t_end_us, error): the events before an error are not lost."""


class FormatDecoder(Protocol):
    """An incremental decoder: the same events, triggers, counters and error for every split of the bytes."""

    @property
    def t_end_us(self) -> int | None: ...
    @property
    def counters(self) -> dict[str, int]: ...
    def feed(self, buffer: Any, /) -> Result: ...
    def finish(self) -> Result: ...
    def triggers(self) -> npt.NDArray[Any]: ...
    def save(self) -> dict[str, npt.NDArray[Any]]: ...
    def load(self, arrays: dict[str, npt.NDArray[Any]], /) -> None: ...


class Format(Protocol):
    """One recording format; made without arguments, holds no state.

    Attributes:
        name: as in the registry.
        title: as its vendor writes it.
        has_magic: content alone tells it; such formats are asked first.
        native: the native chain decodes its bytes itself (`native/events/decode` has a decoder of this name).
    """

    name: str
    title: str
    has_magic: bool
    native: bool

    def matches(self, head: Head) -> bool:
        """Say whether this file is of this format."""

    def header(self, head: Head) -> Header:
        """Read the header; raise RecordingError where it is not one."""

    def decoder(self, options: DecoderOptions) -> FormatDecoder:
        """Make a decoder of the data after the header."""


def printable(where: str) -> str:
    """Return a file name for messages: bytes of it that are not UTF-8 are replaced."""
    return where.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def native_decoder(name: str, options: DecoderOptions) -> FormatDecoder:
    """Make the decoder of this name in `native/events/decode`."""
    from edgesnn import _native

    width, height = options.sensor or (0, 0)
    strict = options.on_corrupt == "strict"
    decoder: FormatDecoder = _native.events.Decoder(
        name, width, height, strict, options.offset, printable(options.where)
    )
    return decoder
