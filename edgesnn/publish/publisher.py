"""The door of this room: numbers each prediction once and hands it to every sink."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence
from datetime import datetime, timezone
from types import TracebackType

from edgesnn.clock import clock_synchronised
from edgesnn.errors import PublishError
from edgesnn.prediction import Prediction
from edgesnn.publish.sinks.base import Numbering, Sink
from edgesnn.publish.topics import check_level


def new_boot_id() -> str:
    """Return 16 random hex digits: the identity of one run of a publishing process."""
    return secrets.token_hex(8)


def utc_now() -> str:
    """Return the time as the payloads write it.

    >>> len(utc_now()), utc_now()[-1]
    (27, 'Z')
    """
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def host_node() -> str:
    """Return the host's name as a node's."""
    host = socket.gethostname()
    return "".join("-" if letter in "/+#" or not letter.isprintable() else letter for letter in host)


def replay_node() -> str:
    """Return the node name of replays and demos, `<host>-replay`, so that they are never taken for the live node."""
    return f"{host_node()}-replay"


class Publisher:
    """Numbers predictions (seq for each stream, one boot_id a run) and writes them to all sinks.

    seq begins at 0, or where a sink that remembers (an outbox in a file) left off.
    A context manager: entering opens the sinks, leaving closes them. One thread uses it.

    Args:
        sinks: where predictions go.
        node: the name under which this process publishes; one topic level.
        boot_id: from `new_boot_id`; None makes one.
    """

    def __init__(self, sinks: Sequence[Sink], *, node: str, boot_id: str | None = None) -> None:
        self.node = check_level(node, "node")
        self.boot_id = boot_id or new_boot_id()
        self._sinks = tuple(sinks)
        self._next_seq: dict[str, int] = {}
        self._written = 0
        self._opened: list[Sink] = []

    def __enter__(self) -> Publisher:
        try:
            for sink in self._sinks:
                sink.open()
                self._opened.append(sink)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, prediction: Prediction) -> Prediction:
        """Number the prediction, write it to every sink, and return the numbered record.

        Raises:
            ConfigError: the stream's name is not one topic level.
        """
        seq = self._next_seq.get(prediction.stream)
        if seq is None:
            seq = self._first_seq(check_level(prediction.stream, "stream"))
        numbered = prediction.numbered(
            node=self.node, boot_id=self.boot_id, seq=seq, ts=utc_now(), clock_synced=clock_synchronised()
        )
        self._next_seq[prediction.stream] = seq + 1
        self._written += 1
        for sink in self._sinks:
            sink.write(numbered)
        return numbered

    def finish(self, timeout_s: float = 10.0) -> None:
        """Wait until every sink has delivered what it accepted.

        Raises:
            PublishError: some predictions were not acknowledged within `timeout_s`; says how many.
        """
        for sink in self._sinks:
            left = sink.drain(timeout_s)
            if left:
                raise PublishError(
                    f"{left} of {max(left, self._written)} predictions were not delivered",
                    where=str(getattr(sink, "where", type(sink).__name__)),
                    found=f"no acknowledgement within {timeout_s:g} s",
                    hint=getattr(sink, "why", None) or "is the broker still running?",
                )

    def _first_seq(self, stream: str) -> int:
        return max((sink.next_seq(stream) for sink in self._sinks if isinstance(sink, Numbering)), default=0)

    def close(self) -> None:
        """Close the sinks that were opened; twice is once."""
        while self._opened:
            self._opened.pop().close()
