"""Fuzz the reading of HDF5: files that libhdf5 made, whose contents are not as a recording's are.

Attributes, members, links, types, shapes and packed chunks of good files are exchanged. The worker's part runs in this
process, its messages are read back as the caller does. `recording_file.check` says what must hold; an attribute that
says nothing of the events changes none of them. (A byte of the file's own structure is not edited here: that is
libhdf5's to bear, in a process of its own: tests/attacks/test_damaged_files.py.)
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py
import numpy as np

import edgesnn
from edgesnn.events.formats import hdf5_child, hdf5_messages
from edgesnn.hdf5 import JobError, wire
from edgesnn.hdf5.process import MOST_BYTES
from fuzz import recording_file
from fuzz.choices import Choices
from fuzz.edits import edited
from tests.files import SENSOR
from tests.property import aedat_files, hdf5_files

EVENTS = aedat_files.rising_events(np.random.default_rng(14), 24, SENSOR, 1_000_000)
NAMES = ("note", "geometry", "version", "", "a" * 300, "\u20ac", "t_offset", "evt")
VALUES: tuple[Any, ...] = (
    0, -1, 2**63 - 1, 2**64 - 1, 1.5, np.nan, np.inf, True, "320x240", "0x0", "99999x99999", "-5x3", "a\0b", "\udc80",
    b"\xff\xfe", "x" * 5000, "", np.arange(2000), np.zeros((2, 0)), np.array([b"a", b"bc"]), h5py.Empty("f4"),
    np.void(b"opaque"), np.float16(2), np.complex64(1j), ["a", "\u20ac"], np.zeros(2, [("x", "i4"), ("y", "S3")]),
    np.array([320, 240]), np.datetime64("2020-01-01").astype("i8"), h5py.Reference(), np.zeros((3, 4), "u1"),
)  # fmt: skip
TYPES: tuple[Any, ...] = (
    "u1", "i1", "<u2", ">u2", "<i4", "<u4", "<i8", ">u8", "f2", "f4", "f8", "?", "S3", "c8", h5py.string_dtype(),
    [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")], [("t", "f8"), ("x", "f4"), ("y", "f4"), ("p", "?")],
    [("x", "<u2"), ("y", "<u2", (2,)), ("p", "<i2"), ("t", "<i8")], [("x", "S2"), *((n, "i2") for n in "ypt")],
    [("x", "<u2"), ("x_pos", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")], h5py.vlen_dtype("i4"), h5py.ref_dtype,
)  # fmt: skip
SHAPES: tuple[tuple[int, ...], ...] = (
    (24,), (23,), (0,), (1,), (), (24, 4), (24, 3), (0, 4), (24, 4, 1), (2**40,), (2**62,), (24, 0), (5000,),
)  # fmt: skip
PATHS = (
    "CD", "CD/events", "events", "events/t", "events/x", "events/y", "events/p", "t_offset", "ms_to_idx", "davis",
    "davis/left", "davis/left/events", "davis/left/image_raw", "EXT_TRIGGER/events", "events/time", "events/z",
)  # fmt: skip
IMPOSSIBLE = (AttributeError, TypeError, ValueError, OSError, RuntimeError, KeyError)
"""What h5py says to a change that it cannot make."""
PLAIN = (hdf5_child.Refused, OSError, RuntimeError, ValueError, KeyError, MemoryError)
"""What the worker may raise; anything else is a mistake in it."""


@cache
def _good() -> tuple[bytes, ...]:
    plain = hdf5_files.dsec(EVENTS, options={})
    packed = hdf5_files.dsec(EVENTS, options={"compression": "gzip", "shuffle": True})
    return (
        hdf5_files.ecf(EVENTS, rows=10),
        plain,
        packed,
        hdf5_files.mvsec(EVENTS, image=True, rows=10),
        _records(),
    )


def _records() -> bytes:
    """Return Prophesee's records without their packing."""
    out = io.BytesIO()
    rows = np.zeros(len(EVENTS), hdf5_files.RECORD)
    for name in "xypt":
        rows[name] = EVENTS[name]
    with h5py.File(out, "w") as file:
        file.create_dataset("CD/events", data=rows, chunks=(10,), maxshape=(None,))
    return out.getvalue()


@cache
def _path() -> Path:
    return Path(tempfile.mkdtemp()) / "a.h5"


