"""AEDAT 2.0 of jAER: DVS128 and the DAVIS cameras. docs/formats.md, "AEDAT2"."""

from __future__ import annotations

import re

import numpy as np

from edgesnn.errors import RecordingError
from edgesnn.events.formats import aedat_text
from edgesnn.events.formats.base import Head, Header, NativeFormat, printable

_MAGIC = b"#!AER-DAT2.0"
_END = b"End Of ASCII Header"
_SENSORS = {name.lower(): sensor for name, sensor in aedat_text.CAMERAS.items()}


class Aedat2(NativeFormat):
    """Files of addresses behind a text header that names the camera; the variant is that camera."""

    name = "aedat2"
    title = "AEDAT2"
    verified = False

    def matches(self, head: Head) -> bool:
        """Say whether the version line is there."""
        return head.data.startswith(_MAGIC)

    def header(self, head: Head) -> Header:
        """Read the text header."""
        lines, position = aedat_text.read(head, _END)
        names = ("AEChip", "HardwareInterface", "Creation date", "Creation time")
        fields = {name: value for name in names if (value := aedat_text.value_of(lines, name)) is not None}
        camera = _camera(fields, head, position)
        return Header(position, _SENSORS.get(camera), fields, variant=camera)


def _camera(fields: dict[str, str], head: Head, position: int) -> str:
    """Return the decoder's variant; "": a DAVIS of unknown size."""
    chip = fields.get("AEChip", "").rpartition(".")[2].lower()
    if match := re.match(r"davis[a-z]*(\d{3})", chip):
        if f"davis{match[1]}" in _SENSORS:
            return f"davis{match[1]}"
    elif chip.startswith(("dvs128", "tmpdiff128")):
        return "dvs128"
    if chip and not chip.startswith("davis"):
        raise RecordingError(
            "a camera that is not read",
            where=printable(head.where),
            found=fields["AEChip"],
            expected="a DVS128 or a DAVIS",
            hint="if the header is wrong, name the camera to edgesnn.Decoder as its variant",
        )
    interface = fields.get("HardwareInterface", "").upper()
    if not chip and "DVS128" in interface:
        return "dvs128"
    if chip or "DAVIS" in interface:
        return ""
    addresses = np.frombuffer(head.data[position:], ">u4", (len(head.data) - position) // 8 * 2)[::2]
    return "dvs128" if (addresses < 1 << 16).all() else ""
