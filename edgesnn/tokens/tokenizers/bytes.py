"""`bytes`: each byte is its own id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesnn.tokens.tokenizers.base import Utf8


class Bytes:
    """{"kind": "bytes"}: 256 ids."""

    fields = ()

    def check(self, given: Mapping[str, Any], where: str) -> int:
        """See `Kind.check`."""
        return 256

    def make(self, given: Mapping[str, Any], where: str) -> ByteTokenizer:
        """See `Kind.make`."""
        return ByteTokenizer()


class ByteTokenizer:
    """See `Tokenizer`."""

    size = 256

    def encoder(self) -> ByteEncoder:
        """See `Tokenizer.encoder`."""
        return ByteEncoder()

    def decoder(self) -> ByteDecoder:
        """See `Tokenizer.decoder`."""
        return ByteDecoder()


class ByteEncoder:
    """Nothing waits: see `Encoder`."""

    def feed(self, data: bytes) -> list[int]:
        """See `Encoder.feed`."""
        return list(data)

    def finish(self) -> list[int]:
        """See `Encoder.finish`."""
        return []

    def save(self) -> bytes:
        """See `Encoder.save`."""
        return b""

    def load(self, saved: bytes) -> None:
        """See `Encoder.load`."""


class ByteDecoder:
    """See `Decoder`."""

    def __init__(self) -> None:
        self._text = Utf8()

    def feed(self, token: int) -> str:
        """See `Decoder.feed`."""
        return self._text.feed(bytes((token,)))

    def finish(self) -> str:
        """See `Decoder.finish`."""
        return self._text.finish()

    def save(self) -> bytes:
        """See `Decoder.save`."""
        return self._text.save()

    def load(self, saved: bytes) -> None:
        """See `Decoder.load`."""
        self._text.load(saved)
