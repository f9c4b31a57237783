"""Bins of time, and the windows that are so many bins each (docs/arithmetic.md, section 10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Origin = Literal["first", "zero"]
Rounding = Literal["floor", "nearest"]


@dataclass(frozen=True)
class TimeGrid:
    """Window k holds the bins [k * hop, k * hop + length).

    Attributes:
        length: bins of a window.
        hop: bins from the start of a window to that of the next.
        bin_us: microseconds of a bin.
        rounding: "floor": bin b holds the times from b * bin_us on; "nearest": those that are nearest to b * bin_us,
            halves to the even bin.
        origin: times count from the stream's "first" event or from "zero".
    """

    length: int
    hop: int
    bin_us: int = 1
    rounding: Rounding = "floor"
    origin: Origin = "first"

    def bins(self, t_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the bin of each time since the origin, exactly."""
        if self.rounding == "floor":
            found: npt.NDArray[np.int64] = t_us // self.bin_us
            return found
        halves, rest = np.divmod(2 * t_us + self.bin_us, 2 * self.bin_us)
        even: npt.NDArray[np.int64] = halves - ((rest == 0) & (halves % 2 == 1))
        return even

    @property
    def hop_us(self) -> int:
        """Microseconds from the start of a window to that of the next (halves of bins apart: one more or less)."""
        return self.hop * self.bin_us

    def first_number(self, t_us: int) -> int:
        """Return the number of the first window, from 0 on, that ends after this time since the origin."""
        bin = int(self.bins(np.array([t_us], dtype=np.int64))[0])
        return max(0, (bin - self.length) // self.hop + 1)

    def start_us(self, number: int) -> int:
        """Return where a window starts, in microseconds since the origin: the first time of its first bin.

        >>> TimeGrid(300, 300, 1000).start_us(2), TimeGrid(3, 3, 1000, "nearest").start_us(1)
        (600000, 2501)
        """
        return self._first_us(number * self.hop)

    def end_us(self, number: int) -> int:
        """Return where a window ends: the first time after its last bin."""
        return self._first_us(number * self.hop + self.length)

    def _first_us(self, bin: int) -> int:
        if self.rounding == "floor":
            return bin * self.bin_us
        twice = (2 * bin - 1) * self.bin_us
        return (twice + 1) // 2 + (twice % 2 == 0 and bin % 2 == 1)
