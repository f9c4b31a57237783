"""What is known of this host's clocks."""

from __future__ import annotations

import ctypes
import time
from functools import cache
from pathlib import Path
from typing import Any

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 512  # more than struct timex on any Linux


def clock_synchronised() -> bool | None:
    """Return whether the kernel takes the wall clock for synchronised; None where it does not say.

    Asks adjtimex(2) with modes 0, which only reads and needs no rights.
    """
    adjtimex = _adjtimex()
    state = -1 if adjtimex is None else adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else bool(state != _TIME_ERROR)


@cache
def _adjtimex() -> Any:
    try:
        return ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None


def monotonic_resolution_ns() -> int:
    """Return the resolution of the monotonic clock in nanoseconds."""
    return round(time.get_clock_info("monotonic").resolution * 1e9)


def boot_clock() -> float:
    """Return the seconds since this machine's boot, its sleep included; the same clock for all its processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_name() -> str:
    """Return what names this boot of the machine; empty where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
