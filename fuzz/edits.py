"""Edits of a good file's bytes, as a fuzzer's bytes say."""

from __future__ import annotations

from fuzz.choices import Choices

_NEAR = 256
"""Bytes at the beginning, and at the end, of a file that are edited more often than others."""
_NUMBERS = (0, 1, -1, 2, 127, 128, 255, 256, 4096, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 2**62, 2**63 - 1, -(2**63))


def edited(choices: Choices, good: bytes) -> bytes:
    """Return these bytes after one to four edits."""
    data = bytearray(good)
    for _ in range(1 + choices.below(4)):
        _edit(choices, data)
    return bytes(data)


def _edit(choices: Choices, data: bytearray) -> None:
    at, action = _place(choices, len(data)), choices.below(8)
    if action < 3:
        data[at : at + 1] = bytes([choices.byte()])
    elif action < 5:
        size, order = (1, 2, 4, 8)[choices.below(4)], ("little", "big")[choices.below(2)]
        number = _NUMBERS[choices.below(len(_NUMBERS))] % (1 << 8 * size)
        data[at : at + size] = number.to_bytes(size, order)  # type: ignore[arg-type]
    elif action == 5:
        del data[at : at + choices.below(64)]
    elif action == 6:
        other = _place(choices, len(data))
        data[at:at] = data[other : other + choices.below(64)]
    elif choices.below(2):
        del data[at:]
    else:
        data[at:at] = bytes(choices.byte() for _ in range(choices.below(8)))


def _place(choices: Choices, size: int) -> int:
    """Return a place in so many bytes, or their end."""
    kind, number = choices.below(4), choices.number()
    if kind == 0:
        return min(number % _NEAR, size)
    if kind == 1:
        return max(size - number % _NEAR, 0)
    return number * (size + 1) >> 16
