"""Bytes of a file, packed or not, as far as they are looked at; it is bounded how much may come out of them."""

from __future__ import annotations

import bz2
import mmap
import os
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, BinaryIO

from edgesnn.errors import RecordingError

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_PIECE_BYTES = 1 << 18
_MAPPED_BYTES = 1 << 22  # of a buffer: a larger one is not left to the heap
_WINDOW_BYTES = 1 << 16  # searched at once
_MOST_WINDOW = 1 << 23  # that zstd may look back
FREE_BYTES = 1 << 22
MOST_TIMES = 256
"""What packed bytes may become: so many, and so many times their size."""


class UnpackError(Exception):
    """These bytes cannot be unpacked; the text says why."""


def package(name: str, where: str) -> Any:
    """Return a package of the extra `events`; RecordingError where it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        raise RecordingError(
            f"{name.partition('.')[0]} is not installed",
            where=where,
            found="packed data",
            hint="pip install 'edgesnn[events]'",
        ) from None


def unzstd(data: bytes | memoryview, most: int, where: str) -> bytes:
    """Unpack one zstd frame. Raises UnpackError where it is damaged or becomes more than `most` bytes."""
    zstd = package("zstandard", where)
    try:
        size = zstd.get_frame_parameters(data).content_size
        if size not in (zstd.CONTENTSIZE_UNKNOWN, zstd.CONTENTSIZE_ERROR) and size > most:
            raise UnpackError(f"it becomes {size} bytes, more than {most}")
        out: bytes = zstd.ZstdDecompressor(max_window_size=_MOST_WINDOW).decompress(data, max_output_size=most)
    except zstd.ZstdError as error:
        raise UnpackError(f"its zstd frame is damaged ({error})") from None
    return out


class Source:
    """Pieces of bytes as one stream.

    Attributes:
        position: how many bytes were taken.
        produced: how many came.
        crc: CRC-32 of those that came, where it is checked.
    """

    def __init__(self, pieces: Iterator[bytes], *, checked: bool = False) -> None:
        self._pieces = pieces
        self._buffer = memoryview(b"")
        self._at = 0
        self._checked = checked
        self.position = 0
        self.produced = 0
        self.crc = 0

    def peek(self, count: int) -> memoryview:
        """Return the next so many bytes without taking them; fewer at the end. Raises UnpackError."""
        if len(self._buffer) - self._at < count:
            rest = bytes(self._buffer[self._at :])
            self._buffer, self._at = memoryview(b""), 0  # a large one is gone before the next is made
            self._buffer = self._filled(rest, count)
        return self._buffer[self._at : self._at + count]

    def _filled(self, rest: bytes, count: int) -> memoryview:
        """Return these bytes and the pieces behind them, at least `count` in all.

        Room for many is mapped: it is gone when it is let go, where the heap would keep it and not fit the next one in.
        """
        size = count + _PIECE_BYTES
        room = memoryview(mmap.mmap(-1, size) if count > _MAPPED_BYTES else bytearray(size))
        have = len(rest)
        room[:have] = rest
        while have < count and (piece := self._piece()):
            room[have : have + len(piece)] = piece
            have += len(piece)
            self.produced += len(piece)
            if self._checked:
                self.crc = zlib.crc32(piece, self.crc)
        return room[:have]

    def _piece(self) -> bytes:
        return next(self._pieces, b"")

    def skip(self, count: int) -> int:
        """Take so many bytes unseen; return how many there were. Raises UnpackError."""
        skipped = 0
        while skipped < count and len(view := self.peek(min(count - skipped, _PIECE_BYTES))):
            self._at += len(view)
            skipped += len(view)
        self.position += skipped
        return skipped

    def take(self, count: int) -> memoryview:
        """Return the next so many bytes; fewer at the end. Raises UnpackError."""
        view = self.peek(count)
        self._at += len(view)
        self.position += len(view)
        return view

    def search(self, find: Callable[[bytes], int | None], overlap: int) -> bool:
        """Skip to the first place that `find` tells in a window of bytes; False: there is none to the end.

        overlap: bytes of a window that are looked at again in the next. Raises UnpackError.
        """
        while len(window := self.peek(_WINDOW_BYTES)):
            at = find(bytes(window))
            if at is not None:
                self.skip(at)
                return True
            self.skip(len(window) if len(window) < _WINDOW_BYTES else _WINDOW_BYTES - overlap)
        return False


class FileSource(Source):
    """Bytes [start, end) of a file."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        super().__init__(iter(()))
        self._file = file
        self._next = min(start, end)
        self._end = end

    def skip(self, count: int) -> int:
        """Take so many bytes unseen; those that were not read yet never are."""
        have = min(count, len(self._buffer) - self._at)
        self._at += have
        jump = min(count - have, max(self._end - self._next, 0))
        self._next += jump
        self.position += have + jump
        return have + jump

    def _piece(self) -> bytes:
        piece = os.pread(self._file.fileno(), max(min(_PIECE_BYTES, self._end - self._next), 0), self._next)
        self._next += len(piece)
        return piece


