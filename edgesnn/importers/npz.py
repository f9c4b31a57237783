"""Arrays of an .npz file that anybody may have written: no pickle, and one clear error."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgesnn.errors import ModelError

_ZIP = b"PK"
_NPY = b"\x93NUMPY"
MOST_BYTES = 4 << 30
"""All arrays of a file together, unpacked."""

_BROKEN = (OSError, EOFError, MemoryError, RuntimeError, SyntaxError, zipfile.BadZipFile, zlib.error)


def read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a file by name.

    Raises:
        ModelError: no such file, no .npz, a damaged one, one with Python objects or that unpacks to more than 4 GiB;
            names the file and the array.
    """
    where = str(path)
    try:
        with path.open("rb") as file:
            head = file.read(len(_NPY))
    except OSError as error:
        raise ModelError("file of outputs cannot be read", where=where, found=error.strerror) from None
    if not head.startswith(_ZIP):
        found = "one .npy array" if head == _NPY else f"it begins with {head!r}"
        hint = "numpy.savez(FILE, input=..., **{'spikes/LAYER': ...}) writes one"
        raise ModelError(
            "not a file of outputs", where=where, offset=0, found=found, expected="an .npz file", hint=hint
        )
    try:
        with np.load(path, allow_pickle=False) as members:
            size = sum(member.file_size for member in members.zip.infolist())
            if size > MOST_BYTES:
                expected, hint = f"at most {MOST_BYTES:,}", "compare fewer samples at a time"
                raise ModelError(
                    "file of outputs is too large", where=where, found=f"{size:,} bytes", expected=expected, hint=hint
                )
            return {name: _array(members, name, where) for name in members.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise _damaged(where, error) from None


def _array(members: Any, name: str, where: str) -> npt.NDArray[Any]:
    at = f"{where}, {name}"
    try:
        array = members[name]
    except ValueError as error:
        if "Object arrays" not in str(error):
            raise _damaged(at, error) from None
        raise ModelError("array holds Python objects", where=at, found="objects", expected="numbers") from None
    except _BROKEN as error:
        raise _damaged(at, error) from None
    if not isinstance(array, np.ndarray):
        raise ModelError("not an array", where=at, found="other bytes", expected="an .npy member of the .npz file")
    return array


def _damaged(where: str, error: Exception) -> ModelError:
    found = "too large for the memory" if isinstance(error, MemoryError) else type(error).__name__
    return ModelError("file of outputs is damaged", where=where, found=found, hint="write it again with numpy.savez")
