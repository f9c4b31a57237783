"""The list of recording formats, and which one a file is.

Formats of other packages come by entry points of the group `edgesnn.formats`, after ours, and never replace one.
"""

from __future__ import annotations

from edgesnn.errors import RecordingError, UsageError
from edgesnn.events.formats import raw_header
from edgesnn.events.formats.base import Format, Head
from edgesnn.variants import Variants

FORMATS = {
    "aedat2": "edgesnn.events.formats.aedat2:Aedat2",
    "aedat31": "edgesnn.events.formats.aedat31:Aedat31",
    "aedat4": "edgesnn.events.formats.aedat4:Aedat4",
    "csv": "edgesnn.events.formats.csv:Csv",
    "dat": "edgesnn.events.formats.dat:Dat",
    "es": "edgesnn.events.formats.es:Es",
    "evt2": "edgesnn.events.formats.evt2:Evt2",
    "evt21": "edgesnn.events.formats.evt21:Evt21",
    "evt3": "edgesnn.events.formats.evt3:Evt3",
    "hdf5": "edgesnn.events.formats.hdf5:Hdf5",
    "mcap": "edgesnn.events.formats.mcap:Mcap",
    "nmnist": "edgesnn.events.formats.nmnist:Nmnist",
    "npy": "edgesnn.events.formats.npy:Npy",
    "npz": "edgesnn.events.formats.npz:Npz",
    "rosbag1": "edgesnn.events.formats.rosbag1:Rosbag1",
    "rosbag2": "edgesnn.events.formats.rosbag2:Rosbag2",
}
_VARIANTS = Variants(FORMATS, "edgesnn.formats")

# What files begin with that people try: a name says more than "unknown".
_FOREIGN = (
    (b"#!AER-DAT", "an AEDAT file"),
    (b"#ROSBAG", "a ROS 1 bag"),
    (b"\x89MCAP", "an MCAP file of another version"),
    (b"\x93NUMPY", "a .npy array"),
    (b"PK\x03\x04", "a zip archive (.npz?)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive (unpack it first)"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"RIFF", "a RIFF file (AVI?)"),
    (b"\x7fELF", "a program"),
    (b"%PDF", "a PDF document"),
)


def names() -> list[str]:
    """Return the names of all formats, ours first."""
    return _VARIANTS.names()


def native_names() -> list[str]:
    """Return the names of the formats whose bytes the native chain decodes itself."""
    return [name for name in names() if get(name).native]


def get(name: str) -> Format:
    """Return the format of this name; UsageError names the known ones."""
    kind = _VARIANTS.find(name)
    if kind is None:
        raise UsageError("no such format", where="format", found=repr(name), expected=f"one of {', '.join(names())}")
    found: Format = kind()
    return found


def detect(head: Head) -> Format:
    """Return the format of the file that begins like this; RecordingError says what it is instead."""
    formats = [get(name) for name in names()]
    known = "one of " + ", ".join(one.name for one in formats)
    matching = (one for one in formats if one.has_magic and one.matches(head))
    if found := next(matching, None):
        return found
    if foreign := _foreign(head):
        raise RecordingError("a format that is not read", where=head.where, found=foreign, expected=known)
    matching = (one for one in formats if not one.has_magic and one.matches(head))
    if found := next(matching, None):
        return found
    looks = "a text header that names no encoding" if head.data.startswith(b"% ") else repr(head.data[:8])
    raise RecordingError(
        "the format is not known",
        where=head.where,
        found=looks,
        expected=known,
        hint="where the file does not say its format, pass --format",
    )


def _foreign(head: Head) -> str | None:
    """Return what this file is, where its beginning says it."""
    if named := raw_header.named_format(head):
        return f"a RAW file in {named}"
    return next((name for magic, name in _FOREIGN if head.data.startswith(magic)), None)
