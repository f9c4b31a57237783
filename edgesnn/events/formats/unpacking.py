"""Packed bytes of which it is known how much may come out of them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from edgesnn.errors import RecordingError

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MOST_WINDOW = 1 << 23


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
