"""Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), vectorised over counters.

Counter-based: the same key and counter give the same words on every backend, arm and machine, in any order.
The native twin is `native/base/philox.hpp`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox4x32(key: int, counters: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    """Return the four words of each counter.

    Args:
        key: 64-bit key (a model's seed).
        counters: uint32 [n, 4].

    Returns:
        uint32 [n, 4].

    >>> [hex(int(w)) for w in philox4x32(0, [[0, 0, 0, 0]])[0]]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c = np.asarray(counters, dtype=np.uint64)
    c0, c1, c2, c3 = c[:, 0], c[:, 1], c[:, 2], c[:, 3]
    k0, k1 = key & 0xFFFFFFFF, (key >> 32) & 0xFFFFFFFF
    for _ in range(10):
        a, b = _M0 * c0, _M1 * c2
        c0, c1, c2, c3 = (b >> _HALF) ^ c1 ^ np.uint64(k0), b & _LOW, (a >> _HALF) ^ c3 ^ np.uint64(k1), a & _LOW
        k0, k1 = (k0 + _W0) & 0xFFFFFFFF, (k1 + _W1) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


def sampling_keys(key: int, first_event: int, count: int) -> npt.NDArray[np.uint32]:
    """Return the rank of each event, for drawing points: the first word of counter (index low, index high, ~0, ~0).

    The last two counter words are all ones, which no window number reaches, so these draws and the rate coder's
    (`edgesnn.encode.coding`) never share a counter.

    Args:
        key: 64-bit model seed.
        first_event: index in the stream of the first event.
        count: how many consecutive events.

    Returns:
        uint32 [count].
    """
    index = np.arange(first_event, first_event + count, dtype=np.uint64)
    counters = np.full((count, 4), 0xFFFFFFFF, dtype=np.uint64)
    counters[:, 0] = index & _LOW
    counters[:, 1] = index >> _HALF
    return philox4x32(key, counters)[:, 0]
