"""The compressed frames of AEDAT4's packets, unpacked piece by piece: what comes out at once is bounded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Protocol

from edgesnn.errors import RecordingError
from edgesnn.events.formats import rooms

MAGICS = {"none": b"", "lz4": b"\x04\x22\x4d\x18", "zstd": b"\x28\xb5\x2f\xfd"}
PIECE_BYTES = 1 << 16
_ZSTD_SLICE = 128  # holds 32 blocks, so at most 4 MiB come out of it
_ZSTD_MOST_WINDOW = 1 << 23


class FrameError(Exception):
    """The frame is damaged; the text says how."""


class Frame(Protocol):
    """One packet's content, packed.

    Attributes:
        magic: what it begins with; b"" if anything.
        done: the frame has ended.
        unused: bytes of the last piece that lie behind its end.
    """

    magic: bytes
    done: bool
    unused: int

    def begin(self, size: int) -> None:
        """Begin the next packet, of so many bytes."""

    def pieces(self, piece: memoryview, whole: bool) -> Iterator[Any]:
        """Unpack more of it, `whole`: all of it. Raises FrameError."""


def frame(compression: str, where: str) -> Frame:
    """Make the unpacker; RecordingError names what is not installed."""
    makers: dict[str, Callable[[], Frame]] = {"none": Plain, "lz4": Lz4, "zstd": Zstd}
    try:
        return makers[compression]()
    except ImportError:
        package = {"lz4": "lz4", "zstd": "zstandard"}[compression]
        raise RecordingError(
            f"{package} is not installed",
            where=where,
            found=f"packets packed with {compression}",
            hint="pip install 'edgesnn[events]'",
        ) from None


class Plain:
    """Not packed at all."""

    magic = MAGICS["none"]
    done = False
    unused = 0

    def begin(self, size: int) -> None:
        """Begin the next packet."""
        self._left = size

    def pieces(self, piece: memoryview, whole: bool) -> Iterator[Any]:
        """Pass it on."""
        self._left -= len(piece)
        self.done = self._left == 0
        yield piece


class Lz4:
    """LZ4 frames."""

    magic = MAGICS["lz4"]

    def __init__(self) -> None:
        self._lz4: Any = import_module("lz4.frame")
        self._context = self._lz4.create_decompression_context()
        self.done = False
        self.unused = 0

    def begin(self, size: int) -> None:
        """Begin the next packet."""
        self._lz4.reset_decompression_context(self._context)
        self.done = False
        self.unused = 0

    def pieces(self, piece: memoryview, whole: bool) -> Iterator[Any]:
        """Unpack more of it. Raises FrameError."""
        full = True  # what came out filled its room: there may be more of it
        while not self.done and (len(piece) or full):
            try:
                out, used, self.done = self._lz4.decompress_chunk(self._context, piece, max_length=PIECE_BYTES)
            except RuntimeError as error:
                raise FrameError("its LZ4 frame is damaged") from error
            piece = piece[used:]
            full = len(out) == PIECE_BYTES
            if out:
                yield out
        self.unused = len(piece)


class Zstd:
    """Zstandard frames."""

    magic = MAGICS["zstd"]

    def __init__(self) -> None:
        self._zstd: Any = import_module("zstandard")
        self._unpack = self._zstd.ZstdDecompressor(max_window_size=_ZSTD_MOST_WINDOW)
        self._room = rooms.borrow()  # a frame that fits is unpacked straight into it
        self._large = self._room  # where one does not, while there are such
        self._stream: Any = None
        self.done = False
        self.unused = 0

    def __del__(self) -> None:
        if room := getattr(self, "_room", None):
            rooms.give_back(room)

    def begin(self, size: int) -> None:
        """Begin the next packet."""
        self._stream = None
        self.done = False
        self.unused = 0

    def whole(self, frame: memoryview, most: int) -> memoryview | None:
        """Return the content of a frame that is all of this and says how long that is; None: it is taken by pieces.

        It is to be used before anything else is asked for.
        """
        try:
            said = self._zstd.get_frame_parameters(frame)
            if not 0 < said.content_size <= most or said.window_size > _ZSTD_MOST_WINDOW or said.dict_id:
                return None
            if self._frame_bytes(frame) != len(frame):
                return None
            if said.content_size > len(self._large):
                self._large = bytearray(said.content_size)
            with self._unpack.stream_reader(frame) as reader:
                count = reader.readinto(self._large)
        except self._zstd.ZstdError:
            return None
        return memoryview(self._large)[:count] if count == said.content_size else None

    def pieces(self, piece: memoryview, whole: bool) -> Iterator[Any]:
        """Unpack more of it; what is given is to be used before the next is asked for. Raises FrameError."""
        try:
            yield from self._whole(piece) if whole else self._part(piece)
        except self._zstd.ZstdError as error:
            raise FrameError("its zstd frame is damaged") from error

    def _whole(self, piece: memoryview) -> Iterator[Any]:
        end = self._frame_bytes(piece)
        with self._unpack.stream_reader(piece[:end]) as reader:
            room = memoryview(self._room)
            while count := reader.readinto(room):
                yield room[:count]
        self.done = end <= len(piece)
        self.unused = max(len(piece) - end, 0)

    def _part(self, piece: memoryview) -> Iterator[Any]:
        if self._stream is None:
            self._stream = self._unpack.decompressobj()
        for start in range(0, len(piece), _ZSTD_SLICE):
            if out := self._stream.decompress(piece[start : start + _ZSTD_SLICE]):
                yield out
            if self._stream.eof:
                self.done = True
                self.unused = len(self._stream.unused_data) + max(len(piece) - start - _ZSTD_SLICE, 0)
                return

    def _frame_bytes(self, piece: memoryview) -> int:
        """Return where the frame ends by its blocks' headers (RFC 8878, 3.1.1.2); more than there is: it is cut."""
        parameters = self._zstd.get_frame_parameters(piece)
        at, last = self._zstd.frame_header_size(piece), False
        while not last and at + 3 <= len(piece):
            block = int.from_bytes(piece[at : at + 3], "little")
            last = bool(block & 1)
            at += 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
        return (at + (4 if parameters.has_checksum else 0)) if last else len(piece) + 1
