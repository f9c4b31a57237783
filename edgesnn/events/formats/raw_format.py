"""What Prophesee's RAW files of EVT 2.0, 2.1 and 3.0 have in common. docs/formats.md, "RAW header"."""

from __future__ import annotations

from edgesnn.events.formats import raw_header
from edgesnn.events.formats.base import EncoderOptions, FormatEncoder, Head, Header, NativeEncoder, NativeFormat
from edgesnn.events.formats.checks import refuse_compression


class RawFormat(NativeFormat):
    """Files whose text header names an encoding.

    Attributes:
        title: as in the registry.
        version: what the header's line `evt` says.
        first_time_bits: as `base.first_time_bits`.
    """

    title: str
    version: str
    first_time_bits: int
    suffixes = (".raw",)

    def matches(self, head: Head) -> bool:
        """Say whether the header names this encoding."""
        return raw_header.encoding(head) == self.name

    def header(self, head: Head) -> Header:
        """Read the text header."""
        return raw_header.read(head)

    def encoder(self, options: EncoderOptions) -> FormatEncoder:
        """Make an encoder; the fields are more lines of the header."""
        refuse_compression(self, options)
        lines = raw_header.lines(self.version, options, self.own_fields(options))
        return NativeEncoder(self.name, options, lines)

    def own_fields(self, options: EncoderOptions) -> dict[str, str]:
        """Return what the header says beside encoding and sensor."""
        return {}
