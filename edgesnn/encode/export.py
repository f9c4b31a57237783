"""The windows of a recording, encoded, as an .npz file. In bounded memory: arrays wait in a file beside it."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from edgesnn.encode.arrays import EncoderLike, encode_windows, parse_encoder
from edgesnn.errors import RecordingError, UsageError
from edgesnn.events.filters import FilterLike, parse_filters
from edgesnn.events.recording import Recording
from edgesnn.replacement import Replacement, named

_COLUMNS = ("number", "t0_us", "t1_us", "events")


def export_windows(
    source: Recording,
    target: str | os.PathLike[str],
    encoder: EncoderLike,
    *,
    filters: Iterable[FilterLike] = (),
    **windows: Any,
) -> dict[str, Any]:
    """Write `array` [windows, ...] and, of each window, `number`, `t0_us`, `t1_us` and `events`.

    Args:
        source: what is read.
        target: the .npz file; it appears when it is whole.
        encoder, filters, windows: as `encode_windows`.

    Returns:
        input, output, encoder, filters, windows, shape, dtype, size_bytes: JSON values.

    Raises:
        RecordingError: damage, no window, or a disk that takes no more.
        UsageError: as `encode_windows`; a target that is no .npz file.
    """
    path, chosen = Path(target), parse_filters(filters)
    if path.suffix != ".npz":
        raise UsageError("arrays are written as .npz", where=str(target), found=repr(path.suffix), expected=".npz")
    made = encode_windows(source, encoder, filters=chosen, **windows)
    rows: list[tuple[int, ...]] = []
    kind = np.zeros(0)
    try:
        place = named(path)
        with tempfile.TemporaryFile(dir=place.parent) as waiting:
            for window in made:
                kind = window.array
                waiting.write(kind.data if kind.size else b"")
                rows.append((window.number, window.t0_us, window.t1_us, window.events))
            if not rows:
                raise RecordingError("the recording has no whole window", where=str(source.path))
            _write(place, waiting, (len(rows), *kind.shape), kind.dtype, np.array(rows, np.int64))
    except OSError as error:
        raise RecordingError("cannot be written", where=str(target), found=error.strerror) from None
    return {
        "input": str(source.path),
        "output": str(target),
        "encoder": parse_encoder(encoder).json,
        "filters": [one.json for one in chosen],
        "windows": len(rows),
        "shape": [len(rows), *kind.shape],
        "dtype": str(kind.dtype),
        "size_bytes": path.stat().st_size,
    }


def _write(
    path: Path, waiting: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any], rows: npt.NDArray[np.int64]
) -> None:
    with Replacement(path) as part, io.BufferedWriter(part.file) as file, zipfile.ZipFile(file, "w") as archive:
        with archive.open("array.npy", "w", force_zip64=True) as member:
            header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_2_0(member, header)
            waiting.seek(0)
            shutil.copyfileobj(waiting, member, 1 << 20)
        for name, column in zip(_COLUMNS, rows.T, strict=True):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(column), allow_pickle=False)
