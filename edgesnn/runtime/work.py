"""The work of a session's calls, added up layer by layer."""

from __future__ import annotations

from typing import Any

from edgesnn.runtime.energy import energy_uj
from edgesnn.runtime.session import Layer, Session

SUMS = ("spikes", "synops", "macs", "bytes", "bits")


class Work:
    """Sums of what calls did (`Session.layers`), by node.

    Attributes:
        layers: the sums, in the graph's order; empty before the first call.
    """

    def __init__(self) -> None:
        self.layers: tuple[Layer, ...] = ()

    def add(self, session: Session) -> None:
        """Add a session's last call; all sessions are of one model."""
        made = session.layers
        before = self.layers or tuple(Layer(layer.node, layer.op, 0, 0, 0, 0, 0) for layer in made)
        self.layers = tuple(
            Layer(new.node, new.op, *(a + b for a, b in zip(old[2:], new[2:], strict=True)))
            for old, new in zip(before, made, strict=True)
        )

    def mean(self, windows: int) -> dict[str, Any]:
        """Return the mean of one of so many windows: spikes, synops, macs, bytes, bits and the estimated energy_uj, of
        all layers together and as `layers` of each."""
        rows = [{"node": layer.node, "op": layer.op, **_mean(layer[2:], windows)} for layer in self.layers]
        total = [sum(column) for column in zip(*(layer[2:] for layer in self.layers), strict=True)]
        return {**_mean(total or [0] * len(SUMS), windows), "layers": rows}


def _mean(sums: Any, windows: int) -> dict[str, float]:
    means = {name: value / max(1, windows) for name, value in zip(SUMS, sums, strict=True)}
    return {**means, "energy_uj": energy_uj(means["synops"], means["macs"])}
