"""What a source of lines offers."""

from __future__ import annotations

from typing import Protocol

from edgesnn.tokens.lines import Line

Place = tuple[int, int]
"""A file (its inode) and a byte in it."""


class LineSource(Protocol):
    """Lines as they come. One thread.

    Attributes:
        where: its address, for messages.
        live: silence is time that passes.
        counters: what came and what was lost, by name.
    """

    where: str
    live: bool

    @property
    def counters(self) -> dict[str, int]: ...

    def read(self, wait_s: float) -> list[Line] | None:
        """Return the next lines; [] where none came for so long, None at the end."""

    def seek(self, place: Place | None) -> None:
        """Go on after a line of this place; None: from here. Called before the first `read`."""

    def close(self) -> None:
        """Let go of everything; twice is once."""
