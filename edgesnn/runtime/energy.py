"""Estimates of energy, by the convention of the literature: operations times the cost of one in 45 nm silicon.

An estimate compares networks; no processor was measured. Memory, geometry and encoding are not in it.
"""

from __future__ import annotations

from edgesnn.graph import Document

PICOJOULE = {"synop": 0.9, "mac": 4.6}
"""Energy of an accumulate and of a float32 multiply-add, 45 nm (Horowitz, ISSCC 2014)."""

_GRADED_BITS = {"float32": 32, "int8": 8}


def energy_uj(synops: int, macs: int) -> float:
    """Return the estimated dynamic energy in microjoule.

    >>> energy_uj(1_000_000, 0), energy_uj(0, 1_000_000)
    (0.9, 4.6)
    """
    return (PICOJOULE["synop"] * synops + PICOJOULE["mac"] * macs) / 1e6


def bit_budget(document: Document, steps: int) -> dict[str, int]:
    """Return time steps * weight bits * spike bits of each matrix, by node (Shen et al. 2023).

    Spike bits are those that the input's largest value needs; 8 or 32 for graded input.
    """
    budget = {}
    for operator, view in document.analysis.operators:
        if operator.matrix:
            activations = view.attribute("activations")
            spike_bits = _GRADED_BITS.get(activations) or view.inputs[0].bound.bit_length()
            budget[view.node.name] = steps * view.tensors["weight"].bits * spike_bits
    return budget
