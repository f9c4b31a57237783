"""Live sources by scheme: one file and one line each, imported on use.

Those of other packages come by entry points of the group `edgesnn.sources`, after ours, and never replace one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from edgesnn.errors import UsageError
from edgesnn.events.decoder import check_options
from edgesnn.events.formats.base import Sensor
from edgesnn.events.sources.address import Address, parse, scheme_of
from edgesnn.events.sources.base import Checks, Scheme
from edgesnn.events.sources.devices import Lists
from edgesnn.events.sources.live import OPTIONS, LiveSource, times
from edgesnn.units import parse_sensor
from edgesnn.variants import Variants

SOURCES = {
    "dv": "edgesnn.events.sources.dv:Dv",
    "pipe": "edgesnn.events.sources.pipe:Pipe",
    "replay": "edgesnn.events.sources.replay:Replay",
    "spif": "edgesnn.events.sources.spif:Spif",
    "tcp": "edgesnn.events.sources.tcp:Tcp",
    "udp": "edgesnn.events.sources.udp:Udp",
    "unix": "edgesnn.events.sources.unix:Unix",
    "usb": "edgesnn.events.sources.usb:Usb",
    "v4l2": "edgesnn.events.sources.v4l2:V4l2",
}
_VARIANTS = Variants(SOURCES, "edgesnn.sources")


def names() -> list[str]:
    """Return all schemes, ours first."""
    return _VARIANTS.names()


def get(name: str) -> Scheme:
    """Return the kind of source of this scheme; UsageError names the known ones."""
    kind = _VARIANTS.find(name)
    if kind is None:
        raise UsageError("no such source", where="source", found=repr(name), expected=f"one of {', '.join(names())}")
    found: Scheme = kind()
    return found


def lister(path: object) -> Lists | None:
    """Return the kind of source that can say which devices are there, for an address that is its scheme alone."""
    name = scheme_of(path)
    if path != f"{name}:" or not is_source(path):
        return None
    kind = get(str(name))
    return cast(Lists, kind) if hasattr(kind, "devices") else None


def is_source(path: object) -> bool:
    """Say whether this is a source's address and not a file's name."""
    return scheme_of(path) in names()


def check_source(url: str, *, format: str | None = None) -> tuple[Address, Sensor | None]:
    """Return a source's address, and the sensor that it says; opens nothing.

    Raises:
        UsageError: a wrong address, an unknown option or a value that it cannot have, a format that is missing.
        RecordingError: what it needs is not installed.
    """
    address = parse(url)
    if format is not None:
        address = replace(address, options={**address.options, "format": format})
    scheme = get(address.scheme)
    address.check({*OPTIONS, *dict(scheme.options)})
    times(address)
    if isinstance(scheme, Checks):
        scheme.check(address)
    text = address.options.get("sensor")
    sensor = None if text is None else parse_sensor(text, where=url)
    check_options(sensor, "skip")
    return address, sensor


def open_source(url: str, *, format: str | None = None, sensor: Sensor | None = None) -> LiveSource:
    """Open a live source.

    Args:
        url: its address: README.md.
        format, sensor: instead of what the address says.

    Raises:
        UsageError: a wrong address, an unknown option, a format that is missing or none of a stream.
        RecordingError: it cannot be had (a port in use, no such device). A sender that is not there yet is waited for.
    """
    address, said = check_source(url, format=format)
    sensor = sensor or said
    check_options(sensor, "skip")
    scheme = get(address.scheme)
    link = scheme.open(address)
    try:
        return LiveSource(address, link, sensor)
    except BaseException:
        link.close()
        raise
