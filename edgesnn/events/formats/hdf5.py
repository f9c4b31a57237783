"""Event recordings in HDF5: Prophesee's, DSEC's, MVSEC's. docs/formats.md, "HDF5"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.events.formats.base import Head, Header, Reader, ReaderOptions, Sensor
from edgesnn.events.formats.hdf5_ecf import EcfReader
from edgesnn.events.formats.hdf5_messages import Messages, describe, refusal
from edgesnn.events.formats.table import TableReader
from edgesnn.hdf5 import JobError

MAGIC = b"\x89HDF\r\n\x1a\n"
_MOST_SIDE = 2048
_BEYOND_US = 1 << 62  # no event has this time, with no offset

Array = npt.NDArray[Any]


class Hdf5:
    """Three layouts: `ecf`, `dsec`, `mvsec`. A process of its own reads the file."""

    name = "hdf5"
    title = "HDF5"
    has_magic = True
    native = False
    verified = False

    def matches(self, head: Head) -> bool:
        """Say whether the signature is there."""
        return head.data.startswith(MAGIC)

    def header(self, head: Head) -> Header:
        """Ask what the file holds."""
        found = describe(head.where)
        sensor, complaint = _sensor(found.get("sensor"))
        return Header(0, sensor, found["fields"], complaint, found["layout"])

    def reader(self, options: ReaderOptions) -> Reader:
        """Begin a pass over the file."""
        messages = Messages(options.path, options.start_us)
        if messages.described.get("packed"):
            return EcfReader(options, messages)
        rows = _Rows(options, messages)
        return TableReader(rows, self.title, options, "", first_row=rows.first, why=rows.why)


class _Rows:
    """The rows that a worker sends; see `table.Rows`.

    Attributes:
        first: number of the first row that is read.
    """

    def __init__(self, options: ReaderOptions, messages: Messages) -> None:
        self._where = options.path
        self._messages = messages
        found = messages.described
        self.names: Sequence[str] = found["names"]
        self._offset_us = int(found.get("t_offset", 0))
        self._lost: list[tuple[int, int, int, str]] = []  # of the last block
        self._ahead = self._messages.next()
        self.first = self._ahead[0]["row"] if self._ahead else 0

    def read(self) -> tuple[list[Array], int]:
        if self._ahead is None:
            return [np.zeros(0) for _ in self.names], 0
        message, block = self._ahead
        self._ahead = self._messages.next()
        self._lost = message["lost"]
        if len(block) != len(self.names) or len({column.shape for column in block}) != 1 or block[0].ndim != 1:
            raise refusal(JobError("died", "it sent no columns"), self._where)
        for at, name in enumerate(self.names):
            if name == "t_us" and self._offset_us:
                t_us = block[at]
                if t_us.dtype.kind == "u" and t_us.dtype.itemsize == 8:
                    t_us = np.minimum(t_us, np.uint64(_BEYOND_US))  # no sum may come back into what is possible
                block[at] = t_us.astype(np.int64) + self._offset_us
            elif name == "p" and self._lost:
                block[at] = block[at].astype(np.float64)
                for start, stop, _, _ in self._lost:
                    block[at][start - message["row"] : stop - message["row"]] = np.nan
        return block, message["bytes"]

    def offset(self, row: int) -> int:
        if self._ahead is None and self._messages.cut:
            return self._messages.size_bytes
        for start, stop, at, _ in self._lost:
            if start <= row < stop:
                return at
        return self._messages.place(row)

    def why(self, row: int) -> str | None:
        """Say why a row could not be read; None where it was."""
        return next((f"it cannot be read: {why}" for start, stop, _, why in self._lost if start <= row < stop), None)

    def ending(self) -> tuple[str, str, int] | None:
        return self._messages.cut


def _sensor(said: str | None) -> tuple[Sensor | None, str | None]:
    """Return the size that the file says, and what is wrong with it."""
    match = re.fullmatch(r"(\d{1,9})x(\d{1,9})", said or "")
    if match is None:
        return None, None
    sensor = int(match[1]), int(match[2])
    if all(0 < side <= _MOST_SIDE for side in sensor):
        return sensor, None
    return None, f"the file says {said}, possible are 1x1 to {_MOST_SIDE}x{_MOST_SIDE}"
