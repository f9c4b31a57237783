"""Which version of MQTT to speak next (`docs/mqtt.md`, "Connection")."""

from __future__ import annotations

TOO_NEW = {0x81, 0x82, 0x84}  # malformed packet, protocol error, unsupported version: what a broker may say to MQTT 5


class Versions:
    """The version of the present or next attempt, `now`: "5" or "3.1.1".

    Args:
        protocol: "5", "3.1.1", or "auto": 5, and 3.1.1 where the broker does not speak it.
    """

    def __init__(self, protocol: str) -> None:
        self._auto = protocol == "auto"
        self.now = "5" if self._auto else protocol
        self._spoke_5 = False

    @property
    def may_fall_back(self) -> bool:
        """Whether another version is tried where this one meets silence."""
        return self._auto and self.now == "5"

    def accepted(self) -> bool:
        """Take note that the broker takes `now`; False: it spoke 5 before it fell silent, and is to be asked again."""
        if self._auto and self.now != "5" and self._spoke_5:
            self.now, self._spoke_5 = "5", False
            return False
        self._spoke_5 = self.now == "5"
        return True

    def fall_back(self, reason: int | None) -> bool:
        """Choose after an attempt that was refused (None: closed or silent); True: try 3.1.1 at once."""
        fresh = self.may_fall_back and (reason is None or reason in TOO_NEW)
        if self._auto:
            self.now = "3.1.1" if fresh else "5"
        return fresh
