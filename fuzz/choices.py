"""Choices read from a fuzzer's bytes, and a target run over its corpus and so many drawn inputs."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

Target = Callable[[bytes], None]


class Choices:
    """Reads choices from bytes; past the end every byte is 0."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def byte(self) -> int:
        """Return the next byte."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def number(self) -> int:
        """Return 0 to 65535."""
        return self.byte() << 8 | self.byte()

    def below(self, n: int) -> int:
        """Return 0 to n - 1; n is at least 1."""
        return (self.byte() if n <= 256 else self.number()) % n

    def rest(self) -> bytes:
        """Return the bytes that are left."""
        return self._data[self._at :]


def drawn(count: int, most: int = 300) -> list[bytes]:
    """Return inputs of a fixed seed."""
    rng = random.Random(0)
    return [rng.randbytes(rng.randint(1, most)) for _ in range(count)]


def replay(target: Target, corpus: Path, count: int) -> int:
    """Run the corpus and drawn inputs; return how many there were."""
    inputs = [path.read_bytes() for path in sorted(corpus.iterdir())] + drawn(count)
    for data in inputs:
        target(data)
    return len(inputs)
