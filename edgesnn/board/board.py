"""A board's readings together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesnn.board import heat, rails

SYSFS = Path("/sys")


@dataclass(frozen=True)
class Reading:
    """What a board said at one moment; what it does not say is missing.

    Attributes:
        at_s: when, monotonic.
        power_w: W by rail.
        energy_j: J by rail since the first look.
        total_w: of the whole board; None: not known, or no rail says that.
        total_j: likewise; None also where something since the look before is not in it.
        temperature_c: degrees Celsius by thermal zone.
        throttle_events: since the machine's start, by cause.
        slowed_by: steps by which something is slowed down now, by cooling device.
    """

    at_s: float
    power_w: dict[str, float] = field(default_factory=dict)
    energy_j: dict[str, float] = field(default_factory=dict)
    total_w: float | None = None
    total_j: float | None = None
    temperature_c: dict[str, float] = field(default_factory=dict)
    throttle_events: dict[str, int] = field(default_factory=dict)
    slowed_by: dict[str, int] = field(default_factory=dict)

    def rounded(self) -> dict[str, Any]:
        """Return it in the words of the record `stats`."""

        def rows(values: dict[str, float], digits: int) -> dict[str, float]:
            return {name: round(value, digits) for name, value in values.items()}

        return {
            "power_w": rows(self.power_w, 3),
            "energy_j": rows(self.energy_j, 3),
            "total_w": None if self.total_w is None else round(self.total_w, 3),
            "temperature_c": rows(self.temperature_c, 1),
            "throttle_events": dict(self.throttle_events),
            "slowed_by": dict(self.slowed_by),
        }


class Board:
    """Reads a board's sensors. One thread; a read may take milliseconds, where the sensor is behind I2C.

    Args:
        root: where sysfs is; None: `SYSFS`.
        whole: the rails that together are the whole board; none: known ones (docs/telemetry.md).
        clock: seconds, monotonic; tests replace it.
    """

    def __init__(
        self, root: Path | None = None, *, whole: Sequence[str] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._root, self._clock = root or SYSFS, clock
        self._rails = rails.find(self._root)
        self._whole = rails.whole(self._rails, whole)

    @property
    def rails(self) -> list[str]:
        """The names of its rails."""
        return [rail.name for rail in self._rails]

    @property
    def whole(self) -> list[str]:
        """The rails that together are the whole board; none: nothing says that."""
        return [rail.name for rail in self._whole]

    @property
    def silent(self) -> dict[str, str]:
        """Why a rail told nothing at the last look, by rail."""
        return {rail.name: rail.why for rail in self._rails if rail.why is not None}

    def look(self) -> Reading:
        """Read everything. Of counters the power is the mean since the look before; there is none at the first."""
        now_s = self._clock()
        for rail in self._rails:
            rail.look(now_s)
        power_w = {rail.name: rail.power_w for rail in self._rails if rail.power_w is not None}
        energy_j = {rail.name: rail.energy_j for rail in self._rails if rail.energy_j is not None}
        known = bool(self._whole) and all(rail.power_w is not None for rail in self._whole)
        counted = bool(self._whole) and all(rail.counted for rail in self._whole)
        return Reading(
            at_s=now_s,
            power_w=power_w,
            energy_j=energy_j,
            total_w=sum(power_w[rail.name] for rail in self._whole) if known else None,
            total_j=sum(energy_j[rail.name] for rail in self._whole) if counted else None,
            temperature_c=heat.temperatures_c(self._root),
            throttle_events=heat.throttle_events(self._root),
            slowed_by=heat.slowed_by(self._root),
        )

    def mean_power_w(self, seconds: float, sleep: Callable[[float], None] = time.sleep) -> dict[str, float]:
        """Return the mean power of each rail, in W, over so many seconds, looked at ten times a second.

        A rail that could not be read for a part of them is left out.
        """
        first = self.look()
        now, gaps = first, set(self.silent)
        while now.at_s < first.at_s + seconds:
            sleep(0.1)
            now = self.look()
            gaps |= {rail.name for rail in self._rails if not rail.counted}
        span_s = now.at_s - first.at_s
        return {
            name: (energy_j - first.energy_j.get(name, 0.0)) / span_s
            for name, energy_j in now.energy_j.items()
            if name not in gaps
        }
