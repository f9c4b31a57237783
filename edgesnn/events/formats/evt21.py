"""Prophesee EVT 2.1 in a RAW file, in either byte order. docs/formats.md, "EVT2.1"."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgesnn.errors import RecordingError
from edgesnn.events.formats import raw_header
from edgesnn.events.formats.base import (
    DecoderOptions,
    EncoderOptions,
    FormatDecoder,
    FormatEncoder,
    Head,
    Header,
    NativeEncoder,
    native_decoder,
)
from edgesnn.events.formats.checks import refuse_compression

_ORDERS = {"little": "", "legacy": "legacy"}
_KINDS = (0x0, 0x1, 0x8, 0xA, 0xE, 0xF)
_TIME_HIGH = 0x8


class Evt21:
    """RAW files whose header says evt 2.1. Variant "legacy": the upper half of a word comes first (IMX636, GEN41)."""

    name = "evt21"
    title = "EVT2.1"
    has_magic = True
    native = True
    verified = False
    suffixes = (".raw",)
    first_time_bits = 34

    def matches(self, head: Head) -> bool:
        """Say whether the header names this encoding."""
        return raw_header.encoding(head) == self.name

    def header(self, head: Head) -> Header:
        """Read the text header; the byte order from it, else from the words."""
        header = raw_header.read(head)
        order = raw_header.endianness(header.fields)
        if order is None:
            return replace(header, variant=_variant_of_words(head.data[header.data_offset :]))
        if order not in _ORDERS:
            raise RecordingError(
                "a byte order that is not read",
                where=head.where,
                found=f"endianness {order}",
                expected=" or ".join(_ORDERS),
            )
        return replace(header, variant=_ORDERS[order])

    def decoder(self, options: DecoderOptions) -> FormatDecoder:
        """Make the native decoder."""
        return native_decoder(self.name, options)

    def encoder(self, options: EncoderOptions) -> FormatEncoder:
        """Make an encoder in the byte order of the variant; the fields are more lines of the header."""
        refuse_compression(self, options)
        order = next((order for order, variant in _ORDERS.items() if variant == options.variant), "little")
        return NativeEncoder(self.name, options, raw_header.lines("2.1", options, {"endianness": order}))


def _variant_of_words(data: bytes) -> str:
    """Return the variant in which more words have a type that the format knows, then more are TIME_HIGH."""
    halves = np.frombuffer(data[: len(data) // 8 * 8], "<u4").reshape(-1, 2) >> 28
    known, times = np.isin(halves, _KINDS).sum(axis=0), (halves == _TIME_HIGH).sum(axis=0)
    first, second = zip(known.tolist(), times.tolist(), strict=True)
    return "legacy" if first > second else ""
