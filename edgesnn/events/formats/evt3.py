"""Prophesee EVT 3.0 in a RAW file. docs/formats.md, "EVT3"."""

from __future__ import annotations

from edgesnn.events.formats.raw_format import RawFormat


class Evt3(RawFormat):
    """RAW files whose header says evt 3.0."""

    name = "evt3"
    title = "EVT3"
    version = "3.0"
    first_time_bits = 24
    chunk_bytes = 1 << 16  # a vector word of two bytes may hold twelve events
