"""Temperatures, and whether the board slows down for them or for its supply.

Files as the kernel's pages "Thermal zone" and "hwmon sysfs interface", and NVIDIA's page on Jetson's over-current
throttling, name them.
"""

from __future__ import annotations

from pathlib import Path

from edgesnn.board import sysfs

COLDEST_C, HOTTEST_C = -60.0, 200.0  # outside: a zone that is switched off says so by an impossible number
SLOWS = ("cpufreq", "devfreq", "thermal-cpufreq", "thermal-devfreq", "Processor", "cpu-throttle", "gpu-throttle")


def temperatures_c(root: Path) -> dict[str, float]:
    """Return the temperatures of the thermal zones in degrees Celsius, by their types."""
    found: dict[str, float] = {}
    for number, zone in sysfs.entries(root / "class" / "thermal", r"thermal_zone([0-9]{1,4})"):
        milli = sysfs.number(zone / "temp")
        if milli is None or not COLDEST_C <= milli / 1000 <= HOTTEST_C:
            continue
        name = sysfs.text(zone / "type") or f"thermal_zone{number}"
        found[name if name not in found else f"{name} {number}"] = milli / 1000
    return found


def throttle_events(root: Path) -> dict[str, int]:
    """Return how often the hardware slowed down since the machine's start, by cause.

    "core", "package": heat of an x86 processor; "oc1", ...: over-current of a Jetson.
    """
    found: dict[str, int] = {}
    for _, cpu in sysfs.entries(root / "devices" / "system" / "cpu", r"cpu([0-9]{1,5})"):
        for cause in ("core", "package"):
            count = sysfs.number(cpu / "thermal_throttle" / f"{cause}_throttle_count")
            if count is not None and count >= 0:
                # each core of a package tells the package's count
                found[cause] = found.get(cause, 0) + count if cause == "core" else max(found.get(cause, 0), count)
    for _, device in sysfs.entries(root / "class" / "hwmon", r"hwmon([0-9]{1,6})"):
        for number, file in sysfs.entries(device, r"oc([0-9]{1,2})_event_cnt"):
            count = sysfs.number(file)
            if count is not None and count >= 0:
                found[f"oc{number}"] = found.get(f"oc{number}", 0) + count
    return found


def slowed_by(root: Path) -> dict[str, int]:
    """Return by how many steps a processor or GPU is slowed down now, by the cooling device; 0: it is not."""
    found: dict[str, int] = {}
    for number, device in sysfs.entries(root / "class" / "thermal", r"cooling_device([0-9]{1,4})"):
        kind, state = sysfs.text(device / "type"), sysfs.number(device / "cur_state")
        if kind is None or state is None or state < 0 or not kind.startswith(SLOWS):
            continue
        found[kind if kind not in found else f"{kind} {number}"] = state
    return found
