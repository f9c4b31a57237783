"""Memory that one pass over a file leaves to the next: fresh memory costs more than what is read into it."""

from __future__ import annotations

ROOM_BYTES = 1 << 18
_MOST = 4

_spare: list[bytearray] = []


def borrow() -> bytearray:
    """Return ROOM_BYTES of anything; any thread."""
    try:
        return _spare.pop()
    except IndexError:
        return bytearray(ROOM_BYTES)


def give_back(room: bytearray) -> None:
    """Leave it to the next; nobody looks at it any more."""
    if len(_spare) < _MOST:
        _spare.append(room)
