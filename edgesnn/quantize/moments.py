"""Second moments of a matrix's inputs, and what they say of the error of its sums.

With d the error of a channel's weights, the squared error of its sums over all inputs x that were seen is

    sum over x of (d . x)^2 = d M d,    M = sum over x of x x^T.

Up to `MAX_FULL` inputs M is kept whole, because its parts beside the diagonal matter: spikes are never negative and
neighbours fire together, so errors of one sign add up. Of more inputs there is no room for it: the mean is kept, which
is most of those parts, and of the rest the diagonal, as if inputs varied apart from each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MAX_FULL = 2048
"""Inputs up to which M is whole: 32 MiB."""


class Moments:
    """M of K inputs, in float64. `count` inputs were added."""

    def __init__(self, inputs: int) -> None:
        self.count = 0
        self._full = inputs <= MAX_FULL
        self._products: Floats = np.zeros((inputs, inputs) if self._full else inputs)
        self._sum: Floats = np.zeros(inputs)

    def add(self, rows: npt.NDArray[Any]) -> None:
        """Add inputs [n, K]."""
        wide = rows.astype(np.float64)
        self.count += len(wide)
        self._sum += wide.sum(axis=0)
        self._products += wide.T @ wide if self._full else np.square(wide).sum(axis=0)

    def times(self, errors: Floats) -> Floats:
        """Return d M of each row d of `errors`: [N, K]."""
        if self._full:
            full: Floats = errors @ self._products
            return full
        return errors * self._apart() + np.outer(errors @ self._sum, self._sum / max(1, self.count))

    def part(self, columns: slice) -> Floats:
        """Return these rows of M: [n, K]."""
        if self._full:
            return self._products[columns]
        part = np.outer(self._sum[columns], self._sum / max(1, self.count))
        part[:, columns] += np.diag(self._apart()[columns])
        return part

    def error(self, errors: Floats) -> Floats:
        """Return d M d of each row d: float64 [N]."""
        total: Floats = (self.times(errors) * errors).sum(axis=1)
        return total

    def _apart(self) -> Floats:
        """Return the diagonal of M without the mean's part."""
        return np.maximum(self._products - np.square(self._sum) / max(1, self.count), 0.0)
