"""Reading memory as quickly as a core can (native/tests/read_all.hpp): a limit, timed in turns with what it limits."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import common
import numpy as np

LIBRARY = common.ROOT / "build/test/libread_all.so"


def reader(size_bytes: int, library: Path = LIBRARY) -> Callable[[int], None]:
    """Return what reads so many bytes of its own, lying in one piece, n times."""
    if not library.is_file():
        raise SystemExit(f"{library} is not there: make native")
    read = ctypes.CDLL(str(library)).edgesnn_read_all
    read.argtypes, read.restype = (ctypes.c_void_p, ctypes.c_size_t), ctypes.c_uint64
    data = np.ones(size_bytes, np.uint8)
    return common.repeated(lambda: read(data.ctypes.data, data.nbytes))
