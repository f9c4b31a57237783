"""What the board says of itself: power, temperatures, throttling (docs/telemetry.md)."""

from edgesnn.board.board import Board, Reading

__all__ = ["Board", "Reading"]
