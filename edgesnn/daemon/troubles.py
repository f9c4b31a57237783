"""What the log is told of the service's health: each trouble once, and that it is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

WELL_S = 10.0  # without a reason: what comes and goes in less is one trouble
MOST_SAID = 100
_log = logging.getLogger("edgesnn.daemon")


class Troubles:
    """One thread uses it."""

    def __init__(self) -> None:
        self._said: set[str] = set()  # reasons that the log has
        self._ailed_s = time.monotonic()
        self._noted: str | None = None

    def log(self, reasons: Sequence[str], note: str | None) -> None:
        """Log new reasons of health, until all has been well for `WELL_S`, and a new note of the outbox."""
        now_s = time.monotonic()
        if reasons:
            self._ailed_s = now_s
        for reason in reasons:
            if reason not in self._said and len(self._said) < MOST_SAID:
                self._said.add(reason)
                _log.warning("degraded: %s", reason)
        if self._said and now_s - self._ailed_s >= WELL_S:
            self._said.clear()
            _log.info("all is well again")
        if note is not None and note != self._noted:
            self._noted = note
            _log.warning("outbox: %s", note)
