"""Estimates of energy, by the convention of the literature: operations times the cost of one in 45 nm silicon.

An estimate compares networks; no processor was measured. Memory, geometry and encoding are not in it.
"""

from __future__ import annotations

PICOJOULE = {"synop": 0.9, "mac": 4.6}
"""Energy of an accumulate and of a float32 multiply-add, 45 nm (Horowitz, ISSCC 2014)."""


def energy_uj(synops: float, macs: float) -> float:
    """Return the estimated dynamic energy in microjoule.

    >>> energy_uj(1_000_000, 0), energy_uj(0, 1_000_000)
    (0.9, 4.6)
    """
    return (PICOJOULE["synop"] * synops + PICOJOULE["mac"] * macs) / 1e6
