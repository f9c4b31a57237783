"""`huggingface`: the JSON of a `tokenizers` tokenizer (extra `tokens`), its text in the model file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from edgesnn.errors import BackendError, ModelError
from edgesnn.tokens.tokenizers.base import AT, Utf8, wrong

MOST_CHARACTERS = 1 << 16
"""A text without lines is cut after so many."""

_CUT = re.compile(r"\n(?=\S)")
_KEPT = 8  # ids in front of a new one that say how it is written,
_MOST_KEPT = 16  # or more, where so many begin inside a character
_LONGEST = 64  # ids that may wait for the end of a character
_CHARACTER = 4  # bytes of the longest
_NONE = "\ufffd"


class HuggingFace:
    """{"kind": "huggingface", "json": text}."""

    fields = ("json",)

    def check(self, given: Mapping[str, Any], where: str) -> None:
        """See `Kind.check`: the package that knows the rest is not needed to step ids."""
        text = given["json"]
        try:
            content = json.loads(text) if isinstance(text, str) else None
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
            wrong(where, "json", text, "the text of a tokenizer.json")

    def make(self, given: Mapping[str, Any], where: str) -> HuggingFaceTokenizer:
        """See `Kind.make`."""
        try:
            from tokenizers import Tokenizer as Foreign
        except ImportError:
            hint = "pip install 'edgesnn[tokens]'"
            raise BackendError("the model's tokenizer needs the package tokenizers", where=where, hint=hint) from None
        foreign = _asked(f"{AT}.json is wrong", where, Foreign.from_str, given["json"])
        return HuggingFaceTokenizer(foreign, where)


class HuggingFaceTokenizer:
    """See `Tokenizer`. A text is encoded in units of lines: a unit ends after a line's end before a character that is
    no space, or after `MOST_CHARACTERS`."""

    def __init__(self, foreign: Any, where: str) -> None:
        self.foreign, self.where = foreign, where
        foreign.no_truncation()
        foreign.no_padding()
        self.size = 1 + max(foreign.get_vocab(with_added_tokens=True).values(), default=-1)

    def encoder(self) -> HuggingFaceEncoder:
        """See `Tokenizer.encoder`."""
        return HuggingFaceEncoder(self.foreign, self.where)

    def decoder(self) -> HuggingFaceDecoder:
        """See `Tokenizer.decoder`."""
        return HuggingFaceDecoder(self.foreign, self.where)


class HuggingFaceEncoder:
    """See `Encoder`; a line waits until the next one begins."""

    def __init__(self, foreign: Any, where: str) -> None:
        self._foreign, self._where = foreign, where
        self._text = Utf8()
        self._waiting = ""

    def feed(self, data: bytes) -> list[int]:
        """See `Encoder.feed`."""
        self._waiting += self._text.feed(data)
        return self._whole()

    def finish(self) -> list[int]:
        """See `Encoder.finish`."""
        self._waiting += self._text.finish()
        ids = self._whole()
        rest, self._waiting = self._waiting, ""
        return ids + self._encode(rest)

    def save(self) -> bytes:
        """See `Encoder.save`."""
        return self._waiting.encode() + self._text.save()

    def load(self, saved: bytes) -> None:
        """See `Encoder.load`."""
        text = Utf8()
        waiting = text.feed(saved)
        if len(waiting) > MOST_CHARACTERS or _CUT.search(waiting):
            raise ModelError("snapshot's text is no begun line", where="tokenizer", found=repr(waiting[:40]))
        self._text, self._waiting = text, waiting

    def _whole(self) -> list[int]:
        ids: list[int] = []
        start = 0
        while (end := self._end(start)) is not None:
            ids += self._encode(self._waiting[start:end], self._waiting[end : end + 1])
            start = end
        self._waiting = self._waiting[start:]
        return ids

    def _end(self, start: int) -> int | None:
        limit = start + MOST_CHARACTERS
        cut = _CUT.search(self._waiting, start, limit)
        if cut is not None:
            return cut.end()
        return limit if len(self._waiting) > limit else None

    def _encode(self, text: str, following: str = "") -> list[int]:
        """Return the ids of a unit as they are in front of what follows, where no token holds parts of both."""
        if not text:
            return []
        made = self._asked(text + following)
        own = [number for number, (_, end) in zip(made.ids, made.offsets, strict=True) if end <= len(text)]
        if following and any(start < len(text) < end for start, end in made.offsets):
            own = self._asked(text).ids
        return own

    def _asked(self, text: str) -> Any:
        encode = partial(self._foreign.encode, add_special_tokens=False)
        return _asked("the tokenizer cannot encode a text", self._where, encode, text)


class HuggingFaceDecoder:
    """See `Decoder`. The text of a token may depend on those before it: a few are decoded with it."""

    def __init__(self, foreign: Any, where: str) -> None:
        self._foreign, self._where = foreign, where
        self._ids: list[int] = []
        self._said = 0  # ids of which the text has been given

    def feed(self, token: int) -> str:
        """See `Decoder.feed`."""
        self._ids.append(token)
        now, end = self._decode(self._ids), len(self._ids)
        if now.endswith(_NONE):
            if end - self._said < _LONGEST:
                return ""
            now, end = self._longest()
        before = self._decode(self._ids[: self._said])
        kept = self._context(self._ids[:end], now)
        self._ids, self._said = kept + self._ids[end:], len(kept)
        return now[len(before) :]

    def finish(self) -> str:
        """See `Decoder.finish`."""
        before, now = self._decode(self._ids[: self._said]), self._decode(self._ids)
        self._ids, self._said = [], 0
        return now[len(before) :]

    def save(self) -> bytes:
        """See `Decoder.save`."""
        return json.dumps([self._said, *self._ids]).encode()

    def load(self, saved: bytes) -> None:
        """See `Decoder.load`."""
        try:
            said, *ids = json.loads(saved)
        except (ValueError, TypeError):
            said, ids = -1, []
        most = self._foreign.get_vocab_size(with_added_tokens=True)
        whole = type(said) is int and all(type(one) is int and 0 <= one < most for one in ids)
        if not whole or not 0 <= said <= len(ids) <= _MOST_KEPT + _LONGEST:
            raise ModelError("snapshot's ids are none", where="tokenizer", found=repr(saved[:40]))
        self._ids, self._said = ids, said

    def _longest(self) -> tuple[str, int]:
        """Return the text of the ids that wait, less those of a character that has no end yet, and how many they are.

        A begun character counts as one that is none or as several, so that the fewest of those stand before it."""
        ends = range(len(self._ids), len(self._ids) - _CHARACTER, -1)
        return min(((self._decode(self._ids[:end]), end) for end in ends), key=lambda one: one[0].count(_NONE))

    def _context(self, ids: list[int], text: str) -> list[int]:
        """Return the last `_KEPT` of the ids; some more where they would begin inside a character."""
        best, fewest = ids[-_KEPT:], len(text) + 1
        for many in range(_KEPT, min(len(ids), _MOST_KEPT) + 1):
            said = self._decode(ids[-many:])
            if text.endswith(said) and (none := said.count(_NONE)) < fewest:
                best, fewest = ids[-many:], none
            if fewest == 0:
                break
        return best

    def _decode(self, ids: list[int]) -> str:
        decode = partial(self._foreign.decode, skip_special_tokens=False)
        text: str = _asked("the tokenizer cannot decode ids", self._where, decode, ids)
        return text


def _asked(what: str, where: str, call: Callable[[Any], Any], given: Any) -> Any:
    """Return what the package says; a ModelError where it raises, or panics, which is no `Exception`."""
    try:
        return call(given)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise ModelError(what, where=where, found=str(error).split("\n")[0][:200]) from None
