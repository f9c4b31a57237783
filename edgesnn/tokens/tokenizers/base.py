"""What a tokenizer is, and what those of text share."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Protocol

from edgesnn.errors import ModelError, UsageError

AT = "input.tokenizer"


class Encoder(Protocol):
    """Bytes of one stream to token ids: any split of the bytes gives the same ids. One thread."""

    def feed(self, data: bytes) -> list[int]:
        """Take more bytes; return the tokens that are sure by now."""

    def finish(self) -> list[int]:
        """Return the tokens of what waited; a new text may follow."""

    def save(self) -> bytes:
        """Return what waits."""

    def load(self, saved: bytes) -> None:
        """Go on from what `save` gave."""


class Decoder(Protocol):
    """Token ids of one stream to text: no piece ends inside a character. One thread."""

    def feed(self, token: int) -> str:
        """Take one id of 0 to `size` - 1; return the text that is sure by now, "" inside a character."""

    def finish(self) -> str:
        """Return the text of what waited, U+FFFD for half a character; a new text may follow."""

    def save(self) -> bytes:
        """Return what waits."""

    def load(self, saved: bytes) -> None:
        """Go on from what `save` gave."""


class Tokenizer(Protocol):
    """A model file's tokenizer; immutable, shared between threads.

    Attributes:
        size: ids are 0 to size - 1.
    """

    size: int

    def encoder(self) -> Encoder:
        """Return the start of a new text."""

    def decoder(self) -> Decoder:
        """Return the start of a new text."""


class Kind(Protocol):
    """How a kind of tokenizer is made of the model file's object."""

    fields: Sequence[str]
    """Names of the object's fields besides `kind`."""

    def check(self, given: Mapping[str, Any], where: str) -> int | None:
        """Return the number of ids, None where only making it can tell; ModelError for a wrong field."""

    def make(self, given: Mapping[str, Any], where: str) -> Tokenizer:
        """Return the tokenizer of a checked object."""


def encode(tokenizer: Tokenizer, text: str | bytes) -> list[int]:
    """Return the token ids of a whole text.

    >>> from edgesnn.tokens.registry import make_tokenizer
    >>> encode(make_tokenizer({"kind": "bytes"}), "né")
    [110, 195, 169]
    """
    encoder = tokenizer.encoder()
    return encoder.feed(utf8(text)) + encoder.finish()


def decode(tokenizer: Tokenizer, tokens: Sequence[int]) -> str:
    """Return the text of all these ids.

    Raises:
        UsageError: an id that the tokenizer does not have.
    """
    decoder = tokenizer.decoder()
    for token in tokens:
        if not 0 <= token < tokenizer.size:
            expected = f"0 to {tokenizer.size - 1}"
            raise UsageError("id is not in the vocabulary", found=str(token), expected=expected)
    return "".join(map(decoder.feed, tokens)) + decoder.finish()


def utf8(text: str | bytes) -> bytes:
    """Return the bytes of a text; UsageError where it is none."""
    if isinstance(text, str):
        return text.encode("utf-8", "surrogatepass")
    if isinstance(text, (bytes, bytearray, memoryview)):
        return bytes(text)
    raise UsageError("not a text", found=type(text).__name__, expected="str or bytes")


class Utf8:
    """UTF-8 in any split to text; what is none becomes U+FFFD.

    >>> text = Utf8()
    >>> text.feed(b"n\\xc3"), text.feed(b"\\xa9\\xff"), text.finish()
    ('n', 'é\\ufffd', '')
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> str:
        """Return the text of whole characters."""
        return self._decoder.decode(data)

    def finish(self) -> str:
        """Return U+FFFD where a character was begun."""
        return self._decoder.decode(b"", True)

    def save(self) -> bytes:
        """Return the bytes of the character begun."""
        return self._decoder.getstate()[0]

    def load(self, saved: bytes) -> None:
        """Go on inside a character."""
        self._decoder.setstate((b"", 0))
        if len(saved) > 3 or self._decoder.decode(saved):
            self._decoder.reset()
            raise ModelError("snapshot's text is no begun character", where="tokenizer", found=repr(saved[:8]))


def wrong(where: str, field: str, found: Any, expected: str) -> NoReturn:
    """Raise a ModelError about one field of the tokenizer."""
    raise ModelError(f"{AT}.{field} is wrong", where=where, found=repr(found)[:120], expected=expected)
