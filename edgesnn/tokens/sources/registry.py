"""Sources of lines by address: one file and one line each, imported on use."""

from __future__ import annotations

import re

from edgesnn.errors import UsageError
from edgesnn.tokens.sources.base import LineSource

FORMS = (
    ("FILE", "a log file, once; with follow as tail -F"),
    ("-", "standard input"),
    ("udp://HOST:PORT", "datagrams of lines (syslog), sent to this port; ?peers=IP,... for those that may"),
    ("mqtt://[user@]HOST[:PORT]/TOPIC", "messages of lines; mqtts:// with TLS"),
    ("journal:FILE, journal:-", "the messages of `journalctl -o export`, in a file or piped in"),
)
"""The forms of addresses, for `--help`."""

_SCHEME = re.compile(r"([a-z][a-z0-9+]*)://")


def open_lines(address: str, *, follow: bool = False) -> LineSource:
    """Open a source of lines.

    Args:
        address: one of `FORMS`.
        follow: go on at a file's end.

    Raises:
        UsageError: a wrong address, or follow of what is no file.
        RecordingError: no such file, a port in use.
        PublishError: a broker that cannot be reached.
    """
    scheme, _, rest = address.partition(":")
    if scheme == "journal":
        return _journal(rest, follow)
    match = _SCHEME.match(address)
    if follow and (match or address == "-"):
        raise UsageError("only files are followed", where=address, hint="this source goes on by itself")
    if match is None:
        return _file(address, follow)
    if match[1] == "udp":
        from edgesnn.tokens.sources.udp import UdpLines

        return UdpLines(address)
    if match[1] in ("mqtt", "mqtts"):
        from edgesnn.tokens.sources.mqtt import MqttLines

        return MqttLines(address)
    expected = ", ".join(form for form, _ in FORMS)
    raise UsageError("no such source of lines", where=address, found=repr(match[1]), expected=expected)


def check_lines(address: str) -> None:
    """Raise UsageError where an address of `open_lines` is a wrong one; opens nothing."""
    scheme = address.partition(":")[0]
    if scheme == "udp":
        from edgesnn.tokens.sources import udp

        udp.parse_address(address)
    elif scheme in ("mqtt", "mqtts"):
        from edgesnn.tokens.sources import mqtt

        mqtt.parse_address(address)


def _file(path: str, follow: bool) -> LineSource:
    from edgesnn.tokens.sources.file import FileLines, StdinLines

    return StdinLines() if path == "-" else FileLines(path, follow=follow)


def _journal(path: str, follow: bool) -> LineSource:
    from edgesnn.tokens.lines import JournalCutter
    from edgesnn.tokens.sources.file import FileLines, StdinLines

    if path == "-":
        return StdinLines(cutter=JournalCutter())
    return FileLines(path, follow=follow, cutter=JournalCutter())
