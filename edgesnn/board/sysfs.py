"""Small values in files that the kernel makes: read whole, bounded, without waiting for who writes a pipe.

A value that is not there is None: devices come and go, and a board that lacks one is no error.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

MOST_BYTES = 256
MOST_LETTERS = 64
MOST_ENTRIES = 256
_NUMBER = re.compile(r"-?[0-9]{1,18}")


def text(path: Path) -> str | None:
    """Return what a file says, without the line's end; letters that a terminal would obey are replaced."""
    try:
        return _read(path)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None


def number(path: Path) -> int | None:
    """Return the whole number that a file holds; None where it holds none, or one that no device has."""
    found = text(path)
    return int(found) if found is not None and _NUMBER.fullmatch(found) else None


def trouble(path: Path) -> str | None:
    """Return why a file has no number for this process now; None: it has one."""
    try:
        found = _read(path)
    except (OSError, ValueError) as error:
        return (getattr(error, "strerror", None) or "cannot be read").lower()
    return None if _NUMBER.fullmatch(found) else f"{found!r} is no whole number of at most 18 digits"


def there(path: Path) -> bool:
    """Return whether there is such a file, whatever it is: why it tells nothing, `trouble` says."""
    return os.path.lexists(path)


def entries(folder: Path, pattern: str) -> Iterator[tuple[int, Path]]:
    """Yield (number, path) of what is named by a prefix and a number, in the order of numbers, `MOST_ENTRIES` at most.

    Args:
        pattern: a regular expression of the whole name, whose first group is the number.
    """
    try:
        names = os.listdir(folder)
    except (OSError, ValueError):
        return
    found = [(int(match[1]), folder / match[0]) for name in names if (match := re.fullmatch(pattern, name))]
    yield from sorted(found)[:MOST_ENTRIES]


def _read(path: Path) -> str:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "no regular file")
        found = os.read(file, MOST_BYTES)
    finally:
        os.close(file)
    words = " ".join(found.decode("utf-8", "replace").split())[:MOST_LETTERS]
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in words)
