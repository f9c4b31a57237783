"""The worker's side of HDF5: finds the events of a file and sends them in blocks. docs/formats.md, "HDF5"."""

from __future__ import annotations

import os
from typing import Any

from edgesnn.events.formats import columns
from edgesnn.events.formats.checks import TIME_LIMIT_US
from edgesnn.events.formats.hdf5_cut import Padded
from edgesnn.events.formats.hdf5_packed import ECF, Packed
from edgesnn.events.formats.hdf5_stored import MOST_FIELDS, Stored, Table, filters, lies_inside, member
from edgesnn.hdf5.wire import Link, Refused

_CACHE_BYTES = 1 << 26  # a chunk that does not fit is unpacked again for every block


def work(link: Link, request: dict[str, Any]) -> None:
    """Send what the file is, and unless that is all ("describe") its blocks from the row on that `start_us` allows.

    Or, where a "place" is asked for, the byte at which that row lies.

    Where the file is cut, "end" says how long it would be; the blocks end before the first row that is not there.
    """
    import h5py

    path, end = request["path"], request.get("end")
    Stored.path, Stored.file_bytes, Stored.cut = path, os.path.getsize(path), bool(end)
    opened: Any = Padded(path, end) if end else path
    with h5py.File(opened, "r", rdcc_nbytes=_CACHE_BYTES) as file:
        layout = find(file)
        row = request.get("place")
        if row is not None and isinstance(layout, Table):
            link.send({"at": layout.place(row)})
            return
        link.send(layout.describe(file))
        if not request.get("describe"):
            layout.send(link, request.get("start_us"))


def find(file: Any) -> Table | Packed:
    """Return the events of a file; Refused where it holds none that are known."""
    if item := member(file, "CD/events"):
        return Packed(file, item) if ECF in filters(item) else Records(item)
    for side in ("left", "right"):
        if item := member(file, f"davis/{side}/events"):
            return Mvsec(file, item, side)
    group = member(file, "events", group_wanted=True)
    known = {name: columns.known(name) for name in list(group)[:MOST_FIELDS]} if group is not None else {}
    if columns.complete(list(known.values())):
        return Dsec(file, group, {name: axis for name, axis in known.items() if axis})
    names = ", ".join(list(file)[:10]) or "nothing"
    raise Refused(f"no events that are known, but {names}")


class Records(Table):
    """Prophesee's CD/events, not packed: one data set of records."""

    def __init__(self, item: Any) -> None:
        known = {name: axis for name in item.dtype.names or () if (axis := columns.known(name))}
        numbers = all(item.dtype[name].kind in "fiub" for name in known)
        if not numbers or item.ndim != 1 or not columns.complete(list(known.values())):
            raise Refused(f"{item.name} of shape {item.shape} and type {item.dtype} holds no events")
        names = ["t_us" if axis == "t" else axis for axis in known.values()]
        super().__init__("ecf", [Stored(item, list(known))], names)

    def describe(self, file: Any) -> dict[str, Any]:
        """As `Table.describe`, with the sensor."""
        found = super().describe(file)
        return {**found, "sensor": found["fields"].get("geometry")}


class Dsec(Table):
    """DSEC's columns side by side, an offset of their times, and an index of milliseconds."""

    def __init__(self, file: Any, group: Any, known: dict[str, str]) -> None:
        items = [member(group, name) for name in known]
        if any(item is None or item.ndim != 1 or item.dtype.kind not in "fiub" for item in items):
            raise Refused("events holds no columns of numbers")
        self._t = items[[axis[0] for axis in known.values()].index("t")]
        whole = self._t.dtype.kind in "iu"
        super().__init__(
            "dsec", [Stored(item) for item in items], ["t_us" if whole and a == "t" else a for a in known.values()]
        )
        offset = member(file, "t_offset") if whole else None
        if Stored.cut and whole and (offset is None or not lies_inside(offset)):
            raise Refused("t_offset lies behind the cut")
        self._offset_us = _whole_number(offset) if offset is not None else 0
        if abs(self._offset_us) >= TIME_LIMIT_US:
            raise Refused(f"t_offset is {self._offset_us}")
        self._index = _numbers(member(file, "ms_to_idx"))

    def describe(self, file: Any) -> dict[str, Any]:
        """As `Table.describe`, with the offset of the times."""
        found = super().describe(file)
        found["fields"]["t_offset"] = str(self._offset_us)
        return {**found, "t_offset": self._offset_us}

    def first_row(self, start_us: int) -> int:
        """Look it up in the index, and believe that if the event before it is earlier."""
        ms = (start_us - self._offset_us) // 1000
        if Stored.cut or self._index is None or ms <= 0:
            return 0
        row = int(self._index[min(ms, self._index.shape[0] - 1)])
        if not 0 < row < self.rows or int(self._t[row - 1]) + self._offset_us >= start_us:
            return 0
        return row


def _whole_number(item: Any) -> int:
    """Return the one number of a data set; Refused where it holds something else."""
    if item.size != 1 or item.dtype.kind not in "iu":
        raise Refused(f"{item.name} of shape {item.shape} and type {item.dtype} is not one whole number")
    return int(item[()].reshape(-1)[0])


def _numbers(item: Any) -> Any:
    """Return a data set of whole numbers in a row, None where it is none."""
    return item if item is not None and item.ndim == 1 and item.size and item.dtype.kind in "iu" else None


class Mvsec(Table):
    """MVSEC's matrix of x, y, seconds and polarity."""

    def __init__(self, file: Any, item: Any, side: str) -> None:
        if item.ndim != 2 or item.shape[1] != 4 or item.dtype.kind not in "fiu":
            raise Refused(f"{item.name} of shape {item.shape} and type {item.dtype}, not rows of x, y, t and p")
        super().__init__("mvsec", [Stored(item)], ["x", "y", "t_s", "p"])
        self._image = member(file, f"davis/{side}/image_raw")

    def describe(self, file: Any) -> dict[str, Any]:
        """As `Table.describe`; images have the sensor's size."""
        image = self._image
        sensor = f"{image.shape[2]}x{image.shape[1]}" if image is not None and image.ndim == 3 else None
        return {**super().describe(file), "sensor": sensor}