def one_input(data: bytes) -> None:
    """Read a file that the bytes describe."""
    choices = Choices(data)
    how, count = choices.byte(), choices.below(16)
    out = io.BytesIO(_good()[choices.below(len(_good()))])
    with h5py.File(out, "r+") as file:
        tame = [_change(choices, file) for _ in range(choices.below(4))]
        tame += [_edit_chunk(choices, file) for _ in range(choices.below(3))]  # last: libhdf5 stumbles over them
    _path().write_bytes(out.getvalue())
    sensor = SENSOR if how & 1 else None
    with patch.object(hdf5_messages, "Job", _Job):
        events, message = recording_file.check(_path(), None, sensor, count)
        if how & 2:
            _read_part(1_000_000 + 100 * choices.byte(), sensor)
    if all(tame) and sensor is not None:
        assert message == "", message
        np.testing.assert_array_equal(events, EVENTS)


def _read_part(start_us: int, sensor: tuple[int, int] | None) -> None:
    """Read what begins at a time, which an index may help to find."""
    with contextlib.suppress(edgesnn.RecordingError):
        events = edgesnn.open(_path(), sensor=sensor, on_corrupt="skip").read(start_us=start_us)
        assert not len(events) or events["t"][0] >= start_us


def _change(choices: Choices, file: Any) -> bool:
    """Change something; return whether the events are still the same."""
    action = choices.below(5)
    if action < 2:
        return _set_attribute(choices, file)
    path = PATHS[choices.below(len(PATHS))]
    with contextlib.suppress(*IMPOSSIBLE):
        if action == 2:
            _replace(choices, file, path)
        elif action == 3:
            _link(choices, file, path)
        else:
            file[path].resize(choices.below(64), 0)
    return False


def _set_attribute(choices: Choices, file: Any) -> bool:
    name, value = NAMES[choices.below(len(NAMES))], VALUES[choices.below(len(VALUES))]
    path = PATHS[choices.below(len(PATHS))] if choices.below(4) == 0 else "/"
    with contextlib.suppress(*IMPOSSIBLE):
        file[path].attrs[name] = value
    return True


def _replace(choices: Choices, file: Any, path: str) -> None:
    kind, shape = TYPES[choices.below(len(TYPES))], SHAPES[choices.below(len(SHAPES))]
    value = VALUES[choices.below(len(VALUES))] if choices.below(2) else None
    if path in file:
        del file[path]
    if choices.below(8) == 0:
        file.create_group(path)
    elif path == "t_offset" or (value is not None and choices.below(2)):
        file[path] = VALUES[choices.below(len(VALUES))] if value is None else value
    else:
        chunks = None if choices.below(2) or not shape or 0 in shape else tuple(min(side, 7) for side in shape)
        item = file.create_dataset(path, shape, kind, chunks=chunks)
        if item.dtype.kind in "iufb" and 0 < item.size <= 5000 and choices.below(2):
            item[...] = np.arange(item.size).reshape(shape).astype(item.dtype)


def _link(choices: Choices, file: Any, path: str) -> None:
    other = PATHS[choices.below(len(PATHS))]
    links = (h5py.SoftLink(f"/{other}"), h5py.ExternalLink("/dev/null", f"/{other}"), file.get(other), file, None)
    link = links[choices.below(len(links))]
    if path in file:
        del file[path]
    if link is not None:
        file[path] = link


def _edit_chunk(choices: Choices, file: Any) -> bool:
    path, number = PATHS[choices.below(len(PATHS))], choices.byte()
    with contextlib.suppress(*IMPOSSIBLE):
        item = file[path].id
        place = item.get_chunk_info(number % max(item.get_num_chunks(), 1)).chunk_offset
        mask, chunk = item.read_direct_chunk(place)
        item.write_direct_chunk(place, edited(choices, bytes(chunk)), choices.below(4) if mask == 0 else mask)
    return False


class _Job:
    """A job that is done in this process before its messages are read."""

    def __init__(self, _module: str, request: dict[str, Any], **_limits: Any) -> None:
        self._request = request

    def __iter__(self) -> Iterator[tuple[dict[str, Any], list[wire.Array]]]:
        pipe = os.memfd_create("job")
        try:
            refused = self._work(wire.Link(pipe))
            os.lseek(pipe, 0, os.SEEK_SET)
            while (said := wire.receive(pipe, MOST_BYTES, 1)) is not None:
                yield said
            if refused:
                raise JobError("refused", refused)
        finally:
            os.close(pipe)

    def _work(self, link: wire.Link) -> str:
        try:
            hdf5_child.work(link, self._request)
        except ModuleNotFoundError:
            raise
        except PLAIN as error:
            return " ".join((str(error) or type(error).__name__).split())[:300]
        return ""
