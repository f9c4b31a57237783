"""Choosing the next token: greedy, temperature, top-k, top-p; the same seed gives the same tokens everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgesnn.encode.philox import philox4x32
from edgesnn.errors import UsageError
from edgesnn.tokens.probability import check_logits, weights

Order = Literal["usual", "published"]
ORDERS = ("usual", "published")


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn.

    Attributes:
        temperature: logits are divided by it; 0: the most probable token, no draw.
        top_k: only so many most probable tokens; 0: all.
        top_p: only the fewest most probable tokens whose probabilities add up to it.
        order: "usual": temperature, top-k, top-p; "published": as SpikeGPT's script, which cuts by top-p first (more
            than `top_p`, and all that are as probable as the last), then takes the top-k, then the temperature.
        seed: 64-bit key of the draws.

    Raises:
        UsageError: a number out of range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    order: Order = "usual"
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self.temperature, "temperature", 0, 1e6)
        _check(self.top_p, "top_p", 1e-9, 1)
        _check(self.top_k, "top_k", 0, (1 << 31) - 1, whole=True)
        _check(self.seed, "seed", 0, (1 << 64) - 1, whole=True)
        if self.order not in ORDERS:
            raise UsageError("no such order", where="order", found=repr(self.order), expected=" or ".join(ORDERS))


class Sampler:
    """Draws tokens, one after the other; `draws` is its whole state.

    >>> Sampler(Sampling(temperature=0)).pick(np.array([0.0, 2.0, 1.0]))
    1
    """

    def __init__(self, sampling: Sampling) -> None:
        self.sampling = sampling
        self.draws = 0

    def pick(self, logits: npt.NDArray[Any]) -> int:
        """Return a token of these logits [V]; ModelError where one is no number."""
        check_logits(logits)
        if self.sampling.temperature == 0:
            return int(np.argmax(logits))
        x = np.asarray(logits, dtype=np.float64)
        scaled = x / self.sampling.temperature
        kept = self._published(x) if self.sampling.order == "published" else self._usual(scaled)
        share = weights(scaled[kept])
        ends = np.cumsum(share)
        place = (self._draw() * int(ends[-1])) >> 64
        return int(kept[np.searchsorted(ends, place, side="right")])

    def _usual(self, scaled: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        ranked = np.argsort(-scaled, kind="stable")[: self.sampling.top_k or None]
        if self.sampling.top_p == 1:
            return ranked
        ends = np.cumsum(weights(scaled[ranked]))
        enough = math.ceil(self.sampling.top_p * int(ends[-1]))
        return ranked[: int(np.searchsorted(ends, enough, side="left")) + 1]

    def _published(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        ranked = np.argsort(-x, kind="stable")
        if self.sampling.top_p < 1:
            ends = np.cumsum(weights(x[ranked]))
            enough = math.floor(self.sampling.top_p * int(ends[-1]))
            last = min(int(np.searchsorted(ends, enough, side="right")), len(ranked) - 1)
            ranked = ranked[x[ranked] >= x[ranked[last]]]
        return ranked[: self.sampling.top_k or None]

    def _draw(self) -> int:
        """Return the next 64 random bits: philox(seed, (draw low, draw high, 0, 0))."""
        counter = [[self.draws & 0xFFFFFFFF, self.draws >> 32, 0, 0]]
        low, high = (int(word) for word in philox4x32(self.sampling.seed, counter)[0, :2])
        self.draws += 1
        return low | high << 32


def _check(value: Any, name: str, low: float, high: float, whole: bool = False) -> None:
    kinds = (int,) if whole else (int, float)
    if type(value) not in kinds or not low <= value <= high:
        expected = f"{'a whole number' if whole else 'a number'} from {low:g} to {high:g}"
        raise UsageError("not a usable number", where=name, found=repr(value), expected=expected)
