"""Power rails: the INA3221 of a Jetson, other meters that give power, and the energy counters of powercap.

Files as the kernel's pages "ina3221", "hwmon sysfs interface" and "Power Capping Framework" name them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgesnn.board import sysfs

MOST_W = 10_000.0  # more than any board takes: the reading is wrong
LONGEST_S = 10.0  # between two readings; over a longer gap nothing is known
INPUTS = ("VDD_IN", "POM_5V_IN")  # what the whole of a Jetson takes
NOT_CONNECTED = "NC"  # the label of such a channel on a Jetson AGX Orin
PACKAGE = "package-"  # and of a processor with powercap: all of these


class Meter(Protocol):
    """Where a rail's numbers come from."""

    def read(self) -> float | None:
        """Return the power in W, or of a counter the energy in J since some moment; None: not known now."""


@dataclass(frozen=True)
class Product:
    """Voltage (mV) times current (mA). A current that flows back is none."""

    volts: Path
    amps: Path

    def read(self) -> float | None:
        """Return the power in W."""
        volts, amps = sysfs.number(self.volts), sysfs.number(self.amps)
        if volts is None or amps is None:
            return None
        return _sane(max(0, volts) * max(0, amps) / 1e6)


@dataclass(frozen=True)
class Watts:
    """Power in uW."""

    power: Path

    def read(self) -> float | None:
        """Return the power in W."""
        found = sysfs.number(self.power)
        return None if found is None else _sane(max(0, found) / 1e6)


@dataclass(frozen=True)
class Counter:
    """Energy in uJ, which begins anew at 0 after `most_uj`, as `most` said; 0: it said nothing, and none is known."""

    energy: Path
    most: Path
    most_uj: int

    def read(self) -> float | None:
        """Return the energy in J."""
        found = sysfs.number(self.energy)
        known = found is not None and self.most_uj > 0 and 0 <= found <= self.most_uj
        return found / 1e6 if found is not None and known else None


class Rail:
    """One rail, looked at again and again. One thread.

    Attributes:
        name: as the board labels it.
        power_w: at the last look, of a counter the mean since the look before; None: not known.
        energy_j: since the first look, over times that were not looked at for `LONGEST_S` not counted; None: nothing
            was counted yet.
        counted: whether the time since the look before is in `energy_j`.
        why: why nothing is known at the last look; None: something is.
    """

    def __init__(self, name: str, meter: Meter) -> None:
        self.name = name
        self.power_w: float | None = None
        self.energy_j: float | None = None
        self.counted = False
        self.why: str | None = None
        self._meter = meter
        self._before: tuple[float, float] | None = None

    def look(self, now_s: float) -> None:
        """Read it; `now_s` is monotonic."""
        found, before = self._meter.read(), self._before
        self._before = None if found is None else (now_s, found)
        self.why = _why(self._meter) if found is None else None
        self.counted = False
        counts = isinstance(self._meter, Counter)
        self.power_w = None if counts else found
        if found is None or before is None or not 0 < now_s - before[0] <= LONGEST_S:
            return
        span_s = now_s - before[0]
        if isinstance(self._meter, Counter):
            joules = found - before[1]
            if joules < 0:
                joules += (self._meter.most_uj + 1) / 1e6
            if joules / span_s > MOST_W:
                return
            self.power_w = joules / span_s
        else:
            joules = 0.5 * (before[1] + found) * span_s
        self.energy_j = (self.energy_j or 0.0) + joules
        self.counted = True


def find(root: Path) -> list[Rail]:
    """Return the rails below `root` (/sys).

    Subzones of powercap are parts of their package, and the same package by another way (`intel-rapl-mmio`) is left
    out. A channel that is switched off, labelled as not connected, or without both of its files is no rail; one
    that lacks one of them is, and says so.
    """
    meters = [*_channels(root / "class" / "hwmon"), *_counters(root / "class" / "powercap")]
    rails: dict[str, Meter] = {}
    for name, meter in meters:
        copies = [name, *(f"{name} {number}" for number in range(2, len(meters) + 2))]
        rails[next(one for one in copies if one not in rails)] = meter
    return [Rail(name, meter) for name, meter in rails.items()]


def whole(rails: list[Rail], wanted: Sequence[str]) -> list[Rail]:
    """Return the rails that together are what the board takes: the wanted ones, the board's input, or all packages.

    Empty where nothing says what the whole is, and where one that is wanted is not there.
    """
    if wanted:
        found = [rail for rail in rails if rail.name in wanted]
        return found if len(found) == len(set(wanted)) else []
    for name in INPUTS:
        if found := [rail for rail in rails if rail.name == name]:
            return found
    return [rail for rail in rails if rail.name.startswith(PACKAGE)]


def _channels(folder: Path) -> list[tuple[str, Meter]]:
    found: list[tuple[str, Meter]] = []
    for number, device in sysfs.entries(folder, r"hwmon([0-9]{1,6})"):
        kind = sysfs.text(device / "name") or f"hwmon{number}"
        if kind == "ina3221":
            for channel in (1, 2, 3):
                volts, amps = device / f"in{channel}_input", device / f"curr{channel}_input"
                off = sysfs.number(device / f"in{channel}_enable") == 0
                if off or not (sysfs.there(volts) or sysfs.there(amps)):
                    continue
                label = sysfs.text(device / f"in{channel}_label") or f"{kind} {channel}"
                if label != NOT_CONNECTED:
                    found.append((label, Product(volts, amps)))
            continue
        for channel, power in sysfs.entries(device, r"power([0-9]{1,3})_input"):
            unlabelled = f"{sysfs.text(device / 'label') or kind} {channel}"
            found.append((sysfs.text(device / f"power{channel}_label") or unlabelled, Watts(power)))
    return found


def _counters(folder: Path) -> list[tuple[str, Meter]]:
    found: list[tuple[str, Meter]] = []
    for number, zone in sysfs.entries(folder, r"intel-rapl:([0-9]{1,3})"):
        energy, most = zone / "energy_uj", zone / "max_energy_range_uj"
        if not (sysfs.there(energy) or sysfs.there(most)):
            continue
        name = sysfs.text(zone / "name") or f"intel-rapl {number}"
        found.append((name, Counter(energy, most, sysfs.number(most) or 0)))
    return found


def _why(meter: Meter) -> str:
    """Return why a meter has nothing to tell: of its files the first one that has no number, and why."""
    files = [value for value in vars(meter).values() if isinstance(value, Path)]
    for file in files:
        if reason := sysfs.trouble(file):
            return f"{file}: {reason}"
    return f"{', '.join(map(str, files))}: an impossible value"


def _sane(power_w: float) -> float | None:
    return power_w if power_w <= MOST_W else None
