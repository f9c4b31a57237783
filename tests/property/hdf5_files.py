"""Small HDF5 recordings as their owners lay them out, written with h5py."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import h5py
import hdf5plugin
import numpy as np

from tests.property import ecf_reference


def dsec(events: np.ndarray, *, offset_us: int = 5_000_000, index: bool = True, options: Any = None) -> bytes:
    """Columns packed with Blosc and zstd, chunks of different lengths, the index of milliseconds."""
    out = io.BytesIO()
    t = events["t"] - offset_us
    base = 0 if not len(t) or t.min() >= 0 else int(t.min()) // 1000 * 1000
    t, offset_us = t - base, offset_us + base
    blosc = options if options is not None else dict(hdf5plugin.Blosc(cname="zstd", clevel=5))
    with h5py.File(out, "w") as file:
        columns = {"t": t.astype("<u4"), "x": events["x"], "y": events["y"], "p": events["p"]}
        for (name, column), rows in zip(columns.items(), (50, 80, 80, 120), strict=True):
            file.create_dataset(f"events/{name}", data=column, chunks=(rows,), maxshape=(None,), **blosc)
        file["t_offset"] = np.int64(offset_us)
        if index:
            last_ms = int(t[-1]) // 1000 if len(t) else 0
            file["ms_to_idx"] = np.searchsorted(t, np.arange(last_ms + 2) * 1000).astype("<u8")
    return out.getvalue()


def mvsec(events: np.ndarray, *, image: bool = False, rows: int = 64) -> bytes:
    """Rows of x, y, seconds and polarity (1, -1), deflated."""
    out = io.BytesIO()
    matrix = np.empty((len(events), 4))
    matrix[:, 0], matrix[:, 1], matrix[:, 3] = events["x"], events["y"], np.where(events["p"], 1, -1)
    matrix[:, 2] = events["t"] / 1e6
    with h5py.File(out, "w") as file:
        file.create_dataset("davis/left/events", data=matrix, chunks=(rows, 1), maxshape=(None, 4), compression="gzip")
        if image:
            file["davis/left/image_raw"] = np.zeros((1, 260, 346), np.uint8)
    return out.getvalue()


RECORD = np.dtype({"names": ["x", "y", "p", "t"], "formats": ["<u2", "<u2", "<i2", "<i8"], "offsets": [0, 2, 4, 8]})
EDGE = np.dtype({"names": ["p", "t", "id"], "formats": ["<i2", "<i8", "<i2"], "offsets": [0, 8, 16], "itemsize": 24})


def ecf(
    events: np.ndarray,
    *,
    rows: int = 50,
    layouts: tuple[str, ...] = tuple(ecf_reference.LAYOUTS),
    triggers: np.ndarray | None = None,
    geometry: str = "320x240",
    change: Callable[[int, bytes], bytes | None] = lambda _, chunk: chunk,
) -> bytes:
    """Prophesee's chunks of packed events in turn by these layouts, and external triggers; `change`: of each chunk."""
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file.attrs["geometry"] = geometry
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((rows,))
        plan.set_filter(0x8ECF, h5py.h5z.FLAG_OPTIONAL)
        plan.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((len(events),), (h5py.h5s.UNLIMITED,))
        kind = h5py.h5t.py_create(RECORD, logical=True)
        item = h5py.h5d.create(file.create_group("CD").id, b"events", kind, space, plan)
        for number, start in enumerate(range(0, len(events), rows)):
            chunk = ecf_reference.encode(events[start : start + rows], layouts[number % len(layouts)])
            if (changed := change(number, chunk)) is not None:
                item.write_direct_chunk((start,), changed)
        if triggers is not None:
            edges = np.zeros(len(triggers), EDGE)
            for name in ("p", "t", "id"):
                edges[name] = triggers[name]
            file.create_dataset("EXT_TRIGGER/events", data=edges, chunks=(64,), maxshape=(None,))
    return out.getvalue()
