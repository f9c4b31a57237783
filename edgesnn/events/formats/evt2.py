"""Prophesee EVT 2.0 in a RAW file. docs/formats.md, "EVT2"."""

from __future__ import annotations

from edgesnn.events.formats.raw_format import RawFormat


class Evt2(RawFormat):
    """RAW files whose header says evt 2.0."""

    name = "evt2"
    title = "EVT2"
    version = "2.0"
    first_time_bits = 34
