"""The event array: the public face of every source."""

from __future__ import annotations

import numpy as np

EVENT = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
"""One event: t in microseconds as the format's rules give it, x < width, y < height, p in {0, 1}. 13 bytes, packed."""

TRIGGER = np.dtype([("t", "<i8"), ("id", "u1"), ("p", "u1")])
"""One external trigger edge: t in microseconds, channel, 1 for rising and 0 for falling. 10 bytes, packed."""
