"""Files that appear whole: written beside their place, moved there by a rename. Nothing else here does so.

A rename puts a file in place of whatever has the name. So only a regular file is ever replaced: a device, pipe, socket
or folder is refused, and of a link that a user names the file that it leads to is written (`named`).
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def named(path: str | os.PathLike[str]) -> Path:
    """Return where a name leads, links followed: a regular file, or nothing yet.

    Raises:
        OSError: something else is there, or the links go round in a circle.
    """
    with contextlib.suppress(FileNotFoundError):
        _refuse(os.stat(path).st_mode, path)
    return Path(os.path.realpath(path))


class Replacement:
    """A file on its way to a place; until `finish` what is there stays as it is. Not thread-safe.

    Its name until then is one that no file has: NAME.part, NAME.1.part and so on. Used in a `with` it is finished at
    the end, or discarded by an exception.

    Args:
        path: the place. A link there is itself replaced: what users name goes through `named`.
        mode: the permissions, less those that the umask takes.
        prefix: begins the name until then.

    Attributes:
        file: unbuffered, open for writing.

    Raises:
        OSError: what is there is no regular file, or the folder takes no file.
    """

    def __init__(self, path: Path, *, mode: int = 0o666, prefix: str = "") -> None:
        self._path = path
        self._check()
        self._part, self.file = _opened(path, mode, prefix)

    def append(self, data: bytes | memoryview) -> None:
        """Write all of it; raises OSError."""
        rest = memoryview(data).cast("B") if len(data) else memoryview(b"")
        while len(rest):
            rest = rest[self.file.write(rest) :]

    def finish(self) -> None:
        """Close it and put it in its place; raises OSError, after which `discard` removes it."""
        self.file.close()
        self._check()
        os.replace(self._part, self._path)

    def discard(self) -> None:
        """Remove it."""
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            self._part.unlink()

    def __enter__(self) -> Replacement:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            self.discard()

    def _check(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            _refuse(os.lstat(self._path).st_mode, self._path)


def _refuse(mode: int, path: str | os.PathLike[str]) -> None:
    for is_kind, name in _KINDS:
        if is_kind(mode):
            raise OSError(errno.EINVAL, f"{name} is there, and only a regular file is replaced", os.fspath(path))


def _opened(path: Path, mode: int, prefix: str) -> tuple[Path, BinaryIO]:
    for number in itertools.count():
        part = path.with_name(f"{prefix}{path.name}.{number}.part" if number else f"{prefix}{path.name}.part")
        with contextlib.suppress(FileExistsError):
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            return part, open(handle, "wb", buffering=0)
    raise AssertionError  # numbers have no end
