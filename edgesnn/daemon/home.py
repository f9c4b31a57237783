"""Keeps Home Assistant's discovery documents as the streams are, and says them again when it is born."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence

from edgesnn.daemon.beacon import Beacon
from edgesnn.daemon.runner import Runner
from edgesnn.daemon.schema import HomeAssistant
from edgesnn.daemon.telemetry import Telemetry
from edgesnn.publish.discovery import discovery_topic, encode, node_document, stream_document

SPREAD_S = 3.0
"""Boards of one broker answer a birth at other moments within so long."""
APART_S = 20.0
"""Births that follow each other more quickly are one."""


class Home:
    """What Home Assistant knows of this node. `tell` and `turn` belong to one thread; its beacon's calls the rest.

    Args:
        section: the configuration's.
        node: ours.
        beacon: publishes; not started yet.
        board: what its sensors tell; None: nothing.
        clock: seconds, monotonic; tests replace it.
    """

    def __init__(
        self,
        section: HomeAssistant,
        node: str,
        beacon: Beacon,
        board: Telemetry | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        power, temperature = (False, False) if board is None else (board.has_power, board.has_temperature)
        self._own = encode(node_document(node, power=power, temperature=temperature))
        self._prefix, self._node, self._beacon, self._clock = section.prefix, node, beacon, clock
        self._documents: dict[str, bytes] = {}
        self._born = False  # a birth that is not answered yet
        self._answer_at_s: float | None = None
        self._answered_at_s = float("-inf")
        beacon.listen(section.birth_topic, self._heard)

    def tell(self, runners: Sequence[Runner], gone: Iterable[str] = ()) -> None:
        """Publish the documents of the node and its streams; take away those of streams that are no more."""
        documents = {discovery_topic(self._prefix, self._node): self._own}
        for runner in runners:
            name = runner.stream.name
            topic = discovery_topic(self._prefix, self._node, name)
            documents[topic] = encode(stream_document(self._node, name, _labels(runner)))
        for name in gone:
            self._beacon.send(discovery_topic(self._prefix, self._node, name), b"", retain=True)
        for topic, payload in documents.items():
            if self._documents.get(topic) != payload:
                self._beacon.send(topic, payload, retain=True)
        self._documents = documents

    def turn(self) -> None:
        """Answer a birth when its time has come; to be called every second or so."""
        now_s = self._clock()
        if self._born and self._answer_at_s is None:
            self._answer_at_s = max(now_s, self._answered_at_s + APART_S) + random.uniform(0.0, SPREAD_S)
        if self._answer_at_s is not None and now_s >= self._answer_at_s:
            self._born, self._answer_at_s, self._answered_at_s = False, None, now_s
            for topic, payload in self._documents.items():
                self._beacon.send(topic, payload, retain=True)

    def _heard(self, payload: bytes) -> None:
        if payload == b"online":
            self._born = True


def _labels(runner: Runner) -> Sequence[str]:
    """Return what a stream can decide on; of lines, which may also be alerts, that is not told."""
    if runner.model.input["kind"] == "tokens":
        return []
    return [str(label) for label in (runner.model.readout or {}).get("labels", ())]
