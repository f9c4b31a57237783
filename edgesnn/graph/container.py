"""Safetensors files: our own reader over a memory map, and writer (docs/model-file.md).

The package `safetensors` copies what it reads and does not pad what it writes; it is the oracle of our tests. Nothing
here trusts the file: every number is checked before anything is allocated or mapped.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError
from edgesnn.graph.values import MAX_AXES
from edgesnn.replacement import Replacement, named

ALIGNMENT = 64
MAX_HEADER_BYTES = 16 << 20
_WRITTEN = 2 << 20  # bytes at a time
MAX_ITEMS = 1 << 40  # of one tensor
_DTYPES = {
    "F32": "<f4",
    "F64": "<f8",
    "I8": "|i1",
    "U8": "|u1",
    "I16": "<i2",
    "U16": "<u2",
    "I32": "<i4",
    "U32": "<u4",
    "I64": "<i8",
    "U64": "<u8",
    "BOOL": "|b1",
}
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}
Arrays = dict[str, npt.NDArray[Any]]


def encode(tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> tuple[bytes, list[memoryview]]:
    """Return (header, tensor bytes) of a safetensors file; the header is padded with spaces to a multiple of 64.

    The bytes are those of the arrays themselves, not copies, where these lie in C order.

    Args:
        tensors: name to array; written in this order, C-contiguous, little-endian.
        metadata: the file's `__metadata__`.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    blobs, offset = [], 0
    for name, array in tensors.items():
        blob = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        end = offset + len(blob)
        header[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [offset, end]}
        blobs.append(blob)
        offset = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    return struct.pack("<Q", len(text)) + text, blobs


