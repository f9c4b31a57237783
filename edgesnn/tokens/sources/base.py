"""What a source of lines offers."""

from __future__ import annotations

from typing import Protocol

from edgesnn.tokens.lines import Line

Place = tuple[int, int]
"""Which text of the source, counted from 0 (one that was rotated or truncated has ended), and a byte in it."""

Mark = tuple[int, int, int]
"""A file's inode, a byte in it, and a checksum of what stands before it: an inode may be another file's later."""


class LineSource(Protocol):
    """Lines as they come. One thread.

    Attributes:
        where: its address, for messages.
        live: silence is time that passes.
        coming: lines that are here and that `read` has not given yet.
        counters: what came and what was lost, by name.
    """

    where: str
    live: bool
    coming: int

    @property
    def counters(self) -> dict[str, int]: ...

    def read(self, wait_s: float) -> list[Line] | None:
        """Return the next lines; [] where none came for so long, None at the end."""

    def mark(self, place: Place) -> Mark | None:
        """Return what `seek` needs to come back to a line's place; None where there is no way back."""

    def seek(self, mark: Mark | None) -> Place | None:
        """Go on after the line of a mark, with None from the start; return the place, None at the start and where there
        is no way back. What was begun of a line is left out."""

    def close(self) -> None:
        """Let go of everything; twice is once."""
