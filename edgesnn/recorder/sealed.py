"""Safetensors files with a checksum over all of their contents, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError
from edgesnn.graph import container
from edgesnn.pipeline.tap import Arrays
from edgesnn.replacement import Replacement

KEY = "edgesnn.sha256"
TEMPORARY = ".tmp-"
"""Begins the names of files that are being written."""


def seal(arrays: Arrays, metadata: Mapping[str, str]) -> list[bytes | memoryview]:
    """Return the bytes of a file, in parts, with the checksum of arrays and metadata."""
    header, blobs = container.encode(arrays, {**metadata, KEY: checksum(arrays, metadata)})
    return [header, *blobs]


def unseal(data: npt.NDArray[np.uint8], where: str) -> tuple[dict[str, str], Arrays]:
    """Return (metadata, read-only arrays) of what `seal` gave.

    Raises:
        ModelError: no safetensors file, no checksum, or another one.
    """
    metadata, arrays = container.parse(data, where)
    expected = metadata.pop(KEY, None)
    if expected is None:
        raise ModelError("no checksum", where=where, expected=f"metadata {KEY!r}")
    found = checksum(arrays, metadata)
    if found != expected:
        raise ModelError("damaged", where=where, found=f"sha256 {found}", expected=f"sha256 {expected[:64]}")
    return metadata, arrays


def checksum(arrays: Arrays, metadata: Mapping[str, str]) -> str:
    """Return SHA-256 over each array (name, type, shape, bytes) and each text, by name (docs/recorder.md)."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}\n{array.dtype.str}\n{list(array.shape)}\n".encode("utf-8", "surrogatepass"))
        digest.update(array.reshape(-1).view(np.uint8).data)
    for name in sorted(metadata):
        digest.update(f"{name}\n{len(metadata[name])}\n{metadata[name]}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def write(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """Put the parts in place of a file, readable by its owner only; on the disk when it returns.

    Raises:
        OSError: the disk does not take it; what was there before is as it was.
    """
    with Replacement(path, mode=0o600, prefix=TEMPORARY) as file:
        for part in parts:
            file.append(part)
        os.fsync(file.file.fileno())
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load(path: Path, most_bytes: int) -> npt.NDArray[np.uint8]:
    """Return a file's bytes.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "not a regular file")
        if found.st_size > most_bytes:
            raise OSError(0, f"{found.st_size} bytes, more than {most_bytes}")
        return np.frombuffer(file.read(found.st_size), np.uint8)


def load_head(path: Path, size: int) -> bytes:
    """Return the first bytes of a regular file; raises OSError as `load`."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(0, "not a regular file")
        return file.read(size)


def remove_temporary(folder: Path, names: str) -> None:
    """Remove what a killed process had begun to write of files of such names, a pattern."""
    for path in folder.glob(f"{TEMPORARY}{names}.*"):
        with contextlib.suppress(OSError):
            path.unlink()
