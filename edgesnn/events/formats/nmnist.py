"""N-MNIST .bin, five bytes an event; the IBM gesture clips share the layout. docs/formats.md, "N-MNIST .bin"."""

from __future__ import annotations

import numpy as np

from edgesnn.events.formats.base import Head, Header, NativeFormat

_RECORD_BYTES = 5
_MOST_ODD = 0.1  # steps back in time or records that repeat the one before: random bytes have half, zeros all


class Nmnist(NativeFormat):
    """Files without any header: the suffix and times that mostly rise tell them."""

    name = "nmnist"
    title = "N-MNIST .bin"
    has_magic = False

    def matches(self, head: Head) -> bool:
        """Say whether the suffix is .bin and the times of the first events mostly rise."""
        if head.suffix != ".bin" or len(head.data) < _RECORD_BYTES:
            return False
        whole = len(head.data) // _RECORD_BYTES * _RECORD_BYTES
        rows = np.frombuffer(head.data, np.uint8, whole).reshape(-1, _RECORD_BYTES).astype(np.int64)
        t_us = (rows[:, 2] & 0x7F) << 16 | rows[:, 3] << 8 | rows[:, 4]
        odd = (np.diff(t_us) < 0) | (np.diff(rows, axis=0) == 0).all(axis=1)
        return bool(odd.sum() <= _MOST_ODD * len(rows))

    def header(self, head: Head) -> Header:
        """Return the empty header: the file names no sensor."""
        return Header()
