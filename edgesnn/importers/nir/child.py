"""Reads one NIR file with h5py and writes what it holds to standard output; run by `reader.py` as a process of its own.

HDF5 is a large C library that other people's files are fed to: a crash or a flood of memory must not be the caller's.
Usage: child.py FILE MEMORY_BYTES. Output: an .npz of the arrays `0`, `1`, ... and of `tree`, a JSON text as bytes:
{"version": text, "node": GROUP}, GROUP = {"fields": {name: array number or text}, "groups": {name: GROUP}}.
Exit code 3 with one line on standard error where the file is not readable as HDF5 or too large.
"""

from __future__ import annotations

import io
import json
import resource
import sys
from typing import Any

MAX_BYTES = 1 << 30  # of all arrays of a file
MAX_DEPTH = 16
MAX_ITEMS = 1 << 17


class RefusedError(Exception):
    """The file is not one that we read; the text says why."""


class Walk:
    """Collects a group's data sets and subgroups, counting bytes, items and depth."""

    def __init__(self) -> None:
        self.arrays: list[Any] = []
        self.bytes_left = MAX_BYTES
        self.items_left = MAX_ITEMS

    def group(self, group: Any, depth: int = 0) -> dict[str, Any]:
        """Return {"fields", "groups"} of an h5py group."""
        import h5py

        if depth > MAX_DEPTH:
            raise RefusedError(f"groups nested more than {MAX_DEPTH} deep")
        fields: dict[str, Any] = {}
        groups: dict[str, Any] = {}
        for name in group:
            self.items_left -= 1
            if self.items_left < 0:
                raise RefusedError(f"more than {MAX_ITEMS} items")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise RefusedError(f"{name!r} is a link to somewhere else")
            item = group[name]
            if isinstance(item, h5py.Group):
                groups[name] = self.group(item, depth + 1)
            elif isinstance(item, h5py.Dataset):
                fields[name] = self.data(name, item)
        return {"fields": fields, "groups": groups}

    def data(self, name: str, item: Any) -> int | str:
        """Return the text of a data set of one text, else the number of its array."""
        import h5py
        import numpy as np

        # of texts the length is not known before they are read: the memory limit bounds them
        self.bytes_left -= item.size * max(1, item.dtype.itemsize) if item.size else 0
        if self.bytes_left < 0:
            raise RefusedError(f"arrays of more than {MAX_BYTES} bytes")
        if item.external is not None or item.is_virtual:
            raise RefusedError(f"{name!r} keeps its data in another file")
        value = item[()]
        if h5py.check_string_dtype(item.dtype) is not None:
            texts = np.asarray(value, dtype=object)
            decoded = [t.decode() if isinstance(t, bytes) else str(t) for t in texts.ravel()]
            if texts.ndim == 0:
                return decoded[0]
            value = np.array(decoded, dtype=np.str_).reshape(texts.shape)
        array = np.asarray(value)
        if array.dtype.kind not in "fiubU":
            raise RefusedError(f"{name!r} is of type {array.dtype}, not numbers or texts")
        self.arrays.append(array)
        return len(self.arrays) - 1


def main(path: str, memory_bytes: int) -> int:
    """Read, write, and return the exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import h5py
    import numpy as np

    walk = Walk()
    try:
        with h5py.File(path, "r") as file:
            tree = walk.group(file)
        text = json.dumps(tree).encode()
        buffer = io.BytesIO()
        arrays = {str(number): array for number, array in enumerate(walk.arrays)}
        np.savez(buffer, tree=np.frombuffer(text, np.uint8), **arrays)
    except (RefusedError, OSError, ValueError, KeyError, RuntimeError, MemoryError) as error:
        print(" ".join(f"{error or type(error).__name__}".split())[:300], file=sys.stderr)
        return 3
    sys.stdout.buffer.write(buffer.getvalue())
    return 0


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: a module of ours must not stand in for a package's
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
