"""What every sink can do."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from edgesnn.prediction import Prediction


class Sink(Protocol):
    """A destination of numbered predictions. One thread calls, in this order: open, write..., drain, close."""

    def open(self) -> None:
        """Get ready; raises `PublishError` when the destination cannot be reached."""

    def write(self, prediction: Prediction) -> None:
        """Accept one numbered prediction; may queue it. Raises `PublishError` when it is not accepted."""

    def drain(self, timeout_s: float) -> int:
        """Wait until everything accepted is delivered, at most `timeout_s`; return how many are not."""

    def close(self) -> None:
        """Leave; twice is once. Never raises for what is undelivered: ask `drain` first."""

    def stats(self) -> dict[str, Any]:
        """Return counters by name."""


@runtime_checkable
class Numbering(Protocol):
    """A sink that remembers numbers from one process to the next."""

    def next_seq(self, stream: str) -> int:
        """Return the seq that the stream's next prediction is to have."""
