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
_FIRST = (512, 8192)  # most often so many are enough
ORDERS = ("usual", "published")


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn.

    Attributes:
        temperature: logits are divided by it, 1e-6 to 1e6; 0: the most probable token, no draw.
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
        if self.temperature > 0:
            _check(self.temperature, "temperature", 1e-6, 1e6)
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
        kept = np.sort(self._published(x) if self.sampling.order == "published" else self._usual(scaled))
        ends = np.cumsum(weights(scaled[kept]))
        place = (self._draw() * int(ends[-1])) >> 64
        return int(kept[np.searchsorted(ends, place, side="right")])

    def _usual(self, scaled: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        top_k, top_p = self.sampling.top_k, self.sampling.top_p
        ranked = _largest(scaled, top_k)[:top_k] if top_k else np.arange(len(scaled))
        if top_p == 1:
            return ranked
        share = weights(scaled[ranked])
        return ranked[_enough(share, math.ceil(top_p * int(share.sum())))]

    def _published(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        kept = np.arange(len(x))
        if self.sampling.top_p < 1:
            share = weights(x)
            least = x[_enough(share, math.floor(self.sampling.top_p * int(share.sum())) + 1)].min()
            kept = kept[x >= least]
        top_k = self.sampling.top_k
        return kept[_largest(x[kept], top_k)[:top_k]] if top_k else kept

    def _draw(self) -> int:
        """Return the next 64 random bits: philox(seed, (draw low, draw high, 0, 0))."""
        counter = [[self.draws & 0xFFFFFFFF, self.draws >> 32, 0, 0]]
        low, high = (int(word) for word in philox4x32(self.sampling.seed, counter)[0, :2])
        self.draws += 1
        return low | high << 32


def _largest(values: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    """Return where the `count` largest values are, and all as large as the last, the largest first, ties in order."""
    if count < len(values):
        places = np.flatnonzero(values >= np.partition(values, len(values) - count)[len(values) - count])
        return places[np.argsort(-values[places], kind="stable")]
    return np.argsort(-values, kind="stable")


def _enough(share: npt.NDArray[np.int64], enough: int) -> npt.NDArray[np.int64]:
    """Return where the fewest largest weights are that add up to `enough`, ties in order; all where they do not."""
    for count in (*_FIRST, len(share)):
        ranked = _largest(share, count)
        ends = np.cumsum(share[ranked])
        if ends[-1] >= enough:
            return ranked[: int(np.searchsorted(ends, enough, side="left")) + 1]
    return ranked


def _check(value: Any, name: str, low: float, high: float, whole: bool = False) -> None:
    kinds = (int,) if whole else (int, float)
    if type(value) not in kinds or not low <= value <= high:
        expected = f"{'a whole number' if whole else 'a number'} from {low:g} to {high:g}"
        raise UsageError("not a usable number", where=name, found=repr(value), expected=expected)
