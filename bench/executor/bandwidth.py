"""The limit beside the tables: what one core reads from memory of a given size, measured in the same run."""

from __future__ import annotations

import time

import numpy as np

SMALLEST = 256 * 1024  # below it the calls' own cost shows
_LOOK_FOR = b"\x77"


def read_gb_s(size_bytes: int, *, seconds: float = 0.15) -> float:
    """Return GB/s of the fastest of two readers (memchr, and BLAS's dot product) over `size_bytes` of memory."""
    size = max(size_bytes, SMALLEST) // 64 * 64
    text = bytes(size)
    numbers = np.zeros(size // 4, np.float32)
    best = 0.0
    for read in (lambda: text.find(_LOOK_FOR), lambda: np.dot(numbers, numbers)):
        end = time.perf_counter() + seconds / 2
        while (start := time.perf_counter()) < end:
            read()
            best = max(best, size / (time.perf_counter() - start))
    return best / 1e9
