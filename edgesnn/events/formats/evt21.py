"""Prophesee EVT 2.1 in a RAW file, in either byte order. docs/formats.md, "EVT2.1"."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgesnn.errors import RecordingError
from edgesnn.events.formats import raw_header
from edgesnn.events.formats.base import EncoderOptions, Head, Header
from edgesnn.events.formats.raw_format import RawFormat

_ORDERS = {"little": "", "legacy": "legacy"}
_KINDS = (0x0, 0x1, 0x8, 0xA, 0xE, 0xF)
_TIME_HIGH = 0x8


class Evt21(RawFormat):
    """RAW files whose header says evt 2.1. Variant "legacy": the upper half of a word comes first (IMX636, GEN41)."""

    name = "evt21"
    title = "EVT2.1"
    version = "2.1"
    verified = False
    first_time_bits = 34
    chunk_bytes = 1 << 16  # a word of eight bytes may hold 32 events

    def header(self, head: Head) -> Header:
        """Read the text header; the byte order from it, else from the words."""
        header = super().header(head)
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

    def own_fields(self, options: EncoderOptions) -> dict[str, str]:
        """Return the byte order of the variant."""
        order = next((order for order, variant in _ORDERS.items() if variant == options.variant), "little")
        return {"endianness": order}


def _variant_of_words(data: bytes) -> str:
    """Return the variant in which more words have a type that the format knows, then more are TIME_HIGH."""
    halves = np.frombuffer(data[: len(data) // 8 * 8], "<u4").reshape(-1, 2) >> 28
    known, times = np.isin(halves, _KINDS).sum(axis=0), (halves == _TIME_HIGH).sum(axis=0)
    first, second = zip(known.tolist(), times.tolist(), strict=True)
    return "legacy" if first > second else ""
