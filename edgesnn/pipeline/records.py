"""From a result of the native chain to a `Prediction`."""

from __future__ import annotations

from typing import Any

from edgesnn.prediction import Latency, ModelInfo, Prediction, SensorWindow
from edgesnn.runtime.decide import Readout
from edgesnn.runtime.energy import energy_uj
from edgesnn.runtime.model import Model

TOP = 3
"""How many labels `topk` names."""


class Records:
    """Makes the predictions of one stream.

    Args:
        model: for its name, identity, precision and backend.
        readout: for its labels.
        stream: name of the stream.
        hop_us: a decision that took longer missed its deadline; None: windows by count have none.
    """

    def __init__(self, model: Model, readout: Readout, stream: str, hop_us: int | None) -> None:
        self._labels = readout.labels
        self._calibrated = readout.calibrated
        self._stream = stream
        self._hop_us = hop_us
        self._info = ModelInfo(model.name, model.identity, model.precision, model.backend)

    def make(self, result: Any) -> Prediction:
        """Return the prediction of what `Chain.poll` gave; boot_id, seq, ts, node and late are for the sink to set."""
        (number, t0_us, t1_us, events, dropped), (verdict, active, p), work, stamp_ns, times = result
        steps, spikes, synops, macs = work
        idle = verdict == "idle"
        latency = _latency(times)
        return Prediction(
            window=number,
            sensor=SensorWindow(t0_us, t1_us, events, dropped),
            decision=verdict,
            label=None if active is None else self._labels[active],
            class_index=active,
            confidence=None if active is None else p[active],
            topk=None if idle else self._topk(p),
            model=self._info,
            stream=self._stream,
            calibrated=self._calibrated,
            t_mono_us=times[-1] // 1000,
            stamp_ns=stamp_ns,
            latency_us=latency,
            deadline_missed=None if self._hop_us is None else (latency.total or 0.0) > self._hop_us,
            steps=None if idle else steps,
            spikes=None if idle else spikes,
            synops=None if idle else synops,
            energy_uj_estimate=None if idle else energy_uj(synops, macs),
        )

    def _topk(self, p: list[float]) -> tuple[tuple[str, float], ...]:
        best = sorted(range(len(p)), key=lambda i: (-p[i], i))[:TOP]
        return tuple((self._labels[i], p[i]) for i in best)


def _latency(times: tuple[int, int, int, int]) -> Latency:
    arrived_ns, closed_ns, began_ns, decided_ns = times
    return Latency(
        ingest=(closed_ns - arrived_ns) / 1e3,
        queue=(began_ns - closed_ns) / 1e3,
        infer=(decided_ns - began_ns) / 1e3,
        total=(decided_ns - arrived_ns) / 1e3,
    )