def unpacked(packed: FileSource, size: int, compression: str, where: str, *, checked: bool = False) -> Source:
    """Return what the next `size` bytes of a file become: compression "none", "lz4", "bz2" or "zstd".

    Raises UnpackError where there is no such compression; reading does where the bytes are damaged or become too many.
    """
    makers = {"none": _plain, "lz4": _lz4, "bz2": _bz2, "zstd": _zstd}
    if compression not in makers:
        raise UnpackError(f"compression {compression[:20]!r} is not read")
    return Source(_bounded(makers[compression](packed, size, where), size), checked=checked)


def _bounded(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    produced = 0
    for piece in pieces:
        produced += len(piece)
        if produced > FREE_BYTES + MOST_TIMES * size:
            raise UnpackError(f"{size} bytes become more than events do")
        yield piece


def _plain(packed: FileSource, size: int, _: str) -> Iterator[bytes]:
    while size > 0 and len(piece := packed.take(min(size, _PIECE_BYTES))):
        size -= len(piece)
        yield bytes(piece)


def _lz4(packed: FileSource, size: int, where: str) -> Iterator[bytes]:
    return _frames(package("lz4.frame", where).LZ4FrameDecompressor, "lz4", packed, size)


def _bz2(packed: FileSource, size: int, _: str) -> Iterator[bytes]:
    return _frames(bz2.BZ2Decompressor, "bz2", packed, size)


def _frames(maker: Callable[[], Any], name: str, packed: FileSource, size: int) -> Iterator[bytes]:
    """Unpack one frame piece by piece."""
    unpack = maker()
    try:
        for piece in _plain(packed, size, ""):
            given = piece
            while not unpack.eof and (given or not unpack.needs_input):
                out, given = unpack.decompress(given, max_length=_PIECE_BYTES), b""
                if out:
                    yield out
    except (RuntimeError, OSError, EOFError, ValueError) as error:
        raise UnpackError(f"its {name} data are damaged ({error})") from None


def _zstd(packed: FileSource, size: int, where: str) -> Iterator[bytes]:
    zstd = package("zstandard", where)
    try:
        with zstd.ZstdDecompressor(max_window_size=_MOST_WINDOW).stream_reader(_Reads(packed, size)) as reader:
            while out := reader.read(_PIECE_BYTES):
                yield out
    except zstd.ZstdError as error:
        raise UnpackError(f"its zstd data are damaged ({error})") from None


class _Reads:
    """The next `size` bytes of a source as something to read from."""

    def __init__(self, packed: FileSource, size: int) -> None:
        self._packed = packed
        self._left = size

    def read(self, count: int) -> bytes:
        piece = bytes(self._packed.take(min(count, self._left)))
        self._left -= len(piece)
        return piece
