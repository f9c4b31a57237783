"""`numbers`: a line of numbers, one a channel, each the number of its bin; a value that is missing has an id too."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

from edgesnn.errors import ModelError
from edgesnn.tokens.tokenizers.base import Utf8, wrong

MOST_CHANNELS = 1 << 12
MOST_EDGES = 1 << 16
MOST_BYTES = 1 << 16  # of a line; what is beyond is not looked at
MOST_VALUE = 1e300
_SEPARATOR = re.compile(r"[ \t]*[,;][ \t]*|[ \t]+")
_NUMBER = re.compile(r"[-+]?(?:\d{1,400}\.?\d{0,400}|\.\d{1,400})(?:[eE][-+]?\d{1,6})?")


class Numbers:
    """{"kind": "numbers", "edges": [[ascending numbers] of each channel]}.

    Channel c has a bin below its first edge, one from each edge on, and after them the id for "missing"; the ids of a
    channel follow those of the channel before it.
    """

    fields = ("edges",)

    def check(self, given: Mapping[str, Any], where: str) -> int:
        """See `Kind.check`."""
        channels = given["edges"]
        if not isinstance(channels, list) or not 1 <= len(channels) <= MOST_CHANNELS:
            wrong(where, "edges", channels, f"1 to {MOST_CHANNELS} lists of numbers, one a channel")
        for number, edges in enumerate(channels):
            at = f"edges[{number}]"
            if not isinstance(edges, list) or not 1 <= len(edges) <= MOST_EDGES:
                wrong(where, at, edges, f"1 to {MOST_EDGES} numbers")
            if not all(type(edge) in (int, float) and abs(edge) <= MOST_VALUE for edge in edges):
                wrong(where, at, edges, "finite numbers")
            if any(b <= a for a, b in pairwise(edges)):
                wrong(where, at, edges, "ascending numbers")
        return sum(len(edges) + 2 for edges in channels)

    def make(self, given: Mapping[str, Any], where: str) -> NumberTokenizer:
        """See `Kind.make`."""
        return NumberTokenizer([[float(edge) for edge in edges] for edges in given["edges"]])


class NumberTokenizer:
    """See `Tokenizer`. A line that is not blank gives one token a channel, in order."""

    def __init__(self, channels: Sequence[Sequence[float]]) -> None:
        self.channels = channels
        self.first = [0, *accumulate(len(edges) + 2 for edges in channels)]
        self.size = self.first[-1]

    def encoder(self) -> NumberEncoder:
        """See `Tokenizer.encoder`."""
        return NumberEncoder(self)

    def decoder(self) -> NumberDecoder:
        """See `Tokenizer.decoder`."""
        return NumberDecoder(self)

    def line(self, text: str) -> list[int]:
        """Return the ids of a line: fields apart by a comma, a semicolon or spaces; what is no number is missing."""
        fields = fields_of(text)
        if not fields:
            return []
        return [self._id(channel, fields[channel] if channel < len(fields) else "") for channel in self._all()]

    def _all(self) -> range:
        return range(len(self.channels))

    def _id(self, channel: int, field: str) -> int:
        edges = self.channels[channel]
        value = number_of(field)
        return self.first[channel] + (len(edges) + 1 if math.isnan(value) else bisect_right(edges, value))


def fields_of(text: str) -> list[str]:
    """Return the fields of a line: apart by a comma, a semicolon or spaces; none of a blank one."""
    text = text.strip()
    return _SEPARATOR.split(text) if text else []


def number_of(field: str) -> float:
    """Return the value of a field, NaN where it is no decimal number."""
    return float(field) if _NUMBER.fullmatch(field) else math.nan


def edges_of(lines: Iterable[str], bins: int) -> list[list[float]]:
    """Return edges such that about as many values of these lines are in each bin of a channel.

    Args:
        lines: each a value a channel; there are as many channels as the longest line has fields.
        bins: of a channel, at most; fewer where a value is frequent. A channel without a value has one edge, 0.

    >>> edges_of(["1,7", "2,", "3,7", "4,7"], 4)
    [[2.0, 3.0, 4.0], [7.0]]
    """
    channels: list[list[float]] = []
    for line in lines:
        fields = fields_of(line)[:MOST_CHANNELS]
        channels += [[] for _ in range(len(fields) - len(channels))]
        for values, field in zip(channels, fields, strict=False):
            value = number_of(field)
            if abs(value) <= MOST_VALUE:
                values.append(value)
    return [_quantiles(sorted(values), bins) for values in channels]


def _quantiles(ordered: list[float], bins: int) -> list[float]:
    return sorted({ordered[k * len(ordered) // bins] for k in range(1, bins)}) if ordered else [0.0]


class NumberEncoder:
    """See `Encoder`; a line waits for its end."""

    def __init__(self, tokenizer: NumberTokenizer) -> None:
        self._tokenizer = tokenizer
        self._waiting = b""

    def feed(self, data: bytes) -> list[int]:
        """See `Encoder.feed`."""
        *lines, rest = data.split(b"\n")
        ids: list[int] = []
        for line in lines:
            ids += self._line(self._waiting + line)
            self._waiting = b""
        self._waiting = (self._waiting + rest[:MOST_BYTES])[:MOST_BYTES]
        return ids

    def finish(self) -> list[int]:
        """See `Encoder.finish`."""
        line, self._waiting = self._waiting, b""
        return self._line(line)

    def save(self) -> bytes:
        """See `Encoder.save`."""
        return self._waiting

    def load(self, saved: bytes) -> None:
        """See `Encoder.load`."""
        if b"\n" in saved or len(saved) > MOST_BYTES:
            raise ModelError("snapshot's text is no begun line", where="tokenizer", found=repr(saved[:40]))
        self._waiting = saved

    def _line(self, data: bytes) -> list[int]:
        text = Utf8()
        return self._tokenizer.line(text.feed(data[:MOST_BYTES]) + text.finish())


class NumberDecoder:
    """See `Decoder`: the name of a bin, a comma between channels, a line's end after the last."""

    def __init__(self, tokenizer: NumberTokenizer) -> None:
        self._tokenizer = tokenizer

    def feed(self, token: int) -> str:
        """See `Decoder.feed`."""
        first = self._tokenizer.first
        channel = bisect_right(first, token) - 1
        edges, place = self._tokenizer.channels[channel], token - first[channel]
        last = channel + 1 == len(self._tokenizer.channels)
        return _bin_name(edges, place) + ("\n" if last else ",")

    def finish(self) -> str:
        """See `Decoder.finish`."""
        return ""

    def save(self) -> bytes:
        """See `Decoder.save`."""
        return b""

    def load(self, saved: bytes) -> None:
        """See `Decoder.load`."""


def _bin_name(edges: Sequence[float], place: int) -> str:
    if place == len(edges) + 1:
        return "missing"
    if place == 0:
        return f"<{edges[0]:g}"
    return f"{edges[place - 1]:g}.." + (f"{edges[place]:g}" if place < len(edges) else "")
