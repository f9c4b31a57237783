"""What a recording format offers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeGuard

import numpy.typing as npt

from edgesnn.errors import RecordingError
from edgesnn.events.seek import TimeIndex

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
        columns: what the caller says of a table's columns ("t,x,y,p"), None: find it out.
        topic: of a bag, as the caller says it, None: the only one with events.
    """

    data: bytes
    size: int
    suffix: str
    where: str
    columns: str | None = None
    topic: str | None = None


HEAD_BYTES = 65_536


@dataclass(frozen=True)
class Header:
    """What a file says before its first event.

    Attributes:
        data_offset: where the event data begin.
        sensor: (width, height), None where the file does not say it.
        fields: the header's lines, name -> text.
        complaint: what is wrong with the sensor size that the file names, None if nothing is.
        variant: what else the decoder must know of this file (a byte order, columns, a topic); "" if nothing.
        verified: files of this kind were compared with a real one of somebody else's, where the format was.
    """

    data_offset: int = 0
    sensor: Sensor | None = None
    fields: dict[str, str] = field(default_factory=dict)
    complaint: str | None = None
    variant: str = ""
    verified: bool = True


@dataclass(frozen=True)
class DecoderOptions:
    """How a decoder is made: see `edgesnn.Decoder`. `offset`: where the first fed byte lies in the file."""

    sensor: Sensor | None = None
    on_corrupt: str = "strict"
    offset: int = 0
    where: str = ""
    variant: str = ""


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
    def lost(self) -> None: ...
    def triggers(self) -> npt.NDArray[Any]: ...
    def save(self) -> dict[str, npt.NDArray[Any]]: ...
    def load(self, arrays: dict[str, npt.NDArray[Any]], /) -> None: ...


Step = tuple[npt.NDArray[Any], int, "Exception | None"]
"""(events, bytes of the file that they took, error); what a pass over a recording yields."""


class Reader(Protocol):
    """One pass over a container: a file whose events lie in packets, pages or tables. Iterate it once.

    Yields steps of bounded size in the file's order; the one with an error is the last. `t_end_us`, `counters` and
    `triggers` (those since the last call) are of the steps so far. Generators behind it close what they opened.
    """

    @property
    def t_end_us(self) -> int | None: ...
    @property
    def counters(self) -> dict[str, int]: ...
    def __iter__(self) -> Iterator[Step]: ...
    def triggers(self) -> npt.NDArray[Any]: ...


@dataclass(frozen=True)
class ReaderOptions:
    """How a pass is made: the file, its header, and what the caller says of it.

    `start_us`: events before it are not used. A reader that can tell may begin at any place all of whose earlier events
    are before it. `index`: of this file, by earlier passes, for a reader that builds one on its way.
    """

    path: str
    header: Header
    sensor: Sensor | None = None
    on_corrupt: str = "strict"
    start_us: int | None = None
    index: TimeIndex = field(default_factory=TimeIndex)


class Format(Protocol):
    """One recording format; made without arguments, holds no state. Either a `StreamFormat` or a `ContainerFormat`.

    Attributes:
        name: as in the registry.
        title: as its vendor writes it.
        has_magic: content alone tells it; such formats are asked first.
        native: the native chain decodes its bytes itself (`native/events/decode` has a decoder of this name).
        verified: it was compared with a real file of somebody else's; else built to its specification alone.
    """

    name: str
    title: str
    has_magic: bool
    native: bool
    verified: bool

    def matches(self, head: Head) -> bool:
        """Say whether this file is of this format."""

    def header(self, head: Head) -> Header:
        """Read the header; raise RecordingError where it is not one."""


class StreamFormat(Format, Protocol):
    """A format whose events follow the header as one stream of bytes: files, pipes and sockets alike."""

    def decoder(self, options: DecoderOptions) -> FormatDecoder:
        """Make a decoder of the data after the header."""


class ContainerFormat(Format, Protocol):
    """A format that is read as a file only."""

    def reader(self, options: ReaderOptions) -> Reader:
        """Begin a pass over the file."""


@dataclass(frozen=True)
class EncoderOptions:
    """How a file is written.

    Attributes:
        sensor: (width, height); every format that has a place for it says it.
        compression: "none", "lz4" or "zstd", for the formats that know it; None: the format's default.
        variant: as `Header.variant`: which of its layouts the format is to write; "" for its default.
        fields: more lines of the header, for the formats that have such lines.
    """

    sensor: Sensor
    compression: str | None = None
    variant: str = ""
    fields: dict[str, str] = field(default_factory=dict)


class FormatEncoder(Protocol):
    """Turns events into the bytes of a file, piece by piece. What lies on the disk between two pieces is readable.

    `encode` raises RecordingError, and has changed nothing then, where the format cannot hold these events: times that
    it has no bits for, a coordinate outside the sensor, times that fall in a format that needs them sorted.
    """

    def begin(self) -> bytes:
        """Return what the file begins with."""

    def encode(self, events: npt.NDArray[Any], triggers: npt.NDArray[Any], t_end_us: int | None, /) -> bytes:
        """Return the bytes of more events (`EVENT`) and triggers (`TRIGGER`), and of the time reached after them."""

    def finish(self) -> tuple[bytes, list[tuple[int, bytes]]]:
        """Return the last bytes, and (offset, bytes) pairs to be overwritten: a table's place, a count."""


