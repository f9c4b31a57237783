"""Prophesee EVT 3.0 in a RAW file. docs/formats.md, "EVT3"."""

from __future__ import annotations

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


class Evt3:
    """RAW files whose header says evt 3.0."""

    name = "evt3"
    title = "EVT3"
    has_magic = True
    native = True
    verified = True
    suffixes = (".raw",)
    first_time_bits = 24

    def matches(self, head: Head) -> bool:
        """Say whether the header names this encoding."""
        return raw_header.encoding(head) == self.name

    def header(self, head: Head) -> Header:
        """Read the text header."""
        return raw_header.read(head)

    def decoder(self, options: DecoderOptions) -> FormatDecoder:
        """Make the native decoder."""
        return native_decoder(self.name, options)

    def encoder(self, options: EncoderOptions) -> FormatEncoder:
        """Make an encoder; the fields are more lines of the header."""
        refuse_compression(self, options)
        return NativeEncoder(self.name, options, raw_header.lines("3.0", options))
