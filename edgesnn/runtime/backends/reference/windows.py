"""Windows of neighbours of an image [C, H, W]; a sequence is an image of one row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgesnn.runtime.backends.reference.base import Array


def image(x: Array) -> Array:
    """Return [C, L] as [C, 1, L], and [C, H, W] as it is."""
    return x[:, None] if x.ndim == 2 else x


def pair(values: Sequence[int], filler: int) -> tuple[int, int]:
    """Return [n] as (filler, n), and [n, n] as it is."""
    first, second = values if len(values) == 2 else (filler, values[0])
    return first, second


def windows(
    x: Array, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int]
) -> Array:
    """Return [C, kh, kw, H', W'] of an image [C, H, W]: what each tap sees at each place; padding is zero."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = kernel, stride, padding, dilation
    padded = np.pad(x, ((0, 0), (ph, ph), (pw, pw)))
    rows = (padded.shape[1] - dh * (kh - 1) - 1) // sh + 1
    columns = (padded.shape[2] - dw * (kw - 1) - 1) // sw + 1
    y = np.arange(kh)[:, None] * dh + np.arange(rows) * sh
    z = np.arange(kw)[:, None] * dw + np.arange(columns) * sw
    return np.asarray(padded[:, y[:, None, :, None], z[None, :, None, :]])
