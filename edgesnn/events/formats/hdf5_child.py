"""The worker's side of HDF5: finds the events of a file and sends them in blocks. docs/formats.md, "HDF5"."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.events.formats import columns
from edgesnn.events.formats.checks import TIME_LIMIT_US
from edgesnn.hdf5.wire import Link, Refused

BLOCK_ROWS = 1 << 16
MOST_CHUNK_BYTES = 1 << 26
_CACHE_BYTES = 1 << 26  # a chunk that does not fit is unpacked again for every block
_FREE_BYTES = 16 << 20  # that a file may unpack to, however small it is
_MOST_TIMES = 256  # that columns of events may unpack to
_MOST_FIELDS = 100

Array = npt.NDArray[Any]
Lost = tuple[int, int, int, str]
"""(first row, row behind the last, byte of the file, why)."""


def work(link: Link, request: dict[str, Any]) -> None:
    """Send what the file is ("describe"), or its blocks from the row on that `start_us` allows."""
    import h5py

    with h5py.File(request["path"], "r", rdcc_nbytes=_CACHE_BYTES) as file:
        layout = find(file)
        link.send(layout.describe(file))
        if not request.get("describe"):
            layout.send(link, request.get("start_us"))


def find(file: Any) -> Table:
    """Return the events of a file; Refused where it holds none that are known."""
    if item := member(file, "CD/events"):
        return Records(item)
    for side in ("left", "right"):
        if item := member(file, f"davis/{side}/events"):
            return Mvsec(file, item, side)
    group = member(file, "events", group_wanted=True)
    known = {name: columns.known(name) for name in list(group)[:_MOST_FIELDS]} if group is not None else {}
    if columns.complete(list(known.values())):
        return Dsec(file, group, {name: axis for name, axis in known.items() if axis})
    names = ", ".join(list(file)[:10]) or "nothing"
    raise Refused(f"no events that are known, but {names}")


def member(group: Any, path: str, *, group_wanted: bool = False) -> Any:
    """Return the data set (or group) at this path inside the file, None where there is none."""
    import h5py

    item = group
    for name in path.split("/"):
        if not isinstance(item, h5py.Group) or not isinstance(item.get(name, getlink=True), h5py.HardLink):
            return None
        item = item[name]
    return item if isinstance(item, h5py.Group if group_wanted else h5py.Dataset) else None


def require_filters(item: Any) -> None:
    """Raise ModuleNotFoundError where a package has the compression of a data set and is not there, else Refused."""
    import h5py

    plan = item.id.get_create_plist()
    for number, _, _, name in map(plan.get_filter, range(plan.get_nfilters())):
        if not h5py.h5z.filter_avail(number):
            import hdf5plugin  # noqa: F401 - says that it is missing

            raise Refused(f"{item.name} is packed with {name.decode('utf-8', 'replace')!r} (filter {number})")


class Stored:
    """A data set of rows, and where they lie in the file."""

    def __init__(self, item: Any) -> None:
        if item.external is not None or item.is_virtual:
            raise Refused(f"{item.name} keeps its data in another file")
        if not 1 <= len(item.shape or ()) <= 2:
            raise Refused(f"{item.name} of shape {item.shape} holds no rows")
        require_filters(item)
        self.item = item
        self.rows = int(item.shape[0])
        self.width = int(item.shape[1]) if len(item.shape) == 2 else 1
        self.row_bytes = int(item.dtype.itemsize) * self.width
        self.bytes = int(item.id.get_storage_size())
        self.chunk = item.chunks
        self.chunk_rows = int(item.chunks[0]) if item.chunks else max(self.rows, 1)
        if item.chunks and int(np.prod(item.chunks)) * item.dtype.itemsize > MOST_CHUNK_BYTES:
            raise Refused(f"{item.name} has chunks of more than {MOST_CHUNK_BYTES} bytes")

    def places(self, row: int) -> Iterator[tuple[int, int]]:
        """Yield (byte of the file, bytes) of each part of this row; (0, 0) of one that was never written."""
        if self.chunk is None:
            yield int(self.item.id.get_offset() or 0), max(self.bytes, 1)
            return
        first = row // self.chunk_rows * self.chunk_rows
        for column in range(0, self.width, self.chunk[1] if self.width > 1 else 1):
            info = self.item.id.get_chunk_info_by_coord((first, column) if len(self.chunk) == 2 else (first,))
            yield int(info.byte_offset or 0), int(info.size)

    def place(self, row: int) -> int:
        """Return the byte of the file at which this row's chunk begins."""
        return min(at for at, _ in self.places(row))

    def written(self, start: int, stop: int) -> bool:
        """Say whether all chunks of these rows are in the file: HDF5 fills the others with zeros."""
        firsts = range(start // self.chunk_rows * self.chunk_rows, stop, self.chunk_rows)
        return all(size for row in firsts for _, size in self.places(row))

    def columns(self, start: int, stop: int) -> list[Array]:
        """Return these rows, column by column."""
        return self._split(self.item[start:stop])

    def blank(self, rows: int) -> list[Array]:
        """Return so many rows of zeros as `columns` does."""
        return self._split(np.zeros((rows, *self.item.shape[1:]), self.item.dtype))

    def _split(self, block: Array) -> list[Array]:
        if block.dtype.names:
            return [block[name] for name in block.dtype.names]
        return [block] if block.ndim == 1 else [block[:, column] for column in range(self.width)]


class Table:
    """Rows of events, in one data set or in several side by side.

    Args:
        layout: its name.
        stored: the data sets.
        names: of all columns in their order, "-" for one that is left out.
    """

    def __init__(self, layout: str, stored: list[Stored], names: list[str]) -> None:
        self.layout = layout
        self.stored = stored
        self.names = names
        lengths = {one.rows for one in stored}
        if len(lengths) != 1:
            raise Refused(f"the columns do not go together: lengths {sorted(lengths)}")
        self.rows = lengths.pop()
        self.bytes = sum(one.bytes for one in stored)
        size = sum(one.rows * one.row_bytes for one in stored)
        if size > _FREE_BYTES + _MOST_TIMES * self.bytes:
            raise Refused(f"it unpacks to more than events do: {self.bytes} bytes that become {size}")

    def describe(self, file: Any) -> dict[str, Any]:
        """Return what is known of the file before its events are read."""
        fields = {"rows": str(self.rows)}
        for name in list(file.attrs)[:_MOST_FIELDS]:
            value = file.attrs[name]
            fields[str(name)[:200]] = (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))[
                :200
            ]
        return {"layout": self.layout, "names": self.names, "rows": self.rows, "fields": fields, "sensor": None}

    def first_row(self, start_us: int) -> int:
        """Return a row all of whose earlier events are before this time."""
        return 0

    def send(self, link: Link, start_us: int | None) -> None:
        """Send the rows in blocks."""
        first = 0 if start_us is None else self.first_row(start_us)
        largest = max(one.chunk_rows for one in self.stored)
        step = max(BLOCK_ROWS // largest, 1) * largest if largest <= 4 * BLOCK_ROWS else BLOCK_ROWS
        start = first
        while start < self.rows:
            stop = min((start // step + 1) * step, self.rows)
            arrays, lost = self._block(start, stop)
            taken = max(self.bytes * stop // self.rows - self.bytes * start // self.rows, 1)
            link.send(
                {"row": start, "bytes": taken, "lost": lost, "at": min(one.place(start) for one in self.stored)}, arrays
            )
            start = stop

    def _block(self, start: int, stop: int) -> tuple[list[Array], list[Lost]]:
        """Return the columns of these rows, and which of them could not be read."""
        if all(one.written(start, stop) for one in self.stored):
            with contextlib.suppress(OSError, RuntimeError, ValueError):
                return [column for one in self.stored for column in one.columns(start, stop)], []
        parts, lost = [], []
        for first, last in self._pieces(start, stop):
            piece, loss = self._piece(first, last)
            parts.append(piece)
            lost += [loss] if loss else []
        return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)], lost

    def _piece(self, start: int, stop: int) -> tuple[list[Array], Lost | None]:
        """Return the columns of rows in one chunk, zeros where a data set does not give them."""
        piece: list[Array] = []
        for one in self.stored:
            try:
                why = None if one.written(start, stop) else "its chunk was never written"
                piece += one.columns(start, stop) if why is None else []
            except (OSError, RuntimeError, ValueError) as error:
                why = " ".join(str(error).split())[:80]
            if why is not None:
                blank = [column for each in self.stored for column in each.blank(stop - start)]
                return blank, (start, stop, one.place(start), why)
        return piece, None

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the stretches of rows that lie in one chunk of each data set."""
        cuts = {start, stop}
        for one in self.stored:
            cuts |= set(range(start // one.chunk_rows * one.chunk_rows + one.chunk_rows, stop, one.chunk_rows))
        yield from pairwise(sorted(cuts))


class Records(Table):
    """Prophesee's CD/events, not packed: one data set of records."""

    def __init__(self, item: Any) -> None:
        names = [columns.known(name) for name in item.dtype.names or ()]
        if not columns.complete(names):
            raise Refused(f"{item.name} of type {item.dtype} holds no events")
        super().__init__("ecf", [Stored(item)], ["t_us" if name == "t" else name or "-" for name in names])

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
        self._offset_us = int(offset[()]) if offset is not None and offset.shape == () else 0
        if abs(self._offset_us) >= TIME_LIMIT_US:
            raise Refused(f"t_offset is {self._offset_us}")
        self._index = member(file, "ms_to_idx")

    def describe(self, file: Any) -> dict[str, Any]:
        """As `Table.describe`, with the offset of the times."""
        found = super().describe(file)
        found["fields"]["t_offset"] = str(self._offset_us)
        return {**found, "t_offset": self._offset_us}

    def first_row(self, start_us: int) -> int:
        """Look it up in the index, and believe that if the event before it is earlier."""
        ms = (start_us - self._offset_us) // 1000
        if self._index is None or self._index.ndim != 1 or not self._index.shape[0] or ms <= 0:
            return 0
        row = int(self._index[min(ms, self._index.shape[0] - 1)])
        if not 0 < row < self.rows or int(self._t[row - 1]) + self._offset_us >= start_us:
            return 0
        return row


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