def write(path: str | os.PathLike[str], tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file; an existing one is replaced by a rename, never written into. Links are followed.

    Raises:
        ModelError: the folder is not there or cannot be written into, the disk is full, or what is there is no file.
    """
    header, blobs = encode(tensors, metadata)
    try:
        replace_file(named(path), [header, *blobs])
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError("cannot write the model file", where=os.fspath(path), found=reason) from None


def replace_file(target: Path, blobs: Sequence[bytes | memoryview]) -> None:
    """Put the bytes, one blob after the other, in place of a file; raises OSError as `Replacement`."""
    with Replacement(target, mode=0o644) as part:
        _write_in_pieces(part, blobs)


def _write_in_pieces(file: Replacement, blobs: Sequence[bytes | memoryview]) -> None:
    """Write pieces of one size: the system caches them in pages as large, from which steps read a quarter faster."""
    piece, filled = memoryview(bytearray(_WRITTEN)), 0
    for blob in blobs:
        left = memoryview(blob).cast("B") if len(blob) else memoryview(b"")
        while left:
            count = min(len(left), _WRITTEN - filled)
            piece[filled : filled + count] = left[:count]
            filled, left = filled + count, left[count:]
            if filled == _WRITTEN:
                file.append(piece)
                filled = 0
    file.append(piece[:filled])


def map_file(path: str | os.PathLike[str]) -> tuple[dict[str, str], Arrays]:
    """Return (metadata, read-only arrays mapped from the file). The arrays keep the map alive.

    Raises:
        ModelError: not a safetensors file, or one whose header lies.
    """
    where = os.fspath(path)
    try:
        size = os.path.getsize(where)
        data = np.memmap(where, dtype=np.uint8, mode="r") if size else np.zeros(0, dtype=np.uint8)
        _ask_for_large_pages(data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError("cannot read the model file", where=where, found=reason) from None
    return parse(data, where)


def _ask_for_large_pages(mapped: npt.NDArray[np.uint8]) -> None:
    """Have what is not cached yet read in large pages, where the system has them."""
    if isinstance(mapped.base, mmap.mmap) and hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):
            mapped.base.madvise(mmap.MADV_HUGEPAGE)


def release(array: npt.NDArray[Any]) -> None:
    """Give back the memory of the pages that lie in an array mapped from a file; they are read again when needed."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if not isinstance(owner, mmap.mmap):
        return
    begin = array.ctypes.data - np.frombuffer(owner, np.uint8).ctypes.data
    first, last = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE, (begin + array.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
    if first < last:
        owner.madvise(mmap.MADV_DONTNEED, first, last - first)


def parse(data: npt.NDArray[np.uint8], where: str) -> tuple[dict[str, str], Arrays]:
    """Return (metadata, arrays that are views of `data`) of a safetensors file's bytes.

    Raises:
        ModelError: anything that the format does not allow: see docs/model-file.md.
    """
    if data.size < 8:
        _fail("file is too short for a safetensors header", where, f"{data.size} bytes", "at least 8 bytes")
    length = int.from_bytes(data[:8].tobytes(), "little")
    if length > min(data.size - 8, MAX_HEADER_BYTES):
        _fail(
            "header length does not fit the file",
            where,
            f"{length} bytes",
            f"at most {min(data.size - 8, MAX_HEADER_BYTES)} bytes",
            hint="the file is cut, or is not a .safetensors file",
        )
    header = parse_json(data[8 : 8 + length].tobytes(), where)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        _fail("metadata is not a map of texts", where)
    return metadata, _arrays(header, data[8 + length :], where)


def parse_json(text: bytes | str, where: str) -> dict[str, Any]:
    """Return a JSON object; duplicate names, NaN, infinities, half characters and deep nesting are refused.

    Raises:
        ModelError: not a JSON object, or one of those.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
        if "\\u" in text:  # an escape may name half a character, which no UTF-8 text can hold
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ModelError("header is not valid JSON", where=where, found=str(error)[:200]) from None
    if not isinstance(value, dict):
        _fail("header is not a JSON object", where, type(value).__name__)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise ValueError(f"the name {name[:80]!r} stands twice")
        result[name] = value
    return result


def _finite(text: str) -> float:
    value = float(text)
    return _no_constant(text) if math.isinf(value) else value


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not allowed")


def _arrays(header: dict[str, Any], body: npt.NDArray[np.uint8], where: str) -> Arrays:
    """Return the arrays; together they must cover the body exactly, without holes or overlaps."""
    arrays: Arrays = {}
    reached = 0
    spans = {name: _entry(name, entry, where) for name, entry in header.items()}
    for name, (code, shape, begin, end) in sorted(spans.items(), key=lambda item: (item[1][2], item[1][3])):
        at = f"{where}, tensor {name!r}"
        if begin != reached:
            _fail("tensors overlap or leave a hole", at, f"start {begin}", f"start {reached}")
        if end > body.size:
            _fail("tensor ends after the file", at, f"end {end}", f"at most {body.size} bytes of tensors")
        dtype = np.dtype(code)
        if end - begin != math.prod(shape) * dtype.itemsize:
            _fail("tensor's size is not its shape's", at, f"{end - begin} bytes", f"{code} {list(shape)}")
        arrays[name] = _view(body[begin:end], dtype, shape)
        reached = end
    if reached != body.size:
        _fail("file has bytes after its last tensor", where, f"{body.size - reached} bytes", "none")
    return arrays


def _view(raw: npt.NDArray[np.uint8], dtype: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return the bytes as an array; copied where they do not lie at a multiple of the item's size."""
    if raw.ctypes.data % dtype.itemsize:
        raw = raw.copy()
    view = np.asarray(raw).view(dtype).reshape(shape)
    view.flags.writeable = False
    return view


def _entry(name: str, entry: Any, where: str) -> tuple[str, tuple[int, ...], int, int]:
    """Return (numpy type code, shape, begin, end) of a header entry."""
    at = f"{where}, tensor {name!r}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _fail("header entry has other fields", at, str(entry)[:80], "dtype, shape, data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        _fail("tensor type is not known", at, str(dtype)[:40], ", ".join(_DTYPES))
    if not _naturals(shape) or len(shape) > MAX_AXES + 1:
        _fail("tensor shape is not a list of sizes", at, str(shape)[:80])
    if math.prod(max(n, 1) for n in shape) > MAX_ITEMS:
        _fail("tensor shape is too large", at, str(shape)[:80])
    if not _naturals(offsets) or len(offsets) != 2:
        _fail("data_offsets is not two offsets", at, str(offsets)[:80])
    return _DTYPES[dtype], tuple(shape), offsets[0], offsets[1]


def _naturals(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and v >= 0 for v in values)


def _fail(
    what: str, where: str, found: str | None = None, expected: str | None = None, hint: str | None = None
) -> NoReturn:
    raise ModelError(what, where=where, found=found, expected=expected, hint=hint)
