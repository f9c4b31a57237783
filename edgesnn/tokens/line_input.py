"""A line as the model sees it: fields left out, words masked, as token ids with the line's end."""

from __future__ import annotations

from typing import Any

from edgesnn.tokens.lines import MOST_BYTES
from edgesnn.tokens.masks import drop_fields, mask
from edgesnn.tokens.stepping import tokenizer_of
from edgesnn.tokens.tokenizers.base import encode


class LineInput:
    """What the model file says of lines; immutable.

    Attributes:
        tokenizer: the model's.
        line_end: the ids of a line's end alone: what stands before the first line.
    """

    def __init__(self, model: Any) -> None:
        self.tokenizer = tokenizer_of(model)
        self._dropped = frozenset(model.input.get("drop_fields", ()))
        self._masks = tuple(model.input.get("masks", ()))
        self.line_end = encode(self.tokenizer, "\n")

    def text(self, data: bytes) -> str:
        """Return the text that the model sees; what is no UTF-8 is U+FFFD, bytes beyond `MOST_BYTES` are left out."""
        return mask(drop_fields(data[:MOST_BYTES].decode("utf-8", "replace"), self._dropped), self._masks)

    def tokens(self, text: str) -> list[int]:
        """Return its ids and those of the line's end; none of a blank text."""
        return encode(self.tokenizer, f"{text}\n") if text.strip() else []

    def count(self, data: bytes) -> int:
        """Return how many tokens a line has."""
        return len(self.tokens(self.text(data)))

    def words(self, tokens: list[int]) -> list[tuple[int, int, str]]:
        """Return the tokens' words as (first, after the last, text): a word begins where a piece of text does after
        space or a comma, or with space."""
        decoder = self.tokenizer.decoder()
        texts = [decoder.feed(token) for token in tokens]
        starts = [
            i
            for i, text in enumerate(texts)
            if i == 0 or texts[i - 1].endswith(("\n", " ", "\t", ",")) or text[:1].isspace()
        ]
        return [
            (start, end, "".join(texts[start:end]).strip())
            for start, end in zip(starts, [*starts[1:], len(texts)], strict=True)
        ]
