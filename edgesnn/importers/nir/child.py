"""The worker's side of NIR files: reads one with h5py and sends what it holds (`edgesnn/hdf5`).

One message: {"version": text, "node": GROUP} under "tree" and the arrays, GROUP = {"fields": {name: array number or
text}, "groups": {name: GROUP}}.
"""

from __future__ import annotations

from typing import Any

from edgesnn.hdf5.wire import Link, Refused

MAX_BYTES = 1 << 30  # of all arrays of a file
MAX_DEPTH = 16
MAX_ITEMS = 1 << 17


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
            raise Refused(f"groups nested more than {MAX_DEPTH} deep")
        fields: dict[str, Any] = {}
        groups: dict[str, Any] = {}
        for name in group:
            self.items_left -= 1
            if self.items_left < 0:
                raise Refused(f"more than {MAX_ITEMS} items")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise Refused(f"{name!r} is a link to somewhere else")
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
            raise Refused(f"arrays of more than {MAX_BYTES} bytes")
        if item.external is not None or item.is_virtual:
            raise Refused(f"{name!r} keeps its data in another file")
        value = item[()]
        if h5py.check_string_dtype(item.dtype) is not None:
            texts = np.asarray(value, dtype=object)
            decoded = [t.decode() if isinstance(t, bytes) else str(t) for t in texts.ravel()]
            if texts.ndim == 0:
                return decoded[0]
            value = np.array(decoded, dtype=np.str_).reshape(texts.shape)
        array = np.asarray(value)
        if array.dtype.kind not in "fiubU":
            raise Refused(f"{name!r} is of type {array.dtype}, not numbers or texts")
        self.arrays.append(array)
        return len(self.arrays) - 1


def work(link: Link, request: dict[str, Any]) -> None:
    """Read the file at request["path"] and send it."""
    import h5py

    walk = Walk()
    with h5py.File(request["path"], "r") as file:
        tree = walk.group(file)
    link.send({"tree": tree}, walk.arrays)
