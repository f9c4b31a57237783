"""The folder of bundles: bounded in number and bytes, the oldest goes. Of the thread that writes."""

from __future__ import annotations

import contextlib
import errno
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesnn.daemon.checkpoints import file_name
from edgesnn.recorder import bundle, sealed
from edgesnn.recorder.ring import Recording

_NAME = re.compile(rf"(\d{{6,}})-.+{re.escape(bundle.SUFFIX)}")


class Bundles:
    """Writes bundles and removes old ones; whatever else lies there stays.

    Args:
        folder: made when it is needed.
        most: of them.
        most_bytes: of all together.

    Attributes:
        deleted: how many had to go.
    """

    def __init__(self, folder: Path, most: int, most_bytes: int) -> None:
        self.deleted = 0
        self._folder, self._most, self._most_bytes = folder, most, most_bytes

    def write(self, about: Mapping[str, Any], recording: Recording) -> Path:
        """Write a bundle and return its path.

        Raises:
            OSError: the disk does not take it, or it is larger than all may be.
        """
        parts = bundle.encode(about, recording)
        size = sum(memoryview(part).nbytes for part in parts)
        if size > self._most_bytes:
            raise OSError(errno.EFBIG, f"a bundle of {size} bytes, more than recorder.max_size")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sealed.remove_temporary(self._folder, f"[0-9]*-*{bundle.SUFFIX}")
        number = max((number for number, _, _ in self._found()), default=0) + 1
        name = f"{number:06d}-{file_name(about['stream'])}-{about['trigger']}{bundle.SUFFIX}"
        self._remove(self._most - 1, self._most_bytes - size)
        sealed.write(self._folder / name, parts)
        return self._folder / name

    def _found(self) -> list[tuple[int, Path, int]]:
        """Return (number, path, bytes), the oldest first: the clock may have been set, numbers rise."""
        found = []
        for path in self._folder.iterdir():
            match = _NAME.fullmatch(path.name)
            status = path.lstat() if match else None
            if match and status and stat.S_ISREG(status.st_mode):
                found.append((int(match[1]), path, status.st_size))
        return sorted(found)

    def _remove(self, most: int, most_bytes: int) -> None:
        found = self._found()
        held = sum(size for *_, size in found)
        for at, (_, path, size) in enumerate(found):
            if len(found) - at <= most and held <= most_bytes:
                return
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            self.deleted += 1
            held -= size