class WritableFormat(Format, Protocol):
    """A format that is written too.

    Attributes:
        suffixes: of its files, the usual one first.
    """

    suffixes: tuple[str, ...]

    def encoder(self, options: EncoderOptions) -> FormatEncoder:
        """Make an encoder; UsageError where an option is not one of the format's."""


def is_writable(kind: Format) -> TypeGuard[WritableFormat]:
    """Say whether this format has a writer."""
    return hasattr(kind, "encoder")


def takes_columns(kind: Format) -> bool:
    """Say whether this format is a table whose columns a caller may name."""
    return getattr(kind, "takes_columns", False)


def takes_topic(kind: Format) -> bool:
    """Say whether this format is a bag of topics, of which a caller may name one."""
    return getattr(kind, "takes_topic", False)


def needs_sensor(kind: Format) -> bool:
    """Say whether files of this format are written with a sensor size, or bound by one."""
    return getattr(kind, "needs_sensor", True)


def keeps_triggers(kind: Format) -> bool:
    """Say whether files of this format are written with external triggers."""
    return getattr(kind, "keeps_triggers", True)


def first_time_bits(kind: Format) -> int:
    """Say how many bits a file of this format has for the time that it begins with."""
    return getattr(kind, "first_time_bits", 64)


def chunk_bytes(kind: Format) -> int:
    """Say how many bytes of a file of this format are read, and decoded, at once: they become a few megabytes."""
    return getattr(kind, "chunk_bytes", 1 << 18)


def is_stream(kind: Format) -> TypeGuard[StreamFormat]:
    """Say whether this format's bytes can be fed to a decoder."""
    return hasattr(kind, "decoder")


def is_container(kind: Format) -> TypeGuard[ContainerFormat]:
    """Say whether this format is read as a file only."""
    return hasattr(kind, "reader")


NO_COUNTERS = {
    "bad_words": 0,
    "out_of_range": 0,
    "unplaced_events": 0,
    "time_resyncs": 0,
    "time_backward": 0,
    "truncated_bytes": 0,
    "lost_packets": 0,
}
"""What every decoder and reader counts: docs/formats.md, "Damage"."""


def printable(where: str) -> str:
    """Return a name for messages: bytes of it that are not UTF-8, and what would steer a terminal, are replaced."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in where)


class ReadFile(io.FileIO):
    """A file for read(2), which raises RecordingError where that fails: a bad disk, a stick that was pulled out.

    Args:
        path: of a regular file; OSError where it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, "rb")

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most so many bytes."""
        try:
            return super().read(size) or b""
        except OSError as error:
            raise self._failed(error) from None

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer."""
        try:
            return super().readinto(buffer) or 0
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> RecordingError:
        reason = (error.strerror or str(error)).lower()
        return RecordingError(f"cannot be read: {reason}", where=printable(str(self.name)), offset=self.tell())


def open_file(path: str) -> ReadFile:
    """Open a file for read(2); RecordingError where it is gone."""
    try:
        return ReadFile(path)
    except OSError as error:
        raise RecordingError(f"cannot be opened: {(error.strerror or '').lower()}", where=printable(path)) from None


def native_decoder(name: str, options: DecoderOptions) -> FormatDecoder:
    """Make the decoder of this name in `native/events/decode`."""
    from edgesnn import _native

    width, height = options.sensor or (0, 0)
    strict = options.on_corrupt == "strict"
    decoder: FormatDecoder = _native.events.Decoder(
        name, width, height, strict, options.offset, printable(options.where), options.variant
    )
    return decoder


class NativeFormat:
    """What the formats have in common whose decoder of their name is native."""

    name: str
    has_magic = True
    native = True
    verified = True

    def decoder(self, options: DecoderOptions) -> FormatDecoder:
        """Make the native decoder."""
        return native_decoder(self.name, options)


class NativeEncoder:
    """A FormatEncoder of `native/events/encode`; what the file begins with is given."""

    def __init__(self, name: str, options: EncoderOptions, begin: bytes) -> None:
        from edgesnn import _native

        self._begin = begin
        self._encoder = _native.events.Encoder(name, *options.sensor, options.variant)

    def begin(self) -> bytes:
        """Return the header."""
        return self._begin

    def encode(self, events: npt.NDArray[Any], triggers: npt.NDArray[Any], t_end_us: int | None, /) -> bytes:
        """Return the bytes of more events and triggers; see `FormatEncoder`."""
        data: bytes = self._encoder.encode(events, triggers, t_end_us)
        return data

    def finish(self) -> tuple[bytes, list[tuple[int, bytes]]]:
        """Return nothing: such files have no end."""
        return b"", []
