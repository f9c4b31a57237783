"""Files that events are written to: whole ones, renamed when they are done, and live ones, readable at every moment."""

from __future__ import annotations

import builtins
import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edgesnn.errors import RecordingError
from edgesnn.replacement import Replacement, named

SYNC_S = 1.0


class WholeFile:
    """Written beside its name; takes it when it is closed, so that a reader never sees half of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with failing(path):
            self._part = Replacement(named(path))

    def append(self, data: bytes) -> None:
        """Write all of it, or raise RecordingError."""
        with failing(self._path):
            self._part.append(data)

    def patch(self, offset: int, data: bytes) -> None:
        """Write over what is there."""
        with failing(self._path):
            os.pwrite(self._part.file.fileno(), data, offset)

    def close(self) -> None:
        """Put it on the disk and give it its name."""
        with failing(self._path):
            os.fsync(self._part.file.fileno())
            self._part.finish()

    def discard(self) -> None:
        """Remove it."""
        self._part.discard()


class LiveFile:
    """Written under its name; a thread brings what was appended to the disk each second.

    fsync takes as long as the disk likes, so it is never called by who appends.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with failing(path):
            self._file: BinaryIO = builtins.open(path, "xb", buffering=0)  # noqa: SIM115
        self._size = 0
        self._dirty = False
        self._failure: OSError | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._sync_each_second, name="edgesnn-sync", daemon=True)
        self._thread.start()

    def append(self, data: bytes) -> None:
        """Write all of it; RecordingError, and nothing of it is left, where the disk takes no more."""
        with failing(self._path):
            if self._failure is not None:
                raise self._failure
            try:
                _write_all(self._file, data)
            except OSError:
                self._file.truncate(self._size)
                self._file.seek(self._size)
                raise
        self._size += len(data)
        self._dirty = self._dirty or bool(data)

    def patch(self, offset: int, data: bytes) -> None:
        """Write over what is there."""
        with failing(self._path):
            os.pwrite(self._file.fileno(), data, offset)
        self._dirty = True

    def close(self) -> None:
        """Put the rest on the disk."""
        self._closing.set()
        self._thread.join()
        with failing(self._path):
            os.fsync(self._file.fileno())
            self._file.close()

    def discard(self) -> None:
        """Leave it as it is."""
        self.close()

    def _sync_each_second(self) -> None:
        while not self._closing.wait(SYNC_S):
            if not self._dirty:
                continue
            self._dirty = False
            try:
                os.fsync(self._file.fileno())
            except OSError as error:
                self._failure = error


def _write_all(file: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while len(rest):
        rest = rest[file.write(rest) :]


@contextlib.contextmanager
def failing(path: Path) -> Iterator[None]:
    """Turn what the system says into a RecordingError that names the file."""
    try:
        yield
    except FileExistsError:
        raise RecordingError("the file is there already", where=str(path), hint="choose another name") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise RecordingError(f"cannot be written: {reason.lower()}", where=str(path)) from None
