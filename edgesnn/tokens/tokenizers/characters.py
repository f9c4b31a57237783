"""`characters`: a table of characters, the id of each is its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from edgesnn.tokens.tokenizers.base import Utf8, wrong


class Characters:
    """{"kind": "characters", "table": "\\n !abc", "unknown": id or null}.

    `unknown` stands for every character that the table lacks; null: they are left out.
    """

    fields = ("table", "unknown")

    def check(self, given: Mapping[str, Any], where: str) -> int:
        """See `Kind.check`."""
        table, unknown = given["table"], given["unknown"]
        if not isinstance(table, str) or not table or any("\ud800" <= one <= "\udfff" for one in table):
            wrong(where, "table", table, "a text of characters")
        if len(set(table)) != len(table):
            twice = next(one for one, times in Counter(table).items() if times > 1)
            wrong(where, "table", f"{twice} twice", "each character once")
        if unknown is not None and (type(unknown) is not int or not 0 <= unknown < len(table)):
            wrong(where, "unknown", unknown, f"null, or an id from 0 to {len(table) - 1}")
        return len(table)

    def make(self, given: Mapping[str, Any], where: str) -> CharacterTokenizer:
        """See `Kind.make`."""
        return CharacterTokenizer(given["table"], given["unknown"])


class CharacterTokenizer:
    """See `Tokenizer`."""

    def __init__(self, table: str, unknown: int | None) -> None:
        self.size = len(table)
        self.table = table
        self.ids = {one: i for i, one in enumerate(table)}
        self.unknown = unknown

    def encoder(self) -> CharacterEncoder:
        """See `Tokenizer.encoder`."""
        return CharacterEncoder(self)

    def decoder(self) -> CharacterDecoder:
        """See `Tokenizer.decoder`."""
        return CharacterDecoder(self.table)


class CharacterEncoder:
    """See `Encoder`; what waits is less than a character."""

    def __init__(self, tokenizer: CharacterTokenizer) -> None:
        self._tokenizer = tokenizer
        self._text = Utf8()

    def feed(self, data: bytes) -> list[int]:
        """See `Encoder.feed`."""
        return self._ids(self._text.feed(data))

    def finish(self) -> list[int]:
        """See `Encoder.finish`."""
        return self._ids(self._text.finish())

    def save(self) -> bytes:
        """See `Encoder.save`."""
        return self._text.save()

    def load(self, saved: bytes) -> None:
        """See `Encoder.load`."""
        self._text.load(saved)

    def _ids(self, text: str) -> list[int]:
        ids, unknown = self._tokenizer.ids, self._tokenizer.unknown
        if unknown is None:
            return [ids[one] for one in text if one in ids]
        return [ids.get(one, unknown) for one in text]


class CharacterDecoder:
    """See `Decoder`: every id is a whole character."""

    def __init__(self, table: str) -> None:
        self._table = table

    def feed(self, token: int) -> str:
        """See `Decoder.feed`."""
        return self._table[token]

    def finish(self) -> str:
        """See `Decoder.finish`."""
        return ""

    def save(self) -> bytes:
        """See `Decoder.save`."""
        return b""

    def load(self, saved: bytes) -> None:
        """See `Decoder.load`."""
