"""What the worker that reads an HDF5 file says, its failures as errors that name the file."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy.typing as npt

from edgesnn.errors import RecordingError
from edgesnn.events.formats.base import open_file, printable
from edgesnn.events.formats.hdf5_cut import HEAD_BYTES, LEAST_BYTES, stored_end
from edgesnn.hdf5 import Job, JobError

_CHILD = "edgesnn.events.formats.hdf5_child"
_MEMORY_BYTES = 1 << 29
_KNOWN = "CD/events (Prophesee), events/{t,x,y,p} (DSEC) or davis/left/events (MVSEC)"

Message = tuple[dict[str, Any], list[npt.NDArray[Any]]]


class Messages:
    """The messages of one pass over a file.

    Attributes:
        described: what the file is: layout, names of its columns, rows, fields, sensor.
        cut: where it is shorter than it says, what is wrong with it as `table.Rows.ending` says it, else None.
        size_bytes: of the file.
    """

    def __init__(self, where: str, start_us: int | None = None, *, described_alone: bool = False) -> None:
        self._where = where
        with open_file(where) as file:
            end, self.size_bytes = stored_end(file.read(HEAD_BYTES)), file.seek(0, 2)
            self._identity = _identity(file)
        missing = end - self.size_bytes
        what = f"the file is cut: {self.size_bytes} of {end} bytes"
        self.cut = (what, "truncated_bytes", missing) if missing > 0 else None
        if self.cut and self.size_bytes < LEAST_BYTES:
            raise self._refusal(JobError("refused", "too little of it"))
        self._file = {"path": where, "end": end if self.cut else None}
        request = {**self._file, "start_us": start_us, "describe": described_alone}
        try:
            self._messages = iter(self._job(request))
        except JobError as error:
            raise self._refusal(error) from None
        first = self.next()
        if first is None:
            raise self._refusal(JobError("died", "it said nothing"))
        self.described = first[0]
        if described_alone:
            self.next()

    def next(self) -> Message | None:
        """Return the next message, None at the end. Raises RecordingError."""
        try:
            return next(self._messages, None)
        except JobError as error:
            raise self._refusal(error) from None

    def place(self, row: int) -> int:
        """Return where a row lies in the file, 0 where that is not known."""
        with contextlib.suppress(JobError):
            ((message, _),) = self._job({**self._file, "place": row})
            return int(message["at"])
        return 0

    def _job(self, request: dict[str, Any]) -> Job:
        return Job(_CHILD, request, memory_bytes=_MEMORY_BYTES, file=self._identity)

    def _refusal(self, error: JobError) -> RecordingError:
        if self.cut and error.kind in ("refused", "died"):
            return RecordingError(self.cut[0], where=printable(self._where), offset=self.size_bytes, found=error.text)
        return refusal(error, self._where)


def _identity(file: Any) -> str:
    """Return a name that changes when the file does."""
    facts = os.fstat(file.fileno())
    return f"{facts.st_dev} {facts.st_ino} {facts.st_size} {facts.st_mtime_ns}"


def describe(where: str) -> dict[str, Any]:
    """Return what a file is."""
    return Messages(where, described_alone=True).described


def refusal(error: JobError, where: str) -> RecordingError:
    """Return the error of a job as one that names the file."""
    if error.kind == "missing":
        return RecordingError(error.what, where=printable(where), hint="pip install 'edgesnn[events]'")
    expected = _KNOWN if error.kind == "refused" else None
    return RecordingError(error.what, where=printable(where), found=error.text, expected=expected)
